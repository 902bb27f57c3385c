"""Traces of a lake: which there are, and the rows of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from wattspan.lake.arrow import text_column
from wattspan.lake.manifest import Segment
from wattspan.lake.reader import VIEW, Snapshot
from wattspan.lake.rows import Bytes, Flags, Ints
from wattspan.lake.schema import SEGMENT
from wattspan.lake.segments import read_index, trace_ids, whole_traces
from wattspan.lake.tree import trace_keys
from wattspan.views.dimensions import UNMAPPED, QueryError
from wattspan.views.question import Question, segments_of

Numbers = npt.NDArray[Any]

_ORDERS: Final = {
    "energy": "energy_kwh",
    "carbon": "co2e_g",
    "cost": "cost_usd",
    "tokens": "tokens",
    "calls": "calls",
    "spans": "spans",
    "duration": "duration_ns",
    "start": "start_unix_ns",
}
ORDERS: Final = tuple(_ORDERS)


class TraceRow(NamedTuple):
    """One trace in the list."""

    trace_id: str
    name: str
    """Of its first span."""
    service: str
    feature: str
    start_unix_ns: int
    duration_ns: int
    spans: int
    calls: int
    tokens: int
    energy_kwh: float
    co2e_g: float
    cost_usd: float
    errors: int


@dataclass(frozen=True, slots=True)
class TraceFilter:
    """Which traces; what is None does not matter."""

    start_unix_ns: int | None = None
    end_unix_ns: int | None = None
    feature: str | None = None
    """Of any of its spans; "(unmapped)" for those without one."""
    service: str | None = None
    model: str | None = None
    """Of any of its calls, as it was resolved or as the span has it."""
    text: str | None = None
    """Part of the name of any of its spans, or its whole id."""


EVERY: Final = TraceFilter()


class TracePage(NamedTuple):
    """Some of the traces, and how many there are."""

    rows: list[TraceRow]
    total: int


_SQL: Final = f"""
SELECT lower(hex(trace_id)) AS trace_id, arg_min(name, pre) AS name, arg_min(service, pre) AS service,
  coalesce(max(feature) FILTER (feature <> ''), '') AS feature, min(start_unix_ns) AS start_unix_ns,
  max(start_unix_ns + duration_ns) - min(start_unix_ns) AS duration_ns, count(*) AS spans,
  count(*) FILTER (is_owner) AS calls,
  coalesce(sum(coalesce(owned_input_tokens, input_tokens, 0)
    + coalesce(owned_output_tokens, output_tokens, 0)) FILTER (is_owner), 0)::BIGINT AS tokens,
  coalesce(sum(energy_kwh), 0) AS energy_kwh, coalesce(sum(co2e_g), 0) AS co2e_g,
  coalesce(sum(cost_usd), 0) AS cost_usd, count(*) FILTER (status = 2) AS errors
