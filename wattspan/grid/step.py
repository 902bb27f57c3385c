"""`Step`: how long the values of a signal hold, and which value holds at a moment."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from wattspan.grid.intensity import Ints

NS_PER_S = 1_000_000_000
SECONDS_OF_STEPS = (300, 900, 1_800, 3_600)


class Step(NamedTuple):
    """A length of time that divides the hour, or the calendar year (0 seconds). All in UTC.

    UTC has no summer time, so every hour of a year has its own number, and a leap year 8,784 of them.
    """

    seconds: int

    @property
    def is_year(self) -> bool:
        """Values hold for a calendar year."""
        return self.seconds == 0

    def number(self, start_unix_ns: Ints) -> Ints:
        """Number of the step that holds at each moment, counted from 1970: int64[n]."""
        if self.seconds:
            return start_unix_ns // (self.seconds * NS_PER_S)
        return start_unix_ns.view("datetime64[ns]").astype("datetime64[Y]").view(np.int64)

    def number_at(self, moment_unix_s: int) -> int:
        """Number of the step that holds at a moment."""
        if self.seconds:
            return moment_unix_s // self.seconds
        return int(np.datetime64(moment_unix_s, "s").astype("datetime64[Y]").astype(np.int64))

    def start_unix_s(self, number: int) -> int:
        """First second of a step."""
        if self.seconds:
            return number * self.seconds
        return int(np.datetime64(number, "Y").astype("datetime64[s]").astype(np.int64))


YEAR = Step(0)
