"""What spans have from those above them: parents from the order of the tree, and the nearest that says
something."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from wattspan.lake.rows import Counts, Flags, Ints


def parent_rows(depth: Counts) -> Ints:
    """int64[n]: row of each span's parent, -1 for roots; rows are whole traces in pre-order.

    The parent is the last row before it that is one level higher.
    """
    parent = np.full(len(depth), -1, dtype=np.int64)
    order = np.argsort(depth, kind="stable")
    levels = np.split(order, np.cumsum(np.bincount(depth))[:-1]) if len(depth) else []
    for above, at in pairwise(levels):
        parent[at] = above[np.searchsorted(above, at) - 1]
    return parent


def nearest(said: Flags, parent_row: Ints) -> Ints:
    """int64[n]: the nearest row at or above each row for which `said` is true, -1 where there is none."""
    source = np.where(said, np.arange(len(said)), -1)
    above = parent_row.copy()
    # Pointers upwards, doubled each round: a chain of 50,000 spans takes 17 rounds.
    while (open_rows := np.flatnonzero((source < 0) & (above >= 0))).size:
        parent = above[open_rows]
        source[open_rows] = source[parent]
        above[open_rows] = above[parent]
    return source
