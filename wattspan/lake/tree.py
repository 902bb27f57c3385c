"""`plant`: spans of whole traces in the order of their trees, with pre-order numbers and subtree sizes.

Array operations all the way, however deep the tree: a chain of 50,000 spans takes 17 rounds. Orphans are
roots; cycles, which no honest tracer sends, are cut at their earliest span.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from wattspan.lake.rows import Bytes, Counts, Flags, Hashes, Ints, Tree

_MIX: Final = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F))
_HALF: Final = np.uint64(32)
_NONE: Final = -1


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
    ordered = np.sort(keys)
    if not (ordered[1:] == ordered[:-1]).any():
        return np.arange(len(keys))
    order = np.lexsort((~carries, keys))
    in_order = keys[order]
    is_first = np.ones(len(order), dtype=np.bool_)
    is_first[1:] = in_order[1:] != in_order[:-1]
    return np.sort(order[is_first])


def plant(
    trace_id: Bytes, span_id: Hashes, parent_span_id: Hashes, start_ns: Ints, duration_ns: Ints
) -> tuple[Ints, Tree]:
    """The order of the spans by (trace id, pre-order), and their tree in that order.

    All spans of a trace must be given at once, each once. Siblings are in the order of their start, equal
    ones in that of their ids, so that the order does not hang on that of arrival.
    """
    trace = _traces(trace_id)
    order = _by_start(trace, start_ns, span_id)
    trace = trace[order]
    parent = _parents(trace_keys(trace_id[order]), span_id[order], parent_span_id[order], trace)
    parent = _uncircled(parent)
    pre, size, depth = _tour(trace, parent)
    row_of = _first_of_trace(trace) + pre
    final = np.empty(len(row_of), dtype=np.int64)
    final[row_of] = np.arange(len(row_of))
    moved = parent[final]
    moved = np.where(moved >= 0, row_of[moved], _NONE)
    order = order[final]
    own_ns = _own_ns(start_ns[order], duration_ns[order], moved)
    return order, Tree(trace, moved, pre[final], size[final], depth[final], own_ns)


def _by_start(trace: Ints, start_ns: Ints, span_id: Hashes) -> Ints:
    """The spans by trace, start and id. One number to sort by where trace and start fit into it: numpy sorts
    that ten times as fast as three keys."""
    n = len(trace)
    if not n:
        return trace
    earliest = np.full(int(trace.max()) + 1, np.iinfo(np.int64).max)
    np.minimum.at(earliest, trace, start_ns)
    since = start_ns - earliest[trace]
    most = int(since.max()) + 1
    if most * len(earliest) >= 2**63:
        return np.lexsort((span_id, start_ns, trace))
    key = trace * most + since
    order = np.argsort(key)
    ordered = key[order]
    is_tied = np.zeros(n, dtype=np.bool_)
    is_tied[1:] = ordered[1:] == ordered[:-1]
    is_tied[:-1] |= is_tied[1:]
    ties = np.flatnonzero(is_tied)
    if len(ties):
        rows = order[ties]
        order[ties] = rows[np.lexsort((span_id[rows], key[rows]))]
    return order


def _traces(trace_id: Bytes) -> Ints:
    """Number of each span's trace, in the order of the ids' bytes."""
    halves = np.ascontiguousarray(trace_id).view(">u8").reshape(-1, 2).astype(np.uint64)
    order = np.argsort(halves[:, 0])
    high, low = halves[order, 0], halves[order, 1]
    if ((high[1:] == high[:-1]) & (low[1:] != low[:-1])).any():
        # Ids of 64 bits, whose first half is zero.
        order = np.lexsort((halves[:, 1], halves[:, 0]))
        high, low = halves[order, 0], halves[order, 1]
    is_new = np.zeros(len(order), dtype=np.int64)
    is_new[1:] = (high[1:] != high[:-1]) | (low[1:] != low[:-1])
    trace = np.empty(len(order), dtype=np.int64)
    trace[order] = np.cumsum(is_new)
    return trace


def _span_keys(keys: Hashes, span_id: Hashes) -> Hashes:
    mixed: Hashes = (keys ^ (span_id * _MIX[0])) * _MIX[1]
    return mixed ^ (mixed >> _HALF)


def places(ordered: Hashes, wanted: Hashes) -> Ints:
    """`np.searchsorted`, three times as fast where neither fits into the processor's cache."""
    by_value = np.argsort(wanted)
    found = np.empty(len(wanted), dtype=np.int64)
    found[by_value] = np.searchsorted(ordered, wanted[by_value])
    return found


def _parents(keys: Hashes, span_id: Hashes, parent_span_id: Hashes, trace: Ints) -> Ints:
    """Row of each span's parent; -1 where it has none, or it is not there."""
    own, wanted = _span_keys(keys, span_id), _span_keys(keys, parent_span_id)
    order = np.argsort(own)
    place = np.minimum(places(own[order], wanted), max(len(order) - 1, 0))
    found = order[place] if len(order) else order
    rows = np.arange(len(found))
    is_there = (
        (span_id[found] == parent_span_id) & (trace[found] == trace) & (parent_span_id != 0) & (found != rows)
    )
    return np.where(is_there, found, -1)


