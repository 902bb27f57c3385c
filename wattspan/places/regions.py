"""Cloud regions and facilities of an edition."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from wattspan.places.tables import number, read_rows

_AVAILABILITY_ZONE = re.compile(r"^(?P<region>[a-z]+(?:-[a-z]+)+-?\d+)(?:-[a-z]|[a-z])$")


@dataclass(frozen=True, slots=True)
class Region:
    """A cloud region with everything the grid tables need to find its electricity.

    A region without `cloud` and `name` stands for a bare grid zone or country.
    """

    cloud: str
    """aws, azure, gcp, oci, ibm, alibaba, ovh, scaleway, coreweave; "" for a bare zone."""
    name: str
    """The operator's own name of the region, "" for a bare zone."""
    location: str
    country: str
    """ISO 3166-1 alpha-2."""
    zone: str
    """Electricity Maps zone key. `NA` is Namibia."""
    zone_alt: str = ""
    """The other zone where sources disagree, else ""."""
    egrid_subregion: str = ""
    ember_area: str = ""
    """ISO 3166-1 alpha-3, or US-XX for a US state."""
    china_province: str = ""
    facility: str = ""
    """Id of the facility row that holds for the region."""
    is_commercial: bool = True
    """Open to any customer: neither government nor sovereign nor dedicated."""
    status: str = "open"
    """open | limited | announced."""
    latitude: float = 0.0
    longitude: float = 0.0
    cfe_percent: str = ""
    """Carbon-free share as Google publishes it, "" where unknown. Never applied to a location-based figure.
    """


@dataclass(frozen=True, slots=True)
class Facility:
    """Overhead of a building, a region or a fleet."""

    id: str
    pue: float
    """Facility energy over IT energy."""
    pue_low: float
    pue_high: float
    """Lowest and highest figure published for it in other years, or over the operators that it stands for."""
    pue_year: str
    wue_l_per_kwh: float | None
    """Litres of water per kWh of IT energy; None where nobody publishes it."""
    wue_year: str
    source: str


class Regions:
    """The region table: look-up by name and cloud, and the members of a geography."""

    def __init__(self, regions: Iterable[Region], cloud_order: tuple[str, ...]) -> None:
        self.all = tuple(regions)
        self._order = {cloud: rank for rank, cloud in enumerate(cloud_order)}
        self._by_name: dict[str, list[Region]] = {}
        for region in self.all:
            self._by_name.setdefault(_fold(region.name), []).append(region)
        for same in self._by_name.values():
            same.sort(key=lambda region: self._order.get(region.cloud, len(self._order)))

    def find(self, name: str, clouds: tuple[str, ...] = (), *, only: bool = False) -> Region | None:
        """The region called `name`, preferably one of `clouds`, else the first in the cloud order.

        Takes any case, display names ("East US 2") and availability zones ("us-east-1a", "us-central1-b").
        With `only`, no
        other cloud than `clouds` answers.
        """
        folded = _fold(name)
        same = self._by_name.get(folded)
        if same is None and (zone := _AVAILABILITY_ZONE.match(folded)):
            same = self._by_name.get(zone["region"])
        if not same:
            return None
        for cloud in clouds:
            for region in same:
                if region.cloud == cloud:
                    return region
        return None if only else same[0]

    def names(self) -> list[str]:
        """Names of all regions as their operators write them, without duplicates."""
        return list(dict.fromkeys(region.name for region in self.all))


def load_regions(edition: Path) -> list[Region]:
    """Rows of `regions.csv`. Raises EditionTableError."""
    path = edition / "regions.csv"
    columns = (
        "provider", "region", "place", "country", "zone", "zone_alt", "egrid_subregion", "ember_area",
        "china_province", "facility", "commercial", "status", "lat", "lon", "cfe_percent",
    )  # fmt: skip
    regions = []
    for row in read_rows(path, columns):
        cell = dict(zip(columns, row, strict=True))
        regions.append(
            Region(
                cloud=cell["provider"],
                name=cell["region"],
                location=cell["place"],
                country=cell["country"],
                zone=cell["zone"],
                zone_alt=cell["zone_alt"],
                egrid_subregion=cell["egrid_subregion"],
                ember_area=cell["ember_area"],
                china_province=cell["china_province"],
                facility=cell["facility"],
                is_commercial=cell["commercial"] == "yes",
                status=cell["status"],
                latitude=number(cell["lat"], path, "lat"),
                longitude=number(cell["lon"], path, "lon"),
                cfe_percent=cell["cfe_percent"],
            )
        )
    return regions


def load_facilities(edition: Path) -> dict[str, Facility]:
    """Rows of `facilities.csv` by id. Raises EditionTableError."""
    path = edition / "facilities.csv"
    columns = (
        "facility", "pue", "pue_low", "pue_high", "pue_year", "wue_l_per_kwh", "wue_year", "source",
    )  # fmt: skip
    facilities = {}
    for name, pue, low, high, pue_year, wue, wue_year, source in read_rows(path, columns):
        facilities[name] = Facility(
            id=name,
            pue=number(pue, path, f"pue of {name}"),
            pue_low=number(low, path, f"pue_low of {name}"),
            pue_high=number(high, path, f"pue_high of {name}"),
            pue_year=pue_year,
            wue_l_per_kwh=number(wue, path, f"wue of {name}") if wue else None,
            wue_year=wue_year,
            source=source,
        )
    return facilities


def _fold(name: str) -> str:
    return name.strip().lower().replace(" ", "")
