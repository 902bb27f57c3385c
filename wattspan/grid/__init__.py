"""Carbon intensities of electricity: which number, of what kind, from where, how sure."""

from wattspan.grid.embedded import Embedded
from wattspan.grid.intensity import Intensity, Kind, MixedKindsError, Signal, same_kind

__all__ = ["Embedded", "Intensity", "Kind", "MixedKindsError", "Signal", "same_kind"]
