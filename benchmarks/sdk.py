"""The in-process exporter beside the same exporter without Wattspan, on batches of captured spans."""

from __future__ import annotations

import gc
import itertools
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import SpanContext

from wattspan.otlp.enrich import KEYS
from wattspan.sdk import Settings, WattspanExporter
from wattspan.sdk.enrichment import Enrichment
from wattspan.sdk.table import SpanReader

TESTS = Path(__file__).parents[1] / "tests"
SPANS = 512
BATCHES = 8
RUNS = 4
BUDGET_US = 5.0
CAPTURED = {
    "official OpenAI": "otel_genai_openai",
    "official Anthropic": "otel_genai_anthropic",
    "Traceloop OpenAI": "traceloop_openai",
    "OpenInference OpenAI": "openinference_openai",
    "LiteLLM": "litellm",
    "Strands agent": "strands",
}
RESPONSE_IDS = ("gen_ai.response.id", "llm.response.id")

Batches = list[list[ReadableSpan]]


class Nothing(SpanExporter):
    """Takes the spans and does nothing: what is left is what Wattspan costs."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.SUCCESS


class Encoding(SpanExporter):
    """What the OTLP exporters do with a batch before they send it."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        encode_spans(spans).SerializePartialToString()
        return SpanExportResult.SUCCESS


def again(spans: Sequence[ReadableSpan]) -> Iterator[ReadableSpan]:
    """The spans without end, each time in other traces and with other response ids."""
    for turn in itertools.count(1):
        for span in spans:
            attributes = dict(span.attributes or {})
            for key in RESPONSE_IDS:
                if key in attributes:
                    attributes[key] = f"{attributes[key]}-{turn}"
            yield ReadableSpan(
                name=span.name,
                context=_in_turn(span.context, turn),
                parent=_in_turn(span.parent, turn) if span.parent else None,
                resource=span.resource,
                attributes=BoundedAttributes(128, attributes),
                events=span.events,
                links=span.links,
                kind=span.kind,
                status=span.status,
                start_time=span.start_time,
                end_time=span.end_time,
                instrumentation_scope=span.instrumentation_scope,
            )


def _in_turn(context: SpanContext, turn: int) -> SpanContext:
    trace_id = context.trace_id ^ turn << 64
    return SpanContext(trace_id, context.span_id, context.is_remote, context.trace_flags)


def batches(names: Sequence[str]) -> Batches:
    """BATCHES + 1 batches of the captured spans, in turn; the last is for warming up."""
    from sdk_spans import captured

    paths = [TESTS / "captures" / f"{name}.binpb" for name in names]
    spans = again([span for path in paths for span in captured(path.read_bytes())])
    return [list(itertools.islice(spans, SPANS)) for _ in range(BATCHES + 1)]


def us_per_span(made: Batches, exporter: Callable[[], SpanExporter]) -> list[float]:
    """Processor time of each batch in RUNS runs, each with a new exporter that has seen one batch before;
    microseconds a span."""
    times = []
    for _ in range(RUNS):
        new = exporter()
        new.export(made[-1])
        gc.collect()
        gc.freeze()
        for batch in made[:-1]:
            begin = time.thread_time_ns()
            new.export(batch)
            times.append((time.thread_time_ns() - begin) / 1000 / SPANS)
        gc.unfreeze()
    return times


def stages(made: Batches) -> tuple[float, float]:
    """Microseconds a span of making the table, and of all from there to the attributes: the least."""
    reading, finding = [], []
    for _ in range(RUNS):
        reader, enrichment = SpanReader(KEYS), Enrichment(Settings().ready())
        enrichment.find(reader.read(made[-1]).table)
        for batch in made[:-1]:
            begin = time.thread_time_ns()
            table = reader.read(batch).table
            middle = time.thread_time_ns()
            enrichment.find(table)
            end = time.thread_time_ns()
            reading.append((middle - begin) / 1000 / SPANS)
            finding.append((end - middle) / 1000 / SPANS)
    return min(reading), min(finding)


def import_ms(module: str) -> float:
    """Median processor time of fresh interpreters that import `module`, milliseconds."""
    times = []
    for _ in range(RUNS):
        before = os.times()
        subprocess.run([sys.executable, "-c", f"import {module}"], check=True)
        after = os.times()
        used = after.children_user + after.children_system - before.children_user - before.children_system
        times.append(used * 1000)
    return statistics.median(times)


def main() -> None:
    sys.path.insert(0, str(TESTS / "sdk"))
    print(f"microseconds of processor time a span, batches of {SPANS} captured spans: least (median)")
    print(
        f"{'':22} {'Wattspan':>16} {'= table':>9} {'+ find':>7} {'+ copy':>7}   {'OTLP encoding':>14}", end=""
    )
    print(f" {'with Wattspan':>14}   budget {BUDGET_US:g}")
    rows = {title: [name] for title, name in CAPTURED.items()} | {"all of these": list(CAPTURED.values())}
    for title, names in rows.items():
        made = batches(names)
        ours = us_per_span(made, lambda: WattspanExporter(Nothing()))
        plain = us_per_span(made, Encoding)
        both = us_per_span(made, lambda: WattspanExporter(Encoding()))
        table, find = stages(made)
        least = min(ours)
        print(
            f"{title:22} {least:6.2f} ({statistics.median(ours):6.2f}) {table:9.2f} {find:7.2f} "
            f"{max(least - table - find, 0):7.2f}   {min(plain):14.2f} {min(both):14.2f}"
        )
    http = "opentelemetry.exporter.otlp.proto.http.trace_exporter"
    sdk = import_ms(http)
    print(f"import of the OTLP/HTTP exporter {sdk:5.0f} ms of processor time")
    print(f"import of numpy                  {import_ms('numpy'):5.0f} ms")
    ours, first = (import_ms(f"{http}, {one}") - sdk for one in ("wattspan.sdk", "wattspan.sdk.enrichment"))
    print(f"import of wattspan.sdk beyond the SDK  {ours:5.0f} ms   budget 150 ms")
    print(f"what the first batch imports, numpy with it, on its own thread  {first - ours:5.0f} ms")


if __name__ == "__main__":
    main()
