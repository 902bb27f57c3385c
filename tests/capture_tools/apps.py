"""Applications of one SDK and one instrumentation each; imports are late, as each has its own environment."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Callable
from typing import Any

TOOL_PARAMETERS = {"type": "object", "properties": {"order": {"type": "string"}}, "required": ["order"]}
CLAUDE_ON_BEDROCK = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"
QUESTION = "Where is order A-1207?"


def start_sdk() -> Any:
    """The application's own SDK, with the OTLP/HTTP exporter; returns its tracer."""
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return trace.get_tracer("order-desk")


def root_span(tracer: Any, name: str = "POST /ask") -> Any:
    from opentelemetry.trace import SpanKind

    return tracer.start_as_current_span(name, kind=SpanKind.SERVER)


# OpenAI ---------------------------------------------------------------------------------------------------


def ask_openai(url: str, tracer: Any) -> None:
    """Chat with a tool, streams with and without usage, Responses, embeddings, a 429; then from asyncio."""
    import openai

    base = f"{url}/v1"
    client = openai.OpenAI(base_url=base, max_retries=0)
    tools: Any = [{"type": "function", "function": {"name": "find_order", "parameters": TOOL_PARAMETERS}}]
    messages: list[Any] = [{"role": "user", "content": QUESTION}]
    with root_span(tracer):
        first = client.chat.completions.create(model="gpt-4.1", messages=messages, tools=tools)
        call = first.choices[0].message.tool_calls[0]
        messages += [first.choices[0].message.model_dump(exclude_none=True)]
        messages += [{"role": "tool", "tool_call_id": call.id, "content": "shipped"}]
        client.chat.completions.create(
            model="gpt-5-mini", messages=messages, tools=tools, reasoning_effort="low"
        )
        options: Any = {"include_usage": True}
        for more in ({"stream_options": options}, {}):
            for _ in client.chat.completions.create(
                model="gpt-5-mini", messages=messages, stream=True, **more
            ):
                pass
        with contextlib.closing(
            client.chat.completions.create(
                model="gpt-4.1", messages=messages, stream=True, stream_options=options, user="leaves-early"
            )
        ) as stream:
            next(iter(stream))
        client.responses.create(model="gpt-5", input=QUESTION)
        for _ in client.responses.create(model="gpt-5", input=QUESTION, stream=True):
            pass
        client.embeddings.create(model="text-embedding-3-large", input=[QUESTION, "A-1207"])
        with contextlib.suppress(openai.RateLimitError):
            client.chat.completions.create(model="error-gpt-4.1", messages=messages)

    async def ask() -> None:
        aclient = openai.AsyncOpenAI(base_url=base, max_retries=0)

        async def streamed() -> None:
            stream = await aclient.chat.completions.create(
                model="gpt-5-mini", messages=messages, stream=True, stream_options=options
            )
            async for _ in stream:
                pass

        with root_span(tracer, "POST /ask-all"):
            plain = aclient.chat.completions.create(model="gpt-4.1", messages=messages)
            twin = aclient.chat.completions.create(model="gpt-4.1", messages=messages)
            await asyncio.gather(plain, twin, streamed())

    asyncio.run(ask())


def otel_openai_v2_latest(url: str, sink: str) -> None:
    os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = "gen_ai_latest_experimental"
    tracer = start_sdk()
    from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor

    OpenAIInstrumentor().instrument()
    ask_openai(url, tracer)


def start_logfire() -> Any:
    """Logfire, to the exporter of the OTEL_* settings only; returns the application's tracer."""
    import logfire
    from opentelemetry import trace

    logfire.configure(send_to_logfire=False, console=False, metrics=False, service_name="order-desk")
    return trace.get_tracer("order-desk")


def logfire_openai(url: str, sink: str) -> None:
    tracer = start_logfire()
    import logfire

    logfire.instrument_openai()
    ask_openai(url, tracer)


# Anthropic ------------------------------------------------------------------------------------------------


def ask_anthropic(url: str, tracer: Any) -> None:
    """Cached prompts, a tool and its result, a raw stream, the stream helper, equal calls at once, a 429."""
    import anthropic

    client = anthropic.Anthropic(base_url=url, max_retries=0)
    system: Any = [{"type": "text", "text": "Order desk.", "cache_control": {"type": "ephemeral"}}]
    tools: Any = [{"name": "find_order", "description": "Finds one", "input_schema": TOOL_PARAMETERS}]
    messages: list[Any] = [{"role": "user", "content": QUESTION}]
    more: Any = {"model": "claude-opus-4-5", "max_tokens": 800, "system": system}
    with root_span(tracer):
        first = client.messages.create(messages=messages, tools=tools, **more)
        result = {"type": "tool_result", "tool_use_id": first.content[0].id, "content": "shipped"}
        messages += [{"role": "assistant", "content": [first.content[0].model_dump(exclude_none=True)]}]
        messages += [{"role": "user", "content": [result]}]
        client.messages.create(messages=messages, tools=tools, **more)
        for _ in client.messages.create(messages=messages, stream=True, **more):
            pass
        with client.messages.stream(messages=messages, **more) as stream:
            stream.get_final_message()
        with contextlib.suppress(anthropic.RateLimitError):
            client.messages.create(messages=messages, **{**more, "model": "error-claude"})

    async def ask() -> None:
        aclient = anthropic.AsyncAnthropic(base_url=url, max_retries=0)

        async def streamed() -> None:
            async for _ in await aclient.messages.create(messages=messages, stream=True, **more):
                pass

        with root_span(tracer, "POST /ask-all"):
            both = (aclient.messages.create(messages=messages, **more) for _ in range(2))
            await asyncio.gather(*both, streamed())

    asyncio.run(ask())


