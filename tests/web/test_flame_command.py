"""`wattspan flame`: graphs of a lake and of a file as files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.web.site_thread import CAPTURES, EVIL_TRACE
from wattspan.cli.main import app
from wattspan.lake.reader import open_snapshot
from wattspan.views.flame_merge import merged
from wattspan.views.frames import ENERGY, TIME
from wattspan.web.flame_file import is_packed

needs_scripts = pytest.mark.skipif(
    not is_packed(), reason="the scripts are not packed (python -m wattspan.web.pack)"
)


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["flame", *map(str, arguments)])
    return result.exit_code, result.output


def test_a_period_is_merged_by_feature_or_service_then_agent_tool_and_model(lake: Path) -> None:
    snapshot = open_snapshot(lake)
    frames = merged(snapshot)
    with snapshot.connect() as connection:
        energy, own_ns, models = connection.execute(
            "SELECT sum(energy_kwh * weight), sum(own_ns * weight), "
            "count(DISTINCT resolved_model) FILTER (energy_kwh > 0 AND resolved_model <> '') FROM spans"
        ).fetchone()
    assert frames.own[ENERGY].sum() == pytest.approx(energy, rel=1e-12)
    assert frames.own[TIME].sum() == pytest.approx(float(own_ns), rel=1e-12)
    assert frames.name.texts()[:2] == ["all spans", "(unmapped)"]
    known = {name for name in frames.name.texts() if "/" in name and "<" not in name}
    assert len(known) == models


@needs_scripts
def test_the_html_of_a_trace_is_one_file_with_its_own_policy(lake: Path, tmp_path: Path) -> None:
    out = tmp_path / "flame.html"
    assert run("--lake", lake, "--trace", EVIL_TRACE, "-o", out)[0] == 0
    text = out.read_text()
    assert "default-src 'none'; script-src 'sha256-" in text.replace("&#39;", "'")
    assert "<script>window.hacked" not in text
    assert "<img" not in text.split("<script>")[0]


@needs_scripts
def test_what_changed_between_two_periods_is_drawn(lake: Path, tmp_path: Path) -> None:
    out = tmp_path / "change.html"
    code, said = run(
        "--lake", lake, "--from", "2026-11-24", "--against-to", "2026-11-23", "-o", out
    )  # fmt: skip
    assert code == 0, said
    text = out.read_text()
    assert "up to 2026-11-23: feature, agent, tool, model → since 2026-11-24" in text
    data = json.loads(text.split('<script type="application/json">')[1].split("</script>")[0])
    after, before = data["change"]["after"]["energy"][0], data["change"]["before"]["energy"][0]
    with open_snapshot(lake).connect() as connection:
        wanted = connection.execute(
            "SELECT sum(energy_kwh) FILTER (start_unix_ns >= 1795478400000000000), "
            "sum(energy_kwh) FILTER (start_unix_ns < 1795478400000000000) FROM spans"
        ).fetchone()
    assert (after, before) == pytest.approx(wanted, rel=1e-6)


def test_a_file_is_drawn_without_a_lake(tmp_path: Path) -> None:
    out = tmp_path / "stacks.txt"
    source = CAPTURES / "anthropic_sdk_native.binpb"
    assert run(source, "--format", "collapsed", "-o", out)[0] == 0
    assert out.read_text().startswith(
        "anthropic_sdk_native.binpb;answer with claude;anthropic.messages.create "
    )


def test_what_cannot_be_drawn_is_said(lake: Path, tmp_path: Path) -> None:
    assert "name a FILE of spans, or --lake DIR" in " ".join(run()[1].split())
    code, said = run("--lake", lake, "--trace", "ab" * 16)
    assert code == 2
    assert f"the lake has no trace {'ab' * 16}" in " ".join(said.split())
    code, said = run("--lake", lake, "--from", "1999-01-01", "--to", "1999-01-02", "-o", tmp_path / "x")
    assert code == 1
    assert "there are no spans to draw" in said
    assert "sets in this lake: none" in " ".join(run("--lake", lake, "--estimates", "2031.02")[1].split())
