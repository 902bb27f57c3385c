"""Ended spans of the SDK for tests and benchmarks: from captured OTLP bytes, or made by a tracer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, TracesData
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from wattspan.otlp.wire import is_own_key

CAPTURES = Path(__file__).parents[1] / "captures"
CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.output_tokens": 300,
}


def captured(data: bytes) -> list[ReadableSpan]:
    """The spans of an OTLP request as an SDK holds them when it exports."""
    spans = []
    for resource_spans in TracesData.FromString(data).resource_spans:
        resource = Resource(plain(resource_spans.resource.attributes))
        for scope_spans in resource_spans.scope_spans:
            scope = InstrumentationScope(
                scope_spans.scope.name,
                scope_spans.scope.version,
                scope_spans.schema_url,
                plain(scope_spans.scope.attributes),
            )
            spans += [_span(span, resource, scope) for span in scope_spans.spans]
    return spans


def _span(span: Span, resource: Resource, scope: InstrumentationScope) -> ReadableSpan:
    parent = None
    if span.parent_span_id:
        parent = _context(span.trace_id, span.parent_span_id)
    return ReadableSpan(
        name=span.name,
        context=_context(span.trace_id, span.span_id),
        parent=parent,
        resource=resource,
        attributes=BoundedAttributes(128, plain(span.attributes)),
        events=[Event(one.name, plain(one.attributes), one.time_unix_nano) for one in span.events],
        kind=SpanKind(max(span.kind - 1, 0)),
        status=Status(StatusCode(span.status.code), span.status.message or None),
        start_time=span.start_time_unix_nano,
        end_time=span.end_time_unix_nano,
        instrumentation_scope=scope,
    )


def _context(trace_id: bytes, span_id: bytes) -> SpanContext:
    trace, span = int.from_bytes(trace_id, "big"), int.from_bytes(span_id, "big")
    return SpanContext(trace, span, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def plain(attributes: Iterable[KeyValue]) -> dict[str, Any]:
    return {attribute.key: _plain(attribute.value) for attribute in attributes}


def _plain(value: AnyValue) -> Any:
    match value.WhichOneof("value"):
        case None:
            return None
        case "array_value":
            return tuple(_plain(one) for one in value.array_value.values)
        case "kvlist_value":
            return plain(value.kvlist_value.values)
        case kind:
            return getattr(value, kind)


def sent(spans: Sequence[ReadableSpan]) -> dict[bytes, Span]:
    """The spans by id, as the OTLP exporters send them."""
    return by_id(encode_spans(spans).SerializeToString())


def by_id(data: bytes) -> dict[bytes, Span]:
    return {
        span.span_id: span
        for resource_spans in TracesData.FromString(data).resource_spans
        for scope_spans in resource_spans.scope_spans
        for span in scope_spans.spans
    }


def ours(span: ReadableSpan | Span) -> dict[str, Any]:
    """Our attributes on a span."""
    attributes = plain(span.attributes) if isinstance(span, Span) else dict(span.attributes or {})
    return {key: value for key, value in attributes.items() if is_own_key(key)}


def made(*calls: dict[str, Any], name: str = "chat gpt-4o", **provider: Any) -> list[ReadableSpan]:
    """One span for each attribute dictionary, each in a trace of its own, as a tracer ends them."""
    memory = InMemorySpanExporter()
    tracer_provider = traced_to(memory, **provider)
    tracer = tracer_provider.get_tracer("shop.llm", "1.0")
    for attributes in calls:
        with tracer.start_as_current_span(name, kind=SpanKind.CLIENT) as span:
            span.set_attributes(attributes)
    return list(memory.get_finished_spans())


def traced_to(exporter: SpanExporter, **provider: Any) -> TracerProvider:
    provider.setdefault("resource", Resource({"service.name": "shop"}))
    tracer_provider = TracerProvider(shutdown_on_exit=False, **provider)
    tracer_provider.add_span_processor(SimpleSpanProcessor(exporter))
    return tracer_provider
