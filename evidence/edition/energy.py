"""The energy part of an edition: form.json, gpus.json, hosts.json and spreads.json from the evidence."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

from evidence.edition.canonical import significant, write_json
from evidence.edition.fit import (
    PARAMETERS,
    decode_form,
    decode_ranges,
    fit_prefill,
    fp4_best_factor,
    residuals,
)
from evidence.edition.gpus import build_gpus, value
from evidence.edition.tables import EVIDENCE_FOLDER, Row, read_table

Z90 = 1.6448536269514722
"""Standard normal quantile of 95 %: a 90 % band is centre / g^Z90 to centre x g^Z90."""
PREFILL_RANGE = 1.6
"""Each source of the prefill numbers is good to about this factor."""
DECODE_SOURCE = "fit: the 515 decode rows; range: 90 % of the bootstrap over groups of models"
UNITS = {
    "step_j_per_gpu": "J per decode step and GPU",
    "weight_j_per_gb": "J per GB of weights read",
    "active_j_per_b": "J per 1e9 active parameters and output token",
    "kv_j_per_gb": "J per GB of key-value cache read",
    "moe_weight": "factor on weight_j_per_gb in a mixture of experts",
    "moe_active": "factor on active_j_per_b in a mixture of experts",
}


def build(out: Path) -> None:
    """Write the four files of the energy part into the folder `out`."""
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "form.json", build_form())
    write_json(out / "gpus.json", build_gpus())
    write_json(out / "hosts.json", build_hosts())
    write_json(out / "spreads.json", build_spreads())


def write_residuals(path: Path = EVIDENCE_FOLDER / "residuals.csv") -> None:
    """Write measured / fitted decode energy of each benchmark model, for the registry of models to read."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("model", "residual", "n_rows", "row_ids"))
        for found in residuals():
            writer.writerow((found.model, found.residual, len(found.row_ids), " ".join(found.row_ids)))


def build_form() -> dict[str, Any]:
    """form.json: the fitted numbers, J on an H100, each with its 90 % range."""
    form, ranges, prefill = decode_form(), decode_ranges(), fit_prefill()
    decode = {
        name: value(getattr(form, name), *ranges[name], UNITS[name], DECODE_SOURCE)
        for name in PARAMETERS
        if name in UNITS
    }
    fp8 = value(form.precisions["fp8"].weight, *ranges["fp8_weight"], "J per byte, bf16 = 1", DECODE_SOURCE)
    best = fp4_best_factor()
    fp4_source = (
        f"kept at 1: the 65 gpt-oss rows fit best at {best:g}, "
        "but freeing it does not lower the error of left-out models"
    )
    fp4 = value(1.0, 0.5, 1.2, "J per byte, bf16 = 1", fp4_source)
    bf16 = value(1.0, 1.0, 1.0, "J per byte, bf16 = 1", "definition")
    same_width = "as {}: same width, not measured apart"
    return {
        "decode": decode,
        "prefill": {
            "prefill_j_per_b": _prefill_value(
                prefill.dense_j_per_b, "J per 1e9 active parameters and input token", "the dense model"
            ),
            "moe_prefill": _prefill_value(
                prefill.moe_factor, "factor in a mixture of experts", "the two mixtures of experts"
            ),
            "cached_share": choice("cached_share"),
            "context_tokens": choice("context_tokens"),
        },
        "precisions": {
            "bf16": {"bytes_per_weight": 2.0, "weight": bf16},
            "fp16": {"bytes_per_weight": 2.0, "weight": bf16 | {"source": same_width.format("bf16")}},
            "fp8": {"bytes_per_weight": 1.0, "weight": fp8},
            "int8": {"bytes_per_weight": 1.0, "weight": fp8 | {"source": same_width.format("fp8")}},
            "fp4": {"bytes_per_weight": 0.5, "weight": fp4},
            "int4": {"bytes_per_weight": 0.5, "weight": fp4 | {"source": same_width.format("fp4")}},
        },
    }


def _prefill_value(centre: float, unit: str, rows: str) -> dict[str, float | str]:
    return value(centre, centre / PREFILL_RANGE, centre * PREFILL_RANGE, unit, f"fit: prefill rows, {rows}")


def build_hosts() -> dict[str, Any]:
    """hosts.json: what is assumed about a host where the user declares nothing."""
    return {
        "open": _host(
            "H100", "batch_open", "k_idle", "an open model behind an API, on the GPU most evidence is of"
        ),
        "closed": _host(
            "B200",
            "batch_closed",
            "k_idle",
            "a closed model at its maker, on the newest GPU with measurements: the operators' own figures "
            "(Altman 0.34 Wh, Google 0.24 Wh) and Epoch's 0.295 Wh are then met within x1.5",
        ),
        "self_hosted": _host(
            "H100", "batch_self_hosted", "k_idle_self_hosted", "a model the user serves without saying how"
        ),
    }


def _host(gpu: str, batch: str, k_idle: str, reason: str) -> dict[str, Any]:
    return {
        "gpu": gpu,
        "gpus": 0,
        "batch": choice(batch),
        "precision": "",
        "k_host": choice("k_host"),
        "k_idle": choice(k_idle),
        "reason": reason,
    }


def choice(key: str) -> dict[str, float | str]:
    """A number set by judgement, with the evidence it rests on and its range, as the table has them."""
    row = next(row for row in read_table("choices") if row["key"] == key)
    numbers: dict[str, float | str] = {name: float(row[name]) for name in ("value", "low", "high")}
    return numbers | {"unit": row["unit"], "source": row["evidence"], "reason": row["reason"]}


def build_spreads() -> dict[str, Any]:
    """spreads.json: the geometric spread of each tier (68 %) and the factors whose ln^2 add up to it."""
    return {"z90": Z90, "tiers": {row["tier"]: _tier(row) for row in read_table("tiers")}}


def _tier(row: Row) -> dict[str, Any]:
    total, facility, method = (float(row[column]) for column in ("total_g", "facility_g", "method_g"))
    rest = math.exp(math.sqrt(math.log(total) ** 2 - math.log(facility) ** 2 - math.log(method) ** 2))
    factors = []
    if method > 1.0:
        factors.append({"key": "method", "g": method, "reason": row["method_reason"]})
    if facility > 1.0:
        reason = "server, idle machines and PUE of the site are assumed"
        factors.append({"key": "facility:{facility}", "g": facility, "reason": reason})
    factors.append({"key": row["rest_key"], "g": significant(rest), "reason": row["rest_reason"]})
    return {
        "g": total,
        "band_90": significant(total**Z90),
        "what_is_known": row["what_is_known"],
        "basis": row["basis"],
        "factors": factors,
    }
