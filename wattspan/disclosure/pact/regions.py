"""Regions and subregions of the United Nations, by which PACT names geographies larger than a country."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files


@cache
def _by_region() -> Mapping[str, Mapping[str, str]]:
    """Codes of countries by region and subregion."""
    text = files("wattspan.disclosure.pact").joinpath("data/un-regions.json").read_text(encoding="utf-8")
    found: Mapping[str, Mapping[str, str]] = json.loads(text)["regions"]
    return found


@cache
def region_names() -> tuple[str, ...]:
    """All regions, then all subregions."""
    found = _by_region()
    return (*found, *(subregion for parts in found.values() for subregion in parts))


@cache
def around(place: str) -> tuple[str, ...]:
    """What a country (FR), a part of one (US-CA) or a subregion lies in; () for what is not known."""
    country, is_part, _ = place.partition("-")
    found = (country,) if is_part else ()
    for region, parts in _by_region().items():
        for subregion, countries in parts.items():
            if place == subregion:
                return (region,)
            if country in countries.split():
                return (*found, subregion, region)
    return found
