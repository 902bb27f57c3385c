"""Applications instrumented twice (a framework and the SDK below it), and tracers of platforms."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from typing import Any

from apps import CLAUDE_ON_BEDROCK, QUESTION, ask_openai, root_span, start_logfire, start_sdk
from apps_agents import ask_langchain, ask_openai_agents, find_order
from apps_frameworks import agent_framework, litellm_request_spans


def openinference_langchain_and_openai(url: str, sink: str) -> None:
    tracer = start_sdk()
    from openinference.instrumentation.langchain import LangChainInstrumentor
    from openinference.instrumentation.openai import OpenAIInstrumentor

    LangChainInstrumentor().instrument()
    OpenAIInstrumentor().instrument()
    ask_langchain(url, tracer)


def traceloop_langchain_and_openai(url: str, sink: str) -> None:
    tracer = start_sdk()
    from opentelemetry.instrumentation.langchain import LangchainInstrumentor
    from opentelemetry.instrumentation.openai import OpenAIInstrumentor

    LangchainInstrumentor().instrument()
    OpenAIInstrumentor().instrument()
    ask_langchain(url, tracer)


def openinference_and_traceloop_openai(url: str, sink: str) -> None:
    """Two instrumentations of one SDK at once."""
    tracer = start_sdk()
    from openinference.instrumentation.openai import OpenAIInstrumentor
    from opentelemetry.instrumentation.openai import OpenAIInstrumentor as TraceloopInstrumentor

    TraceloopInstrumentor().instrument()
    OpenAIInstrumentor().instrument()
    ask_openai(url, tracer)


def litellm_and_openinference_openai(url: str, sink: str) -> None:
    from openinference.instrumentation.openai import OpenAIInstrumentor

    OpenAIInstrumentor().instrument()
    litellm_request_spans(url, sink)


def agent_framework_and_otel_openai(url: str, sink: str) -> None:
    from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor

    OpenAIInstrumentor().instrument()
    agent_framework(url, sink)


def logfire_pydantic_ai_and_openai(url: str, sink: str) -> None:
    tracer = start_logfire()
    import logfire

    logfire.instrument_pydantic_ai()
    logfire.instrument_openai()
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    provider = OpenAIProvider(base_url=f"{url}/v1", api_key="sk-dummy")
    clerk = Agent(OpenAIChatModel("gpt-5-mini", provider=provider), name="clerk", tools=[find_order])

    async def ask() -> None:
        with root_span(tracer):
            await clerk.run(QUESTION)
            async with clerk.run_stream(QUESTION) as answer:
                await answer.get_output()

    asyncio.run(ask())


def traceloop_openai_agents(url: str, sink: str) -> None:
    tracer = start_sdk()
    import agents
    from opentelemetry.instrumentation.openai_agents import OpenAIAgentsInstrumentor

    agents.set_trace_processors([])
    OpenAIAgentsInstrumentor().instrument()
    ask_openai_agents(url, tracer)


def openinference_openai_agents(url: str, sink: str) -> None:
    tracer = start_sdk()
    import agents
    from openinference.instrumentation.openai_agents import OpenAIAgentsInstrumentor

    agents.set_trace_processors([])
    OpenAIAgentsInstrumentor().instrument()
    ask_openai_agents(url, tracer)


def strands_and_otel_botocore(url: str, sink: str) -> None:
    """Strands on Bedrock: the agent's own spans and those of the AWS SDK below it."""
    os.environ["AWS_ENDPOINT_URL_BEDROCK_RUNTIME"] = url
    tracer = start_sdk()
    from opentelemetry.instrumentation.botocore import BotocoreInstrumentor
    from strands import Agent, tool
    from strands.models import BedrockModel

    BotocoreInstrumentor().instrument()
    models = [BedrockModel(model_id=CLAUDE_ON_BEDROCK, streaming=stream) for stream in (True, False)]
    with root_span(tracer):
        for model in models:
            Agent(model=model, tools=[tool(find_order)], name="clerk", callback_handler=None)(QUESTION)


