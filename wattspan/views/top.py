"""`top`: the traces and the subtrees that take the most energy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow.parquet as pq

from wattspan.estimator import Band, Terms
from wattspan.lake import spread
from wattspan.lake.arrow import text_column
from wattspan.lake.inherit import parent_rows
from wattspan.lake.manifest import Segment
from wattspan.lake.reader import Snapshot
from wattspan.lake.rows import Flags, Floats, Ints
from wattspan.lake.segments import trace_ids
from wattspan.views.question import Question, segments_of
from wattspan.views.rows import counts

_COLUMNS: Final = (
    "trace_id",
    "start_unix_ns",
    "call_start_unix_ns",
    "service",
    "name",
    "feature",
    "pre",
    "subtree_size",
    "depth",
    "is_owner",
    "basis",
    "weight",
    "energy_kwh",
    "co2e_g",
    "spread",
)


@dataclass(frozen=True, slots=True)
class Trace:
    """One trace: what the spans in the lake show, not scaled."""

    trace_id: str
    """32 hexadecimal digits."""
    start_unix_ns: int
    service: str
    name: str
    """Of its first span, like the service."""
    feature: str
    spans: int
    calls: int
    energy_kwh: Band
    co2e_g: Band


@dataclass(frozen=True, slots=True)
class Subtree:
    """All spans of one service and name, each with what hangs from it; scaled to all traces where sampled."""

    feature: str
    service: str
    name: str
    count: float
    """Times it ran."""
    calls: float
    energy_kwh: Band
    co2e_g: Band


def top_traces(snapshot: Snapshot, question: Question, n: int = 10) -> tuple[Trace, ...]:
    """The `n` traces of the period with the most energy, by the resident estimates."""
    best: list[tuple[float, Segment, int, int]] = []
    for segment in segments_of(snapshot, question):
        rows = _Rows(snapshot, segment, question)
        first = np.flatnonzero(rows.pre == 0)
        sums = np.add.reduceat(rows.energy, first) if len(first) else np.empty(0)
        ends = np.append(first[1:], len(rows.pre))
        best += [
            (float(sums[at]), segment, int(first[at]), int(ends[at]))
            for at in np.argsort(-sums, kind="stable")[:n].tolist()
            if sums[at] > 0
        ]
        best = sorted(best, key=lambda found: -found[0])[:n]
    return tuple(_trace(snapshot, question, segment, begin, end) for _, segment, begin, end in best)


def _trace(snapshot: Snapshot, question: Question, segment: Segment, begin: int, end: int) -> Trace:
    rows = _Rows(snapshot, segment, question, (begin, end))
    everything = np.ones(len(rows.pre), dtype=np.bool_)
    return Trace(
        trace_id=trace_ids(rows.table)[0].tobytes().hex(),
        start_unix_ns=int(rows.table.column("start_unix_ns").to_numpy().min()),
        service=rows.texts("service")[0],
        name=rows.texts("name")[0],
        feature=next((text for text in rows.texts("feature") if text), ""),
        spans=len(rows.pre),
        calls=int(rows.is_call.sum()),
        energy_kwh=rows.band(everything, "energy_kwh"),
        co2e_g=rows.band(everything, "co2e_g"),
    )


def top_subtrees(snapshot: Snapshot, question: Question, n: int = 10) -> tuple[Subtree, ...]:
    """The `n` subtrees inside traces with the most energy, merged over the period by service and name.

    Roots are left out (they are the features and the traces), so are calls themselves (they are the models),
    and spans that only wrap another one: of a chain with the same energy the uppermost stands.
    """
    sums: dict[tuple[str, str, str], list[Any]] = {}
    for segment in segments_of(snapshot, question):
        rows = _Rows(snapshot, segment, question)
        for key, at in rows.subtrees():
            entry = sums.setdefault(key, [0.0, 0.0, 0.0, Terms(), Terms()])
            covered = rows.covered(at)
            entry[0] += float(rows.weight[at].sum())
            entry[1] += float(rows.weight[covered & rows.is_call].sum())
            entry[2] += float(rows.energy[covered].sum())
            for carbon, terms in enumerate(entry[3:]):
                rows.add_terms(terms, covered, "co2e_g" if carbon else "energy_kwh")
    ranked = sorted(sums.items(), key=lambda item: -item[1][2])[:n]
    return tuple(
        Subtree(*key, count, calls, energy.band(), carbon.band())
        for key, (count, calls, _, energy, carbon) in ranked
    )


class _Rows:
    """The rows of a segment, or some of them, with what is summed; energy is weighted, 0 outside the
    period."""

    def __init__(
        self, snapshot: Snapshot, segment: Segment, question: Question, bounds: tuple[int, int] | None = None
    ) -> None:
        table = pq.read_table(snapshot.folder / segment.file, columns=list(_COLUMNS), memory_map=True)
        self.table = table if bounds is None else table.slice(bounds[0], bounds[1] - bounds[0])
        self.pre: Ints = self._numbers("pre")
        is_counted = counts(self.table) & self._within(question)
        self.is_call: Flags = is_counted & self.table.column("is_owner").fill_null(False).to_numpy()
        weight = self._numbers("weight") if bounds is None else np.ones(len(self.pre))
        self.weight: Floats = weight
        self.energy = np.where(is_counted, weight * self._figures("energy_kwh"), 0.0)
        self._carbon = np.where(is_counted, weight * self._figures("co2e_g"), 0.0)

    def _numbers(self, name: str) -> Any:
        return self.table.column(name).to_numpy()

    def _figures(self, name: str) -> Floats:
        values: Floats = np.nan_to_num(self.table.column(name).fill_null(0.0).to_numpy(), nan=0.0)
        return values

    def _within(self, question: Question) -> Flags:
        start = self._numbers("start_unix_ns")
        own = self.table.column("call_start_unix_ns").fill_null(-1).to_numpy()
        start = np.where(own >= 0, own, start)
        low, high = question.start_unix_ns, question.end_unix_ns
        within: Flags = (start >= (low or 0)) & (start < (high if high is not None else np.inf))
        return within

    def texts(self, name: str) -> list[str]:
        """A text column, "" where there is none."""
        return text_column(self.table.column(name)).texts()

    def subtrees(self) -> list[tuple[tuple[str, str, str], Ints]]:
        """(feature, service, name) and the rows that bear it, none of them inside another of them."""
        n = len(self.pre)
        size, depth = self._numbers("subtree_size").astype(np.int64), self._numbers("depth")
        sums = np.append(0.0, np.cumsum(self.energy))
        here = np.arange(n)
        inclusive = sums[here + size] - sums[here]
        parent = parent_rows(depth)
        wraps = (
            (parent >= 0) & (depth[parent] > 0) & np.isclose(inclusive, inclusive[parent], rtol=1e-9, atol=0)
        )
        at = np.flatnonzero((depth > 0) & ~wraps & ~self.is_call & (inclusive > 0) & (size > 1))
        columns = [text_column(self.table.column(name)) for name in ("feature", "service", "name")]
        key = np.zeros(len(at), dtype=np.int64)
        for column in columns:
            key = key * len(column.names) + column.codes[at]
        found = []
        order = np.lexsort((at, key))
        for of_key in np.split(at[order], np.flatnonzero(np.diff(key[order])) + 1):
            if len(of_key):
                ends = np.maximum.accumulate(of_key + size[of_key])
                outer = of_key[np.append(True, of_key[1:] >= ends[:-1])]
                feature, service, name = (column[int(outer[0])] for column in columns)
                found.append(((feature, service, name), outer))
        return found

    def covered(self, at: Ints) -> Flags:
        """bool[n]: rows in the subtrees of `at`, which do not overlap."""
        steps = np.zeros(len(self.pre) + 1, dtype=np.int64)
        steps[at] += 1
        np.subtract.at(steps, at + self._numbers("subtree_size")[at], 1)
        return np.cumsum(steps[:-1]) > 0

    def add_terms(self, terms: Terms, rows: Flags, value: str) -> None:
        """Add the energy or carbon of `rows` by the errors they share."""
        values = self._carbon if value == "co2e_g" else self.energy
        column = text_column(self.table.column("spread"))
        sums = np.bincount(column.codes[rows], values[rows], minlength=len(column.names)).tolist()
        for text, central in zip(column.names, sums, strict=True):
            if central > 0:
                errors = spread.read(text)
                terms.add(central, errors.carbon if value == "co2e_g" else errors.energy)

    def band(self, rows: Flags, value: str) -> Band:
        """The band of the sum of `rows`."""
        terms = Terms()
        self.add_terms(terms, rows, value)
        return terms.band()


__all__: Sequence[str] = ("Subtree", "Trace", "top_subtrees", "top_traces")
