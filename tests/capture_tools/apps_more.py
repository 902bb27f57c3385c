"""Further applications: JavaScript, Gemini, Mistral, Cohere, and frameworks with a tracer of their own."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from apps import QUESTION, root_span, start_sdk
from apps_agents import find_order

# JavaScript -----------------------------------------------------------------------------------------------


def run_node(url: str, sink: str, script: str, telemetry: str = "") -> None:
    """Run a script in NODE_APP, a folder where its packages are installed."""
    folder = Path(os.environ["NODE_APP"])
    shutil.copy(Path(__file__).with_name(script), folder / "app.mjs")
    environment = {**os.environ, "PROVIDER_URL": url, "SINK_URL": sink, "TELEMETRY": telemetry}
    subprocess.run(["node", "app.mjs"], cwd=folder, env=environment, check=True)


def vercel_ai_v7(url: str, sink: str) -> None:
    run_node(url, sink, "vercel_app.mjs", "OpenTelemetry")


def vercel_ai_v7_usage(url: str, sink: str) -> None:
    run_node(url, sink, "vercel_app.mjs", "usage")


def vercel_ai_v7_legacy(url: str, sink: str) -> None:
    run_node(url, sink, "vercel_app.mjs", "LegacyOpenTelemetry")


def vercel_ai_v4(url: str, sink: str) -> None:
    run_node(url, sink, "vercel_app_old.mjs")


def vercel_ai_v5(url: str, sink: str) -> None:
    run_node(url, sink, "vercel_app_old.mjs")


def openinference_openai_js(url: str, sink: str) -> None:
    run_node(url, sink, "openai_app.mjs", "openinference")


def otel_openai_js(url: str, sink: str) -> None:
    run_node(url, sink, "openai_app.mjs", "opentelemetry")


# Gemini, Mistral, Cohere ----------------------------------------------------------------------------------


def ask_gemini(url: str, tracer: Any) -> None:
    """A tool and its result, a cached prompt with thoughts, a stream, embeddings without usage, a 429."""
    from google import genai
    from google.genai import errors, types

    client = genai.Client(api_key="dummy", http_options=types.HttpOptions(base_url=url))
    config = types.GenerateContentConfig(tools=[find_order], max_output_tokens=700)
    with root_span(tracer):
        client.models.generate_content(model="gemini-2.5-flash", contents=QUESTION, config=config)
        client.models.generate_content(model="gemini-2.5-pro", contents=QUESTION)
        for _ in client.models.generate_content_stream(model="gemini-2.5-pro", contents=QUESTION):
            pass
        client.models.embed_content(model="gemini-embedding-001", contents=QUESTION)
        with contextlib.suppress(errors.ClientError):
            client.models.generate_content(model="gemini-error-2.5", contents=QUESTION)


def traceloop_google_genai(url: str, sink: str) -> None:
    tracer = start_sdk()
    from opentelemetry.instrumentation.google_generativeai import GoogleGenerativeAiInstrumentor

    GoogleGenerativeAiInstrumentor().instrument()
    ask_gemini(url, tracer)


def openinference_google_genai(url: str, sink: str) -> None:
    tracer = start_sdk()
    from openinference.instrumentation.google_genai import GoogleGenAIInstrumentor

    GoogleGenAIInstrumentor().instrument()
    ask_gemini(url, tracer)


def otel_google_genai(url: str, sink: str) -> None:
    tracer = start_sdk()
    from opentelemetry.instrumentation.google_genai import GoogleGenAiSdkInstrumentor

    GoogleGenAiSdkInstrumentor().instrument()
    ask_gemini(url, tracer)


def azure_ai_inference(url: str, sink: str) -> None:
    """Azure's own inference SDK and tracer: a tool, an answer, streams with and without usage, a 429."""
    os.environ["AZURE_SDK_TRACING_IMPLEMENTATION"] = "opentelemetry"
    tracer = start_sdk()
    from azure.ai.inference import ChatCompletionsClient, EmbeddingsClient
    from azure.ai.inference.models import ChatCompletionsToolDefinition, FunctionDefinition, UserMessage
    from azure.ai.inference.tracing import AIInferenceInstrumentor
    from azure.core.credentials import AzureKeyCredential
    from azure.core.exceptions import HttpResponseError
    from azure.core.settings import settings

    settings.tracing_implementation = "opentelemetry"
    AIInferenceInstrumentor().instrument()
    more: Any = {"credential": AzureKeyCredential("dummy"), "retry_total": 0}
    client = ChatCompletionsClient(f"{url}/v1", **more)
    question = [UserMessage(QUESTION)]
    parameters = {"type": "object", "properties": {"order": {"type": "string"}}}
    tool = ChatCompletionsToolDefinition(FunctionDefinition(name="find_order", parameters=parameters))
    with root_span(tracer):
        client.complete(messages=question, model="gpt-4.1", tools=[tool])
        client.complete(messages=question, model="gpt-5-mini", max_tokens=500)
        told = {"stream_options": {"include_usage": True}}
        for extras in (told, {}):
            for _ in client.complete(messages=question, model="gpt-4.1", stream=True, model_extras=extras):
                pass
        EmbeddingsClient(f"{url}/v1", **more).embed(input=[QUESTION], model="text-embedding-3-small")
        with contextlib.suppress(HttpResponseError):
            client.complete(messages=question, model="error-gpt-4.1")