def langsmith_langchain(url: str, sink: str) -> None:
    """LangSmith's tracer in its OpenTelemetry mode, to the application's own exporter only."""
    settings = {"LANGSMITH_TRACING": "true", "LANGSMITH_OTEL_ENABLED": "true", "LANGSMITH_OTEL_ONLY": "true"}
    os.environ.update({**settings, "LANGSMITH_API_KEY": "dummy", "LANGSMITH_ENDPOINT": sink})
    tracer = start_sdk()
    ask_langchain(url, tracer)
    from langchain_core.tracers.langchain import wait_for_all_tracers

    wait_for_all_tracers()
    time.sleep(2)  # a thread of its own makes the spans


def langfuse_langchain(url: str, sink: str) -> None:
    """Langfuse's callback handler on a LangChain agent whose models are wrapped by nothing else."""
    os.environ.update({"LANGFUSE_PUBLIC_KEY": "pk-dummy", "LANGFUSE_SECRET_KEY": "sk-dummy"})
    os.environ["LANGFUSE_HOST"] = os.environ["LANGFUSE_BASE_URL"] = sink
    from langchain.agents import create_agent
    from langchain_openai import ChatOpenAI
    from langfuse import Langfuse, get_client
    from langfuse.langchain import CallbackHandler

    Langfuse()
    more: Any = {"base_url": f"{url}/v1", "max_retries": 0}
    config: Any = {"callbacks": [CallbackHandler()]}
    question: Any = {"messages": [{"role": "user", "content": QUESTION}]}
    agent = create_agent(ChatOpenAI(model="gpt-5-mini", **more), tools=[find_order], name="order-agent")
    agent.invoke(question, config=config)
    streaming = ChatOpenAI(model="gpt-4.1", stream_usage=True, streaming=True, **more)
    for _ in create_agent(streaming, tools=[find_order]).stream(question, config=config):
        pass
    ChatOpenAI(model="gpt-5", use_responses_api=True, **more).invoke(QUESTION, config=config)
    get_client().flush()


def openlit_langchain(url: str, sink: str) -> None:
    """OpenLIT instruments whatever is installed: LangChain and the OpenAI SDK below it."""
    import openlit

    openlit.init(otlp_endpoint=sink, application_name="order-desk", disable_metrics=True)
    from opentelemetry import trace

    ask_langchain(url, trace.get_tracer("order-desk"))


def mlflow_openai(url: str, sink: str) -> None:
    """MLflow's tracing of the OpenAI SDK, exported by OTLP."""
    os.environ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] = f"{sink}/v1/traces"
    os.environ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"] = "http/protobuf"
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["OTEL_BSP_SCHEDULE_DELAY"] = "100"
    import mlflow
    from opentelemetry import trace

    mlflow.openai.autolog()
    ask_openai(url, trace.get_tracer("order-desk"))
    time.sleep(1)


def semantic_kernel(url: str, sink: str) -> None:
    """A chat agent with a plug-in; the kernel's own spans."""
    os.environ["SEMANTICKERNEL_EXPERIMENTAL_GENAI_ENABLE_OTEL_DIAGNOSTICS"] = "true"
    tracer = start_sdk()
    import openai
    from semantic_kernel.agents import ChatCompletionAgent
    from semantic_kernel.connectors.ai.open_ai import OpenAIChatCompletion
    from semantic_kernel.functions import kernel_function

    class Orders:
        @kernel_function(name="find_order", description="Finds an order")
        def find(self, order: str) -> str:
            return f"{order} has shipped"

    client = openai.AsyncOpenAI(base_url=f"{url}/v1", max_retries=0)
    service = OpenAIChatCompletion(ai_model_id="gpt-4.1", async_client=client)
    agent = ChatCompletionAgent(service=service, name="clerk", plugins=[Orders()])

    async def ask() -> None:
        with root_span(tracer):
            await agent.get_response(QUESTION)
            async for _ in agent.invoke_stream(QUESTION):
                pass

    asyncio.run(ask())


SCENARIOS: dict[str, Callable[[str, str], None]] = {
    scenario.__name__: scenario
    for scenario in (
        openinference_langchain_and_openai,
        traceloop_langchain_and_openai,
        openinference_and_traceloop_openai,
        litellm_and_openinference_openai,
        agent_framework_and_otel_openai,
        logfire_pydantic_ai_and_openai,
        traceloop_openai_agents,
        openinference_openai_agents,
        openlit_langchain,
        mlflow_openai,
        strands_and_otel_botocore,
        langsmith_langchain,
        langfuse_langchain,
        semantic_kernel,
    )
}
