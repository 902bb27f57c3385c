"""`decide`: one owner a call, over all spans of a table, and over those of earlier tables that a memory
holds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wattspan.calls import CallBatch
from wattspan.otlp.dialects import Reading
from wattspan.otlp.owners.batch import Batch, Traces, trace_hashes
from wattspan.otlp.owners.facts import supply
from wattspan.otlp.owners.look import Look, quick_look, scanned_look
from wattspan.otlp.owners.memory import OwnerMemory
from wattspan.otlp.owners.node import Node
from wattspan.otlp.owners.settle import Tally, settle
from wattspan.otlp.owners.spans import Flags, Hashes, Spans
from wattspan.otlp.wire import SpanTable


@dataclass(frozen=True, slots=True, eq=False)
class Ownership:
    """Which call owns its energy; all arrays as long as the calls."""

    calls: CallBatch
    """The calls given; owners have what only their copies knew (cache, reasoning, host, region,
    model)."""
    is_owner: Flags
    """The call stands for itself. The others get no energy."""
    owner_span_id: Hashes
    """Span id of the owner; the call's own where it is the owner, 0 where the owner has none."""


def decide(spans: SpanTable, reading: Reading, memory: OwnerMemory | None = None) -> Ownership:
    """Find the owner of each call in `reading`, which was read from `spans`.

    Without a memory the table is taken for all there is of its traces. With one, calls of earlier tables of
    the same memory are taken into account, and the calls of this one are remembered; what was told of earlier
    calls stands, so a call whose first span had no usage may be counted twice (`OwnerMemory.superseded`).
    """
    if spans.scanned is None or not len(reading):
        return decide_among(Spans.of(spans, reading), memory)
    return _decided(reading.calls, scanned_look(spans, reading), memory)


def decide_among(spans: Spans, memory: OwnerMemory | None = None) -> Ownership:
    """As `decide`, for spans that did not come from a table."""
    if len(spans.rows) == 0:
        if memory is not None and memory.traces:
            traces = Traces(spans.span_id, spans.parent_span_id, trace_hashes(spans))
            _remember_links(np.unique(traces.hashes), traces, memory)
        return Ownership(spans.calls, np.zeros(0, np.bool_), np.zeros(0, np.uint64))
    return _decided(spans.calls, quick_look(spans), memory)


def _decided(calls: CallBatch, look: Look, memory: OwnerMemory | None) -> Ownership:
    batch, needs_care = look.batch, look.needs_care
    if memory is not None and (known := memory.known(batch.group_hash)) is not None:
        needs_care |= known
    pairs: list[tuple[int, int]] = []
    for group in needs_care.nonzero()[0].tolist():
        _tell(_settle_group(batch, group, memory), look, pairs)
    if memory is not None:
        memory.add(batch, (~needs_care).nonzero()[0])
        if len(look.others):
            _remember_links(look.others, batch.traces, memory)
    if pairs or len(look.copies):
        calls = _supplied(calls, batch, look, pairs)
    return Ownership(calls, look.is_owner, look.owner_span_id)


def _supplied(calls: CallBatch, batch: Batch, look: Look, pairs: list[tuple[int, int]]) -> CallBatch:
    settled = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    sure = ~look.needs_care[batch.group[look.copies]]
    copies = np.concatenate((look.copies[sure], settled[:, 0]))
    owners = np.concatenate((look.owners[sure], settled[:, 1]))
    return supply(calls, copies, owners)


def _settle_group(batch: Batch, group: int, memory: OwnerMemory | None) -> list[Node]:
    if memory is None:
        nodes = batch.nodes(group)
        settle(nodes, batch.links(group), Tally())
        return nodes
    trace_hash = int(batch.group_hash[group])
    trace = memory.trace(trace_hash)
    nodes = trace.add(batch, group)
    settle(trace.nodes, trace.parent_of, memory.tally)
    memory.keep(trace_hash, trace)
    return nodes


def _tell(nodes: list[Node], look: Look, pairs: list[tuple[int, int]]) -> None:
    for node in nodes:
        owner = node.root()
        look.is_owner[node.call] = owner is node
        look.owner_span_id[node.call] = owner.span_id
        if owner is not node and node.is_copy and owner.call >= 0:
            pairs.append((node.call, owner.call))


def _remember_links(hashes: Hashes, traces: Traces, memory: OwnerMemory) -> None:
    """Remember the parents of spans without calls, in traces that have calls in memory."""
    known = memory.known(hashes)
    if known is None:
        return
    for trace_hash in hashes[known].tolist():
        if memory.knows(trace_hash):
            trace = memory.trace(trace_hash)
            trace.parent_of.update(traces.links(trace_hash))
            memory.keep(trace_hash, trace)
