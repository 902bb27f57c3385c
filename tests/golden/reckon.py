"""The golden vectors, reckoned a second time: decimal arithmetic straight from the files of the edition.

It shares no code with the package. What a person looked up by hand (registry id, host class, region, zone,
year, facility) stands in calls.csv; the figures come from the edition's JSON and CSV files.
`python -m tests.golden.reckon` writes vectors.json; do so only for a new edition, and read the difference.
"""

from __future__ import annotations

import csv
import json
from decimal import Decimal, getcontext
from pathlib import Path

HERE = Path(__file__).parent
EDITION = HERE.parents[1] / "wattspan" / "methodology" / "editions" / "2026.11"
D = Decimal


def load(path: str) -> dict:
    return json.loads((EDITION / path).read_text(encoding="utf-8"), parse_float=D, parse_int=D)


def rows(path: str, key: str) -> dict[str, dict[str, str]]:
    with (EDITION / path).open(encoding="utf-8", newline="") as file:
        return {row[key]: row for row in csv.DictReader(file)}


def root_mean(low_high: list[Decimal]) -> Decimal:
    return (low_high[0] * low_high[1]).sqrt()


def reckon(call: dict[str, str]) -> dict[str, str]:
    form, gpus, hosts = load("form.json"), load("gpus.json"), load("hosts.json")
    models, guesses, tiers = load("models.json"), load("mpl/models.json"), load("spreads.json")["tiers"]
    facilities, yearly = rows("facilities.csv", "facility"), rows("odbl/yearly.csv", "zone")

    decode, prefill, host = form["decode"], form["prefill"], hosts[call["host_class"]]
    residual, tier, kind = D(1), call["tier"], call["kind"]
    if call["model"].startswith("class/"):
        shape = models["classes"][call["model"].removeprefix("class/")]["architecture"]
    else:
        row = next(model for model in models["models"] if model["id"] == call["model"])
        assert row["tier"] == tier, (row["id"], row["tier"])
        residual = row.get("residual", D(1))
        if tier == "closed":
            shape = guesses["models"][row["id"]]["architecture"]
        elif tier == "unknown":
            shape = models["classes"][row["class"]]["architecture"]
        else:
            shape = row["entries"][-1]["architecture"]
    gpu = gpus[host["gpu"]]
    active, total = root_mean(shape["active_b"]), root_mean(shape["total_b"])
    if shape["active_b"][0] == shape["active_b"][1]:
        active = shape["active_b"][0]
    if shape["total_b"][0] == shape["total_b"][1]:
        total = shape["total_b"][0]
    is_moe = shape["is_moe"] is True
    precision = form["precisions"][shape["precision"]]
    batch, n_gpu = host["batch"]["value"], shape["gpus"]

    a = prefill["prefill_j_per_b"]["value"] * gpu["prefill"]["value"] * active
    if is_moe:
        a *= prefill["moe_prefill"]["value"]
    b = kv = D(0)
    if kind not in ("embedding", "rerank"):
        touched = total * (1 - (1 - active / total) ** batch) * precision["bytes_per_weight"]
        per_gb = decode["weight_j_per_gb"]["value"] * gpu["weight"]["value"] * precision["weight"]["value"]
        per_b = decode["active_j_per_b"]["value"] * gpu["active"]["value"]
        if is_moe:
            per_gb *= decode["moe_weight"]["value"]
            per_b *= decode["moe_active"]["value"]
        step = decode["step_j_per_gpu"]["value"] * gpu["step"]["value"] * n_gpu
        b = residual * ((step + per_gb * touched) / batch + per_b * active)
        kv = (
            residual
            * decode["kv_j_per_gb"]["value"]
            * gpu["weight"]["value"]
            * shape["kv_kb_per_token"]
            / D(10) ** 6
        )

    n_in, n_cached, n_out = D(call["input_tokens"]), D(call["cached_input_tokens"]), D(call["output_tokens"])
    weighted = n_in - n_cached + prefill["cached_share"]["value"] * n_cached
    prefill_j = a * weighted * (1 + n_in / shape["context_tokens"])
    decode_j = n_out * (b + kv * (n_in + n_out / 2))
    server = host["k_host"]["value"] * host["k_idle"]["value"]
    pue = D(facilities[call["facility"]]["pue"])
    energy = (prefill_j + decode_j) * server * pue / D(3_600_000)
    g90 = (tiers[tier]["g"].ln() * D("1.64")).exp()
    factors = sum((factor["g"].ln() ** 2 for factor in tiers[tier]["factors"]), D(0)).sqrt()
    assert abs(factors - tiers[tier]["g"].ln()) < D("0.001"), "the factors of a tier make its total"
    g90 = (factors * D("1.64")).exp()
    out = {
        "prefill_kwh": prefill_j / D(3_600_000),
        "decode_kwh": decode_j / D(3_600_000),
        "energy_kwh": energy,
        "energy_kwh_low": energy / g90,
        "energy_kwh_high": energy * g90,
    }
    if call["zone"]:
        out["co2e_g"] = energy * D(yearly[call["zone"]][call["vintage"]])
    return {name: f"{value:.17g}" for name, value in out.items()}


def main() -> None:
    getcontext().prec = 40
    with (HERE / "calls.csv").open(encoding="utf-8", newline="") as file:
        calls = list(csv.DictReader(file))
    vectors = [{"call": call, "expected": reckon(call)} for call in calls]
    (HERE / "vectors.json").write_text(json.dumps(vectors, indent=1) + "\n", encoding="utf-8")
    print(f"{len(vectors)} vectors")


if __name__ == "__main__":
    main()
