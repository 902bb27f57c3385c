"""A year made of the two real weeks of the evidence: the winter week from October to March, else summer's."""

from __future__ import annotations

import csv
import datetime as dt
from pathlib import Path

TWO_WEEKS = Path(__file__).parents[2] / "evidence" / "odbl" / "hourly_two_weeks.csv"
HOUR = dt.timedelta(hours=1)


def real_hours() -> dict[tuple[str, str], str]:
    """Lifecycle values by (zone, start), as they stand in the evidence."""
    with TWO_WEEKS.open(encoding="utf-8") as file:
        return {(row["zone"], row["start"]): row["lifecycle_g_per_kwh"] for row in csv.DictReader(file)}


def stitched(zone: str, year: int) -> list[tuple[dt.datetime, str]]:
    """(start in UTC, value) of every hour of a year, each one a real hour of the same time of day."""
    hours, found = real_hours(), []
    moment = dt.datetime(year, 1, 1, tzinfo=dt.UTC)
    while moment.year == year:
        week = "2024-01" if moment.month in (10, 11, 12, 1, 2, 3) else "2024-07"
        day = 15 + moment.timetuple().tm_yday % 7
        found.append((moment, hours[zone, f"{week}-{day:02d}T{moment.hour:02d}:00Z"]))
        moment += HOUR
    return found


def write_file(path: Path, *zones: str, year: int = 2024) -> Path:
    """A file of one's own with that year of each zone."""
    lines = ["zone,time,value"]
    lines += [f"{zone},{at:%Y-%m-%dT%H:%MZ},{value}" for zone in zones for at, value in stitched(zone, year)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
