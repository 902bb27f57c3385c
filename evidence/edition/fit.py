"""The fit: published measurements in, the numbers of the energy form out, the same each time.

Decode is fitted to 515 metered configurations (ML.ENERGY v3, chat and GPQA; 24 models in 18 groups on
H100 and B200) by least squares on the logarithm of joules per output token, every row alike, with a Huber
loss so that the few models the form does not suit (hybrids, Maverick) do not steer it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import cast

import numpy as np
from scipy.optimize import least_squares

from evidence.edition.canonical import RANGE_DIGITS, significant
from evidence.edition.tables import Flags, Floats, Measurements, benchmark_models, rows_used_for
from wattspan.estimator.energy import KB_PER_GB, Coefficients, decode_gpu_j_per_token, gpu_energy_j
from wattspan.methodology.parameters import Form, Gpu, Precision

CHAT_INPUT_TOKENS = 100.0
"""Assumed prompt of the benchmark, whose files do not say; from 0 to 200 only the cache term moves (7 %)."""
HUBER_SCALE = 0.3
"""Errors beyond x1.35 count linearly, not squared."""
BOOTSTRAP_DRAWS = 200
BOOTSTRAP_SEED = 2026_11
RANGE_QUANTILES = (0.05, 0.95)

PARAMETERS = (
    "step_j_per_gpu",
    "weight_j_per_gb",
    "active_j_per_b",
    "kv_j_per_gb",
    "moe_weight",
    "moe_active",
    "fp8_weight",
    "b200_step",
    "b200_weight",
    "b200_active",
)
LOG_BOUND = 5.0
"""No parameter leaves START by more than x148; only draws without a B200 or an fp8 model come near."""
START = (1.0, 0.2, 5e-3, 0.2, 1.0, 2.0, 1.0, 1.0, 1.0, 1.0)


def form_of(parameters: Floats) -> Form:
    """The form with the fitted `parameters` (in the order of PARAMETERS); prefill is not filled in."""
    fitted = dict(zip(PARAMETERS, parameters.tolist(), strict=True))

    def gpu(step: float, weight: float, active: float) -> Gpu:
        nan = float("nan")
        return Gpu(step, weight, active, prefill=nan, serving_w=nan, embodied_kg=nan, lifetime_years=nan)

    return Form(
        step_j_per_gpu=fitted["step_j_per_gpu"],
        weight_j_per_gb=fitted["weight_j_per_gb"],
        active_j_per_b=fitted["active_j_per_b"],
        kv_j_per_gb=fitted["kv_j_per_gb"],
        moe_weight=fitted["moe_weight"],
        moe_active=fitted["moe_active"],
        prefill_j_per_b=float("nan"),
        moe_prefill=float("nan"),
        cached_share=float("nan"),
        precisions={
            "bf16": Precision(2.0, 1.0),
            "fp8": Precision(1.0, fitted["fp8_weight"]),
            "fp4": Precision(0.5, 1.0),
        },
        gpus={
            "H100": gpu(1.0, 1.0, 1.0),
            "B200": gpu(fitted["b200_step"], fitted["b200_weight"], fitted["b200_active"]),
        },
    )


def decode_predictor(
    measurements: Measurements, input_tokens: float = CHAT_INPUT_TOKENS
) -> Callable[[Form], Floats]:
    """A function from a form to the decode joules per output token of every measured configuration.

    It calls the formulas of the estimator; only the lookup of GPU and precision is prepared here.
    """
    m = measurements
    gpus, gpu_of_row = np.unique(m.gpu, return_inverse=True)
    precisions, precision_of_row = np.unique(m.precision, return_inverse=True)
    n_in = np.full(len(m), input_tokens)
    zero = np.zeros(len(m))

    def predict(form: Form) -> Floats:
        step, weight, active = np.array(
            [(form.gpus[name].step, form.gpus[name].weight, form.gpus[name].active) for name in gpus]
        ).T[:, gpu_of_row]
        byte_count, per_byte = np.array(
            [(form.precisions[name].bytes_per_weight, form.precisions[name].weight) for name in precisions]
        ).T[:, precision_of_row]
        moe_weight = np.where(m.is_moe, form.moe_weight, 1.0)
        moe_active = np.where(m.is_moe, form.moe_active, 1.0)
        output = decode_gpu_j_per_token(
            batch=m.batch,
            gpus=m.gpus,
            active_b=m.active_b,
            total_b=m.total_b,
            bytes_per_weight=byte_count,
            step_j_per_gpu=form.step_j_per_gpu * step,
            weight_j_per_gb=form.weight_j_per_gb * weight * per_byte * moe_weight,
            active_j_per_b=form.active_j_per_b * active * moe_active,
        )
        context = form.kv_j_per_gb * weight * m.kv_kb_per_token / KB_PER_GB
        arrays = (zero, zero, zero, zero, output, context, context / 2.0)
        per_row = Coefficients(*(cast(float, values) for values in arrays))
        _, decode = gpu_energy_j(per_row, zero, zero, n_in, m.output_tokens)
        return decode / m.output_tokens

    return predict


def log_errors(form: Form, measurements: Measurements) -> Floats:
    """ln(predicted / measured) of every row."""
    return np.log(decode_predictor(measurements)(form) / measurements.j_per_output_token)


def fit_parameters(measurements: Measurements, weights: Floats | None = None) -> Floats:
    """The ten decode parameters in the order of PARAMETERS, unrounded.

    `weights`: how often each row counts (a row with 0 is left out). Where only one kind of GPU is in the
    rows, the factors of B200 have nothing to hold on to and stay at their start, 1.
    """
    predict = decode_predictor(measurements)
    target = np.log(measurements.j_per_output_token)
    root = np.ones(len(measurements)) if weights is None else np.sqrt(weights)

    def residuals(logs: Floats) -> Floats:
        return cast(Floats, root * (np.log(predict(form_of(np.exp(logs)))) - target))

    start = np.log(START)
    found = least_squares(
        residuals,
        start,
        bounds=(start - LOG_BOUND, start + LOG_BOUND),
        loss="huber",
        f_scale=HUBER_SCALE,
        xtol=1e-12,
        ftol=1e-12,
        gtol=1e-12,
    )
    return cast(Floats, np.exp(found.x))


def fit_form(measurements: Measurements, weights: Floats | None = None) -> Form:
    """The decode form fitted to `measurements`, rounded as an edition has it."""
    return form_of(np.array([significant(value) for value in fit_parameters(measurements, weights)]))


@lru_cache(maxsize=1)
def decode_measurements() -> Measurements:
    """The 515 rows the decode part is fitted to."""
    return Measurements.of(rows_used_for("published_energy", "decode"))


@lru_cache(maxsize=1)
def older_measurements() -> Measurements:
    """The 191 chat rows of ML.ENERGY v2 (H100 and A100, software of 2024)."""
    return Measurements.of(rows_used_for("published_energy", "a100"))


@lru_cache(maxsize=1)
def decode_form() -> Form:
    """The decode part of the edition."""
    return fit_form(decode_measurements())


@lru_cache(maxsize=1)
def decode_ranges() -> dict[str, tuple[float, float]]:
    """The 90 % range of each parameter: groups of models drawn with replacement, the fit repeated."""
    m = decode_measurements()
    groups, group_of_row = np.unique(m.group, return_inverse=True)
    generator = np.random.default_rng(BOOTSTRAP_SEED)
    draws = []
    for _ in range(BOOTSTRAP_DRAWS):
        counts = np.bincount(generator.integers(len(groups), size=len(groups)), minlength=len(groups))
        draws.append(fit_parameters(m, counts[group_of_row].astype(np.float64)))
    low, high = np.quantile(np.array(draws), RANGE_QUANTILES, axis=0)
    return {
        name: (significant(float(low[i]), RANGE_DIGITS), significant(float(high[i]), RANGE_DIGITS))
        for i, name in enumerate(PARAMETERS)
    }


def fp4_best_factor() -> float:
    """The factor on fp4 bytes at which the 65 gpt-oss rows fit best, all other numbers as they are.

    Freed in the fit it does not lower the leave-one-model-out error (two models, both mixtures of
    experts), so the edition keeps 1; this says how far off that may be.
    """
    m = decode_measurements()
    fp4 = m.take(m.precision == "fp4")
    target = np.log(fp4.j_per_output_token)
    predict = decode_predictor(fp4)
    form = decode_form()

    def residuals(logs: Floats) -> Floats:
        precisions = {**form.precisions, "fp4": Precision(0.5, float(np.exp(logs[0])))}
        return cast(Floats, np.log(predict(replace(form, precisions=precisions))) - target)

    return significant(float(np.exp(least_squares(residuals, [0.0]).x[0])), RANGE_DIGITS)


@dataclass(frozen=True, slots=True)
class Prefill:
    """The numbers of the prefill part, J of an H100 per billion active parameters and input token."""

    dense_j_per_b: float
    moe_factor: float
    a100_factor: float
    dense_by_model: dict[str, float]
    moe_by_model: dict[str, float]
    a100_by_model: dict[str, float]
    cached_share_by_model: dict[str, float]


@lru_cache(maxsize=1)
def fit_prefill() -> Prefill:
    """Prefill from published joules: prompts of 4,096 tokens, and of 8 to 2,048 tokens on an A100."""
    models = benchmark_models()
    dense: dict[str, float] = {}
    moe: dict[str, float] = {}
    shares: dict[str, float] = {}
    hits = {row["model"]: row for row in rows_used_for("published_energy", "cached_share")}
    for row in rows_used_for("published_energy", "prefill"):
        model, n_in, joules = (
            models[row["model"]],
            float(row["input_tokens"]),
            float(row["energy_wh"]) * 3600.0,
        )
        per_b = joules / (n_in * (1.0 + n_in / model.context_tokens) * model.active_b)
        (moe if model.is_moe else dense)[model.name] = per_b
        shares[model.name] = float(hits[model.name]["energy_wh"]) * 3600.0 / joules
    a100 = _prefill_slopes_on_a100()
    dense_j_per_b = significant(_geometric_mean(dense))
    return Prefill(
        dense_j_per_b=dense_j_per_b,
        moe_factor=significant(_geometric_mean(moe) / dense_j_per_b),
        a100_factor=significant(_geometric_mean(a100) / dense_j_per_b),
        dense_by_model=dense,
        moe_by_model=moe,
        a100_by_model=a100,
        cached_share_by_model=shares,
    )


def _prefill_slopes_on_a100() -> dict[str, float]:
    """J per input token and billion parameters: the slope of energy over input length at 32 output tokens.

    The output tokens read the cache of the input, so that their share of the slope is taken off. Rows
    weigh by relative error, since the energies span a factor of 20.
    """
    rows = rows_used_for("published_energy", "prefill_a100")
    form, slopes = decode_form(), {}
    for name in sorted({row["model"] for row in rows}):
        model = benchmark_models()[name]
        own = [row for row in rows if row["model"] == name]
        n_in = np.array([float(row["input_tokens"]) for row in own])
        n_out = np.array([float(row["output_tokens"]) for row in own])
        joules = np.array([float(row["energy_wh"]) * 3600.0 for row in own])
        columns = np.stack([np.ones_like(n_in), n_in * (1.0 + n_in / model.context_tokens)], axis=1)
        _, slope = np.linalg.lstsq(columns / joules[:, None], np.ones_like(joules), rcond=None)[0]
        cache_j = float(n_out[0]) * form.kv_j_per_gb * model.kv_kb_per_token / KB_PER_GB
        slopes[name] = float(slope - cache_j) / model.active_b
    return slopes


def _geometric_mean(values: dict[str, float]) -> float:
    return float(np.exp(np.mean(np.log(list(values.values())))))


RESIDUAL_BATCHES = (16.0, 512.0)
"""The range of batches over which a model's measured / fitted energy is averaged."""


@dataclass(frozen=True, slots=True)
class Residual:
    """Measured / fitted decode energy of a model: the geometric mean over its rows."""

    model: str
    residual: float
    row_ids: tuple[str, ...]


def is_within_batches(measurements: Measurements) -> Flags:
    """Rows whose set batch lies in RESIDUAL_BATCHES; the mean runs a little below what was set."""
    low, high = RESIDUAL_BATCHES
    return (measurements.batch >= 0.9 * low) & (measurements.batch <= 1.01 * high)


def residuals() -> tuple[Residual, ...]:
    """The residual of every benchmark model, by name."""
    m = decode_measurements()
    errors, within = log_errors(decode_form(), m), is_within_batches(m)
    found = []
    for name in sorted(set(m.model.tolist())):
        own = within & (m.model == name)
        value = significant(float(np.exp(-np.mean(errors[own]))))
        found.append(Residual(name, value, tuple(m.row_id[own].tolist())))
    return tuple(found)
