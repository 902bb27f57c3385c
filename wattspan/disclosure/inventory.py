"""`Inventory`: what the estimates of some calls amount to, as far as the columns of a disclosure need it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping

import numpy as np

from wattspan.calls import CallBatch, Column, EstimateBatch
from wattspan.calls.batch import Flags, Floats
from wattspan.disclosure.gate import Facts
from wattspan.estimator import Band, Terms
from wattspan.estimator.spread import estimates_kind
from wattspan.grid import Kind
from wattspan.methodology import Edition

Z95 = 1.96
"""Disclosures carry 95 % bands (design D5)."""


class Inventory:
    """Sums over calls, each once, and what is known of them."""

    def __init__(self, edition: Edition) -> None:
        self.edition = edition
        self.calls = 0
        self.failed = 0
        """Calls that failed before they used tokens: there is nothing to have a figure for."""
        self.with_figure = 0
        """Calls with an energy and a carbon figure."""
        self.kinds: set[Kind] = set()
        self.energy_kwh = 0.0
        self.co2e_g = 0.0
        self.embodied_g = 0.0
        self.energy_with_embodied_kwh = 0.0
        self.energy_with_water_kwh = 0.0
        self.water_ml = 0.0
        self.carbon_by_basis: Counter[str] = Counter()
        self.carbon_by_region_source: Counter[str] = Counter()
        self.carbon_by_accounting: Counter[str] = Counter()
        self.carbon_by_resolution: Counter[str] = Counter()
        self.carbon_by_source: Counter[str] = Counter()
        self.carbon_of_unknown_models_g = 0.0
        self.models: set[str] = set()
        self.first_unix_ns = 0
        """Start of the first call; 0 where none has a time."""
        self.last_unix_ns = 0
        self._carbon = Terms()

    def add(self, calls: CallBatch, estimates: EstimateBatch) -> None:
        """Add calls (owners only) and their estimates, row for row.

        Raises MixedKindsError where their carbon is of another kind than that of those before.
        """
        self._carbon.add_batch(estimates, carbon=True)
        has_energy, has_carbon = np.isfinite(estimates.energy_kwh), np.isfinite(estimates.co2e_g)
        self.calls += len(calls)
        self.failed += int(_sums(estimates.basis, np.ones(len(calls)))["failed"])
        self.with_figure += int((has_energy & has_carbon).sum())
        if has_carbon.any():
            self.kinds.add(estimates_kind(estimates))
        energy, carbon = np.nan_to_num(estimates.energy_kwh), np.nan_to_num(estimates.co2e_g)
        self.energy_kwh += math.fsum(energy)
        self.co2e_g += math.fsum(carbon)
        self.embodied_g += math.fsum(np.nan_to_num(estimates.embodied_g))
        self.water_ml += math.fsum(np.nan_to_num(estimates.water_ml))
        self.energy_with_embodied_kwh += _where(energy, np.isfinite(estimates.embodied_g))
        self.energy_with_water_kwh += _where(energy, np.isfinite(estimates.water_ml))
        for counter, column in (
            (self.carbon_by_basis, estimates.basis),
            (self.carbon_by_region_source, estimates.region_source),
            (self.carbon_by_accounting, estimates.grid_accounting),
            (self.carbon_by_resolution, estimates.grid_resolution),
            (self.carbon_by_source, estimates.grid_source),
        ):
            counter.update(_sums(column, carbon))
        by_model = _sums(estimates.model, carbon)
        self.carbon_of_unknown_models_g += by_model.pop("", 0.0)
        self.models.update(name for name, grams in by_model.items() if grams)
        times = calls.start_unix_ns[calls.start_unix_ns > 0]
        if len(times):
            first, last = int(times.min()), int(times.max())
            self.first_unix_ns = min(self.first_unix_ns or first, first)
            self.last_unix_ns = max(self.last_unix_ns, last)

    @property
    def coverage(self) -> float:
        """Share of the calls that did not fail with an energy and a carbon figure; 0 where there are none."""
        expected = self.calls - self.failed
        return self.with_figure / expected if expected else 0.0

    def band95(self) -> Band:
        """Operational carbon of all calls with its 95 % band, grams."""
        return self._carbon.band(Z95)

    def shares(self, grams: Mapping[str, float]) -> dict[str, float]:
        """Shares of the carbon, the largest first; what has none is left out."""
        ranked = sorted(grams.items(), key=lambda item: (-item[1], item[0]))
        return {name: value / self.co2e_g for name, value in ranked if value > 0} if self.co2e_g else {}

    def facts(self, *, unmapped_share: float, is_period_over: bool, gap_rule: str = "") -> Facts:
        """What the gate asks."""
        return Facts(
            kinds=frozenset(self.kinds),
            editions={self.edition.label: self.edition.status},
            coverage=self.coverage,
            unmapped_share=unmapped_share,
            is_period_over=is_period_over,
            gap_rule=gap_rule,
        )


def _sums(column: Column, values: Floats) -> Counter[str]:
    sums = np.bincount(column.codes, weights=values, minlength=len(column.names)).tolist()
    found: Counter[str] = Counter()
    for name, value in zip(column.names, sums, strict=True):
        found[name] += value
    return found


def _where(values: Floats, rows: Flags) -> float:
    return math.fsum(values[rows])
