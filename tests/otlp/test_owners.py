"""One owner a call, over all spans of a file."""

from __future__ import annotations

import numpy as np
import pytest
from span_tables import S, agent, chat, owned, owners_of

SDK = "com.anthropic.sdk.python"
TRACELOOP = "opentelemetry.instrumentation.anthropic"
OPENINFERENCE = "openinference.instrumentation.openai"


# Calls that are one


def test_calls_without_relatives_own_themselves():
    spans = [chat(1), chat(2, at=(2000, 3000)), chat(3, trace=2)]
    assert owners_of(spans) == {1: 1, 2: 2, 3: 3}


def test_the_span_inside_owns_a_call_that_two_instrumentors_nest():
    spans = [chat(1, at=(0, 100)), chat(2, parent=1, at=(10, 90), scope=SDK)]
    assert owners_of(spans) == {1: 2, 2: 2}
    assert owners_of(spans[::-1]) == {1: 2, 2: 2}


def test_siblings_with_one_response_id_are_one_call_owned_by_the_one_inside_the_other():
    # Traceloop and the Anthropic SDK; Traceloop's streams count one token of output too many.
    spans = [
        chat(1, (7586, 322), response="msg_1", parent=9, at=(0, 100), scope=TRACELOOP),
        chat(2, (7586, 321), response="msg_1", parent=9, at=(5, 95), scope=SDK),
    ]
    reading, ownership = owned(spans)
    assert ownership.is_owner.tolist() == [False, True]
    assert ownership.owner_span_id.tolist() == [2, 2]
    assert int(reading.calls.output_tokens[ownership.is_owner].sum()) == 321


def test_siblings_of_two_instrumentors_without_ids_are_one_call_when_tokens_and_times_agree():
    outer = chat(1, parent=9, at=(0, 100), scope=OPENINFERENCE)
    inner = chat(2, parent=9, at=(1, 99), scope=SDK)
    assert owners_of([outer, inner]) == {1: 2, 2: 2}
    assert owners_of([outer, inner.but(at=(2000, 2100))]) == {1: 1, 2: 2}
    assert owners_of([outer, chat(2, (999, 300), parent=9, at=(1, 99), scope=SDK)]) == {1: 1, 2: 2}


def test_cousins_of_two_instrumentors_are_one_call():
    # LangChain's callbacks are not in the context in which the OpenAI client makes its span.
    spans = [
        S(9, at=(0, 1000)),
        S(8, parent=9, at=(0, 900)),
        chat(1, parent=8, at=(100, 300), scope="openinference.instrumentation.langchain"),
        chat(2, parent=9, at=(110, 290), scope=OPENINFERENCE),
    ]
    assert owners_of(spans) == {1: 2, 2: 2}


def test_two_equal_calls_at_once_by_two_instrumentors_are_two_calls():
    spans = [
        chat(1, parent=9, at=(0, 100), scope="openinference.instrumentation.langchain"),
        chat(2, parent=9, at=(1, 101), scope="openinference.instrumentation.langchain"),
        chat(3, parent=9, at=(5, 95), scope=OPENINFERENCE),
        chat(4, parent=9, at=(6, 96), scope=OPENINFERENCE),
    ]
    owners = owners_of(spans)
    assert (owners[3], owners[4]) == (3, 4)
    assert {owners[1], owners[2]} == {3, 4}


def test_equal_calls_at_once_by_one_instrumentor_stay_two():
    assert owners_of([chat(1, parent=9, at=(0, 100)), chat(2, parent=9, at=(10, 90))]) == {1: 1, 2: 2}


def test_equal_calls_with_other_response_ids_stay_two():
    spans = [
        chat(1, response="a", parent=9, at=(0, 100), scope=TRACELOOP),
        chat(2, response="b", parent=9, at=(5, 95), scope=SDK),
    ]
    assert owners_of(spans) == {1: 1, 2: 2}


def test_a_response_id_that_a_server_gives_every_response_joins_nothing_else():
    spans = [
        chat(1, (10, 5), response="chatcmpl-0", parent=9, at=(0, 100)),
        chat(2, (20, 7), response="chatcmpl-0", parent=9, at=(200, 300)),
    ]
    assert owners_of(spans) == {1: 1, 2: 2}


@pytest.mark.parametrize("nothing", ["None", "null", "unknown", "n/a"])
def test_words_for_nothing_are_no_response_ids(nothing):
    spans = [chat(1, response=nothing, parent=9), chat(2, response=nothing, parent=9)]
    assert owners_of(spans) == {1: 1, 2: 2}


