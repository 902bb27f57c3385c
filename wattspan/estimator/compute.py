"""Energy of work that is no model call: time on a vCPU x its watts x PUE, as Cloud Carbon Footprint does.

    E = t x ( P_min + u x (P_max - P_min) ) x PUE / 3.6e6        kWh, t in seconds, P in watts

u is 1 for processor time (the vCPU was at work), else the edition's average utilisation. Wide bands: see
`compute.json` of the edition for each error and its reason.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from wattspan.calls import Column, EstimateBatch, Factor, SpreadClass
from wattspan.calls.batch import Floats, Ints
from wattspan.calls.compute import ComputeBatch
from wattspan.estimator.energy import Number
from wattspan.estimator.estimate import Estimator
from wattspan.estimator.kinds import distinct, with_hours
from wattspan.estimator.plan import J_PER_KWH
from wattspan.estimator.spread import Z90, combined_ln_g
from wattspan.grid import Intensity
from wattspan.grid.hourly import HourlySignal
from wattspan.places import Place, PlaceKey

COMPUTE: Final = "compute"
"""Basis and evidence of these figures."""

_UNKNOWN_CLOUD: Final = "unknown"


def compute_it_kwh(seconds: Number, min_w: Number, max_w: Number, utilisation: Number) -> Number:
    """IT energy of `seconds` on a vCPU, in kWh."""
    return seconds * (min_w + utilisation * (max_w - min_w)) / J_PER_KWH


@dataclass(frozen=True, slots=True)
class ComputePlan:
    """The constants of one kind of span: place, service, year, and how its time is known."""

    place: Place
    intensity: Intensity
    min_w: float
    max_w: float
    utilisation: float
    spread: SpreadClass
    energy_g90: float
    carbon_g90: float

    def at_hour(self, intensity: Intensity) -> ComputePlan:
        """The same in an hour whose intensity is known."""
        carbon = self.spread.energy + intensity.factors
        return replace(
            self,
            intensity=intensity,
            spread=SpreadClass(self.spread.energy, carbon),
            carbon_g90=_g90(carbon),
        )


class ComputeEstimator:
    """Estimates compute spans with the places, the grid and the edition of an estimator of calls."""

    def __init__(self, estimator: Estimator, *, utilisation: float | None = None) -> None:
        """`utilisation`: average share of a vCPU at work, (0, 1]; None takes the edition's."""
        table: Mapping[str, Any] = estimator.edition.read_json("compute.json")
        self._clouds = table["clouds"]
        self._factors = table["factors"]
        self._utilisation = float(table["utilisation"]["value"]) if utilisation is None else utilisation
        self._estimator = estimator
        self._plans: dict[tuple[str, str, str, int, bool], ComputePlan] = {}

    def estimate(self, spans: ComputeBatch) -> EstimateBatch:
        """Energy and carbon of each span: basis and tier "compute"; no embodied carbon, no model."""
        n = len(spans)
        grid = self._estimator.grid
        plan_of_row, plans = self._plans_of(spans)
        intensity = np.array([plan.intensity.g_per_kwh for plan in plans])[plan_of_row]
        intensity = intensity * grid.hour_factors(
            [plan.intensity.shape_zone for plan in plans], plan_of_row.astype(np.int32), spans.start_unix_ns
        )
        if isinstance(grid, HourlySignal):
            hours = grid.hourly([plan.place for plan in plans], plan_of_row, spans.start_unix_ns)
            intensity = np.where(hours.codes >= 0, hours.g_per_kwh, intensity)
            plan_of_row, plans = with_hours(plan_of_row, plans, hours)

        def of(constants: list[float]) -> Floats:
            return np.array(constants, dtype=np.float64)[plan_of_row]

        pue = of([plan.place.pue for plan in plans])
        it_kwh = compute_it_kwh(
            spans.time_ns / 1e9,
            of([plan.min_w for plan in plans]),
            of([plan.max_w for plan in plans]),
            of([plan.utilisation for plan in plans]),
        )
        energy = it_kwh * pue
        co2e = energy * intensity
        energy_g90 = of([plan.energy_g90 for plan in plans])
        carbon_g90 = of([plan.carbon_g90 for plan in plans])
        wue = [plan.place.wue_l_per_kwh for plan in plans]
        none = np.full(n, np.nan)

        def texts(names: list[str]) -> Column:
            return Column.of(names).take(plan_of_row)

        return EstimateBatch(
            energy_kwh=energy,
            energy_kwh_low=energy / energy_g90,
            energy_kwh_high=energy * energy_g90,
            prefill_kwh=none,
            decode_kwh=none,
            host_kwh=it_kwh,
            overhead_kwh=energy - it_kwh,
            co2e_g=co2e,
            co2e_g_low=co2e / carbon_g90,
            co2e_g_high=co2e * carbon_g90,
            embodied_g=none,
            water_ml=it_kwh * of([math.nan if litres is None else litres * 1000 for litres in wue]),
            pue=pue,
            intensity_g_per_kwh=intensity,
            basis=Column.constant(COMPUTE, n),
            tier=Column.constant(COMPUTE, n),
            model=Column.constant("", n),
            region=texts([plan.place.label for plan in plans]),
            region_source=texts([plan.place.source for plan in plans]),
            zone=texts([plan.intensity.zone for plan in plans]),
            grid_source=texts([plan.intensity.origin for plan in plans]),
            grid_resolution=texts([plan.intensity.resolution for plan in plans]),
            grid_accounting=texts([plan.intensity.accounting for plan in plans]),
            grid_reason=texts([plan.intensity.reason for plan in plans]),
            spread=plan_of_row.astype(np.int32),
            spreads=tuple(plan.spread for plan in plans),
            signal=grid.kind.signal,
            factor_type=grid.kind.factor_type,
            edition=self._estimator.edition.label,
        )

    def _plans_of(self, spans: ComputeBatch) -> tuple[Ints, list[ComputePlan]]:
        year = spans.start_unix_ns.astype("datetime64[ns]").astype("datetime64[Y]").astype(np.int64) + 1970
        year = np.where(spans.start_unix_ns > 0, year, 0)
        key = year * 2 + spans.is_cpu_time
        size = int(key.max(initial=0)) + 1
        for column in (spans.region, spans.cloud, spans.service):
            if size > 2**62 // len(column.names):
                first, key = distinct(key, size)
                size = len(first)
            key = key * len(column.names) + column.codes
            size *= len(column.names)
        first, plan_of_row = distinct(key, size)
        texts = (
            [column[row] for row in first.tolist()] for column in (spans.region, spans.cloud, spans.service)
        )
        kinds = zip(*texts, year[first].tolist(), spans.is_cpu_time[first].tolist(), strict=True)
        return plan_of_row, [self._plan(*kind) for kind in kinds]

    def _plan(self, region: str, cloud: str, service: str, year: int, is_cpu_time: bool) -> ComputePlan:
        key = (region, cloud, service, year, is_cpu_time)
        found = self._plans.get(key)
        if found is None:
            if len(self._plans) >= self._estimator.planner.MAX_PLANS:
                self._plans.clear()
            found = self._plans[key] = self._make(*key)
        return found

    def _make(self, region: str, cloud: str, service: str, year: int, is_cpu_time: bool) -> ComputePlan:
        # Such a span runs where its service does: the one kind of span for which the resource is evidence.
        place = self._estimator.places.resolve(
            PlaceKey(resource_region=region, resource_cloud=cloud, is_self_hosted=True)
        )
        intensity = self._estimator.grid.at(place, year)
        known = place.cloud if place.cloud in self._clouds else _UNKNOWN_CLOUD
        watts = self._clouds[known]
        names = {"cloud": known, "facility": place.facility, "service": service}
        energy = tuple(
            Factor(row["key"].format_map(names), math.log(row["g"]))
            for row in self._factors["cpu_time" if is_cpu_time else "own_time"]
        )
        carbon = energy + intensity.factors
        return ComputePlan(
            place=place,
            intensity=intensity,
            min_w=watts["min_w"]["value"],
            max_w=watts["max_w"]["value"],
            utilisation=1.0 if is_cpu_time else self._utilisation,
            spread=SpreadClass(energy, carbon),
            energy_g90=_g90(energy),
            carbon_g90=_g90(carbon),
        )


def _g90(factors: tuple[Factor, ...]) -> float:
    return math.exp(Z90 * combined_ln_g(factors))
