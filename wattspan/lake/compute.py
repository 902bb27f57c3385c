"""Which spans of whole traces are work of machines other than a model's, and for how long.

Picks rows and time only; the energy is `estimator.compute`. Counted, where it is not spent awaiting a model:

- processor time, where a span reports it: less that of its children which report theirs; spans below it of
  the same service that report none are part of it;
- else the own time (duration that no child covers) of spans of kind internal, server and consumer, and of no
  kind;
- own time of client spans to a database: the database's work, on one vCPU, where the database has no span of
  its own. Other client and producer spans wait for somebody else; they count if the settings say so.

Not counted: model calls and all that is below one (it is the model's time, or awaits it), and spans that sum
up calls of which no span is there.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from wattspan.calls import EstimateBatch
from wattspan.calls.compute import ComputeBatch
from wattspan.estimator import Estimator
from wattspan.estimator.compute import ComputeEstimator
from wattspan.lake.rows import Flags, Ints, SpanRows, Tree
from wattspan.lake.tree import plant
from wattspan.otlp.dialects import AGGREGATE, CALL

ClientSpans = Literal["none", "database", "all"]

REGION_KEY: Final = "cloud.region"
CLOUD_KEY: Final = "cloud.provider"
"""Of the span or its resource: such a span runs where its service does."""

_DATABASE_KEYS: Final = ("db.system.name", "db.system")
_SERVER, _CLIENT, _PRODUCER = 2, 3, 4
_MOST_LEVELS: Final = 256
"""A call is looked for in the own time of so many spans above it."""


@dataclass(frozen=True, slots=True)
class ComputeSettings:
    """Opt-in: energy for spans that are no model calls."""

    utilisation: float | None = None
    """Average share of a vCPU at work; None takes the edition's."""
    client_spans: ClientSpans = "database"
    """Client spans whose own time counts as work of the machine that they call."""


class ComputeSpans:
    """Finds the compute spans of whole traces and estimates them."""

    def __init__(self, estimator: Estimator, settings: ComputeSettings) -> None:
        self._settings = settings
        self._estimator = ComputeEstimator(estimator, utilisation=settings.utilisation)

    def estimate(self, rows: SpanRows) -> tuple[Ints, EstimateBatch]:
        """Rows of the compute spans, ascending, and the estimate of each.

        `rows`: whole traces, in the order of their trees.
        """
        _, tree = plant(
            rows.trace_id, rows.span_id, rows.parent_span_id, rows.start_unix_ns, rows.duration_ns
        )
        at, batch = compute_spans(rows, tree, self._settings)
        return at, self._estimator.estimate(batch)


def compute_spans(rows: SpanRows, tree: Tree, settings: ComputeSettings) -> tuple[Ints, ComputeBatch]:
    """Rows of the compute spans, ascending, and what is to be estimated for each.

    `rows` in the order of `tree`, whole traces.
    """
    n = len(rows)
    role = np.full(n, -1, dtype=np.int8)
    role[rows.call_rows] = rows.role
    is_call = role == CALL
    own_ns = _without_waits(rows, tree, is_call)
    cpu_ns = _own_cpu_ns(rows, tree)
    reports = rows.cpu_ns >= 0
    is_candidate = ~is_call & ~_below(tree, is_call) & ~_in_reported(rows, tree, reports)
    is_candidate &= (role != AGGREGATE) | _has_below(tree, is_call)
    works = (rows.kind != _CLIENT) & (rows.kind != _PRODUCER)
    time_ns = np.where(reports, cpu_ns, np.where(works | _serves(rows, tree, settings), own_ns, 0))
    at = np.flatnonzero(is_candidate & (time_ns > 0))
    return at, ComputeBatch(
        time_ns=time_ns[at],
        is_cpu_time=reports[at],
        start_unix_ns=rows.start_unix_ns[at],
        region=rows.attributes.column(REGION_KEY).take(at),
        cloud=rows.attributes.column(CLOUD_KEY).take(at),
        service=rows.service.take(at),
    )


