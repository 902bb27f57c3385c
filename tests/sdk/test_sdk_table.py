"""The table made by column against `SpanTableBuilder`, which makes it row by row."""

from __future__ import annotations

import enum
import gc
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceState
from sdk_spans import CHAT, made

from wattspan.otlp.wire import IMPLEMENTATION, KeySet, SpanTable, SpanTableBuilder
from wattspan.sdk.table import SpanReader, Taken

needs_kernel = pytest.mark.skipif(IMPLEMENTATION != "cython", reason="the kernel is not built")
KEYS = KeySet(("a", "b", "c", "service.name", "wattspan.edition"))
OTLP_TYPES = {str: 1, bool: 2, int: 3, float: 4, tuple: 5, dict: 6, bytes: 7, type(None): 0}


class Colour(str, enum.Enum):  # noqa: UP042
    RED = "red"


class Odd:
    """What no exporter can send."""


VALUES = st.one_of(
    st.text(max_size=3),
    st.integers(-(2**63), 2**63 - 1),
    st.booleans(),
    st.floats(allow_nan=False),
    st.tuples(st.text(max_size=2)),
    st.just({"x": 1}),
    st.binary(max_size=2),
    st.none(),
)
ATTRIBUTES = st.dictionaries(st.sampled_from(("a", "b", "c", "not asked for", "wattspan.edition")), VALUES)
RESOURCES = [Resource({"service.name": name, "a": 7}) for name in ("shop", "desk")]
SCOPES = [None, InstrumentationScope("one", "1.0"), InstrumentationScope("two", None, None, {"b": True})]


@st.composite
def spans(draw: st.DrawFn) -> ReadableSpan:
    state = draw(st.sampled_from([None, TraceState([("ot", "th:8")])]))
    ids = draw(st.integers(1, 2**128 - 1)), draw(st.integers(1, 2**64 - 1))
    context = SpanContext(*ids, False, trace_state=state)
    parent = SpanContext(context.trace_id, draw(st.integers(1, 2**64 - 1)), True)
    return ReadableSpan(
        name=draw(st.text(max_size=3)),
        context=context,
        parent=draw(st.sampled_from([None, parent])),
        resource=draw(st.sampled_from(RESOURCES)),
        attributes=draw(st.one_of(ATTRIBUTES, st.none())),
        kind=draw(st.sampled_from(list(SpanKind))),
        status=Status(draw(st.sampled_from(list(StatusCode)))),
        start_time=draw(st.one_of(st.none(), st.integers(0, 2**63 - 1))),
        end_time=draw(st.one_of(st.none(), st.integers(0, 2**63 - 1))),
        instrumentation_scope=draw(st.sampled_from(SCOPES)),
    )


def typed(attributes: Mapping[str, Any] | None) -> list[tuple[str, int, object]]:
    return [
        (key, OTLP_TYPES[type(value)], value if OTLP_TYPES[type(value)] in (1, 2, 3, 4) else None)
        for key, value in (attributes or {}).items()
    ]


def built(batch: Sequence[ReadableSpan]) -> list[SpanTable]:
    """One table a span: the builder's order of resources and scopes is not that of the reader."""
    tables = []
    for span in batch:
        builder = SpanTableBuilder(KEYS)
        builder.resource(typed(span.resource.attributes))
        scope = span.instrumentation_scope
        if scope is None:
            builder.scope()
        else:
            builder.scope(scope.name, scope.version or "", typed(scope.attributes))
        builder.span(
            trace_id=span.context.trace_id.to_bytes(16, "big"),
            span_id=span.context.span_id.to_bytes(8, "big"),
            parent_span_id=span.parent.span_id.to_bytes(8, "big") if span.parent else b"",
            start_unix_ns=span.start_time or 0,
            end_unix_ns=span.end_time or 0,
            kind=span.kind.value + 1,
            status=span.status.status_code.value,
            name=span.name,
            trace_state=span.context.trace_state.to_header(),
            attributes=typed(span.attributes),
        )
        tables.append(builder.build())
    return tables


def said(table: SpanTable, row: int) -> dict[str, Any]:
    """All that a table says of a row, without codes and indices."""
    resource, scope = int(table.resource[row]), int(table.scope[row])

    def values(index: Any, at: int) -> dict[str, Any]:
        found = {}
        for place, key in enumerate(table.keys):
            line = index.of(place)
            if line is not None and (value := int(line[at])) >= 0:
                kind = int(table.value_type[value])
                number = int(table.value_int[value]), float(table.value_double[value])
                text = table.texts[table.value_text[value]] if kind == 1 else int(table.value_text[value])
                found[key] = kind, *number, text
        return found

    assert table.resource_of_scope[scope] == resource
    return {
        "ids": (table.trace_id[row].tobytes(), int(table.span_id[row]), int(table.parent_span_id[row])),
        "times": (int(table.start_unix_ns[row]), int(table.end_unix_ns[row])),
        "bounds": (int(table.start[row]), int(table.end[row])),
        "kind": (int(table.kind[row]), int(table.status[row])),
        "name": table.texts[table.name_code[row]],
        "trace state": table.texts[table.trace_state_code[row]],
        "own": bool(table.own_attr[row]),
        "span": values(table.span_index, row),
        "resource": values(table.resource_index, resource),
        "scope": values(table.scope_index, scope),
        "scope name": table.texts[table.scope_name_code[scope]],
        "scope version": table.texts[table.scope_version_code[scope]],
    }


