"""Applications of further frameworks, each with a tracer of its own or one made for it."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from typing import Any

from apps import QUESTION, root_span, start_sdk
from apps_agents import find_order


def openinference_llama_index(url: str, sink: str) -> None:
    """A chat, a stream, an agent with a tool, a query over an index with embeddings, a 429."""
    tracer = start_sdk()
    import openai
    from llama_index.core import Document, Settings, VectorStoreIndex
    from llama_index.core.agent.workflow import FunctionAgent
    from llama_index.core.llms import ChatMessage
    from llama_index.embeddings.openai import OpenAIEmbedding
    from llama_index.llms.openai import OpenAI
    from openinference.instrumentation.llama_index import LlamaIndexInstrumentor

    LlamaIndexInstrumentor().instrument()
    more: Any = {"api_base": f"{url}/v1", "max_retries": 0}
    Settings.llm = OpenAI(model="gpt-4o-mini", **more)
    Settings.embed_model = OpenAIEmbedding(model="text-embedding-3-small", **more)
    agent = FunctionAgent(tools=[find_order], llm=Settings.llm, streaming=False)

    async def run_agent() -> None:
        await agent.run(QUESTION)

    with root_span(tracer):
        Settings.llm.chat([ChatMessage(QUESTION)])
        for _ in Settings.llm.stream_chat([ChatMessage(QUESTION)]):
            pass
        asyncio.run(run_agent())
        index = VectorStoreIndex.from_documents([Document(text="Order A-1207 has shipped.")])
        index.as_query_engine().query(QUESTION)
        with contextlib.suppress(openai.RateLimitError):
            OpenAI(model="gpt-4o", additional_kwargs={"user": "is-refused"}, **more).complete(QUESTION)


def openinference_haystack(url: str, sink: str) -> None:
    """A pipeline of a prompt and a generator, an agent with a tool, an embedder, a 429."""
    tracer = start_sdk()
    from haystack import Pipeline
    from haystack.components.agents import Agent
    from haystack.components.builders import ChatPromptBuilder
    from haystack.components.embedders import OpenAITextEmbedder
    from haystack.components.generators.chat import OpenAIChatGenerator
    from haystack.dataclasses import ChatMessage
    from haystack.tools import create_tool_from_function
    from openinference.instrumentation.haystack import HaystackInstrumentor

    HaystackInstrumentor().instrument()
    more: Any = {"api_base_url": f"{url}/v1", "max_retries": 0}
    with root_span(tracer):
        pipeline = Pipeline()
        template = [ChatMessage.from_user("{{question}}")]
        pipeline.add_component("prompt", ChatPromptBuilder(template=template, required_variables="*"))
        pipeline.add_component("llm", OpenAIChatGenerator(model="gpt-4.1", **more))
        pipeline.connect("prompt.prompt", "llm.messages")
        pipeline.run({"prompt": {"question": QUESTION}})
        generator = OpenAIChatGenerator(model="gpt-5-mini", **more)
        agent = Agent(chat_generator=generator, tools=[create_tool_from_function(find_order)])
        agent.run(messages=[ChatMessage.from_user(QUESTION)])
        OpenAITextEmbedder(model="text-embedding-3-small", **more).run(QUESTION)
        with contextlib.suppress(Exception):
            OpenAIChatGenerator(model="error-gpt-4.1", **more).run([ChatMessage.from_user(QUESTION)])


def openinference_smolagents(url: str, sink: str) -> None:
    """An agent that calls tools, and one under a manager."""
    tracer = start_sdk()
    from openinference.instrumentation.smolagents import SmolagentsInstrumentor
    from smolagents import OpenAIModel, ToolCallingAgent, tool

    SmolagentsInstrumentor().instrument()

    @tool
    def find_the_order(order: str) -> str:
        """Find an order.

        Args:
            order: its number
        """
        return f"{order} has shipped"

    model = OpenAIModel(
        model_id="gpt-4.1", api_base=f"{url}/v1", api_key="dummy", client_kwargs={"max_retries": 0}
    )
    with root_span(tracer):
        clerk = ToolCallingAgent(tools=[find_the_order], model=model, max_steps=2, verbosity_level=0)
        clerk.run(QUESTION)


def ask_crewai(url: str, tracer: Any) -> None:
    """A crew of two agents, one with a tool."""
    from crewai import LLM, Agent, Crew, Task
    from crewai.tools import tool

    @tool("find_order")
    def find_the_order(order: str) -> str:
        """Find an order by its number."""
        return f"{order} has shipped"

    llm = LLM(model="openai/gpt-4.1", base_url=f"{url}/v1", api_key="dummy")
    more: Any = {"llm": llm, "verbose": False, "backstory": "Works at the order desk."}
    clerk = Agent(role="clerk", goal="Find orders", tools=[find_the_order], **more)
    writer = Agent(role="writer", goal="Answer customers", **more)
    found = Task(description=QUESTION, expected_output="its state", agent=clerk)
    answer = Task(description="Answer the customer", expected_output="a letter", agent=writer)
    with root_span(tracer):
        Crew(agents=[clerk, writer], tasks=[found, answer], verbose=False).kickoff()


def openinference_crewai(url: str, sink: str) -> None:
    tracer = start_sdk()
    from openinference.instrumentation.crewai import CrewAIInstrumentor

    CrewAIInstrumentor().instrument()
    ask_crewai(url, tracer)


def openinference_crewai_and_openai(url: str, sink: str) -> None:
    from openinference.instrumentation.openai import OpenAIInstrumentor

    OpenAIInstrumentor().instrument()
    openinference_crewai(url, sink)


def traceloop_crewai(url: str, sink: str) -> None:
    tracer = start_sdk()
    from opentelemetry.instrumentation.crewai import CrewAIInstrumentor

    CrewAIInstrumentor().instrument()
    ask_crewai(url, tracer)


def ask_litellm(url: str, sink: str, root: Callable[[Any], Any]) -> None:
    """The otel callback: OpenAI and Anthropic, plain, tools and streams, Responses, embeddings, a 429."""
    os.environ["OTEL_EXPORTER"] = "otlp_http"
    os.environ["OTEL_ENDPOINT"] = sink
    tracer = start_sdk()
    import litellm

    litellm.callbacks = ["otel"]
    function = {"name": "find_order", "parameters": {"type": "object", "properties": {"order": {}}}}
    tools: Any = [{"type": "function", "function": function}]
    messages: Any = [{"role": "user", "content": QUESTION}]
    by_openai: Any = {"api_base": f"{url}/v1", "num_retries": 0, "max_retries": 0}
    by_anthropic: Any = {"model": "anthropic/claude-opus-4-5", "api_base": url, "num_retries": 0}
    answer: Any = {"model": "openai/gpt-5-mini", "messages": messages, **by_openai}

    async def ask() -> None:
        with root(tracer):
            await litellm.acompletion(**answer, tools=tools)
            async for _ in await litellm.acompletion(
                **answer, stream=True, stream_options={"include_usage": True}
            ):
                pass
            async for _ in await litellm.acompletion(**answer, stream=True):
                pass
            await litellm.acompletion(messages=messages, tools=tools, **by_anthropic)
            async for _ in await litellm.acompletion(messages=messages, stream=True, **by_anthropic):
                pass
            await litellm.aresponses(model="openai/gpt-5", input=QUESTION, **by_openai)
            await litellm.aembedding(model="openai/text-embedding-3-small", input=[QUESTION], **by_openai)
            with contextlib.suppress(litellm.RateLimitError):
                await litellm.acompletion(**{**answer, "model": "openai/error-gpt-4.1"})
        await asyncio.sleep(2)  # the callbacks run after the calls

    asyncio.run(ask())


def litellm_streams(url: str, sink: str) -> None:
    ask_litellm(url, sink, contextlib.nullcontext)


def litellm_under_a_span(url: str, sink: str) -> None:
    """Here the callback writes on the application's own span, each call over the one before."""
    ask_litellm(url, sink, root_span)


