"""How spans of each instrumentation are read: spans written by hand from what each is known to send."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from dialect_sources import SOURCES
from span_tables import START_NS, S, chat, reading_of

from wattspan.otlp.dialects import AGGREGATE, CALL, DIALECT_KEYS, Reading

USAGE = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens")


def usage(reading: Reading, call: int = 0) -> tuple[int, ...]:
    return tuple(int(getattr(reading.calls, name)[call]) for name in USAGE)


def read_one(attributes: dict[str, Any], **span: Any) -> Reading:
    reading = reading_of(S(1, attributes, **span))
    assert len(reading) == 1
    return reading


@pytest.mark.parametrize("name", SOURCES)
def test_a_call_is_read_as_the_instrumentation_means_it(name):
    span, tokens, operation, provider, model = SOURCES[name]
    reading = reading_of(span)
    calls = reading.calls
    assert reading.role.tolist() == [CALL]
    assert usage(reading) == tokens
    assert calls.has_usage.tolist() == [True]
    assert (calls.operation[0], calls.provider[0], calls.model[0]) == (operation, provider, model)
    assert reading.problems == ()


# Which spans have a role


@pytest.mark.parametrize(
    ("attributes", "role"),
    [
        ({"gen_ai.operation.name": "chat"}, CALL),
        ({"gen_ai.operation.name": "Embeddings"}, CALL),
        ({"openinference.span.kind": "LLM"}, CALL),
        ({"langfuse.observation.type": "generation"}, CALL),
        ({"ai.operationId": "ai.embedMany.doEmbed"}, CALL),
        ({"gen_ai.operation.name": "invoke_agent", "gen_ai.usage.input_tokens": 5}, AGGREGATE),
        ({"gen_ai.operation.name": "agent_step", "ai.usage.outputTokens": 5}, AGGREGATE),
        ({"openinference.span.kind": "AGENT", "llm.token_count.prompt": 5}, AGGREGATE),
        ({"ai.operationId": "ai.generateText", "ai.usage.promptTokens": 5}, AGGREGATE),
        ({"gen_ai.operation.name": "invoke_agent", "gen_ai.aggregated_usage.input_tokens": 5}, AGGREGATE),
        ({"gen_ai.usage.input_tokens": 5}, AGGREGATE),
    ],
)
def test_operation_decides_between_a_call_and_an_aggregate(attributes, role):
    assert read_one(attributes).role.tolist() == [role]


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"http.request.method": "POST", "server.address": "api.openai.com"},
        {"gen_ai.operation.name": "execute_tool"},
        {"gen_ai.operation.name": "invoke_agent", "gen_ai.request.model": "gpt-4o"},
        {"gen_ai.operation.name": "invoke_agent", "gen_ai.usage.input_tokens": 0},
        {"gen_ai.operation.name": "agent_step", "ai.usage.outputTokenDetails.reasoningTokens": 256},
        {"openinference.span.kind": "CHAIN"},
        {"gen_ai.request.model": "gpt-4o"},
    ],
)
def test_other_spans_have_no_part_in_it(attributes):
    assert len(reading_of(S(1, attributes))) == 0


def test_sums_named_as_such_are_not_the_usage_of_a_call():
    attributes = {"gen_ai.operation.name": "chat", "gen_ai.aggregated_usage.input_tokens": 5}
    assert read_one(attributes).calls.has_usage.tolist() == [False]


def test_pending_spans_of_logfire_are_no_calls():
    pending = {"gen_ai.operation.name": "chat", "logfire.pending_parent_id": "0000000000000000"}
    assert len(reading_of(S(1, pending, scope="logfire.openai"))) == 0


def test_prompt_templates_of_langsmith_are_no_calls():
    prompt = {"gen_ai.operation.name": "chat", "langsmith.span.kind": "prompt"}
    assert len(reading_of(S(1, prompt, scope="langsmith"))) == 0


def test_preparations_of_llama_index_are_no_calls():
    scope = "openinference.instrumentation.llama_index"
    span = S(1, {"openinference.span.kind": "LLM"}, scope=scope, name="OpenAI._prepare_chat_with_tools")
    assert len(reading_of(span)) == 0
    assert len(reading_of(span.but(name="OpenAI.achat"))) == 1


def test_an_openlit_span_of_a_failed_call_has_nothing_but_its_name():
    span = S(
        1, {"error.type": "RateLimitError"}, scope="openlit.instrumentation.anthropic", name="chat claude-x"
    )
    calls = reading_of(span.but(status=2)).calls
    assert (calls.operation[0], calls.model[0], bool(calls.is_error[0])) == ("chat", "claude-x", True)
    assert len(reading_of(span.but(name="POST"))) == 0


def test_a_failed_call_of_adk_1_is_known_by_its_name():
    calls = reading_of(S(1, scope="gcp.vertex.agent", name="call_llm", status=2)).calls
    assert (calls.operation[0], bool(calls.is_error[0])) == ("generate_content", True)


# Token counts


@pytest.mark.parametrize(
    ("value", "count"), [(318, 318), (318.0, 318), ("318", 318), (" 318.0 ", 318), ("3.18e2", 318), ("", 0)]
)
def test_counts_may_be_integers_doubles_or_texts(value, count):
    reading = read_one({"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": value})
    assert (usage(reading)[0], reading.problems) == (count, ())


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (-5, "-5"),
        (10**12, "1000000000000"),
        (math.nan, "nan"),
        (math.inf, "inf"),
        (318.5, "318.5"),
        ("many", "'many'"),
        ("1_000", "'1_000'"),
        (True, "a truth value"),
    ],
)
def test_a_count_that_makes_no_sense_is_a_problem_and_the_next_key_is_tried(value, found):
    attributes = {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": value}
    reading = reading_of(S(1), S(2, {**attributes, "gen_ai.usage.output_tokens": 7}))
    (problem,) = reading.problems
    assert (problem.span, problem.key, problem.found) == (1, "gen_ai.usage.input_tokens", found)
    assert problem.allowed == "a whole number from 0 to 20000000"
    assert usage(reading) == (0, 0, 0, 7, 0)
    second = read_one({**attributes, "gen_ai.usage.prompt_tokens": 12})
    assert usage(second)[0] == 12
    assert len(second.problems) == 1


def test_a_call_whose_counts_are_all_zero_has_no_usage():
    zeros = {"gen_ai.usage.input_tokens": 0, "gen_ai.usage.output_tokens": 0, "gen_ai.usage.total_tokens": 0}
    assert read_one({"gen_ai.operation.name": "chat", **zeros}).calls.has_usage.tolist() == [False]


@pytest.mark.parametrize(
    ("more", "tokens"),
    [
        # Cached tokens above the input, or needed to reach the total, were left out.
        ({"cache_read.input_tokens": 2048}, (2458, 2048, 0, 99, 0)),
        ({"cache_read.input_tokens": 300, "cache_write.input_tokens": 111}, (821, 300, 111, 99, 0)),
        ({"cache_read.input_tokens": 300, "total_tokens": 809}, (710, 300, 0, 99, 0)),
        ({"cache_read.input_tokens": 300, "total_tokens": 509}, (410, 300, 0, 99, 0)),
        ({"cache_read.input_tokens": 300}, (410, 300, 0, 99, 0)),
        # The same of reasoning.
        ({"reasoning.output_tokens": 500}, (410, 0, 0, 599, 500)),
        ({"reasoning.output_tokens": 50, "total_tokens": 559}, (410, 0, 0, 149, 50)),
        ({"reasoning.output_tokens": 50, "total_tokens": 509}, (410, 0, 0, 99, 50)),
    ],
)
def test_the_numbers_tell_whether_a_part_is_left_out_of_the_whole(more, tokens):
    counts = {"input_tokens": 410, "output_tokens": 99, **more}
    attributes = {f"gen_ai.usage.{name}": count for name, count in counts.items()}
    assert usage(read_one({"gen_ai.operation.name": "chat", **attributes})) == tokens


def test_a_missing_side_is_the_total_less_the_other():
    counts = {"gen_ai.usage.total_tokens": 509, "gen_ai.usage.output_tokens": 99}
    assert usage(read_one({"gen_ai.operation.name": "chat", **counts}))[:4] == (410, 0, 0, 99)


def test_parts_by_kind_are_subsets_and_stand_in_for_an_absent_total():
    parts = {
        "gen_ai.usage.text.input_tokens": 100,
        "gen_ai.usage.image.input_tokens": 765,
        "gen_ai.usage.audio.input_tokens": 35,
        "gen_ai.usage.text.output_tokens": 40,
        "gen_ai.usage.audio.output_tokens": 60,
        "gen_ai.usage.image.cache_read.input_tokens": 64,
    }
    attributes = {"gen_ai.operation.name": "chat", **parts}
    assert usage(read_one(attributes)) == (900, 64, 0, 100, 0)
    assert usage(read_one({**attributes, "gen_ai.usage.input_tokens": 905}))[0] == 905


def test_counts_that_openlit_invents_for_a_stream_are_no_usage():
    told = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.stream": True,
        "gen_ai.usage.input_tokens": 54,
        "gen_ai.usage.output_tokens": 20,
        "openlit.agent.version_hash": "8e696fd5f67791ef",
    }
    scope = "openlit.instrumentation.openai"
    reading = read_one(told, scope=scope)
    assert (usage(reading), reading.calls.has_usage.tolist()) == ((0, 0, 0, 0, 0), [False])
    real = {**told, "gen_ai.usage.cache_read.input_tokens": 0}
    assert usage(read_one(real, scope=scope))[0] == 54
    assert usage(read_one({**told, "gen_ai.request.stream": False}, scope=scope))[0] == 54
    assert usage(read_one(told, scope="opentelemetry.instrumentation.genai.openai"))[0] == 54


# Objects in texts


@pytest.mark.parametrize(
    ("text", "found", "allowed"),
    [
        ('{"input": 5', "'{\"input\": 5'", "a JSON object, 64 deep"),
        ("[1, 2]", "'[1, 2]'", "a JSON object, 64 deep"),
        ("[" * 100_000, repr("[" * 77)[:77] + "...", "a JSON object, 64 deep"),
        ('{"input": 1' + " " * 300_000 + "}", "300012 bytes", "at most 262144 bytes"),
    ],
)
def test_an_object_that_cannot_be_read_is_a_problem(text, found, allowed):
    key = "langfuse.observation.usage_details"
    reading = read_one({"langfuse.observation.type": "generation", key: text})
    (problem,) = reading.problems
    assert (problem.key, problem.allowed, problem.found[:20]) == (key, allowed, found[:20])
    assert reading.calls.has_usage.tolist() == [False]


def test_a_count_in_an_object_that_makes_no_sense_is_named_by_its_path():
    details = (
        '{"prompt_tokens": 318, "completion_tokens": -4, "prompt_tokens_details": {"cached_tokens": "x"}}'
    )
    reading = read_one(
        {"langfuse.observation.type": "generation", "langfuse.observation.usage_details": details}
    )
    key = "langfuse.observation.usage_details"
    assert [(problem.key, problem.found) for problem in reading.problems] == [
        (f"{key}:completion_tokens", "-4"),
        (f"{key}:prompt_tokens_details.cached_tokens", "'x'"),
    ]
    assert usage(reading) == (318, 0, 0, 0, 0)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').getcwd()",
        "{'a': 1} or 2",
        "{'prompt_tokens': 10**9}",
        "(" * 5000,
        "{'a': " * 90,
        "-" * 9000 + "1",
    ],
)
def test_a_repr_is_never_run(text):
    reading = read_one({"gen_ai.operation.name": "chat", "metadata.usage_object": text})
    assert len(reading.problems) == 1
    assert reading.calls.has_usage.tolist() == [False]


def test_objects_are_read_only_where_a_fact_is_missing():
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.usage.input_tokens": 1187,
        "gen_ai.usage.output_tokens": 412,
        "gen_ai.usage.cache_read.input_tokens": 1024,
        "metadata.usage_object": "not a dict",
    }
    assert read_one(attributes).problems == ()


# Models, providers, hosts, regions


@pytest.mark.parametrize(
    ("request_model", "response_model", "model"),
    [
        ("gpt-4o", "gpt-4o-2024-08-06", "gpt-4o-2024-08-06"),
        ("my-deployment", "gpt-4o-2024-08-06", "gpt-4o-2024-08-06"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5", "claude-sonnet-4-5-20250929"),
        ("gpt-4o-mini", "gpt-4o-mini", "gpt-4o-mini"),
        ("eu.anthropic.claude-opus-4-5-v1:0", "", "eu.anthropic.claude-opus-4-5-v1:0"),
        ("llama3.3", "unknown", "llama3.3"),
        ("", "gpt-4o", "gpt-4o"),
    ],
)
def test_the_more_specific_model_is_taken_and_the_requested_one_kept(request_model, response_model, model):
    names = {"gen_ai.request.model": request_model, "gen_ai.response.model": response_model}
    calls = read_one({"gen_ai.operation.name": "chat", **names}).calls
    assert (calls.model[0], calls.request_model[0]) == (model, request_model)


def test_the_model_of_a_failed_openinference_span_is_in_its_parameters():
    attributes = {"openinference.span.kind": "LLM", "llm.invocation_parameters": '{"model": "gpt-4o"}'}
    calls = read_one(attributes, status=2).calls
    assert (calls.model[0], calls.request_model[0], bool(calls.is_error[0])) == ("gpt-4o", "gpt-4o", True)


@pytest.mark.parametrize(
    ("spelled", "provider"),
    [
        ("OpenAI", "openai"),
        ("openai.responses", "openai"),
        ("azure", "azure.ai.openai"),
        ("az.ai.inference", "azure.ai.inference"),
        ("amazon-bedrock", "aws.bedrock"),
        ("AWS", "aws.bedrock"),
        ("google.generative-ai", "gcp.gemini"),
        ("google.vertex.chat", "gcp.vertex_ai"),
        ("vertexai", "gcp.vertex_ai"),
        ("MistralAI", "mistral_ai"),
        ("xai.chat", "x_ai"),
        ("Together", "together_ai"),
        ("OpenRouter", "openrouter"),
        ("langchain", ""),
        ("microsoft.agent_framework", ""),
    ],
)
def test_providers_are_spelled_as_opentelemetry_does(spelled, provider):
    assert read_one({"gen_ai.operation.name": "chat", "gen_ai.system": spelled}).calls.provider[0] == provider


def test_a_framework_makes_way_for_the_next_key_that_names_a_provider():
    attributes = {
        "gen_ai.provider.name": "langchain",
        "traceloop.association.properties.ls_provider": "anthropic",
    }
    assert read_one({"gen_ai.operation.name": "chat", **attributes}).calls.provider[0] == "anthropic"


@pytest.mark.parametrize(
    ("key", "value", "host"),
    [
        ("server.address", "api.openai.com", "api.openai.com"),
        ("server.address", "127.0.0.1:38527", "127.0.0.1"),
        ("gen_ai.openai.api_base", "https://EU.api.openai.com/v1/", "eu.api.openai.com"),
        ("url.full", "https://user:secret@bedrock-runtime.eu-west-3.amazonaws.com:443/model/x?y#z",
         "bedrock-runtime.eu-west-3.amazonaws.com"),
        ("server.address", "[::1]:8000", "::1"),
        ("server.address", "2001:db8::1", "2001:db8::1"),
        ("server.address", "not a host", ""),
    ],
)  # fmt: skip
def test_hosts_are_bare_names(key, value, host):
    assert read_one({"gen_ai.operation.name": "chat", key: value}).calls.host[0] == host


@pytest.mark.parametrize(
    ("said", "host", "provider"),
    [
        ("openai", "my-resource.openai.azure.com", "azure.ai.openai"),
        ("openai", "api.groq.com", "groq"),
        ("openai", "openrouter.ai", "openrouter"),
        ("anthropic", "bedrock-runtime.us-east-1.amazonaws.com", "aws.bedrock"),
        ("anthropic", "us-east5-aiplatform.googleapis.com", "gcp.vertex_ai"),
        ("", "api.mistral.ai", "mistral_ai"),
        ("openai", "eu.api.openai.com", "openai"),
        ("openai", "llm.example.com", "openai"),
        ("cohere", "api.groq.com", "cohere"),
        ("openai", "evil-openrouter.ai.example.com", "openai"),
    ],
)
def test_the_host_corrects_what_a_client_library_says(said, host, provider):
    attributes = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": said, "server.address": host}
    assert read_one(attributes).calls.provider[0] == provider


@pytest.mark.parametrize(
    ("attributes", "is_self_hosted"),
    [
        ({"server.address": "127.0.0.1"}, True),
        ({"server.address": "10.1.2.3"}, True),
        ({"server.address": "::1"}, True),
        ({"server.address": "localhost"}, True),
        ({"server.address": "vllm"}, True),
        ({"server.address": "vllm.models.svc.cluster.local"}, True),
        ({"server.address": "host.docker.internal"}, True),
        ({"gen_ai.provider.name": "ollama"}, True),
        ({"gen_ai.latency.e2e": 1.5}, True),
        ({"gen_ai.provider.name": "ollama", "server.address": "ollama.com"}, False),
        ({"server.address": "api.openai.com"}, False),
        ({"server.address": "8.8.8.8"}, False),
        ({}, False),
    ],
)
def test_private_hosts_and_serving_engines_are_self_hosted(attributes, is_self_hosted):
    calls = read_one({"gen_ai.operation.name": "chat", **attributes}).calls
    assert calls.is_self_hosted.tolist() == [is_self_hosted]


def test_regions_of_the_span_and_of_the_caller_are_kept_apart():
    attributes = {
        "gen_ai.operation.name": "chat",
        "cloud.region": "eu-west-3",
        "cloud.provider": "aws",
        "anthropic.usage.inference_geo": "us",
    }
    resource = {"cloud.region": "us-east-1", "cloud.provider": "gcp", "service.name": "shop"}
    calls = reading_of(S(1, attributes), resource=resource).calls
    assert (calls.span_region[0], calls.span_cloud[0]) == ("eu-west-3", "aws")
    assert (calls.resource_region[0], calls.resource_cloud[0]) == ("us-east-1", "gcp")
    assert (calls.reported_region[0], calls.service[0]) == ("us", "shop")


def test_a_geography_inside_a_usage_object_is_read():
    details = '{"input_tokens": 5, "output_tokens": 2, "inference_geo": "eu"}'
    attributes = {"langfuse.observation.type": "generation", "langfuse.observation.usage_details": details}
    assert read_one(attributes).calls.reported_region[0] == "eu"


# Errors, streams, times


@pytest.mark.parametrize(
    ("attributes", "status", "is_error"),
    [
        ({}, 0, False),
        ({}, 1, False),
        ({}, 2, True),
        ({"error.type": "timeout"}, 0, True),
        ({"error.type": ""}, 0, False),
        ({"langfuse.observation.level": "ERROR"}, 0, True),
        ({"langfuse.observation.level": "DEFAULT"}, 0, False),
    ],
)
def test_a_call_failed_where_its_status_or_error_says_so(attributes, status, is_error):
    calls = read_one({"gen_ai.operation.name": "chat", **attributes}, status=status).calls
    assert calls.is_error.tolist() == [is_error]


@pytest.mark.parametrize(
    ("attributes", "is_streaming"),
    [
        ({"gen_ai.request.stream": True}, True),
        ({"gen_ai.is_streaming": False}, False),
        ({"llm.is_streaming": "True"}, True),
        ({"llm.is_streaming": "False"}, False),
        ({"gen_ai.response.time_to_first_chunk": 0.08}, True),
        ({"langfuse.observation.completion_start_time": '"2026-11-23T16:39:38Z"'}, True),
        ({"openinference.span.kind": "LLM", "llm.invocation_parameters": '{"stream": true}'}, True),
        ({}, False),
    ],
)
def test_streams_are_recognised(attributes, is_streaming):
    assert read_one({"gen_ai.operation.name": "chat", **attributes}).is_streaming.tolist() == [is_streaming]


def test_times_are_those_of_the_span():
    calls = read_one({"gen_ai.operation.name": "chat"}, at=(250, 1750)).calls
    assert (int(calls.start_unix_ns[0]), int(calls.duration_ns[0])) == (START_NS + 250_000_000, 1_500_000_000)


def test_a_point_in_time_reaches_back_by_the_duration_it_names():
    attributes = {"gen_ai.operation.name": "chat", "logfire.span_type": "log", "duration": 0.5}
    reading = read_one(attributes, at=(2000, 2000), scope="logfire.openai")
    assert reading.is_continuation.tolist() == [True]
    assert int(reading.calls.start_unix_ns[0]) == START_NS + 1_500_000_000
    assert int(reading.calls.duration_ns[0]) == 500_000_000


# Energy


@pytest.mark.parametrize(
    ("attributes", "energy_kwh", "is_measured"),
    [
        ({"gen_ai.usage.energy_kwh": 0.0004}, 0.0004, False),
        ({"energy_kwh": 0.0004}, 0.0004, True),
        ({"gen_ai.energy.joules": 1440}, 0.0004, True),
        ({"energy_wh": "0.4"}, 0.0004, True),
        ({"neuralwatt.energy_joules": 1440.0}, 0.0004, False),
        ({"gen_ai.usage.energy_joules": 1440}, 0.0004, False),
    ],
)
def test_energy_on_the_span_is_scaled_and_labelled(attributes, energy_kwh, is_measured):
    calls = read_one({"gen_ai.operation.name": "chat", **attributes}).calls
    assert calls.reported_energy_kwh[0] == pytest.approx(energy_kwh, rel=1e-15)
    assert calls.is_measured.tolist() == [is_measured]


def test_energy_that_we_wrote_ourselves_is_nobodys_report():
    attributes = {"gen_ai.usage.energy_kwh": 0.0004, "wattspan.edition": "2026.11"}
    calls = read_one({"gen_ai.operation.name": "chat", **attributes}).calls
    assert np.isnan(calls.reported_energy_kwh[0])
    both = read_one({"gen_ai.operation.name": "chat", **attributes, "energy_kwh": 0.5}).calls
    assert both.reported_energy_kwh[0] == 0.5


@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf, 5000.0, "much", True])
def test_energy_that_makes_no_sense_is_a_problem(value):
    reading = read_one({"gen_ai.operation.name": "chat", "energy_kwh": value})
    assert np.isnan(reading.calls.reported_energy_kwh[0])
    assert [problem.key for problem in reading.problems] == ["energy_kwh"]


def test_energy_inside_a_usage_object_is_reported():
    details = '{"prompt_tokens": 5, "completion_tokens": 2, "energy": {"energy_joules": 360}}'
    attributes = {"langfuse.observation.type": "generation", "langfuse.observation.usage_details": details}
    calls = read_one(attributes).calls
    assert calls.reported_energy_kwh[0] == pytest.approx(0.0001, rel=1e-15)
    assert calls.is_measured.tolist() == [False]


# Batches


def test_no_spans_and_no_calls_give_an_empty_reading():
    assert len(reading_of()) == 0
    assert len(reading_of(S(1), S(2))) == 0


def test_rows_of_different_dialects_in_one_batch_do_not_mix():
    spans = [span.but(id=place + 1) for place, (span, *_) in enumerate(SOURCES.values())]
    reading = reading_of(*spans)
    assert [usage(reading, call) for call in range(len(spans))] == [
        tokens for _, tokens, *_ in SOURCES.values()
    ]
    assert reading.calls.operation.texts() == [operation for _, _, operation, *_ in SOURCES.values()]
    assert reading.calls.provider.texts() == [provider for *_, provider, _ in SOURCES.values()]
    assert reading.calls.model.texts() == [model for *_, model in SOURCES.values()]


def test_rows_point_at_the_spans_of_the_table():
    reading = reading_of(S(1), chat(2), S(3), chat(4, response="resp-4"))
    assert reading.rows.tolist() == [1, 3]
    assert reading.response_id[0] == -1


def test_a_reading_names_its_dialects():
    spans = [chat(1, scope="openinference.instrumentation.openai"), chat(2, scope="nobody.knows")]
    assert [reading_of(*spans).dialect_id(call) for call in (0, 1)] == ["openinference", ""]


def test_keys_are_asked_for_once():
    assert len(set(DIALECT_KEYS)) == len(DIALECT_KEYS)
    assert {"gen_ai.usage.input_tokens", "cloud.region", "service.name", "wattspan.edition"} <= set(
        DIALECT_KEYS
    )
