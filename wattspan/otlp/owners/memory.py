"""`OwnerMemory`: the calls recently seen of each trace, so that their parents and copies are known when they
come."""

from __future__ import annotations

from dataclasses import dataclass, field

from wattspan.otlp.owners.batch import Batch, hash_of
from wattspan.otlp.owners.node import Node
from wattspan.otlp.owners.recent import Recent
from wattspan.otlp.owners.settle import Tally, settle
from wattspan.otlp.owners.spans import Flags, Hashes, Ints


@dataclass(slots=True)
class Trace:
    """What is remembered of one trace."""

    nodes: list[Node] = field(default_factory=list)
    parent_of: dict[int, int] = field(default_factory=dict)
    """Parent span id of every span seen since the trace is known."""

    def unfold(self, batch: Batch, group: int) -> None:
        """Take over what a batch holds in which nothing had to be decided."""
        self.add(batch, group)
        settle(self.nodes, self.parent_of, Tally())

    def stand(self) -> None:
        """Let all that was decided stand."""
        for node in self.nodes:
            node.is_settled, node.call = True, -1

    def add(self, batch: Batch, group: int) -> list[Node]:
        """Put the spans of a group of `batch` into the trace; the nodes of its calls are the answer."""
        nodes = batch.nodes(group)
        self.nodes += nodes
        self.parent_of.update(batch.links(group))
        return nodes


class OwnerMemory:
    """Bounded memory for streams. Best effort: what fell out of it may be counted twice, and is counted here.

    most_traces: traces remembered; most_calls: calls and aggregates remembered over all of them: the traces
    longest unseen leave first. most_calls_of_trace, most_links_of_trace: calls and parent links remembered of
    one trace, the oldest leave first.
    """

    def __init__(
        self,
        most_traces: int = 10_000,
        most_calls: int = 100_000,
        most_calls_of_trace: int = 256,
        most_links_of_trace: int = 10_000,
    ) -> None:
        bounds = (most_traces, most_calls, most_calls_of_trace, most_links_of_trace)
        if min(bounds) < 1:
            raise ValueError(f"bounds of the owner memory are {bounds}; each must be at least 1")
        self.most_traces, self.most_calls = most_traces, most_calls
        self.most_calls_of_trace, self.most_links_of_trace = most_calls_of_trace, most_links_of_trace
        self.tally = Tally()
        self.evicted_traces = 0
        """Traces that were forgotten to make room: a parent or copy that comes later is not recognised."""
        self.evicted_calls = 0
        """Calls of long traces that were forgotten."""
        self.evicted_links = 0
        """Parent links of long traces that were forgotten."""
        self._recent = Recent()
        self._opened: dict[int, Trace] = {}
        """Traces that were looked at, by the hash of their id; of the others their batch is known."""

    @property
    def calls(self) -> int:
        """Calls and aggregates remembered now."""
        return self._recent.calls

    @property
    def traces(self) -> int:
        """Traces remembered now."""
        return len(self._recent)

    @property
    def superseded(self) -> int:
        """Calls told to be without usage of which a later span had the usage: counted twice as calls."""
        return self.tally.superseded

    def __contains__(self, trace_id: bytes) -> bool:
        return self.knows(int(hash_of(trace_id)))

    def knows(self, trace_hash: int) -> bool:
        """Whether a trace is remembered."""
        return trace_hash in self._recent

    def known(self, trace_hashes: Hashes) -> Flags | None:
        """bool[g]: which of the traces are remembered; None where none is."""
        return self._recent.known(trace_hashes)

    def trace(self, trace_hash: int) -> Trace:
        """The trace, made anew if it is not known, and the last to leave from now on; all in it stands."""
        left = self._recent.open(trace_hash)
        trace = self._opened.get(trace_hash)
        if trace is None:
            trace = self._opened[trace_hash] = Trace()
        if left is not None:
            trace.unfold(*left)
        trace.stand()
        return trace

    def add(self, batch: Batch, groups: Ints) -> None:
        """Remember traces that are not known: those of `groups`, in which nothing had to be decided."""
        sizes = batch.bounds[groups + 1] - batch.bounds[groups]
        self._recent.add(batch.group_hash[groups], groups, sizes, batch)
        self._evict()

    def keep(self, trace_hash: int, trace: Trace) -> None:
        """Hold the memory to its bounds after spans were added to `trace`."""
        surplus = len(trace.nodes) - self.most_calls_of_trace
        if surplus > 0:
            del trace.nodes[:surplus]
            self.evicted_calls += surplus
        surplus = len(trace.parent_of) - self.most_links_of_trace
        if surplus > 0:
            for span in list(trace.parent_of)[:surplus]:
                del trace.parent_of[span]
            self.evicted_links += surplus
        self._recent.resize(trace_hash, len(trace.nodes))
        self._evict()

    def _evict(self) -> None:
        gone, opened = self._recent.evict(self.most_traces, self.most_calls)
        self.evicted_traces += gone
        for trace_hash in opened:
            del self._opened[trace_hash]
