"""What the energy form is given: the shape of a model, the host that serves it, and the fitted numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

PREFILL_ONLY_KINDS = frozenset({"embedding", "rerank"})
"""Kinds of model that read their input and generate nothing."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """A model as the energy form sees it; where only a range is known, its centre (geometric mean)."""

    active_b: float
    """Parameters that take part in one token, billions."""
    total_b: float
    """All parameters, billions; equal to `active_b` in a dense model."""
    is_moe: bool = False
    """Mixture of experts."""
    kv_kb_per_token: float = 150.0
    """Key-value cache of one token of context, kB."""
    context_tokens: float = 1.1e5
    """n_c: input length at which attention has doubled the prefill (parameters / (layers x width))."""
    precision: str = "bf16"
    """Precision of the served weights, a key of `Form.precisions`."""
    gpus: int = 1
    """GPUs of 80 GB that one replica runs on."""


@dataclass(frozen=True, slots=True)
class Host:
    """Where a model is served: an assumption of the edition, or a deployment that the user declared."""

    gpu: str = "H100"
    """A key of `Form.gpus`."""
    batch: float = 128.0
    """Requests decoded together, mean over time."""
    gpus: int = 0
    """GPUs of one replica; 0 takes the model's own count."""
    precision: str = ""
    """Precision of the served weights; "" takes the model's own."""
    k_host: float = 1.35
    """(GPU + rest of the server) / GPU energy."""
    k_idle: float = 1.10
    """(Working + idle machines) / working machines."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """One kind of accelerator: energy per unit of work relative to H100 SXM, power, embodied carbon."""

    step: float
    """J per decode step and GPU, relative to H100."""
    weight: float
    """J per GB read from memory, relative to H100."""
    active: float
    """J per active parameter and decoded token, relative to H100."""
    prefill: float
    """J per active parameter and input token, relative to H100."""
    serving_w: float
    """Board power while serving at batch 128, W."""
    embodied_kg: float
    """kgCO2e to make one GPU and its share of the server."""
    lifetime_years: float
    """Years over which `embodied_kg` is spread."""
    is_tested: bool = False
    """The ratios were fitted to metered energy or held out against it; else only the nameplate is known."""


@dataclass(frozen=True, slots=True)
class Precision:
    """A number format of served weights."""

    bytes_per_weight: float
    weight: float
    """J per byte read, relative to bf16."""


@dataclass(frozen=True, slots=True)
class Form:
    """The fitted numbers of an edition (form.json and gpus.json); every joule is GPU energy on H100."""

    step_j_per_gpu: float
    """t0: J per decode step and GPU."""
    weight_j_per_gb: float
    """m: J per GB of weights read."""
    active_j_per_b: float
    """c0: J per billion active parameters and decoded token."""
    kv_j_per_gb: float
    """J per GB of key-value cache read."""
    moe_weight: float
    """Factor on `weight_j_per_gb` in a mixture of experts."""
    moe_active: float
    """Factor on `active_j_per_b` in a mixture of experts."""
    prefill_j_per_b: float
    """a: J per billion active parameters and input token."""
    moe_prefill: float
    """Factor on `prefill_j_per_b` in a mixture of experts."""
    cached_share: float
    """phi: cost of a cached input token relative to a fresh one."""
    precisions: Mapping[str, Precision]
    gpus: Mapping[str, Gpu]
    """By name and by every alias."""

    @classmethod
    def from_json(cls, form: Mapping[str, Any], gpus: Mapping[str, Any]) -> Form:
        """The form from the parsed form.json and gpus.json of an edition."""
        decode, prefill = form["decode"], form["prefill"]
        return cls(
            step_j_per_gpu=decode["step_j_per_gpu"]["value"],
            weight_j_per_gb=decode["weight_j_per_gb"]["value"],
            active_j_per_b=decode["active_j_per_b"]["value"],
            kv_j_per_gb=decode["kv_j_per_gb"]["value"],
            moe_weight=decode["moe_weight"]["value"],
            moe_active=decode["moe_active"]["value"],
            prefill_j_per_b=prefill["prefill_j_per_b"]["value"],
            moe_prefill=prefill["moe_prefill"]["value"],
            cached_share=prefill["cached_share"]["value"],
            precisions={
                name: Precision(row["bytes_per_weight"], row["weight"]["value"])
                for name, row in form["precisions"].items()
            },
            gpus={
                name: Gpu(
                    **{field.name: row[field.name]["value"] for field in fields(Gpu) if field.name in row},
                    is_tested=row["basis"] != "nameplate",
                )
                for main_name, row in gpus.items()
                for name in (main_name, *row["aliases"])
            },
        )