def test_a_response_id_counts_within_its_trace_only():
    assert owners_of([chat(1, response="a"), chat(2, response="a", trace=2)]) == {1: 1, 2: 2}


def test_one_call_in_three_layers_has_one_owner():
    spans = [
        chat(1, at=(0, 100), scope="litellm"),
        chat(2, parent=1, at=(5, 95), scope=OPENINFERENCE),
        S(7, parent=2, at=(8, 92)),
        chat(3, parent=7, at=(10, 90), scope=SDK),
    ]
    assert owners_of(spans) == {1: 3, 2: 3, 3: 3}


def test_a_copy_of_a_copy_follows_it():
    spans = [
        chat(1, response="a", parent=9, at=(0, 100), scope=TRACELOOP),
        chat(2, response="a", parent=9, at=(5, 95), scope=SDK),
        chat(3, parent=1, at=(1, 99), scope=OPENINFERENCE),
    ]
    owners = owners_of(spans)
    assert len(set(owners.values())) == 1


def test_a_call_that_was_counted_by_the_length_of_its_text_gives_way_to_the_one_inside():
    outer = chat(1, (54, 20), at=(0, 100), scope="openlit.instrumentation.langchain")
    inner = chat(2, (642, 198), parent=1, at=(10, 90), scope=SDK)
    assert owners_of([outer, inner]) == {1: 2, 2: 2}


def test_a_call_inside_a_call_with_another_response_and_other_tokens_is_a_call_of_its_own():
    # A tool that runs while the span of the call is open, and asks another model.
    outer = chat(1, (1000, 200), response="a", at=(0, 100))
    inner = chat(2, (30, 5), response="b", parent=1, at=(10, 90))
    assert owners_of([outer, inner]) == {1: 1, 2: 2}
    assert owners_of([chat(1, (1000, 200), model="o3"), chat(2, (30, 5), model="gpt-4o", parent=1)]) == {
        1: 1,
        2: 2,
    }


def test_a_chat_is_no_copy_of_an_embedding_inside_it():
    spans = [chat(1, (1000, 200)), chat(2, (36, 0), parent=1, operation="embeddings")]
    assert owners_of(spans) == {1: 1, 2: 2}


# Calls without usage, failures, retries


def test_a_call_without_usage_repeats_the_one_inside_that_has_it():
    assert owners_of([chat(1, None), chat(2, parent=1, scope=SDK)]) == {1: 2, 2: 2}


def test_a_call_without_usage_repeats_the_one_around_it_that_has_it():
    assert owners_of([chat(1), chat(2, None, parent=1, scope=SDK)]) == {1: 1, 2: 1}


def test_a_call_without_usage_repeats_the_one_beside_it_that_has_it():
    spans = [
        chat(1, None, parent=9, at=(0, 100), scope=TRACELOOP),
        chat(2, parent=9, at=(5, 95), scope=SDK),
    ]
    assert owners_of(spans) == {1: 2, 2: 2}


def test_a_call_of_which_no_layer_has_usage_counts_once():
    assert owners_of([chat(1, None), chat(2, None, parent=1, scope=SDK)]) == {1: 2, 2: 2}


def test_a_request_and_its_streamed_response_logged_apart_are_one_call():
    log = {"logfire.span_type": "log", "duration": 0.4}
    spans = [
        chat(1, None, parent=9, at=(0, 100), scope="logfire.openai"),
        chat(2, (642, 198), parent=9, at=(500, 500), scope="logfire.openai", more=log),
        chat(3, None, parent=9, at=(600, 700), scope="logfire.openai"),
    ]
    reading, ownership = owned(spans)
    assert ownership.is_owner.tolist() == [False, True, True]
    assert ownership.owner_span_id.tolist() == [2, 2, 3]
    assert reading.calls.has_usage[ownership.is_owner].tolist() == [True, False]


def test_streams_that_overlap_find_a_request_each():
    log = {"logfire.span_type": "log", "duration": 0.4}
    spans = [
        chat(1, None, parent=9, at=(0, 100), scope="logfire.openai"),
        chat(2, None, parent=9, at=(5, 105), scope="logfire.openai"),
        chat(3, parent=9, at=(510, 510), scope="logfire.openai", more=log),
        chat(4, parent=9, at=(520, 520), scope="logfire.openai", more=log),
    ]
    owners = owners_of(spans)
    assert {owners[1], owners[2]} == {3, 4}


def test_a_failure_that_two_layers_report_is_one_failed_call():
    spans = [chat(1, None, error="RateLimit"), chat(2, None, error="rate_limit", parent=1, scope=SDK)]
    assert owners_of(spans) == {1: 2, 2: 2}


