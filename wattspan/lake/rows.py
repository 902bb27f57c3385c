"""`SpanRows` and `Tree`: spans in memory on their way into the lake, and how they hang together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final

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

    def take(self, rows: Ints | Flags) -> Attributes:
        """The attributes of the chosen spans."""
        chosen = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        counts = self.offsets[chosen + 1] - self.offsets[chosen]
        offsets = np.zeros(len(chosen) + 1, dtype=np.int64)
        np.cumsum(counts, out=offsets[1:])
        pairs = np.repeat(self.offsets[chosen] - offsets[:-1], counts) + np.arange(offsets[-1])
        return Attributes(offsets, self.key.take(pairs), self.value.take(pairs))

    @staticmethod
    def concatenate(parts: Sequence[Attributes]) -> Attributes:
        """Spans of all `parts` below one another."""
        ends = np.cumsum([0, *(part.offsets[-1] for part in parts)])
        offsets = [part.offsets[:-1] + end for part, end in zip(parts, ends[:-1].tolist(), strict=True)]
        return Attributes(
            np.concatenate([*offsets, ends[-1:]]).astype(np.int64),
            Column.concatenate([part.key for part in parts]),
            Column.concatenate([part.value for part in parts]),
        )


NO_ATTRIBUTES: Final = Attributes(np.zeros(1, np.int64), Column.of(()), Column.of(()))


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

    def __post_init__(self) -> None:
        n, k = len(self.span_id), len(self.call_rows)
        for name in (*OF_SPANS, *OF_CALLS):
            rows = len(getattr(self, name))
            if rows != (k if name in OF_CALLS else n):
                raise ValueError(f"column {name} has {rows} rows; there are {n} spans and {k} calls")
        if len(self.attributes.offsets) != n + 1:
            raise ValueError(f"attributes of {len(self.attributes.offsets) - 1} spans; there are {n}")

    @property
    def is_call(self) -> Flags:
        """bool[n]: the span is a call or an aggregate."""
        flags = np.zeros(len(self), dtype=np.bool_)
        flags[self.call_rows] = True
        return flags

    @property
    def carries(self) -> Flags:
        """bool[n]: the span has token counts, or energy."""
        flags = np.zeros(len(self), dtype=np.bool_)
        flags[self.call_rows] = self.calls.has_usage | ~np.isnan(self.calls.reported_energy_kwh)
        return flags

    @property
    def end_unix_ns(self) -> Ints:
        """int64[n]: start and duration; the start where no end is known."""
        return self.start_unix_ns + self.duration_ns

    @property
    def nbytes(self) -> int:
        """Memory of the arrays."""
        total = self.call_rows.nbytes + sum(
            array.nbytes for array in (self.attributes.offsets, self.attributes.key.codes) for _ in range(2)
        )
        for holder, names in ((self, (*OF_SPANS, *OF_CALLS)), (self.calls, OF_BATCH)):
            for name in names:
                value = getattr(holder, name)
                total += value.codes.nbytes if isinstance(value, Column) else getattr(value, "nbytes", 0)
        return total

    def take(self, rows: Ints | Flags) -> SpanRows:
        """The chosen spans, in the order of `rows`."""
        chosen: Ints = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows.astype(np.int64, copy=False)
        call_of = np.full(len(self), -1, dtype=np.int64)
        call_of[self.call_rows] = np.arange(len(self.call_rows))
        calls = call_of[chosen]
        call_rows = np.flatnonzero(calls >= 0)
        calls = calls[call_rows]
        return SpanRows(
            **{name: _taken(getattr(self, name), chosen) for name in OF_SPANS},
            **{name: _taken(getattr(self, name), calls) for name in OF_CALLS},
            attributes=self.attributes.take(chosen),
            call_rows=call_rows,
        )

    @staticmethod
    def concatenate(parts: Sequence[SpanRows]) -> SpanRows:
        """Spans of all `parts` below one another."""
        if len(parts) == 1:
            return parts[0]
        firsts = np.cumsum([0, *(len(part) for part in parts[:-1])]).tolist()
        return SpanRows(
            **{name: _joined([getattr(part, name) for part in parts]) for name in (*OF_SPANS, *OF_CALLS)},
            attributes=Attributes.concatenate([part.attributes for part in parts]),
            call_rows=np.concatenate([p.call_rows + first for p, first in zip(parts, firsts, strict=True)]),
        )

    def without_unused_names(self) -> SpanRows:
        """The same rows; dictionaries hold what a row says and nothing else."""
        changed: dict[str, Any] = {
            name: _compact(value)
            for name in (*OF_SPANS, *OF_CALLS)
            if isinstance(value := getattr(self, name), Column)
        }
        calls: dict[str, Any] = {
            name: _compact(value)
            for name in OF_BATCH
            if isinstance(value := getattr(self.calls, name), Column)
        }
        attributes = replace(
            self.attributes, key=_compact(self.attributes.key), value=_compact(self.attributes.value)
        )
        return replace(self, **changed, attributes=attributes, calls=replace(self.calls, **calls))


OF_SPANS: Final = (
    "trace_id", "span_id", "parent_span_id", "start_unix_ns", "duration_ns", "kind", "status", "service",
    "scope", "name", "agent", "tool", "cpu_ns", "kept_share",
)  # fmt: skip
OF_CALLS: Final = (
    "calls", "role", "is_continuation", "response_hash", "reasoning_effort", "reported_cost_usd",
)  # fmt: skip
OF_BATCH: Final = tuple(field.name for field in fields(CallBatch))


def _taken(value: Any, rows: Ints) -> Any:
    return value.take(rows) if isinstance(value, Column | CallBatch) else value[rows]


def _joined(values: Sequence[Any]) -> Any:
    first = values[0]
    if isinstance(first, Column):
        return Column.concatenate(values)
    return CallBatch.concatenate(values) if isinstance(first, CallBatch) else np.concatenate(values)


def _compact(column: Column) -> Column:
    used = np.bincount(column.codes, minlength=len(column.names)) > 0
    used[0] = True
    if used.all():
        return column
    places = (np.cumsum(used) - 1).astype(np.int32)
    kept = np.flatnonzero(used).tolist()
    return Column(places[column.codes], tuple(column.names[code] for code in kept))


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
