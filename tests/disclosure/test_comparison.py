"""Two periods and two methodologies: the change in two steps, and the period before under both."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.disclosure import second_edition
from tests.disclosure.second_edition import FIRST, SECOND
from tests.disclosure.test_aggregate import DAY_NS, JULY_NS, RULES, call, request
from tests.disclosure.test_disclosure_command import CONFIG, lines, run
from tests.disclosure.test_restating import rows
from tests.otlp.otlp_spans import traces
from wattspan.disclosure.bridge import bridge, products
from wattspan.disclosure.figure import reckon
from wattspan.disclosure.restatement import kind_of
from wattspan.disclosure.restating import Methodology, Restater
from wattspan.estimator import Estimator
from wattspan.lake.seal import Sealer
from wattspan.lake.spans import SpanSource
from wattspan.lake.writer import LakeWriter
from wattspan.methodology import Edition

APRIL_NS = JULY_NS - 90 * DAY_NS
FACTORS = ("volume", "mix", "tokens", "coefficient", "pue", "grid", "embodied")


def lake(folder: Path, estimator: Estimator, first_ns: int, traces_many: int, output: int) -> None:
    spans = []
    for trace in range(1, traces_many + 1):
        start, number = first_ns + trace * DAY_NS, trace + first_ns // DAY_NS * 1000
        calls = [
            call(2, number, start, gen_ai__usage__output_tokens=output + trace),
            call(
                3,
                number,
                start,
                gen_ai__response__model="claude-sonnet-4-5",
                gen_ai__provider__name="anthropic",
            ),
        ]
        spans += request(number, "/summaries", calls, start=start)
    with LakeWriter(folder, Sealer(estimator, RULES, 1.0)) as writer:
        writer.ingest([SpanSource(RULES.keys).request(traces(spans).SerializeToString())])
        writer.seal_all()


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A quarter published by the first edition, and the next in a lake that the second one estimated."""
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "editions"
    second = second_edition.made(
        root,
        second_edition.coefficients(0.8),
        second_edition.pue("1.31"),
        second_edition.grid(1.1),
        second_edition.embodied(2),
    )
    second_edition.install(monkeypatch, root)
    monkeypatch.setattr("wattspan.cli.disclosing.editions", lambda: (FIRST, SECOND))
    Path("first.yaml").write_text(CONFIG)
    Path("wattspan.yaml").write_text(f"edition: '{SECOND}'\n{CONFIG}")
    assert run("key", "new", "key.pem", config="").exit_code == 0
    lake(tmp_path / "second-quarter", Estimator(), APRIL_NS, 20, 100)
    lake(tmp_path / "third-quarter", Estimator(second), JULY_NS, 30, 160)
    made = run("disclosure", "publish", "--period", "2026Q2", "--lake", "second-quarter", config="first.yaml")
    assert made.exit_code == 0, made.output
    made = run("disclosure", "publish", "--period", "2026Q3", "--lake", "third-quarter")
    assert made.exit_code == 0, made.output
    return tmp_path


def sealed_json(desk: Path, name: str, file: str) -> Any:
    return json.loads((desk / "disclosures" / name / file).read_bytes())


def of(bridge: Mapping[str, Any], step: str, unit: str = "kgCO2e") -> dict[str, Decimal]:
    (found,) = (s for s in bridge["steps"] if (s["step"], s["unit"]) == (step, unit))
    return {
        **{name: Decimal(value) for name, value in found["effects"].items()},
        "before": Decimal(found["before"]),
        "after": Decimal(found["after"]),
    }


def test_activity_by_the_old_method_then_method_on_the_new_data(desk: Path) -> None:
    bridge = sealed_json(desk, "2026Q3/summary@1", "bridge.json")
    activity, method = of(bridge, "activity"), of(bridge, "method")
    assert activity["after"] == method["before"]
    # under one method no coefficient, PUE or hardware has changed: not nearly 0, but 0
    assert [activity[name] for name in ("coefficient", "pue", "embodied")] == [0, 0, 0]
    assert activity["volume"] > 0
    assert activity["tokens"] > 0
    # on the same data nothing but the method has changed
    assert [method[name] for name in ("volume", "mix", "tokens")] == [0, 0, 0]
    assert method["coefficient"] < 0 < method["pue"]
    assert method["grid"] > 0
    assert method["embodied"] > 0
    for step in (activity, method):
        left = step["after"] - step["before"] - sum(step[name] for name in FACTORS)
        assert abs(left) < Decimal("1e-9") * step["after"]
    total, per_1000 = bridge["sums"]
    for sums in (total, per_1000):
        parts = Decimal(sums["activity"]) + Decimal(sums["method"])
        whole = Decimal(sums["after"]) - Decimal(sums["before"])
        assert abs(parts - whole) < Decimal("1e-9") * Decimal(sums["after"])
        assert abs(Decimal(sums["residual"])) < Decimal("1e-9") * Decimal(sums["after"])


def test_the_effect_of_a_grid_table_alone_is_the_grid_s(tmp_path: Path) -> None:
    # 10 % more on every grid: use times 1.1, so that the effect is a tenth of use under the old method
    second = second_edition.made(tmp_path / "editions", second_edition.grid(1.1))
    new = rows(tmp_path / "lake", Estimator(second))
    back = Restater(Methodology(second, "lifecycle"), Methodology(Edition.load(), "lifecycle")).restatement(
        new, new.rules, "mean_of_model"
    )
    old = back.apply(new)
    before, after = reckon(old, "summary"), reckon(new, "summary")
    found = bridge(products(old, before, label=kind_of), products(new, after, label=back.kind_after))
    assert all(found.effects[name] == 0 for name in FACTORS if name != "grid")
    assert float(found.effects["grid"]) == pytest.approx(float(before.use_kg) * 0.1, rel=1e-6)


