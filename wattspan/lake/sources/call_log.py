"""Call logs: tables with one model call a row, as spans by way of a column map."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, BinaryIO, Final, Literal, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from wattspan.calls import CallBatch
from wattspan.lake.rows import Ints, SpanRows
from wattspan.lake.sources import cells
from wattspan.lake.sources.call_spans import (
    MOST_DURATION_NS,
    NS_OF_DURATION,
    CallFields,
    ReadColumn,
    attribute_fields,
    given_span_ids,
    given_trace_ids,
)
from wattspan.lake.sources.cells import Cells
from wattspan.lake.sources.column_map import (
    ATTRIBUTE,
    COUNT,
    DECIMAL,
    FIELDS,
    MOST_OF_COUNT,
    TEXT,
    TIME,
    TRUTH,
    ColumnMap,
    ColumnMapError,
)
from wattspan.lake.sources.csv_blocks import Block, CsvReader
from wattspan.lake.sources.parquet_batches import batches
from wattspan.lake.sources.row_ids import Flags, Occurrences, ids, row_hashes
from wattspan.otlp.containers import Stream
from wattspan.otlp.problems import Problem

PORTION_ROWS: Final = 131_072
"""Rows of a Parquet file that are read and handed on together."""

_MOST_KWH: Final = 1e6
_MOST_USD: Final = 1e6
_ALLOWED: Final = {
    COUNT: f"a whole number from 0 to {MOST_OF_COUNT:,}",
    TIME: cells.TIMES_ALLOWED,
    TEXT: cells.TEXTS_ALLOWED,
    TRUTH: cells.TRUTHS_ALLOWED,
    DECIMAL: "a number, not negative",
}
_ID_FIELDS: Final = ("trace_id", "span_id", "parent_span_id")

Report = Callable[[Problem], None]
Unit = Literal["line", "row"]


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Some rows of a log as they were understood, and the spans made of them."""

    spans: SpanRows
    left_out: int
    """Rows that are not among the spans: each is in a problem."""