def test_a_failure_that_two_instrumentors_report_side_by_side_is_one_failed_call():
    spans = [
        chat(1, None, error="RateLimit", parent=9, at=(0, 100), scope=TRACELOOP),
        chat(2, None, error="rate_limit", parent=9, at=(5, 95), scope=SDK),
    ]
    assert owners_of(spans) == {1: 2, 2: 2}


def test_each_failed_retry_is_a_failed_call_of_its_own():
    tries = [
        chat(2 + n, None, error="429", parent=1, at=(10 + 30 * n, 30 + 30 * n), scope=SDK) for n in range(3)
    ]
    assert owners_of([chat(1, None, error="429", at=(0, 100)), *tries]) == {1: 4, 2: 2, 3: 3, 4: 4}
    success = chat(5, parent=1, at=(70, 95), scope=SDK)
    assert owners_of([chat(1, at=(0, 100)), *tries[:2], success]) == {1: 5, 2: 2, 3: 3, 5: 5}


def test_a_call_that_failed_after_the_answer_was_there_is_one_call():
    _, ownership = owned([chat(1, None, error="ParseError"), chat(2, parent=1, scope=SDK)])
    assert ownership.owner_span_id.tolist() == [2, 2]
    assert ownership.calls.is_error[ownership.is_owner].tolist() == [False]


# Aggregates


def test_an_agent_that_sums_up_its_calls_gets_nothing():
    spans = [
        agent(1, (960, 241), at=(0, 1000)),
        S(8, parent=1),
        chat(2, (318, 43), parent=8, at=(10, 400)),
        chat(3, (642, 198), parent=8, at=(410, 900)),
    ]
    assert owners_of(spans) == {1: 3, 2: 2, 3: 3}


def test_an_agent_that_restates_its_last_call_gets_nothing():
    spans = [agent(1, (642, 198)), chat(2, (318, 43), parent=1), chat(3, (642, 198), parent=1, at=(2, 1001))]
    assert owners_of(spans) == {1: 3, 2: 2, 3: 3}


def test_an_agent_without_calls_below_counts_once_however_many_layers_restate_it():
    spans = [agent(1, (960, 241)), agent(2, (960, 241), parent=1), S(8, parent=2)]
    assert owners_of(spans) == {1: 2, 2: 2}


def test_agents_without_calls_below_count_each_and_their_workflow_does_not():
    spans = [
        agent(1, (960, 241)),
        agent(2, (318, 43), parent=1, at=(0, 10)),
        agent(3, (642, 198), parent=1, at=(10, 20)),
    ]
    assert owners_of(spans) == {1: 3, 2: 2, 3: 3}


def test_calls_without_usage_belong_to_the_agent_that_has_it():
    spans = [agent(1, (960, 241)), chat(2, None, parent=1), chat(3, None, parent=1)]
    assert owners_of(spans) == {1: 1, 2: 1, 3: 1}


def test_a_failed_call_below_an_agent_stays_a_failed_call():
    spans = [agent(1, (960, 241)), chat(2, None, error="429", parent=1)]
    assert owners_of(spans) == {1: 1, 2: 2}


def test_an_embedding_below_an_agent_does_not_explain_its_output():
    embedding = chat(2, (36, 0), parent=1, operation="embeddings")
    assert owners_of([agent(1, (960, 241)), embedding]) == {1: 1, 2: 2}
    assert owners_of([agent(1, (36, 0)), embedding]) == {1: 2, 2: 2}


def test_an_agent_with_the_response_id_of_its_call_repeats_it():
    spans = [agent(1, (1000, 300), response="a"), chat(2, response="a", parent=1)]
    assert owners_of(spans) == {1: 2, 2: 2}


def test_an_agent_whose_calls_hang_elsewhere_in_the_trace_is_known_by_its_sum():
    calls = [
        chat(2, (318, 43), parent=9, at=(10, 400), scope=OPENINFERENCE),
        chat(3, (642, 198), parent=9, at=(410, 900), scope=OPENINFERENCE),
    ]
    assert owners_of([agent(1, (960, 241), parent=9), *calls]) == {1: 3, 2: 2, 3: 3}
    # Another sum: the agent's own calls were not traced.
    assert owners_of([agent(1, (100, 20), parent=9), *calls]) == {1: 1, 2: 2, 3: 3}


def test_an_embeddings_operation_around_batches_of_embeddings_gets_nothing():
    spans = [
        chat(1, (82, 0), operation="embeddings"),
        chat(2, (41, 0), operation="embeddings", parent=1),
        chat(3, (41, 0), operation="embeddings", parent=1),
    ]
    assert owners_of(spans) == {1: 3, 2: 2, 3: 3}


