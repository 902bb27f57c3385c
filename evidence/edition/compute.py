"""The compute part of an edition: watts of a vCPU, for spans that are no model calls."""

from __future__ import annotations

import csv
import math
import statistics
from functools import lru_cache
from pathlib import Path
from typing import Any

from evidence.edition.canonical import significant, write_json
from evidence.edition.gpus import value
from evidence.edition.tables import Row

FOLDER = Path(__file__).parents[1] / "compute"
Z90 = 1.6448536269514722


@lru_cache(maxsize=8)
def read_compute(name: str) -> tuple[Row, ...]:
    """The rows of evidence/compute/{name}.csv."""
    with (FOLDER / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))


def build(out: Path) -> None:
    """Write compute.json into the folder `out`."""
    write_json(out / "compute.json", build_compute())


def build_compute() -> dict[str, Any]:
    """compute.json: watts at rest and at work by cloud, the utilisation taken, and the errors."""
    clouds = {row["cloud"]: (float(row["min_w"]), float(row["max_w"])) for row in read_compute("clouds")}
    idle, full = ([float(row[column]) for row in read_compute("processors")] for column in ("min_w", "max_w"))
    means = [statistics.fmean(watts) for watts in zip(*clouds.values(), strict=True)]
    source = "Cloud Carbon Footprint b7a049c; range: its processor families"
    utilisation = _choice("utilisation")
    return {
        "clouds": {
            name: {
                "min_w": value(least, min(idle), max(idle), "W per vCPU at rest", source),
                "max_w": value(most, min(full), max(full), "W per vCPU at work", source),
            }
            for name, (least, most) in {**clouds, "unknown": (means[0], means[1])}.items()
        },
        "utilisation": value(
            float(utilisation["value"]),
            float(utilisation["low"]),
            float(utilisation["high"]),
            utilisation["unit"],
            utilisation["reason"],
        ),
        "factors": {"cpu_time": _machine(full, means), "own_time": [*_machine(full, means), *_use(means)]},
    }


def _choice(name: str) -> Row:
    return next(row for row in read_compute("choices") if row["name"] == name)


def _machine(full: list[float], means: list[float]) -> list[dict[str, object]]:
    processors = math.exp(statistics.stdev(math.log(watts) for watts in full))
    memory_w = float(_choice("memory_w_per_gb")["value"]) * float(_choice("memory_gb_per_vcpu")["value"])
    left_out = math.exp(math.log1p(memory_w / _watts(means, float(_choice("utilisation")["value"]))) / Z90)
    return [
        _factor(
            "processor:{cloud}",
            processors,
            "standard deviation of ln(watts at work) over Cloud Carbon Footprint's ten processor families: "
            "which one a cloud runs is one error for all its spans",
        ),
        _factor(
            "compute method",
            left_out,
            "memory of 4 GB a vCPU lies on the edge of the 90 % band; it, network and storage are left "
            "out too",
        ),
        _factor("facility:{facility}", float(_choice("pue_g")["value"]), _choice("pue_g")["reason"]),
    ]


def _use(means: list[float]) -> list[dict[str, object]]:
    share, utilisation = _choice("vcpu_share"), _choice("utilisation")
    low, high = (math.log(_watts(means, float(utilisation[end]))) for end in ("low", "high"))
    vcpus = math.log(float(share["high"]) / float(share["low"])) / 2 / Z90
    return [
        _factor(
            "utilisation:{service}",
            math.exp((high - low) / 2 / Z90),
            f"a vCPU at {utilisation['low']} to {utilisation['high']} of its work, as the 90 % band",
        ),
        _factor(
            "vcpus:{service}",
            math.exp(vcpus),
            f"a quarter to four vCPUs, as the 90 % band: {share['reason']}",
        ),
    ]


def _watts(clouds: list[float], utilisation: float) -> float:
    return clouds[0] + utilisation * (clouds[1] - clouds[0])


def _factor(key: str, g: float, reason: str) -> dict[str, object]:
    return {"key": key, "g": significant(g), "reason": reason}