FROM {VIEW} GROUP BY 1
"""
_SHOWN: Final = (
    *("trace_id", "pre", "name", "service", "feature", "start_unix_ns", "duration_ns", "status", "is_owner"),
    *("input_tokens", "output_tokens", "owned_input_tokens", "owned_output_tokens"),
    *("energy_kwh", "co2e_g", "cost_usd"),
)


def list_traces(
    snapshot: Snapshot,
    chosen: TraceFilter = EVERY,
    order: str = "energy",
    *,
    ascending: bool = False,
    limit: int = 50,
    offset: int = 0,
) -> TracePage:
    """Traces that `chosen` lets through. Raises QueryError for an order that there is not.

    Of each file of the period only the columns are read that decide, in pieces; what is shown is read of the
    traces of the page alone.
    """
    if order not in _ORDERS:
        raise QueryError(f"traces cannot be sorted by {order!r}; allowed: {', '.join(ORDERS)}")
    best = _Best(offset + limit, ascending=ascending)
    segments = segments_of(
        snapshot, Question(start_unix_ns=chosen.start_unix_ns, end_unix_ns=chosen.end_unix_ns), 0
    )
    columns = ["trace_id", "pre", *_columns_of(chosen, _ORDERS[order])]
    for number, segment in enumerate(segments):
        for rows in whole_traces(snapshot.folder, segment, list(dict.fromkeys(columns))):
            traces = _Traces(rows)
            is_wanted = traces.wanted(chosen)
            best.add(number, traces.value(_ORDERS[order])[is_wanted], traces.ids()[is_wanted])
    page = best.sorted()[offset:]
    found = _shown(snapshot, segments, page)
    return TracePage([found[trace_id.hex()] for _, trace_id in page], best.total)


class _Best:
    """The first `n` of many traces in an order, and how many there are."""

    def __init__(self, n: int, *, ascending: bool) -> None:
        self._n = n
        self._ascending = ascending
        self._found: list[tuple[float, bytes, int]] = []
        self.total = 0

    def add(self, segment: int, values: Numbers, ids: Bytes) -> None:
        """Traces of a segment: their values, and their ids, uint8[n, 16]."""
        self.total += len(values)
        if not self._n or not len(values):
            return
        keys = values if self._ascending else -values
        if len(keys) > self._n:
            # Those that are equal to the last of them stay: the id decides.
            last = np.partition(keys, self._n - 1)[self._n - 1]
            chosen = np.flatnonzero(keys <= last)
        else:
            chosen = np.arange(len(keys))
        self._found += [
            (key, row.tobytes(), segment) for key, row in zip(keys[chosen].tolist(), ids[chosen], strict=True)
        ]
        self._found = sorted(self._found)[: self._n]

    def sorted(self) -> list[tuple[int, bytes]]:
        """Segment and id of each."""
        return [(segment, trace_id) for _, trace_id, segment in self._found]


class _Traces:
    """Some whole traces as columns of one value each."""

    def __init__(self, rows: pa.Table) -> None:
        self._rows = rows
        self._first: Ints = np.flatnonzero(rows.column("pre").to_numpy() == 0)

    def ids(self) -> Bytes:
        """uint8[traces, 16]."""
        return trace_ids(self._rows)[self._first]

    def value(self, column: str) -> Numbers:
        """What a trace is sorted by: a sum of its spans, its start or its duration."""
        if column == "start_unix_ns":
            return self._starts()
        if column == "duration_ns":
            ends = self._numbers("start_unix_ns") + self._numbers("duration_ns")
            return np.maximum.reduceat(ends, self._first) - self._starts()
        return np.add.reduceat(self._summed(column), self._first)

    def _summed(self, column: str) -> Numbers:
        if column == "spans":
            return np.ones(self._rows.num_rows, dtype=np.int64)
        if column == "calls":
            return self._numbers("is_owner").astype(np.int64)
        if column == "tokens":
            known = (
                pc.coalesce(self._rows.column(f"owned_{name}"), self._rows.column(name))
                for name in ("input_tokens", "output_tokens")
            )
            tokens = sum(column.fill_null(0).to_numpy() for column in known)
            return np.where(self._numbers("is_owner"), tokens, 0)
        return self._numbers(column)

    def wanted(self, chosen: TraceFilter) -> Flags:
        """bool[traces]."""
        wanted = np.ones(len(self._first), dtype=np.bool_)
        if chosen.start_unix_ns is not None:
            wanted &= self._starts() >= chosen.start_unix_ns
        if chosen.end_unix_ns is not None:
            wanted &= self._starts() < chosen.end_unix_ns
        if chosen.feature is not None:
            name = "" if chosen.feature == UNMAPPED else chosen.feature
            wanted &= self._any(self._is("feature", name))
        if chosen.service is not None:
            wanted &= self._any(self._is("service", chosen.service))
        if chosen.model:
            is_model = self._is("resolved_model", chosen.model) | self._is("model", chosen.model)
            wanted &= self._any(self._numbers("is_owner") & is_model)
        if chosen.text:
            text = chosen.text.lower()
            names = text_column(self._rows.column("name"))
            holds = np.array([text in name.lower() for name in names.names], dtype=np.bool_)
            wanted &= self._any(holds[names.codes]) | self._has_id(text)
        return wanted

    def _has_id(self, text: str) -> Flags:
        try:
            raw = bytes.fromhex(text)
        except ValueError:
            raw = b""
        if len(raw) != 16:
            return np.zeros(len(self._first), dtype=np.bool_)
        same: Flags = (self.ids() == np.frombuffer(raw, dtype=np.uint8)).all(axis=1)
        return same

    def _any(self, flags: Flags) -> Flags:
        held: Flags = np.logical_or.reduceat(flags, self._first)
        return held

    def _is(self, column: str, text: str) -> Flags:
        texts = text_column(self._rows.column(column))
        same = np.array([name == text for name in texts.names], dtype=np.bool_)
        flags: Flags = same[texts.codes]
        return flags

    def _starts(self) -> Ints:
        starts: Ints = np.minimum.reduceat(self._numbers("start_unix_ns"), self._first)
        return starts

    def _numbers(self, name: str) -> Numbers:
        column = self._rows.column(name)
        values: Numbers = column.fill_null(False if pa.types.is_boolean(column.type) else 0).to_numpy()
        return values


def _columns_of(chosen: TraceFilter, order: str) -> list[str]:
    """The columns that `_Traces` needs to let through and to sort."""
    tokens = ["is_owner", "input_tokens", "output_tokens", "owned_input_tokens", "owned_output_tokens"]
    needed = {
        "spans": [],
        "calls": ["is_owner"],
        "tokens": tokens,
        "duration_ns": ["start_unix_ns", "duration_ns"],
    }.get(order, [order])
    if chosen.start_unix_ns is not None or chosen.end_unix_ns is not None:
        needed = [*needed, "start_unix_ns"]
    for is_asked, columns in (
        (chosen.feature is not None, ["feature"]),
        (chosen.service is not None, ["service"]),
        (chosen.model, ["is_owner", "resolved_model", "model"]),
        (chosen.text, ["name"]),
    ):
        if is_asked:
            needed = [*needed, *columns]
    return needed


def _shown(
    snapshot: Snapshot, segments: Sequence[Segment], page: Sequence[tuple[int, bytes]]
) -> dict[str, TraceRow]:
    """The rows of the list for the traces of a page, by their hexadecimal ids."""
    of_segment: dict[int, list[bytes]] = {}
    for number, trace_id in page:
        of_segment.setdefault(number, []).append(trace_id)
    parts = [
        pq.read_table(
            snapshot.folder / segments[number].file,
            filters=[("trace_id", "in", pa.array(ids, type=pa.binary(16)))],
            columns=[*_SHOWN],
        )
        for number, ids in of_segment.items()
    ]
    if not parts:
        return {}
    with duckdb.connect(":memory:") as connection:
        connection.register(VIEW, pa.concat_tables(parts).unify_dictionaries())
        return {row[0]: TraceRow(*row) for row in connection.execute(_SQL).fetchall()}


def trace_rows(snapshot: Snapshot, trace_id: str) -> tuple[Segment, pa.Table] | None:
    """The segment of a trace, and its rows in the order of the tree; None where the lake has none of that id.

    `trace_id`: hexadecimal. Raises QueryError for anything else.
    """
    try:
        raw = bytes.fromhex(trace_id.zfill(32))
    except ValueError:
        raw = b""
    if len(raw) != 16:
        raise QueryError(f"{trace_id!r} is no trace id: 32 hexadecimal digits")
    key = trace_keys(np.frombuffer(raw, dtype=np.uint8).reshape(1, 16))[0]
    for segment in snapshot.manifest.segments:
        index = read_index(snapshot.folder, segment)
        at = int(np.searchsorted(index, key))
        if at == len(index) or index[at] != key:
            continue
        scalar = pa.scalar(raw, type=pa.binary(16))
        rows = pq.read_table(
            snapshot.folder / segment.file, filters=[("trace_id", "=", scalar)], columns=SEGMENT.names
        )
        if rows.num_rows:
            return segment, rows
    return None
