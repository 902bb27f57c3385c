"""Month and hour factors of grid zones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from wattspan.grid.intensity import Codes, Floats, Ints
from wattspan.places.tables import EditionTableError, read_rows

_NS_PER_HOUR = 3_600_000_000_000


class Shapes:
    """A factor for each zone, month and hour (UTC), relative to the zone's annual mean."""

    def __init__(self, zones: Mapping[str, Floats]) -> None:
        """`zones`: float64[12, 24] of each zone, January and 00:00 UTC first."""
        # Row 0 is for calls whose zone has no factors.
        self._index = {zone: i for i, zone in enumerate(zones, start=1)}
        self._cube = np.ones((len(zones) + 1, 12, 24))
        for row, factors in enumerate(zones.values(), start=1):
            self._cube[row] = factors

    @classmethod
    def read(cls, path: Path) -> Shapes:
        """Read a table of 12 rows a zone. Raises EditionTableError where a zone lacks a month."""
        names: list[str] = []
        rows: list[list[str]] = []
        columns = ("zone", "month", *(f"h{hour:02d}" for hour in range(24)))
        for zone, month, *factors in read_rows(path, columns):
            if int(month) != len(rows) % 12 + 1 or (month != "1" and zone != names[-1]):
                raise EditionTableError(
                    f"{path}: month {month} of {zone} is out of order; a zone has months 1 to 12"
                )
            if month == "1":
                names.append(zone)
            rows.append(factors)
        if len(rows) != 12 * len(names):
            raise EditionTableError(f"{path}: the last zone has fewer than 12 months")
        cube = np.asarray(rows, dtype=np.float64).reshape(-1, 12, 24)
        return cls(dict(zip(names, cube, strict=True)))

    def under(self, others: Mapping[str, Floats]) -> Shapes:
        """These shapes, where no other one is given for a zone."""
        return Shapes({zone: self._cube[row] for zone, row in self._index.items()} | dict(others))

    def __contains__(self, zone: str) -> bool:
        return zone in self._index

    def factors(self, zones: Sequence[str], codes: Codes, start_unix_ns: Ints) -> Floats:
        """Factor of each call: float64[n]; 1.0 where the zone has none or the start is unknown (0).

        `zones`: zone names; `codes`: int[n], index into `zones`; `start_unix_ns`: int64[n], nanoseconds
        since 1970 UTC.
        """
        rows = np.asarray([self._index.get(zone, 0) for zone in zones], dtype=np.intp)
        hours = start_unix_ns // _NS_PER_HOUR
        months = hours.view("datetime64[h]").astype("datetime64[M]").view(np.int64) % 12
        picked: Floats = self._cube[np.where(start_unix_ns == 0, 0, rows[codes]), months, hours % 24]
        return picked

    def of_zone(self, zone: str, month: Ints, hour: Ints) -> Floats:
        """Factors of one zone for months 1 to 12 and hours 0 to 23: float64[n]; 1.0 where it has none."""
        picked: Floats = self._cube[self._index.get(zone, 0)][month - 1, hour]
        return picked
