"""The measured hours that decisions are scored on, and what a forecast that knew them would say."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from wattspan.decisions import NoOutlookError, Outlook
from wattspan.grid import Embedded, Kind
from wattspan.grid.intensity import FactorType, Floats
from wattspan.methodology import Edition
from wattspan.places import Place, PlaceKey, Places
from wattspan.places.tables import number, read_rows

HOURS = Path(__file__).parents[1] / "odbl" / "hourly_two_weeks.csv"
HOUR_S = 3_600


@dataclass(frozen=True, slots=True, eq=False)
class Week:
    """Hours of one zone without a gap, as they were measured. Also a forecast that knows them all."""

    place: Place
    kind: Kind
    first_unix_s: int
    g_per_kwh: Floats

    @property
    def zone(self) -> str:
        """Grid zone."""
        return self.place.zones[0]

    @property
    def end_unix_s(self) -> int:
        """End of the last hour."""
        return self.first_unix_s + HOUR_S * len(self.g_per_kwh)

    def outlook(self, place: Place, start_unix_s: int, end_unix_s: int) -> Outlook:
        """The hours themselves. Raises NoOutlookError for another place or outside the week."""
        if (
            place.label != self.place.label
            or start_unix_s < self.first_unix_s
            or end_unix_s > self.end_unix_s
        ):
            raise NoOutlookError(f"measured hours of {self.zone} do not cover that")
        return Outlook(self.kind, "hour", "measured", self.first_unix_s, HOUR_S, self.g_per_kwh, factors=())

    def mean_g_per_kwh(self, start_unix_s: int, duration_s: int) -> float:
        """Mean of whole hours from a start on."""
        first, hours = (start_unix_s - self.first_unix_s) // HOUR_S, duration_s // HOUR_S
        return float(np.mean(self.g_per_kwh[first : first + hours]))


def weeks(factor_type: FactorType = "lifecycle") -> list[Week]:
    """Every week of every zone, in the order of the file."""
    values: dict[str, dict[int, float]] = {}
    for zone, start, value in read_rows(HOURS, ("zone", "start", f"{factor_type}_g_per_kwh")):
        start_unix_s = int(dt.datetime.fromisoformat(start).timestamp())
        values.setdefault(zone, {})[start_unix_s] = number(value, HOURS, f"{zone} {start}")
    places = Places(Edition.load().folder, [{"match": {"model": zone}, "zone": zone} for zone in values])
    found = []
    for zone, by_start in values.items():
        place = places.resolve(PlaceKey(model=zone))
        starts = sorted(by_start)
        gaps = [later for earlier, later in pairwise(starts) if later - earlier != HOUR_S]
        for begin, end in pairwise((starts[0], *gaps, starts[-1] + 1)):
            hours = np.array([by_start[start] for start in starts if begin <= start < end])
            found.append(Week(place, Kind("average", factor_type), begin, hours))
    return found


def typical_hours(factor_type: FactorType = "lifecycle") -> Embedded[FactorType]:
    """The edition's grid with its typical hours, which were fitted on 2021 to 2023."""
    return Embedded(Edition.load().folder, factor_type=factor_type, resolution="typical-hour")
