"""The spans of `span_tables` and of the property tests as bytes, for what only the kernel's scan can show."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from span_tables import MS, START_NS, S, typed

from wattspan.otlp.dialects import DIALECT_KEYS
from wattspan.otlp.wire import (
    ARRAY,
    BOOL,
    BYTES,
    DOUBLE,
    IMPLEMENTATION,
    INT,
    KVLIST,
    STRING,
    SpanTable,
    scan,
)
from wattspan.otlp.wire.messages import raw_messages

needs_kernel = pytest.mark.skipif(IMPLEMENTATION != "cython", reason="the kernel is not built")

Attributes = Iterable[tuple[str, int, Any]]


def message_of(spans: Sequence[S], resource: dict[str, Any] | None = None) -> bytes:
    """The bytes of `spans`, one scope after another as they come."""
    return encoded(
        (
            (
                span.scope,
                typed(span.attributes),
                {
                    "trace_id": span.trace.to_bytes(16, "big"),
                    "span_id": span.id.to_bytes(8, "big"),
                    "parent_span_id": span.parent.to_bytes(8, "big") if span.parent else b"",
                    "start_time_unix_nano": START_NS + int(span.at[0] * MS),
                    "end_time_unix_nano": START_NS + int(span.at[1] * MS),
                    "kind": span.kind,
                    "name": span.name.encode(),
                },
                span.status,
            )
            for span in spans
        ),
        typed(resource or {}),
    )


def scanned(spans: Sequence[S], resource: dict[str, Any] | None = None) -> SpanTable:
    """The table that the kernel makes of `spans`."""
    table = scan(message_of(spans, resource), DIALECT_KEYS)
    assert table.scanned is not None
    return table


def encoded(spans: Iterable[tuple[str, Attributes, dict[str, Any], int]], resource: Attributes = ()) -> bytes:
    """A request of spans: (scope, attributes, fields, status)."""
    traces, _ = raw_messages()
    message = traces()
    of = message.resource_spans.add()
    _put(of.resource.attributes, resource)
    scope: str | None = None
    for name, attributes, fields, status in spans:
        if name != scope:
            scope = name
            inside = of.scope_spans.add()
            inside.scope.name = name.encode()
        span = inside.spans.add(**fields)
        span.status.code = status
        _put(span.attributes, attributes)
    made: bytes = message.SerializeToString()
    return made


def _put(holder: Any, attributes: Attributes) -> None:
    for key, kind, value in attributes:
        one = holder.add(key=key.encode())
        if kind == STRING:
            one.value.string_value = (
                value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")
            )
        elif kind in (BOOL, INT, DOUBLE):
            setattr(one.value, {BOOL: "bool_value", INT: "int_value", DOUBLE: "double_value"}[kind], value)
        elif kind == BYTES:
            one.value.bytes_value = b"x"
        elif kind in (ARRAY, KVLIST):
            getattr(one.value, "array_value" if kind == ARRAY else "kvlist_value").SetInParent()
