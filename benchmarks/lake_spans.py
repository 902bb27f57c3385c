"""Synthetic spans for benchmarks and tests of the lake: requests with agents, calls, tools and databases.

`rows(n)` makes spans in memory; `requests(n)` the same shape as OTLP requests. Every span has ids of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from opentelemetry.proto.trace.v1.trace_pb2 import Span, TracesData

from wattspan.calls import CallBatch, Column
from wattspan.lake.rows import Attributes, SpanRows
from wattspan.otlp.wire import scan

START_NS = 1_795_478_400_000_000_000
"""2026-11-24, midnight UTC."""
DAY_NS = 86_400 * 10**9
MODELS = (
    ("openai", "gpt-4o-2024-08-06"),
    ("anthropic", "claude-sonnet-4-5"),
    ("aws.bedrock", "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"),
    ("openai", "gpt-4o-mini"),
)
ROUTES = ("/chat", "/search", "/summarise", "/orders/{id}")
TOOLS = ("search_orders", "get_weather", "run_sql")
# A request: kind of each span and the place of its parent.
# s = server, a = agent, c = call, h = HTTP, t = tool, d = database.
SHAPE = (("s", -1), ("a", 0), ("c", 1), ("h", 2), ("t", 1), ("d", 4), ("c", 1), ("h", 6), ("t", 1), ("c", 1))
SPANS_OF_TRACE = len(SHAPE)


def requests(
    n: int, *, spans: int = 500, days: int = 1, seed: int = 1, prompt_bytes: int = 0
) -> Iterator[bytes]:
    """OTLP requests with `n` spans in all, `spans` in each; whole traces."""
    template, offsets = _template(spans // SPANS_OF_TRACE, prompt_bytes)
    random = np.random.default_rng(seed)
    traces = spans // SPANS_OF_TRACE
    data = np.frombuffer(template, dtype=np.uint8)
    for _ in range(max(1, n // (traces * SPANS_OF_TRACE))):
        made = data.copy()
        trace = random.integers(0, 256, (traces, 16), dtype=np.uint8)
        made[offsets.trace_id] = np.repeat(trace, SPANS_OF_TRACE, axis=0)
        ids = random.integers(1, 256, (len(offsets.span_id), 8), dtype=np.uint8)
        made[offsets.span_id] = ids
        made[offsets.parent_id] = ids[offsets.parent]
        shift = int(random.integers(0, days * DAY_NS - 10**12))
        for at in (offsets.start, offsets.end):
            times = made[at].view("<u8") + np.uint64(shift)
            made[at] = times.view(np.uint8).reshape(-1, 8)
        made[offsets.response] = random.integers(97, 123, offsets.response.shape, dtype=np.uint8)
        yield made.tobytes()


class _Offsets:
    trace_id: np.ndarray
    span_id: np.ndarray
    parent_id: np.ndarray
    parent: np.ndarray
    start: np.ndarray
    end: np.ndarray
    response: np.ndarray


def _template(traces: int, prompt_bytes: int) -> tuple[bytes, _Offsets]:
    data = TracesData()
    resource = data.resource_spans.add()
    for key, text in (
        ("service.name", "order-desk"),
        ("service.version", "2.4.1"),
        ("deployment.environment.name", "production"),
        ("cloud.region", "eu-west-3"),
    ):
        resource.resource.attributes.add(key=key).value.string_value = text
    scope = resource.scope_spans.add()
    scope.scope.name = "opentelemetry.instrumentation.openai_v2"
    number = 0
    for trace in range(traces):
        first = number
        for kind, parent in SHAPE:
            number += 1
            span = scope.spans.add()
            span.trace_id, span.span_id = bytes([1]) * 16, number.to_bytes(8, "big")
            if parent >= 0:
                span.parent_span_id = (first + 1 + parent).to_bytes(8, "big")
            _fill(span, kind, trace, number - first - 1, prompt_bytes)
    raw = data.SerializeToString()
    return raw, _found(raw)


def _fill(span: Span, kind: str, trace: int, place: int, prompt_bytes: int) -> None:
    span.kind = 3 if kind in "ch" else 2 if kind == "s" else 1
    begin = START_NS + trace * 40_000_000 + place * 3_000_000
    span.start_time_unix_nano = begin
    span.end_time_unix_nano = begin + {"s": 90, "a": 80, "c": 20, "h": 15, "t": 8, "d": 5}[kind] * 1_000_000
    provider, model = MODELS[(trace + place) % len(MODELS)]

    def say(**attributes: object) -> None:
        for key, value in attributes.items():
            field = "int_value" if isinstance(value, int) else "string_value"
            setattr(span.attributes.add(key=key.replace("__", ".")).value, field, value)

    if kind == "c":
        span.name = f"chat {model}"
        say(
            gen_ai__operation__name="chat",
            gen_ai__provider__name=provider,
            gen_ai__request__model=model,
            gen_ai__response__model=model,
            gen_ai__response__id="chatcmpl-" + "x" * 24,
            server__address="api.openai.com",
            gen_ai__usage__input_tokens=900 + 17 * (trace % 60),
            gen_ai__usage__cache_read__input_tokens=500,
            gen_ai__usage__output_tokens=150 + 7 * (trace % 40),
        )
        if prompt_bytes:
            say(gen_ai__input__messages="p" * prompt_bytes)
    elif kind == "s":
        span.name = f"POST {ROUTES[trace % 4]}"
        say(http__route=ROUTES[trace % 4], http__request__method="POST", http__response__status_code=200)
    elif kind == "a":
        span.name = "invoke_agent desk"
        say(gen_ai__operation__name="invoke_agent", gen_ai__agent__name="desk")
    elif kind == "t":
        span.name = f"execute_tool {TOOLS[trace % 3]}"
        say(gen_ai__operation__name="execute_tool", gen_ai__tool__name=TOOLS[trace % 3])
    elif kind == "d":
        span.name = "SELECT orders"
        say(db__system__name="postgresql", db__operation__name="SELECT", db__collection__name="orders")
    else:
        span.name = "POST"
        say(http__request__method="POST", http__response__status_code=200)


def _found(raw: bytes) -> _Offsets:
    """Where the ids and times of the template are."""
    table = scan(raw, ())
    found = _Offsets()
    at: dict[str, list[int]] = {"start": [], "end": [], "parent_id": []}
    place_of = {int(span_id): place for place, span_id in enumerate(table.span_id.tolist())}
    parents = []
    for place, (begin, parent) in enumerate(
        zip(table.start.tolist(), table.parent_span_id.tolist(), strict=True)
    ):
        after = begin + 18 + 10
        if parent:
            at["parent_id"].append(after + 2)
            parents.append(place_of[parent])
        times = raw.index(b"\x39" + int(table.start_unix_ns[place]).to_bytes(8, "little"), begin)
        at["start"].append(times + 1)
        at["end"].append(times + 10)
    found.trace_id = _wide(table.start + 2, 16)
    found.span_id = _wide(table.start + 20, 8)
    found.parent_id, found.parent = _wide(np.array(at["parent_id"]), 8), np.array(parents)
    found.start, found.end = _wide(np.array(at["start"]), 8), _wide(np.array(at["end"]), 8)
    responses, seen = [], -1
    while (seen := raw.find(b"chatcmpl-xxxxxxxx", seen + 1)) >= 0:
        responses.append(seen + 9)
    found.response = _wide(np.array(responses), 24)
    return found


def _wide(starts: np.ndarray, size: int) -> np.ndarray:
    return starts[:, None] + np.arange(size)


def rows(
    n: int, *, days: int = 1, seed: int = 1, first_ns: int = START_NS, spans_of_trace: int = 0
) -> SpanRows:
    """`n` spans: traces of SHAPE, or of `spans_of_trace` spans (random trees) where that is given."""
    random = np.random.default_rng(seed)
    size = spans_of_trace or SPANS_OF_TRACE
    traces = max(1, n // size)
    n = traces * size
    place = np.tile(np.arange(size), traces)
    trace = np.repeat(np.arange(traces), size)
    if spans_of_trace:
        parent = np.where(place == 0, -1, (random.random(n) ** 0.5 * place).astype(np.int64))
        kind = np.where(place == 0, 0, random.choice([1, 2, 2, 2, 3, 4, 5], n))
    else:
        parent = np.tile(np.array([above for _, above in SHAPE]), traces)
        kind = np.tile(np.array(["sachtd".index(one) for one, _ in SHAPE]), traces)
    trace_id = np.repeat(random.integers(0, 256, (traces, 16), dtype=np.uint8), size, axis=0)
    span_id = random.integers(1, 2**63, n).astype(np.uint64)
    parent_id = np.where(parent < 0, np.uint64(0), span_id[trace * size + np.maximum(parent, 0)])
    starts = np.repeat(random.integers(0, days * DAY_NS - 10**12, traces), size) + first_ns
    duration = np.array([90, 80, 20, 15, 8, 5])[kind] * 1_000_000
    at = np.flatnonzero(kind == 2)
    k = len(at)
    model = random.integers(0, len(MODELS), k)
    output = random.integers(20, 900, k)
    cached = random.integers(0, 3000, k)
    route = (trace % 4).astype(np.int32)
    tool = np.where(kind == 4, trace % 3 + 1, 0).astype(np.int32)
    names = ("", "POST /chat", "invoke_agent desk", "chat", "POST", "execute_tool", "SELECT orders")
    is_routed = np.flatnonzero(kind == 0)
    offsets = np.zeros(n + 1, dtype=np.int64)
    np.cumsum(kind == 0, out=offsets[1:])
    coded = (model + 1).astype(np.int32)
    calls = CallBatch.of(
        k,
        input_tokens=cached + random.integers(50, 4000, k),
        cache_read_tokens=cached,
        output_tokens=output,
        start_unix_ns=(starts + place * 3_000_000)[at],
        duration_ns=duration[at],
        operation="chat",
        model=Column(coded, ("", *(name for _, name in MODELS))),
        request_model=Column(coded, ("", *(name for _, name in MODELS))),
        provider=Column(coded, ("", *(f"{name}" for name, _ in MODELS))),
        service="order-desk",
    )
    return SpanRows(
        trace_id=trace_id,
        span_id=span_id,
        parent_span_id=parent_id.astype(np.uint64),
        start_unix_ns=starts + place * 3_000_000,
        duration_ns=duration,
        kind=np.where(kind == 2, 3, 1).astype(np.int8),
        status=np.zeros(n, dtype=np.int8),
        service=Column.constant("order-desk", n),
        scope=Column.constant("opentelemetry.instrumentation.openai_v2", n),
        name=Column((kind + 1).astype(np.int32), names),
        agent=Column((kind == 1).astype(np.int32), ("", "desk")),
        tool=Column(tool, ("", *TOOLS)),
        cpu_ns=np.full(n, -1, dtype=np.int64),
        kept_share=np.full(n, np.nan),
        attributes=Attributes(
            offsets,
            Column(np.ones(len(is_routed), dtype=np.int32), ("", "http.route")),
            Column(route[is_routed] + np.int32(1), ("", *ROUTES)),
        ),
        call_rows=at,
        calls=calls,
        role=np.zeros(k, dtype=np.int8),
        is_continuation=np.zeros(k, dtype=np.bool_),
        response_hash=random.integers(1, 2**63, k).astype(np.uint64),
        reasoning_effort=Column.constant("", k),
        reported_cost_usd=np.full(k, np.nan),
    )
