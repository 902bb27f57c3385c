"""The wire kernel and the enricher, beside memcpy and protobuf's parse + edit + serialise, in one run."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from wattspan.calls import Column
from wattspan.estimator import Estimator
from wattspan.otlp.attributes import OWN_KEYS
from wattspan.otlp.dialects import DIALECT_KEYS
from wattspan.otlp.enrich import Enricher
from wattspan.otlp.wire import IMPLEMENTATION, AttributeColumn, KeySet, encode_columns, fallback, scan, splice

SPANS = 512
RUNS = 300
SLOW_RUNS = 5
BUDGET_US = 0.8
CAPTURES = Path(__file__).parents[1] / "tests" / "captures"
KEYS = KeySet(tuple(dict.fromkeys((*DIALECT_KEYS, *OWN_KEYS))))
COLD_BYTES = 150_000_000
"""Bytes of requests used in turn, so that none is still in the caches when its turn comes."""

NUMBERS = ("energy_kwh_low", "energy_kwh_high", "co2e_g_low", "co2e_g_high")
TEXTS = {
    "basis": "modelled",
    "evidence": "closed",
    "edition": "2026.11",
    "model": "openai/gpt-4o",
    "region": "aws:eu-west-3",
    "region_source": "host",
    "grid.zone": "FR",
}


def request(content_bytes: int, n: int = SPANS, seed: int = 1) -> bytes:
    """n spans of the official OpenAI and Anthropic instrumentations, with message content of a size."""
    spans = []
    message = TracesData()
    for name in ("otel_genai_openai", "otel_genai_anthropic"):
        captured = TracesData.FromString((CAPTURES / f"{name}.binpb").read_bytes())
        message.resource_spans.append(captured.resource_spans[0])
        scopes = [scope for resource in captured.resource_spans for scope in resource.scope_spans]
        spans.append([span for scope in scopes for span in scope.spans])
        del message.resource_spans[-1].scope_spans[1:]
        del message.resource_spans[-1].scope_spans[0].spans[:]
    rng = np.random.default_rng(seed)
    for row in range(n):
        half = row * 2 // n
        span = message.resource_spans[half].scope_spans[0].spans.add()
        span.CopyFrom(spans[half][row % len(spans[half])])
        span.trace_id, span.span_id = rng.bytes(16), rng.bytes(8)
        for attribute in span.attributes:
            if attribute.key == "gen_ai.response.id":
                attribute.value.string_value = f"chatcmpl-{rng.bytes(12).hex()}"
            elif attribute.key.endswith("_tokens"):
                attribute.value.int_value = int(rng.integers(1, 5000))
        if content_bytes:
            span.attributes.add(key="gen_ai.input.messages").value.string_value = "x" * content_bytes
    return message.SerializeToString()


def columns(n: int) -> list[AttributeColumn]:
    """The thirteen attributes of `detail: standard`, made up."""
    rng = np.random.default_rng(2)
    numbers = [f"wattspan.{name}" for name in NUMBERS] + ["gen_ai.usage.energy_kwh", "gen_ai.usage.co2e_g"]
    return [
        *(AttributeColumn(key, rng.random(n)) for key in numbers),
        *(AttributeColumn(f"wattspan.{name}", Column.constant(text, n)) for name, text in TEXTS.items()),
    ]


def parse_edit_serialise(data: bytes, attributes: list[AttributeColumn]) -> bytes:
    """What a program without the kernel does, on protobuf's C parser."""
    message = TracesData.FromString(data)
    made = [
        (c.key, c.values.texts() if isinstance(c.values, Column) else np.asarray(c.values).tolist())
        for c in attributes
    ]
    row = 0
    for resource in message.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                for key, cells in made:
                    value = span.attributes.add(key=key).value
                    if isinstance(cells[row], str):
                        value.string_value = cells[row]
                    else:
                        value.double_value = cells[row]
                row += 1
    return message.SerializeToString()


def ns_per_span(function: Callable[[], object], runs: int) -> tuple[float, float]:
    """Minimum and median of the runs, nanoseconds a span."""
    taken = []
    gc.disable()
    for _ in range(runs):
        begin = time.perf_counter_ns()
        function()
        taken.append((time.perf_counter_ns() - begin) / SPANS)
    gc.enable()
    return min(taken), statistics.median(taken)


