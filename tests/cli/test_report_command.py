from __future__ import annotations

import csv
import io
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

sys.path.append(str(Path(__file__).parent.parent / "views"))
from lakes import DAY, MONDAY, lake_of, lake_of_captures
from span_trees import Span, call

from wattspan.cli.main import app
from wattspan.lake.manifest import write_manifest
from wattspan.lake.rules import FeatureRule

RUN = CliRunner()


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lake")
    lake_of_captures(folder, [FeatureRule(feature="Chat", span="*chat*")])
    return folder


def ran(*arguments: str, status: int = 0) -> str:
    result = RUN.invoke(app, list(arguments))
    assert result.exit_code == status, result.output
    return result.output


def test_the_report_has_figures_bands_coverage_and_what_is_unknown(lake: Path) -> None:
    lines = [" ".join(line.split()) for line in ran("report", "--lake", str(lake)).splitlines()]
    assert lines[1].startswith("(unmapped) 59 5 268 61.5 Wh 27–280 Wh 22.3 g 6.0–270 g 1.04 0.378")
    assert lines[2].startswith("Chat 212 28 229 36.9 Wh 15–180 Wh 12.4 g 2.5–160 g 0.174 0.0586")
    assert lines[3].startswith("all 271 33 497 98.4 Wh 44–450 Wh 34.7 g 9.6–420 g 0.363 0.128")
    assert "coverage 90.5 % of 441 calls have a figure; 56 failed before they used tokens" in lines
    assert any(line.startswith("? usage 42 calls (service order-desk") for line in lines)
    assert lines[-1] == "method edition 2026.11, average, lifecycle"


def test_json_and_csv_hold_the_same_figures(lake: Path) -> None:
    arguments = ("report", "--lake", str(lake), "--by", "feature,model")
    (one,) = json.loads(ran(*arguments, "--json"))["reports"]
    rows = list(csv.DictReader(io.StringIO(ran(*arguments, "--csv"))))
    assert len(rows) == len(one["groups"]) == 37
    for row, group in zip(rows, one["groups"], strict=True):
        assert (row["feature"], row["model"]) == (group["feature"], group["model"])
        assert float(row["energy_kwh"]) == group["energy_kwh"]["central"]
        assert float(row["co2e_g_high"]) == group["co2e_g"]["high"]
    assert one["total"]["energy_kwh"]["central"] == pytest.approx(0.09837565582738022, rel=1e-12)


def test_a_report_of_two_methods_is_two_tables(tmp_path: Path) -> None:
    def gpt(day: int) -> Span:
        return call(provider="openai", model="gpt-4o", input_tokens=900, start_unix_ns=MONDAY + day * DAY)

    snapshot = lake_of(tmp_path, [gpt(0)], [gpt(1)])
    monday, tuesday = snapshot.manifest.segments
    write_manifest(
        tmp_path, snapshot.manifest.next(segments=(monday, replace(tuesday, factor_type="direct")))
    )
    output = ran("report", "--lake", str(tmp_path))
    assert "figures of 2 kinds, never added up" in output
    assert output.count("method") == 2
    assert len(json.loads(ran("report", "--lake", str(tmp_path), "--json"))["reports"]) == 2


def test_names_from_outside_neither_move_the_cursor_nor_become_formulas(tmp_path: Path) -> None:
    evil = call(provider="openai", model="gpt-4o", input_tokens=900, service="=cmd|'/c calc'!A0\x1b[2J")
    lake_of(tmp_path, [evil])
    arguments = ("report", "--lake", str(tmp_path), "--by", "service")
    shown = ran(*arguments)
    assert "\x1b" not in shown
    assert "=cmd|'/c calc'!A0�[2J" in shown
    (row,) = csv.DictReader(io.StringIO(ran(*arguments, "--csv")))
    assert row["service"].startswith("'=cmd")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--by", "colour"), "'colour' is nothing to split by; allowed: day, hour, feature"),
        (("--where", "model"), "write it as feature=Invoice* or model!=gpt-4o"),
        (("--from", "yesterday"), "'yesterday' is not a day or time"),
        (("--band", "50"), "--band is 50; allowed: 90, 95"),
        (("--json", "--csv"), "not both"),
        (("--estimates", "other"), "no estimates called 'other'; it has none"),
    ],
)
def test_wrong_usage_says_what_is_allowed(lake: Path, arguments: tuple[str, ...], reason: str) -> None:
    output = " ".join(ran("report", "--lake", str(lake), *arguments, status=2).split())
    assert reason in output


def test_a_folder_that_is_no_lake_is_told_so(tmp_path: Path) -> None:
    assert "is no lake" in " ".join(ran("report", "--lake", str(tmp_path), status=2).split())


def test_an_empty_period_says_what_to_do(lake: Path) -> None:
    assert "wattspan import" in ran("report", "--lake", str(lake), "--from", "2031-01-01")


def test_top_lists_features_models_subtrees_and_traces_with_the_most_energy(lake: Path) -> None:
    found = json.loads(ran("top", "--lake", str(lake), "--last", "all", "-n", "3", "--json"))
    assert [one["feature"] for one in found["features"]] == ["", "Chat"]
    assert found["models"][0]["model"] == "anthropic/claude-opus-4-5"
    first, second, _ = found["traces"]
    assert first["energy_kwh"]["central"] >= second["energy_kwh"]["central"]
    assert first["energy_kwh"]["central"] == pytest.approx(0.005290740685088569, rel=1e-9)
    assert len(found["subtrees"]) == 3
    assert found["subtrees"][0]["name"] == "messages.create"
    shown = ran("top", "--lake", str(lake), "--last", "all", "-n", "3")
    assert all(title in shown for title in ("feature", "model", "subtree", "trace id"))


def test_top_of_a_quiet_hour_says_how_to_look_further_back(tmp_path: Path) -> None:
    lake_of(tmp_path, [call(provider="openai", model="gpt-4o", input_tokens=9)])
    assert "look further back" in ran("top", "--lake", str(tmp_path), "--last", "1h")
