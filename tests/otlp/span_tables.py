"""Small span tables for the tests of dialects and owners, built row by row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from wattspan.otlp.dialects import DIALECT_KEYS, Reading, read
from wattspan.otlp.owners import OwnerMemory, Ownership, decide
from wattspan.otlp.wire import BOOL, DOUBLE, INT, STRING, SpanTable, SpanTableBuilder

START_NS = 1_795_451_994_000_000_000
MS = 1_000_000

_TYPES = {bool: BOOL, int: INT, float: DOUBLE, str: STRING, bytes: STRING}


@dataclass(frozen=True)
class S:
    """A span: times in ms after START_NS, ids as small numbers."""

    id: int
    attributes: dict[str, Any] = field(default_factory=dict)
    parent: int = 0
    at: tuple[float, float] = (0, 1000)
    trace: int = 1
    scope: str = "my.app"
    name: str = "span"
    kind: int = 3
    status: int = 0

    def but(self, **changes: Any) -> S:
        return replace(self, **changes)


def table_of(spans: Iterable[S], resource: dict[str, Any] | None = None) -> SpanTable:
    """The table of `spans` in the given order, one scope after another as they come."""
    builder = SpanTableBuilder(DIALECT_KEYS)
    builder.resource(typed(resource or {}))
    scope: str | None = None
    for span in spans:
        if span.scope != scope:
            scope = span.scope
            builder.scope(scope)
        builder.span(
            trace_id=span.trace.to_bytes(16, "big"),
            span_id=span.id.to_bytes(8, "big"),
            parent_span_id=span.parent.to_bytes(8, "big") if span.parent else b"",
            start_unix_ns=START_NS + int(span.at[0] * MS),
            end_unix_ns=START_NS + int(span.at[1] * MS),
            kind=span.kind,
            status=span.status,
            name=span.name,
            attributes=typed(span.attributes),
        )
    return builder.build()


def typed(attributes: dict[str, Any]) -> list[tuple[str, int, object]]:
    return [(key, _TYPES[type(value)], value) for key, value in attributes.items()]


def reading_of(*spans: S, resource: dict[str, Any] | None = None) -> Reading:
    return read(table_of(spans, resource))


def owned(spans: Sequence[S], memory: OwnerMemory | None = None) -> tuple[Reading, Ownership]:
    table = table_of(spans)
    reading = read(table)
    return reading, decide(table, reading, memory)


def owners_of(spans: Sequence[S], memory: OwnerMemory | None = None) -> dict[int, int]:
    """Owner's span id by span id, for the calls and aggregates among `spans`."""
    table = table_of(spans)
    reading = read(table)
    ownership = decide(table, reading, memory)
    ids = table.span_id[reading.rows].tolist()
    return dict(zip(ids, ownership.owner_span_id.tolist(), strict=True))


def chat(
    id: int,
    tokens: tuple[int, int] | None = (1000, 300),
    *,
    response: str = "",
    model: str = "gpt-4o",
    error: str = "",
    operation: str = "chat",
    more: dict[str, Any] | None = None,
    **span: Any,
) -> S:
    """A chat span by the newest conventions; no usage with `tokens=None`."""
    attributes: dict[str, Any] = {"gen_ai.operation.name": operation, "gen_ai.request.model": model}
    if tokens is not None:
        attributes["gen_ai.usage.input_tokens"], attributes["gen_ai.usage.output_tokens"] = tokens
    if response:
        attributes["gen_ai.response.id"] = response
    if error:
        attributes["error.type"] = error
    return S(id, {**attributes, **(more or {})}, status=2 if error else 0, **span)


def agent(id: int, tokens: tuple[int, int] | None, **span: Any) -> S:
    """An `invoke_agent` span."""
    more = {"gen_ai.agent.name": "clerk", **span.pop("more", {})}
    return chat(id, tokens, operation="invoke_agent", more=more, kind=1, **span)
