"""Applications built on agent frameworks: parents that restate their children, tools, hand-overs, streams."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from typing import Any

from apps import QUESTION, root_span, start_sdk


def find_order(order: str) -> str:
    """Find an order by its number."""
    return f"{order} has shipped"


# LangChain ------------------------------------------------------------------------------------------------


def ask_langchain(url: str, tracer: Any) -> None:
    """An agent with a tool, invoked and streamed; a chain; a model called alone; embeddings; a 429."""
    import openai
    from langchain.agents import create_agent
    from langchain_core.output_parsers import StrOutputParser
    from langchain_core.prompts import ChatPromptTemplate
    from langchain_openai import ChatOpenAI, OpenAIEmbeddings

    more: Any = {"base_url": f"{url}/v1", "max_retries": 0}
    model = ChatOpenAI(model="gpt-5-mini", **more)
    agent = create_agent(model, tools=[find_order], name="order-agent")
    question: Any = {"messages": [{"role": "user", "content": QUESTION}]}
    with root_span(tracer):
        agent.invoke(question, config={"configurable": {"thread_id": "thread-17"}})
        streaming = ChatOpenAI(model="gpt-4.1", stream_usage=True, streaming=True, **more)
        for _ in create_agent(streaming, tools=[find_order], name="order-agent").stream(question):
            pass
        chain = ChatPromptTemplate.from_template("{question}") | model | StrOutputParser()
        chain.batch([{"question": QUESTION}, {"question": QUESTION}])
        for _ in ChatOpenAI(model="gpt-4.1", stream_usage=False, **more).stream(QUESTION):
            pass
        ChatOpenAI(model="gpt-5", use_responses_api=True, **more).invoke(QUESTION)
        OpenAIEmbeddings(
            model="text-embedding-3-small", check_embedding_ctx_length=False, **more
        ).embed_query(QUESTION)
        with contextlib.suppress(openai.RateLimitError):
            ChatOpenAI(model="error-gpt-4.1", **more).invoke(QUESTION)


def otel_genai_langchain(url: str, sink: str) -> None:
    tracer = start_sdk()
    from opentelemetry.instrumentation.genai.langchain import LangChainInstrumentor

    LangChainInstrumentor().instrument()
    ask_langchain(url, tracer)


def openinference_langchain(url: str, sink: str) -> None:
    tracer = start_sdk()
    from openinference.instrumentation.langchain import LangChainInstrumentor

    LangChainInstrumentor().instrument()
    ask_langchain(url, tracer)


# OpenAI Agents --------------------------------------------------------------------------------------------


def ask_openai_agents(url: str, tracer: Any) -> None:
    """A tool over Responses, a hand-over to another agent over chat completions, a stream, a 429."""
    import agents
    import openai

    client = openai.AsyncOpenAI(base_url=f"{url}/v1", max_retries=0)
    find = agents.function_tool(find_order)
    by_responses: Any = agents.OpenAIResponsesModel("gpt-5", client)
    by_chat: Any = agents.OpenAIChatCompletionsModel("gpt-5-mini", client)
    clerk = agents.Agent(name="clerk", model=by_responses, tools=[find])
    courier = agents.Agent(name="courier", model=by_chat)
    desk = agents.Agent(name="desk", model=by_chat, handoffs=[courier])
    failing: Any = agents.OpenAIChatCompletionsModel("error-gpt-4.1", client)

    async def ask() -> None:
        with root_span(tracer):
            await agents.Runner.run(clerk, QUESTION)
            await agents.Runner.run(desk, QUESTION)
            stream = agents.Runner.run_streamed(clerk, QUESTION)
            async for _ in stream.stream_events():
                pass
            with contextlib.suppress(openai.RateLimitError):
                await agents.Runner.run(agents.Agent(name="failing", model=failing), QUESTION)

    asyncio.run(ask())


def otel_genai_openai_agents(url: str, sink: str) -> None:
    tracer = start_sdk()
    import agents
    from opentelemetry.instrumentation.genai.openai_agents import OpenAIAgentsInstrumentor

    agents.set_trace_processors([])  # the default one would send traces to the vendor
    OpenAIAgentsInstrumentor().instrument()
    ask_openai_agents(url, tracer)


def otel_genai_openai_agents_and_openai(url: str, sink: str) -> None:
    from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor

    OpenAIInstrumentor().instrument()
    otel_genai_openai_agents(url, sink)


# Pydantic AI, Google ADK ----------------------------------------------------------------------------------


def pydantic_ai(url: str, sink: str) -> None:
    """An agent with a tool on chat, one streamed on Responses, one called by another on Anthropic; a 429."""
    tracer = start_sdk()
    from pydantic_ai import Agent
    from pydantic_ai.exceptions import ModelHTTPError
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
    from pydantic_ai.providers.anthropic import AnthropicProvider
    from pydantic_ai.providers.openai import OpenAIProvider

    os.environ["ANTHROPIC_OPEN_TELEMETRY"] = "false"
    provider = OpenAIProvider(base_url=f"{url}/v1", api_key="sk-dummy")
    provider.client.max_retries = 0
    Agent.instrument_all()
    clerk = Agent(OpenAIChatModel("gpt-5-mini", provider=provider), name="clerk", tools=[find_order])
    reader = Agent(OpenAIResponsesModel("gpt-5", provider=provider), name="reader", tools=[find_order])
    claude = AnthropicModel("claude-opus-4-5", provider=AnthropicProvider(base_url=url, api_key="sk-dummy"))
    desk = Agent(claude, name="desk")

    @desk.tool_plain
    async def ask_clerk(order: str) -> str:
        return (await clerk.run(order)).output

    async def ask() -> None:
        with root_span(tracer):
            await clerk.run(QUESTION)
            async with reader.run_stream(QUESTION) as answer:
                await answer.get_output()
            await desk.run(QUESTION)
            failing = OpenAIChatModel("error-gpt-4.1", provider=provider)
            with contextlib.suppress(ModelHTTPError):
                await Agent(failing, name="failing").run(QUESTION)

    asyncio.run(ask())


def google_adk(url: str, sink: str) -> None:
    """An agent with a tool, plain and streamed; one that hands over to its sub-agent; a 429; on Gemini."""
    os.environ["GOOGLE_GEMINI_BASE_URL"] = url
    os.environ["GOOGLE_GENAI_USE_VERTEXAI"] = "0"
    tracer = start_sdk()
    from google.adk.agents import LlmAgent
    from google.adk.agents.run_config import RunConfig, StreamingMode
    from google.adk.runners import InMemoryRunner
    from google.genai import types

    stays: Any = {"disallow_transfer_to_parent": True, "disallow_transfer_to_peers": True}
    courier = LlmAgent(name="courier", model="gemini-2.5-flash", **stays)
    clerk = LlmAgent(name="clerk", model="gemini-2.5-flash", tools=[find_order])
    desk = LlmAgent(name="desk", model="gemini-2.5-pro", sub_agents=[courier])
    failing = LlmAgent(name="failing", model="gemini-error-2.5")

    async def run(agent: Any, mode: Any = StreamingMode.NONE) -> None:
        runner = InMemoryRunner(agent=agent, app_name="order_desk")
        session = await runner.session_service.create_session(app_name="order_desk", user_id="u1")
        question = types.Content(role="user", parts=[types.Part(text=QUESTION)])
        more: Any = {"session_id": session.id, "new_message": question}
        async for _ in runner.run_async(user_id="u1", run_config=RunConfig(streaming_mode=mode), **more):
            pass

    async def ask() -> None:
        with root_span(tracer):
            await run(clerk)
            await run(clerk.clone(), StreamingMode.SSE)
            await run(desk)
            with contextlib.suppress(Exception):
                await run(failing)

    asyncio.run(ask())


SCENARIOS: dict[str, Callable[[str, str], None]] = {
    scenario.__name__: scenario
    for scenario in (
        otel_genai_langchain,
        openinference_langchain,
        otel_genai_openai_agents,
        otel_genai_openai_agents_and_openai,
        pydantic_ai,
        google_adk,
    )
}
SCENARIOS["google_adk_1"] = google_adk  # the same with google-adk 1, whose spans differ
