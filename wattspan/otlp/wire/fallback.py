"""The kernel's interface on opentelemetry-proto, for installations without a compiler: same answers, slower.

`splice` parses and serialises the whole request: unknown fields stay, the order of fields may change.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from google.protobuf.message import DecodeError

from wattspan.calls import Column
from wattspan.otlp.wire.encode import Additions, AttributeColumn, encode_attribute
from wattspan.otlp.wire.errors import WireError
from wattspan.otlp.wire.keyset import KeySet, key_set
from wattspan.otlp.wire.limits import FAULTS, MOST_BYTES, MOST_ROWS, TOO_MANY_BYTES, TOO_MANY_ROWS
from wattspan.otlp.wire.messages import raw_messages
from wattspan.otlp.wire.table import Attribute, SpanTable, SpanTableBuilder
from wattspan.otlp.wire.walk import check, span_bounds

_KINDS = {
    "string_value": 1,
    "bool_value": 2,
    "int_value": 3,
    "double_value": 4,
    "array_value": 5,
    "kvlist_value": 6,
    "bytes_value": 7,
}


def scan(
    data: bytes | bytearray | memoryview, keys: KeySet | Sequence[str], ends: Sequence[int] = ()
) -> SpanTable:
    """As the kernel's `scan`."""
    raw = bytes(data)
    builder = SpanTableBuilder(keys)
    bounds_of = list(pairwise([0, *ends, len(raw)]))
    for place, (begin, end) in enumerate(bounds_of):
        if not begin <= end <= len(raw):
            raise ValueError(f"message {place} ends at {end}, outside {begin} to {len(raw)}")
    for begin, end in bounds_of if ends else ():
        try:
            _parse(raw[begin:end])
        except WireError as error:
            raise WireError(begin + error.offset, error.what) from error
    request = _parse(raw)
    scopes = [len(resource_spans.scope_spans) for resource_spans in request.resource_spans]
    spans = sum(
        len(scope.spans) for resource_spans in request.resource_spans for scope in resource_spans.scope_spans
    )
    if max(len(scopes), sum(scopes), spans) > MOST_ROWS:
        raise WireError(0, FAULTS[TOO_MANY_ROWS])
    bounds = span_bounds(raw)
    for resource_spans in request.resource_spans:
        builder.resource(_attributes(resource_spans.resource))
        for scope_spans in resource_spans.scope_spans:
            scope = scope_spans.scope
            builder.scope(scope.name, scope.version, _attributes(scope))
            for span in scope_spans.spans:
                start, end = next(bounds)
                builder.span(
                    start=start,
                    end=end,
                    trace_id=span.trace_id,
                    span_id=span.span_id,
                    parent_span_id=span.parent_span_id,
                    start_unix_ns=span.start_time_unix_nano,
                    end_unix_ns=span.end_time_unix_nano,
                    kind=span.kind,
                    status=span.status.code,
                    name=span.name,
                    trace_state=span.trace_state,
                    attributes=_attributes(span),
                )
    return builder.build()


def splice(
    data: bytes | bytearray | memoryview,
    table: SpanTable,
    additions: Sequence[bytes | None],
    cut: Sequence[str] | KeySet,
) -> bytes:
    """As the kernel's `splice`; where something changes, the whole request is written anew."""
    raw = bytes(data)
    if len(additions) != table.n:
        raise ValueError(
            f"{len(additions)} additions for {table.n} spans; give one for each (None: leave the span alone)"
        )
    unwanted = {key.encode("utf-8", "surrogateescape") for key in key_set(cut).keys}
    request = _parse(raw)
    spans = [
        span
        for resource_spans in request.resource_spans
        for scope_spans in resource_spans.scope_spans
        for span in scope_spans.spans
    ]
    if len(spans) != table.n:
        raise ValueError(f"the table has {table.n} spans, the data has another number of them")
    is_changed = False
    for span, addition in zip(spans, additions, strict=True):
        if addition is None:
            continue
        kept = [attribute for attribute in span.attributes if attribute.key not in unwanted]
        if len(kept) < len(span.attributes):
            is_changed = True
            copies = [type(attribute).FromString(attribute.SerializeToString()) for attribute in kept]
            del span.attributes[:]
            span.attributes.extend(copies)
        if addition:
            is_changed = True
            span.MergeFromString(addition)
    return request.SerializeToString() if is_changed else raw


def encode_columns(columns: Iterable[AttributeColumn], rows: npt.NDArray[np.int64], n: int) -> Additions:
    """As the kernel's `encode_columns`."""
    cells = [_cells(column, len(rows)) for column in columns]
    made: list[bytes | None] = [None] * n
    for row, span in enumerate(rows.tolist()):
        if not 0 <= span < n:
            raise ValueError(f"row {row} goes to span {span}, but there are {n} spans")
        if made[span] is not None:
            raise ValueError(f"span {span} is named twice")
        made[span] = b"".join(column[row] for column in cells)
    offsets = np.zeros(n + 1, dtype=np.int64)
    np.cumsum([len(fields or b"") for fields in made], out=offsets[1:])
    edits = np.array([fields is not None for fields in made], dtype=np.bool_)
    return Additions(b"".join(fields or b"" for fields in made), offsets, edits)


def _cells(column: AttributeColumn, k: int) -> list[bytes]:
    key, values, present = column
    if isinstance(values, Column):
        texts = [values.names[code] if code >= 0 else "" for code in values.codes.tolist()]
        cells = [encode_attribute(key, text) if text else b"" for text in texts]
    elif isinstance(values, str | bool | int | float):
        is_left_out = values == "" or (isinstance(values, float) and not np.isfinite(values))
        cells = [b"" if is_left_out else encode_attribute(key, values)] * k
    else:
        array = np.asarray(values)
        if array.dtype.kind not in "bif":
            raise TypeError(
                f"attribute {key}: an array of {array.dtype} cannot be written; use float64, int64 or bool"
            )
        numbers = zip(array.tolist(), np.isfinite(array).tolist(), strict=True)
        cells = [encode_attribute(key, number) if is_finite else b"" for number, is_finite in numbers]
    if len(cells) != k:
        raise ValueError(f"attribute {key} has an array of shape ({len(cells)},), there are {k} rows")
    if present is None:
        return cells
    if len(present) != k:
        raise ValueError(f"attribute {key} has an array of shape {present.shape}, there are {k} rows")
    return [cell if there else b"" for cell, there in zip(cells, present.tolist(), strict=True)]


def _parse(raw: bytes) -> Any:
    if len(raw) > MOST_BYTES:
        raise WireError(0, FAULTS[TOO_MANY_BYTES])
    traces, _ = raw_messages()
    try:
        return traces.FromString(raw)
    except DecodeError as error:
        # The parser does not say where; this looks again, and raises.
        check(raw)
        raise WireError(0, f"the protobuf parser refuses the request: {error}") from error


def _attributes(holder: Any) -> list[Attribute]:
    return [
        (attribute.key.decode("utf-8", "surrogateescape"), *_value(attribute.value))
        for attribute in holder.attributes
    ]


def _value(value: Any) -> tuple[int, object]:
    chosen = value.WhichOneof("value")
    kind = _KINDS.get(chosen, 0)
    return kind, getattr(value, chosen) if 1 <= kind <= 4 else None
