"""`HourlyValues`: what a live signal knows of single hours, laid over the coarse answer of `Signal.at`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from wattspan.grid.intensity import Codes, FactorT, Floats, Intensity, Ints, Signal, SignalT
from wattspan.places import Place


@dataclass(frozen=True, slots=True)
class HourlyValues(Generic[SignalT, FactorT]):
    """Intensities of calls at their own hour, all of the signal's kind; arrays of length n.

    Where `codes` is -1 the coarse answer holds. Elsewhere `intensities[codes]` says what the value is; where
    `g_per_kwh` is NaN there, there is no carbon figure, and the intensity's `reason` says why.
    """

    g_per_kwh: Floats
    codes: Codes
    intensities: tuple[Intensity[SignalT, FactorT], ...]
    """One for each place and label that occurs; its own `g_per_kwh` is the mean over its calls."""
    fetch: Codes
    """Number of the fetch that brought the value (`Cache.fetch` says when and from where); 0 for none."""
    position: int
    """State of the cache that was read; `LiveSignal(as_of=position)` gives the same values for good."""


@runtime_checkable
class HourlySignal(Signal[SignalT, FactorT], Protocol[SignalT, FactorT]):
    """A signal that also knows single hours."""

    def hourly(
        self, places: Sequence[Place], codes: Codes | Ints, start_unix_ns: Ints
    ) -> HourlyValues[SignalT, FactorT]:
        """Values of calls, at once and from memory or disk, never from the network.

        `codes`: int[n], index into `places`; `start_unix_ns`: int64[n], 0 where unknown. Hours that are not
        there are noted as wanted.
        """

    @property
    def position(self) -> int:
        """State of the values; taken before calls are estimated, `newer` needs it later."""

    def newer(
        self, places: Sequence[Place], codes: Codes | Ints, start_unix_ns: Ints, position: int
    ) -> npt.NDArray[np.bool_]:
        """Of calls estimated at a position: those that would get another value of their own hour now.

        bool[n]; arguments as of `hourly`. Where the hour was not there, it has come; where it was a forecast
        or was revised, the later value holds. Of the same kind, always. Nothing is noted as wanted.
        """

    def changed(self, position: int) -> dict[str, tuple[int, int]]:
        """Start and end (Unix seconds, end exclusive) of what came after a position, by zone.

        Calls that started at no such time are not `newer`: files without one need not be read.
        """