def _uncircled(parent: Ints) -> Ints:
    """`parent` without circles: the first span of each is a root."""
    n = len(parent)
    above = np.append(np.where(parent >= 0, parent, n), n)
    steps = 1
    while (above != n).any():
        if steps > n:
            break
        above = above[above]
        steps *= 2
    else:
        return parent
    # Whatever still has something above it is in a circle or hangs from one.
    parent = parent.copy()
    state = np.where(above[:-1] == n, 2, 0)
    for row in np.flatnonzero(state == 0).tolist():
        path: list[int] = []
        while row >= 0 and state[row] == 0:
            state[row] = 1
            path.append(row)
            row = int(parent[row])
        if row >= 0 and state[row] == 1:
            circle = path[path.index(row) :]
            parent[min(circle)] = _NONE
        state[path] = 2
    return parent


def _tour(trace: Ints, parent: Ints) -> tuple[Counts, Counts, Counts]:
    """`pre`, `subtree_size` and `depth` of each span; spans are by trace, siblings in their order.

    The way around the tree, in at each span (event v) and out of it (event n + v), is a linked list; the
    distance of each event to its end comes by doubling: each round every event learns of twice as many that
    follow it, so a chain of 50,000 spans takes 17 rounds.
    """
    n = len(parent)
    if n == 0:
        empty = np.zeros(0, dtype=np.int32)
        return empty, empty, empty
    after = _next_events(trace, parent)
    end = 2 * n
    distance = np.ones(end + 1, dtype=np.int64)
    distance[end] = 0
    distance[:end][after[:end] == end] = 1
    active = np.flatnonzero(after[:end] != end)
    while len(active):
        further = after[active]
        distance[active] += distance[further]
        after[active] = after[further]
        active = active[after[active] != end]
    first = _first_of_trace(trace)
    counts = np.bincount(trace, minlength=int(trace[-1]) + 1)[trace]
    place_in, place_out = 2 * counts - distance[:n], 2 * counts - distance[n:end]
    steps = np.empty(end, dtype=np.int8)
    at = 2 * first + place_in
    steps[at], steps[2 * first + place_out] = 1, -1
    entered = np.cumsum(steps > 0)
    pre = entered[at] - 1 - first
    size = (place_out - place_in + 1) // 2
    depth = 2 * pre - place_in
    return pre.astype(np.int32), size.astype(np.int32), depth.astype(np.int32)


def _next_events(trace: Ints, parent: Ints) -> Ints:
    """int64[2n + 1]: the event after each; 2n is the end of a trace's tour."""
    n = len(parent)
    end = 2 * n
    # Roots are siblings under their trace.
    family = np.where(parent >= 0, parent, n + trace)
    order = np.argsort(family, kind="stable")
    in_order = family[order]
    is_first = np.ones(n, dtype=np.bool_)
    is_first[1:] = in_order[1:] != in_order[:-1]
    after = np.full(end + 1, end, dtype=np.int64)
    after[:n] = np.arange(n, end)
    firsts = order[is_first]
    has_parent = parent[firsts] >= 0
    after[parent[firsts[has_parent]]] = firsts[has_parent]
    out = np.where(parent >= 0, n + parent, end)
    following = ~np.append(is_first[1:], True)
    out[order[:-1][following[:-1]]] = order[1:][following[:-1]]
    after[n:end] = out
    return after


def _first_of_trace(trace: Ints) -> Ints:
    """int64[n]: the first row of each span's trace."""
    starts = np.flatnonzero(np.append(True, trace[1:] != trace[:-1])) if len(trace) else trace
    return starts[trace - trace[0]] if len(trace) else trace


def _own_ns(start: Ints, duration: Ints, parent: Ints) -> Ints:
    """Duration not covered by any child: children's times joined, and cut to the span's."""
    own = duration.copy()
    children = np.flatnonzero(parent >= 0)
    if not len(children):
        return own
    above = parent[children]
    lower, upper = start[above], start[above] + duration[above]
    begin = np.clip(start[children], lower, upper)
    finish = np.clip(start[children] + duration[children], lower, upper)
    order = np.lexsort((begin, above))
    above, begin, finish = above[order], begin[order], finish[order]
    # The latest end among earlier siblings, as the largest rank so far; families stand apart by their offset.
    ends, rank = np.unique(finish, return_inverse=True)
    family = np.cumsum(np.append(False, above[1:] != above[:-1]))
    offset = family * len(ends)
    latest = ends[np.maximum.accumulate(offset + rank) - offset]
    covered_until = np.append(np.int64(0), latest[:-1])
    is_first = np.append(True, above[1:] != above[:-1])
    begin = np.where(is_first, begin, np.maximum(begin, covered_until))
    np.subtract.at(own, above, np.maximum(finish - begin, 0))
    return own