class CallLog:
    """One file of calls as spans, portion by portion.

    Rows without ids of their own get ids from the label, the mapped cells and, for rows that are equal, their
    number in the file: the same row has the same ids in every import. A row with a cell that is not allowed
    is left out and reported with its line (CSV) or row (Parquet), column, what was found and what is allowed.
    """

    def __init__(
        self,
        column_map: ColumnMap,
        name: str,
        label: str,
        report: Report,
        *,
        fate: str = "the row is left out",
    ) -> None:
        """`fate`: what becomes of a row with a cell that is not allowed, in words."""
        self._map = column_map
        self._fate = fate
        self._name = name
        self._label = label
        self._report = report
        self._occurrences = Occurrences()
        self._constants = _constants(column_map)

    def csv(
        self, stream: Stream, *, delimiter: str | None = None, encoding: str | None = None
    ) -> Iterator[Rows]:
        """The rows of CSV text. Raises CsvError, ColumnMapError."""
        reader = CsvReader(stream, delimiter=delimiter, encoding=encoding)
        self._map.check(reader.columns)
        wanted = list(dict.fromkeys(self._map.columns.values()))
        for block in reader.blocks(wanted):
            yield self._block(block)
        if reader.broken:
            self._report(Problem(reader.broken, self._name))

    def _block(self, block: Block) -> Rows:
        if block.misfits:
            lines = block.record_lines()
            for misfit in block.misfits:
                reason = f"it has {misfit.found} cells, the header has {misfit.expected}; {self._fate}"
                self._report(Problem(reason, self._name, line=lines[misfit.record]))
        columns = {name: block.table.column(name) for name in block.table.column_names}
        rows = self._rows(columns, block.table.num_rows, block.lines, "line")
        return Rows(rows.spans, rows.left_out + len(block.misfits))

    def parquet(self, file: str | BinaryIO) -> Iterator[Rows]:
        """The rows of a Parquet file.

        Raises ColumnMapError, and pa.ArrowInvalid or OSError where the file is damaged.
        """
        wanted = list(dict.fromkeys(self._map.columns.values()))
        with self.table(file) as parquet:
            for batch, places in _numbered(parquet, wanted):
                columns = {name: _column_at(batch, name) for name in wanted}
                yield self._rows(columns, batch.num_rows, places, "row")

    def calls(self, parquet: pq.ParquetFile) -> Iterator[tuple[pa.RecordBatch, CallBatch, Ints]]:
        """All columns of some rows, the calls that those say which can be used, and which rows these are.

        `parquet`: as of `table`. Rows that cannot be used are reported.
        """
        wanted = list(dict.fromkeys(self._map.columns.values()))
        for batch, places in _numbered(parquet):
            columns = {name: _column_at(batch, name) for name in wanted}
            read, kept = self._understood(columns, batch.num_rows, places, "row")
            fields = CallFields(read, self._constants, len(kept))
            yield batch, fields.calls(fields.numbers("start", np.int64)), kept

    def table(self, file: str | BinaryIO) -> pq.ParquetFile:
        """A Parquet file whose columns fit the map; to be closed. Raises as `parquet` does."""
        coded = [
            column
            for field, column in self._map.columns.items()
            if _kind_of(field) == TEXT and "." not in column
        ]
        parquet = pq.ParquetFile(file, read_dictionary=coded)
        schema = parquet.schema_arrow
        self._map.check(_paths(schema))
        for field, column in self._map.columns.items():
            kind = _type_at(schema, column)
            if cells.is_nested(kind):
                raise ColumnMapError(
                    f"--map {field}={column}: the column holds {kind}; allowed: a {_kind_of(field)}. "
                    f"A dot leads into a structure: --map {field}={column}.FIELD"
                )
        return parquet

    def _rows(
        self, columns: Mapping[str, Any], n: int, places: Callable[[], Sequence[int]], unit: Unit
    ) -> Rows:
        read, kept = self._understood(columns, n, places, unit)
        return Rows(self._spans(read, len(kept)), n - len(kept))

    def _understood(
        self, columns: Mapping[str, Any], n: int, places: Callable[[], Sequence[int]], unit: Unit
    ) -> tuple[dict[str, ReadColumn], Ints]:
        """The fields of the rows that can be used, and which rows these are."""
        read = {field: _read(field, _array(columns[column])) for field, column in self._map.columns.items()}
        bad = np.zeros(n, dtype=np.bool_)
        for field, column in self._map.columns.items():
            found = read[field]
            is_bad = found.bad | found.missing if field == "start" else found.bad
            if is_bad.any():
                self._complain(field, column, _array(columns[column]), is_bad, places(), unit)
                bad |= is_bad
        for part, whole in (
            ("reasoning_tokens", "output_tokens"),
            ("cache_read_tokens", "input_tokens"),
            ("cache_write_tokens", "input_tokens"),
        ):
            if part in read and whole in read:
                exceeds = (read[part].values > read[whole].values) & ~read[whole].missing & ~bad
                if exceeds.any():
                    self._exceeds(part, whole, read, exceeds, places(), unit)
                    bad |= exceeds
        kept = np.flatnonzero(~bad)
        if len(kept) < n:
            read = {field: found.take(kept) for field, found in read.items()}
        return read, kept

    def _complain(
        self, field: str, column: str, found: pa.Array, bad: Flags, places: Sequence[int], unit: Unit
    ) -> None:
        for row in np.flatnonzero(bad).tolist():
            what = cells.shown(found[row].as_py()) if found[row].is_valid else "nothing"
            self._left_out(f"found {what}; allowed: {_ALLOWED[_kind_of(field)]}", column, places[row], unit)

    def _exceeds(
        self,
        part: str,
        whole: str,
        read: Mapping[str, ReadColumn],
        exceeds: Flags,
        places: Sequence[int],
        unit: Unit,
    ) -> None:
        hint = " (map uncached_input_tokens where the cache is not among them)" if "cache" in part else ""
        for row in np.flatnonzero(exceeds).tolist():
            found = f"{read[part].values[row]} {part} of {read[whole].values[row]} {whole}"
            self._left_out(
                f"found {found}; allowed: no more than the whole{hint}",
                self._map.columns[part],
                places[row],
                unit,
            )

    def _left_out(self, reason: str, column: str, place: int, unit: Unit) -> None:
        problem = Problem(f"{reason}; {self._fate}", self._name, key=column)
        self._report(replace(problem, line=place) if unit == "line" else replace(problem, row=place))

    def _spans(self, read: dict[str, ReadColumn], n: int) -> SpanRows:
        contents = row_hashes(
            self._label,
            [(field, read[field].bits()) for field in (*FIELDS, *attribute_fields(read)) if field in read],
            n,
        )
        values = CallFields(read, self._constants, n)
        start = values.numbers("start", np.int64)
        occurrence = self._occurrences.number(contents[1], start)
        trace_id, span_id = ids(contents, occurrence)
        if "trace_id" in read:
            trace_id = given_trace_ids(read["trace_id"], trace_id, self._label)
        if "span_id" in read:
            span_id = given_span_ids(read["span_id"], span_id)
        parent = np.zeros(n, dtype=np.uint64)
        if "parent_span_id" in read:
            parent = given_span_ids(read["parent_span_id"], parent)
        return values.spans(self._label, trace_id, span_id, parent, start)