def litellm_request_spans(url: str, sink: str) -> None:
    os.environ["USE_OTEL_LITELLM_REQUEST_SPAN"] = "true"
    ask_litellm(url, sink, root_span)


def agent_framework(url: str, sink: str) -> None:
    """An agent with a tool, run and streamed; a 429; the framework's own spans."""
    tracer = start_sdk()
    import openai
    from agent_framework import Agent
    from agent_framework.observability import enable_instrumentation
    from agent_framework.openai import OpenAIChatClient, OpenAIChatCompletionClient

    enable_instrumentation()

    async def ask() -> None:
        client = openai.AsyncOpenAI(base_url=f"{url}/v1", max_retries=0)
        by_chat = OpenAIChatCompletionClient(model="gpt-4.1", async_client=client)
        by_responses = OpenAIChatClient(model="gpt-5", async_client=client)
        with root_span(tracer):
            await Agent(by_chat, name="clerk", tools=[find_order]).run(QUESTION)
            async for _ in Agent(by_responses, name="reader", tools=[find_order]).run(QUESTION, stream=True):
                pass
            failing = OpenAIChatCompletionClient(model="error-gpt-4.1", async_client=client)
            with contextlib.suppress(Exception):
                await Agent(failing, name="failing").run(QUESTION)

    asyncio.run(ask())


SCENARIOS: dict[str, Callable[[str, str], None]] = {
    scenario.__name__: scenario
    for scenario in (
        openinference_llama_index,
        openinference_haystack,
        openinference_smolagents,
        openinference_crewai,
        openinference_crewai_and_openai,
        traceloop_crewai,
        litellm_streams,
        litellm_under_a_span,
        litellm_request_spans,
        agent_framework,
    )
}