# Broken input


def test_a_span_that_is_sent_twice_counts_once():
    spans = [chat(1), chat(2, at=(2000, 3000)), chat(1)]
    _, ownership = owned(spans)
    assert ownership.is_owner.tolist() == [True, True, False]
    assert ownership.owner_span_id.tolist() == [1, 2, 1]


def test_of_a_span_sent_twice_the_copy_with_usage_owns():
    assert owned([chat(1, None), chat(1)])[1].is_owner.tolist() == [False, True]


def test_the_same_span_id_in_two_traces_is_two_spans():
    assert owned([chat(1), chat(1, trace=2)])[1].is_owner.tolist() == [True, True]


def test_parents_that_go_in_circles_do_no_harm():
    spans = [
        chat(1, parent=3),
        chat(2, parent=1),
        chat(3, parent=2),
        chat(4, parent=4),
        agent(5, (1, 1), parent=5),
    ]
    assert set(owners_of(spans)) == {1, 2, 3, 4, 5}


def test_spans_without_ids_or_times_own_themselves():
    _, ownership = owned([S(0, chat(1).attributes, at=(0, 0)), S(0, chat(2).attributes, at=(0, 0))])
    assert ownership.is_owner.tolist() == [True, True]
    assert ownership.owner_span_id.tolist() == [0, 0]


def test_a_trace_of_many_thousand_calls_is_settled_in_good_time():
    nested = [chat(2 * n + 1, (n, 1), at=(n, n + 1), scope="a") for n in range(4000)]
    inside = [chat(2 * n + 2, (n, 1), parent=2 * n + 1, at=(n, n + 1), scope="b") for n in range(4000)]
    chain = [chat(9000 + n, None, parent=8999 + n, at=(20_000, 29_000), scope="c") for n in range(2000)]
    _, ownership = owned([*nested, *inside, *chain])
    assert int(ownership.is_owner.sum()) == 4001


# What copies know


def facts(owner: dict[str, object], copy: dict[str, object]) -> object:
    inner = chat(2, (1000, 300), parent=1, scope=SDK, more=owner)
    outer = chat(1, (1000, 300), more=copy)
    _, ownership = owned([outer, inner])
    assert ownership.is_owner.tolist() == [False, True]
    return ownership.calls


def test_the_owner_takes_the_facts_it_lacks_from_its_copies():
    calls = facts(
        {},
        {
            "gen_ai.usage.cache_read.input_tokens": 512,
            "gen_ai.usage.cache_write.input_tokens": 100,
            "gen_ai.usage.reasoning.output_tokens": 64,
            "gen_ai.provider.name": "openai",
            "gen_ai.response.model": "gpt-4o-2024-08-06",
            "server.address": "eu.api.openai.com",
            "cloud.region": "eu-west-3",
            "energy_kwh": 0.0004,
        },
    )
    assert (int(calls.cache_read_tokens[1]), int(calls.cache_write_tokens[1])) == (512, 100)
    assert int(calls.reasoning_tokens[1]) == 64
    assert (calls.provider[1], calls.host[1], calls.span_region[1]) == (
        "openai",
        "eu.api.openai.com",
        "eu-west-3",
    )
    assert (float(calls.reported_energy_kwh[1]), bool(calls.is_measured[1])) == (0.0004, True)


def test_the_owner_keeps_the_facts_it_has():
    calls = facts(
        {"gen_ai.provider.name": "azure.ai.openai", "gen_ai.usage.cache_read.input_tokens": 256},
        {"gen_ai.provider.name": "openai", "gen_ai.usage.cache_read.input_tokens": 512},
    )
    assert (calls.provider[1], int(calls.cache_read_tokens[1])) == ("azure.ai.openai", 256)


def test_a_copy_on_a_gateway_nearby_does_not_make_its_call_self_hosted():
    calls = facts({"server.address": "api.openai.com"}, {"server.address": "127.0.0.1"})
    assert (calls.host[1], bool(calls.is_self_hosted[1])) == ("api.openai.com", False)


def test_an_agent_gives_no_facts_to_one_of_the_calls_it_sums_up():
    spans = [
        agent(1, (960, 241), more={"energy_kwh": 0.5}),
        chat(2, (318, 43), parent=1),
        chat(3, (642, 198), parent=1),
    ]
    calls = owned(spans)[1].calls
    assert np.isnan(calls.reported_energy_kwh[1:]).all()
