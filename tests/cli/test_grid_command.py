"""`wattspan grid`: filling the cache for a file of spans, what it holds, typical hours of one's own."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

pytest.importorskip("httpx", reason="live feeds are an optional extra: pip install 'wattspan[grid]'")
pytest.importorskip("stamina", reason="live feeds are an optional extra: pip install 'wattspan[grid]'")

from tests.decisions.decision_spans import chat, message
from tests.grid.hours_of_a_year import TWO_WEEKS, write_file
from tests.grid.server.apis import HOUR_S, PASSWORD, TOKEN, USER, Apis, Fault, unix_s
from wattspan.cli import enrich, grid, when

MARCH = unix_s("2026-03-03T10:00Z")
NS = 10**9

app = typer.Typer()
app.add_typer(grid.app, name="grid")
app.command("enrich")(enrich.enrich)
app.command("when")(when.when)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def said(result: Result) -> str:
    return " ".join(result.output.split())


@pytest.fixture
def apis(monkeypatch: pytest.MonkeyPatch) -> Iterator[Apis]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ELECTRICITY_MAPS_TOKEN", TOKEN)
    monkeypatch.setenv("WATTTIME_USER", USER)
    monkeypatch.setenv("WATTTIME_PASSWORD", PASSWORD)
    server = Apis()
    yield server
    server.close()


@pytest.fixture
def spans(tmp_path: Path) -> Path:
    """Three calls of last month: two in Frankfurt, one in Paris."""
    calls = []
    for number, (region, after_s) in enumerate(
        [("eu-central-1", 5), ("eu-central-1", HOUR_S), ("eu-west-3", 9)]
    ):
        call = chat(number + 1, {"cloud.region": region})
        call.start_time_unix_nano = (MARCH + after_s) * NS
        call.end_time_unix_nano = (MARCH + after_s + 1) * NS
        calls.append(call)
    path = tmp_path / "march.binpb"
    path.write_bytes(message(calls))
    return path


def configure(folder: Path, apis: Apis, feed: str = "electricity-maps", **grid_keys: str) -> Path:
    path = folder / "wattspan.yaml"
    keys = "".join(f"  {key}: {value}\n" for key, value in grid_keys.items())
    path.write_text(
        f"grid:\n  cache: {folder / 'grid.sqlite'}\n{keys}  live: {{feed: {feed}, base_url: '{apis.url}'}}\n"
        "attributes: {detail: full}\n",
        encoding="utf-8",
    )
    return path


def resolutions(enriched: Path) -> list[str]:
    found = re.findall(rb"wattspan\.grid\.resolution\x12.\n.([a-z-]+)", enriched.read_bytes())
    return [text.decode() for text in found]


def test_file_of_last_month_finds_its_hours_after_the_prefetch(
    apis: Apis, spans: Path, tmp_path: Path
) -> None:
    config = configure(tmp_path, apis)
    before, after = tmp_path / "before.binpb", tmp_path / "after.binpb"
    assert run("enrich", spans, before, "--config", config).exit_code == 0
    assert apis.asked("carbon-intensity") == []
    result = run("grid", "prefetch", spans, "--config", config)
    assert result.exit_code == 0, result.output
    assert "electricity-maps, average lifecycle" in said(result)
    assert "DE │ 2 │ 0 │" in said(result)
    assert "FR │ 1 │ 0 │" in said(result)
    assert "2 ranges asked for, 3 new values, 0 revised, 0 set aside" in said(result)
    assert run("enrich", spans, after, "--config", config).exit_code == 0
    assert resolutions(before) == ["annual"] * 3
    assert resolutions(after) == ["hour"] * 3


def test_second_prefetch_has_nothing_to_ask_for(apis: Apis, spans: Path, tmp_path: Path) -> None:
    config = configure(tmp_path, apis)
    run("grid", "prefetch", spans, "--config", config)
    many = len(apis.asked("carbon-intensity"))
    result = run("grid", "prefetch", spans, "--config", config)
    assert result.exit_code == 0
    assert "no period is wanting" in said(result)
    assert len(apis.asked("carbon-intensity")) == many


def test_dry_run_says_what_would_be_asked_for_and_asks_nothing(
    apis: Apis, spans: Path, tmp_path: Path
) -> None:
    result = run("grid", "prefetch", spans, "--dry-run", "--json", "--config", configure(tmp_path, apis))
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert (found["wanted"], found["ranges"], found["new"]) == ({"DE": 2, "FR": 1}, 2, 0)
    assert apis.requests == []


def test_zones_that_the_feed_has_to_be_asked_for_are_located_first(apis: Apis, tmp_path: Path) -> None:
    call = chat(1, {"cloud.region": "us-west-1"})
    call.start_time_unix_nano, call.end_time_unix_nano = MARCH * NS, (MARCH + 1) * NS
    spans = tmp_path / "march.binpb"
    spans.write_bytes(message([call]))
    config = configure(tmp_path, apis, "watttime", signal="marginal", factor_type="direct")
    result = run("grid", "prefetch", spans, "--config", config, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["kind"], found["wanted"], found["lacking"]) == ("marginal direct", {"CAISO_NORTH": 1}, {})
    assert found["unlocated"] == []


def test_hours_that_do_not_come_are_told_with_the_reason(apis: Apis, spans: Path, tmp_path: Path) -> None:
    apis.zones.discard("FR")
    result = run("grid", "prefetch", spans, "--config", configure(tmp_path, apis))
    assert result.exit_code == 1
    assert "FR │ 1 │ 1 │" in said(result)
    assert "electricity-maps (zone FR" in said(result)
    assert TOKEN not in result.output


def test_key_that_is_refused_is_told_and_never_shown(
    apis: Apis, spans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ELECTRICITY_MAPS_TOKEN", "a-wrong-key-0123")
    result = run("grid", "prefetch", spans, "--config", configure(tmp_path, apis))
    assert result.exit_code == 1
    assert "Invalid auth-token" in said(result)
    assert "a-wrong-key-0123" not in result.output


def test_zone_by_name_is_filled_for_the_last_day(apis: Apis, tmp_path: Path) -> None:
    config = configure(tmp_path, apis)
    result = run("grid", "prefetch", "--zone", "DE", "--config", config, "--json")
    assert result.exit_code == 0, result.output
    # The last 24 hours, the one that has begun, and none of the future.
    assert json.loads(result.stdout)["new"] in (24, 25)


def test_nothing_to_fetch_and_no_feed_are_wrong_usage(tmp_path: Path, spans: Path) -> None:
    assert "give OTLP files, or --zone" in said(run("grid", "prefetch"))
    result = run("grid", "prefetch", spans)
    assert result.exit_code == 2
    assert "grid.live is not configured" in said(result)
    assert run("grid", "prefetch", tmp_path / "none.binpb", "--zone", "DE").exit_code == 2


def test_status_lists_kinds_zones_hours_vintages_and_size(apis: Apis, spans: Path, tmp_path: Path) -> None:
    config = configure(tmp_path, apis)
    run("grid", "prefetch", spans, "--config", config)
    found = json.loads(run("grid", "status", "--config", config, "--json").stdout)
    assert found["file"] == str(tmp_path / "grid.sqlite")
    assert found["size_bytes"] > 0
    germany, france = found["zones"]
    assert (germany["feed"], germany["kind"], germany["zone"]) == (
        "electricity-maps",
        "average lifecycle",
        "DE",
    )
    assert (germany["measured"], germany["forecast"], germany["estimated"]) == (2, 0, 0)
    assert (germany["first"], germany["last"]) == ("2026-03-03T10:00Z", "2026-03-03T11:00Z")
    assert germany["source"] == "Electricity Maps API v4"
    assert (france["zone"], france["values"], france["fetches"]) == ("FR", 1, 1)
    table = said(run("grid", "status", "--config", config))
    assert "2 answers kept" in table
    assert "Electricity Maps API v4, 20" in table


def test_status_counts_revised_values_once_as_hours(apis: Apis, spans: Path, tmp_path: Path) -> None:
    config = configure(tmp_path, apis, "uk-carbon-intensity", factor_type="direct")
    call = chat(1, {"cloud.region": "eu-west-2"})
    call.start_time_unix_nano, call.end_time_unix_nano = MARCH * NS, (MARCH + 1) * NS
    spans.write_bytes(message([call]))
    run("grid", "prefetch", spans, "--config", config)
    (britain,) = json.loads(run("grid", "status", "--config", config, "--json").stdout)["zones"]
    assert (britain["kind"], britain["zone"]) == ("average direct", "GB")
    assert britain["measured"] + britain["forecast"] == britain["values"]


def test_status_without_a_cache_and_with_another_file_says_so(tmp_path: Path) -> None:
    config = tmp_path / "wattspan.yaml"
    config.write_text(f"grid: {{cache: {tmp_path / 'grid.sqlite'}}}\n", encoding="utf-8")
    result = run("grid", "status", "--config", config)
    assert (result.exit_code, "there is no grid cache yet" in said(result)) == (1, True)
    (tmp_path / "grid.sqlite").write_text("no database", encoding="utf-8")
    result = run("grid", "status", "--config", config)
    assert (result.exit_code, "cannot be used as a grid cache" in said(result)) == (2, True)


def test_enrich_with_a_cache_that_cannot_be_used_says_so(apis: Apis, spans: Path, tmp_path: Path) -> None:
    config = configure(tmp_path, apis)
    (tmp_path / "grid.sqlite").write_text("no database", encoding="utf-8")
    result = run("enrich", spans, tmp_path / "out.binpb", "--config", config)
    assert (result.exit_code, "cannot be used as a grid cache" in said(result)) == (2, True)


def test_typical_hours_are_made_from_a_file_and_used(tmp_path: Path, spans: Path) -> None:
    own = tmp_path / "own.json"
    year = write_file(tmp_path / "year.csv", "DE", "FR")
    result = run("grid", "shapes", own, "--file", year, "--kind", "average-lifecycle", "--json")
    assert result.exit_code == 0, result.output
    germany, _ = json.loads(result.stdout)["zones"]
    assert (germany["zone"], germany["vintage"], germany["hours"]) == ("DE", "2024-01 to 2024-12", 8784)
    config = tmp_path / "wattspan.yaml"
    config.write_text(
        f"grid: {{resolution: typical-hour, shapes: {own}}}\nattributes: {{detail: full}}\n", encoding="utf-8"
    )
    enriched = tmp_path / "out.binpb"
    assert run("enrich", spans, enriched, "--config", config).exit_code == 0
    text = enriched.read_bytes()
    assert b"Electricity Maps 2025 x typical hours of file year.csv, 2024-01 to 2024-12" in text
    assert resolutions(enriched) == ["typical-hour"] * 3


def test_typical_hours_are_made_from_the_configured_file(tmp_path: Path) -> None:
    year = write_file(tmp_path / "year.csv", "GB")
    config = tmp_path / "wattspan.yaml"
    config.write_text(
        f"grid:\n  cache: {tmp_path / 'grid.sqlite'}\n"
        f"  live: {{feed: file, path: {year}, signal: average, factor_type: lifecycle}}\n",
        encoding="utf-8",
    )
    result = run("grid", "shapes", tmp_path / "own.json", "--config", config)
    assert result.exit_code == 0, result.output
    assert "GB │ 2024-01 to" in said(result)
    assert "g is measured on twelve months told from themselves, and a year's step" in said(result)


def test_two_weeks_are_too_few_for_typical_hours(tmp_path: Path) -> None:
    two = tmp_path / "two.csv"
    lines = [line.split(",") for line in TWO_WEEKS.read_text(encoding="utf-8").splitlines()[1:]]
    two.write_text("\n".join(["zone,time,value", *(",".join(line[:3]) for line in lines)]), encoding="utf-8")
    result = run("grid", "shapes", tmp_path / "own.json", "--file", two, "--kind", "average-lifecycle")
    assert result.exit_code == 2
    assert "zone DE: 12 full months in a row are needed, 0 are there" in said(result)
    assert "(2024-01 has 00:00 on 7 days, 6 more months are short too)" in said(result)
    assert not (tmp_path / "own.json").exists()


def test_zones_with_too_few_hours_are_left_out_by_name(tmp_path: Path) -> None:
    year = write_file(tmp_path / "year.csv", "GB")
    year.write_text(year.read_text(encoding="utf-8") + "FR,2024-01-15T00:00Z,40\n", encoding="utf-8")
    result = run("grid", "shapes", tmp_path / "own.json", "--file", year, "--kind", "average-lifecycle")
    assert result.exit_code == 1
    assert "zone FR: 12 full months in a row are needed, 0 are there" in said(result)
    assert list(json.loads((tmp_path / "own.json").read_text(encoding="utf-8"))["zones"]) == ["GB"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--kind", "marginal-direct"], "no table has a marginal year for marginal hours to multiply"),
        ([], "--kind is ''; allowed: average-lifecycle, average-direct"),
        (
            ["--kind", "average-direct", "--unit", "t/GWh"],
            "--unit is 't/GWh'; allowed: g/kWh, kg/MWh, lb/MWh",
        ),
        (["--kind", "average-direct", "--time-is", "middle"], "--time-is is 'middle'; allowed: start, end"),
        (["--kind", "average-direct", "--timezone", "Mars/Base"], "timezone 'Mars/Base' is not known"),
        (["--kind", "average-direct", "--period-s", "7"], "period_s is 7"),
    ],
)
def test_what_the_file_is_must_be_said_right(tmp_path: Path, options: list[str], message: str) -> None:
    year = write_file(tmp_path / "year.csv", "GB")
    result = run("grid", "shapes", tmp_path / "own.json", "--file", year, *options)
    assert result.exit_code == 2
    assert message in said(result)


def test_typical_hours_without_a_file_or_a_cache_say_where_to_get_them(tmp_path: Path) -> None:
    config = tmp_path / "wattspan.yaml"
    config.write_text(f"grid: {{cache: {tmp_path / 'grid.sqlite'}}}\n", encoding="utf-8")
    result = run("grid", "shapes", tmp_path / "own.json", "--config", config)
    assert (result.exit_code, "there is no grid cache" in said(result)) == (2, True)


def test_cache_with_another_kind_only_is_not_used(apis: Apis, spans: Path, tmp_path: Path) -> None:
    run("grid", "prefetch", spans, "--config", configure(tmp_path, apis))
    config = configure(tmp_path, apis, factor_type="direct")
    result = run("grid", "shapes", tmp_path / "own.json", "--config", config)
    assert result.exit_code == 2
    assert "one feed with average direct values is needed, found none" in said(result)


def test_feed_that_breaks_midway_keeps_what_came(apis: Apis, spans: Path, tmp_path: Path) -> None:
    apis.faults.append(Fault(path="past-range", times=1, status=404, body='{"message": "No recent data"}'))
    result = run("grid", "prefetch", spans, "--config", configure(tmp_path, apis), "--json")
    found = json.loads(result.stdout)
    assert result.exit_code == 1
    # Whichever zone was asked for first has nothing, the other one all.
    (lacking,) = found["lacking"].items()
    assert lacking in [("DE", 2), ("FR", 1)]
    assert found["new"] == 3 - lacking[1]


def test_values_that_cannot_be_are_set_aside_and_told(apis: Apis, spans: Path, tmp_path: Path) -> None:
    def texts(answer: dict) -> dict:
        return {**answer, "data": [{**point, "carbonIntensity": "300"} for point in answer["data"]]}

    apis.faults.append(Fault(path="past-range", change=texts))
    result = run("grid", "prefetch", spans, "--config", configure(tmp_path, apis))
    assert result.exit_code == 1
    assert "0 new values, 0 revised, 3 set aside" in said(result)
    assert "value '300' is not a number" in said(result)


def test_when_decides_by_the_feeds_forecast_though_it_begins_with_the_next_hour(
    apis: Apis, tmp_path: Path
) -> None:
    config = configure(tmp_path, apis)
    batch = ("--model", "gpt-4o", "--input-tokens", "100", "--output-tokens", "100")
    times = ("--region", "eu-central-1", "--duration", "2h", "--deadline", "12h")
    result = run("when", *batch, *times, "--config", config, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["passed_over"] == []
    assert [outlook["resolution"] for outlook in found["outlooks"]] == ["forecast"]
    assert (found["signal"], found["factor_type"]) == ("average", "lifecycle")
