"""Accelerators of an edition: fitted where measured, ratios of nameplates where not."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from evidence.edition.canonical import RANGE_DIGITS, significant
from evidence.edition.fit import decode_form, decode_ranges, fit_prefill
from evidence.edition.tables import Row, read_table, row_by_id

REFERENCE = "H100"
SERVING_BATCHES = (100.0, 160.0)
"""Measured rows that count as batch 128 for the power drawn."""
NAMEPLATE_SPREAD = 1.5
"""Range of a nameplate ratio: on B200 and A100, which are measured, the rule is off by up to x1.4."""


def value(centre: float, low: float, high: float, unit: str, source: str) -> dict[str, float | str]:
    """One number of an edition with its range, unit and source."""
    return {
        "value": significant(centre),
        "low": significant(low, RANGE_DIGITS),
        "high": significant(high, RANGE_DIGITS),
        "unit": unit,
        "source": source,
    }


def build_gpus() -> dict[str, Any]:
    """gpus.json: what a joule-per-work ratio, the power and the embodied carbon of each accelerator are."""
    return {row["gpu"]: _gpu(row) for row in read_table("gpus")}


def _gpu(row: Row) -> dict[str, Any]:
    tdp_w = _spec(row, "tdp_row")
    share, share_low, share_high, share_source = _serving_share(row["gpu"])
    embodied, lifetime = _embodied_kg(row), _lifetime_years()
    return {
        "name": row["name"],
        "aliases": row["aliases"].split(),
        "basis": row["basis"],
        "note": row["note"],
        "memory_gb": float(row["memory_gb"]),
        "tdp_w": {"value": tdp_w, "unit": "W", "source": row["tdp_row"]},
        "serving_w": value(tdp_w * share, tdp_w * share_low, tdp_w * share_high, "W", share_source),
        "embodied_kg": embodied,
        "lifetime_years": lifetime,
        **_factors(row),
    }


def _factors(row: Row) -> dict[str, dict[str, float | str]]:
    if row["gpu"] == REFERENCE:
        return {name: value(1, 1, 1, "ratio to H100", "definition") for name in _FACTORS}
    factors = _nameplate(row)
    if row["basis"] == "measured":
        fitted, ranges = decode_form().gpus[row["gpu"]], decode_ranges()
        source = "fit: decode rows on this GPU"
        prefix = row["gpu"].lower()
        factors["step"] = value(fitted.step, *ranges[f"{prefix}_step"], "ratio to H100", source)
        factors["weight"] = value(fitted.weight, *ranges[f"{prefix}_weight"], "ratio to H100", source)
        factors["active"] = value(fitted.active, *ranges[f"{prefix}_active"], "ratio to H100", source)
        factors["prefill"] = factors["active"] | {
            "source": "no measured prefill: the fitted ratio of decode compute"
        }
    if row["gpu"] == "A100":
        prefill = fit_prefill()
        per_model = [slope / prefill.dense_j_per_b for slope in prefill.a100_by_model.values()]
        factors["prefill"] = value(
            prefill.a100_factor, min(per_model), max(per_model), "ratio to H100", "fit: prefill_a100 rows"
        )
    return factors


_FACTORS = ("step", "weight", "active", "prefill")


def _nameplate(row: Row) -> dict[str, dict[str, float | str]]:
    """Ratios to H100 from data sheets.

    A step costs power for a time: TDP. Reading costs TDP / bandwidth, but not less than on H100: B200,
    the one newer GPU that is measured, has 0.60 on paper and 1.03 in the fit. Computing costs TDP / dense
    TFLOP/s (B200: 0.63 on paper, 0.56 fitted; A100 prefill: 1.81 on paper, 1.78 measured).
    """
    reference = next(other for other in read_table("gpus") if other["gpu"] == REFERENCE)
    tdp = _spec(row, "tdp_row") / _spec(reference, "tdp_row")
    flops = _spec(row, "tflops_row") / _spec(reference, "tflops_row")
    weight = 1.0
    if row["bandwidth_row"]:
        weight = max(1.0, tdp / (_spec(row, "bandwidth_row") / _spec(reference, "bandwidth_row")))
    centres = {"step": tdp, "weight": weight, "active": tdp / flops, "prefill": tdp / flops}
    source = "nameplate ratio: " + " ".join(
        row[column] for column in ("tdp_row", "bandwidth_row", "tflops_row") if row[column]
    )
    return {
        name: value(centre, centre / NAMEPLATE_SPREAD, centre * NAMEPLATE_SPREAD, "ratio to H100", source)
        for name, centre in centres.items()
    }


def _spec(row: Row, column: str) -> float:
    return float(row_by_id("hardware", row[column])["value"])


@lru_cache(maxsize=16)
def _serving_share(gpu: str) -> tuple[float, float, float, str]:
    """Power while serving at batch 128 / TDP: median and quartiles of measured rows; H100's if none."""
    measured = gpu if gpu in decode_form().gpus else REFERENCE
    row = next(row for row in read_table("gpus") if row["gpu"] == measured)
    low, high = SERVING_BATCHES
    shares = [
        float(run["gpu_power_w"]) / int(run["gpus"]) / _spec(row, "tdp_row")
        for run in read_table("published_energy")
        if run["used_in_fit"] == "decode" and run["gpu"] == measured and low <= float(run["batch"]) <= high
    ]
    first, median, third = np.quantile(shares, (0.25, 0.5, 0.75)).tolist()
    source = f"median and quartiles of {len(shares)} decode rows on {measured} at batch 100 to 160"
    return median, first, third, source if measured == gpu else f"{source}, as a share of TDP"


def _embodied_kg(row: Row) -> dict[str, float | str]:
    """Making one GPU (geometric mean of what is published) and its eighth of the server."""
    published = []
    for row_id in row["embodied_rows"].split():
        spec = row_by_id("hardware", row_id)
        published.append(float(spec["value"]) / (8.0 if "8 GPUs" in spec["item"] else 1.0))
    server = next(choice for choice in read_table("choices") if choice["key"] == "server_embodied_kg")
    centre = float(np.exp(np.mean(np.log(published)))) + float(server["value"])
    return value(
        centre,
        min(published) + float(server["low"]),
        max(published) + float(server["high"]),
        "kgCO2e",
        f"{row['embodied_rows']} {server['evidence']}",
    )


def _lifetime_years() -> dict[str, float | str]:
    rows = [row for row in read_table("hardware") if row["used_in_fit"] == "lifetime"]
    years = [float(row["value"]) for row in rows]
    source = "geometric mean of " + " ".join(row["id"] for row in rows)
    return value(float(np.exp(np.mean(np.log(years)))), min(years), max(years), "years", source)