def traceloop_anthropic(url: str, sink: str) -> None:
    tracer = start_sdk()
    from opentelemetry.instrumentation.anthropic import AnthropicInstrumentor

    AnthropicInstrumentor().instrument()
    ask_anthropic(url, tracer)


def traceloop_anthropic_alone(url: str, sink: str) -> None:
    os.environ["ANTHROPIC_OPEN_TELEMETRY"] = "false"
    traceloop_anthropic(url, sink)


def openinference_anthropic(url: str, sink: str) -> None:
    tracer = start_sdk()
    from openinference.instrumentation.anthropic import AnthropicInstrumentor

    AnthropicInstrumentor().instrument()
    ask_anthropic(url, tracer)


def logfire_anthropic(url: str, sink: str) -> None:
    tracer = start_logfire()
    import logfire

    logfire.instrument_anthropic()
    ask_anthropic(url, tracer)


def openlit_bedrock(url: str, sink: str) -> None:
    import openlit

    openlit.init(otlp_endpoint=sink, application_name="order-desk", disable_metrics=True)
    from opentelemetry import trace

    ask_bedrock(url, trace.get_tracer("order-desk"))


def traceloop_openai_2025(url: str, sink: str) -> None:
    """Traceloop of 2025, with the names of an older generation."""
    tracer = start_sdk()
    from opentelemetry.instrumentation.openai import OpenAIInstrumentor

    OpenAIInstrumentor().instrument()
    ask_openai(url, tracer)


def traceloop_anthropic_2025(url: str, sink: str) -> None:
    traceloop_anthropic(url, sink)


def openlit_anthropic(url: str, sink: str) -> None:
    import openlit

    openlit.init(otlp_endpoint=sink, application_name="order-desk", disable_metrics=True)
    from opentelemetry import trace

    ask_anthropic(url, trace.get_tracer("order-desk"))


# Bedrock --------------------------------------------------------------------------------------------------


def ask_bedrock(url: str, tracer: Any) -> None:
    """Converse with a tool, its stream, invoke and its stream, Titan embeddings, a throttled call."""
    import boto3
    from botocore.config import Config
    from botocore.exceptions import ClientError

    config = Config(retries={"total_max_attempts": 1}, proxies={})
    client = boto3.client("bedrock-runtime", region_name="eu-west-3", endpoint_url=url, config=config)
    spec = {"toolSpec": {"name": "find_order", "inputSchema": {"json": TOOL_PARAMETERS}}}
    messages: list[Any] = [{"role": "user", "content": [{"text": QUESTION}]}]
    claude: Any = {"modelId": CLAUDE_ON_BEDROCK, "inferenceConfig": {"maxTokens": 400}}
    with root_span(tracer):
        first = client.converse(messages=messages, toolConfig={"tools": [spec]}, **claude)
        message = first["output"]["message"]
        use_id = message["content"][0]["toolUse"]["toolUseId"]
        result = {"toolResult": {"toolUseId": use_id, "content": [{"text": "shipped"}]}}
        messages += [message, {"role": "user", "content": [result]}]
        client.converse(messages=messages, toolConfig={"tools": [spec]}, **claude)
        plain = messages[:1]
        nova = "arn:aws:bedrock:eu-west-3:111122223333:inference-profile/eu.amazon.nova-pro-v1:0"
        for model in (CLAUDE_ON_BEDROCK, nova):
            for _ in client.converse_stream(modelId=model, messages=plain)["stream"]:
                pass
        body: Any = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 400, "messages": []}
        body["messages"] = [{"role": "user", "content": QUESTION}]
        encoded = json.dumps(body)
        client.invoke_model(modelId=CLAUDE_ON_BEDROCK, body=encoded)["body"].read()
        for _ in client.invoke_model_with_response_stream(modelId=CLAUDE_ON_BEDROCK, body=encoded)["body"]:
            pass
        text = json.dumps({"inputText": QUESTION})
        client.invoke_model(modelId="amazon.titan-embed-text-v2:0", body=text)["body"].read()
        with contextlib.suppress(ClientError):
            client.converse(modelId="error-claude", messages=plain)


def otel_genai_bedrock(url: str, sink: str) -> None:
    tracer = start_sdk()
    from opentelemetry.instrumentation.genai.bedrock import BedrockInstrumentor

    BedrockInstrumentor().instrument()
    ask_bedrock(url, tracer)


def traceloop_bedrock(url: str, sink: str) -> None:
    tracer = start_sdk()
    from opentelemetry.instrumentation.bedrock import BedrockInstrumentor

    BedrockInstrumentor().instrument()
    ask_bedrock(url, tracer)


def otel_botocore_bedrock(url: str, sink: str) -> None:
    """The AWS SDK's instrumentation, which makes GenAI spans of Bedrock calls."""
    tracer = start_sdk()
    from opentelemetry.instrumentation.botocore import BotocoreInstrumentor

    BotocoreInstrumentor().instrument()
    ask_bedrock(url, tracer)


def openinference_bedrock(url: str, sink: str) -> None:
    tracer = start_sdk()
    from openinference.instrumentation.bedrock import BedrockInstrumentor

    BedrockInstrumentor().instrument()
    ask_bedrock(url, tracer)


SCENARIOS: dict[str, Callable[[str, str], None]] = {
    scenario.__name__: scenario
    for scenario in (
        otel_openai_v2_latest,
        logfire_openai,
        traceloop_anthropic,
        traceloop_anthropic_alone,
        openinference_anthropic,
        logfire_anthropic,
        openlit_anthropic,
        openlit_bedrock,
        traceloop_openai_2025,
        traceloop_anthropic_2025,
        otel_genai_bedrock,
        traceloop_bedrock,
        otel_botocore_bedrock,
        openinference_bedrock,
    )
}
