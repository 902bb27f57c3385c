"""`Embedded`: intensities from the tables of an edition, without key or network."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NamedTuple

import numpy as np

from wattspan.calls import Factor
from wattspan.grid.intensity import (
    LIFECYCLE,
    Z_90,
    Accounting,
    Average,
    Codes,
    Floats,
    Intensity,
    Ints,
    Kind,
    LifecycleT,
    MixedKindsError,
    Resolution,
    combined_sigma,
    kind_text,
    no_figure,
)
from wattspan.grid.shapes import Shapes
from wattspan.grid.tables import Cell, Tables, nearest, parent_of
from wattspan.places import Place, Region

if TYPE_CHECKING:
    from wattspan.grid.shape_file import OwnShapes
    from wattspan.grid.typical import ZoneShape

ELECTRICITY_MAPS = "Electricity Maps"
EMBER = "Ember"

# A mix in which fewer members than this have a figure says too little about the rest.
_MIN_COVERED_SHARE = 0.5
_KINDS: dict[str, Any] = {"lifecycle": Kind("average", "lifecycle"), "direct": Kind("average", "direct")}


class _Figure(NamedTuple):
    """What one region has."""

    g_per_kwh: float
    zone: str
    vintage: int
    accounting: Accounting
    source: str
    is_estimated: bool
    factors: tuple[Factor, ...]
    shape_zone: str = ""


class Embedded(Generic[LifecycleT]):
    """The default signal: average, one factor type, annual or with the typical hour of the zone.

    Lifecycle: Electricity Maps by zone, else Ember by state or country, else Ember's world. Direct: only
    direct tables (Electricity Maps by zone, Google by zone, eGRID by subregion, provinces of China), else no
    figure and the reason.
    """

    def __init__(
        self,
        edition: Path,
        factor_type: LifecycleT = LIFECYCLE,
        resolution: str = "annual",
        *,
        use_odbl: bool = True,
        shapes: OwnShapes[LifecycleT] | None = None,
    ) -> None:
        """`edition`: directory of the edition; tables are read when first needed.

        `shapes`: typical hours of the user's own, taken before the edition's; they multiply the same annual
        figures, and are not used with `annual`.
        Raises ValueError for an unknown factor type or resolution, EditionTableError where an open table is
        missing, MixedKindsError for shapes of another kind.
        """
        if factor_type not in _KINDS:
            raise ValueError(f"factor_type is {factor_type!r}; allowed: {', '.join(_KINDS)}")
        if resolution not in ("annual", "typical-hour"):
            raise ValueError(f"resolution is {resolution!r}; allowed: annual, typical-hour")
        self._kind: Kind[Average, LifecycleT] = _KINDS[factor_type]
        self._is_hourly = resolution == "typical-hour"
        if shapes is not None and shapes.kind != self._kind:
            raise MixedKindsError(
                f"{kind_text(shapes.kind)} typical hours cannot multiply {kind_text(self._kind)} years"
            )
        self._own: Mapping[str, ZoneShape] = shapes.zones if shapes and self._is_hourly else {}
        self._tables = Tables(edition, use_odbl=use_odbl)
        self._remembered: dict[tuple[str, int], Intensity[Average, LifecycleT]] = {}

    @property
    def kind(self) -> Kind[Average, LifecycleT]:
        """Average, of the factor type asked for; every intensity has it."""
        return self._kind

    @property
    def factor_type(self) -> LifecycleT:
        """lifecycle or direct."""
        return self._kind.factor_type

    def at(self, place: Place, year: int) -> Intensity[Average, LifecycleT]:
        """Intensity of a place for calls of a year (UTC; 0 where unknown).

        The figure of that year if the table has it, else the nearest earlier one, wider with each year of
        age. Never raises for a place: where no table has a figure, the intensity has none and a reason.
        """
        key = (place.label, year)
        found = self._remembered.get(key)
        if found is None:
            found = self._remembered[key] = self._at(place, year)
        return found

    def hour_factors(self, zones: Sequence[str], codes: Codes, start_unix_ns: Ints) -> Floats:
        """Factor on the annual intensity of each call (`Signal.hour_factors`); ones where that is all."""
        if self._shapes is None:
            return np.ones(len(codes))
        return self._shapes.factors(zones, codes, start_unix_ns)

    def hour_factor(self, place: Place, month: Ints, hour: Ints) -> Floats:
        """Factors of one place: float64[n], for months 1 to 12 and hours 0 to 23 (UTC), int[n] each."""
        if self._shapes is None:
            return np.ones(len(month))
        return self._shapes.of_zone(self.at(place, 0).shape_zone, month, hour)

    @cached_property
    def _shapes(self) -> Shapes | None:
        if not self._is_hourly or not (self._tables.has_odbl or self._own):
            return None
        table = Shapes({})
        if self._tables.has_odbl:
            table = Shapes.read(self._tables.shapes(self._kind.factor_type))
        return table.under({zone: shape.factors for zone, shape in self._own.items()})

    def _at(self, place: Place, year: int) -> Intensity[Average, LifecycleT]:
        if not place.members:
            return self._world(place, year, "")
        figures = [self._figure(region, year) for region in place.members]
        if len(figures) == 1:
            figure = figures[0]
            return self._single(figure) if figure else self._missing(place, year)
        known = [figure for figure in figures if figure is not None]
        if not known or len(known) < _MIN_COVERED_SHARE * len(figures):
            return self._missing(place, year, f"{len(known)} of {len(figures)} regions")
        return self._mix(place, known)

    def _missing(self, place: Place, year: int, coverage: str = "") -> Intensity[Average, LifecycleT]:
        zones = ", ".join(sorted(set(place.zones))[:5])
        if self._kind.factor_type == "lifecycle":
            return self._world(place, year, f"no table has {zones}")
        if coverage:
            reason = f"direct tables have {coverage} of {place.label}; at least half are needed"
        else:
            reason = f"no direct table has {zones}"
        return no_figure(self._kind, place.label, self._resolution(""), reason, len(place.members))

    def _single(self, figure: _Figure) -> Intensity[Average, LifecycleT]:
        g = math.exp(combined_sigma(figure.factors))
        return Intensity(
            g_per_kwh=figure.g_per_kwh,
            g_low=figure.g_per_kwh / g**Z_90,
            g_high=figure.g_per_kwh * g**Z_90,
            g=g,
            zone=figure.zone,
            kind=self._kind,
            accounting=figure.accounting,
            resolution=self._resolution(figure.shape_zone),
            vintage=figure.vintage,
            source=figure.source,
            is_estimated=figure.is_estimated,
            shape_zone=figure.shape_zone,
            shape_source=self._shape_source(figure.shape_zone),
            factors=figure.factors,
        )

    def _mix(self, place: Place, known: list[_Figure]) -> Intensity[Average, LifecycleT]:
        """The unweighted mean over regions, the lowest and the highest of them: nobody publishes weights."""
        values = [figure.g_per_kwh for figure in known]
        centre = math.fsum(values) / len(values)
        low, high = min(values), max(values)
        within = [combined_sigma(figure.factors) ** 2 for figure in known]
        factors = (
            Factor(f"region:{place.label}", math.log(high / low) / 2 / Z_90),
            Factor(f"zones:{place.label}", math.sqrt(math.fsum(within) / len(known))),
        )
        g = math.exp(combined_sigma(factors))
        if low == high:
            low, high = centre / g**Z_90, centre * g**Z_90
        accountings = {figure.accounting for figure in known}
        return Intensity(
            g_per_kwh=centre,
            g_low=low,
            g_high=high,
            g=g,
            zone=place.label,
            kind=self._kind,
            accounting=accountings.pop() if len(accountings) == 1 else "mixed",
            resolution=self._resolution(""),
            vintage=min(figure.vintage for figure in known),
            source=" + ".join(sorted({figure.source.split(",", 1)[0] for figure in known})),
            is_estimated=sum(figure.is_estimated for figure in known) * 2 >= len(known),
            members=len(place.members),
            covered=len(known),
            factors=factors,
        )

    def _world(self, place: Place, year: int, why: str) -> Intensity[Average, LifecycleT]:
        if self._kind.factor_type == "direct":
            return no_figure(
                self._kind, place.label, self._resolution(""), "no direct table has the world", 0
            )
        cell = nearest(self._tables.ember.get("WORLD"), year)
        if cell is None:
            return no_figure(
                self._kind, place.label, self._resolution(""), "Ember's table has no row WORLD", 0
            )
        band = self._tables.world
        factors = (Factor("world", math.log(band.g)), *self._age("world", cell, year))
        return Intensity(
            g_per_kwh=cell.value,
            g_low=band.low,
            g_high=band.high,
            g=math.exp(combined_sigma(factors)),
            zone="world",
            kind=self._kind,
            accounting="generation",
            resolution=self._resolution(""),
            vintage=cell.year,
            source=f"{EMBER}, world" + (f" ({why})" if why else ""),
            is_estimated=False,
            members=len(place.members),
            covered=0,
            factors=factors,
        )

    def _resolution(self, shape_zone: str) -> Resolution:
        return "typical-hour" if shape_zone else "annual"

    def _figure(self, region: Region, year: int) -> _Figure | None:
        return (
            self._direct(region, year)
            if self._kind.factor_type == "direct"
            else self._lifecycle(region, year)
        )

    def _lifecycle(self, region: Region, year: int) -> _Figure | None:
        cell = nearest(self._tables.yearly.get(region.zone), year)
        if cell is not None:
            other = nearest(self._tables.yearly.get(region.zone_alt), year)
            shape = self._shape_zone(region.zone)
            factors = (
                *self._zone(region.zone, shape),
                *_alternative(region, cell, other),
                *self._age(region.zone, cell, year),
            )
            return _Figure(
                cell.value,
                region.zone,
                cell.year,
                "consumption",
                ELECTRICITY_MAPS,
                self._tables.is_estimated(region.zone, cell.year),
                factors,
                shape,
            )
        cell = nearest(self._tables.ember.get(region.ember_area), year)
        if cell is None:
            return None
        return self._open(region, region.ember_area, cell, year, "generation", EMBER)

    def _direct(self, region: Region, year: int) -> _Figure | None:
        tables, zone = self._tables, region.zone
        cell = nearest(tables.direct.get(zone), year)
        if cell is not None:
            return self._measured_direct(region, zone, cell, year)
        google = tables.google.get(zone)
        cell = nearest(google[1], year) if google else None
        if google and cell is not None:
            return self._open(region, zone, cell, year, "consumption", f"Google, region {google[0]}")
        cell = nearest(tables.egrid.get(region.egrid_subregion), year)
        if cell is not None:
            return self._open(region, region.egrid_subregion, cell, year, "generation", "EPA eGRID")
        cell = nearest(tables.china.get(region.china_province), year)
        if cell is not None:
            source = "MEE, provinces of China (CO2 only)"
            return self._open(region, region.china_province, cell, year, "consumption", source)
        parent = parent_of(zone)
        cell = nearest(tables.direct.get(parent), year)
        return self._measured_direct(region, parent, cell, year) if cell is not None else None

    def _measured_direct(self, region: Region, zone: str, cell: Cell, year: int) -> _Figure:
        other = nearest(self._tables.direct.get(region.zone_alt), year)
        shape = self._shape_zone(zone)
        factors = [
            *self._zone(zone, shape),
            *_alternative(region, cell, other),
            *self._age(zone, cell, year),
        ]
        if zone != region.zone:
            factors.append(Factor(f"country for zone:{region.zone}", self._ln_g("other_method")))
        is_estimated = self._tables.is_estimated(zone, cell.year)
        return _Figure(
            cell.value,
            zone,
            cell.year,
            "consumption",
            ELECTRICITY_MAPS,
            is_estimated,
            tuple(factors),
            shape,
        )

    def _open(
        self, region: Region, area: str, cell: Cell, year: int, accounting: Accounting, source: str
    ) -> _Figure:
        """A figure of another method than the zone's own table."""
        # The edition's hours belong to its own table of zones; one's own go with whatever year there is.
        shape = region.zone if region.zone in self._own else ""
        factors = (
            *self._zone(region.zone, shape),
            Factor(f"grid method:{source.split(',', 1)[0]}", self._ln_g("other_method")),
            *self._age(area, cell, year),
        )
        return _Figure(cell.value, area, cell.year, accounting, source, False, factors, shape)

    def _ln_g(self, key: str) -> float:
        return math.log(self._tables.spreads[key])

    def _shape_zone(self, zone: str) -> str:
        """The zone whose month and hour factors apply: itself, its country, or none."""
        if self._shapes is None:
            return ""
        return next((name for name in (zone, parent_of(zone)) if name in self._shapes), "")

    def _shape_source(self, zone: str) -> str:
        own = self._own.get(zone)
        return f"{own.source}, {own.vintage}" if own else ""

    def _zone(self, zone: str, shape_zone: str) -> tuple[Factor, ...]:
        """How far the hours of a zone lie from its value: measured, or its country's, or as elsewhere."""
        own = self._own.get(shape_zone)
        if own is not None:
            return (Factor(f"zone:{zone}", math.log(own.g)),) if own.g > 1 else ()
        tables, kind = self._tables, self._kind.factor_type
        resolution = self._resolution(shape_zone)
        for name in (zone, parent_of(zone)):
            g = tables.bands.get((name, kind, resolution))
            if g is not None:
                return (Factor(f"zone:{zone}", math.log(g)),)
        hours = Factor(f"zone:{zone}", self._ln_g(f"unmeasured/{kind}/{resolution}"))
        if kind == "lifecycle" and f"within/{zone}" in tables.spreads:
            return (hours, Factor(f"provinces:{zone}", self._ln_g(f"within/{zone}")))
        return (hours,)

    def _age(self, area: str, cell: Cell, year: int) -> tuple[Factor, ...]:
        """The back-test is of a value one year old; each further year adds its step."""
        age = abs(year - cell.year) - 1 if year > 0 else 0
        if age <= 0:
            return ()
        return (Factor(f"age:{area}", self._ln_g("year_of_age") * math.sqrt(age)),)


def _alternative(region: Region, cell: Cell, other: Cell | None) -> tuple[Factor, ...]:
    """Where sources disagree on the zone, the other zone's value lies on the edge of the 90 % band."""
    if other is None or other.value == cell.value:
        return ()
    ln_g = abs(math.log(other.value / cell.value)) / Z_90
    return (Factor(f"zone of:{region.cloud}/{region.name}", ln_g),)
