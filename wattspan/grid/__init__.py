"""Carbon intensities of electricity: which number, of what kind, from where, how sure."""

from wattspan.grid.carbon import Carbon
from wattspan.grid.embedded import Embedded
from wattspan.grid.intensity import Intensity, Kind, MixedKindsError, Signal, same_kind

__all__ = ["Carbon", "Embedded", "Intensity", "Kind", "MixedKindsError", "Signal", "same_kind"]
