"""The quick look: most traces need no more than a few array operations to know their owners."""

from __future__ import annotations

from typing import Final

import numpy as np

from wattspan.otlp.dialects import Reading
from wattspan.otlp.owners.batch import Batch, ByTrace, Ids, Traces
from wattspan.otlp.owners.node import OVERLAP_SLACK_NS
from wattspan.otlp.owners.spans import Codes, Flags, Hashes, Ints, Spans
from wattspan.otlp.wire import IMPLEMENTATION, SpanTable

if IMPLEMENTATION == "cython":
    from wattspan.otlp.owners._look import look
    from wattspan.otlp.wire._kernel import joined

_DEEPEST: Final = 64
"""Levels of the span tree that the quick look climbs; deeper traces are settled one by one."""
_NEIGHBOURS: Final = 64
"""Calls under way at once up to which different instrumentors are compared; busier traces are settled."""


class Look:
    """What the quick look found.

    `needs_care`: bool[traces], the traces that `settle` must decide. In the others the answer is in
    `is_owner` and `owner_span_id` (one a call), and `copies[i]` repeats `owners[i]`.
    """

    def __init__(self, batch: Batch, others: Hashes) -> None:
        self.batch = batch
        self.others = others
        """Hashes of the traces without calls, each once."""
        self.needs_care: Flags = np.zeros(len(batch), dtype=np.bool_)
        self.is_owner: Flags = np.ones(len(batch.span_id), dtype=np.bool_)
        self.owner_span_id: Hashes = batch.span_id.copy()
        self.copies: Ints = np.zeros(0, dtype=np.int64)
        self.owners: Ints = np.zeros(0, dtype=np.int64)


def scanned_look(table: SpanTable, reading: Reading) -> Look:
    """As `quick_look`, over spans that the kernel scanned."""
    found = look(table.scanned, reading)
    hashes, order, bounds, group, group_hash, span_id, parent_id, end_ns, carries, scope = found[:10]
    needs_care, is_owner, owner_span_id, copies, owners, span_ids, parent_ids, others, scopes = found[10:]
    batch = Batch(
        reading,
        Ids(span_id, parent_id, end_ns, carries, scope),
        ByTrace(order, bounds, group, group_hash),
        Traces(span_ids, parent_ids, hashes),
        scopes,
        joined(table.scanned, reading.response_id),
    )
    seen = Look.__new__(Look)
    seen.batch, seen.others, seen.needs_care = batch, others, needs_care
    seen.is_owner, seen.owner_span_id, seen.copies, seen.owners = is_owner, owner_span_id, copies, owners
    return seen


def quick_look(spans: Spans) -> Look:
    """Decide the traces in which nothing is open to doubt.

    That is where each span comes once, every aggregate has a call with usage below it, and, once each call
    that directly holds one other with the same response or tokens is set aside as its copy, of the calls left
    none is inside another, no response id comes twice, and calls of different instrumentors are apart in time
    or differ in their tokens.
    """
    batch = Batch.of(spans)
    look = Look(batch, np.setdiff1d(batch.traces.hashes, batch.group_hash))
    if len(batch) == len(spans.rows) and not batch.is_aggregate.any():
        return look
    up, is_odd = _nearest_calls(spans, batch)
    loser, winner = _plain_pairs(up, batch, spans)
    is_left = ~batch.is_aggregate
    is_left[loser] = False
    doubt = is_odd | (is_left & _is_inside(up, is_left)) | (is_left & batch.is_continuation)
    doubt[loser] |= ~is_left[winner]
    doubt |= is_left & _has_twin(spans.response, is_left)
    look.needs_care[batch.group[doubt]] = True
    for group in _has_two_scopes(batch, is_left).nonzero()[0].tolist():
        if _may_be_side_by_side(batch, group, is_left):
            look.needs_care[group] = True
    if batch.is_aggregate.any():
        below, is_restated = _last_below(up, batch)
        look.needs_care[batch.group[batch.is_aggregate & ~is_restated]] = True
        look.is_owner[is_restated] = False
        look.owner_span_id[is_restated] = batch.span_id[below[is_restated]]
    look.is_owner[loser] = False
    look.owner_span_id[loser] = batch.span_id[winner]
    sure = ~look.needs_care[batch.group[loser]]
    look.copies, look.owners = loser[sure], winner[sure]
    return look


def _nearest_calls(spans: Spans, batch: Batch) -> tuple[Ints, Flags]:
    """For each call, the nearest call or aggregate above it (-1 = none), and whether its trace is odd: a span
    comes twice in it, or its tree is too deep for a quick look."""
    k = len(spans.rows)
    hashes = batch.traces.hashes
    key = spans.span_id ^ hashes
    order = np.argsort(key, kind="stable")
    in_order = key[order]
    is_odd = np.zeros(k, dtype=np.bool_)
    twice = in_order[1:] == in_order[:-1]
    if twice.any():
        is_odd |= np.isin(hashes[spans.rows], hashes[order[1:][twice]])
    call_of_row = np.full(spans.n, -1, dtype=np.int64)
    call_of_row[spans.rows] = np.arange(k)
    up = np.full(k, -1, dtype=np.int64)
    climbing = np.arange(k)
    rows = spans.rows
    for _ in range(_DEEPEST):
        parent = spans.parent_span_id[rows]
        wanted = parent ^ hashes[rows]
        place = np.searchsorted(in_order, wanted)
        place[place == len(in_order)] = 0
        found = (in_order[place] == wanted) & (parent != 0)
        climbing, rows = climbing[found], order[place[found]]
        met = call_of_row[rows]
        up[climbing] = met
        climbing, rows = climbing[met < 0], rows[met < 0]
        if not len(climbing):
            break
    is_odd[climbing] = True
    return up, is_odd


