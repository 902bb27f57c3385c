"""`plant`: spans of whole traces in the order of their trees, with pre-order numbers and subtree sizes.

Vectorised level by level. Orphans are roots; cycles, which no honest tracer sends, are cut at their earliest
span.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from wattspan.lake.rows import Bytes, Flags, Hashes, Ints, Tree

_MIX: Final = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F))
_HALF: Final = np.uint64(32)
_LONGEST_NS: Final = 10**15
"""Eleven days: own time of longer spans is reckoned as if they had ended then."""


def trace_keys(trace_id: Bytes) -> Hashes:
    """uint64[n]: a hash of each trace id, the same on every machine."""
    halves = np.ascontiguousarray(trace_id).view("<u8").reshape(-1, 2)
    mixed: Hashes = halves[:, 0] * _MIX[0] ^ halves[:, 1]
    mixed = (mixed ^ (mixed >> _HALF)) * _MIX[1]
    return mixed ^ (mixed >> _HALF)


def span_keys(trace_id: Bytes, span_id: Hashes, start_ns: Ints, duration_ns: Ints) -> Hashes:
    """uint64[n]: a hash of trace and span; of trace and times where a span has no id to tell it by."""
    times = start_ns.astype(np.uint64) * _MIX[1] ^ duration_ns.astype(np.uint64)
    return _span_keys(trace_keys(trace_id), np.where(span_id == 0, times, span_id))


def once_each(keys: Hashes, carries: Flags) -> Ints:
    """Rows of the spans, each key once, in their order: of copies the first that `carries` figures."""
    order = np.lexsort((~carries, keys))
    in_order = keys[order]
    is_first = np.ones(len(order), dtype=np.bool_)
    is_first[1:] = in_order[1:] != in_order[:-1]
    return np.sort(order[is_first])


def plant(
    trace_id: Bytes, span_id: Hashes, parent_span_id: Hashes, start_ns: Ints, duration_ns: Ints
) -> tuple[Ints, Tree]:
    """The order of the spans by (trace id, pre-order), and their tree in that order.

    All spans of a trace must be given at once, each once. Siblings are in the order of their start.
    """
    n = len(span_id)
    trace, first_order = _traces(trace_id)
    keys = trace_keys(trace_id)
    parent = _parents(keys, span_id, parent_span_id, trace)
    _cut_cycles(parent, start_ns)
    # children next to one another, by parent (roots by trace, behind all spans), then by start
    group = np.where(parent >= 0, parent, n + trace)
    by_group = np.lexsort((first_order, start_ns, group))
    levels = _levels(parent)
    size = np.ones(n, dtype=np.int64)
    for level in reversed(levels[1:]):
        np.add.at(size, parent[level], size[level])
    before = _before(size[by_group], group[by_group])
    offset = np.empty(n, dtype=np.int64)
    offset[by_group] = before
    pre, depth = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
    for number, level in enumerate(levels):
        above = parent[level]
        pre[level] = offset[level] if number == 0 else pre[above] + 1 + offset[level]
        depth[level] = number
    order = np.lexsort((pre, trace))
    row_of = np.empty(n, dtype=np.int64)
    row_of[order] = np.arange(n)
    moved = parent[order]
    own_ns = _own_ns(parent, by_group, start_ns, duration_ns)
    return order, Tree(
        trace=trace[order],
        parent_row=np.where(moved >= 0, row_of[moved], -1),
        pre=pre[order].astype(np.int32),
        subtree_size=size[order].astype(np.int32),
        depth=depth[order].astype(np.int32),
        own_ns=own_ns[order],
    )


def _traces(trace_id: Bytes) -> tuple[Ints, Ints]:
    """Number of each span's trace, in the order of the ids' bytes, and the order in which the spans came."""
    n = len(trace_id)
    halves = np.ascontiguousarray(trace_id).view(">u8").reshape(-1, 2).astype(np.uint64)
    order = np.lexsort((halves[:, 1], halves[:, 0]))
    high, low = halves[order, 0], halves[order, 1]
    is_new = np.zeros(n, dtype=np.int64)
    is_new[1:] = (high[1:] != high[:-1]) | (low[1:] != low[:-1])
    trace = np.empty(n, dtype=np.int64)
    trace[order] = np.cumsum(is_new)
    return trace, np.arange(n, dtype=np.int64)


def _span_keys(keys: Hashes, span_id: Hashes) -> Hashes:
    mixed: Hashes = (keys ^ (span_id * _MIX[0])) * _MIX[1]
    return mixed ^ (mixed >> _HALF)


def _parents(keys: Hashes, span_id: Hashes, parent_span_id: Hashes, trace: Ints) -> Ints:
    """Row of each span's parent; -1 where it has none, or it is not there."""
    own, wanted = _span_keys(keys, span_id), _span_keys(keys, parent_span_id)
    order = np.argsort(own, kind="stable")
    place = np.minimum(np.searchsorted(own[order], wanted), max(len(order) - 1, 0))
    found = order[place] if len(order) else order
    rows = np.arange(len(found))
    is_there = (
        (span_id[found] == parent_span_id) & (trace[found] == trace) & (parent_span_id != 0) & (found != rows)
    )
    return np.where(is_there, found, -1)