def traceloop_mistral(url: str, sink: str) -> None:
    """A tool, an answer, a stream, embeddings, a 429."""
    tracer = start_sdk()
    from mistralai import Mistral
    from mistralai.models import SDKError
    from opentelemetry.instrumentation.mistralai import MistralAiInstrumentor

    MistralAiInstrumentor().instrument()
    client = Mistral(api_key="dummy", server_url=f"{url}/mistral")
    messages: Any = [{"role": "user", "content": QUESTION}]
    function = {"name": "find_order", "parameters": {"type": "object", "properties": {"order": {}}}}
    tools: Any = [{"type": "function", "function": function}]
    with root_span(tracer):
        client.chat.complete(model="mistral-large-latest", messages=messages, tools=tools)
        client.chat.complete(model="mistral-large-latest", messages=messages)
        for _ in client.chat.stream(model="mistral-small-latest", messages=messages):
            pass
        client.embeddings.create(model="mistral-embed", inputs=[QUESTION])
        with contextlib.suppress(SDKError):
            client.chat.complete(model="error-mistral", messages=messages)


def traceloop_cohere(url: str, sink: str) -> None:
    """A chat, a stream, embeddings, a 429, by the second version of the API."""
    tracer = start_sdk()
    import cohere
    from opentelemetry.instrumentation.cohere import CohereInstrumentor

    CohereInstrumentor().instrument()
    client = cohere.ClientV2(api_key="dummy", base_url=url)
    messages: Any = [{"role": "user", "content": QUESTION}]
    with root_span(tracer):
        client.chat(model="command-a-03-2025", messages=messages)
        for _ in client.chat_stream(model="command-a-03-2025", messages=messages):
            pass
        client.embed(
            model="embed-v4.0", texts=[QUESTION], input_type="search_query", embedding_types=["float"]
        )
        with contextlib.suppress(cohere.TooManyRequestsError):
            client.chat(model="error-command", messages=messages, request_options={"max_retries": 0})


SCENARIOS: dict[str, Callable[[str, str], None]] = {
    scenario.__name__: scenario
    for scenario in (
        vercel_ai_v7,
        vercel_ai_v7_usage,
        vercel_ai_v7_legacy,
        vercel_ai_v4,
        vercel_ai_v5,
        openinference_openai_js,
        otel_openai_js,
        traceloop_google_genai,
        openinference_google_genai,
        otel_google_genai,
        azure_ai_inference,
        traceloop_mistral,
        traceloop_cohere,
    )
}