def _plain_pairs(up: Ints, batch: Batch, spans: Spans) -> tuple[Ints, Ints]:
    """Pairs of calls, one directly inside the other and alone there, that are one call: (copy, owner)."""
    is_call = ~batch.is_aggregate
    inner = (is_call & (up >= 0)).nonzero()[0]
    if not len(inner):
        return inner, inner
    kids = np.bincount(up[up >= 0], minlength=len(up))
    outer = up[inner]
    ids = spans.response
    same_id = (ids[inner] >= 0) & (ids[inner] == ids[outer])
    carries = batch.carries[inner]
    same_tokens = (batch.input[inner] == batch.input[outer]) & (batch.output[inner] == batch.output[outer])
    codes = spans.calls.model.codes
    same_failure = (
        ~carries & (batch.is_error[inner] == batch.is_error[outer]) & (codes[inner] == codes[outer])
    )
    is_one = (same_id & same_tokens) | (carries & same_tokens) | same_failure
    is_one &= (carries == batch.carries[outer]) & is_call[outer] & (kids[outer] == 1) & (kids[inner] == 0)
    inner, outer = inner[is_one], outer[is_one]
    outer_wins = batch.is_continuation[inner] & ~batch.is_continuation[outer]
    return np.where(outer_wins, inner, outer), np.where(outer_wins, outer, inner)


def _has_twin(ids: Codes, is_left: Flags) -> Flags:
    """Whether another call that is left has the same response id (in any trace: they are rare enough)."""
    known = is_left & (ids >= 0)
    seen = np.bincount(ids[known], minlength=1)
    twin: Flags = known & (seen[np.minimum(np.maximum(ids, 0), len(seen) - 1)] > 1)
    return twin


def _has_two_scopes(batch: Batch, is_left: Flags) -> Flags:
    order = batch.order
    scope = batch.scope[order]
    starts = batch.bounds[:-1]
    least = np.minimum.reduceat(np.where(is_left[order], scope, np.iinfo(np.int32).max), starts)
    most = np.maximum.reduceat(np.where(is_left[order], scope, -1), starts)
    two: Flags = least < most
    return two


def _may_be_side_by_side(batch: Batch, group: int, is_left: Flags) -> bool:
    """Whether calls of different instrumentors may be one call: what `settle` would look at more closely."""
    calls = [call for call in batch.calls(group) if is_left[call]]
    calls.sort(key=lambda call: int(batch.start_ns[call]))
    for place, one in enumerate(calls):
        until_ns = max(int(batch.start_ns[one]), int(batch.end_ns[one])) + OVERLAP_SLACK_NS
        for distance, other in enumerate(calls[place + 1 :]):
            if batch.start_ns[other] > until_ns:
                break
            if distance == _NEIGHBOURS:
                return True
            if batch.scope[one] != batch.scope[other] and _may_say_the_same(batch, one, other):
                return True
    return False


def _may_say_the_same(batch: Batch, one: int, other: int) -> bool:
    if batch.carries[one] and batch.carries[other]:
        # As node.same_tokens, or wider.
        return bool(
            batch.input[one] == batch.input[other]
            and abs(int(batch.output[one]) - int(batch.output[other])) <= 1
        )
    return bool(batch.is_error[one] == batch.is_error[other])


def _is_inside(up: Ints, is_left: Flags) -> Flags:
    """Whether a call that is left is above each call."""
    inside = np.zeros(len(up), dtype=np.bool_)
    above = up
    for _ in range(_DEEPEST):
        known = above >= 0
        if not known.any():
            return inside
        inside |= known & is_left[above]
        above = np.where(known, up[above], -1)
    return np.ones(len(up), dtype=np.bool_)


def _last_below(up: Ints, batch: Batch) -> tuple[Ints, Flags]:
    """For each aggregate the call with usage below it that ended last (-1 = none), and whether the aggregate
    is explained by what is below it: tokens were generated there, or it claims none."""
    last = np.full(len(up), -1, dtype=np.int64)
    generated = np.zeros(len(up), dtype=np.bool_)
    calls = (batch.carries & ~batch.is_aggregate).nonzero()[0]
    calls = calls[np.argsort(batch.end_ns[calls], kind="stable")]
    above = up[calls]
    for _ in range(_DEEPEST):
        known = above >= 0
        calls, above = calls[known], above[known]
        if not len(calls):
            break
        last[above] = calls
        generated[above[batch.output[calls] > 0]] = True
        above = up[above]
    return last, batch.is_aggregate & (last >= 0) & (generated | (batch.output == 0))
