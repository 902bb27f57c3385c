"""The one call that every neighbour passes on, and what must be on its span when it arrives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

import wattspan

ATTRIBUTES: Final[dict[str, str | int]] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.output_tokens": 300,
}


@dataclass(frozen=True)
class Ids:
    """Ids of the two spans; stores keep those of different traces apart, so each trace has its own."""

    number: int = 1

    @property
    def trace(self) -> bytes:
        return bytes([self.number]) * 16

    @property
    def root(self) -> bytes:
        return b"root-%03d" % self.number

    @property
    def call(self) -> bytes:
        return b"call-%03d" % self.number


FIRST: Final = Ids()


def request(ids: Ids = FIRST) -> bytes:
    """`POST /ask` with its one chat call, as OTLP."""
    message = ExportTraceServiceRequest()
    resource = message.resource_spans.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "shop"
    scope = resource.scope_spans.add()
    scope.scope.name = "shop.llm"
    start_ns = 1_795_000_000 * 10**9
    root = scope.spans.add(name="POST /ask", kind=Span.SPAN_KIND_SERVER, span_id=ids.root)
    call = scope.spans.add(name="chat gpt-4o", kind=Span.SPAN_KIND_CLIENT, span_id=ids.call)
    call.parent_span_id = ids.root
    for span in (root, call):
        span.trace_id = ids.trace
        span.start_time_unix_nano, span.end_time_unix_nano = start_ns, start_ns + 2 * 10**9
    for key, value in ATTRIBUTES.items():
        attribute = call.attributes.add(key=key)
        if isinstance(value, str):
            attribute.value.string_value = value
        else:
            attribute.value.int_value = value
    return message.SerializeToString()


def attributes_of(span: Span) -> dict[str, Any]:
    """Attributes by key; none twice."""
    keys = [attribute.key for attribute in span.attributes]
    assert len(keys) == len(set(keys))
    return {attribute.key: _plain(attribute.value) for attribute in span.attributes}


def _plain(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    assert kind in ("string_value", "int_value", "double_value", "bool_value"), kind
    return getattr(value, kind)


def assert_estimated(attributes: dict[str, Any], *, profile: str = "genai") -> None:
    """The call came with what it was sent with, and with the figures of `wattspan.estimate()`."""
    expected = wattspan.estimate(model="gpt-4o", provider="openai", input_tokens=1000, output_tokens=300)
    prefix = {"genai": "gen_ai.usage.", "wattspan": "wattspan."}[profile]
    assert {key: attributes[key] for key in ATTRIBUTES} == ATTRIBUTES
    assert attributes[prefix + "energy_kwh"] == pytest.approx(expected.energy_kwh, rel=1e-12)
    assert attributes[prefix + "co2e_g"] == pytest.approx(expected.co2e_g, rel=1e-12)
    assert attributes["wattspan.energy_kwh_low"] == pytest.approx(expected.energy_kwh_low, rel=1e-12)
    assert attributes["wattspan.energy_kwh_high"] == pytest.approx(expected.energy_kwh_high, rel=1e-12)
    assert attributes["wattspan.basis"] == "modelled"
    assert attributes["wattspan.model"] == "openai/gpt-4o"
    other = {"gen_ai.usage.": "wattspan.", "wattspan.": "gen_ai.usage."}[prefix]
    assert not {other + "energy_kwh", other + "co2e_g"} & attributes.keys()
