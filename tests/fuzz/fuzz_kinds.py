"""Fuzz of the path by kinds against the path by columns: readings, owners, memories, figures, bytes.

By hand: `python tests/fuzz/fuzz_kinds.py --minutes 5 --seed 1`. Streams of small requests, damaged or with
other attributes, ids, times and order than real ones, go through the compiled modules (`_kernel`, `_kinds`,
`_look`, `_recent`, `_program`, `_templates`, `_splice`, and `_spans` for spans of the SDK); more is seen
where they were built with `-fsanitize=address,undefined`. What is checked:

- nothing but WireError is raised, and nothing crashes;
- one in `--compared` streams is read again by columns, and has the same bytes, problems and figures.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from fuzz_enrich import ESTIMATOR, KEYS, VALUES
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, Status, StatusCode
from otlp_spans import CAPTURES, spans_of

from wattspan.estimator import program
from wattspan.otlp.dialects import KindReader, read
from wattspan.otlp.enrich import KEYS as KEYSET
from wattspan.otlp.enrich import Enricher
from wattspan.otlp.owners import OwnerMemory
from wattspan.otlp.wire import IMPLEMENTATION
from wattspan.sdk.table import SpanReader

if IMPLEMENTATION != "cython" or not program.HAS_RUNNER:
    sys.exit("the compiled modules are not built: python setup.py build_ext --inplace")

TIMES = (0, 1, 10**18, 1_795_451_994_000_000_000, 2**63 - 1, 2**63, 2**64 - 1)
ODD: tuple[Any, ...] = (
    None,
    b"x",
    {"a": 1},
    2**63,
    -(2**63),
    "\ud800",
    float("nan"),
    ("a", 1),
    object(),
    1.5,
)
seen: Counter[str] = Counter()


def stream_of(chance: random.Random, messages: list[TracesData]) -> list[list[bytes]]:
    """Windows of small requests whose spans belong together by chance."""
    windows = []
    for _ in range(chance.choice((1, 2, 3))):
        window = []
        for _ in range(chance.choice((1, 1, 2, 4))):
            message = TracesData()
            message.CopyFrom(chance.choice(messages))
            spans = spans_of(message)
            for _ in range(chance.choice((0, 1, 3, 10))):
                changed(chance, chance.choice(spans), spans)
            raw = message.SerializeToString()
            if chance.random() < 0.2:
                damaged = bytearray(raw)
                for _ in range(chance.choice((1, 2))):
                    damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
                raw = bytes(damaged[: len(damaged) - chance.choice((0, 0, 0, 7))])
            window.append(raw)
        windows.append(window)
    return windows


def changed(chance: random.Random, span: Any, spans: list[Any]) -> None:
    other = chance.choice(spans)
    match chance.randrange(8):
        case 0:
            span.attributes.add(key=chance.choice(KEYS), value=chance.choice(VALUES))
        case 1 if span.attributes:
            chance.choice(span.attributes).value.CopyFrom(chance.choice(VALUES))
        case 2 if span.attributes:
            del span.attributes[chance.randrange(len(span.attributes))]
        case 3:
            span.parent_span_id = other.span_id
        case 4:
            span.span_id, span.trace_id = other.span_id, other.trace_id
        case 5:
            span.trace_id, span.span_id = chance.randbytes(16), chance.randbytes(chance.choice((8, 8, 0, 3)))
        case 6:
            span.start_time_unix_nano, span.end_time_unix_nano = chance.choice(TIMES), chance.choice(TIMES)
        case _:
            span.name = other.name


def outcome(windows: list[list[bytes]], *, is_told: bool, by_columns: bool = False) -> list[str]:
    """All that is said of a stream, where it is to be told."""
    enricher = Enricher(ESTIMATOR, memory=OwnerMemory(most_traces=20, most_calls=60, most_calls_of_trace=8))
    if by_columns:
        enricher._reader.read = read  # type: ignore[method-assign]
        enricher._appending = lambda *_: None  # type: ignore[method-assign]
        program.HAS_RUNNER = False  # type: ignore[misc]
    said = []
    try:
        for window in windows:
            for found in enricher.protobuf(window):
                seen["calls"] += len(found.calls)
                seen["spans"] += found.table.n
                if is_told:
                    said.append(repr((found.messages, found.problems, found.estimates.energy_kwh.tolist())))
    finally:
        program.HAS_RUNNER = True  # type: ignore[misc]
    return said


def sdk_spans(chance: random.Random, messages: list[TracesData]) -> list[ReadableSpan]:
    """Spans of the SDK with what real ones say, and now and then what none should."""
    message = chance.choice(messages)
    made = []
    for resource in message.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans[:4]:
                attributes: dict[Any, Any] = {}
                for one in span.attributes:
                    kind = one.value.WhichOneof("value")
                    attributes[one.key] = getattr(one.value, kind) if kind and "list" not in kind else ("a",)
                if chance.random() < 0.2:
                    attributes[chance.choice((*KEYS, 7))] = chance.choice(ODD)
                context = SpanContext(chance.getrandbits(128), chance.getrandbits(64), False)
                made.append(
                    ReadableSpan(
                        span.name if chance.random() < 0.95 else chance.choice(ODD),
                        context=context,
                        parent=chance.choice((None, context)),
                        resource=Resource({"service.name": "x"}),
                        attributes=attributes,
                        status=Status(chance.choice(list(StatusCode))),
                        start_time=chance.choice((None, *TIMES)),
                        end_time=chance.choice((None, *TIMES)),
                        instrumentation_scope=InstrumentationScope(scope.scope.name, scope.scope.version),
                    )
                )
    return made


def main() -> None:
    """Fuzz until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--compared", type=int, default=8, help="compare one in so many streams")
    options = parser.parse_args()
    chance = random.Random(options.seed)
    messages = []
    for path in sorted(CAPTURES.rglob("*.binpb")):
        message = TracesData.FromString(path.read_bytes())
        for resource in message.resource_spans:
            for scope in resource.scope_spans:
                del scope.spans[4:]
        if spans_of(message):
            messages.append(message)
    reader, kinds = SpanReader(KEYSET), KindReader()
    end = time.monotonic() + options.minutes * 60
    while time.monotonic() < end:
        windows = stream_of(chance, messages)
        seen["streams"] += 1
        seen["requests"] += sum(map(len, windows))
        is_compared = seen["streams"] % options.compared == 0
        said = outcome(windows, is_told=is_compared)
        if is_compared and said != outcome(windows, is_told=True, by_columns=True):
            Path("fuzz_kinds_failure.txt").write_text(repr(windows))
            sys.exit("by kinds and by columns are not the same; the stream is in fuzz_kinds_failure.txt")
        taken = reader.read(sdk_spans(chance, messages))
        kinds.read(taken.table)
        seen["SDK spans"] += taken.table.n
    print(dict(seen))


if __name__ == "__main__":
    main()
