"""Fuzz of `wattspan enrich`: whole files of damaged OTLP through the pipeline, checked against other parsers.

By hand: `python tests/fuzz/fuzz_enrich.py --minutes 5 --seed 1` makes random changes to real files; with
`--corpus FOLDER` and atheris installed the changes are guided by coverage. What is checked:

- nothing raises, whatever the bytes are;
- what opentelemetry-proto or json can parse going in it can parse coming out, with the same spans, and
  without our attributes the two are equal;
- uncompressed output is never shorter than the input where nothing of ours was on it;
- enriching the output changes nothing.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import random
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import zstandard
from google.protobuf.message import DecodeError

try:
    import atheris
except ImportError:
    atheris = None

if atheris:
    with atheris.instrument_imports(include=["wattspan.otlp"]):
        from wattspan.otlp.containers import Shape, shape_of
        from wattspan.otlp.enrich import Enricher
        from wattspan.otlp.files import enrich_stream
else:
    from wattspan.otlp.containers import Shape, shape_of
    from wattspan.otlp.enrich import Enricher
    from wattspan.otlp.files import enrich_stream

sys.path.insert(0, str(Path(__file__).parents[1] / "otlp"))
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
from otlp_spans import CAPTURES, as_otlp_json, spans_of, without_own

from wattspan.estimator import Estimator
from wattspan.otlp.attributes import OWN_KEYS
from wattspan.otlp.dialects import DIALECT_KEYS
from wattspan.otlp.wire import is_own_key

KEYS = (*OWN_KEYS, *DIALECT_KEYS)
NAMES = ("", "x.binpb", "x.json", "x.jsonl", "x.jsonl.gz")
TOKENS = (
    b"gen_ai.usage.input_tokens",
    b"wattspan.edition",
    b"wattspan.basis",
    b"gen_ai.usage.energy_kwh",
    b'{"key":"wattspan.basis","value":{"stringValue":"reported"}}',
    b'"attributes":[',
    b'"resourceSpans":',
    b'"scopeSpans":',
    b'"spans":',
    b'"intValue":"',
    b"\\ud800",
    b"\x00\x00\x00\x10",
    b"\x0a\xff\xff\xff\xff\x07",
    b"\xef\xbb\xbf",
    b"\x1f\x8b\x08",
    b"\x28\xb5\x2f\xfd",
    *(
        word.encode()
        for word in ["null", "NaN", "-1", "1e999", "1000000000000", "[", "]", "{", "}", ",", ":"]
    ),
    *(bytes([byte]) for byte in (0x00, 0x0A, 0x0D, 0x12, 0x4A, 0xFF)),
)
VALUES = (
    AnyValue(string_value="2026.11"),
    AnyValue(string_value="reported"),
    AnyValue(string_value="duplicate"),
    AnyValue(string_value="chat"),
    AnyValue(string_value="invoke_agent"),
    AnyValue(string_value="12"),
    AnyValue(string_value=""),
    AnyValue(int_value=0),
    AnyValue(int_value=5),
    AnyValue(int_value=-1),
    AnyValue(int_value=10**12),
    AnyValue(double_value=0.5),
    AnyValue(double_value=float("nan")),
    AnyValue(double_value=float("inf")),
    AnyValue(bool_value=True),
    AnyValue(bytes_value=b"\xff"),
    AnyValue(),
)
ESTIMATOR = Estimator()
seen: Counter[str] = Counter()


def run(data: bytes, name: str) -> tuple[bytes, Any]:
    """One file through the pipeline."""
    out = io.BytesIO()
    summary = enrich_stream(io.BytesIO(data), out, Enricher(ESTIMATOR), name=name, window_bytes=4096)
    return out.getvalue(), summary


def check(data: bytes) -> None:
    """One input: its first byte chooses the file's name, the rest is the file."""
    name = NAMES[data[0] % len(NAMES)] if data else ""
    content = data[1:]
    out, summary = run(content, name)
    is_compressed = (
        content[:2] == b"\x1f\x8b" or content[:4] == b"\x28\xb5\x2f\xfd" or content[1:4] == b"\x2a\x4d\x18"
    )
    seen["calls" if summary.calls else "no calls"] += 1
    seen["problems" if summary.problem_count else "no problems"] += 1
    again, _ = run(out, name)
    assert again == out, "enriching twice is not enriching once"
    if is_compressed:
        return
    if (
        b"wattspan." not in content
        and b"gen_ai.usage.energy" not in content
        and b"gen_ai.usage.co2e" not in content
    ):
        assert len(out) >= len(content), "bytes were lost"
    if _same_protobuf(content, out):
        return
    shape = shape_of(content[:65536], name)
    if shape is Shape.JSON:
        _same_json([content], [out])
    elif shape is Shape.JSON_LINES:
        _same_json(content.split(b"\n"), out.split(b"\n"))


def _same_protobuf(content: bytes, out: bytes) -> bool:
    try:
        before = TracesData.FromString(content)
    except DecodeError:
        return False
    spans = spans_of(before)
    after = TracesData.FromString(out)
    assert len(spans_of(after)) == len(spans), "spans were lost"
    if before.resource_spans:
        seen["protobuf"] += 1
        assert without_own(out).SerializeToString(deterministic=True) == without_own(
            content
        ).SerializeToString(deterministic=True), "something that is not ours changed"
    return True


def _same_json(before: list[bytes], after: list[bytes]) -> None:
    assert len(before) == len(after), "lines were lost"
    for line, marked in zip(before, after, strict=True):
        try:
            was = json.loads(line)
        except (ValueError, RecursionError):
            continue
        seen["json"] += 1
        assert _bare(was) == _bare(json.loads(marked)), "something that is not ours changed"


