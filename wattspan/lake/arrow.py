"""`SpanRows` to Arrow and back: what journal and segments hold, with as little copying as Arrow allows."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from wattspan.calls import CallBatch, Column
from wattspan.lake.rows import Attributes, Flags, Ints, SpanRows
from wattspan.lake.schema import CALL, IDENTITY, KEPT_SHARE, SPAN, TEXT

RAW: Final = pa.schema([*IDENTITY, *SPAN, KEPT_SHARE, *CALL])
"""The raw columns of a segment."""


class Validity:
    """Which of n rows have a value, as Arrow wants it."""

    def __init__(self, present: Flags) -> None:
        self.buffer = pa.py_buffer(np.packbits(present, bitorder="little"))
        self.nulls = int(len(present) - np.count_nonzero(present))


def number(values: npt.NDArray[Any], valid: Validity | None = None) -> pa.Array:
    """An array of numbers, null where `valid` says so."""
    values = np.ascontiguousarray(values)
    buffers = [valid and valid.buffer, pa.py_buffer(values)]
    return pa.Array.from_buffers(
        pa.from_numpy_dtype(values.dtype), len(values), buffers, valid.nulls if valid else 0
    )


def flags(values: Flags, valid: Validity | None = None) -> pa.Array:
    """An array of truth values."""
    data = pa.py_buffer(np.packbits(values, bitorder="little"))
    return pa.Array.from_buffers(
        pa.bool_(), len(values), [valid and valid.buffer, data], valid.nulls if valid else 0
    )


def text_array(column: Column, valid: Validity | None = None) -> pa.Array:
    """A dictionary-coded array."""
    codes = np.ascontiguousarray(column.codes, dtype=np.int32)
    names = pa.array(column.names, type=pa.string())
    return pa.DictionaryArray.from_buffers(
        TEXT,
        len(codes),
        [valid and valid.buffer, pa.py_buffer(codes)],
        names,
        valid.nulls if valid else 0,
    )


def nullable(values: npt.NDArray[np.float64]) -> pa.Array:
    """Numbers, null where NaN."""
    present = ~np.isnan(values)
    return number(values, None if present.all() else Validity(present))


def _spread(values: npt.NDArray[Any], rows: Ints, n: int) -> npt.NDArray[Any]:
    """`values` at `rows` of an array of n."""
    spread = np.zeros(n, dtype=values.dtype)
    spread[rows] = values
    return spread


def raw_arrays(rows: SpanRows) -> list[pa.Array]:
    """The columns of RAW."""
    n = len(rows)
    calls, at = rows.calls, rows.call_rows
    is_call = rows.is_call
    valid = Validity(is_call) if len(at) < n else None
    made: dict[str, pa.Array] = {
        "trace_id": pa.Array.from_buffers(
            pa.binary(16), n, [None, pa.py_buffer(np.ascontiguousarray(rows.trace_id))]
        ),
        "cpu_ns": number(rows.cpu_ns, Validity(rows.cpu_ns >= 0)),
        "kept_share": nullable(rows.kept_share),
        "attributes": _map(rows.attributes),
        "call_start_unix_ns": _call_starts(rows),
    }
    for name in ("span_id", "parent_span_id", "start_unix_ns", "duration_ns", "kind", "status"):
        made[name] = number(getattr(rows, name))
    for name in ("service", "scope", "name", "agent", "tool"):
        made[name] = text_array(getattr(rows, name))
    for name in ("role", "response_hash"):
        made[name] = number(_spread(getattr(rows, name), at, n), valid)
    made["is_continuation"] = flags(_spread(rows.is_continuation, at, n), valid)
    made["reasoning_effort"] = text_array(_spread_text(rows.reasoning_effort, at, n), valid)
    for field in CALL:
        if field.name in made:
            continue
        if field.name == "reported_cost_usd":
            made[field.name] = nullable(_spread_floats(rows.reported_cost_usd, at, n))
            continue
        value = getattr(calls, field.name)
        if isinstance(value, Column):
            made[field.name] = text_array(_spread_text(value, at, n), valid)
        elif value.dtype == np.bool_:
            made[field.name] = flags(_spread(value, at, n), valid)
        elif value.dtype == np.float64:
            made[field.name] = nullable(_spread_floats(value, at, n))
        else:
            made[field.name] = number(_spread(value, at, n), valid)
    return [made[name] for name in RAW.names]


def _spread_text(column: Column, rows: Ints, n: int) -> Column:
    return Column(_spread(column.codes, rows, n), column.names)


def _spread_floats(values: npt.NDArray[np.float64], rows: Ints, n: int) -> npt.NDArray[np.float64]:
    spread = np.full(n, np.nan)
    spread[rows] = values
    return spread


def _call_starts(rows: SpanRows) -> pa.Array:
    differs = rows.calls.start_unix_ns != rows.start_unix_ns[rows.call_rows]
    starts = _spread(np.where(differs, rows.calls.start_unix_ns, 0), rows.call_rows, len(rows))
    return number(starts, Validity(_spread(differs, rows.call_rows, len(rows))))


def _map(attributes: Attributes) -> pa.Array:
    offsets = pa.array(attributes.offsets.astype(np.int32))
    return pa.MapArray.from_arrays(offsets, text_array(attributes.key), text_array(attributes.value))


def to_arrow(rows: SpanRows) -> pa.RecordBatch:
    """The raw columns of `rows`."""
    return pa.RecordBatch.from_arrays(raw_arrays(rows), schema=RAW)


def from_arrow(table: pa.Table | pa.RecordBatch) -> SpanRows:
    """The rows of raw columns (further columns are let be)."""
    read = _Reader(table)
    role = read.numbers("role", np.int8, -1)
    at = np.flatnonzero(role >= 0)
    start, duration = read.numbers("start_unix_ns", np.int64), read.numbers("duration_ns", np.int64)
    call_start = read.numbers("call_start_unix_ns", np.int64, -1)[at]
    differs = call_start >= 0
    span_start, span_duration = start[at], duration[at]
    call_start = np.where(differs, call_start, span_start)
    end = span_start + span_duration
    columns: dict[str, Any] = {
        "start_unix_ns": call_start,
        "duration_ns": np.where(differs, np.where(end > call_start, end - call_start, 0), span_duration),
        "service": read.text("service").take(at),
    }
    for field in CALL:
        if field.name in CallBatch.__dataclass_fields__:
            columns[field.name] = read.of_calls(field, at)
    return SpanRows(
        trace_id=read.trace_ids(),
        start_unix_ns=start,
        duration_ns=duration,
        cpu_ns=read.numbers("cpu_ns", np.int64, -1),
        kept_share=read.floats("kept_share"),
        attributes=read.attributes(),
        call_rows=at,
        calls=CallBatch(**columns),
        role=role[at],
        is_continuation=read.numbers("is_continuation", np.bool_)[at],
        response_hash=read.numbers("response_hash", np.uint64)[at],
        reasoning_effort=read.text("reasoning_effort").take(at),
        reported_cost_usd=read.floats("reported_cost_usd")[at],
        service=read.text("service"),
        scope=read.text("scope"),
        name=read.text("name"),
        agent=read.text("agent"),
        tool=read.text("tool"),
        span_id=read.numbers("span_id", np.uint64),
        parent_span_id=read.numbers("parent_span_id", np.uint64),
        kind=read.numbers("kind", np.int8),
        status=read.numbers("status", np.int8),
    )


class _Reader:
    def __init__(self, table: pa.Table | pa.RecordBatch) -> None:
        self._table = table

    def _array(self, name: str) -> pa.Array:
        return whole(self._table.column(name))

    def numbers(self, name: str, dtype: Any, missing: int = 0) -> npt.NDArray[Any]:
        array = self._array(name)
        if array.null_count:
            array = array.fill_null(bool(missing) if pa.types.is_boolean(array.type) else missing)
        values: npt.NDArray[Any] = array.to_numpy(zero_copy_only=False).astype(dtype, copy=False)
        return values

    def floats(self, name: str) -> npt.NDArray[np.float64]:
        return np.asarray(self._array(name).to_numpy(zero_copy_only=False), dtype=np.float64)

    def text(self, name: str) -> Column:
        return text_column(self._array(name))

    def trace_ids(self) -> npt.NDArray[np.uint8]:
        return bytes16(self._array("trace_id"))

    def of_calls(self, field: pa.Field, at: Ints) -> Any:
        if pa.types.is_dictionary(field.type):
            return self.text(field.name).take(at)
        if pa.types.is_floating(field.type):
            return self.floats(field.name)[at]
        return self.numbers(field.name, field.type.to_pandas_dtype())[at]

    def attributes(self) -> Attributes:
        array = self._array("attributes")
        offsets = array.offsets.to_numpy().astype(np.int64)
        first, last = (int(offsets[0]), int(offsets[-1])) if len(offsets) else (0, 0)
        keys, items = array.keys[first:last], array.items[first:last]
        return Attributes(offsets - first, text_column(keys), text_column(items))


def whole(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """A column in one piece, its texts under one dictionary."""
    if not isinstance(column, pa.ChunkedArray):
        return column
    if column.num_chunks == 1:
        return column.chunk(0)
    if pa.types.is_dictionary(column.type):
        column = column.unify_dictionaries()
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], type=column.type)


def bytes16(array: pa.Array) -> npt.NDArray[np.uint8]:
    """uint8[n, 16] of an array of binary(16) without nulls."""
    n, data = len(array), array.buffers()[1]
    if n == 0:
        return np.zeros((0, 16), dtype=np.uint8)
    return np.frombuffer(data, dtype=np.uint8, count=16 * n, offset=16 * array.offset).reshape(n, 16)


def text_column(array: Any) -> Column:
    """A text array, coded or not, as a `Column`; null is ""."""
    array = whole(array)
    if not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    codes = array.indices
    if codes.null_count:
        codes = codes.fill_null(-1)
    index = codes.to_numpy(zero_copy_only=False).astype(np.int32, copy=False)
    names = array.dictionary.to_pylist()
    if names and names[0] == "":
        return Column(np.maximum(index, 0) if array.null_count else index, tuple(names))
    places: dict[str, int] = {"": 0}
    new = [places.setdefault(name or "", len(places)) for name in names]
    lut = np.array([*new, 0], dtype=np.int32)
    return Column(lut[index], tuple(places))
