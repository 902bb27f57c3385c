"""Times of feeds: UTC seconds in, UTC texts out, and ranges cut to what a feed takes at once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

HOUR_S = 3_600
DAY_S = 86_400


def unix_s(text: object) -> int:
    """Seconds since 1970 UTC of an ISO 8601 time with its offset ("2018-01-20T12:00Z").

    Raises ValueError for anything else: a time without an offset is off by hours somewhere in the world.
    """
    if not isinstance(text, str):
        raise ValueError(f"time {text!r} is not a text")
    moment = dt.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"time {text!r} has no UTC offset")
    if moment.microsecond:
        raise ValueError(f"time {text!r} is not a whole second")
    return int(moment.timestamp())


def utc_text(moment_unix_s: int) -> str:
    """The time to the minute as "2018-01-20T12:00Z"."""
    return dt.datetime.fromtimestamp(moment_unix_s, dt.UTC).strftime("%Y-%m-%dT%H:%MZ")


def range_text(start_unix_s: int, end_unix_s: int) -> str:
    """A range as it stands in errors."""
    return f"{utc_text(start_unix_s)} to {utc_text(end_unix_s)}"


def chunks(start_unix_s: int, end_unix_s: int, longest_s: int) -> Iterator[tuple[int, int]]:
    """Cut [start, end) into ranges of at most `longest_s` seconds that touch and do not overlap."""
    while start_unix_s < end_unix_s:
        middle = min(start_unix_s + longest_s, end_unix_s)
        yield start_unix_s, middle
        start_unix_s = middle


def year_start(year: int) -> int:
    """The first second of a year, UTC."""
    return int(dt.datetime(year, 1, 1, tzinfo=dt.UTC).timestamp())


def year_of(moment_unix_s: int) -> int:
    """The year of a moment, UTC."""
    return dt.datetime.fromtimestamp(moment_unix_s, dt.UTC).year