def _bare(value: Any) -> Any:
    """Any JSON without the objects that are attributes of ours, and without empty attribute lists."""
    if isinstance(value, dict):
        bare = {key: _bare(inner) for key, inner in value.items()}
        return {key: inner for key, inner in bare.items() if key != "attributes" or inner not in ([], None)}
    if isinstance(value, list):
        return [_bare(inner) for inner in value if not _is_ours(inner)]
    return repr(value)


def _is_ours(value: Any) -> bool:
    key = value.get("key") if isinstance(value, dict) else None
    return isinstance(key, str) and is_own_key(key)


def seeds() -> list[bytes]:
    """Small real files in every shape."""
    found = []
    for path in sorted(CAPTURES.glob("*.binpb")):
        message = TracesData.FromString(path.read_bytes())
        for resource in message.resource_spans:
            for scope in resource.scope_spans:
                del scope.spans[3:]
        raw, text = message.SerializeToString(), as_otlp_json(message)
        marked, _ = run(raw, "x.binpb")
        shapes = (
            raw,
            marked,
            text,
            as_otlp_json(message, indent=1),
            text + b"\r\n\n" + text,
            gzip.compress(text),
            zstandard.compress(raw),
            len(raw).to_bytes(4, "big") + raw,
            b"".join(
                len(z).to_bytes(4, "big") + z for z in (zstandard.compress(raw), zstandard.compress(text))
            ),
        )
        found.extend(bytes([index % len(NAMES)]) + shape for index, shape in enumerate(shapes))
    return found


def mutated(data: bytes, chance: random.Random, others: list[bytes]) -> bytes:
    """The input with a few changes of the kinds that break parsers."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 3, 6))):
        at = chance.randrange(len(changed) + 1)
        size = chance.choice((1, 1, 2, 4, 16, 256))
        match chance.randrange(8):
            case 0 if at < len(changed):
                changed[at] ^= 1 << chance.randrange(8)
            case 1:
                changed[at : at + size] = b""
            case 2:
                changed[at:at] = chance.randbytes(size)
            case 3:
                changed[at : at + size] = chance.choice(TOKENS)
            case 4:
                changed[at:at] = chance.choice(TOKENS)
            case 5:
                changed[at:at] = changed[at : at + size] * chance.choice((1, 2, 50))
            case 6:
                other = chance.choice(others)
                begin = chance.randrange(len(other))
                changed[at:at] = other[begin : begin + chance.choice((16, 256, 4096))]
            case _:
                del changed[at:]
    return bytes(changed)


def reshaped(chance: random.Random, messages: list[TracesData]) -> bytes:
    """A valid message with other attributes, ids and order than a real one, in any shape of file."""
    message = TracesData()
    message.CopyFrom(chance.choice(messages))
    spans = spans_of(message)
    for _ in range(chance.choice((1, 3, 10))):
        span = chance.choice(spans)
        match chance.randrange(6):
            case 0:
                span.attributes.add(key=chance.choice(KEYS), value=chance.choice(VALUES))
            case 1 if span.attributes:
                chance.choice(span.attributes).value.CopyFrom(chance.choice(VALUES))
            case 2 if span.attributes:
                del span.attributes[chance.randrange(len(span.attributes))]
            case 3:
                span.parent_span_id = chance.choice(spans).span_id
            case 4:
                span.span_id, span.trace_id = chance.choice(spans).span_id, chance.choice(spans).trace_id
            case _:
                span.end_time_unix_nano = chance.choice((0, 1, 2**63, 2**64 - 1, span.start_time_unix_nano))
    raw = message.SerializeToString()
    shape = chance.randrange(4)
    if shape == 3:
        return b"\0" + len(raw).to_bytes(4, "big") + raw
    return b"\0" + (raw if shape == 0 else as_otlp_json(message, indent=chance.choice((None, 1))))


def by_chance(minutes: float, seed: int) -> None:
    """Random mutations of the seeds until the time is over."""
    chance, inputs, runs = random.Random(seed), seeds(), 0
    messages = [TracesData.FromString(path.read_bytes()) for path in sorted(CAPTURES.rglob("*.binpb"))]
    messages = [message for message in messages if spans_of(message)]
    end = time.monotonic() + minutes * 60
    while time.monotonic() < end:
        is_valid = chance.random() < 0.3
        data = reshaped(chance, messages) if is_valid else mutated(chance.choice(inputs), chance, inputs)
        try:
            check(data)
        except BaseException:
            Path("fuzz_enrich_failure.bin").write_bytes(data)
            print(f"failed after {runs} inputs; the input is in fuzz_enrich_failure.bin")
            raise
        runs += 1
    print(f"{runs} inputs, {dict(seen)}")


def main() -> None:
    """Fuzz, guided by coverage if atheris is there; a file name instead of options checks that one input."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--random", action="store_true", help="random mutations even if atheris is there")
    parser.add_argument("--corpus", type=Path, help="folder for atheris to keep inputs in")
    parser.add_argument("input", nargs="*", type=Path, help="inputs to check once")
    options, rest = parser.parse_known_args()
    for path in options.input:
        check(path.read_bytes())
    if options.input:
        return
    if not atheris or options.random or not options.corpus:
        by_chance(options.minutes, options.seed)
        return
    options.corpus.mkdir(parents=True, exist_ok=True)
    for index, seed in enumerate(seeds()):
        (options.corpus / f"seed-{index:03}").write_bytes(seed)
    arguments = [
        sys.argv[0],
        str(options.corpus),
        f"-max_total_time={int(options.minutes * 60)}",
        "-max_len=20000",
    ]
    atheris.Setup([*arguments, *rest], check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
