"""Roll-ups, trace trees and flame graphs over a lake."""
