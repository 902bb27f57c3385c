"""`OwnerMemory`: the calls recently seen of each trace, so that their parents and copies are known when they
come."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from wattspan.otlp.owners.batch import Batch
from wattspan.otlp.owners.node import Node
from wattspan.otlp.owners.settle import Tally, settle


@dataclass(slots=True)
class Trace:
    """What is remembered of one trace."""

    nodes: list[Node] = field(default_factory=list)
    parent_of: dict[int, int] = field(default_factory=dict)
    """Parent span id of every span seen since the trace is known."""
    unread: list[tuple[Batch, int]] = field(default_factory=list)
    """Batches in which nothing had to be decided, and the group of this trace in each: unfolded when it comes
    again."""

    def __len__(self) -> int:
        return len(self.nodes) + sum(batch.size(group) for batch, group in self.unread)

    def unfold(self) -> None:
        """Bring what `unread` holds into `nodes` and `parent_of`, and let all that was decided stand."""
        for batch, group in self.unread:
            self.add(batch, group)
            settle(self.nodes, self.parent_of, Tally())
        self.unread.clear()
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
        self.calls = 0
        """Calls and aggregates remembered now."""
        self._traces: OrderedDict[bytes, Trace] = OrderedDict()

    @property
    def traces(self) -> int:
        """Traces remembered now."""
        return len(self._traces)

    @property
    def superseded(self) -> int:
        """Calls told to be without usage of which a later span had the usage: counted twice as calls."""
        return self.tally.superseded

    def __contains__(self, trace_id: bytes) -> bool:
        return trace_id in self._traces

    def trace(self, trace_id: bytes) -> Trace:
        """The trace, made anew if it is not known, and the last to leave from now on."""
        trace = self._traces.get(trace_id)
        if trace is None:
            trace = self._traces[trace_id] = Trace()
        else:
            self._traces.move_to_end(trace_id)
        return trace

    def keep(self, trace: Trace, calls: int = 0) -> None:
        """Hold the memory to its bounds after `calls` calls were added to `trace`."""
        self.calls += calls
        surplus = len(trace.nodes) - self.most_calls_of_trace
        if surplus > 0:
            del trace.nodes[:surplus]
            self.calls -= surplus
            self.evicted_calls += surplus
        surplus = len(trace.parent_of) - self.most_links_of_trace
        if surplus > 0:
            for span in list(trace.parent_of)[:surplus]:
                del trace.parent_of[span]
            self.evicted_links += surplus
        while len(self._traces) > self.most_traces or (
            self.calls > self.most_calls and len(self._traces) > 1
        ):
            _, oldest = self._traces.popitem(last=False)
            self.calls -= len(oldest)
            self.evicted_traces += 1
