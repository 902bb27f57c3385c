"""What becomes of a published figure, for each class of change: the commands as they are run."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.disclosure import second_edition
from tests.disclosure.sealed_rows import cell, sealed, subject
from tests.disclosure.second_edition import FIRST, SECOND
from tests.disclosure.test_aggregate import DAY_NS, JULY_NS, RULES, call, request
from tests.disclosure.test_comparison import APRIL_NS, lake
from tests.disclosure.test_disclosure_command import CONFIG, lines, run
from tests.otlp.otlp_spans import traces
from wattspan.disclosure.policy import BECOMES, change_class, is_restated, reason_of
from wattspan.disclosure.subject import Method
from wattspan.estimator import Estimator
from wattspan.lake.compute import ComputeSettings, ComputeSpans
from wattspan.lake.seal import Sealer
from wattspan.lake.spans import SpanSource
from wattspan.lake.writer import LakeWriter

NEXT_YEAR = dt.datetime(2027, 2, 1, tzinfo=dt.UTC)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The third quarter published by the first edition: 100 output tokens a call and more."""
    monkeypatch.chdir(tmp_path)
    Path("wattspan.yaml").write_text(CONFIG)
    assert run("key", "new", "key.pem", config="").exit_code == 0
    lake(tmp_path / "lake", Estimator(), JULY_NS, 20, 1000)
    made = run("disclosure", "publish", "--period", "2026Q3", "--lake", "lake")
    assert made.exit_code == 0, made.output
    return tmp_path


def listed() -> list[tuple[str, str]]:
    found = json.loads(run("disclosure", "list", "--json").output)
    for entry in found:
        # whatever became of it: it resolves, verifies and reproduces
        assert run("disclosure", "show", entry["id"]).exit_code == 0
        assert run("disclosure", "verify", entry["id"]).exit_code == 0, entry
        assert run("disclosure", "reproduce", entry["id"]).exit_code == 0, entry
    return [(entry["id"][13:], entry["status"]) for entry in found]


def change_of(desk: Path, name: str) -> dict[str, Any]:
    content = json.loads((desk / "disclosures" / name / "disclosure.json").read_bytes())
    found: dict[str, Any] = content["columns"]["change"]
    return found


def corrected(desk: Path, name: str, output: int) -> str:
    lake(desk / name, Estimator(), JULY_NS, 20, output)
    return name


def test_an_error_of_a_twentieth_is_restated_and_the_wrong_figure_withdrawn(desk: Path) -> None:
    right = corrected(desk, "right", 1200)
    made = run("disclosure", "restate", "2026Q3/summary@1", "--lake", right, "--reason", "outputs were cut")
    assert made.exit_code == 0, made.output
    assert listed() == [("2026Q3/summary@1", "withdrawn"), ("2026Q3/summary@2", "active")]
    change = change_of(desk, "2026Q3/summary@2")
    assert (change["class"], change["reason"]) == ("error-correction", "outputs were cut")
    assert float(change["change_percent"]) > 5
    bridge = json.loads((desk / "disclosures/2026Q3/summary@2/bridge.json").read_bytes())
    # the same calls with more tokens: nothing else changed
    effects = bridge["steps"][0]["effects"]
    assert {name for name, value in effects.items() if float(value)} == {"tokens"}


def test_smaller_errors_are_noted_and_the_figure_stands_until_they_add_up(desk: Path) -> None:
    for name, output in (("one", 1020), ("two", 1040)):
        made = run(
            "disclosure", "restate", "summary@1", "--lake", corrected(desk, name, output), "--reason", name
        )
        assert made.exit_code == 0, made.output
        assert "2026Q3/summary@1 stands, with a note: the error is" in lines(made)
        assert listed() == [("2026Q3/summary@1", "active")]
        assert f"({name}), " in lines(run("disclosure", "show", "summary@1"))
    # back by as much: each is small, and so is what is left, but together they were 5 %
    back = run("disclosure", "restate", "summary@1", "--lake", "lake", "--reason", "three")
    assert back.exit_code == 0, back.output
    assert listed() == [("2026Q3/summary@1", "withdrawn"), ("2026Q3/summary@2", "active")]
    ledger = [json.loads(line) for line in (desk / "disclosures/ledger.jsonl").read_text().splitlines()]
    assert [line["type"] for line in ledger] == ["open", "publish", "note", "note", "restate"]
    assert 0 < float(ledger[2]["change_percent"]) < float(ledger[3]["change_percent"]) < 5


