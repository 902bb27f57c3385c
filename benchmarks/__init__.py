"""Speeds beside the rivals', measured in the same run."""
