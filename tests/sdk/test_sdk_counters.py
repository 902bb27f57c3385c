"""Counters of energy and carbon, before and after sampling."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, TraceIdRatioBased
from sdk_spans import CAPTURES, CHAT, captured, made, ours

import wattspan
from wattspan.sdk import RecordUnsampled, Settings, WattspanExporter, WattspanSpanProcessor

EXPECTED = wattspan.estimate(
    model="gpt-4o", provider="openai", input_tokens=1000, output_tokens=300, operation="chat"
)


class Meter:
    """A meter provider of its own, and what its counters say."""

    def __init__(self) -> None:
        self._reader = InMemoryMetricReader()
        self.provider = MeterProvider([self._reader], shutdown_on_exit=False)

    def points(self, name: str) -> list[tuple[dict[str, Any], float]]:
        data = self._reader.get_metrics_data()
        if data is None:
            return []
        return [
            (dict(point.attributes), point.value)
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]

    def total(self, name: str) -> float:
        return sum(value for _, value in self.points(name))

    def kind(self, name: str) -> tuple[str, bool]:
        data = self._reader.get_metrics_data()
        (metric,) = [
            metric
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
        ]
        return metric.unit, metric.data.is_monotonic


@pytest.fixture
def meter() -> Meter:
    return Meter()


def test_energy_and_carbon_are_counted_by_what_decides_them(meter: Meter) -> None:
    spans = made(CHAT, CHAT, {**CHAT, "gen_ai.request.model": "no-such-model"}, {**CHAT, "gen_ai.usage.x": 1})
    WattspanExporter(InMemorySpanExporter(), meter_provider=meter.provider).export(spans)
    assert meter.kind("wattspan.energy") == ("J", True)
    points = {
        attributes["wattspan.model"]: (attributes, value)
        for attributes, value in meter.points("wattspan.energy")
    }
    attributes, joules = points["openai/gpt-4o"]
    assert attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "wattspan.model": "openai/gpt-4o",
        "wattspan.region": EXPECTED.plan.place.label,
        "wattspan.basis": "modelled",
    }
    assert joules == pytest.approx(3 * EXPECTED.energy_kwh * 3.6e6, rel=1e-12)
    assert points.keys() == {"openai/gpt-4o", "unknown"}
    assert meter.kind("wattspan.co2e") == ("g", True)
    grams = {attributes["wattspan.model"]: value for attributes, value in meter.points("wattspan.co2e")}
    assert grams["openai/gpt-4o"] == pytest.approx(3 * EXPECTED.co2e_g, rel=1e-12)


@pytest.mark.parametrize(
    "name", ["otel_genai_openai", "strands", "openinference_openai", "anthropic_sdk_native"]
)
def test_the_counters_add_up_to_what_is_on_the_spans(name: str, meter: Meter) -> None:
    memory = InMemorySpanExporter()
    exporter = WattspanExporter(memory, meter_provider=meter.provider)
    exporter.export(captured((CAPTURES / f"{name}.binpb").read_bytes()))
    on_spans = [ours(span) for span in memory.get_finished_spans()]
    energy_kwh = sum(found.get("gen_ai.usage.energy_kwh", 0.0) for found in on_spans)
    co2e_g = sum(found.get("gen_ai.usage.co2e_g", 0.0) for found in on_spans)
    assert energy_kwh > 1e-5
    assert meter.total("wattspan.energy") == pytest.approx(energy_kwh * 3.6e6, rel=1e-9)
    assert meter.total("wattspan.co2e") == pytest.approx(co2e_g, rel=1e-9)


def test_a_span_is_counted_once_however_often_it_is_exported(meter: Meter) -> None:
    spans = made(CHAT)
    one, other = (WattspanExporter(InMemorySpanExporter(), meter_provider=meter.provider) for _ in range(2))
    one.export(spans)
    other.export(spans)
    WattspanExporter(one, meter_provider=meter.provider).export(spans)
    assert meter.total("wattspan.energy") == pytest.approx(EXPECTED.energy_kwh * 3.6e6, rel=1e-12)


def test_no_counters_where_none_are_wanted(meter: Meter) -> None:
    exporter = WattspanExporter(
        InMemorySpanExporter(), Settings(metrics=False), meter_provider=meter.provider
    )
    exporter.export(made(CHAT))
    assert meter.points("wattspan.energy") == []


def test_failures_are_counted_by_kind(meter: Meter) -> None:
    exporter = WattspanExporter(
        InMemorySpanExporter(), Settings(profile="loud"), meter_provider=meter.provider
    )
    exporter.export(made(CHAT, CHAT))
    assert meter.points("wattspan.failed_spans") == [({"error.type": "SettingsError"}, 2)]


# Sampling


def traced(sampler: Any, processor: WattspanSpanProcessor, calls: int) -> None:
    provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
    provider.add_span_processor(processor)
    tracer = provider.get_tracer("shop")
    for _ in range(calls):
        with (
            tracer.start_as_current_span("POST /ask"),
            tracer.start_as_current_span("chat gpt-4o") as span,
        ):
            span.set_attributes(CHAT)
    processor.shutdown()


@pytest.mark.parametrize("root", [ALWAYS_OFF, ALWAYS_ON, TraceIdRatioBased(0.5)])
def test_calls_are_counted_before_sampling_and_only_sampled_spans_are_exported(
    root: Any, meter: Meter
) -> None:
    memory = InMemorySpanExporter()
    processor = WattspanSpanProcessor(memory, meter_provider=meter.provider)
    traced(RecordUnsampled(ParentBased(root)), processor, calls=60)
    assert meter.total("wattspan.energy") == pytest.approx(60 * EXPECTED.energy_kwh * 3.6e6, rel=1e-9)
    spans = memory.get_finished_spans()
    assert all(span.context.trace_flags.sampled for span in spans)
    n_calls = sum("wattspan.basis" in ours(span) for span in spans)
    assert len(spans) == 2 * n_calls
    if isinstance(root, TraceIdRatioBased):
        assert 0 < n_calls < 60
    else:
        assert n_calls == (60 if root is ALWAYS_ON else 0)


def test_what_the_sampler_drops_cannot_be_counted(meter: Meter) -> None:
    traced(ParentBased(ALWAYS_OFF), WattspanSpanProcessor(meter_provider=meter.provider), calls=3)
    assert meter.points("wattspan.energy") == []


def test_the_exporter_counts_sampled_calls_only(meter: Meter) -> None:
    processor: Any = BatchSpanProcessor(
        WattspanExporter(InMemorySpanExporter(), meter_provider=meter.provider)
    )
    traced(RecordUnsampled(ParentBased(ALWAYS_OFF)), processor, calls=3)
    assert meter.points("wattspan.energy") == []


def test_a_processor_without_exporter_counts_beside_an_exporter_that_enriches(meter: Meter) -> None:
    processor = WattspanSpanProcessor(meter_provider=meter.provider)
    traced(ALWAYS_ON, processor, calls=2)
    assert processor.force_flush() is False  # it is shut down
    assert meter.total("wattspan.energy") == pytest.approx(2 * EXPECTED.energy_kwh * 3.6e6, rel=1e-9)


def test_the_sampler_says_what_is_in_it() -> None:
    assert RecordUnsampled(ALWAYS_OFF).get_description() == "RecordUnsampled{AlwaysOffSampler}"
