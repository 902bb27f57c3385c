"""A provider on loopback that answers as the real APIs do and keeps a ledger of what it served.

Usage is fixed per route and turn, the response id is new for each call, a model whose name contains
"error-" is answered 429. A request that offers tools and holds no tool result gets a tool call.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, NamedTuple
from urllib.parse import unquote, urlsplit

from aws_event_stream import encode_event
from ledger import Ledger, Usage

TEXT = "The order has shipped and arrives on Tuesday."


USAGE: dict[str, Usage] = {
    "chat.completions tool": Usage(327, output=51),
    "chat.completions": Usage(1203, 1024, output=398, reasoning=256),
    "chat.completions stream": Usage(655, 512, output=211, reasoning=128),
    "responses tool": Usage(903, 768, output=77, reasoning=32),
    "responses": Usage(2314, 1920, output=745, reasoning=512),
    "responses stream": Usage(2531, 2176, output=812, reasoning=576),
    "embeddings": Usage(41),
    "messages tool": Usage(7911, 6144, 1536, output=193),
    # Fewer tokens from the cache than fresh: the numbers do not prove whether input includes them.
    "messages": Usage(2385, 512, output=329),
    "messages stream": Usage(7802, 7680, output=344),
    "converse tool": Usage(599, 256, output=83),
    "converse": Usage(2519, 2048, 128, output=164),
    "converse stream": Usage(2470, 2048, output=233),
    "invoke": Usage(1911, 1024, output=142),
    "invoke stream": Usage(1733, 1024, output=158),
    "invoke embeddings": Usage(29),
    "gemini tool": Usage(512, output=85, reasoning=24),
    "gemini": Usage(3105, 2048, output=529, reasoning=342),
    "gemini stream": Usage(2880, 2048, output=610, reasoning=401),
    "gemini embeddings": Usage(23),
    "mistral tool": Usage(241, output=38),
    "mistral": Usage(377, output=121),
    "mistral stream": Usage(389, output=133),
    "cohere": Usage(301, output=92),
    "cohere stream": Usage(317, output=104),
    "cohere embeddings": Usage(19),
}
COHERE_UNBILLED_INPUT_TOKENS = 205  # Cohere bills the user's words, not the template around them
REFUSED = "is-refused"  # the "user" of a request that is answered 429, where the SDK checks model names
LEAVES_EARLY = "leaves-early"  # the "user" of a request whose client closes the stream before the usage came


def new_id(prefix: str) -> str:
    return f"{prefix}{uuid.uuid4().hex[:24]}"


def sse(events: list[dict[str, Any]], named: bool = False, done: bool = False) -> Iterator[bytes]:
    for event in events:
        head = f"event: {event['type']}\n" if named else ""
        yield f"{head}data: {json.dumps(event)}\n\n".encode()
    if done:
        yield b"data: [DONE]\n\n"


def words() -> list[str]:
    return [f"{word} " for word in TEXT.split()]


def wants_tool(body: dict[str, Any], result_marks: tuple[str, ...]) -> bool:
    """Whether tools are offered and no message carries a result yet."""
    tools = body.get("tools") or (body.get("toolConfig") or {}).get("tools")
    return bool(tools) and not any(mark in json.dumps(body) for mark in result_marks)


def tool_call(tools: list[dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    """The first tool that hands over or else the first one, with the arguments its schema asks for."""
    tools = [tool.get("function", tool.get("toolSpec", tool)) for tool in tools]
    if tools and "functionDeclarations" in tools[0]:
        tools = tools[0]["functionDeclarations"]
    chosen = next((tool for tool in tools if tool["name"].startswith("transfer_to")), tools[0])
    names = ("parameters", "input_schema", "inputSchema", "parametersJsonSchema", "parameters_json_schema")
    schema = next((chosen[key] for key in names if chosen.get(key)), {})
    schema = schema.get("json", schema)
    arguments = {
        key: (field.get("enum") or ["courier" if key == "agent_name" else "A-1207"])[0]
        for key, field in (schema.get("properties") or {}).items()
    }
    return chosen["name"], arguments


class Reply(NamedTuple):
    """A body, or the chunks of a stream, with its content type and further headers."""

    content: dict[str, Any] | list[bytes] | Iterator[bytes]
    content_type: str = "application/json"
    headers: dict[str, str] = {}  # noqa: RUF012


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    ledger: ClassVar[Ledger]

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)) or b"{}")
        path = unquote(urlsplit(self.path).path)
        time.sleep(0.004)
        model = body.get("model") or path.rsplit("/model/", 1)[-1].rsplit("/models/", 1)[-1]
        if "error-" in model or body.get("user") == REFUSED:
            self._too_many(path, model.split("/")[0].split(":generate")[0].split(":stream")[0], body)
            return
        reply = self._route(path, body)
        if reply is None:
            self._send(404, Reply({"error": {"message": f"no route for {path}"}}))
            return
        self._send(200, reply)

    def _route(self, path: str, body: dict[str, Any]) -> Reply | None:
        if path.startswith("/mistral/"):
            return self._mistral(path, body)
        if "/model/" in path:
            _, _, rest = path.partition("/model/")
            model, _, action = rest.rpartition("/")
            return self._bedrock(model, action, body)
        if "/models/" in path and ":" in path:
            _, _, rest = path.partition("/models/")
            model, _, action = rest.rpartition(":")
            return self._gemini(model, action, body)
        routes = {
            "/v1/chat/completions": self._chat,
            "/v1/responses": self._responses,
            "/v1/embeddings": self._embeddings,
            "/v1/messages": self._messages,
            "/v2/chat": self._cohere_chat,
            "/v2/embed": self._cohere_embed,
        }
        return routes[path](body) if path in routes else None

    def _send(self, status: int, reply: Reply) -> None:
        self.send_response(status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Connection", "close")
        for key, value in reply.headers.items():
            self.send_header(key, value)
        if isinstance(reply.content, dict):
            data = json.dumps(reply.content).encode()
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
        else:
            self.end_headers()
            for chunk in reply.content:
                self.wfile.write(chunk)
                self.wfile.flush()
                time.sleep(0.001)
        self.close_connection = True

    def _too_many(self, path: str, model: str, body: dict[str, Any]) -> None:
        stream = bool(body.get("stream")) or "stream" in path
        self.ledger.add(path.rsplit("/", 1)[-1].rsplit(":", 1)[-1], model, stream, None, False)
        message = "Rate limit reached"
        error = {"message": message, "type": "rate_limit_error", "code": 429, "status": "RESOURCE_EXHAUSTED"}
        headers = {"x-amzn-errortype": "ThrottlingException"} if "/model/" in path else {}
        content = {"type": "error", "error": error, "message": message}
        self._send(429, Reply(content, headers=headers))

    def _served(self, route: str, kind: str, model: str, stream: bool, reported: bool = True) -> Usage:
        usage = USAGE[f"{route} {kind}".strip()]
        self.ledger.add(route, model, stream, usage, reported)
        return usage

    # OpenAI -----------------------------------------------------------------------------------------------

    def _chat(self, body: dict[str, Any]) -> Reply:
        model, stream = body["model"], bool(body.get("stream"))
        told = not stream or bool((body.get("stream_options") or {}).get("include_usage"))
        if body.get("user") == LEAVES_EARLY:
            told = False
        tool = wants_tool(body, ('"role": "tool"',))
        kind = "tool" if tool else "stream" if stream else ""
        usage = self._served("chat.completions", kind, model, stream, told)
        return self._chat_reply(body, usage, tool, told)

    def _chat_reply(self, body: dict[str, Any], usage: Usage, tool: bool, told: bool) -> Reply:
        message: dict[str, Any] = {"role": "assistant", "content": TEXT}
        if tool:
            name, arguments = tool_call(body["tools"])
            function = {"name": name, "arguments": json.dumps(arguments)}
            call = {"id": new_id("call_")[:9], "type": "function", "function": function}
            message = {"role": "assistant", "content": None, "tool_calls": [call]}
        finish = "tool_calls" if tool else "stop"
        counts = {
            "prompt_tokens": usage.input,
            "completion_tokens": usage.output,
            "total_tokens": usage.input + usage.output,
            "prompt_tokens_details": {"cached_tokens": usage.cache_read, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": usage.reasoning, "audio_tokens": 0},
        }
        head = {"id": new_id("chatcmpl-"), "created": int(time.time()), "model": body["model"]}
        if not body.get("stream"):
            choice = {"index": 0, "message": message, "finish_reason": finish, "logprobs": None}
            return Reply({**head, "object": "chat.completion", "choices": [choice], "usage": counts})
        head["object"] = "chat.completion.chunk"
        if tool:
            deltas = [{"role": "assistant", "content": None, "tool_calls": [{"index": 0, **call}]}]
        else:
            deltas = [{"role": "assistant", "content": ""}, *({"content": word} for word in words())]
        choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
        choices.append({"index": 0, "delta": {}, "finish_reason": finish})
        chunks = [{**head, "choices": [choice]} for choice in choices]
        if told:
            chunks.append({**head, "choices": [], "usage": counts})
        if body.get("user") == LEAVES_EARLY:
            return Reply(self._until_client_leaves(chunks[:2]), "text/event-stream")
        return Reply(sse(chunks, done=True), "text/event-stream")

    def _until_client_leaves(self, chunks: list[dict[str, Any]]) -> Iterator[bytes]:
        yield from sse(chunks)
        self.connection.settimeout(5)
        self.connection.recv(1)

    def _responses(self, body: dict[str, Any]) -> Reply:
        model, stream = body["model"], bool(body.get("stream"))
        tool = wants_tool(body, ("function_call_output",))
        usage = self._served("responses", "tool" if tool else "stream" if stream else "", model, stream)
        if tool:
            name, arguments = tool_call([t for t in body["tools"] if t.get("type") == "function"])
            item: dict[str, Any] = {
                "type": "function_call",
                "id": new_id("fc_"),
                "call_id": new_id("call_"),
                "name": name,
                "arguments": json.dumps(arguments),
                "status": "completed",
            }
        else:
            content = [{"type": "output_text", "text": TEXT, "annotations": [], "logprobs": []}]
            item = {"type": "message", "id": new_id("msg_"), "role": "assistant", "status": "completed"}
            item["content"] = content
        response: dict[str, Any] = {
            "id": new_id("resp_"),
            "object": "response",
            "created_at": int(time.time()),
            "model": model,
            "status": "completed",
            "output": [item],
            "tools": [],
            "tool_choice": "auto",
            "parallel_tool_calls": True,
            "reasoning": {"effort": "medium", "summary": None},
            "service_tier": "default",
            "usage": {
                "input_tokens": usage.input,
                "input_tokens_details": {"cached_tokens": usage.cache_read, "cache_write_tokens": 0},
                "output_tokens": usage.output,
                "output_tokens_details": {"reasoning_tokens": usage.reasoning},
                "total_tokens": usage.input + usage.output,
            },
        }
        if not stream:
            return Reply(response)
        return Reply(sse(self._response_events(response, item, tool), named=True), "text/event-stream")

    def _response_events(
        self, response: dict[str, Any], item: dict[str, Any], tool: bool
    ) -> list[dict[str, Any]]:
        started = {**response, "status": "in_progress", "output": [], "usage": None}
        at = {"item_id": item["id"], "output_index": 0}
        events: list[dict[str, Any]] = [{"type": "response.created", "response": started}]
        opened = {**item, "status": "in_progress", **({"arguments": ""} if tool else {"content": []})}
        events.append({"type": "response.output_item.added", "output_index": 0, "item": opened})
        if tool:
            arguments = item["arguments"]
            events.append({"type": "response.function_call_arguments.delta", **at, "delta": arguments})
            done = {"type": "response.function_call_arguments.done", **at, "arguments": arguments}
            events.append({**done, "name": item["name"]})
        else:
            at = {**at, "content_index": 0}
            empty = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
            events.append({"type": "response.content_part.added", **at, "part": empty})
            delta = {"type": "response.output_text.delta", **at, "logprobs": []}
            events += [{**delta, "delta": word} for word in words()]
            events.append({"type": "response.output_text.done", **at, "text": TEXT, "logprobs": []})
            events.append({"type": "response.content_part.done", **at, "part": item["content"][0]})
        events.append({"type": "response.output_item.done", "output_index": 0, "item": item})
        events.append({"type": "response.completed", "response": response})
        return [{**event, "sequence_number": number} for number, event in enumerate(events)]

    def _embeddings(self, body: dict[str, Any]) -> Reply:
        usage = self._served("embeddings", "", body["model"], False)
        count = len(body["input"]) if isinstance(body["input"], list) else 1
        vector: list[float] | str = [0.5, -0.25, 0.125, 0.0]
        if body.get("encoding_format") == "base64":
            vector = "AAAAPwAAgL4AAAA+AAAAAA=="
        data = [{"object": "embedding", "index": index, "embedding": vector} for index in range(count)]
        counts = {"prompt_tokens": usage.input, "total_tokens": usage.input}
        head = {"id": new_id("emb_"), "object": "list", "model": body["model"]}
        return Reply({**head, "data": data, "usage": counts})

    # Anthropic --------------------------------------------------------------------------------------------

    def _messages(self, body: dict[str, Any]) -> Reply:
        model, stream = body["model"], bool(body.get("stream"))
        tool = wants_tool(body, ('"type": "tool_result"',))
        usage = self._served("messages", "tool" if tool else "stream" if stream else "", model, stream)
        return self._messages_reply(body, model, usage, tool, stream)

    def _messages_reply(
        self, body: dict[str, Any], model: str, usage: Usage, tool: bool, stream: bool
    ) -> Reply:
        block: dict[str, Any] = {"type": "text", "text": TEXT}
        if tool:
            name, arguments = tool_call(body["tools"])
            block = {"type": "tool_use", "id": new_id("toolu_"), "name": name, "input": arguments}
        counts = {
            "input_tokens": usage.fresh,
            "cache_creation_input_tokens": usage.cache_write,
            "cache_read_input_tokens": usage.cache_read,
            "cache_creation": {
                "ephemeral_5m_input_tokens": usage.cache_write,
                "ephemeral_1h_input_tokens": 0,
            },
            "output_tokens": usage.output,
            "service_tier": "standard",
            "inference_geo": "us",
        }
        message = {
            "id": new_id("msg_"),
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": [block],
            "stop_reason": "tool_use" if tool else "end_turn",
            "stop_sequence": None,
            "usage": counts,
        }
        if not stream:
            return Reply(message)
        return Reply(sse(anthropic_events(message, block), named=True), "text/event-stream")

    # Bedrock ----------------------------------------------------------------------------------------------

    def _bedrock(self, model: str, action: str, body: dict[str, Any]) -> Reply | None:
        stream = action.endswith("stream")
        if action in ("converse", "converse-stream"):
            return self._converse(model, body, stream)
        if "embed" in model:
            usage = self._served("invoke", "embeddings", model, False)
            headers = {"x-amzn-bedrock-input-token-count": str(usage.input)}
            return Reply(
                {"embedding": [0.5, -0.25], "inputTextTokenCount": usage.input},
                headers={**headers, "x-amzn-requestid": str(uuid.uuid4())},
            )
        usage = self._served("invoke", "stream" if stream else "", model, stream)
        own_model = model.rsplit(".", 1)[-1].split("-20", 1)[0]
        if not stream:
            headers = {
                "x-amzn-requestid": str(uuid.uuid4()),
                "x-amzn-bedrock-input-token-count": str(usage.fresh),
                "x-amzn-bedrock-output-token-count": str(usage.output),
                "x-amzn-bedrock-cache-read-input-token-count": str(usage.cache_read),
                "x-amzn-bedrock-cache-write-input-token-count": str(usage.cache_write),
            }
            return self._messages_reply(body, own_model, usage, False, False)._replace(headers=headers)
        message = self._messages_reply(body, own_model, usage, False, False).content
        assert isinstance(message, dict)
        events = anthropic_events(message, message["content"][0])
        events[-1]["amazon-bedrock-invocationMetrics"] = {
            "inputTokenCount": usage.fresh,
            "outputTokenCount": usage.output,
            "cacheReadInputTokenCount": usage.cache_read,
            "cacheWriteInputTokenCount": usage.cache_write,
            "invocationLatency": 41,
            "firstByteLatency": 12,
        }
        chunks = [encode_event("chunk", event, is_bytes=True) for event in events]
        headers = {"x-amzn-requestid": str(uuid.uuid4())}
        return Reply(chunks, "application/vnd.amazon.eventstream", headers)

    def _converse(self, model: str, body: dict[str, Any], stream: bool) -> Reply:
        tool = wants_tool(body, ('"toolResult"',))
        usage = self._served("converse", "tool" if tool else "stream" if stream else "", model, stream)
        counts = {
            "inputTokens": usage.fresh,
            "outputTokens": usage.output,
            "totalTokens": usage.input + usage.output,
            "cacheReadInputTokens": usage.cache_read,
            "cacheWriteInputTokens": usage.cache_write,
        }
        stop, tool_id = "tool_use" if tool else "end_turn", new_id("tooluse_")
        name, arguments = tool_call(body["toolConfig"]["tools"]) if tool else ("", {})
        headers = {"x-amzn-requestid": str(uuid.uuid4())}
        if not stream:
            use = {"toolUse": {"toolUseId": tool_id, "name": name, "input": arguments}}
            message = {"role": "assistant", "content": [use if tool else {"text": TEXT}]}
            metrics = {"latencyMs": 41}
            output = {"output": {"message": message}, "stopReason": stop, "usage": counts, "metrics": metrics}
            return Reply(output, headers=headers)
        events: list[tuple[str, dict[str, Any]]] = [("messageStart", {"role": "assistant"})]
        if tool:
            start = {"toolUse": {"toolUseId": tool_id, "name": name}}
            events.append(("contentBlockStart", {"contentBlockIndex": 0, "start": start}))
            deltas: list[dict[str, Any]] = [{"toolUse": {"input": json.dumps(arguments)}}]
        else:
            deltas = [{"text": word} for word in words()]
        events += [("contentBlockDelta", {"contentBlockIndex": 0, "delta": delta}) for delta in deltas]
        events.append(("contentBlockStop", {"contentBlockIndex": 0}))
        events.append(("messageStop", {"stopReason": stop}))
        events.append(("metadata", {"usage": counts, "metrics": {"latencyMs": 41}}))
        chunks = [encode_event(kind, event) for kind, event in events]
        return Reply(chunks, "application/vnd.amazon.eventstream", headers)

    # Gemini, Mistral, Cohere ------------------------------------------------------------------------------

    def _gemini(self, model: str, action: str, body: dict[str, Any]) -> Reply | None:
        if "mbedContent" in action:
            requests = body.get("requests") or [body]
            self._served("gemini", "embeddings", model, False, reported=False)
            vectors = [{"values": [0.5, -0.25]} for _ in requests]
            return Reply({"embeddings": vectors} if "batch" in action else {"embedding": vectors[0]})
        stream, tool = action.startswith("stream"), wants_tool(body, ("functionResponse",))
        usage = self._served("gemini", "tool" if tool else "stream" if stream else "", model, stream)
        counts = {
            "promptTokenCount": usage.input,
            "candidatesTokenCount": usage.output - usage.reasoning,
            "thoughtsTokenCount": usage.reasoning,
            "totalTokenCount": usage.input + usage.output,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": usage.input}],
        }
        if usage.cache_read:
            counts["cachedContentTokenCount"] = usage.cache_read
        head = {"modelVersion": model, "responseId": new_id("")}
        if tool:
            name, arguments = tool_call(body["tools"])
            parts: list[dict[str, Any]] = [{"functionCall": {"name": name, "args": arguments}}]
        else:
            parts = [{"text": word} for word in words()] if stream else [{"text": TEXT}]
        chunks = [
            {"candidates": [{"content": {"role": "model", "parts": [part]}, "index": 0}], **head}
            for part in parts
        ]
        chunks[-1]["candidates"][0]["finishReason"] = "STOP"
        chunks[-1]["usageMetadata"] = counts
        if stream:
            return Reply(sse(chunks), "text/event-stream")
        return Reply(chunks[0])

    def _mistral(self, path: str, body: dict[str, Any]) -> Reply | None:
        if path.endswith("/embeddings"):
            return self._embeddings(body)
        stream, tool = bool(body.get("stream")), wants_tool(body, ('"role": "tool"',))
        kind = "tool" if tool else "stream" if stream else ""
        usage = self._served("mistral", kind, body["model"], stream)
        return self._chat_reply(body, usage, tool, True)

    def _cohere_chat(self, body: dict[str, Any]) -> Reply:
        stream = bool(body.get("stream"))
        usage = self._served("cohere", "stream" if stream else "", body["model"], stream)
        counts = {
            "billed_units": {
                "input_tokens": usage.input - COHERE_UNBILLED_INPUT_TOKENS,
                "output_tokens": usage.output,
            },
            "tokens": {"input_tokens": usage.input, "output_tokens": usage.output},
        }
        own_id = str(uuid.uuid4())
        if not stream:
            message = {"role": "assistant", "content": [{"type": "text", "text": TEXT}]}
            return Reply({"id": own_id, "finish_reason": "COMPLETE", "message": message, "usage": counts})
        empty = {"type": "text", "text": ""}
        start = {"message": {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": []}}
        events: list[dict[str, Any]] = [{"type": "message-start", "id": own_id, "delta": start}]
        opened = {"type": "content-start", "index": 0, "delta": {"message": {"content": empty}}}
        events.append(opened)
        events += [
            {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": word}}}}
            for word in words()
        ]
        events.append({"type": "content-end", "index": 0})
        end = {"finish_reason": "COMPLETE", "usage": counts}
        events.append({"type": "message-end", "id": own_id, "delta": end})
        return Reply(sse(events, named=True), "text/event-stream")

    def _cohere_embed(self, body: dict[str, Any]) -> Reply:
        usage = self._served("cohere", "embeddings", body["model"], False)
        meta = {"api_version": {"version": "2"}, "billed_units": {"input_tokens": usage.input}}
        texts = body.get("texts") or []
        embeddings = {"float": [[0.5, -0.25] for _ in texts]}
        return Reply({"id": str(uuid.uuid4()), "embeddings": embeddings, "texts": texts, "meta": meta})


def anthropic_events(message: dict[str, Any], block: dict[str, Any]) -> list[dict[str, Any]]:
    """The server-sent events of a streamed message; input usage comes first, output usage last."""
    usage = message["usage"]
    opened = {**message, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": opened}]
    if block["type"] == "tool_use":
        start: dict[str, Any] = {**block, "input": {}}
        deltas = [{"type": "input_json_delta", "partial_json": json.dumps(block["input"])}]
    else:
        start = {"type": "text", "text": ""}
        deltas = [{"type": "text_delta", "text": word} for word in words()]
    events.append({"type": "content_block_start", "index": 0, "content_block": start})
    events += [{"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas]
    events.append({"type": "content_block_stop", "index": 0})
    stop = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    counted = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")
    last = {key: usage[key] for key in counted}
    events.append({"type": "message_delta", "delta": stop, "usage": last})
    events.append({"type": "message_stop"})
    return events


class FakeProvider:
    """The provider as a context manager: `url` to call, `ledger` for what it served."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        handler = type("LedgerHandler", (Handler,), {"ledger": self.ledger})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> FakeProvider:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *args: object) -> None:
        self._server.shutdown()


if __name__ == "__main__":
    # For an application of another language: prints the URL, and the truth once standard input closes.
    import sys

    with FakeProvider() as provider:
        print(provider.url, flush=True)
        sys.stdin.read()
        print(json.dumps(provider.ledger.truth(), indent=1))