def cold_ns_per_span(function: Callable[[bytes], object], requests: list[bytes]) -> tuple[float, float]:
    """As `ns_per_span`, over requests that the caches no longer hold."""
    taken = []
    gc.disable()
    for _ in range(5):
        begin = time.perf_counter_ns()
        for data in requests:
            function(data)
        taken.append((time.perf_counter_ns() - begin) / SPANS / len(requests))
    gc.enable()
    return min(taken), statistics.median(taken)


def estimation_included() -> None:
    """Print what a span costs from bytes to bytes: read, owned, estimated, written; none comes twice."""
    print("-- estimation included: Enricher.protobuf, us of processor time a span")
    estimator = Estimator()
    for n, windows, together in ((SPANS, 40, 1), (8, 400, 1), (8, 640, 64)):
        made = [request(0, n, seed) for seed in range(windows)]
        groups = [made[first : first + together] for first in range(0, windows, together)]
        taken = []
        enricher = Enricher(estimator)
        for group in groups:
            begin = time.process_time_ns()
            list(enricher.protobuf(group))
            taken.append((time.process_time_ns() - begin) / 1000)
        # The first windows bring the kinds of spans, which stay known.
        taken = sorted(taken[len(taken) // 4 :])
        attributes = columns(n)
        begin = time.process_time_ns()
        for data in made[:SLOW_RUNS]:
            parse_edit_serialise(data, attributes)
        theirs = (time.process_time_ns() - begin) / 1000 / SLOW_RUNS / n
        least, median = taken[0] / n / together, taken[len(taken) // 2] / n / together
        what = f"{n} spans a request" + (f", {together} requests together" if together > 1 else "")
        budget = f"   budget {BUDGET_US:g}" if n == SPANS else ""
        print(
            f"{what:44}{least:6.2f} (median {median:6.2f}) = {taken[0]:6.0f} us a window; "
            f"protobuf {theirs:6.2f} without estimating, {theirs / least:.0f} x{budget}"
        )


def main() -> None:
    print(f"wire runs on {IMPLEMENTATION}; {SPANS} spans a request, {len(KEYS)} keys asked for, ns a span")
    for content_bytes in (0, 4400):
        compare(request(content_bytes), is_long=content_bytes > 0)
    estimation_included()


def compare(data: bytes, is_long: bool) -> None:
    """Print what one request costs, kernel and rivals."""
    table, attributes, rows, view = scan(data, KEYS), columns(SPANS), np.arange(SPANS), memoryview(data)
    additions = encode_columns(attributes, rows, SPANS)
    print(f"-- {len(data) / SPANS:.0f} B a span, {len(additions.blob) / SPANS:.0f} B added to each")

    def both(data: bytes) -> bytes:
        return splice(data, scan(data, KEYS), additions, OWN_KEYS)

    def without_kernel() -> bytes:
        return fallback.splice(data, fallback.scan(data, KEYS), additions, OWN_KEYS)

    copied = ns_per_span(lambda: bytes(view), RUNS)
    show("memcpy of the request", copied, copied)
    show("scan", ns_per_span(lambda: scan(data, KEYS), RUNS), copied)
    show("splice", ns_per_span(lambda: splice(data, table, additions, OWN_KEYS), RUNS), copied)
    ours = ns_per_span(lambda: both(data), RUNS)
    show("scan + splice", ours, copied, "" if is_long else "   budget 3 M spans/s")
    encoded = ns_per_span(lambda: encode_columns(attributes, rows, SPANS), RUNS)
    show(f"encode {len(attributes)} attributes", encoded, copied)

    requests = [bytes(bytearray(data)) for _ in range(max(2, COLD_BYTES // len(data)))]
    cold = cold_ns_per_span(lambda data: bytes(memoryview(data)), requests)
    show("memcpy, out of the caches", cold, cold)
    budget = "   budget 2.0 x memcpy" if is_long else ""
    show("scan + splice, out of the caches", cold_ns_per_span(both, requests), cold, budget)

    theirs = ns_per_span(lambda: parse_edit_serialise(data, attributes), SLOW_RUNS)
    show("protobuf parse + edit + serialise", theirs, copied)
    show("scan + splice without the kernel", ns_per_span(without_kernel, SLOW_RUNS), copied)
    print(f"protobuf / (scan + encode + splice): {theirs[0] / (ours[0] + encoded[0]):.0f} x")


def show(what: str, taken: tuple[float, float], copied: tuple[float, float], note: str = "") -> None:
    best, median = taken
    print(
        f"{what:34}{best:9.1f} (median {median:9.1f}) = {1000 / best:7.2f} M spans/s"
        f" {best / copied[0]:8.1f} x memcpy{note}"
    )


if __name__ == "__main__":
    main()
