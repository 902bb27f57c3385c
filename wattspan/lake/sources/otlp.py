"""OTLP files of every shape that `wattspan enrich` reads, as tables of spans."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from wattspan.otlp.containers import Container, Encoding, Part
from wattspan.otlp.files import placed, windows
from wattspan.otlp.json_text import JsonText
from wattspan.otlp.pieces import read_messages
from wattspan.otlp.problems import Problem
from wattspan.otlp.wire import KeySet, SpanTable, SpanTableBuilder

WINDOW_BYTES: Final = 16 * 1024 * 1024
"""Messages are gathered up to this size and read together."""

JSON_SPANS: Final = 50_000
"""JSON texts are gathered up to this many spans: Python objects take their room."""


def read_otlp(
    read: Callable[[int], bytes], name: str, keys: KeySet, report: Callable[[Problem], None]
) -> Iterator[SpanTable]:
    """The spans of an OTLP file: `read(n)` gives at most n more bytes of it, b"" at the end.

    Protobuf, JSON, JSON lines or length-prefixed frames; plain, gzip or zstd. What cannot be read is
    reported by file and byte; the rest is read.
    """
    container = Container(read, name)
    for window in windows(container, WINDOW_BYTES):
        parts = [part for part in window if part.encoding is not Encoding.OPAQUE]
        if parts and parts[0].encoding is Encoding.JSON:
            yield from _json(parts, name, keys, report)
        elif parts:
            yield from _protobuf(parts, name, keys, report)
    for damage in container.damages:
        report(Problem(damage.reason, name, None if damage.is_compressed else damage.offset))


def _protobuf(
    parts: Sequence[Part], name: str, keys: KeySet, report: Callable[[Problem], None]
) -> Iterator[SpanTable]:
    for table, problems in read_messages([part.payload for part in parts], keys):
        for index, problem in problems:
            report(placed(problem, name, parts[index]))
        yield table


def _json(
    parts: Sequence[Part], name: str, keys: KeySet, report: Callable[[Problem], None]
) -> Iterator[SpanTable]:
    builder, spans = SpanTableBuilder(keys), 0
    for part in parts:
        text = JsonText(part.payload, builder, keys.position)
        spans += len(text.spans)
        for problem in text.problems:
            report(placed(problem, name, part))
        if spans >= JSON_SPANS:
            yield builder.build()
            builder, spans = SpanTableBuilder(keys), 0
    yield builder.build()
