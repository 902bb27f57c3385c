"""`settle`: which of the calls and aggregates of one trace own their energy, and which repeat another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from wattspan.otlp.owners.node import (
    OVERLAP_SLACK_NS,
    Node,
    contains,
    disagree_on_id,
    is_apart,
    may_be_same_model,
    run_together,
    same_tokens,
)

_NEIGHBOURS: Final = 64
"""How many spans that start next are looked at for a copy by another instrumentor: bounds the work in huge
traces."""
_MOST_CALLS: Final = 1_000
"""Calls of a trace up to which broken trees are mended by the clock."""
_UNKNOWN: Final = -1
_UNDER_WAY: Final = -2


@dataclass(slots=True)
class Tally:
    """What streaming could not take back."""

    superseded: int = 0
    """Calls told to be without usage, of which a later span had it: they were counted twice."""


def settle(nodes: Sequence[Node], parent_of: Mapping[int, int], tally: Tally) -> None:
    """Decide the owner of every node of one trace; `node.root()` is the answer.

    `nodes`: in order of arrival, those already settled in earlier batches among them. `parent_of`: parent
    span id of every span of the trace that is known, nodes or not. Runs in O(n log n) for n nodes.

    The rules, in this order: a span sent twice is one; spans with the same response id are one call; a call
    inside a call repeats it where tokens, or the lack of them, agree; a streamed response logged apart
    belongs to its request; different instrumentors side by side repeat each other; an aggregate owns only
    what nothing below it reports. What was told before stands.
    """
    mains = _one_of_each_span(nodes, tally)
    _climb(mains, parent_of)
    deep_first = sorted(mains, key=lambda node: -node.depth)
    _join_response_ids(mains, tally)
    _join_nested(deep_first, tally)
    _join_continuations(mains, tally)
    _join_instrumentors(mains, tally)
    _settle_aggregates(deep_first, mains, tally)


def _join(one: Node, other: Node, tally: Tally) -> None:
    """Make the two the same call; the better one owns it."""
    one, other = one.root(), other.root()
    if one is other or (one.is_settled and other.is_settled):
        return
    winner, loser = (one, other) if _is_better(one, other) else (other, one)
    _give(loser, winner, tally, is_copy=True)


def _give(loser: Node, winner: Node, tally: Tally, *, is_copy: bool) -> None:
    if loser.is_settled:
        tally.superseded += 1
    loser.owner = winner
    loser.is_copy = is_copy


def _is_better(one: Node, other: Node) -> bool:
    if one.carries != other.carries:
        return one.carries
    if one.is_settled != other.is_settled:
        return one.is_settled
    if one.is_aggregate != other.is_aggregate:
        return other.is_aggregate
    if one.is_continuation != other.is_continuation:
        return other.is_continuation
    if other.has_ancestor(one):
        return False
    if one.has_ancestor(other) or one.duration_ns == other.duration_ns:
        return True
    return one.duration_ns < other.duration_ns


def _one_of_each_span(nodes: Sequence[Node], tally: Tally) -> list[Node]:
    mains: dict[int, Node] = {}
    unnamed: list[Node] = []
    for node in nodes:
        if node.span_id == 0:
            unnamed.append(node)
            continue
        first = mains.setdefault(node.span_id, node)
        if first is node:
            continue
        if node.carries and not first.carries:
            mains[node.span_id] = node
            _give(first, node, tally, is_copy=True)
        else:
            node.owner, node.is_copy = first, True
    return [*mains.values(), *unnamed]


def _climb(mains: Sequence[Node], parent_of: Mapping[int, int]) -> None:
    """Set `up` and `depth` of every node; parents that are no nodes are stepped over, cycles cut."""
    by_span = {node.span_id: node for node in mains if node.span_id}
    nearest: dict[int, tuple[Node | None, bool]] = {}
    for node in mains:
        path: list[int] = []
        span = node.parent_id
        found: tuple[Node | None, bool] = (None, False)
        seen = {node.span_id}
        while span and span not in seen:
            if span in by_span:
                found = (by_span[span], False)
                break
            if span in nearest:
                found = nearest[span]
                break
            if span not in parent_of:
                found = (None, True)
                break
            seen.add(span)
            path.append(span)
            span = parent_of[span]
        for step in path:
            nearest[step] = found
        node.up, node.hangs = found
        if node.up is node:
            node.up = None
        node.depth = _UNKNOWN
        node.below_usage = node.below_generated = False
        node.below_last = None
    for node in mains:
        chain: list[Node] = []
        walker: Node | None = node
        while walker is not None and walker.depth == _UNKNOWN:
            walker.depth = _UNDER_WAY
            chain.append(walker)
            walker = walker.up
        if walker is not None and walker.depth == _UNDER_WAY:
            chain[-1].up = walker = None
        depth = 0 if walker is None else walker.depth + 1
        for link in reversed(chain):
            link.depth = depth
            link.hangs = link.hangs or (link.up is not None and link.up.hangs)
            depth += 1


def _join_response_ids(mains: Iterable[Node], tally: Tally) -> None:
    first: dict[int, list[Node]] = {}
    for node in mains:
        if not node.response_id:
            continue
        others = first.setdefault(node.response_id, [])
        for other in others[-_NEIGHBOURS:]:
            # Some servers give every response the same id: other tokens at another time are another call.
            reused = node.carries and other.carries and not same_tokens(node, other) and is_apart(node, other)
            if not reused:
                _join(node, other, tally)
                break
        else:
            others.append(node)


def _join_nested(deep_first: Iterable[Node], tally: Tally) -> None:
    inner: dict[int, list[tuple[Node, bool]]] = {}
    sums: dict[int, tuple[int, int]] = {}
    for node in deep_first:
        if node.is_aggregate:
            continue
        kids = inner.pop(id(node), [])
        below_input, below_output = sums.pop(id(node), (0, 0))
        if node.owner is not None:
            _follow(node, [kid for kid, _ in kids], tally)
        elif kids:
            if node.is_settled:
                _cover(node, [kid for kid, _ in kids], tally)
            else:
                _nest(node, kids, (below_input, below_output), tally)
        if node.owner is None and node.carries:
            below_input, below_output = below_input + node.input, below_output + node.output
        outer, is_direct = node.up, True
        while outer is not None and outer.is_aggregate:
            outer, is_direct = outer.up, False
        if outer is not None:
            inner.setdefault(id(outer), []).append((node, is_direct))
            known = sums.get(id(outer), (0, 0))
            sums[id(outer)] = (known[0] + below_input, known[1] + below_output)


def _nest(node: Node, kids: Sequence[tuple[Node, bool]], below: tuple[int, int], tally: Tally) -> None:
    """Join a call with the call inside it, if that is what it is."""
    roots = {id(root): root for kid, _ in kids if (root := kid.root()) is not node}
    reporting = sorted((root for root in roots.values() if root.carries), key=lambda root: root.end_ns)
    if node.carries:
        equal = next((root for root in reporting if same_tokens(root, node)), None)
        if equal is not None:
            _join(node, equal, tally)
        elif reporting and below == (node.input, node.output):
            _give(node, reporting[-1], tally, is_copy=False)
        elif len(reporting) == 1 and kids[0][1] and _is_recount(node, reporting[0]):
            _join(node, reporting[0], tally)
        elif not reporting:
            for kid, is_direct in kids:
                if is_direct and not kid.root().is_error and may_be_same_model(node, kid):
                    _join(node, kid, tally)
        return
    direct = {id(root): root for kid, is_direct in kids if is_direct and (root := kid.root()) is not node}
    alike = [root for root in direct.values() if may_be_same_model(node, root)]
    alike.sort(key=lambda root: (root.carries, root.is_error == node.is_error, root.end_ns))
    if alike and (alike[-1].carries or node.is_error or not alike[-1].is_error):
        _join(node, alike[-1], tally)


def _follow(node: Node, kids: Iterable[Node], tally: Tally) -> None:
    """What repeats a call that itself repeats another goes where that went."""
    for kid in kids:
        root = kid.root()
        if root is node.root() or root.is_settled or not (same_tokens(node, root) or not root.carries):
            continue
        if node.is_copy:
            if may_be_same_model(node, root):
                _join(node, root, tally)
        elif node.is_settled and root.carries:
            _give(root, node.root(), tally, is_copy=False)


def _is_recount(node: Node, inside: Node) -> bool:
    # The outer instrumentation counted by itself (tiktoken, text length) what the inner one was told.
    return may_be_same_model(node, inside) and not disagree_on_id(node, inside) and contains(node, inside)


def _cover(settled: Node, kids: Iterable[Node], tally: Tally) -> None:
    """A span that came before the spans inside it already stands for them, as far as its tokens reach."""
    for kid in kids:
        root = kid.root()
        if root.is_settled or root is settled:
            continue
        if not root.carries:
            if (
                not settled.is_aggregate
                and may_be_same_model(settled, root)
                and root.is_error <= settled.is_error
            ):
                _join(settled, root, tally)
            continue
        if not settled.carries:
            if not settled.is_aggregate and may_be_same_model(settled, root):
                _join(settled, root, tally)
            continue
        if not settled.is_aggregate and same_tokens(settled, root):
            _join(settled, root, tally)
        elif not settled.response_id:
            left_input = settled.input - settled.covered_input
            left_output = settled.output - settled.covered_output
            if root.input <= left_input and root.output <= left_output:
                settled.covered_input += root.input
                settled.covered_output += root.output
                root.stands = settled.stands and root.is_aggregate
                _give(root, settled.root(), tally, is_copy=False)


def _join_continuations(mains: Sequence[Node], tally: Tally) -> None:
    continuations = [node for node in mains if node.is_continuation]
    if not continuations:
        return
    waiting: dict[tuple[str, int], list[Node]] = {}
    for node in sorted(mains, key=lambda node: (node.start_ns, node.is_continuation)):
        place = (node.scope, node.parent_id)
        if not node.is_continuation:
            if not node.carries and not node.is_error:
                waiting.setdefault(place, []).append(node)
            continue
        requests = waiting.get(place, [])
        latest = reversed(requests[-_NEIGHBOURS:])
        request = next((one for one in latest if _may_go_on_as(one, node)), None)
        if request is not None:
            requests.remove(request)
            _join(request, node, tally)


def _may_go_on_as(request: Node, continuation: Node) -> bool:
    known = request.root()
    if known.carries and continuation.carries and not same_tokens(known, continuation):
        return False
    return may_be_same_model(request, continuation)


def _join_instrumentors(mains: Iterable[Node], tally: Tally) -> None:
    """Join calls of different instrumentors that are side by side, in one another's time."""
    scopes_of: dict[int, set[str]] = {}
    calls: list[Node] = []
    for node in mains:
        scopes_of.setdefault(id(node.root()), set()).add(node.scope)
        if node.owner is None and not node.is_aggregate:
            calls.append(node)
    if len({node.scope for node in calls}) < 2:
        return
    calls.sort(key=lambda node: node.start_ns)
    for wants_tokens in (True, False):
        for place, one in enumerate(calls):
            for other in calls[place + 1 : place + 1 + _NEIGHBOURS]:
                if other.start_ns > one.end_ns + OVERLAP_SLACK_NS:
                    break
                root, other_root = one.root(), other.root()
                if root is other_root or scopes_of[id(root)] & scopes_of[id(other_root)]:
                    continue
                if _are_beside(one, other, wants_tokens):
                    _join(root, other_root, tally)
                    scopes_of[id(one.root())] = scopes_of[id(root)] | scopes_of[id(other_root)]


