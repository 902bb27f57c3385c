"""`SpanRows` to Arrow and back: what the journal and the sealer hold between request and segment."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa

from wattspan.calls import CallBatch, Column
from wattspan.lake.rows import Attributes, Floats, Ints, SpanRows
from wattspan.lake.schema import CALL, IDENTITY, KEPT_SHARE, SPAN, TEXT

RAW: Final = pa.schema([*IDENTITY, *SPAN, KEPT_SHARE, *CALL])
"""The raw columns of a segment."""

_CALL_TEXTS: Final = tuple(
    field.name for field in CALL if field.type == TEXT and field.name != "reasoning_effort"
)
_CALL_COUNTS: Final = tuple(field.name for field in CALL if field.name.endswith("_tokens"))


def text_array(column: Column, rows: Ints | None = None, n: int = 0) -> pa.DictionaryArray:
    """A text column as Arrow has it; with `rows` the values of those of `n` rows, null elsewhere."""
    dictionary = pa.array(column.names, type=pa.string())
    if rows is None:
        return pa.DictionaryArray.from_arrays(pa.array(column.codes, type=pa.int32()), dictionary)
    codes = np.zeros(n, dtype=np.int32)
    codes[rows] = column.codes
    return pa.DictionaryArray.from_arrays(pa.array(codes, mask=_without(rows, n)), dictionary)


def text_column(array: Any) -> Column:
    """A dictionary-coded Arrow array as a Column; null becomes ""."""
    if isinstance(array, pa.ChunkedArray):
        array = array.unify_dictionaries().combine_chunks()
        if isinstance(array, pa.ChunkedArray):
            array = array.chunk(0) if array.num_chunks else pa.array([], type=TEXT)
    names = array.dictionary.to_pylist()
    codes = array.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32, copy=False)
    if names and names[0] == "":
        return Column(np.where(codes < 0, 0, codes).astype(np.int32, copy=False), tuple(names))
    if "" in names:
        swap = names.index("")
        moved = np.arange(len(names), dtype=np.int32)
        names[0], names[swap] = names[swap], names[0]
        moved[0], moved[swap] = swap, 0
        return Column(np.where(codes < 0, 0, moved[codes]).astype(np.int32), tuple(names))
    return Column((codes + 1).astype(np.int32), ("", *names))


def to_arrow(rows: SpanRows) -> pa.RecordBatch:
    """The raw columns of `rows`."""
    n, at = len(rows), rows.call_rows
    absent = _without(at, n)
    calls = rows.calls

    def spread(values: Any, dtype: Any) -> pa.Array:
        wide = np.zeros(n, dtype=dtype)
        wide[at] = values
        return pa.array(wide, mask=absent)

    columns: dict[str, Any] = {
        "trace_id": pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(16), n, [None, pa.py_buffer(np.ascontiguousarray(rows.trace_id))]
        ),
        "span_id": pa.array(rows.span_id),
        "parent_span_id": pa.array(rows.parent_span_id),
        "start_unix_ns": pa.array(rows.start_unix_ns),
        "duration_ns": pa.array(rows.duration_ns),
        "kind": pa.array(rows.kind),
        "status": pa.array(rows.status),
        **{name: text_array(getattr(rows, name)) for name in ("service", "scope", "name", "agent", "tool")},
        "cpu_ns": pa.array(rows.cpu_ns, mask=rows.cpu_ns < 0),
        "attributes": _map(rows.attributes),
        "kept_share": pa.array(rows.kept_share, mask=np.isnan(rows.kept_share)),
        "role": spread(rows.role, np.int8),
        "call_start_unix_ns": _call_starts(rows),
        **{name: text_array(getattr(calls, name), at, n) for name in _CALL_TEXTS},
        "reasoning_effort": text_array(rows.reasoning_effort, at, n),
        **{name: spread(getattr(calls, name), np.int64) for name in _CALL_COUNTS},
        **{
            name: spread(getattr(calls, name), np.bool_)
            for name in ("is_self_hosted", "has_usage", "is_error", "is_measured")
        },
        "is_continuation": spread(rows.is_continuation, np.bool_),
        "response_hash": spread(rows.response_hash, np.uint64),
        "reported_energy_kwh": _numbers(calls.reported_energy_kwh, at, n),
        "reported_cost_usd": _numbers(rows.reported_cost_usd, at, n),
    }
    return pa.RecordBatch.from_arrays([columns[field.name] for field in RAW], schema=RAW)


def from_arrow(table: pa.Table) -> SpanRows:
    """The rows of raw columns (further columns are let be)."""
    table = table.select(RAW.names).combine_chunks()
    numbers = _Numbers(table)
    at = np.flatnonzero(numbers.present("role"))
    called = table.take(pa.array(at)) if len(at) < table.num_rows else table
    of_calls = _Numbers(called)
    start, duration = numbers.of("start_unix_ns"), numbers.of("duration_ns")
    call_start, call_duration = _call_times(of_calls, start[at], duration[at])
    calls: dict[str, Any] = {
        **{name: text_column(called.column(name)) for name in _CALL_TEXTS},
        **{name: of_calls.of(name) for name in _CALL_COUNTS},
        **{name: of_calls.flags(name) for name in ("is_self_hosted", "has_usage", "is_error", "is_measured")},
        "reported_energy_kwh": of_calls.of("reported_energy_kwh"),
        "start_unix_ns": call_start,
        "duration_ns": call_duration,
        "service": text_column(called.column("service")),
    }
    trace_id = table.column("trace_id")
    trace_id = trace_id.chunk(0) if trace_id.num_chunks else pa.array([], type=pa.binary(16))
    first = trace_id.offset * 16
    raw = np.frombuffer(trace_id.buffers()[1], dtype=np.uint8) if len(trace_id) else np.empty(0, np.uint8)
    cpu = table.column("cpu_ns").fill_null(-1).to_numpy()
    return SpanRows(
        trace_id=raw[first : first + 16 * len(trace_id)].reshape(-1, 16),
        span_id=numbers.of("span_id"),
        parent_span_id=numbers.of("parent_span_id"),
        start_unix_ns=start,
        duration_ns=duration,
        kind=numbers.of("kind"),
        status=numbers.of("status"),
        **{name: text_column(table.column(name)) for name in ("service", "scope", "name", "agent", "tool")},
        cpu_ns=cpu,
        kept_share=numbers.of("kept_share"),
        attributes=_attributes(table.column("attributes")),
        call_rows=at,
        calls=CallBatch(**calls),
        role=of_calls.of("role"),
        is_continuation=of_calls.flags("is_continuation"),
        response_hash=of_calls.of("response_hash"),
        reasoning_effort=text_column(called.column("reasoning_effort")),
        reported_cost_usd=of_calls.of("reported_cost_usd"),
    )


class _Numbers:
    """Numeric columns of a table as arrays; null is 0, or NaN."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def of(self, name: str) -> Any:
        column = self._table.column(name)
        if column.null_count:
            column = column.fill_null(float("nan") if pa.types.is_floating(column.type) else 0)
        return column.to_numpy()

    def flags(self, name: str) -> Any:
        return self._table.column(name).fill_null(False).to_numpy().astype(np.bool_)

    def present(self, name: str) -> Any:
        return self._table.column(name).is_valid().to_numpy()


