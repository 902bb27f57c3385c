"""Spans for the tests of this folder, made with opentelemetry-proto, and how to read enriched ones."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, TracesData

from wattspan.otlp.wire import is_own_key

CAPTURES = Path(__file__).parents[1] / "captures"
START_NS = 1_795_451_994_116_000_000
CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.output_tokens": 300,
}


def any_value(value: Any) -> AnyValue:
    kind = {str: "string_value", bool: "bool_value", int: "int_value", float: "double_value"}
    if isinstance(value, AnyValue):
        return value
    return AnyValue(**{kind[type(value)]: value})


def span(number: int, attributes: dict[str, Any], *, trace: int = 1, parent: int = 0, **fields: Any) -> Span:
    return Span(
        trace_id=trace.to_bytes(16, "big"),
        span_id=number.to_bytes(8, "big"),
        parent_span_id=parent.to_bytes(8, "big") if parent else b"",
        name=fields.pop("name", "chat gpt-4o"),
        kind=fields.pop("kind", Span.SPAN_KIND_CLIENT),
        start_time_unix_nano=fields.pop("start", START_NS + number * 1_000_000),
        end_time_unix_nano=fields.pop("end", START_NS + number * 1_000_000 + 500_000),
        attributes=[KeyValue(key=key, value=any_value(value)) for key, value in attributes.items()],
        **fields,
    )


def chat(number: int, **changes: Any) -> Span:
    """A chat span whose response id is its own; `changes` with dots written as two underscores."""
    own = {key.replace("__", "."): value for key, value in changes.items() if "__" in key}
    rest = {key: value for key, value in changes.items() if "__" not in key}
    attributes = {**CHAT, "gen_ai.response.id": f"resp-{number}", **own}
    return span(number, {key: value for key, value in attributes.items() if value is not None}, **rest)


def traces(spans: Iterable[Span], scope: str = "my.app") -> TracesData:
    data = TracesData()
    resource = data.resource_spans.add()
    resource.resource.attributes.append(KeyValue(key="service.name", value=any_value("shop")))
    inner = resource.scope_spans.add()
    inner.scope.name = scope
    inner.spans.extend(spans)
    return data


def spans_of(data: TracesData | bytes) -> list[Span]:
    message = TracesData.FromString(data) if isinstance(data, bytes) else data
    return [s for resource in message.resource_spans for scope in resource.scope_spans for s in scope.spans]


def own(one: Span) -> dict[str, Any]:
    """Our attributes on a span; a key that is there twice fails."""
    found: dict[str, Any] = {}
    for attribute in one.attributes:
        if is_own_key(attribute.key):
            assert attribute.key not in found, f"{attribute.key} is there twice"
            found[attribute.key] = getattr(attribute.value, str(attribute.value.WhichOneof("value")))
    return found


def without_own(data: bytes) -> TracesData:
    """The message with our attributes taken out."""
    message = TracesData.FromString(data)
    for one in spans_of(message):
        kept = [attribute for attribute in one.attributes if not is_own_key(attribute.key)]
        del one.attributes[:]
        one.attributes.extend(kept)
    return message


def as_otlp_json(message: TracesData, indent: int | None = None) -> bytes:
    """The message in OTLP's JSON: ids in hexadecimal, enums as numbers."""
    content = json_format.MessageToDict(message, use_integers_for_enums=True)
    for holder in _with_ids(content):
        for key in ("traceId", "spanId", "parentSpanId"):
            if key in holder:
                holder[key] = base64.b64decode(holder[key]).hex()
    separators = None if indent else (",", ":")
    return json.dumps(content, indent=indent, separators=separators, ensure_ascii=False).encode()


def from_otlp_json(text: bytes) -> TracesData:
    """The message of a JSON text, or of several lines of it."""
    message = TracesData()
    decoder = json.JSONDecoder()
    rest = text.decode().lstrip("\ufeff")
    while rest := rest.lstrip():
        content, end = decoder.raw_decode(rest)
        rest = rest[end:]
        for holder in _with_ids(content):
            for key in ("traceId", "spanId", "parentSpanId"):
                if key in holder:
                    holder[key] = base64.b64encode(bytes.fromhex(holder[key])).decode()
        part = json_format.ParseDict(content, TracesData(), ignore_unknown_fields=True)
        message.resource_spans.extend(part.resource_spans)
    return message


def _with_ids(content: Any) -> Iterable[dict[str, Any]]:
    for resource in content.get("resourceSpans", []):
        for scope in resource.get("scopeSpans", []):
            for one in scope.get("spans", []):
                yield one
                yield from one.get("links", [])
