"""`Series`: values of one zone as a feed gave them, with what a disclosure must be able to say of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Generic

import numpy as np
import numpy.typing as npt

from wattspan.grid.feeds.times import unix_s
from wattspan.grid.intensity import Accounting, FactorT, Floats, Ints, Kind, Resolution, SignalT

Flags = npt.NDArray[np.bool_]

G_PER_KWH_FROM_LB_PER_MWH = 0.45359237
"""1 lb is 453.59237 g exactly, 1 MWh is 1,000 kWh."""

MAX_G_PER_KWH = 5_000.0
"""No grid comes near: oil shale and lignite plants stay below 1,500 g/kWh, lifecycle included."""

_QUOTED_REJECTIONS = 5


@dataclass(frozen=True, slots=True)
class Series(Generic[SignalT, FactorT]):
    """Values of one zone, sorted by start, each start once for measured values and once for forecasts.

    Arrays have one element a value; a value that the feed left empty is not there.
    """

    zone: str
    """As the feed calls it."""
    kind: Kind[SignalT, FactorT]
    accounting: Accounting
    resolution: Resolution
    """Of measured values; forecasts are `forecast`."""
    period_s: int
    """How long each value holds, from its start; 0 for a calendar year."""
    start_unix_s: Ints
    g_per_kwh: Floats
    is_estimated: Flags
    is_forecast: Flags
    asked_start_unix_s: int
    asked_end_unix_s: int
    fetched_unix_s: int
    """By the clock of the feed, where it told its time."""
    source: str
    """Feed, its version and data set."""
    vintage: str = ""
    """What the feed says of the version of its data: model date, time of update, digest of a file."""
    warnings: tuple[str, ...] = ()
    """What the feed warned of, word for word."""
    nulls: int = 0
    """Values that the feed left empty."""
    rejected: tuple[str, ...] = ()
    """Values that cannot be, each with its reason; the rest of the answer stands."""

    def __len__(self) -> int:
        return len(self.start_unix_s)


class Points:
    """Gathers the points of an answer; a point that cannot be is set aside with its reason."""

    def __init__(self, start_unix_s: int, end_unix_s: int, period_s: int) -> None:
        """Points outside [start, end) are left out: feeds disagree on which ends are included."""
        self._start, self._end, self._period_s = start_unix_s, end_unix_s, period_s
        self._values: dict[tuple[int, bool], tuple[float, bool]] = {}
        self._rejected: list[str] = []
        self.nulls = 0

    def add(
        self,
        time: object,
        value: object,
        *,
        estimated: bool = False,
        forecast: bool = False,
        per: float = 1.0,
    ) -> None:
        """Add a point: start as an ISO text or in Unix seconds, value in g/kWh or, with `per`, times that.

        A later point of the same start wins: feeds append corrections.
        """
        try:
            start = time if isinstance(time, int) and not isinstance(time, bool) else unix_s(time)
        except ValueError as error:
            self.reject(str(error))
            return
        if value is None:
            self.nulls += 1
            return
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.reject(f"{time}: value {value!r} is not a number")
            return
        g_per_kwh = float(value) * per
        if not (math.isfinite(g_per_kwh) and 0 <= g_per_kwh <= MAX_G_PER_KWH):
            self.reject(f"{time}: {g_per_kwh:g} g/kWh is not between 0 and {MAX_G_PER_KWH:g}")
            return
        if self._period_s and start % self._period_s:
            self.reject(f"{time}: not the start of a period of {self._period_s} s")
            return
        if self._start <= start < self._end:
            self._values[start, forecast] = (g_per_kwh, estimated)

    def reject(self, reason: str) -> None:
        """Set a point aside."""
        self._rejected.append(reason)

    @property
    def rejected(self) -> tuple[str, ...]:
        """Reasons of the points set aside; past the first few only their number."""
        more = len(self._rejected) - _QUOTED_REJECTIONS
        if more <= 0:
            return tuple(self._rejected)
        return (*self._rejected[:_QUOTED_REJECTIONS], f"and {more} more")

    def series(
        self,
        *,
        zone: str,
        kind: Kind[SignalT, FactorT],
        accounting: Accounting,
        resolution: Resolution,
        fetched_unix_s: int,
        source: str,
        vintage: str = "",
        warnings: tuple[str, ...] = (),
    ) -> Series[SignalT, FactorT]:
        """The series of the points that stood."""
        keys = sorted(self._values)
        values = [self._values[key] for key in keys]
        return Series(
            zone=zone,
            kind=kind,
            accounting=accounting,
            resolution=resolution,
            period_s=self._period_s,
            start_unix_s=np.array([start for start, _ in keys], dtype=np.int64),
            g_per_kwh=np.array([value for value, _ in values], dtype=np.float64),
            is_estimated=np.array([estimated for _, estimated in values], dtype=np.bool_),
            is_forecast=np.array([forecast for _, forecast in keys], dtype=np.bool_),
            asked_start_unix_s=self._start,
            asked_end_unix_s=self._end,
            fetched_unix_s=fetched_unix_s,
            source=source,
            vintage=vintage,
            warnings=warnings,
            nulls=self.nulls,
            rejected=self.rejected,
        )
