"""An application that answers one request, with calls of two providers. Argument: URL of the provider."""

from __future__ import annotations

import sys
from typing import Any

import anthropic
import openai
from opentelemetry import trace

MESSAGES: list[Any] = [{"role": "user", "content": "Where is order A-1207?"}]


def main(url: str) -> None:
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="dummy", max_retries=0)
    client.chat.completions.create(model="gpt-4.1", messages=MESSAGES)
    options: Any = {"include_usage": True}
    for _ in client.chat.completions.create(
        model="gpt-5-mini", messages=MESSAGES, stream=True, stream_options=options
    ):
        pass
    client.embeddings.create(model="text-embedding-3-large", input=["Where is order A-1207?"])
    claude = anthropic.Anthropic(base_url=url, api_key="dummy", max_retries=0)
    more: Any = {"model": "claude-opus-4-5", "max_tokens": 800, "messages": MESSAGES}
    claude.messages.create(**more)
    for _ in claude.messages.create(stream=True, **more):
        pass


if __name__ == "__main__":
    # What the instrumentation of a web framework would have begun.
    with trace.get_tracer("order-desk").start_as_current_span("POST /ask"):
        main(sys.argv[1])