def _serves(rows: SpanRows, tree: Tree, settings: ComputeSettings) -> Flags:
    """Client spans whose own time stands for the work of the machine they call."""
    is_client: Flags = rows.kind == _CLIENT
    if settings.client_spans == "none" or not is_client.any():
        return np.zeros(len(rows), dtype=np.bool_)
    if settings.client_spans == "database":
        for_database = np.zeros(len(rows), dtype=np.bool_)
        for key in _DATABASE_KEYS:
            for_database |= rows.attributes.column(key).codes > 0
        is_client &= for_database
    # where the called machine has a span itself, the rest of the client's time is on the network
    has_server: Flags = np.zeros(len(rows), dtype=np.bool_)
    servers = np.flatnonzero((rows.kind == _SERVER) & (tree.parent_row >= 0))
    has_server[tree.parent_row[servers]] = True
    return is_client & ~has_server


def _below(tree: Tree, chosen: Flags) -> Flags:
    """bool[n]: some span above this one is `chosen`. Subtrees are runs of rows."""
    at = np.flatnonzero(chosen)
    depth = np.zeros(len(tree) + 1, dtype=np.int64)
    np.add.at(depth, at + 1, 1)
    np.add.at(depth, at + tree.subtree_size[at], -1)
    below: Flags = np.cumsum(depth)[:-1] > 0
    return below


def _has_below(tree: Tree, chosen: Flags) -> Flags:
    """bool[n]: some span below this one is `chosen`."""
    count = np.concatenate([[0], np.cumsum(chosen)])
    rows = np.arange(len(tree))
    has: Flags = count[rows + tree.subtree_size] > count[rows + 1]
    return has


def _own_cpu_ns(rows: SpanRows, tree: Tree) -> Ints:
    """Processor time less that of the children of the same service which report theirs; 0 where none."""
    own = np.maximum(rows.cpu_ns, 0)
    children = np.flatnonzero((rows.cpu_ns > 0) & (tree.parent_row >= 0))
    above = tree.parent_row[children]
    same = rows.service.codes[children] == rows.service.codes[above]
    np.subtract.at(own, above[same], rows.cpu_ns[children[same]])
    return np.maximum(own, 0)


def _in_reported(rows: SpanRows, tree: Tree, reports: Flags) -> Flags:
    """bool[n]: the span reports no processor time, and one above it of the same service does."""
    found: Flags = np.zeros(len(rows), dtype=np.bool_)
    for row in np.flatnonzero(reports).tolist():
        if found[row]:
            continue  # a span above it has marked the same rows
        below = slice(row + 1, row + int(tree.subtree_size[row]))
        found[below] |= rows.service.codes[below] == rows.service.codes[row]
    return found & ~reports


def _without_waits(rows: SpanRows, tree: Tree, is_call: Flags) -> Ints:
    """Own time without the intervals of calls further down that the span's own child does not cover.

    A call that outlives the span which began it (a task that was only scheduled there) is awaited by a span
    higher up, in whose own time it would lie.
    """
    start, end = rows.start_unix_ns, rows.start_unix_ns + rows.duration_ns
    call = np.flatnonzero(is_call)
    child, above = call, tree.parent_row[call]
    awaited: dict[int, list[int]] = defaultdict(list)
    for _ in range(_MOST_LEVELS):
        has_more = above >= 0
        call, child, above = call[has_more], child[has_more], above[has_more]
        if not len(call):
            break
        sticks_out = (start[call] < start[child]) | (end[call] > end[child])
        for span, late in zip(above[sticks_out].tolist(), call[sticks_out].tolist(), strict=True):
            awaited[span].append(late)
        child, above = above, tree.parent_row[above]
    if not awaited:
        return tree.own_ns
    own = tree.own_ns.copy()
    for span, calls in awaited.items():
        inside = np.arange(span + 1, span + int(tree.subtree_size[span]))
        covering = [*inside[tree.parent_row[inside] == span].tolist(), *calls]
        own[span] = _uncovered(
            int(start[span]), int(end[span]), sorted((int(start[row]), int(end[row])) for row in covering)
        )
    return own


def _uncovered(begin: int, end: int, intervals: list[tuple[int, int]]) -> int:
    """How much of [begin, end] none of the `intervals`, in the order of their start, covers."""
    left, reached = 0, begin
    for first, last in intervals:
        left += max(0, min(first, end) - reached)
        reached = max(reached, min(last, end))
    return left + max(0, end - reached)
