"""Random trees of agents, calls and copies of calls: the owners' tokens are always the ledger's."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from span_tables import S, agent, chat, owned, table_of

from wattspan.calls import CallBatch
from wattspan.otlp.dialects import read
from wattspan.otlp.owners import OwnerMemory, decide
from wattspan.otlp.owners.look import quick_look

SHAPES = (
    "plain",
    "nested",
    "layers",
    "beside",
    "untold outside",
    "untold inside",
    "untold",
    "retried",
    "failed",
)
LEVELS = ("chain", "agent with the sum", "agent with the last", "agent", "sum of sums")


@dataclass
class World:
    """The spans of one trace and what the provider's ledger says of them."""

    draw: st.DrawFn
    trace: int
    spans: list[S] = field(default_factory=list)
    told: list[tuple[int, int]] = field(default_factory=list)
    failed: int = 0
    untold: int = 0
    clock: int = 0

    def id(self) -> int:
        return self.trace * 1000 + len(self.spans) + 1

    def add(self, span: S) -> int:
        self.spans.append(span)
        return span.id

    def branch(self, parent: int, depth: int) -> list[tuple[int, int]]:
        """Some calls and branches below `parent`; what they used."""
        used: list[tuple[int, int]] = []
        for _ in range(self.draw(st.integers(1, 3))):
            if depth > 0 and self.draw(st.booleans()):
                used += self.level(parent, depth)
            else:
                used += self.call(parent)
        return used

    def level(self, parent: int, depth: int) -> list[tuple[int, int]]:
        kind = self.draw(st.sampled_from(LEVELS))
        place, start = len(self.spans), self.clock
        self.spans.append(S(self.id(), parent=parent, trace=self.trace))
        span = self.spans[place]
        self.clock += 1
        used = self.branch(span.id, depth - 1)
        self.clock += 1
        if kind != "chain":
            tokens = None
            if used and kind != "agent":
                last = kind == "agent with the last"
                tokens = used[-1] if last else (sum(use[0] for use in used), sum(use[1] for use in used))
            span = agent(span.id, tokens, parent=parent, trace=self.trace)
        self.spans[place] = replace(span, at=(start, self.clock))
        return used

    def call(self, parent: int) -> list[tuple[int, int]]:
        shape = self.draw(st.sampled_from(SHAPES))
        tokens = (self.draw(st.integers(1, 3000)), self.draw(st.integers(1, 600)))
        response = f"resp-{self.id()}" if self.draw(st.booleans()) else ""
        start, end = self.clock + 1, self.clock + 100
        self.clock += 102
        common = {"trace": self.trace, "model": "gpt-4o"}
        inner = {"at": (start + 2, end - 2), "scope": "sdk", **common}
        outer = {"at": (start, end), "scope": "instrumentor", **common}
        match shape:
            case "plain":
                self.add(chat(self.id(), tokens, response=response, parent=parent, **inner))
            case "nested":
                above = self.add(chat(self.id(), tokens, response=response, parent=parent, **outer))
                self.add(chat(self.id(), tokens, response=response, parent=above, **inner))
            case "layers":
                above = self.add(chat(self.id(), tokens, parent=parent, **outer))
                between = self.add(S(self.id(), parent=above, trace=self.trace, at=(start + 1, end - 1)))
                self.add(chat(self.id(), tokens, response=response, parent=between, **inner))
            case "beside":
                self.add(chat(self.id(), tokens, response=response, parent=parent, **outer))
                self.add(chat(self.id(), tokens, response=response, parent=parent, **inner))
            case "untold outside":
                above = self.add(chat(self.id(), None, parent=parent, **outer))
                self.add(chat(self.id(), tokens, response=response, parent=above, **inner))
            case "untold inside":
                above = self.add(chat(self.id(), tokens, response=response, parent=parent, **outer))
                self.add(chat(self.id(), None, parent=above, **inner))
            case "untold":
                self.add(chat(self.id(), None, parent=parent, **inner))
                self.untold += 1
                return []
            case "retried":
                above = self.add(chat(self.id(), tokens, parent=parent, **outer))
                self.add(
                    chat(
                        self.id(), None, error="429", parent=above, **{**inner, "at": (start + 2, start + 20)}
                    )
                )
                self.add(chat(self.id(), tokens, parent=above, **{**inner, "at": (start + 30, end - 2)}))
                self.failed += 1
            case "failed":
                above = self.add(chat(self.id(), None, error="429", parent=parent, **outer))
                self.add(chat(self.id(), None, error="rate_limit", parent=above, **inner))
                self.failed += 1
                return []
        self.told.append(tokens)
        return [tokens]


