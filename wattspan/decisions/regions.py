"""Regions as a person names them: "eu-west-3", "azure/westeurope", "eu"."""

from __future__ import annotations

import difflib
from typing import NamedTuple

from wattspan.places import Place, PlaceKey, Places


class UnknownRegionError(ValueError):
    """No region, geography or zone has this name; the message has the nearest ones."""


class NamedRegion(NamedTuple):
    """What stands in `cloud.region` and `cloud.provider` of a span."""

    region: str
    cloud: str


def place_of(places: Places, text: str) -> Place:
    """The place of the region that `text` names. Raises UnknownRegionError."""
    named = named_region(places, text)
    return places.resolve(PlaceKey(span_region=named.region, span_cloud=named.cloud))


def named_region(places: Places, text: str) -> NamedRegion:
    """The region that `text` names, with or without its cloud. Raises UnknownRegionError."""
    cloud, slash, region = text.strip().rpartition("/")
    found = NamedRegion(region, cloud if slash else "")
    place = places.resolve(PlaceKey(span_region=found.region, span_cloud=found.cloud))
    if found.region and place.source in ("span", "rule"):
        return found
    names = [*places.regions.names(), *(f"{known.cloud}/{known.name}" for known in places.regions.all)]
    near = difflib.get_close_matches(text.lower(), names, n=3)
    hint = f"; did you mean {', '.join(near)}?" if near else ";"
    raise UnknownRegionError(
        f"there is no region {text!r}{hint} `wattspan regions` lists all; eu, us, apac, global and countries "
        "such as fr are allowed too"
    )