def _are_beside(one: Node, other: Node, wants_tokens: bool) -> bool:
    if one.carries and other.carries:
        if not (wants_tokens and same_tokens(one, other)):
            return False
    elif wants_tokens or one.is_error != other.is_error:
        return False
    if disagree_on_id(one, other) or not may_be_same_model(one, other):
        return False
    if one.has_ancestor(other) or other.has_ancestor(one):
        return False
    return run_together(one, other)


def _settle_aggregates(deep_first: Sequence[Node], mains: Sequence[Node], tally: Tally) -> None:
    for node in reversed(deep_first):
        above = node.up
        node.shelter = None if above is None else above if above.stands else above.shelter
    for node in deep_first:
        if node.is_aggregate and node.owner is None:
            if node.is_settled:
                continue
            _settle_aggregate(node, mains, tally)
        if not node.is_settled and node.owner is None and node.carries:
            _look_for_cover(node, mains, tally)
        if node.up is not None:
            _report_up(node, node.up)
    for node in reversed(deep_first):
        node.stands = node.stands or (node.is_aggregate and node.owner is None and node.carries)
        above = node.up
        node.shelter = None if above is None else above if _is_shelter(above) else above.shelter
        is_untold = not (node.is_aggregate or node.carries or node.is_error) and node.owner is None
        if is_untold and node.shelter is not None:
            _give(node, node.shelter, tally, is_copy=False)