@pytest.mark.parametrize(
    ("published", "right", "noted", "is_it"),
    [
        ("100", "105", (), True),
        ("100", "95", (), True),
        ("100", "104.9", (), False),
        ("100", "97", ("98",), False),
        ("100", "95", ("98",), True),
        ("100", "100", ("102.5",), True),
        ("100", "100", ("102.4",), False),
        ("0.001", "0.00104", ("0.00102",), False),
    ],
)
def test_errors_add_up_by_size(published: str, right: str, noted: tuple[str, ...], is_it: bool) -> None:
    assert is_restated(Decimal(published), Decimal(right), map(Decimal, noted)) is is_it


def test_a_figure_that_is_not_active_takes_no_note(desk: Path) -> None:
    assert run("disclosure", "withdraw", "summary@1", "--reason", "not ours").exit_code == 0
    again = run(
        "disclosure", "restate", "summary@1", "--lake", corrected(desk, "one", 1010), "--reason", "small"
    )
    assert again.exit_code == 2
    assert "is withdrawn already; name the active edition" in lines(again)


def test_a_better_estimate_leaves_the_old_one_quotable(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    second = second_edition.made(desk / "editions", second_edition.coefficients(0.8))
    second_edition.install(monkeypatch, desk / "editions")
    monkeypatch.setattr("wattspan.cli.disclosing.editions", lambda: (FIRST, SECOND))
    lake(desk / "again", Estimator(second), JULY_NS, 20, 1000)
    Path("wattspan.yaml").write_text(f"edition: '{SECOND}'\n{CONFIG}")
    made = run(
        "disclosure", "supersede", "summary@1", "--lake", "again", "--reason", "asked for by a customer"
    )
    assert made.exit_code == 0, made.output
    assert listed() == [("2026Q3/summary@1", "superseded"), ("2026Q3/summary@2", "active")]
    quoted = run("disclosure", "show", "summary@1", "--cite").output
    assert "edition 1 (superseded): " in " ".join(quoted.split())
    change = change_of(desk, "2026Q3/summary@2")
    # the same calls: all of the change is method, and the revised comparative is the new figure
    assert change["class"] == "estimate-revision"
    assert Decimal(change["by_activity_kg"]) == 0
    assert abs(Decimal(change["by_method_kg"]) - Decimal(change["change_kg"])) < Decimal("1e-14")
    assert Decimal(change["by_method_kg"]) < 0
    figure = json.loads((desk / "disclosures/2026Q3/summary@2/disclosure.json").read_bytes())["columns"]
    assert change["revised_previous_value"] == figure["ghg_location"]["exact"]


def test_newer_grid_tables_are_another_vintage_and_no_other_method(
    desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = second_edition.made(desk / "editions", second_edition.grid(1.1))
    second_edition.install(monkeypatch, desk / "editions")
    monkeypatch.setattr("wattspan.cli.disclosing.editions", lambda: (FIRST, SECOND))
    monkeypatch.setattr("wattspan.cli.disclosing.now", lambda: NEXT_YEAR)
    Path("wattspan.yaml").write_text(f"edition: '{SECOND}'\n{CONFIG}")
    lake(desk / "next", Estimator(second), JULY_NS + 92 * DAY_NS, 20, 1000)
    made = run("disclosure", "publish", "--period", "2026Q4", "--lake", "next")
    assert made.exit_code == 0, made.output
    assert listed() == [("2026Q3/summary@1", "active"), ("2026Q4/summary@1", "active")]
    change = change_of(desk, "2026Q4/summary@1")
    assert change["class"] == "dataset-vintage"
    assert change["reason"] == f"data sets of wattspan-{FIRST} to those of wattspan-{SECOND}"
    bridge = json.loads((desk / "disclosures/2026Q4/summary@1/bridge.json").read_bytes())
    (method,) = (s for s in bridge["steps"] if (s["step"], s["unit"]) == ("method", "kgCO2e"))
    assert {name for name, value in method["effects"].items() if float(value)} == {"grid"}


def test_a_wider_boundary_is_a_step_of_its_own_and_both_are_given(desk: Path) -> None:
    estimator = Estimator()
    sealer = Sealer(estimator, RULES, 1.0, compute=ComputeSpans(estimator, ComputeSettings()))
    lake(desk / "before", estimator, APRIL_NS, 20, 1000)
    spans = []
    for trace in range(1, 21):
        start = JULY_NS + trace * DAY_NS
        spans += request(trace, "/summaries", [call(2, trace, start)], start=start)
    with LakeWriter(desk / "wider", sealer) as writer:
        writer.ingest([SpanSource(RULES.keys).request(traces(spans).SerializeToString())])
        writer.seal_all()
    Path("wattspan.yaml").write_text(CONFIG.replace("folder: disclosures", "folder: others"))
    for period, name in (("2026Q2", "before"), ("2026Q3", "wider")):
        made = run("disclosure", "publish", "--period", period, "--lake", name)
        assert made.exit_code == 0, made.output
    assert listed() == [("2026Q2/summary@1", "active"), ("2026Q3/summary@1", "active")]
    folder = desk / "others/2026Q3/summary@1"
    columns = json.loads((folder / "disclosure.json").read_bytes())["columns"]
    assert columns["change"]["class"] == "boundary-change"
    comparative = json.loads((folder / "comparative.json").read_bytes())
    narrow, wide = (
        Decimal(row["exact_kg_per_1000"])
        for row in comparative["rows"]
        if row["label"].startswith("new figure")
    )
    assert 0 < narrow < wide == Decimal(columns["ghg_location"]["exact"])
    bridge = json.loads((folder / "bridge.json").read_bytes())
    (boundary,) = (s for s in bridge["steps"] if (s["step"], s["of"]) == ("boundary", "per 1,000 inferences"))
    assert abs(Decimal(boundary["effects"]["boundary"]) - (wide - narrow)) < Decimal("1e-14")
    assert all(abs(Decimal(s["residual"])) < Decimal("1e-9") for s in bridge["sums"])


def method(**given: Any) -> Method:
    values = subject().method
    return Method(**{**{name: getattr(values, name) for name in values.__slots__}, **given})


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({}, "new-period"),
        ({"gap_rule": "none"}, "method-change"),
        ({"factor_type": "direct"}, "method-change"),
        ({"rules_version": "2"}, "method-change"),
        (
            {
                "edition_digest": "cd" * 32,
                "datasets": ({"name": "grid/ember.csv", "sha256": "1"}, {"name": "form.json", "sha256": "0"}),
            },
            "dataset-vintage",
        ),
        (
            {
                "edition_digest": "cd" * 32,
                "datasets": ({"name": "grid/ember.csv", "sha256": "0"}, {"name": "form.json", "sha256": "1"}),
            },
            "method-change",
        ),
        ({"edition_digest": "cd" * 32}, "new-period"),
    ],
)
def test_the_class_of_a_change(given: dict[str, Any], kind: str) -> None:
    old = method(datasets=({"name": "grid/ember.csv", "sha256": "0"}, {"name": "form.json", "sha256": "0"}))
    new = method(**{"datasets": old.datasets, **given})
    rows = sealed(cell())
    assert change_class(old, rows, new, rows) == kind
    assert bool(reason_of(kind, old, new)) is (kind != "new-period")


def test_every_class_says_what_becomes_of_the_figure_before() -> None:
    assert {kind: what for kind, what in BECOMES.items() if what not in ("", "active")} == {
        "estimate-revision": "superseded",
        "error-correction": "withdrawn",
    }
