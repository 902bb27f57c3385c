"""`wattspan import`, from the command line to what a reader of the lake finds."""

import gzip
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.decisions.decision_spans import chat, message
from wattspan.cli.main import app
from wattspan.estimator import Estimator
from wattspan.lake.reader import open_snapshot
from wattspan.otlp.enrich import Enricher
from wattspan.otlp.files import enrich_file

CAPTURES = Path(__file__).parents[1] / "captures"
WORKLOADS = Path(__file__).parents[3] / "shared" / "workloads"
AZURE = [
    *("--map", "start=TIMESTAMP", "--map", "input_tokens=ContextTokens"),
    *("--map", "output_tokens=GeneratedTokens", "--set", "model=gpt-4o", "--set", "provider=azure.openai"),
]
HEAD = "TIMESTAMP,ContextTokens,GeneratedTokens\n"


def run(*arguments):
    result = CliRunner().invoke(app, ["import", *map(str, arguments)], catch_exceptions=False)
    return result.exit_code, result.stdout, " ".join(result.stderr.split())


def totals(lake):
    found = (
        open_snapshot(lake)
        .connect()
        .execute(
            "SELECT count(*), count(*) FILTER (is_owner), "
            "coalesce(sum(coalesce(owned_input_tokens, input_tokens)) FILTER (is_owner), 0), "
            "coalesce(sum(coalesce(owned_output_tokens, output_tokens)) FILTER (is_owner), 0), "
            "coalesce(sum(energy_kwh), 0), coalesce(sum(co2e_g), 0) FROM spans"
        )
        .fetchone()
    )
    return dict(zip(("spans", "calls", "input", "output", "energy_kwh", "co2e_g"), found, strict=True))


def test_every_capture_in_a_folder_has_in_the_lake_what_enriching_it_gives(tmp_path):
    estimator = Estimator()
    names = sorted(path for path in CAPTURES.rglob("*.binpb"))
    spans = calls = energy = carbon = 0
    for path in names:
        summary = enrich_file(str(path), "/dev/null", Enricher(estimator))
        spans += summary.spans
        calls += summary.calls
        energy += summary.energy_kwh.central
        carbon += summary.co2e_g.central
    status, _, _ = run(*names, "--lake", tmp_path / "lake", "--summary", tmp_path / "summary.json")
    found = totals(tmp_path / "lake")
    assert status == 0
    assert (found["spans"], found["calls"]) == (spans, calls)
    assert found["energy_kwh"] == pytest.approx(energy, rel=1e-12)
    assert found["co2e_g"] == pytest.approx(carbon, rel=1e-12)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["spans"] == summary["new_spans"] == spans


def test_the_same_spans_again_in_every_form_change_nothing(tmp_path):
    lake = tmp_path / "lake"
    run(*sorted(CAPTURES.glob("*.binpb")), "--lake", lake)
    before, generation = totals(lake), open_snapshot(lake).manifest.segments
    status, out, _ = run(CAPTURES / "clickhouse", *CAPTURES.glob("*.binpb"), "--lake", lake)
    assert status == 0
    assert totals(lake) == before
    assert open_snapshot(lake).manifest.segments == generation
    assert "in the lake already" in out


def test_a_clickhouse_export_alone_gives_what_its_spans_give(tmp_path):
    run(*sorted(CAPTURES.glob("*.binpb")), "--lake", tmp_path / "otlp")
    for name in ("otel_traces.parquet", "otel_traces.csv.gz"):
        status, _, _ = run(CAPTURES / "clickhouse" / name, "--lake", tmp_path / name)
        assert status == 0
        sent, found = totals(tmp_path / "otlp"), totals(tmp_path / name)
        assert {**found, "energy_kwh": 0, "co2e_g": 0} == {**sent, "energy_kwh": 0, "co2e_g": 0}
        assert found["energy_kwh"] == pytest.approx(sent["energy_kwh"], rel=1e-12)
        assert found["co2e_g"] == pytest.approx(sent["co2e_g"], rel=1e-12)


@pytest.mark.skipif(not WORKLOADS.is_dir(), reason="the workloads are not beside this checkout")
def test_the_azure_trace_is_in_the_lake_once_however_often_it_is_imported(tmp_path):
    for _ in range(2):
        status, _, problems = run(WORKLOADS, "--lake", tmp_path / "lake", *AZURE)
        assert (status, problems) == (0, "")
        found = totals(tmp_path / "lake")
        # sums of the columns by awk over the two files
        assert (found["spans"], found["calls"]) == (8_819 + 19_366, 8_819 + 19_366)
        assert found["input"] == 18_059_974 + 22_361_870
        assert found["output"] == 245_896 + 4_088_665


