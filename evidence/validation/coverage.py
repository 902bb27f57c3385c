"""Do the 90 % bands of the tiers hold on measurements that were left out?

Only GPU energy is measured, so each tier is held to its total without the facility part: ln(g_GPU)^2 =
ln(g)^2 - ln(g_facility)^2. The cells are all rows of both software vintages (ML.ENERGY v3, vLLM 0.11.1; v2,
software of 2024) whose batch lies in the range the tiers claim, 16 to 512, each counting once; what happens
at any batch is shown beside it.

benchmarked    the configuration is known; the model's group was left out of the fit
open_measured  the host is assumed; the model's residual comes from its rows on the other GPU
open           the host is assumed, only published parameters are known; the group was left out of the fit
closed         as open, but the parameters are hidden behind a lognormal guess of gsd 2, 2.5 and 3
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from evidence.edition.energy import Z90, build_hosts
from evidence.edition.fit import (
    decode_form,
    decode_measurements,
    decode_predictor,
    is_within_batches,
    log_errors,
    older_measurements,
)
from evidence.edition.tables import Flags, Floats, Measurements, read_table
from evidence.validation.errors import Errors
from evidence.validation.held_out import forms_without
from wattspan.methodology import Form

GUESS_GSD = (2.0, 2.5, 3.0)
"""How far guesses of a closed model's size may be off, one geometric standard deviation."""
GUESS_POINTS = 9
"""Points of the Gauss-Hermite rule that stands for the lognormal guess: no random numbers."""
MEMORY_GB = 80.0
MEMORY_OVERHEAD = 1.2
"""Weights times this (cache, buffers) decide how many 80 GB GPUs a replica takes, a power of two."""
FP8_ABOVE_B = 200.0
"""Open models above this many billion parameters are served in fp8, as their makers publish them."""


@dataclass(frozen=True, slots=True)
class TierCoverage:
    """How often a tier's 90 % band holds, and how wide it is."""

    tier: str
    cells: int
    total_g: float
    gpu_g: float
    bias: float
    coverage: float
    """At batches of 16 to 512, the range the tiers claim."""
    coverage_of_models: float
    """The same with every group of models counting alike."""
    coverage_any_batch: float
    g_for_90_percent: float
    """Total g (facility included) at which the band would hold exactly 90 %."""

    @property
    def band(self) -> float:
        """The 90 % band is centre / this to centre x this, facility included."""
        return float(self.total_g**Z90)


def all_tiers() -> tuple[TierCoverage, ...]:
    """Coverage of every tier that measurements can test."""
    return benchmarked(), open_measured(), open_weights(), closed()


def benchmarked() -> TierCoverage:
    """Configuration known: leave-one-model-out on the rows of the fit."""
    m = decode_measurements()
    errors = np.empty(len(m))
    for group, form in forms_without("group").items():
        own = m.group == group
        errors[own] = log_errors(form, m.take(own))
    return _tier("benchmarked", m, errors[None, :], np.ones(1))


def open_measured() -> TierCoverage:
    """Host assumed, residual from the rows on the other GPU (for older software: from all rows)."""
    new, old = decode_measurements(), older_measurements()
    form, within = decode_form(), is_within_batches(new)
    measured = np.log(new.j_per_output_token / decode_predictor(new)(form))
    cells, errors = [], []
    for group in sorted(set(new.group.tolist())):
        of_group = new.group == group
        splits = [(new, of_group & (new.gpu == gpu), of_group & (new.gpu != gpu)) for gpu in ("H100", "B200")]
        splits.append((old, old.group == group, of_group))
        for source, tested, trained in splits:
            if not tested.any() or not (trained & within).any():
                continue
            rows = source.take(tested)
            residual = float(np.mean(measured[trained & within]))
            cells.append(rows)
            errors.append(residual + log_errors_on_host(form, rows, "open"))
    joined = cells[0]
    for rows in cells[1:]:
        joined = joined.join(rows)
    return _tier("open_measured", joined, np.concatenate(errors)[None, :], np.ones(1))


def open_weights() -> TierCoverage:
    """Host assumed, parameters known, the model left out of the fit."""
    cells = _all_cells()
    return _tier("open", cells, _left_out_errors(cells, "open", 1.0)[None, :], np.ones(1))


