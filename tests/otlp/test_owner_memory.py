"""Owners in a stream: spans of a trace in many batches, with a bounded memory."""

from __future__ import annotations

import pytest
from span_tables import S, agent, chat, owned, owners_of

from wattspan.otlp.owners import OwnerMemory

SDK = "com.anthropic.sdk.python"


def stream(batches: list[list[S]], memory: OwnerMemory | None = None) -> dict[int, int]:
    """Owner's span id by span id, batch after batch."""
    memory = memory or OwnerMemory()
    told: dict[int, int] = {}
    for batch in batches:
        told |= owners_of(batch, memory)
    return told


def test_a_parent_that_comes_after_its_children_is_recognised():
    spans = [chat(2, (318, 43), parent=1), chat(3, (642, 198), parent=1, at=(1, 1001)), agent(1, (960, 241))]
    assert stream([[span] for span in spans]) == {1: 3, 2: 2, 3: 3}


def test_spans_between_that_are_no_calls_link_them():
    spans = [chat(3, parent=2), S(2, parent=9), S(9, parent=1), agent(1, (1000, 300))]
    assert stream([[span] for span in spans]) == {3: 3, 1: 3}


def test_an_agent_that_comes_before_the_link_to_its_calls_is_known_by_its_sum():
    spans = [chat(3, parent=2, at=(10, 90)), agent(1, (1000, 300), at=(0, 100)), S(2, parent=1)]
    assert stream([[span] for span in spans]) == {3: 3, 1: 3}


def test_the_outer_span_of_a_nested_call_repeats_the_inner_one_that_came_first():
    assert stream([[chat(2, parent=1, scope=SDK)], [chat(1)]]) == {1: 2, 2: 2}


def test_the_inner_span_of_a_nested_call_repeats_the_outer_one_that_came_first():
    assert stream([[chat(1)], [chat(2, parent=1, scope=SDK)]]) == {1: 1, 2: 1}


def test_siblings_with_one_response_id_meet_in_memory():
    spans = [chat(1, response="a", parent=9), chat(2, response="a", parent=9, scope=SDK)]
    assert stream([[span] for span in spans]) == {1: 1, 2: 1}


def test_a_parent_that_comes_first_stands_for_its_children_as_far_as_its_tokens_reach():
    memory = OwnerMemory()
    told = stream(
        [
            [agent(1, (960, 241), at=(0, 1000))],
            [chat(2, (318, 43), parent=1, at=(10, 300))],
            [chat(3, (642, 198), parent=1, at=(310, 900))],
            [chat(4, (50, 5), parent=1, at=(910, 990))],
        ],
        memory,
    )
    assert told == {1: 1, 2: 1, 3: 1, 4: 4}


def test_a_parent_that_restates_its_last_call_stands_for_that_one_only():
    told = stream(
        [
            [agent(1, (642, 198), response="b", at=(0, 1000))],
            [chat(3, (642, 198), response="b", parent=1, at=(310, 900))],
            [chat(2, (318, 43), response="a", parent=1, at=(10, 300))],
        ]
    )
    assert told == {1: 1, 2: 2, 3: 1}


def test_layers_below_a_parent_that_came_first_all_repeat_it():
    told = stream(
        [
            [agent(1, (1000, 300), at=(0, 1000))],
            [agent(5, (1000, 300), parent=1, at=(1, 999))],
            [chat(2, parent=5, at=(10, 900))],
            [chat(3, parent=2, at=(20, 890), scope=SDK)],
        ]
    )
    assert told == {1: 1, 5: 1, 2: 1, 3: 1}


def test_a_span_sent_again_in_a_later_batch_counts_once():
    reading, ownership = owned([chat(1)], memory := OwnerMemory())
    assert ownership.is_owner.tolist() == [True]
    reading, ownership = owned([chat(1)], memory)
    assert (ownership.is_owner.tolist(), ownership.owner_span_id.tolist()) == ([False], [1])
    assert len(reading) == 1


def test_usage_that_comes_after_its_request_was_told_to_have_none_counts_and_is_counted_as_such():
    log = {"logfire.span_type": "log", "duration": 0.4}
    memory = OwnerMemory()
    request = chat(1, None, parent=9, at=(0, 100), scope="logfire.openai")
    response = chat(2, (642, 198), parent=9, at=(500, 500), scope="logfire.openai", more=log)
    assert stream([[request], [response]], memory) == {1: 1, 2: 2}
    assert memory.superseded == 1


def test_traces_do_not_mix():
    assert stream([[chat(1, response="a")], [chat(2, response="a", trace=2)]]) == {1: 1, 2: 2}


def test_batches_without_anything_to_decide_are_remembered_too():
    first = [chat(2, (318, 43), parent=1), chat(4, trace=2)]
    assert stream([first, [agent(1, (318, 43)), chat(3, response="x", parent=1)]]) == {1: 3, 2: 2, 3: 3, 4: 4}


@pytest.mark.parametrize(
    ("bounds", "evicted"),
    [
        ({"most_traces": 2}, ("evicted_traces", 1)),
        ({"most_calls": 2}, ("evicted_traces", 1)),
    ],
)
def test_the_trace_longest_unseen_leaves_first_and_is_counted(bounds, evicted):
    memory = OwnerMemory(**bounds)
    stream([[chat(2, parent=1, trace=1)], [chat(3, trace=2)], [chat(4, trace=3)]], memory)
    name, count = evicted
    assert (getattr(memory, name), memory.traces, memory.calls) == (count, 2, 2)
    # What was forgotten is counted twice.
    assert stream([[agent(1, (1000, 300), trace=1)]], memory) == {1: 1}


def test_a_trace_that_is_seen_again_stays():
    memory = OwnerMemory(most_traces=2)
    batches = [[chat(2, trace=1)], [chat(3, trace=2)], [chat(4, trace=1)], [chat(5, trace=3)]]
    stream(batches, memory)
    assert stream([[chat(2, trace=1)]], memory) == {2: 2}
    assert owned([chat(2, trace=1)], memory)[1].is_owner.tolist() == [False]


def test_a_long_trace_forgets_its_oldest_calls_and_links_and_counts_them():
    memory = OwnerMemory(most_calls_of_trace=3, most_links_of_trace=4)
    stream([[chat(n, (n, 1), parent=99)] for n in range(1, 8)], memory)
    assert (memory.evicted_calls, memory.evicted_links) == (4, 3)
    assert memory.calls == 3


def test_bounds_must_be_at_least_one():
    with pytest.raises(ValueError, match="each must be at least 1"):
        OwnerMemory(most_traces=0)


def test_spans_of_unknown_traces_without_calls_are_not_remembered():
    memory = OwnerMemory()
    stream([[S(1), S(2, trace=2)]], memory)
    stream([[chat(3, trace=3), S(4, trace=4)]], memory)
    assert memory.traces == 1
