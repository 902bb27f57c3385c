"""What a run over spans found: calls, tokens, energy, carbon, problems; summed over any number of windows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from wattspan.calls import CallBatch, Column, EstimateBatch
from wattspan.calls.batch import Flags
from wattspan.estimator import Band, Terms
from wattspan.otlp.enrich import Enriched
from wattspan.otlp.problems import Problem

PROBLEMS_KEPT: Final = 100
"""Problems kept with their details; all are counted."""

NO_MODEL: Final = "(no model)"
"""Stands in `unknown_models` for calls whose span names no model at all."""


@dataclass(slots=True)
class Share:
    """Calls and energy of one class of calls."""

    calls: int = 0
    energy_kwh: float = 0.0


class Summary:
    """Sums over the owners of calls, each call once; duplicates are counted apart."""

    def __init__(self) -> None:
        self.spans = 0
        """Spans read, model calls or not."""
        self.calls = 0
        """Model calls, each counted once."""
        self.errors = 0
        """Calls that ended in an error."""
        self.duplicates = 0
        """Spans that repeat a call which another span owns."""
        self.without_usage = 0
        """Calls without an error and without tokens: no figure."""
        self.with_energy = 0
        """Calls with an energy figure."""
        self.with_carbon = 0
        """Calls with a carbon figure."""
        self.failed = 0
        """Calls that failed before they used tokens: there is nothing to have a figure for."""
        self.tokens: dict[str, int] = dict.fromkeys(_TOKENS, 0)
        self.unknown_models: Counter[str] = Counter()
        self.by_tier: dict[str, Share] = {}
        self.by_region_source: dict[str, Share] = {}
        self.by_grid_resolution: dict[str, Share] = {}
        self.by_grid_accounting: dict[str, Share] = {}
        """Consumption, generation or mixed: a label of each intensity, not another kind."""
        self.grid_reasons: Counter[str] = Counter()
        """Why calls with energy have no carbon figure."""
        self.grid_kinds: set[tuple[str, str]] = set()
        """(signal, factor type) of the carbon: one, or none yet."""
        self.problems: list[Problem] = []
        """The first `PROBLEMS_KEPT` of them."""
        self.problem_count = 0
        self._energy = Terms()
        self._carbon = Terms()

    def add_window(self, window: Enriched) -> None:
        """Add what was found in a window of messages, but for its problems."""
        self.spans += window.table.n
        self.duplicates += len(window.duplicates)
        self.add(window.calls, window.estimates)

    def add(self, calls: CallBatch, estimates: EstimateBatch) -> None:
        """Add calls (owners only) and their estimates, row for row."""
        self.calls += len(calls)
        self.errors += int(calls.is_error.sum())
        self.without_usage += _count(estimates.basis, "no_usage")
        self.failed += _count(estimates.basis, "failed")
        has_energy = np.isfinite(estimates.energy_kwh)
        self.with_energy += int(has_energy.sum())
        has_carbon = np.isfinite(estimates.co2e_g)
        self.with_carbon += int(has_carbon.sum())
        for name, column in _TOKENS.items():
            self.tokens[name] += int(getattr(calls, column).sum())
        self._add_unknown_models(calls, estimates)
        _add_shares(self.by_tier, estimates.tier, estimates, has_energy)
        _add_shares(self.by_region_source, estimates.region_source, estimates, has_energy)
        _add_shares(self.by_grid_resolution, estimates.grid_resolution, estimates, has_carbon)
        _add_shares(self.by_grid_accounting, estimates.grid_accounting, estimates, has_carbon)
        without = estimates.grid_reason.take(has_energy & ~has_carbon)
        self.grid_reasons.update(reason for reason in without.texts() if reason)
        if len(estimates):
            self.grid_kinds.add((estimates.signal, estimates.factor_type))
        self._energy.add_batch(estimates, carbon=False)
        self._carbon.add_batch(estimates, carbon=True)

    def add_problem(self, problem: Problem) -> None:
        """Count a problem, and keep it if there is room."""
        self.problem_count += 1
        if len(self.problems) < PROBLEMS_KEPT:
            self.problems.append(problem)

    def _add_unknown_models(self, calls: CallBatch, estimates: EstimateBatch) -> None:
        resolved = np.array([name != "" for name in estimates.model.names], dtype=np.bool_)
        unknown = calls.take(~resolved[estimates.model.codes] & np.isfinite(estimates.energy_kwh))
        if len(unknown):
            pairs = zip(unknown.model.texts(), unknown.request_model.texts(), strict=True)
            self.unknown_models.update(model or asked or NO_MODEL for model, asked in pairs)

    @property
    def energy_kwh(self) -> Band:
        """Energy of all calls with a figure, kWh, with its 90 % band."""
        return self._energy.band()

    @property
    def co2e_g(self) -> Band:
        """Operational carbon of all calls with a figure, grams CO2e, with its 90 % band.

        NaN where there is energy and no call has a carbon figure: that is not zero.
        """
        if self.with_energy and not self.with_carbon:
            return Band(math.nan, math.nan, math.nan)
        return self._carbon.band()

    @property
    def coverage(self) -> dict[str, float | None]:
        """Share of the calls that did not fail with an energy figure, and with a carbon figure."""
        expected = self.calls - self.failed
        return {
            "energy": self.with_energy / expected if expected else None,
            "carbon": self.with_carbon / expected if expected else None,
        }

    def to_json(self) -> dict[str, Any]:
        """As `wattspan enrich --summary` writes it."""
        return {
            "spans": self.spans,
            "calls": self.calls,
            "errors": self.errors,
            "duplicates": self.duplicates,
            "without_usage": self.without_usage,
            "unknown_models": dict(self.unknown_models.most_common()),
            "tokens": dict(self.tokens),
            "energy_kwh": _plain(self.energy_kwh),
            "co2e_g": _plain(self.co2e_g),
            "by_tier": _shares(self.by_tier),
            "by_region_source": _shares(self.by_region_source),
            "grid": {
                "kinds": [" ".join(kind) for kind in sorted(self.grid_kinds)],
                "by_resolution": _shares(self.by_grid_resolution),
                "by_accounting": _shares(self.by_grid_accounting),
                "without_carbon": dict(self.grid_reasons.most_common()),
            },
            "coverage": self.coverage,
            "problems": {
                "count": self.problem_count,
                "first": [problem.as_dict() for problem in self.problems],
            },
        }


_TOKENS: Final[Mapping[str, str]] = {
    "input": "input_tokens",
    "cache_read": "cache_read_tokens",
    "cache_write": "cache_write_tokens",
    "output": "output_tokens",
    "reasoning": "reasoning_tokens",
}


def _plain(band: Band) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in band._asdict().items()}


def _count(column: Column, text: str) -> int:
    if text not in column.names:
        return 0
    return int(np.count_nonzero(column.codes == column.names.index(text)))


def _add_shares(shares: dict[str, Share], column: Column, estimates: EstimateBatch, rows: Flags) -> None:
    codes = column.codes[rows]
    counts = np.bincount(codes, minlength=len(column.names)).tolist()
    sums = np.bincount(codes, weights=estimates.energy_kwh[rows], minlength=len(column.names)).tolist()
    for name, count, energy_kwh in zip(column.names, counts, sums, strict=True):
        if count:
            share = shares.setdefault(name, Share())
            share.calls += count
            share.energy_kwh += energy_kwh


def _shares(shares: Mapping[str, Share]) -> dict[str, dict[str, float]]:
    return {
        name: {"calls": share.calls, "energy_kwh": share.energy_kwh} for name, share in sorted(shares.items())
    }