def read_by(implementation: str, batch: Sequence[ReadableSpan]) -> Taken:
    """What the reader takes, in C where it can or in Python."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("wattspan.sdk.table.IMPLEMENTATION", implementation)
        return SpanReader(KEYS).read(batch)


BOTH = [pytest.param("cython", marks=needs_kernel), "opentelemetry-proto"]


@pytest.mark.parametrize("implementation", BOTH)
@settings(deadline=None, max_examples=150)
@given(batch=st.lists(spans(), max_size=8))
def test_the_table_says_what_the_builder_says(implementation: str, batch: list[ReadableSpan]) -> None:
    taken = read_by(implementation, batch)
    assert taken.unreadable == []
    assert taken.table.n == len(batch)
    expected = [said(table, 0) for table in built(batch)]
    assert [said(taken.table, row) for row in range(len(batch))] == expected
    assert [dict(copy) for copy in taken.attributes] == [dict(span.attributes) for span in batch]


@needs_kernel
def test_spans_as_the_sdk_makes_them_are_scanned_and_their_texts_outlive_them() -> None:
    batch = made(
        {"a": "one text", "b": 7, "c": True}, {"a": 0.5, "b": None, "c": ("x",), "wattspan.edition": "x"}
    )
    expected = [said(table, 0) for table in built(batch)]
    taken = SpanReader(KEYS).read(batch)
    assert taken.table.scanned is not None
    table = taken.table
    for copy in taken.attributes:
        copy.clear()
    del taken, batch
    gc.collect()
    assert [said(table, row) for row in range(2)] == expected
    assert table.carries_own


@needs_kernel
@pytest.mark.parametrize("odd", [b"bytes", {"x": 1}, Colour.RED, np.float64(0.5), "\ud800", Odd()])
def test_a_span_with_an_odd_value_is_for_the_reader_in_python(odd: Any) -> None:
    batch = [*made({"a": 1}), ReadableSpan("x", SpanContext(1, 2, False), attributes={"b": odd})]
    taken = SpanReader(KEYS).read(batch)
    assert taken.table.scanned is None
    assert taken.table.n == 2


def test_value_columns_have_the_types_of_the_builders() -> None:
    span = made({"a": 1, "b": "x", "c": 0.5})[0]
    table, (other,) = SpanReader(KEYS).read([span]).table, built([span])
    for name in SpanTable.__slots__:
        ours, theirs = getattr(table, name), getattr(other, name)
        if isinstance(theirs, np.ndarray):
            assert (ours.dtype, ours.ndim) == (theirs.dtype, theirs.ndim), name


@pytest.mark.parametrize("value", [Odd(), 2**63, -(2**63) - 1])
def test_what_no_exporter_can_send_is_not_there(value: Any) -> None:
    span = ReadableSpan("x", SpanContext(1, 2, False), attributes={"a": value, "b": "kept"})
    taken = SpanReader(KEYS).read([span, span])
    assert taken.unreadable == []
    assert said(taken.table, 1)["span"] == {"b": (1, 0, 0.0, b"kept")}


def test_texts_of_a_type_of_their_own_are_texts() -> None:
    span = ReadableSpan("x", SpanContext(1, 2, False), attributes={"a": Colour.RED, "b": np.float64(0.5)})
    assert said(SpanReader(KEYS).read([span]).table, 0)["span"] == {
        "a": (1, 0, 0.0, b"red"),
        "b": (4, 0, 0.5, -1),
    }


def test_a_span_that_cannot_be_read_is_named_and_the_others_are_read() -> None:
    good = made(CHAT, CHAT)
    taken = SpanReader(KEYS).read([good[0], ReadableSpan("no context"), good[1]])
    assert [index for index, _ in taken.unreadable] == [1]
    assert taken.rows == [0, 2]
    assert taken.table.span_id.tolist() == [span.context.span_id for span in good]


def test_an_application_that_invents_keys_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    from wattspan.sdk import table

    monkeypatch.setattr(table, "IMPLEMENTATION", "opentelemetry-proto")
    reader = SpanReader(KEYS)
    for number in range(table.MOST_SHAPES + 10):
        span = ReadableSpan("x", SpanContext(1, 2, False), attributes={"a": 1, f"key {number}": 2})
        reader.read([span])
    assert len(reader._shapes) <= table.MOST_SHAPES