def test_the_period_before_is_shown_under_both_methodologies(desk: Path) -> None:
    comparative = sealed_json(desk, "2026Q3/summary@1", "comparative.json")
    by_label = {row["label"]: row for row in comparative["rows"]}
    assert [(row["period"], row["methodology"]) for row in comparative["rows"]] == [
        ("2026Q2", f"wattspan-{FIRST}"),
        ("2026Q2", f"wattspan-{SECOND}"),
        ("2026Q3", f"wattspan-{FIRST}"),
        ("2026Q3", f"wattspan-{SECOND}"),
    ]
    before = sealed_json(desk, "2026Q2/summary@1", "disclosure.json")["columns"]
    after = sealed_json(desk, "2026Q3/summary@1", "disclosure.json")["columns"]
    assert by_label["as published"]["exact_kg_per_1000"] == before["ghg_location"]["exact"]
    assert by_label["new figure"]["exact_kg_per_1000"] == after["ghg_location"]["exact"]
    assert {row["as_declared_percent"] for row in by_label.values()} == {"0.0"}
    change = after["change"]
    assert change["class"] == "method-change"
    assert change["reason"] == f"methodology wattspan-{FIRST} to wattspan-{SECOND}"
    assert change["revised_previous_value"] == by_label["revised comparative"]["exact_kg_per_1000"]
    moved = Decimal(change["by_activity_kg"]) + Decimal(change["by_method_kg"])
    assert abs(moved - Decimal(change["change_kg"])) < Decimal("1e-9")
    # what the second edition makes of the calls of the second quarter, from the calls themselves
    second = Edition.load(SECOND)
    lake(desk / "again", Estimator(second), APRIL_NS, 20, 100)
    shown = run("disclose", "--period", "2026Q2", "--lake", "again", "--json")
    (figures,) = json.loads(shown.output)
    assert by_label["revised comparative"]["exact_kg_per_1000"] == figures["columns"]["ghg_location"]["exact"]


def test_the_figure_before_stays_active(desk: Path) -> None:
    listed = json.loads(run("disclosure", "list", "--json").output)
    assert [(entry["id"][13:], entry["status"]) for entry in listed] == [
        ("2026Q2/summary@1", "active"),
        ("2026Q3/summary@1", "active"),
    ]


def test_the_folder_alone_gives_all_of_it_again(desk: Path) -> None:
    """In a process of its own: no lake, no configuration, no second edition."""
    for name in ("second-quarter", "third-quarter", "editions", "wattspan.yaml", "first.yaml", "key.pem"):
        (desk / name).rename(desk / f"gone-{name}")
    elsewhere = desk / "elsewhere"
    elsewhere.mkdir()
    environment = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    for command in ("reproduce", "verify"):
        for disclosure in ("2026Q2/summary@1", "2026Q3/summary@1"):
            done = subprocess.run(
                [
                    sys.executable,
                    "-m",
                    "wattspan.cli.main",
                    *("disclosure", command, disclosure, "--book", str(desk / "disclosures")),
                ],
                cwd=elsewhere,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("file", "digit"), [("bridge.json", "before"), ("comparative.json", "exact_kg_per_1000")]
)
def test_a_digit_of_the_comparison_that_was_changed_is_named(desk: Path, file: str, digit: str) -> None:
    path = desk / "disclosures/2026Q3/summary@1" / file
    text = path.read_text()
    place = text.index(f'"{digit}":"') + len(digit) + 6
    path.write_text(text[:place] + ("1" if text[place] != "1" else "2") + text[place + 1 :])
    found = run("disclosure", "reproduce", "2026Q3/summary@1")
    assert found.exit_code == 1
    assert lines(found).startswith(f"{file}: ")
    assert f"{digit}: sealed" in lines(found)
    assert f"{file} was changed" in lines(run("disclosure", "verify", "2026Q3/summary@1"))


def test_the_sealed_predecessor_is_that_of_its_own_folder(desk: Path) -> None:
    old, new = (desk / "disclosures" / name for name in ("2026Q2/summary@1", "2026Q3/summary@1"))
    for name, copy in (
        ("inputs/aggregates.csv", "previous/aggregates.csv"),
        ("inputs/requests.csv", "previous/requests.csv"),
        ("methodology/method.json", "previous/method.json"),
    ):
        assert (old / name).read_bytes() == (new / copy).read_bytes()


def test_the_methodology_is_that_of_the_rows_whatever_is_configured(desk: Path) -> None:
    # wattspan.yaml asks for the second edition; these rows were made by the first
    made = run("disclosure", "publish", "--period", "2026Q2", "--lake", "second-quarter", "--book", "again")
    assert made.exit_code == 0, made.output
    columns = json.loads((desk / "again/2026Q2/summary@1/disclosure.json").read_bytes())["columns"]
    assert columns["methodology"]["edition"] == FIRST
    assert columns["methodology"]["sha256"] == Edition.load(FIRST).digest


def test_an_edition_that_is_gone_is_asked_for(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load = Edition.load

    def without_the_first(name: str = FIRST) -> Edition:
        found = load(name)
        return found if name != FIRST else _other_digest(found)

    monkeypatch.setattr(Edition, "load", staticmethod(without_the_first))
    lake(desk / "again", Estimator(load(SECOND)), APRIL_NS, 20, 100)
    again = run("disclosure", "supersede", "2026Q2/summary@1", "--lake", "again", "--reason", "x")
    assert again.exit_code == 2
    assert f"edition {FIRST} (sha256 " in lines(again)
    assert "reinstall wattspan with all its parts" in lines(again)


def _other_digest(edition: Edition) -> Edition:
    other = Edition(edition.folder)
    other.__dict__["digest"] = "0" * 64
    return other