@st.composite
def worlds(draw: st.DrawFn) -> list[World]:
    found = []
    for trace in range(1, draw(st.integers(1, 3)) + 1):
        world = World(draw, trace)
        root = world.add(S(world.id(), trace=trace))
        world.branch(root, draw(st.integers(0, 3)))
        found.append(world)
    return found


def shuffled(worlds: list[World], seed: int) -> list[S]:
    spans = [span for world in worlds for span in world.spans]
    random.Random(seed).shuffle(spans)
    return spans


def figures(calls: CallBatch) -> tuple[int, int, int, int, int]:
    """Input and output tokens, calls with usage, failed calls, calls without usage."""
    untold = ~calls.has_usage & ~calls.is_error
    tokens = int(calls.input_tokens.sum()), int(calls.output_tokens.sum())
    failed = int((calls.is_error & ~calls.has_usage).sum())
    return *tokens, int(calls.has_usage.sum()), failed, int(untold.sum())


def ledger(worlds: list[World]) -> tuple[int, int, int, int, int]:
    told = [use for world in worlds for use in world.told]
    tokens = sum(use[0] for use in told), sum(use[1] for use in told)
    return *tokens, len(told), sum(world.failed for world in worlds), sum(world.untold for world in worlds)


@settings(max_examples=300, deadline=None)
@given(worlds(), st.integers(0, 2**32))
def test_owners_add_up_to_the_ledger_in_any_order(worlds, seed):
    _, ownership = owned(shuffled(worlds, seed))
    assert figures(ownership.calls.take(ownership.is_owner)) == ledger(worlds)


@settings(max_examples=100, deadline=None)
@given(worlds(), st.integers(0, 2**32))
def test_spans_sent_twice_change_nothing(worlds, seed):
    spans = shuffled(worlds, seed)
    again = spans + random.Random(seed).sample(spans, len(spans) // 2)
    _, ownership = owned(again)
    assert figures(ownership.calls.take(ownership.is_owner)) == ledger(worlds)


@settings(max_examples=150, deadline=None)
@given(worlds(), st.integers(1, 7))
def test_a_stream_in_the_order_of_ends_gives_the_same_tokens(worlds, size):
    spans = sorted((span for world in worlds for span in world.spans), key=lambda span: span.at[1])
    memory = OwnerMemory()
    batches = []
    for first in range(0, len(spans), size):
        _, ownership = owned(spans[first : first + size], memory)
        batches.append(ownership.calls.take(ownership.is_owner))
    input, output, told, failed, untold = figures(CallBatch.concatenate(batches))
    assert (input, output, told, failed, untold - memory.superseded) == ledger(worlds)
    assert memory.evicted_traces == memory.evicted_calls == memory.evicted_links == 0


@settings(max_examples=200, deadline=None)
@given(worlds(), st.integers(0, 2**32))
def test_the_quick_look_answers_as_the_rules_do(worlds, seed):
    table = table_of(shuffled(worlds, seed))
    reading = read(table)
    quick = decide(table, reading)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("wattspan.otlp.owners.ownership.quick_look", all_need_care)
        careful = decide(table, reading)
    np.testing.assert_array_equal(quick.is_owner, careful.is_owner)
    calls = ~(reading.role == 1)
    np.testing.assert_array_equal(quick.owner_span_id[calls], careful.owner_span_id[calls])
    assert figures(quick.calls) == figures(careful.calls)


def all_need_care(spans):
    look = quick_look(spans)
    look.needs_care[:] = True
    look.copies = look.owners = look.copies[:0]
    return look