def _cut_cycles(parent: Ints, start_ns: Ints) -> None:
    """Make the earliest span of each cycle a root, in place."""
    above = np.where(parent >= 0, parent, np.arange(len(parent)))
    # after 2^k steps every span stands at its root, or goes round in a cycle
    far = above
    for _ in range(max(1, len(parent)).bit_length()):
        far = far[far]
    going_round = np.unique(far[parent[far] >= 0])
    seen: set[int] = set()
    for row in going_round.tolist():
        if row in seen:
            continue
        cycle = [row]
        seen.add(row)
        step = int(parent[row])
        while step != row:
            cycle.append(step)
            seen.add(step)
            step = int(parent[step])
        parent[min(cycle, key=lambda r: (int(start_ns[r]), r))] = -1


def _levels(parent: Ints) -> list[Ints]:
    """Rows of the roots, of their children, and so on."""
    n = len(parent)
    order = np.argsort(parent, kind="stable")
    counts = np.bincount(parent[parent >= 0], minlength=n) if n else np.zeros(0, dtype=np.int64)
    first = np.concatenate([[0], np.cumsum(counts)])[:-1] + int((parent < 0).sum())
    levels: list[Ints] = [np.flatnonzero(parent < 0)]
    while len(levels[-1]):
        above = levels[-1]
        many = counts[above]
        total = int(many.sum())
        if not total:
            break
        starts = np.repeat(first[above] - np.concatenate([[0], np.cumsum(many)[:-1]]), many)
        levels.append(order[starts + np.arange(total)])
    return levels


def _before(values: Ints, group: Ints) -> Ints:
    """Sum of the values before each one in its run of equal `group`."""
    sums = np.cumsum(values) - values
    is_new = np.ones(len(group), dtype=np.bool_)
    is_new[1:] = group[1:] != group[:-1]
    base: Ints = np.maximum.accumulate(np.where(is_new, sums, 0))
    return sums - base


def _own_ns(parent: Ints, by_group: Ints, start_ns: Ints, duration_ns: Ints) -> Ints:
    """Each span's duration that none of its children covers.

    The union of the children's intervals, clipped to the span's: they are gone through in the order of their
    start with the latest end so far, in windows laid end to end so that one running maximum serves all spans.
    """
    length = np.clip(duration_ns, 0, _LONGEST_NS)
    children = by_group[parent[by_group] >= 0]
    own = duration_ns.copy()
    for begin in range(0, len(children), 100_000):
        # a span whose children fall into two pieces is taken whole: pieces end where a parent ends
        begin = _first_of_group(parent, children, begin)
        end = _first_of_group(parent, children, min(begin + 100_000, len(children)))
        if begin < end:
            _take_off(own, parent, children[begin:end], start_ns, length)
    return np.maximum(own, 0)


def _first_of_group(parent: Ints, children: Ints, at: int) -> int:
    """`at`, or the end of the run of siblings that it falls into."""
    while 0 < at < len(children) and parent[children[at]] == parent[children[at - 1]]:
        at += 1
    return at


def _take_off(own: Ints, parent: Ints, children: Ints, start_ns: Ints, length: Ints) -> None:
    above = parent[children]
    is_new = np.ones(len(children), dtype=np.bool_)
    is_new[1:] = above[1:] != above[:-1]
    windows = np.where(is_new, length[above] + 1, 0)
    base = np.cumsum(windows) - (length[above] + 1)
    begin = np.clip(start_ns[children] - start_ns[above], 0, length[above])
    end = np.clip(start_ns[children] + length[children] - start_ns[above], 0, length[above])
    reached = np.maximum.accumulate(base + end)
    so_far = np.empty_like(reached)
    so_far[0] = base[0]
    so_far[1:] = np.maximum(reached[:-1], base[1:])
    so_far[is_new] = base[is_new]
    covered = np.maximum(base + end - np.maximum(base + begin, so_far), 0)
    np.subtract.at(own, above, covered)
