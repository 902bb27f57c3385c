import gzip
import io
import json
import os
import stat
from pathlib import Path

import pytest
import zstandard
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
from otlp_spans import CAPTURES, as_otlp_json, chat, from_otlp_json, own, spans_of, traces

from wattspan.estimator import Estimator
from wattspan.otlp.compression import compression_of
from wattspan.otlp.enrich import Enricher
from wattspan.otlp.files import FileError, UnreadableRestError, enrich_file, enrich_stream
from wattspan.otlp.summary import Summary

ESTIMATOR = Estimator()
CAPTURE = (CAPTURES / "otel_genai_openai.binpb").read_bytes()
ONE, TWO = (traces([chat(n), chat(n + 1)]) for n in (1, 3))
METRICS = b'{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"x"}]}]}]}\n'


def frame(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body


def run(path: Path, out: Path | None = None, **options: int) -> Summary:
    return enrich_file(str(path), str(out or path), Enricher(ESTIMATOR), **options)


def stream(data: bytes, name: str = "", **options: int) -> tuple[bytes, Summary]:
    out = io.BytesIO()
    summary = enrich_stream(io.BytesIO(data), out, Enricher(ESTIMATOR), name=name, **options)
    return out.getvalue(), summary


COMPRESS = {"plain": lambda data: data, "gzip": gzip.compress, "zstd": zstandard.compress}
DECOMPRESS = {"plain": lambda data: data, "gzip": gzip.decompress, "zstd": zstandard.decompress}


def _frames(data: bytes) -> list[bytes]:
    found = []
    while data:
        size = int.from_bytes(data[:4], "big")
        found.append(data[4 : 4 + size])
        data = data[4 + size :]
    return found


def _joined(parts: list[bytes]) -> TracesData:
    return TracesData.FromString(b"".join(parts))


PROTO = [ONE.SerializeToString(), TWO.SerializeToString(), CAPTURE]
JSON = [as_otlp_json(TracesData.FromString(message)) for message in PROTO]
CONTAINERS = {
    "request.binpb": (CAPTURE, TracesData.FromString),
    "requests.binpb": (b"".join(PROTO), TracesData.FromString),
    "document.json": (as_otlp_json(TracesData.FromString(CAPTURE), indent=2) + b"\n", from_otlp_json),
    "spans.jsonl": (b"\n".join([JSON[0], b"", JSON[1] + b"\r", METRICS + JSON[2]]), from_otlp_json),
    "frames.bin": (b"".join(frame(m) for m in PROTO), lambda data: _joined(_frames(data))),
    "zstd-frames.bin": (
        b"".join(frame(zstandard.compress(m)) for m in PROTO),
        lambda data: _joined([zstandard.decompress(f) for f in _frames(data)]),
    ),
    "zstd-json-frames": (
        b"".join(frame(zstandard.compress(m)) for m in JSON),
        lambda data: from_otlp_json(b"\n".join(zstandard.decompress(f) for f in _frames(data))),
    ),
}  # fmt: skip


@pytest.mark.parametrize("window_bytes", [32 << 20, 1])
@pytest.mark.parametrize("compression", COMPRESS)
@pytest.mark.parametrize("name", CONTAINERS)
def test_format_and_compression_out_are_those_in_and_the_figures_the_same_in_all(
    name: str, compression: str, window_bytes: int, tmp_path: Path
) -> None:
    content, parse = CONTAINERS[name]
    path, out = tmp_path / name, tmp_path / "out"
    path.write_bytes(COMPRESS[compression](content))
    summary = run(path, out, window_bytes=window_bytes)
    assert summary.problem_count == 0
    assert compression_of(out.read_bytes()) is compression_of(path.read_bytes())
    spans = spans_of(parse(DECOMPRESS[compression](out.read_bytes())))
    messages = [CAPTURE] if name in ("request.binpb", "document.json") else PROTO
    (reference,) = Enricher(ESTIMATOR).protobuf(messages)
    expected = [own(s) for m in reference.messages for s in spans_of(m)]
    assert [own(s) for s in spans] == expected
    assert sum(bool(marks) for marks in expected) >= 8
    assert summary.spans == len(expected)
    again = tmp_path / "again"
    run(out, again)
    assert again.read_bytes() == out.read_bytes()


def test_lines_that_hold_no_spans_and_blank_lines_pass_byte_for_byte() -> None:
    line = JSON[0]
    data = b"\xef\xbb\xbf\r\n" + METRICS + b"\n" + line + b"\r\n" + b'{"resourceLogs":[]}\n\n' + line
    out, summary = stream(data)
    lines, marked = data.split(b"\n"), out.split(b"\n")
    assert [n for n, (a, b) in enumerate(zip(lines, marked, strict=True)) if a != b] == [3, 6]
    assert summary.problem_count == 0


def test_a_bad_line_is_named_by_its_byte_and_the_others_are_enriched() -> None:
    bad = JSON[0][:150]
    out, summary = stream(JSON[0] + b"\n" + bad + b"\n" + JSON[1] + b"\n", "spans.jsonl")
    lines = out.split(b"\n")
    assert lines[1] == bad
    assert [line.count(b"wattspan.basis") for line in lines] == [2, 0, 2, 0]
    assert [str(p) for p in summary.problems] == [
        f"spans.jsonl, byte {len(JSON[0]) + 1 + 150 + 1}: not JSON: {summary.problems[0].reason[10:]}"
    ]


def test_a_truncated_file_keeps_its_tail_and_enriches_what_is_whole() -> None:
    first = ONE.SerializeToString()
    out, summary = stream(first + CAPTURE[:-7], "spans.binpb")
    assert out.endswith(CAPTURE[-200:-7])
    assert own(spans_of(out[: -len(CAPTURE) + 7])[0])["wattspan.basis"] == "modelled"
    assert [p.offset for p in summary.problems] == [len(first)]
    assert "it ends in the middle of a protobuf field" in str(summary.problems[0])


def test_a_truncated_gzip_file_gives_a_whole_gzip_file_of_what_was_readable() -> None:
    data = gzip.compress(b"\n".join(JSON[:1] * 500))
    out, summary = stream(data[: len(data) // 2], "spans.jsonl.gz")
    text = gzip.decompress(out)
    assert text.count(b"wattspan.basis") == 2 * summary.calls + summary.duplicates - summary.calls
    assert str(summary.problems[-1]) == (
        f"spans.jsonl.gz: gzip stream is damaged at byte {len(data) // 2}: it ends in the middle of a member"
    )


def test_a_broken_frame_is_named_by_its_byte_in_the_file() -> None:
    bad = frame(b"\x0a\x07\x12\x05\x12\x50abc")
    data = frame(PROTO[0]) + bad + frame(zstandard.compress(bad[4:])) + frame(PROTO[1])
    out, summary = stream(data)
    found = _frames(out)
    assert (found[1], zstandard.decompress(found[2])) == (bad[4:], bad[4:])
    assert [own(spans_of(found[n])[0])["wattspan.basis"] for n in (0, 3)] == ["modelled", "modelled"]
    begin = 4 + len(PROTO[0])
    assert [p.offset for p in summary.problems] == [summary.problems[0].offset, begin + len(bad)]
    assert begin + 4 < (summary.problems[0].offset or 0) < begin + len(bad)


@pytest.mark.parametrize("data", [b"", gzip.compress(b""), zstandard.compress(b""), b"\n\n"])
def test_an_empty_file_is_fine(data: bytes) -> None:
    out, summary = stream(data, "empty.jsonl")
    assert (summary.problem_count, summary.spans) == (0, 0)
    again, _ = stream(out, "empty.jsonl")
    assert again == out


def test_what_is_not_otlp_passes_through_and_is_reported() -> None:
    for data in (
        b"PK\x03\x04 a zip file",
        b"\x89PNG\r\n\x1a\n",
        b"hello",
        b"\x00\x00\x00\x05abc",
        os.urandom(10_000),
    ):
        out, summary = stream(data)
        if not data.startswith((b"\x1f\x8b", b"\x28\xb5")):
            assert out == data
        assert summary.problem_count >= 1


def test_out_may_be_in(tmp_path: Path) -> None:
    path = tmp_path / "spans.binpb"
    path.write_bytes(CAPTURE)
    path.chmod(0o640)
    link = tmp_path / "link"
    link.symlink_to(path)
    first = run(path, link)
    assert link.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert first.calls == 10
    out = path.read_bytes()
    assert len(out) > len(CAPTURE)
    run(path)
    assert path.read_bytes() == out
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link", "spans.binpb"]


def test_in_place_a_file_whose_rest_cannot_be_decompressed_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "spans.binpb.gz"
    data = gzip.compress(b"".join(PROTO))[:-40]
    path.write_bytes(data)
    with pytest.raises(UnreadableRestError, match=r"damaged at byte \d+.*Give another OUT"):
        run(path)
    assert path.read_bytes() == data
    assert [p.name for p in tmp_path.iterdir()] == ["spans.binpb.gz"]
    assert run(path, tmp_path / "out").problem_count >= 1


def test_paths_that_cannot_be_are_explained(tmp_path: Path) -> None:
    path = tmp_path / "spans.binpb"
    path.write_bytes(CAPTURE)
    for source, target, message in (
        (tmp_path, tmp_path / "x", "is a directory; IN is one file"),
        (path, tmp_path, "is a directory; OUT is one file"),
        (tmp_path / "none", tmp_path / "x", "cannot be read: No such file"),
        (path, tmp_path / "no" / "x", "cannot be written to .*: No such file"),
    ):
        with pytest.raises(FileError, match=message):
            run(source, target)
    assert [p.name for p in tmp_path.iterdir()] == ["spans.binpb"]


def test_nothing_is_left_behind_when_it_is_interrupted(tmp_path: Path) -> None:
    path, out = tmp_path / "in", tmp_path / "out"
    path.write_bytes(CAPTURE)
    out.write_bytes(b"before")

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        enrich_file(str(path), str(out), Enricher(ESTIMATOR), on_bytes=interrupt)
    assert out.read_bytes() == b"before"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in", "out"]


def test_a_device_is_written_to_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "in"
    path.write_bytes(CAPTURE)
    assert run(path, Path(os.devnull)).calls == 10
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)


def test_copies_in_other_windows_are_still_counted_once() -> None:
    capture = TracesData.FromString((CAPTURES / "strands.binpb").read_bytes())
    lines = []
    for resource in capture.resource_spans:
        for scope in resource.scope_spans:
            for one in scope.spans:
                data = TracesData()
                target = data.resource_spans.add()
                target.resource.CopyFrom(resource.resource)
                target.scope_spans.add().scope.CopyFrom(scope.scope)
                target.scope_spans[0].spans.append(one)
                lines.append(as_otlp_json(data))
    _, together = stream(b"\n".join(lines))
    _, apart = stream(b"\n".join(lines), window_bytes=1)
    assert together.tokens["input"] == apart.tokens["input"] == 960
    assert together.calls == apart.calls == 2


# The summary


def test_the_summary_of_a_capture_is_its_ledger() -> None:
    _, summary = stream(CAPTURE, "otel_genai_openai.binpb")
    truth = json.loads((CAPTURES / "otel_genai_openai.truth.json").read_text())
    found = summary.to_json()
    assert found["tokens"] == truth["tokens_where_reported"]
    assert (found["calls"], found["errors"], found["without_usage"]) == (10, 1, 1)
    assert found["coverage"] == {"energy": 8 / 9, "carbon": 8 / 9}
    assert sum(share["calls"] for share in found["by_tier"].values()) == 8
    assert sum(share["calls"] for share in found["by_region_source"].values()) == 8
    assert sum(share["energy_kwh"] for share in found["by_tier"].values()) == pytest.approx(
        found["energy_kwh"]["central"], rel=1e-12
    )
    assert list(found) == [
        "spans", "calls", "errors", "duplicates", "without_usage", "unknown_models", "tokens", "energy_kwh",
        "co2e_g", "by_tier", "by_region_source", "grid", "coverage", "problems",
    ]  # fmt: skip
    json.dumps(found, allow_nan=False)


def test_the_sum_of_the_attributes_is_the_energy_of_the_summary() -> None:
    out, summary = stream(CAPTURE)
    total = sum(own(s).get("gen_ai.usage.energy_kwh", 0.0) for s in spans_of(out))
    assert summary.energy_kwh.central == pytest.approx(total, rel=1e-12)
    band = summary.energy_kwh
    assert band.low < band.central < band.high


def test_unknown_models_are_named_and_counted() -> None:
    data = traces(
        [chat(n, gen_ai__request__model=name, gen_ai__response__model=name) for n, name in
         enumerate(["our-llm", "our-llm", "other-llm", "gpt-4o"], 1)]
        + [chat(9, gen_ai__request__model=None, gen_ai__response__model=None, name="chat")]
    ).SerializeToString()  # fmt: skip
    _, summary = stream(data)
    assert summary.to_json()["unknown_models"] == {"our-llm": 2, "other-llm": 1, "(no model)": 1}
    assert summary.by_tier["unknown"].calls == 4


def test_only_the_first_hundred_problems_keep_their_details_and_all_are_counted() -> None:
    data = traces([chat(n, gen_ai__usage__input_tokens=-n) for n in range(1, 151)]).SerializeToString()
    _, summary = stream(data, "x.binpb")
    problems = summary.to_json()["problems"]
    assert (problems["count"], len(problems["first"])) == (150, 100)
    assert problems["first"][6] == {
        "file": "x.binpb",
        "trace_id": f"{1:032x}",
        "span_id": f"{7:016x}",
        "key": "gen_ai.usage.input_tokens",
        "reason": summary.problems[6].reason,
    }
    assert "found -7" in summary.problems[6].reason


def test_a_run_without_calls_has_no_coverage_and_no_energy() -> None:
    _, summary = stream(traces([]).SerializeToString())
    found = summary.to_json()
    assert found["coverage"] == {"energy": None, "carbon": None}
    assert found["energy_kwh"] == {"central": 0.0, "low": 0.0, "high": 0.0}
