"""Trees of traces against a slow walk from the root, and shapes that only broken tracers send."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from wattspan.lake.tree import once_each, plant


def planted(spans: list[tuple[int, int, int, int, int]]):
    """`spans`: trace, span id, parent id, start, duration."""
    columns = np.array(spans, dtype=np.int64).reshape(-1, 5)
    trace_id = np.zeros((len(spans), 16), dtype=np.uint8)
    trace_id[:, 15] = columns[:, 0]
    ids = [columns[:, i].astype(np.uint64) for i in (1, 2)]
    order, tree = plant(trace_id, *ids, columns[:, 3], columns[:, 4])
    return [spans[i] for i in order.tolist()], tree


def walked(spans: list[tuple[int, int, int, int, int]]):
    """Pre-order by recursion: (trace, span id, pre, subtree size, depth, own time), in order."""
    out = []
    for trace in sorted({s[0] for s in spans}):
        mine = [s for s in spans if s[0] == trace]
        ids = {s[1] for s in mine}
        roots = [s for s in mine if s[2] not in ids or s[2] == 0 or s[2] == s[1]]
        found: list = []
        for root in sorted(roots, key=lambda s: s[3]):
            visit(mine, root, 0, found)
        out += found
    return out


def visit(mine, span, depth, out) -> None:
    pre = len(out)
    out.append(None)
    children = sorted((s for s in mine if s[2] == span[1] and s is not span), key=lambda s: s[3])
    for child in children:
        visit(mine, child, depth + 1, out)
    covered = {
        t
        for child in children
        for t in range(max(child[3], span[3]), min(child[3] + child[4], span[3] + span[4]))
    }
    out[pre] = (span[0], span[1], pre, len(out) - pre, depth, span[4] - len(covered))


@st.composite
def traces(draw: st.DrawFn):
    spans = []
    for trace in range(1, draw(st.integers(1, 4)) + 1):
        ids = draw(st.lists(st.integers(1, 40), unique=True, min_size=1, max_size=12))
        starts = draw(st.lists(st.integers(0, 60), unique=True, min_size=len(ids), max_size=len(ids)))
        for place, (span, start) in enumerate(zip(ids, starts, strict=True)):
            parent = draw(st.sampled_from([0, 99, *ids[:place]]))
            spans.append((trace, span, parent, start, draw(st.integers(0, 30))))
    return draw(st.permutations(spans))


@settings(deadline=None, max_examples=200)
@given(traces())
def test_trees_are_those_of_a_walk_from_the_root(spans) -> None:
    ordered, tree = planted(spans)
    found = [
        (s[0], s[1], pre, size, depth, own)
        for s, pre, size, depth, own in zip(
            ordered,
            tree.pre.tolist(),
            tree.subtree_size.tolist(),
            tree.depth.tolist(),
            tree.own_ns.tolist(),
            strict=True,
        )
    ]
    assert found == walked(spans)


def test_parents_are_rows_of_the_same_trace() -> None:
    ordered, tree = planted([(1, 5, 0, 0, 9), (2, 5, 0, 0, 9), (2, 6, 5, 1, 2), (1, 6, 5, 1, 2)])
    assert [s[:2] for s in ordered] == [(1, 5), (1, 6), (2, 5), (2, 6)]
    assert tree.parent_row.tolist() == [-1, 0, -1, 2]


def test_cycles_are_cut_at_their_earliest_span() -> None:
    ordered, tree = planted([(1, 1, 3, 10, 1), (1, 2, 1, 5, 1), (1, 3, 2, 20, 1), (1, 4, 3, 30, 1)])
    assert [s[1] for s in ordered] == [2, 3, 4, 1] or [s[1] for s in ordered] == [2, 3, 1, 4]
    assert tree.subtree_size[0] == 4
    assert sorted(tree.pre.tolist()) == [0, 1, 2, 3]


def test_a_span_that_is_its_own_parent_is_a_root() -> None:
    _, tree = planted([(1, 1, 1, 0, 5)])
    assert (tree.pre.tolist(), tree.depth.tolist()) == ([0], [0])


def test_a_chain_of_fifty_thousand_spans() -> None:
    spans = [(1, i + 1, i, i, 100_000 - i) for i in range(50_000)]
    _, tree = planted(spans)
    assert tree.depth[-1] == 49_999
    assert tree.subtree_size[0] == 50_000
    assert tree.own_ns[:3].tolist() == [1, 1, 1]


def test_children_beside_one_another_are_taken_off_once() -> None:
    # 0..100 with children 10..40, 20..30, 35..60 and one that begins before and ends after: 90..250
    _, tree = planted(
        [(1, 1, 0, 0, 100), (1, 2, 1, 10, 30), (1, 3, 1, 20, 10), (1, 4, 1, 35, 25), (1, 5, 1, 90, 160)]
    )
    assert tree.own_ns[0] == 100 - 50 - 10


def test_of_copies_the_first_that_carries_figures_stays() -> None:
    keys = np.array([7, 8, 7, 7, 8], dtype=np.uint64)
    carries = np.array([False, False, True, True, False])
    assert once_each(keys, carries).tolist() == [1, 2]


def test_nothing_is_no_tree() -> None:
    order, tree = planted([])
    assert (len(order), len(tree)) == (0, 0)


def test_the_order_of_a_tree_does_not_hang_on_the_order_of_arrival() -> None:
    same_start = [(1, 5, 0, 0, 9), (1, 7, 5, 3, 1), (1, 6, 5, 3, 1), (1, 8, 5, 3, 1)]
    assert planted(same_start)[0] == planted(same_start[::-1])[0]
