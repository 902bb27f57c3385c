"""Traces for tests, written as nested spans: rows in the order of the tree, and the tree, made by hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from wattspan.calls import CallBatch, Column
from wattspan.lake.rows import Attributes, SpanRows, Tree


@dataclass
class Span:
    name: str = "work"
    children: list[Span] = field(default_factory=list)
    service: str = ""
    status: int = 0
    attributes: dict[str, str] = field(default_factory=dict)
    kept: float = np.nan
    """Share of traces kept that its trace state says."""
    is_orphan: bool = False
    """Its parent is missing."""
    start_unix_ns: int = -1
    """-1: the number of its row."""
    agent: str = ""
    tool: str = ""
    call: dict[str, Any] | None = None
    """Columns of its call, with `role` (0 call, 1 aggregate) beside them."""


def call(name: str = "chat", **columns: Any) -> Span:
    span = {
        key: columns.pop(key)
        for key in ("service", "status", "attributes", "is_orphan", "start_unix_ns", "agent", "tool", "kept")
        if key in columns
    }
    return Span(name, call={"role": 0, "has_usage": True, **columns}, **span)


def rows_of(*traces: list[Span]) -> tuple[SpanRows, Tree]:
    """Each trace is the list of its roots."""
    spans: list[tuple[int, int, int, int, Span]] = []
    sizes: dict[int, int] = {}

    def walk(trace: int, first: int, parent: int, depth: int, span: Span) -> int:
        row = len(spans)
        spans.append((trace, parent, row - first, depth, span))
        sizes[row] = 1 + sum(walk(trace, first, row, depth + 1, child) for child in span.children)
        return sizes[row]

    for number, roots in enumerate(traces):
        first = len(spans)
        for root in roots:
            walk(number, first, -1, 0, root)
    n = len(spans)
    parent_row = np.array([parent for _, parent, *_ in spans], dtype=np.int64)
    span_id = np.arange(1, n + 1, dtype=np.uint64)
    parent_id = np.where(parent_row >= 0, span_id[parent_row], 0).astype(np.uint64)
    parent_id[[row for row, (*_, span) in enumerate(spans) if span.is_orphan]] = 999_999
    trace_id = np.zeros((n, 16), dtype=np.uint8)
    numbers = np.array([number + 1 for number, *_ in spans], dtype=">u4")
    trace_id[:, 12:] = numbers.view(np.uint8).reshape(n, 4)
    call_rows = [row for row, (*_, span) in enumerate(spans) if span.call is not None]
    of_calls = [dict(spans[row][-1].call or {}) for row in call_rows]
    starts = np.array(
        [row if span.start_unix_ns < 0 else span.start_unix_ns for row, (*_, span) in enumerate(spans)],
        dtype=np.int64,
    )
    roles = np.array([columns.pop("role") for columns in of_calls], dtype=np.int8)
    pairs = [list(span.attributes.items()) for *_, span in spans]
    k = len(call_rows)
    rows = SpanRows(
        trace_id=trace_id,
        span_id=span_id,
        parent_span_id=parent_id,
        start_unix_ns=starts,
        duration_ns=np.ones(n, dtype=np.int64),
        kind=np.zeros(n, dtype=np.int8),
        status=np.array([span.status for *_, span in spans], dtype=np.int8),
        service=Column.of([span.service for *_, span in spans]),
        scope=Column.constant("", n),
        name=Column.of([span.name for *_, span in spans]),
        agent=Column.of([span.agent for *_, span in spans]),
        tool=Column.of([span.tool for *_, span in spans]),
        cpu_ns=np.full(n, -1, dtype=np.int64),
        kept_share=np.array([span.kept for *_, span in spans], dtype=np.float64),
        attributes=Attributes(
            np.cumsum([0, *(len(of_span) for of_span in pairs)]).astype(np.int64),
            Column.of([key for of_span in pairs for key, _ in of_span]),
            Column.of([value for of_span in pairs for _, value in of_span]),
        ),
        call_rows=np.array(call_rows, dtype=np.int64),
        calls=CallBatch.concatenate(
            [
                CallBatch.of(
                    1, start_unix_ns=starts[row], duration_ns=1, service=spans[row][-1].service, **columns
                )
                for row, columns in zip(call_rows, of_calls, strict=True)
            ]
        ),
        role=roles,
        is_continuation=np.zeros(k, dtype=np.bool_),
        response_hash=np.zeros(k, dtype=np.uint64),
        reasoning_effort=Column.constant("", k),
        reported_cost_usd=np.full(k, np.nan),
    )
    tree = Tree(
        trace=np.array([number for number, *_ in spans], dtype=np.int64),
        parent_row=parent_row,
        pre=np.array([pre for _, _, pre, *_ in spans], dtype=np.int32),
        subtree_size=np.array([sizes[row] for row in range(n)], dtype=np.int32),
        depth=np.array([depth for _, _, _, depth, _ in spans], dtype=np.int32),
        own_ns=np.ones(n, dtype=np.int64),
    )
    return rows, tree