def _is_shelter(node: Node) -> bool:
    return node.is_aggregate and node.owner is None and node.carries


def _settle_aggregate(node: Node, mains: Sequence[Node], tally: Tally) -> None:
    last = node.below_last
    if last is not None and (node.below_generated or node.output == 0):
        if last.root() is not node:
            _give(node, last.root(), tally, is_copy=False)
        return
    if node.below_usage or len(mains) > _MOST_CALLS:
        return
    restated = _restated_elsewhere(node, mains)
    if restated is not None:
        _give(node, restated, tally, is_copy=False)


def _restated_elsewhere(node: Node, mains: Sequence[Node]) -> Node | None:
    """The call an aggregate repeats where the tree is broken: calls in its time add up to it, and are by
    another instrumentor or hang from spans not seen."""
    inside = [
        other
        for other in mains
        if other.owner is None
        and other.carries
        and not other.is_aggregate
        and (other.hangs or other.scope != node.scope)
        and contains(node, other)
        and not node.has_ancestor(other)
    ]
    if not inside:
        return None
    if (sum(other.input for other in inside), sum(other.output for other in inside)) == (
        node.input,
        node.output,
    ):
        return max(inside, key=lambda other: other.end_ns)
    return next((other for other in inside if same_tokens(other, node)), None)


def _look_for_cover(node: Node, mains: Sequence[Node], tally: Tally) -> None:
    """Give a node to the aggregate above it that came before it, or that may be above it for all that is
    known."""
    if node.shelter is not None:
        _cover(node.shelter, [node], tally)
        return
    if node.hangs and len(mains) <= _MOST_CALLS:
        claims = [other for other in mains if other.stands and contains(other, node)]
        if claims:
            _cover(min(claims, key=lambda other: other.duration_ns), [node], tally)


def _report_up(node: Node, above: Node) -> None:
    if node.below_usage:
        _note(above, node.below_last or node, node.below_generated)
    if node.carries:
        _note(above, node, node.output > 0)


def _note(above: Node, reporting: Node, generated: bool) -> None:
    above.below_usage = True
    above.below_generated = above.below_generated or generated
    if above.below_last is None or reporting.end_ns >= above.below_last.end_ns:
        above.below_last = reporting
