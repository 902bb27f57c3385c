"""Spans for the tests of this folder, and windows of them as the enricher makes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, TracesData

from wattspan import Estimator
from wattspan.otlp.enrich import Enriched, Enricher

CAPTURES = Path(__file__).parents[1] / "captures"
START_NS = 1_795_451_994_116_000_000
TRACE = "0" * 31 + "1"
CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.output_tokens": 300,
    "cloud.region": "us-east-1",
}


def chat(number: int, changes: dict[str, object] | None = None, *, parent: int = 0, status: int = 0) -> Span:
    """A chat call in us-east-1; a change to None takes the attribute away."""
    attributes = {**CHAT, "gen_ai.response.id": f"response-{number}", **(changes or {})}
    return Span(
        trace_id=bytes.fromhex(TRACE),
        span_id=number.to_bytes(8, "big"),
        parent_span_id=parent.to_bytes(8, "big") if parent else b"",
        name="chat gpt-4o",
        kind=Span.SPAN_KIND_CLIENT,
        start_time_unix_nano=START_NS + number,
        end_time_unix_nano=START_NS + number + 500_000_000,
        attributes=[
            KeyValue(key=key, value=_value(value)) for key, value in attributes.items() if value is not None
        ],
        status={"code": status},
    )


def message(spans: Sequence[Span]) -> bytes:
    data = TracesData()
    scope = data.resource_spans.add().scope_spans.add()
    scope.scope.name = "my.app"
    scope.spans.extend(spans)
    return data.SerializeToString()


def window(estimator: Estimator, *spans: Span) -> Enriched:
    (found,) = Enricher(estimator).protobuf([message(spans)])
    return found


def _value(value: object) -> AnyValue:
    if isinstance(value, str):
        return AnyValue(string_value=value)
    return AnyValue(int_value=value) if isinstance(value, int) else AnyValue(double_value=value)
