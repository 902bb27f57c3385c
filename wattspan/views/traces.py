"""Traces of a lake: which there are, and the rows of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from wattspan.lake.manifest import Segment
from wattspan.lake.reader import VIEW, Snapshot
from wattspan.lake.schema import SEGMENT
from wattspan.lake.segments import read_index
from wattspan.lake.tree import trace_keys
from wattspan.views.dimensions import UNMAPPED, QueryError

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
WITH chosen AS (
  SELECT lower(hex(trace_id)) AS trace_id, name, service, feature, depth, pre, start_unix_ns, duration_ns,
    coalesce(is_owner, false) AS owns, status, energy_kwh, co2e_g, cost_usd, resolved_model, model,
    coalesce(owned_input_tokens, input_tokens, 0) + coalesce(owned_output_tokens, output_tokens, 0) AS tokens
  FROM {VIEW}
), traces AS (
  SELECT trace_id, arg_min(name, pre) AS name, arg_min(service, pre) AS service,
    coalesce(max(feature) FILTER (feature <> ''), '') AS feature, min(start_unix_ns) AS start_unix_ns,
    max(start_unix_ns + duration_ns) - min(start_unix_ns) AS duration_ns, count(*) AS spans,
    count(*) FILTER (owns) AS calls, coalesce(sum(tokens) FILTER (owns), 0)::BIGINT AS tokens,
    coalesce(sum(energy_kwh), 0) AS energy_kwh, coalesce(sum(co2e_g), 0) AS co2e_g,
    coalesce(sum(cost_usd), 0) AS cost_usd, count(*) FILTER (status = 2) AS errors,
    {{flags}} AS is_wanted
  FROM chosen GROUP BY trace_id
)
SELECT * EXCLUDE (is_wanted), count(*) OVER () AS total FROM traces
WHERE is_wanted {{when}} ORDER BY {{order}} {{direction}}, trace_id LIMIT ? OFFSET ?
"""


def list_traces(
    snapshot: Snapshot,
    chosen: TraceFilter = EVERY,
    order: str = "energy",
    *,
    ascending: bool = False,
    limit: int = 50,
    offset: int = 0,
) -> TracePage:
    """Traces that `chosen` lets through. Raises QueryError for an order that there is not."""
    if order not in _ORDERS:
        raise QueryError(f"traces cannot be sorted by {order!r}; allowed: {', '.join(ORDERS)}")
    flags, bound = ["true"], []
    for condition, value in (
        ("bool_or(feature = ?)", "" if chosen.feature == UNMAPPED else chosen.feature),
        ("bool_or(service = ?)", chosen.service),
    ):
        if value is not None:
            flags.append(condition)
            bound.append(value)
    if chosen.model:
        flags.append("bool_or(owns AND (resolved_model = ? OR model = ?))")
        bound += [chosen.model, chosen.model]
    if chosen.text:
        flags.append("(bool_or(contains(lower(name), lower(?))) OR trace_id = lower(?))")
        bound += [chosen.text, chosen.text]
    when = ""
    times: list[Any] = []
    if chosen.start_unix_ns is not None:
        when += " AND start_unix_ns >= ?"
        times.append(chosen.start_unix_ns)
    if chosen.end_unix_ns is not None:
        when += " AND start_unix_ns < ?"
        times.append(chosen.end_unix_ns)
    query = _SQL.format(
        flags=" AND ".join(flags),
        when=when,
        order=_ORDERS[order],
        direction="ASC" if ascending else "DESC",
    )
    with snapshot.connect() as connection:
        found = connection.execute(query, [*bound, *times, limit, offset]).fetchall()
    if not found and offset:
        return TracePage([], list_traces(snapshot, chosen, order, limit=1).total)
    return TracePage([TraceRow(*row[:-1]) for row in found], int(found[0][-1]) if found else 0)


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
