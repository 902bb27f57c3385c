"""ClickHouse's `otel_traces` (the OpenTelemetry Collector's layout), exported, as tables of spans."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, BinaryIO, Final, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from wattspan.lake.sources import cells
from wattspan.lake.sources.clickhouse_maps import MapPairs, pairs_of
from wattspan.lake.sources.csv_blocks import CsvReader
from wattspan.lake.sources.hex_ids import hex_bytes
from wattspan.lake.sources.parquet_batches import batches
from wattspan.otlp.containers import Stream
from wattspan.otlp.dialects import table as dialect_table
from wattspan.otlp.problems import Problem
from wattspan.otlp.wire import DOUBLE, STRING, AttributeIndex, KeySet, SpanTable, is_own_key

PORTION_ROWS: Final = 65_536
"""Rows that are read and handed on together."""

COLUMNS: Final = (
    "Timestamp", "TraceId", "SpanId", "ParentSpanId", "TraceState", "SpanName", "SpanKind", "ServiceName",
    "ResourceAttributes", "ScopeName", "ScopeVersion", "SpanAttributes", "Duration", "StatusCode",
)  # fmt: skip
"""What is read of the layout; events, links and the status message are not."""

_NEEDED: Final = frozenset({"Timestamp", "TraceId", "SpanId", "SpanAttributes"})
_SERVICE: Final = b"service.name"
_KINDS: Final = {"internal": 1, "server": 2, "client": 3, "producer": 4, "consumer": 5}
_STATUS: Final = {"ok": 1, "error": 2}
_MOST_NS: Final = 2**62
_MAP_ALLOWED: Final = "a map: {'key':'value'}"
_NUMBER_KEYS: Final = frozenset(d.duration_key for d in dialect_table().dialects if d.duration_key)
"""Attributes whose number the dialects take without a look at its type; the layout makes all values text."""

Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]
Small = npt.NDArray[np.int8]
Report = Callable[[Problem], None]
Unit = Literal["line", "row"]


def is_otel_traces(columns: Sequence[str]) -> bool:
    """Whether a table with these columns is in the layout."""
    return _NEEDED.issubset(columns)


@dataclass(frozen=True, slots=True, eq=False)
class Portion:
    """Some rows as a table of spans."""

    table: SpanTable
    left_out: int
    """Rows that are not in the table: each is in a problem."""


class OtelTraces:
    """One exported file as tables of spans with the attributes of `keyset`.

    A row without a time or ids that can be read is left out and reported by its line (CSV) or row (Parquet).
    """

    def __init__(self, keyset: KeySet, name: str, report: Report) -> None:
        self._keyset = keyset
        self._name = name
        self._report = report

    def parquet(self, file: str | BinaryIO) -> Iterator[Portion]:
        """The rows of a Parquet file. Raises pa.ArrowInvalid or OSError where it is damaged."""
        with pq.ParquetFile(file) as parquet:
            wanted = [name for name in COLUMNS if name in parquet.schema_arrow.names]
            first = 0
            for batch in batches(parquet, PORTION_ROWS, wanted):
                columns = dict(zip(batch.schema.names, batch.columns, strict=True))
                places = partial(range, first + 1, first + batch.num_rows + 1)
                yield self._portion(columns, batch.num_rows, places, "row")
                first += batch.num_rows

    def csv(self, stream: Stream, *, delimiter: str | None = None) -> Iterator[Portion]:
        """The rows of a file in the format CSVWithNames. Raises CsvError."""
        reader = CsvReader(stream, delimiter=delimiter)
        wanted = [name for name in COLUMNS if name in reader.columns]
        for block in reader.blocks(wanted):
            if block.misfits:
                lines = block.record_lines()
                for misfit in block.misfits:
                    reason = f"it has {misfit.found} cells, the header has {misfit.expected}"
                    self._left_out(reason, "", lines[misfit.record], "line")
            columns: dict[str, pa.Array] = {name: _one(block.table.column(name)) for name in wanted}
            portion = self._portion(columns, block.table.num_rows, block.lines, "line")
            yield replace(portion, left_out=portion.left_out + len(block.misfits))
        if reader.broken:
            self._report(Problem(reader.broken, self._name))

    def _left_out(self, reason: str, column: str, place: int, unit: Unit) -> None:
        problem = Problem(f"{reason}; the row is left out", self._name, key=column)
        self._report(replace(problem, line=place) if unit == "line" else replace(problem, row=place))

    def _portion(
        self, columns: Mapping[str, pa.Array], n: int, places: Callable[[], Sequence[int]], unit: Unit
    ) -> Portion:
        start = cells.times(columns["Timestamp"])
        duration = (
            cells.whole_numbers(columns["Duration"], _MOST_NS)
            if "Duration" in columns
            else cells.Cells(np.zeros(n, dtype=np.int64), np.zeros(n, np.bool_), np.zeros(n, np.bool_))
        )
        trace_id, no_trace = hex_bytes(columns["TraceId"], 16)
        span_id, no_span = hex_bytes(columns["SpanId"], 8)
        parent, _ = (
            hex_bytes(columns["ParentSpanId"], 8) if "ParentSpanId" in columns else (0 * span_id, None)
        )
        attributes = pairs_of(columns["SpanAttributes"])
        resources = (
            pairs_of(columns["ResourceAttributes"]) if "ResourceAttributes" in columns else MapPairs.empty(n)
        )
        bad = np.zeros(n, dtype=np.bool_)
        for column, is_bad, allowed in (
            ("Timestamp", start.bad | start.missing, cells.TIMES_ALLOWED),
            ("Duration", duration.bad, "nanoseconds, a whole number"),
            ("TraceId", no_trace, "32 hex digits"),
            ("SpanId", no_span, "16 hex digits"),
            ("SpanAttributes", attributes.bad, _MAP_ALLOWED),
            ("ResourceAttributes", resources.bad, _MAP_ALLOWED),
        ):
            for row in np.flatnonzero(is_bad & ~bad).tolist():
                found = cells.shown(columns[column][row].as_py())
                self._left_out(f"found {found}; allowed: {allowed}", column, places()[row], unit)
            bad |= is_bad
        kept = np.flatnonzero(~bad)
        if len(kept) < n:
            columns = {name: column.take(pa.array(kept)) for name, column in columns.items()}
            attributes, resources = attributes.take(kept), resources.take(kept)
        table = _Maker(self._keyset).table(
            columns,
            start.values[kept],
            duration.values[kept],
            (trace_id[kept], span_id[kept], parent[kept]),
            attributes,
            resources,
        )
        return Portion(table, n - len(kept))


class _Maker:
    """Makes one `SpanTable`."""

    def __init__(self, keyset: KeySet) -> None:
        self._keyset = keyset
        self._text_code: dict[bytes, int] = {b"": 0}
        self._values: list[Codes] = []
        self._is_number: list[Flags] = []
        self._value_count = 0

    def table(
        self,
        columns: Mapping[str, pa.Array],
        start: Ints,
        duration: Ints,
        ids: tuple[Any, Any, Any],
        attributes: MapPairs,
        resources: MapPairs,
    ) -> SpanTable:
        n = len(start)
        trace_id, span_id, parent = ids
        service = self._texts(columns.get("ServiceName"), n)
        resource_rows, resource_of_row = self._distinct_resources(resources, service)
        scope_name = self._texts(columns.get("ScopeName"), n)
        scope_version = self._texts(columns.get("ScopeVersion"), n)
        scopes, scope_rows, scope_of_row = np.unique(
            np.stack([resource_of_row, scope_name, scope_version]),
            axis=1,
            return_index=True,
            return_inverse=True,
        )
        name = self._texts(columns.get("SpanName"), n)
        trace_state = self._texts(columns.get("TraceState"), n)
        span_index = self._index(attributes, n)
        raw = list(self._text_code)
        resource_pairs = resources.take(resource_rows).with_missing(
            _SERVICE, [raw[code] for code in service[resource_rows].tolist()]
        )
        resource_index = self._index(resource_pairs, len(resource_rows))
        value_text = np.concatenate([np.zeros(0, dtype=np.int32), *self._values])
        is_number = np.concatenate([np.zeros(0, dtype=np.bool_), *self._is_number])
        value_double = np.zeros(len(value_text))
        raw = list(self._text_code)
        for at in np.flatnonzero(is_number).tolist():
            value_double[at] = _number(raw[value_text[at]])
        return SpanTable(
            n=n,
            keyset=self._keyset,
            start=np.full(n, -1, dtype=np.int64),
            end=np.full(n, -1, dtype=np.int64),
            resource=resource_of_row.astype(np.int32),
            scope=scope_of_row.reshape(-1).astype(np.int32),
            trace_id=trace_id,
            span_id=_words(span_id),
            parent_span_id=_words(parent),
            start_unix_ns=start,
            end_unix_ns=start + duration,
            kind=self._coded(columns.get("SpanKind"), "SPAN_KIND_", _KINDS, n),
            status=self._coded(columns.get("StatusCode"), "STATUS_CODE_", _STATUS, n),
            name_code=name,
            trace_state_code=trace_state,
            own_attr=attributes.has(is_own_key, n),
            span_index=span_index,
            resource_index=resource_index,
            scope_index=AttributeIndex(
                np.full(len(self._keyset), -1, dtype=np.int32), np.zeros((0, scopes.shape[1]), dtype=np.int32)
            ),
            value_type=np.where(is_number, DOUBLE, STRING).astype(np.int8),
            value_int=np.zeros(len(value_text), dtype=np.int64),
            value_double=value_double,
            value_text=np.where(is_number, -1, value_text).astype(np.int32),
            texts=list(self._text_code),
            resource_of_scope=scopes[0].astype(np.int32),
            scope_name_code=scope_name[scope_rows],
            scope_version_code=scope_version[scope_rows],
        )

    def _texts(self, column: pa.Array | None, n: int) -> Codes:
        """The text code of each row."""
        if column is None:
            return np.zeros(n, dtype=np.int32)
        coded = column if pa.types.is_dictionary(column.type) else pc.dictionary_encode(column)
        return self._codes(coded)

    def _codes(self, coded: pa.DictionaryArray) -> Codes:
        index = self._text_code
        new = [
            index.setdefault(text if isinstance(text, bytes) else str(text or "").encode(), len(index))
            for text in coded.dictionary.to_pylist()
        ]
        codes = pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
        found: Codes = np.array([*new, 0], dtype=np.int32)[codes]
        return found

    @staticmethod
    def _coded(
        column: pa.Array | None, prefix: str, names: Mapping[str, int], n: int
    ) -> npt.NDArray[np.int8]:
        if column is None:
            return np.zeros(n, dtype=np.int8)
        texts, _ = cells.texts(column)
        numbers = [names.get(name.removeprefix(prefix).lower(), 0) for name in texts.names]
        return np.array(numbers, dtype=np.int8)[texts.codes]

    def _distinct_resources(self, resources: MapPairs, service: Codes) -> tuple[Ints, Ints]:
        """The first row of each distinct resource, and the resource of each row."""
        signature = resources.signatures() * np.uint64(0x9E37_79B9_7F4A_7C15) + service.astype(np.uint64)
        _, first, inverse = np.unique(signature, return_index=True, return_inverse=True)
        return first, inverse

    def _index(self, pairs: MapPairs, rows: int) -> AttributeIndex:
        """Those pairs whose keys were asked for; of a key that is there twice the last counts."""
        position = np.array([self._keyset.position.get(name, -1) for name in pairs.key_names], dtype=np.int32)
        of_pair = position[pairs.key] if len(position) else np.zeros(0, dtype=np.int32)
        wanted = np.flatnonzero(of_pair >= 0)
        of_pair = of_pair[wanted]
        carried = np.unique(of_pair)
        line = np.full(len(self._keyset), -1, dtype=np.int32)
        line[carried] = np.arange(len(carried), dtype=np.int32)
        values = np.full((len(carried), rows), -1, dtype=np.int32)
        values[line[of_pair], pairs.row[wanted]] = np.arange(len(wanted), dtype=np.int32) + self._value_count
        numeric = [self._keyset.position[key] for key in _NUMBER_KEYS if key in self._keyset.position]
        self._values.append(self._codes(pc.dictionary_encode(pairs.value.take(pa.array(wanted)))))
        self._is_number.append(np.isin(of_pair, numeric))
        self._value_count += len(wanted)
        return AttributeIndex(line, values)


def _number(text: bytes) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _words(raw: Any) -> npt.NDArray[np.uint64]:
    return np.ascontiguousarray(raw).view(">u8").reshape(-1).astype(np.uint64)


def _one(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)