def _numbered(
    parquet: pq.ParquetFile, columns: list[str] | None = None
) -> Iterator[tuple[pa.RecordBatch, Callable[[], Sequence[int]]]]:
    """The rows of a file, some at a time, and their numbers from 1."""
    first = 1
    for batch in batches(parquet, PORTION_ROWS, columns):
        yield batch, partial(range, first, first + batch.num_rows)
        first += batch.num_rows


def _kind_of(field: str) -> str:
    return TEXT if field.startswith(ATTRIBUTE) else FIELDS[field][0]


def _read(field: str, column: pa.Array) -> ReadColumn:
    kind = _kind_of(field)
    if kind == TEXT:
        texts, bad = cells.texts(column)
        return ReadColumn(texts.codes, texts.codes == 0, bad, texts)
    found: Cells
    if kind == COUNT:
        found = cells.whole_numbers(column, MOST_OF_COUNT)
    elif kind == TIME:
        found = cells.times(column)
    elif kind == TRUTH:
        found = cells.truths(column)
    else:
        found = cells.decimals(column, _most_of(field))
    return ReadColumn(found.values, found.missing, found.bad)


def _most_of(field: str) -> float:
    if field in NS_OF_DURATION:
        return MOST_DURATION_NS / NS_OF_DURATION[field]
    return _MOST_USD if field == "cost_usd" else _MOST_KWH


def _constants(column_map: ColumnMap) -> dict[str, Any]:
    """The constants as numbers, times and texts. Raises ColumnMapError."""
    read: dict[str, Any] = {}
    for field, text in column_map.constants.items():
        if field in _ID_FIELDS or field == "response_id":
            raise ColumnMapError(f"--set {field}: it cannot be the same in every row; map a column to it")
        found = _read(field, pa.array([text]))
        if found.bad[0] or found.missing[0]:
            raise ColumnMapError(f"--set {field}={text}: allowed: {_ALLOWED[_kind_of(field)]}")
        read[field] = text.strip() if found.texts is not None else found.values[0]
    return read


def _array(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    if isinstance(column, pa.ChunkedArray):
        return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks or [pa.nulls(0)])
    return column


def _paths(schema: pa.Schema) -> list[str]:
    """Names of the columns, and of the fields of structures with dots."""
    paths: list[str] = []

    def walk(prefix: str, fields: Sequence[pa.Field]) -> None:
        for field in fields:
            paths.append(prefix + field.name)
            if pa.types.is_struct(field.type):
                walk(f"{prefix}{field.name}.", list(field.type))

    walk("", list(schema))
    return paths


def _type_at(schema: pa.Schema, path: str) -> pa.DataType:
    if path in schema.names:
        return schema.field(path).type
    head, _, rest = path.partition(".")
    kind = schema.field(head).type
    for name in rest.split("."):
        kind = kind.field(name).type
    return cast(pa.DataType, kind)


def _column_at(batch: pa.RecordBatch, path: str) -> pa.Array:
    if path in batch.schema.names:
        return batch.column(path)
    head, _, rest = path.partition(".")
    return pc.struct_field(batch.column(head), rest.split("."))
