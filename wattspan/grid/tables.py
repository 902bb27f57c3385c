"""The annual tables of an edition."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from wattspan.places.tables import number, read_header, read_rows

Years = dict[int, float]

# Electricity Maps has no hours for the price zones of these countries, but for the country.
_PARENTS = frozenset({"DK", "IT", "NO", "SE"})


class Cell(NamedTuple):
    """A value of a table: the year of the call, or the nearest one that the table has."""

    value: float
    year: int


class WorldBand(NamedTuple):
    """Spread of the world's demand over the intensities of countries."""

    g: float
    low: float
    high: float


class Tables:
    """Annual tables by zone, country, state, subregion and province; each is read when first asked for."""

    def __init__(self, edition: Path, *, use_odbl: bool = True) -> None:
        """`edition`: its directory. Without `odbl` in it, or with `use_odbl` off, the open tables answer."""
        self._grid = edition / "grid"
        self._odbl = edition / "odbl"
        self.has_odbl = use_odbl and (self._odbl / "yearly.csv").is_file()

    @cached_property
    def yearly(self) -> Mapping[str, Years]:
        """Lifecycle by Electricity Maps zone."""
        return _wide(self._odbl / "yearly.csv", "zone") if self.has_odbl else {}

    @cached_property
    def direct(self) -> Mapping[str, Years]:
        """Direct by Electricity Maps zone."""
        table: dict[str, Years] = {}
        if self.has_odbl:
            path = self._odbl / "direct.csv"
            for zone, year, value in read_rows(path, ("zone", "year", "g_per_kwh")):
                table.setdefault(zone, {})[int(year)] = number(value, path, zone)
        return table

    @cached_property
    def _estimated_share(self) -> Mapping[str, Years]:
        table: dict[str, Years] = {}
        if self.has_odbl:
            path = self._odbl / "direct.csv"
            for zone, year, share in read_rows(path, ("zone", "year", "estimated_share")):
                table.setdefault(zone, {})[int(year)] = number(share, path, zone)
        return table

    def is_estimated(self, zone: str, year: int) -> bool:
        """Half of the zone's hours, or more, were estimated in that year or the newest one before it."""
        cell = nearest(self._estimated_share.get(zone), year)
        return cell is not None and cell.value >= 0.5

    @cached_property
    def ember(self) -> Mapping[str, Years]:
        """Lifecycle by country (ISO alpha-3), US state (US-XX) and WORLD."""
        return _wide(self._grid / "ember.csv", "area")

    @cached_property
    def egrid(self) -> Mapping[str, Years]:
        """Direct by eGRID subregion."""
        return _wide(self._grid / "egrid.csv", "subregion")

    @cached_property
    def china(self) -> Mapping[str, Years]:
        """Direct (CO2 only) by province of China."""
        return _wide(self._grid / "china.csv", "province")

    @cached_property
    def google(self) -> Mapping[str, tuple[str, Years]]:
        """Direct by zone, from the first Google region in it: (region, values)."""
        path = self._grid / "google.csv"
        zones = {row[0]: row[1] for row in read_rows(path, ("region", "zone"))}
        table: dict[str, tuple[str, Years]] = {}
        for region, years in _wide(path, "region").items():
            table.setdefault(zones[region], (region, years))
        return table

    @cached_property
    def bands(self) -> Mapping[tuple[str, str, str], float]:
        """Spread by (zone, factor type, resolution), back-tested on measured hours."""
        if not self.has_odbl:
            return {}
        path = self._odbl / "bands.csv"
        rows = read_rows(path, ("zone", "factor_type", "resolution", "g"))
        return {(zone, kind, resolution): number(g, path, zone) for zone, kind, resolution, g in rows}

    @cached_property
    def spreads(self) -> Mapping[str, float]:
        """Spreads that hold for many zones, by key."""
        path = self._grid / "spreads.csv"
        return {key: number(g, path, key) for key, g in read_rows(path, ("key", "g"))}

    @cached_property
    def world(self) -> WorldBand:
        """The band of the world's figure."""
        path = self._grid / "spreads.csv"
        for key, g, low, high in read_rows(path, ("key", "g", "low", "high")):
            if key == "world":
                return WorldBand(*(number(text, path, "world") for text in (g, low, high)))
        raise KeyError(f"{path} has no row world")

    def shapes(self, factor_type: str) -> Path:
        """Where the month and hour factors of a factor type are."""
        return self._odbl / f"shapes_{factor_type}.csv"


def parent_of(zone: str) -> str:
    """The country whose hours stand for a price zone (SE, NO, DK, IT), "" where there is none."""
    country, dash, _ = zone.partition("-")
    return country if dash and country in _PARENTS else ""


def nearest(years: Mapping[int, float] | None, year: int) -> Cell | None:
    """The value of `year`, else of the nearest earlier one, else of the nearest later one; 0: the newest."""
    if not years:
        return None
    earlier = [known for known in years if known <= year]
    found = max(earlier) if earlier else (max(years) if year <= 0 else min(years))
    return Cell(years[found], found)


def _wide(path: Path, key: str) -> dict[str, Years]:
    columns = [name for name in read_header(path) if name.isdigit()]
    years = [int(name) for name in columns]
    table: dict[str, Years] = {}
    for name, *cells in read_rows(path, (key, *columns)):
        table[name] = {
            year: number(cell, path, f"{name} {year}")
            for year, cell in zip(years, cells, strict=True)
            if cell
        }
    return table
