"""Typical hours of all zones of a file of the user's own, or of a cache."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple, cast

from wattspan.grid.cache import Cache
from wattspan.grid.feeds.series import Series
from wattspan.grid.intensity import Average, FactorT, Kind, MixedKindsError, SignalT, kind_text
from wattspan.grid.shape_file import OwnShapes
from wattspan.grid.typical import Hours, NoTypicalHoursError, ZoneShape, typical_hours


class ZoneHistory(NamedTuple):
    """Everything that was measured in one zone."""

    parts: list[Hours]
    """Oldest fetch first: where a time is there again, the later part holds."""
    source: str


def of_series(series: Iterable[Series[SignalT, FactorT]]) -> dict[str, ZoneHistory]:
    """The history in series, such as those of a file (`FileFeed.everything`), by zone."""
    found: dict[str, ZoneHistory] = {}
    for one in series:
        measured = ~one.is_forecast
        part = Hours(
            one.start_unix_s[measured], one.g_per_kwh[measured], one.is_estimated[measured], one.period_s
        )
        found.setdefault(one.zone, ZoneHistory([], one.source)).parts.append(part)
    return found


def of_cache(cache: Cache, signal: int) -> dict[str, ZoneHistory]:
    """The history that a cache holds of a signal, by zone; of revised values the latest."""
    found: dict[str, ZoneHistory] = {}
    position = cache.position()
    for zone in cache.zones(signal):
        extent = cache.extent(signal, zone, position)
        if extent is None:
            continue
        rows = cache.rows(signal, zone, extent[0], extent[1] + 1, position)
        source, parts = "", []
        for number in dict.fromkeys(rows.fetch_id[~rows.is_forecast].tolist()):
            fetch = cache.fetch(number)
            mine = (rows.fetch_id == number) & ~rows.is_forecast
            part = Hours(
                rows.start_unix_s[mine], rows.g_per_kwh[mine], rows.is_estimated[mine], fetch.period_s
            )
            # A value for a calendar year (period 0) says nothing of hours.
            parts += [part] if fetch.period_s else []
            source = fetch.source
        found[zone] = ZoneHistory(parts, source)
    return found


def shapes_of(
    histories: Mapping[str, ZoneHistory], kind: Kind[SignalT, FactorT], year_of_age_ln_g: float
) -> tuple[OwnShapes[FactorT], list[str]]:
    """Typical hours of every zone whose history makes some, and the reasons of the others.

    Raises MixedKindsError for a marginal history: typical hours multiply a year's figure of the same kind,
    and no table has a marginal one.
    """
    if kind.signal != "average":
        raise MixedKindsError(
            f"typical hours of {kind_text(kind)} values have no use: they multiply a year's figure of the "
            "same kind, and no table has a marginal one"
        )
    made: dict[str, ZoneShape] = {}
    reasons = []
    for zone, history in sorted(histories.items()):
        try:
            made[zone] = typical_hours(zone, history.parts, year_of_age_ln_g, history.source)
        except NoTypicalHoursError as error:
            reasons.append(str(error))
    return OwnShapes(cast(Kind[Average, FactorT], kind), made), reasons