def _numbers(values: Floats, rows: Ints, n: int) -> pa.Array:
    wide = np.full(n, np.nan)
    wide[rows] = values
    return pa.array(wide, mask=np.isnan(wide))


def _call_starts(rows: SpanRows) -> pa.Array:
    starts = rows.calls.start_unix_ns
    differs = starts != rows.start_unix_ns[rows.call_rows]
    wide, absent = np.zeros(len(rows), dtype=np.int64), np.ones(len(rows), dtype=np.bool_)
    at = rows.call_rows[differs]
    wide[at], absent[at] = starts[differs], False
    return pa.array(wide, mask=absent)


def _call_times(calls: _Numbers, start: Ints, duration: Ints) -> tuple[Ints, Ints]:
    """Start and duration of calls whose spans have `start` and `duration`."""
    differs = calls.present("call_start_unix_ns")
    if not differs.any():
        return start, duration
    call_start = np.where(differs, calls.of("call_start_unix_ns"), start)
    return call_start, np.where(differs, np.maximum(start + duration - call_start, 0), duration)


def _map(attributes: Attributes) -> pa.MapArray:
    key, value = (text_array(column).dictionary_decode() for column in (attributes.key, attributes.value))
    return pa.MapArray.from_arrays(pa.array(attributes.offsets.astype(np.int32)), key, value)


def _attributes(column: pa.ChunkedArray) -> Attributes:
    array = (
        column.chunk(0)
        if column.num_chunks == 1
        else pa.concat_arrays(column.chunks or [pa.array([], column.type)])
    )
    offsets = array.offsets.to_numpy().astype(np.int64)
    first, last = (int(offsets[0]), int(offsets[-1])) if len(offsets) else (0, 0)
    key, value = (
        text_column(items.slice(first, last - first).dictionary_encode())
        for items in (array.keys, array.items)
    )
    return Attributes(offsets - first if len(offsets) else np.zeros(1, np.int64), key, value)


def _without(rows: Ints, n: int) -> Any:
    absent = np.ones(n, dtype=np.bool_)
    absent[rows] = False
    return absent
