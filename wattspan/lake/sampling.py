"""`weights`: how many spans each recorded span stands for, and how that is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from wattspan.calls import Column
from wattspan.lake.inherit import nearest
from wattspan.lake.rows import Flags, Floats, Ints, SpanRows, Tree

LABELS: Final = ("", "all", "traced", "configured", "unknown")
"""`all`: every trace is kept. `traced`: the trace says its probability (`tracestate` ot=th). `configured`:
the rate is the user's word. `unknown`: nobody said; the weight is 1 and totals are of the recorded spans."""
ALL, TRACED, CONFIGURED, UNKNOWN = range(1, 5)


@dataclass(frozen=True, slots=True, eq=False)
class Sampling:
    """Columns `weight` and `sampling` of n spans (`schema.RULES`)."""

    weight: Floats
    """Inverse of the probability that the span was kept, >= 1."""
    sampling: Column


def weights(rows: SpanRows, tree: Tree, rate: float | None) -> Sampling:
    """Weight of each span: by its trace state, else by `rate` (share of traces kept, 0 < rate <= 1), else 1.

    A span without a trace state has that of the nearest span above it, else of the first span of its trace
    that says something: samplers decide on traces. Raises ValueError for a rate out of range.
    """
    if rate is not None and not 0 < rate <= 1:
        raise ValueError(f"sampling_rate is {rate:g}; it is the share of traces kept: above 0, at most 1")
    kept = rows.kept_share
    said = np.isfinite(kept) & (kept > 0) & (kept <= 1)
    source = _nearest(said, tree)
    is_traced = source >= 0
    share = np.where(is_traced, kept[source], 1.0 if rate is None else rate)
    how = np.where(is_traced, TRACED, UNKNOWN if rate is None else CONFIGURED)
    how = np.where((share == 1.0) & (how != UNKNOWN), ALL, how)
    return Sampling(1.0 / share, Column(how.astype(np.int32), LABELS))


def _nearest(said: Flags, tree: Tree) -> Ints:
    """int64[n]: the row whose trace state counts for each span; -1 where its trace says nothing."""
    if said.all() or not said.any():
        return np.where(said, np.arange(len(said)), -1)
    source = nearest(said, tree.parent_row)
    first = np.full(int(tree.trace[-1]) + 1, -1, dtype=np.int64)
    # written from the last to the first, so that the first of a trace stays
    rows = np.flatnonzero(said)[::-1]
    first[tree.trace[rows]] = rows
    return np.where(source >= 0, source, first[tree.trace])
