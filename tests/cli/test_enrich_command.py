import gzip
import json
from pathlib import Path

import pytest
from click.testing import Result
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
from typer.testing import CliRunner

from tests.decisions.decision_spans import chat, message
from wattspan.cli.main import app

CAPTURES = Path(__file__).parents[1] / "captures"
CAPTURE = CAPTURES / "otel_genai_openai.binpb"


def run(*arguments: str | Path, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(app, ["enrich", *map(str, arguments)], input=stdin)


def energies(data: bytes) -> list[float]:
    return [
        attribute.value.double_value
        for resource in TracesData.FromString(data).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
        for attribute in span.attributes
        if attribute.key == "gen_ai.usage.energy_kwh"
    ]


def test_a_file_comes_out_with_energy_and_the_summary_is_on_standard_error(tmp_path: Path) -> None:
    out, summary = tmp_path / "out.binpb", tmp_path / "summary.json"
    result = run(CAPTURE, out, "--summary", summary)
    assert result.exit_code == 0
    assert result.stdout == ""
    found = json.loads(summary.read_text())
    assert sum(energies(out.read_bytes())) == pytest.approx(found["energy_kwh"]["central"], rel=1e-12)
    assert (found["calls"], found["errors"], found["without_usage"]) == (10, 1, 1)
    assert found["tokens"] == {
        "input": 8432, "cache_read": 6912, "cache_write": 0, "output": 2725, "reasoning": 1792,
    }  # fmt: skip
    lines = [" ".join(line.split()) for line in result.stderr.splitlines()]
    assert lines[1] == "model calls 10 1 with an error, 1 without usage: no figure"
    assert lines[2] == "input tokens 8,432 6,912 read from cache, 0 written to it"
    assert lines[3] == "output tokens 2,725 1,792 of them reasoning"
    assert lines[6].startswith("coverage 88.9%")


def test_quiet_says_nothing(tmp_path: Path) -> None:
    result = run(CAPTURE, tmp_path / "out", "--quiet")
    assert (result.exit_code, result.output) == (0, "")


@pytest.mark.parametrize("pack", [lambda data: data, gzip.compress])
def test_standard_input_to_standard_output(pack, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(CAPTURE, out)
    result = run("-", "-", stdin=pack(CAPTURE.read_bytes()))
    assert result.exit_code == 0
    assert result.stdout_bytes == (out.read_bytes() if pack is not gzip.compress else result.stdout_bytes)
    if pack is gzip.compress:
        assert gzip.decompress(result.stdout_bytes) == out.read_bytes()


def test_options_win_over_the_configuration_file(tmp_path: Path) -> None:
    config, out = tmp_path / "wattspan.yaml", tmp_path / "out"
    config.write_text("attributes: {profile: wattspan, detail: full}\ngrid: {factor_type: direct}\n")
    assert run(CAPTURE, out, "--config", config).exit_code == 0
    assert b"wattspan.energy_kwh" in out.read_bytes()
    assert b"wattspan.grid.factor_type\x12\x08\n\x06direct" in out.read_bytes()
    assert (
        run(CAPTURE, out, "--config", config, "--profile", "genai", "--factor-type", "lifecycle").exit_code
        == 0
    )
    assert b"gen_ai.usage.energy_kwh" in out.read_bytes()
    assert b"wattspan.grid.factor_type\x12\x0b\n\x09lifecycle" in out.read_bytes()


def test_bad_input_goes_through_and_the_exit_status_says_so(tmp_path: Path) -> None:
    path, out, summary = tmp_path / "in.binpb", tmp_path / "out.binpb", tmp_path / "summary.json"
    data = CAPTURE.read_bytes()
    path.write_bytes(data + data[: len(data) // 2])
    result = run(path, out, "--summary", summary, "--quiet")
    assert result.exit_code == 1
    assert f"{path}, byte {len(data)}: it ends in the middle of a protobuf field" in " ".join(
        result.stderr.split()
    )
    assert out.read_bytes().endswith(data[: len(data) // 2])
    (problem,) = json.loads(summary.read_text())["problems"]["first"]
    assert (problem["file"], problem["offset"]) == (str(path), len(data))


def test_many_problems_are_counted_and_ten_are_printed(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(b'{"resourceSpans":[}\n' * 25)
    result = run(path, tmp_path / "out")
    assert result.exit_code == 1
    assert result.stderr.count("not JSON") == 10
    assert "... and 15 more problems" in result.stderr
    assert (tmp_path / "out").read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{none}", "{out}"], "none.binpb cannot be read: No such file or directory"),
        (["{folder}", "{out}"], "is a directory; IN is one file. To enrich all: for f in"),
        (["{capture}", "{folder}"], "is a directory; OUT is one file: name the file in it"),
        (["{capture}", "{out}", "--profile", "all"], "--profile is 'all'; allowed: genai, wattspan, both"),
        (["{capture}", "{out}", "--detail", "some"], "--detail is 'some'; allowed: standard, full"),
        (["{capture}", "{out}", "--edition", "1999.01"], "1999.01"),
        (["{capture}", "{out}", "--config", "{none}"], "none.binpb"),
        (["{capture}", "{out}", "--summary", "{folder}"], "name a file in a folder that is there"),
        (["{capture}", "{out}", "--summary", "{folder}/no/x"], "name a file in a folder that is there"),
    ],
)
def test_wrong_usage_is_explained_with_status_two(arguments: list[str], message: str, tmp_path: Path) -> None:
    places = {
        "none": tmp_path / "none.binpb",
        "out": tmp_path / "out",
        "folder": tmp_path,
        "capture": CAPTURE,
    }
    result = run(*[argument.format_map(places) for argument in arguments])
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert not (tmp_path / "out").exists()


def test_in_place_a_damaged_archive_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "in.binpb.gz"
    path.write_bytes(gzip.compress(CAPTURE.read_bytes())[:-30])
    before = path.read_bytes()
    result = run(path, path)
    assert result.exit_code == 1
    assert "Give another OUT to get what can be read" in " ".join(result.stderr.split())
    assert path.read_bytes() == before


def test_summary_says_by_what_share_regions_and_intensities_are_known(tmp_path: Path) -> None:
    """Two equal calls by the span's region, one half as long by its host, one by nothing."""
    whole = {"gen_ai.usage.input_tokens": 0, "gen_ai.usage.output_tokens": 600}
    half = {"gen_ai.usage.input_tokens": 0, "gen_ai.usage.output_tokens": 300, "cloud.region": None}
    spans = tmp_path / "spans.binpb"
    calls = [
        chat(1, whole),
        chat(2, whole),
        chat(3, {**half, "server.address": "us-east-1.api.x.ai", "gen_ai.provider.name": "x_ai"}),
        chat(4, half),
    ]
    for number, call in enumerate(calls):
        call.trace_id = (number + 1).to_bytes(16, "big")
    spans.write_bytes(message(calls))
    summary = tmp_path / "summary.json"
    result = run(spans, tmp_path / "out.binpb", "--summary", summary)
    shares = json.loads(summary.read_text())["by_region_source"]
    assert {name: share["calls"] for name, share in shares.items()} == {
        "span": 2,
        "host": 1,
        "geography_mix": 1,
    }
    energy = {name: share["energy_kwh"] for name, share in shares.items()}
    whole_kwh = sum(energy.values())
    said = " ".join(result.stderr.split())
    for name, kwh in energy.items():
        assert f"{100 * kwh / whole_kwh:.0f} % {name} ({shares[name]['calls']})" in said
    assert energy["span"] / whole_kwh > 0.6
    assert "intensity average lifecycle: 100 % annual (4)" in said
    assert "accounting 100 % consumption (4)" in said


def test_summary_tells_accounting_and_why_there_is_no_carbon(tmp_path: Path) -> None:
    """Direct: PJM has a table, Ireland has none."""
    spans = tmp_path / "spans.binpb"
    calls = [chat(1), chat(2, {"cloud.region": "eu-west-1"})]
    calls[1].trace_id = (2).to_bytes(16, "big")
    spans.write_bytes(message(calls))
    summary = tmp_path / "summary.json"
    result = run(spans, tmp_path / "out.binpb", "--summary", summary, "--factor-type", "direct")
    grid = json.loads(summary.read_text())["grid"]
    assert grid["kinds"] == ["average direct"]
    assert {name: share["calls"] for name, share in grid["by_accounting"].items()} == {"consumption": 1}
    assert grid["without_carbon"] == {"no direct table has IE": 1}
    said = " ".join(result.stderr.split())
    assert "no carbon 1 no direct table has IE" in said
    assert "coverage 100.0% of the calls that did not fail have a figure, 50.0% one of carbon" in said


def test_energy_without_any_carbon_figure_is_no_figure_and_not_zero(tmp_path: Path) -> None:
    spans, summary = tmp_path / "spans.binpb", tmp_path / "summary.json"
    spans.write_bytes(message([chat(1, {"cloud.region": "eu-west-1"})]))
    result = run(spans, tmp_path / "out.binpb", "--summary", summary, "--factor-type", "direct")
    assert "carbon no figure" in " ".join(result.stderr.split())
    assert "intensity average direct: none" in " ".join(result.stderr.split())
    found = json.loads(summary.read_text())
    assert found["co2e_g"] == {"central": None, "low": None, "high": None}
    assert found["coverage"] == {"energy": 1.0, "carbon": 0.0}
