"""`SpanRows` and `Tree`: spans in memory on their way into the lake, and how they hang together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wattspan.calls import CallBatch, Column

Ints = npt.NDArray[np.int64]
Counts = npt.NDArray[np.int32]
Integers = npt.NDArray[np.integer[Any]]
Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Small = npt.NDArray[np.int8]
Bytes = npt.NDArray[np.uint8]
Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True, eq=False)
class Attributes:
    """The allow-listed attributes of n spans: pair i of span s is at offsets[s] <= i < offsets[s + 1]."""

    offsets: Ints
    """int64[n + 1]."""
    key: Column
    """One a pair."""
    value: Column
    """One a pair; numbers and truth values as text."""

    def column(self, key: str) -> Column:
        """The value of `key` on each of the n spans, "" where it has none."""
        n = len(self.offsets) - 1
        codes = np.zeros(n, dtype=np.int32)
        if key in self.key.names:
            pairs = np.flatnonzero(self.key.codes == self.key.names.index(key))
            codes[np.searchsorted(self.offsets, pairs, side="right") - 1] = self.value.codes[pairs]
        return Column(codes, self.value.names)


@dataclass(frozen=True, slots=True, eq=False)
class SpanRows:
    """Spans as columns, all of length n; the calls among them as a `CallBatch` of length k.

    Raw only: what the spans said. The names are those of `schema.SPAN` and `schema.CALL`.
    """

    trace_id: Bytes
    """uint8[n, 16]."""
    span_id: Hashes
    parent_span_id: Hashes
    start_unix_ns: Ints
    duration_ns: Ints
    kind: Small
    status: Small
    service: Column
    scope: Column
    name: Column
    agent: Column
    tool: Column
    cpu_ns: Ints
    """-1 where the span reports none."""
    kept_share: Floats
    """Share of traces that sampling kept, by `tracestate` ot=th: (0, 1]; NaN where the span says nothing."""
    attributes: Attributes
    call_rows: Ints
    """int64[k]: the spans that are calls or aggregates, ascending."""
    calls: CallBatch
    role: Small
    is_continuation: Flags
    response_hash: Hashes
    reasoning_effort: Column
    reported_cost_usd: Floats
    """The last five are of length k; NaN where the span reports no cost."""

    def __len__(self) -> int:
        return len(self.span_id)


@dataclass(frozen=True, slots=True, eq=False)
class Tree:
    """Where each of n spans stands; the spans are in the order of (trace, pre), whole traces together."""

    trace: Ints
    """int64[n]: number of the trace, ascending from 0."""
    parent_row: Ints
    """int64[n]: row of the parent, -1 for a root (no parent, or one that is missing)."""
    pre: Counts
    subtree_size: Counts
    depth: Counts
    own_ns: Ints
    """Duration not covered by any child."""

    def __len__(self) -> int:
        return len(self.trace)
