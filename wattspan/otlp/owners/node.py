"""`Node`: what ownership needs to know of one span that is a call or an aggregate, and when two are one
call."""

from __future__ import annotations

from typing import Final

OVERLAP_SLACK_NS: Final = 2_000_000
"""Clocks of one process that are read twice: JavaScript starts spans on whole milliseconds."""

MOST_LEVELS: Final = 256
"""Calls inside calls that are looked through: bounds the work on trees that only an attacker would send."""

_SHORTEST_MODEL: Final = 4
_NOT_GENERATIVE: Final = frozenset(("embeddings", "rerank", "moderation"))


class Node:
    """A call or aggregate in one trace. `owner` is None while the node stands for itself."""

    __slots__ = (
        "below_generated",
        "below_last",
        "below_usage",
        "call",
        "carries",
        "covered_input",
        "covered_output",
        "depth",
        "end_ns",
        "hangs",
        "input",
        "is_aggregate",
        "is_continuation",
        "is_copy",
        "is_error",
        "is_settled",
        "models",
        "operation",
        "output",
        "owner",
        "parent_id",
        "response_id",
        "scope",
        "shelter",
        "span_id",
        "stands",
        "start_ns",
        "up",
    )

    def __init__(
        self,
        call: int,
        span_id: int,
        parent_id: int,
        start_ns: int,
        end_ns: int,
        is_aggregate: bool,
        carries: bool,
        is_error: bool,
        is_continuation: bool,
        input: int,
        output: int,
        *,
        response_id: int,
        operation: str,
        models: tuple[str, ...],
        scope: str,
    ) -> None:
        self.call = call
        """Index of the call in its reading; -1 once remembered from an earlier one."""
        self.span_id, self.parent_id = span_id, parent_id
        self.start_ns, self.end_ns = start_ns, end_ns
        self.is_aggregate = is_aggregate
        self.carries = carries
        """The span has token counts, or energy."""
        self.is_error, self.is_continuation = is_error, is_continuation
        self.input, self.output = input, output
        self.response_id = response_id
        """Hash of the response id, 0 = none."""
        self.operation, self.models, self.scope = operation, models, scope
        self.is_settled = False
        """Its ownership was decided, and told, in an earlier batch."""
        self.stands = False
        """An aggregate that was told to be the owner, or part of one, before the calls inside it came."""
        self.shelter: Node | None = None
        """The nearest aggregate above that stands for what is below it."""
        self.covered_input = self.covered_output = 0
        """Tokens of later spans that an aggregate which came first already stands for."""
        self.owner: Node | None = None
        self.is_copy = False
        """The owner is the same call (not one of several that this span sums up)."""
        self.up: Node | None = None
        """The nearest ancestor that is a node too."""
        self.hangs = False
        """A span above it has not been seen: where it belongs in the tree is not known."""
        self.depth = 0
        self.below_usage = False
        """A descendant carries usage."""
        self.below_generated = False
        """A descendant that carries usage generated tokens."""
        self.below_last: Node | None = None
        """The descendant with usage that ended last."""

    def root(self) -> Node:
        """The node that owns this one: itself, or the end of the chain of owners (which is shortened)."""
        chain: list[Node] = []
        node = self
        while node.owner is not None:
            chain.append(node)
            node = node.owner
        is_copy = True
        for link in reversed(chain):
            is_copy = is_copy and link.is_copy
            link.owner, link.is_copy = node, is_copy
        return node

    def has_ancestor(self, other: Node) -> bool:
        """Whether `other` is above this node in the tree, at most MOST_LEVELS nodes away."""
        node = self.up
        for _ in range(MOST_LEVELS):
            if node is None or node.depth < other.depth:
                return False
            if node is other:
                return True
            node = node.up
        return False

    @property
    def duration_ns(self) -> int:
        """End minus start."""
        return self.end_ns - self.start_ns


def same_tokens(one: Node, other: Node) -> bool:
    """Whether both report the same usage. One token of output is let pass: Traceloop counts one too many in
    streams."""
    return one.input == other.input and abs(one.output - other.output) <= (1 if one.output > 1 else 0)


def is_apart(one: Node, other: Node) -> bool:
    """Whether neither interval touches the other (unknown times touch everything)."""
    if not (one.start_ns and one.end_ns and other.start_ns and other.end_ns):
        return False
    return one.start_ns > other.end_ns + OVERLAP_SLACK_NS or other.start_ns > one.end_ns + OVERLAP_SLACK_NS


def contains(outer: Node, inner: Node) -> bool:
    """Whether `inner` lies within `outer`, give or take the slack, or a tenth of its duration."""
    slack_ns = max(OVERLAP_SLACK_NS, inner.duration_ns // 10)
    return outer.start_ns <= inner.start_ns + slack_ns and inner.end_ns <= outer.end_ns + slack_ns


def run_together(one: Node, other: Node) -> bool:
    """Whether the shorter of the two runs inside the longer one, but for a fifth of it.

    Side by side neither need hold the other: one ends with the last byte, the other once it is read.
    """
    overlap_ns = min(one.end_ns, other.end_ns) - max(one.start_ns, other.start_ns)
    shorter_ns = min(one.duration_ns, other.duration_ns)
    return overlap_ns + OVERLAP_SLACK_NS >= shorter_ns - shorter_ns // 5


def disagree_on_id(one: Node, other: Node) -> bool:
    """Whether both know the id of the response, and it is not the same."""
    return one.response_id != 0 and other.response_id != 0 and one.response_id != other.response_id


def may_be_same_model(one: Node, other: Node) -> bool:
    """Whether the two can be the same request: no model known to be another, no embedding beside a chat.

    Instrumentations strip prefixes and add dates, so a model id that has the other one in it will do.
    """
    both_known = one.operation and other.operation
    if both_known and (one.operation in _NOT_GENERATIVE) != (other.operation in _NOT_GENERATIVE):
        return False
    if not one.models or not other.models:
        return True
    return any(_alike(a, b) for a in one.models for b in other.models)


def _alike(one: str, other: str) -> bool:
    if one == other:
        return True
    short, long = (one, other) if len(one) < len(other) else (other, one)
    return len(short) >= _SHORTEST_MODEL and short in long
