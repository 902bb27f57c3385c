"""Which region served a call, and how we know."""

from wattspan.places.own_machine import is_own_machine, is_private_host, is_serving_engine
from wattspan.places.place import Place, PlaceKey
from wattspan.places.regions import Facility, Region, Regions
from wattspan.places.resolve import Places
from wattspan.places.rules import PlaceRuleError
from wattspan.places.tables import EditionTableError

__all__ = [
    "EditionTableError",
    "Facility",
    "Place",
    "PlaceKey",
    "PlaceRuleError",
    "Places",
    "Region",
    "Regions",
    "is_own_machine",
    "is_private_host",
    "is_serving_engine",
]
