"""The numbers that the page's scripts write are those of `wattspan.quantities`, text for text."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from wattspan import quantities
from wattspan.web.pack import ASSETS

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(
    NODE is None, reason="there is no node on this machine (apt-get install nodejs)"
)

RUN = """
import { band, digits, percent, text } from "./units.mjs";
import { readFileSync } from "node:fs";
const say = { digits, percent, energy: text.energy, carbon: text.carbon, time: text.time, cost: text.cost,
  tokens: text.tokens, energy_band: band.energy, carbon_band: band.carbon };
const asked = JSON.parse(readFileSync(0, "utf8"));
console.log(JSON.stringify(asked.map(([name, values]) => say[name](...values))));
"""
PYTHON = {
    "digits": quantities.digits,
    "percent": lambda share, places: quantities.share(share, places),
    "energy": quantities.energy,
    "carbon": lambda grams: f"{quantities.mass(grams)} CO₂e",
    "time": quantities.duration,
    "cost": quantities.money,
    "tokens": lambda n: f"{n:,.0f} tokens",
    "energy_band": quantities.energy_band,
    "carbon_band": lambda *values: f"{quantities.mass_band(*values)} CO₂e",
}
TIES = (
    0.125,
    12.5,
    2.5,
    0.5,
    1.5,
    1234.5,
    0.000125,
    2.675,
    1.005,
    1e-9,
    999.5,
    0.9995,
    99.95,
    1e6 - 0.5,
    8.345,
)
"""Where rounding goes one way or the other: exact ties, and decimals that only look like one."""


def questions() -> list[tuple[str, list[Any]]]:
    dice = random.Random(20261128)
    asked: list[tuple[str, list[Any]]] = []
    sizes = [*TIES, 0.0, *(10 ** dice.uniform(-9, 6) for _ in range(1500))]
    for value in sizes:
        asked += [("digits", [value, n]) for n in (2, 3)]
        asked += [("energy", [value]), ("carbon", [value]), ("cost", [value]), ("tokens", [value])]
        asked += [("time", [value * 1e9]), ("digits", [-value, 3])]
        low, high = value / dice.uniform(1, 12), value * dice.uniform(1, 12)
        asked += [(name, [low, high, value]) for name in ("energy_band", "carbon_band") if value]
    for share in (
        0,
        0.0004,
        0.001,
        0.0125,
        0.5,
        0.905,
        0.99979,
        1,
        2.5,
        *(dice.random() for _ in range(400)),
    ):
        asked += [("percent", [share, places]) for places in (0, 1)]
    return asked


def test_script_and_python_write_the_same_text(tmp_path: Path) -> None:
    shutil.copy(ASSETS / "src" / "units.js", tmp_path / "units.mjs")
    (tmp_path / "run.mjs").write_text(RUN, encoding="utf-8")
    asked = questions()
    done = subprocess.run(
        [str(NODE), "run.mjs"],
        cwd=tmp_path,
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=True,
    )
    said = json.loads(done.stdout)
    differ = [
        (name, values, text, PYTHON[name](*values))
        for (name, values), text in zip(asked, said, strict=True)
        if text != PYTHON[name](*values)
    ]
    assert len(asked) > 10_000
    assert differ == []


def test_some_of_them_in_words() -> None:
    # held to what a person expects, so that both cannot be wrong alike
    assert quantities.energy(0.000334) == "334 mWh"
    assert quantities.energy(0) == "0 Wh"
    assert quantities.duration(119_000_000_000) == "119 s"
    assert quantities.duration(7_200_000_000_000) == "2.00 h"
    assert quantities.duration(2_500_000) == "2.50 ms"
    assert quantities.duration(1) == "–"
    assert quantities.money(0.0034) == "0.340 ¢"
    assert quantities.money(1234.5) == "$1,234.50"
    assert quantities.mass(float("nan")) == "–"