def closed(gsds: tuple[float, ...] = GUESS_GSD) -> TierCoverage:
    """Host assumed, parameters guessed: every cell with its size off by a lognormal factor."""
    cells, errors, weights = _all_cells(), [], []
    for gsd in gsds:
        points, point_weights = np.polynomial.hermite_e.hermegauss(GUESS_POINTS)
        shares = point_weights / point_weights.sum() / len(gsds)
        for point, weight in zip(points, shares, strict=True):
            errors.append(_left_out_errors(cells, "closed", float(gsd**point)))
            weights.append(weight)
    return _tier("closed", cells, np.array(errors), np.array(weights))


def log_errors_on_host(
    form: Form, cells: Measurements, host: str, size_factor: float = 1.0, batch: float | None = None
) -> Floats:
    """ln(predicted / measured) where an assumed host of the edition stands in for the true one.

    `batch`: another batch than the host's.
    """
    assumed = build_hosts()[host]
    n = len(cells)
    total_b = cells.total_b * size_factor
    precision = np.where(
        cells.precision == "fp4", "fp4", np.where(cells.total_b > FP8_ABOVE_B, "fp8", "bf16")
    )
    weights_gb = total_b * np.array([form.precisions[name].bytes_per_weight for name in precision])
    gpus = np.exp2(np.ceil(np.log2(np.maximum(weights_gb * MEMORY_OVERHEAD / MEMORY_GB, 1.0))))
    guessed = replace(
        cells,
        gpu=np.full(n, assumed["gpu"]),
        gpus=gpus,
        precision=precision,
        batch=np.full(n, float(assumed["batch"]["value"]) if batch is None else batch),
        active_b=cells.active_b * size_factor,
        total_b=total_b,
    )
    return log_errors(form, guessed)


@lru_cache(maxsize=1)
def _all_cells() -> Measurements:
    return decode_measurements().join(older_measurements())


def _left_out_errors(cells: Measurements, host: str, size_factor: float) -> Floats:
    """ln(predicted / measured), the cell's group left out of the fit and its size off by `size_factor`."""
    errors = np.empty(len(cells))
    forms = forms_without("group")
    for group in sorted(set(cells.group.tolist())):
        own = cells.group == group
        errors[own] = log_errors_on_host(forms.get(group, decode_form()), cells.take(own), host, size_factor)
    return errors


def _tier(tier: str, cells: Measurements, errors: Floats, weights: Floats) -> TierCoverage:
    """`errors`: one row a guess of the size, with its weight; one column a cell."""
    spread = next(row for row in read_table("tiers") if row["tier"] == tier)
    total_g, facility_g = float(spread["total_g"]), float(spread["facility_g"])
    gpu_g = math.exp(math.sqrt(math.log(total_g) ** 2 - math.log(facility_g) ** 2))
    claimed = np.ones(len(cells), bool) if tier == "benchmarked" else is_within_batches(cells)
    held = (np.abs(errors) <= Z90 * np.log(gpu_g)).T @ weights
    needed = _weighted_quantile(np.abs(errors[:, claimed]), weights, 0.9) / Z90
    return TierCoverage(
        tier=tier,
        cells=int(claimed.sum()),
        total_g=total_g,
        gpu_g=gpu_g,
        bias=float(np.exp(np.mean(weights @ errors[:, claimed]))),
        coverage=float(held[claimed].mean()),
        coverage_of_models=_mean_over_groups(held, cells.group, claimed),
        coverage_any_batch=float(held.mean()),
        g_for_90_percent=math.exp(math.hypot(needed, math.log(facility_g))),
    )


def _mean_over_groups(
    held: Floats, group: np.ndarray[tuple[int], np.dtype[np.str_]], claimed: Flags
) -> float:
    means = [held[claimed & (group == name)].mean() for name in sorted(set(group[claimed].tolist()))]
    return float(np.mean(means))


def _weighted_quantile(values: Floats, row_weights: Floats, share: float) -> float:
    """The value below which `share` of the weight lies; each row of `values` has its weight."""
    weight = np.repeat(row_weights, values.shape[1])
    order = np.argsort(values, axis=None, kind="stable")
    cumulative = np.cumsum(weight[order])
    return float(values.ravel()[order][np.searchsorted(cumulative, share * cumulative[-1])])


def as_errors() -> Errors:
    """The held-out cells of the tier `open` at claimed batches, as errors."""
    cells = _all_cells()
    return Errors(
        "parameters only, host assumed", _left_out_errors(cells, "open", 1.0)[is_within_batches(cells)]
    )
