"""The energy form: GPU joules of a call from its tokens, the shape of the model and the host.

Plain operators only, so that every function takes a float or a numpy array. The fit and the validation
of an edition use these same functions.

    E_GPU = a x (n_fresh + phi x n_cached) x (1 + n_in / n_c)      prefill
          + n_out x [ b(B) + b_kv x (n_in + n_out / 2) ]           decode
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from wattspan.methodology.parameters import PREFILL_ONLY_KINDS, Architecture, Form, Host

Number = TypeVar("Number", float, npt.NDArray[np.float64])

KB_PER_GB = 1e6


@dataclass(frozen=True, slots=True)
class Coefficients:
    """GPU joules per unit of the seven moments of a call, in the order of the fields.

    The moments: n_fresh, n_cached, n_fresh*n_in, n_cached*n_in, n_out, n_out*n_in, n_out^2, where n_in
    counts all input tokens, n_cached those read from a prompt cache and n_fresh the rest (cache writes are
    fresh).
    """

    fresh: float
    cached: float
    fresh_context: float
    cached_context: float
    output: float
    output_context: float
    output_square: float


def decode_gpu_j_per_token(
    batch: Number,
    gpus: Number,
    active_b: Number,
    total_b: Number,
    bytes_per_weight: Number,
    step_j_per_gpu: Number,
    weight_j_per_gb: Number,
    active_j_per_b: Number,
) -> Number:
    """b(B): GPU joules of one decoded token at short context.

    A decode step makes one token for each of the `batch` requests; they share its fixed cost and the
    reading of the weights. A mixture of experts reads only the experts that some request of the batch chose:

        W = P_total x (1 - (1 - P_active / P_total)^B) x bytes
        b = (t0 x n_gpu + m x W) / B + c0 x P_active

    `active_b`, `total_b`: billions of parameters; the three joule coefficients with the factors of GPU,
    precision and mixture of experts already multiplied in (`coefficients` does so).
    """
    untouched_share: Number = (1.0 - active_b / total_b) ** batch
    touched_gb = total_b * (1.0 - untouched_share) * bytes_per_weight
    return (step_j_per_gpu * gpus + weight_j_per_gb * touched_gb) / batch + active_j_per_b * active_b


def coefficients(
    architecture: Architecture, host: Host, form: Form, kind: str = "chat", residual: float = 1.0
) -> Coefficients:
    """The seven GPU-joule coefficients of a model on a host.

    `kind`: as in the model registry; embeddings and rerankers have no decode. `residual`: measured / fitted
    decode energy of a model that is in a benchmark, 1.0 otherwise. Raises KeyError for a GPU or precision
    the form does not know.
    """
    gpu = form.gpus[host.gpu]
    moe_weight, moe_active, moe_prefill = (
        (form.moe_weight, form.moe_active, form.moe_prefill) if architecture.is_moe else (1.0, 1.0, 1.0)
    )
    a = form.prefill_j_per_b * gpu.prefill * moe_prefill * architecture.active_b
    per_context = a / architecture.context_tokens
    phi = form.cached_share
    output = kv = 0.0
    if kind not in PREFILL_ONLY_KINDS:
        precision = form.precisions[host.precision or architecture.precision]
        output = residual * decode_gpu_j_per_token(
            batch=float(host.batch),
            gpus=float(host.gpus or architecture.gpus),
            active_b=architecture.active_b,
            total_b=architecture.total_b,
            bytes_per_weight=precision.bytes_per_weight,
            step_j_per_gpu=form.step_j_per_gpu * gpu.step,
            weight_j_per_gb=form.weight_j_per_gb * gpu.weight * precision.weight * moe_weight,
            active_j_per_b=form.active_j_per_b * gpu.active * moe_active,
        )
        kv = residual * form.kv_j_per_gb * gpu.weight * architecture.kv_kb_per_token / KB_PER_GB
    return Coefficients(
        fresh=a,
        cached=a * phi,
        fresh_context=per_context,
        cached_context=per_context * phi,
        output=output,
        output_context=kv,
        output_square=kv / 2.0,
    )


def gpu_energy_j(
    coefficients: Coefficients, n_fresh: Number, n_cached: Number, n_in: Number, n_out: Number
) -> tuple[Number, Number]:
    """GPU joules of prefill and of decode; `n_in` = all input tokens = `n_fresh` + `n_cached`."""
    c = coefficients
    prefill = (c.fresh + c.fresh_context * n_in) * n_fresh + (c.cached + c.cached_context * n_in) * n_cached
    decode = (c.output + c.output_context * n_in + c.output_square * n_out) * n_out
    return prefill, decode
