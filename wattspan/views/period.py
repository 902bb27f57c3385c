"""A period as a person gives it: days or times, both ends optional."""

from __future__ import annotations

from wattspan.views.dimensions import DAY_NS, QueryError, moment_unix_ns
from wattspan.views.flame_merge import Period


def read_period(start: str | None, end: str | None) -> tuple[Period, str]:
    """The period and its words. A day at the end is in it, a time is not. Raises QueryError."""
    begin = moment_unix_ns(start) if start else None
    finish = moment_unix_ns(end) if end else None
    if finish is not None and end is not None and "T" not in end.strip() and " " not in end.strip():
        finish += DAY_NS
    if begin is not None and finish is not None and finish <= begin:
        raise QueryError(f"the period from {start} to {end} is empty: its end comes before its beginning")
    if start and end:
        words = start if start == end else f"{start} to {end}"
    elif start:
        words = f"since {start}"
    else:
        words = f"up to {end}" if end else "all days"
    return Period(begin, finish), words