def test_a_log_that_grew_adds_its_new_rows_only(tmp_path):
    log = tmp_path / "calls.csv"
    log.write_text(HEAD + "2023-11-16 18:17:03,1,2\n2023-11-16 18:17:03,1,2\n")
    run(log, "--lake", tmp_path / "lake", *AZURE)
    log.write_text(HEAD + "2023-11-16 18:17:02,5,5\n" + "2023-11-16 18:17:03,1,2\n" * 3)
    run(log, "--lake", tmp_path / "lake", *AZURE)
    found = totals(tmp_path / "lake")
    assert (found["spans"], found["input"], found["output"]) == (4, 8, 11)


def test_what_is_wrong_is_named_and_the_rest_goes_in(tmp_path):
    log = tmp_path / "calls.csv"
    log.write_text(HEAD + "2023-11-16 18:17:03,1,2\nnever,1,2\n")
    status, out, problems = run(log, "--lake", tmp_path / "lake", *AZURE)
    assert status == 1
    assert totals(tmp_path / "lake")["spans"] == 1
    assert "rows left out 1" in " ".join(out.split())
    assert f"{log}, line 3, TIMESTAMP: found 'never'; allowed: a time of 1990 to 2199" in problems


def test_a_folder_with_junk_in_it_gives_its_good_files_and_names_the_others(tmp_path):
    source = tmp_path / "source"
    (source / "deep" / "down").mkdir(parents=True)
    (source / ".hidden").write_text("not looked at")
    (source / "notes.md").write_text("# Notes\n\nSome text, with commas\n")
    (source / "empty.csv").write_text("")
    (source / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8)
    (source / "no.parquet").write_bytes(b"PAR1" + b"nonsense" * 8)
    good = (CAPTURES / "litellm.binpb").read_bytes()
    (source / "deep" / "down" / "cut.binpb.gz").write_bytes(gzip.compress(good)[:-9])
    (source / "deep" / "good.binpb").write_bytes(good)
    status, _, problems = run(source, "--lake", tmp_path / "lake")
    assert status == 1
    assert totals(tmp_path / "lake")["calls"] > 0
    for name in ("notes.md", "picture.png", "no.parquet", "cut.binpb.gz"):
        assert name in problems
    assert ".hidden" not in problems


def test_a_dry_run_shows_rows_and_totals_and_writes_nothing(tmp_path):
    log = tmp_path / "calls.csv"
    log.write_text(HEAD + "2023-11-16 18:17:03.5,4808,10\n2023-11-16 18:17:04,1,2\n")
    status, out, _ = run(log, "--dry-run", *AZURE)
    words = " ".join(out.split())
    assert status == 0
    assert "2023-11-16 18:17:03.500 gpt-4o azure.ai.openai 4,808 10 chat gpt-4o" in words
    assert "model calls 2" in words
    assert "input tokens 4,809" in words
    assert "energy" in words
    assert "nothing was written" in words
    assert sorted(path.name for path in tmp_path.iterdir()) == ["calls.csv"]


def test_a_map_file_says_the_same_as_options(tmp_path):
    log, columns = tmp_path / "calls.csv", tmp_path / "map.yaml"
    log.write_text(HEAD + "2023-11-16 18:17:03,1,2\n")
    columns.write_text(
        "map:\n  start: TIMESTAMP\n  input_tokens: ContextTokens\n  output_tokens: GeneratedTokens\n"
        "set:\n  model: gpt-4o\n  provider: azure.openai\n"
    )
    run(log, "--lake", tmp_path / "lake", *AZURE)
    run(log, "--lake", tmp_path / "lake", "--map-file", columns)
    assert totals(tmp_path / "lake")["spans"] == 1


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "say what its columns are: --map start=COLUMN"),
        (
            ["--map", "start=when", "--map", "input_tokens=n"],
            "there is no column 'when'; the file has 'a b', 'c'",
        ),
        (["--map", "speed=c"], "no field 'speed'"),
        (["--map", "start"], "write --map FIELD=COLUMN"),
        (["--format", "xml"], "--format is 'xml'; allowed: otlp, otel_traces, calls"),
    ],
)
def test_wrong_usage_is_an_error_that_says_what_to_do(tmp_path, arguments, reason):
    log = tmp_path / "calls.csv"
    log.write_text("a b,c\n1,2\n")
    status, _, problems = run(log, "--lake", tmp_path / "lake", *arguments)
    assert status == 2
    assert reason in problems


