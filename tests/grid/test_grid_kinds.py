"""Kinds never mix: a type checker says so where the kind is written down, the run time says so everywhere."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from wattspan.calls import CallBatch
from wattspan.estimator import Estimator, Terms
from wattspan.grid import Carbon, Embedded, Kind, MixedKindsError
from wattspan.grid.carbon import added, emitted

AVERAGE_LIFECYCLE = Kind("average", "lifecycle")
MARGINAL_DIRECT = Kind("marginal", "direct")

PRELUDE = """
from pathlib import Path
from wattspan.grid import Carbon, Embedded, Intensity, Kind, same_kind
from wattspan.grid.cache import Cache
from wattspan.grid.carbon import added, emitted
from wattspan.grid.feeds.electricity_maps import ElectricityMaps
from wattspan.grid.feeds.feed import Feed
from wattspan.grid.feeds.uk import UKCarbonIntensity
from wattspan.grid.feeds.watttime import WattTime
from wattspan.grid.intensity import Average, Direct, Lifecycle, Marginal
from wattspan.grid.live import LiveSignal
from wattspan.places import Place, PlaceKey, Places

footprint = Carbon(12.0, Kind("average", "lifecycle"))
stack = Carbon(10.0, Kind("average", "direct"))
change = Carbon(30.0, Kind("marginal", "direct"))
cache, edition = Cache(":memory:"), Path("edition")
place = Places(edition).resolve(PlaceKey())
moer, aoer = WattTime("user", "password"), WattTime("user", "password", signal_type="co2_aoer")
"""
PERMITTED = """
same = footprint + footprint
more = added([change, change])
LiveSignal(UKCarbonIntensity(), cache, Embedded(edition, "direct"))
LiveSignal(aoer, cache, Embedded(edition, "direct"))
LiveSignal(ElectricityMaps("token"), cache, Embedded(edition))
LiveSignal(moer, cache)
def at_run_time(one: Carbon, other: Carbon) -> Carbon:
    return one + other
def from_tables(place: Place, kwh: float) -> Carbon[Average, Lifecycle]:
    return emitted(kwh, Embedded(edition).at(place, 2025))
"""
FORBIDDEN = (
    "footprint + change",
    "footprint + stack",
    "stack - change",
    "sum([footprint, change], start=footprint)",
    "added([footprint, stack])",
    'same_kind([Embedded(edition).at(place, 1), Embedded(edition, "direct").at(place, 1)])',
    "LiveSignal(UKCarbonIntensity(), cache, Embedded(edition))",
    'LiveSignal(moer, cache, Embedded(edition, "direct"))',
    'LiveSignal(ElectricityMaps("token", factor_type="direct"), cache, Embedded(edition))',
    'wrong: Intensity[Marginal, Direct] = Embedded(edition, "direct").at(place, 2025)',
    "feed: Feed[Average, Direct] = moer",
    "series = next(moer.fetch('Z', 0, 1)); series.kind.signal == 'average'",
)


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[int, str]:
    """What mypy --strict says, by line of the snippet."""
    pytest.importorskip("mypy", reason="the types are checked with mypy: pip install mypy")
    pytest.importorskip("httpx", reason="the feeds need httpx: pip install 'wattspan[grid]'")
    folder = tmp_path_factory.mktemp("snippet")
    (folder / "snippet.py").write_text("\n".join([PRELUDE + PERMITTED, *FORBIDDEN]) + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "snippet.py"]
    environment = {"MYPYPATH": str(Path(__file__).parents[2]), "PATH": ""}
    found = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    lines: dict[int, str] = {}
    for line in found.stdout.splitlines():
        name, number, text = line.split(":", 2)
        assert name == "snippet.py", line
        lines[int(number)] = lines.get(int(number), "") + text
    return lines


@pytest.mark.parametrize("number", range(len(FORBIDDEN)), ids=FORBIDDEN)
def test_type_checker_forbids_mixed_kinds(said: dict[int, str], number: int) -> None:
    line = (PRELUDE + PERMITTED).count("\n") + 2 + number
    assert "error" in said.get(line, ""), FORBIDDEN[number]


def test_type_checker_lets_one_kind_add_up(said: dict[int, str]) -> None:
    last = (PRELUDE + PERMITTED).count("\n") + 1
    assert {line: text for line, text in said.items() if line <= last} == {}


def test_type_checker_names_both_kinds(said: dict[int, str]) -> None:
    (text,) = [text for line, text in said.items() if line == (PRELUDE + PERMITTED).count("\n") + 2]
    assert textwrap.dedent(text).strip() == (
        "error: Unsupported operand types for + (\"Carbon[Literal['average'], Literal['lifecycle']]\" and "
        "\"Carbon[Literal['marginal'], Literal['direct']]\")  [operator]"
    )


def test_masses_of_one_kind_add_up() -> None:
    total = added([Carbon(1.5, AVERAGE_LIFECYCLE), Carbon(2.25, AVERAGE_LIFECYCLE)])
    assert total == Carbon(3.75, AVERAGE_LIFECYCLE)
    assert (total - Carbon(0.75, AVERAGE_LIFECYCLE)).g == 3.0


def test_masses_of_two_kinds_are_refused_at_run_time_too() -> None:
    one: Carbon = Carbon(1.0, AVERAGE_LIFECYCLE)
    other: Carbon = Carbon(1.0, MARGINAL_DIRECT)
    for put_together in (lambda: one + other, lambda: one - other, lambda: added([one, other])):
        with pytest.raises(MixedKindsError, match="average lifecycle and marginal direct carbon"):
            put_together()


def test_sum_of_nothing_has_no_kind() -> None:
    with pytest.raises(ValueError, match="would have no kind"):
        added([])


def test_emitted_carbon_has_the_kind_of_its_intensity(edition: Path, region) -> None:
    intensity = Embedded(edition, "direct").at(region("aws/us-east-1"), 2024)
    found = emitted(2.0, intensity)
    assert found.kind == Kind("average", "direct")
    # Mean of Electricity Maps' hours of PJM, 2024: 323 g/kWh.
    assert found.g == pytest.approx(646, abs=1)


def test_estimates_of_two_kinds_do_not_add_up() -> None:
    lifecycle = Estimator().estimate_call(model="gpt-4o", input_tokens=1000, output_tokens=300)
    direct = Estimator(factor_type="direct").estimate_call(
        model="gpt-4o", input_tokens=1000, output_tokens=300, region="us-east-1"
    )
    assert (lifecycle.carbon + lifecycle.carbon).g == 2 * lifecycle.co2e_g
    with pytest.raises(MixedKindsError, match="average lifecycle and average direct carbon"):
        lifecycle.carbon + direct.carbon


def test_sums_over_batches_refuse_carbon_of_another_kind_but_not_its_energy() -> None:
    calls = CallBatch.of(
        1,
        model=["gpt-4o"],
        input_tokens=[1000],
        output_tokens=[300],
        has_usage=[True],
        span_region=["us-east-1"],
    )
    lifecycle = Estimator().estimate(calls)
    direct = Estimator(factor_type="direct").estimate(calls)
    carbon, energy = Terms(), Terms()
    carbon.add_batch(lifecycle, carbon=True)
    with pytest.raises(MixedKindsError, match="average lifecycle and average direct carbon"):
        carbon.add_batch(direct, carbon=True)
    energy.add_batch(lifecycle, carbon=False)
    energy.add_batch(direct, carbon=False)
    assert energy.band().central == pytest.approx(2 * float(np.sum(lifecycle.energy_kwh)), rel=1e-12)
