"""`wattspan lake refresh`: estimates at rest get the hours that came since, also by asking for them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

pytest.importorskip("httpx", reason="live feeds are an optional extra: pip install 'wattspan[grid]'")
pytest.importorskip("stamina", reason="live feeds are an optional extra: pip install 'wattspan[grid]'")
pytest.importorskip("duckdb", reason="the lake is an optional extra: pip install 'wattspan[lake]'")

from tests.decisions.decision_spans import chat, message
from tests.grid.server.apis import TOKEN, Apis, unix_s
from wattspan.cli import grid, import_, lake
from wattspan.lake.reader import open_snapshot

MARCH = unix_s("2026-03-03T10:00Z")

app = typer.Typer()
app.add_typer(lake.app, name="lake")
app.add_typer(grid.app, name="grid")
app.command("import")(import_.import_)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def said(result: Result) -> str:
    return " ".join(result.output.split())


@pytest.fixture
def apis(monkeypatch: pytest.MonkeyPatch) -> Iterator[Apis]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ELECTRICITY_MAPS_TOKEN", TOKEN)
    server = Apis()
    yield server
    server.close()


@pytest.fixture
def config(tmp_path: Path, apis: Apis) -> Path:
    path = tmp_path / "wattspan.yaml"
    path.write_text(
        f"grid:\n  cache: {tmp_path / 'grid.sqlite'}\n"
        f"  live: {{feed: electricity-maps, base_url: '{apis.url}'}}\n",
        encoding="utf-8",
    )
    return path


@pytest.fixture
def spans(tmp_path: Path) -> Path:
    calls = []
    for number, region in enumerate(("eu-central-1", "eu-west-3", "us-east-1"), start=1):
        call = chat(number, {"cloud.region": region})
        call.trace_id = number.to_bytes(16, "big")
        call.start_time_unix_nano, call.end_time_unix_nano = MARCH * 10**9, (MARCH + 1) * 10**9
        calls.append(call)
    path = tmp_path / "march.binpb"
    path.write_bytes(message(calls))
    return path


def resolutions(folder: Path) -> list[tuple[str, str]]:
    query = "SELECT zone, grid_resolution FROM spans WHERE is_owner ORDER BY zone"
    return open_snapshot(folder).connect().execute(query).fetchall()


def test_calls_imported_before_their_hours_were_there_get_them(
    tmp_path: Path, apis: Apis, config: Path, spans: Path
) -> None:
    folder = tmp_path / "lake"
    assert run("import", spans, "--lake", folder, "--config", config, "-q").exit_code == 0
    assert {resolution for _, resolution in resolutions(folder)} == {"annual"}
    result = run("lake", "refresh", folder, "--config", config)
    assert (result.exit_code, "0 calls estimated anew, in 0 segments" in said(result)) == (0, True)
    assert apis.asked("carbon-intensity") == []
    run("grid", "prefetch", spans, "--config", config)
    result = run("lake", "refresh", folder, "--config", config)
    assert (result.exit_code, "2 calls estimated anew, in 1 segments" in said(result)) == (0, True)
    assert resolutions(folder) == [("DE", "hour"), ("FR", "hour"), ("US-MIDA-PJM", "annual")]


def test_refresh_asks_for_the_hours_itself_when_told_to(
    tmp_path: Path, apis: Apis, config: Path, spans: Path
) -> None:
    folder = tmp_path / "lake"
    run("import", spans, "--lake", folder, "--config", config, "-q")
    result = run("lake", "refresh", folder, "--fetch", "--config", config, "--json")
    found = json.loads(result.stdout)
    # The plan has Germany and France, not PJM.
    assert result.exit_code == 1
    assert (found["fetched"], found["lacking"], found["calls"]) == (2, 1, 2)
    assert "zone US-MIDA-PJM" in found["errors"][0]
    apis.zones.add("US-MIDA-PJM")
    result = run("lake", "refresh", folder, "--fetch", "--config", config)
    assert result.exit_code == 0, result.output
    assert resolutions(folder) == [("DE", "hour"), ("FR", "hour"), ("US-MIDA-PJM", "hour")]


def test_refresh_of_what_cannot_be_refreshed_says_why(tmp_path: Path, config: Path, spans: Path) -> None:
    folder = tmp_path / "lake"
    result = run("lake", "refresh", folder, "--config", config)
    assert (result.exit_code, "is no lake" in said(result)) == (2, True)
    assert not folder.exists()
    run("import", spans, "--lake", folder, "-q")
    result = run("lake", "refresh", folder)
    assert (result.exit_code, "grid.live is not configured" in said(result)) == (2, True)


def test_segments_of_another_kind_are_told(tmp_path: Path, apis: Apis, config: Path, spans: Path) -> None:
    folder, direct = tmp_path / "lake", tmp_path / "direct.yaml"
    direct.write_text("grid: {factor_type: direct}\n", encoding="utf-8")
    run("import", spans, "--lake", folder, "--config", direct, "-q")
    result = run("lake", "refresh", folder, "--config", config)
    assert result.exit_code == 0
    assert "1 segments left alone: of another kind of carbon or another edition" in said(result)
    assert {resolution for _, resolution in resolutions(folder)} <= {"annual", ""}