def test_a_source_that_is_not_there_is_wrong_usage(tmp_path):
    status, _, problems = run(tmp_path / "gone.csv", "--lake", tmp_path / "lake")
    assert (status, "there is no such file or folder" in problems) == (2, True)


def test_without_a_lake_nothing_is_done(tmp_path):
    status, _, problems = run(CAPTURES / "litellm.binpb")
    assert (status, "name the folder of the lake: --lake DIR" in problems) == (2, True)


def test_compute_spans_get_energy_where_the_user_opts_in_and_calls_keep_theirs(tmp_path):
    config = tmp_path / "wattspan.yaml"
    config.write_text("lake:\n  compute: true\n")
    capture = CAPTURES / "otel_genai_langchain_and_openai.binpb"
    run(capture, "--lake", tmp_path / "calls")
    run(capture, "--lake", tmp_path / "all", "--config", config)
    query = (
        "SELECT name, own_ns, energy_kwh, pue, evidence, region, embodied_g FROM spans "
        "WHERE basis = 'compute' ORDER BY own_ns DESC"
    )
    found = open_snapshot(tmp_path / "all").connect().execute(query).fetchall()
    assert sorted({row[0] for row in found}) == [
        "agent run",
        "execute_tool get_weather",
        "invoke_agent weather_agent",
    ]
    for _, own_ns, energy_kwh, pue, evidence, region, embodied_g in found:
        # AWS: (0.74 + 0.5 x 2.76) W, PUE 1.11 in Europe
        assert energy_kwh == pytest.approx(own_ns / 1e9 * 2.12 / 3.6e6 * 1.11, rel=1e-12)
        assert (pue, evidence, region, embodied_g) == (1.11, "compute", "aws/eu-west-3", None)
    assert open_snapshot(tmp_path / "calls").connect().execute(query).fetchall() == []
    calls = "SELECT sum(energy_kwh) FROM spans WHERE is_owner"
    assert (
        open_snapshot(tmp_path / "all").connect().execute(calls).fetchone()
        == open_snapshot(tmp_path / "calls").connect().execute(calls).fetchone()
    )


def test_token_counts_that_make_no_sense_are_told_as_enrich_tells_them(tmp_path):
    request = message(
        [
            chat(1, {"gen_ai.usage.output_tokens": "many"}),
            chat(2, {"gen_ai.usage.input_tokens": -3}),
            chat(3, {}),
        ]
    )
    path = tmp_path / "spans.binpb"
    path.write_bytes(request)
    told = enrich_file(str(path), "/dev/null", Enricher(Estimator())).problems
    assert {(one.span_id, one.key) for one in told} == {
        ("0000000000000001", "gen_ai.usage.output_tokens"),
        ("0000000000000002", "gen_ai.usage.input_tokens"),
    }
    status, _, err = run(path, "--lake", tmp_path / "lake", "--summary", tmp_path / "summary.json")
    assert status == 1
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["spans"] == 3
    assert summary["problems"] == [one.as_dict() for one in told]
    for one in told:
        assert " ".join(str(one).split()) in err


def test_a_file_whose_day_was_dropped_says_so_and_changes_nothing(tmp_path):
    (tmp_path / "wattspan.yaml").write_text("lake: {retention_days: 3}")
    path, lake = tmp_path / "spans.binpb", tmp_path / "lake"
    spans = [chat(1, {}), chat(2, {})]
    for span in spans:
        span.start_time_unix_nano -= 30 * 86_400 * 10**9
        span.end_time_unix_nano -= 30 * 86_400 * 10**9
    path.write_bytes(message(spans))
    config = ("--config", str(tmp_path / "wattspan.yaml"))
    assert run(path, "--lake", lake, *config)[0] == 0
    gone = CliRunner().invoke(app, ["lake", "compact", str(lake), *config])
    assert "1 days went" in gone.stdout
    before = json.loads(CliRunner().invoke(app, ["report", "--lake", str(lake), "--json"]).stdout)
    status, out, _ = run(path, "--lake", lake, *config, "--summary", tmp_path / "summary.json")
    assert status == 0
    assert "2 of traces whose day was dropped" in " ".join(out.split())
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert (summary["new_spans"], summary["retired_spans"]) == (0, 2)
    assert json.loads(CliRunner().invoke(app, ["report", "--lake", str(lake), "--json"]).stdout) == before
    status = json.loads(CliRunner().invoke(app, ["lake", "status", str(lake), "--json"]).stdout)
    assert (status["spans"], status["days_dropped"]) == (0, 1)
