"""Whatever a span carries, reading it never fails and never gives numbers that cannot be."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from wattspan.otlp.dialects import AGGREGATE, CALL, DIALECT_KEYS, read, table
from wattspan.otlp.owners import OwnerMemory, decide
from wattspan.otlp.wire import ARRAY, BOOL, BYTES, DOUBLE, INT, KVLIST, NONE, STRING, SpanTableBuilder

KEYS = st.sampled_from(DIALECT_KEYS)
TEXTS = st.one_of(
    st.text(max_size=20),
    st.binary(max_size=20),
    st.sampled_from(
        [*table().operations, *table().providers, "AGENT", "True", "", "nan", "1e3", "-5", "318"]
    ),
    st.sampled_from(
        ['{"input_tokens": 5, "output_tokens": NaN}', '{"input": {"input": []}}', "{'a': 1,}", "{{", "[]"]
    ),
)
VALUES = st.one_of(
    st.tuples(st.just(STRING), TEXTS),
    st.tuples(st.just(BOOL), st.booleans()),
    st.tuples(st.just(INT), st.integers(-(2**63), 2**63 - 1)),
    st.tuples(st.just(INT), st.integers(0, 3000)),
    st.tuples(st.just(DOUBLE), st.floats()),
    st.tuples(st.sampled_from([NONE, ARRAY, KVLIST, BYTES]), st.none()),
)
SCOPES = st.sampled_from(
    [
        "",
        "my.app",
        "ai",
        "logfire.openai",
        "langfuse-sdk",
        "litellm",
        "openlit.instrumentation.openai",
        "vllm.x",
    ]
)
SPANS = st.tuples(
    st.lists(st.tuples(KEYS, VALUES), max_size=12),
    SCOPES,
    st.integers(0, 3),
    st.integers(0, 6),
    st.integers(0, 6),
    st.integers(0, 2**63 - 1),
    st.integers(0, 2**63 - 1),
    st.integers(0, 5),
    TEXTS,
)


def build(spans):
    builder = SpanTableBuilder(DIALECT_KEYS)
    builder.resource()
    for attributes, scope, trace, span, parent, start, end, kind, name in spans:
        builder.scope(scope)
        builder.span(
            trace_id=trace.to_bytes(16, "big"),
            span_id=span.to_bytes(8, "big"),
            parent_span_id=parent.to_bytes(8, "big"),
            start_unix_ns=start,
            end_unix_ns=end,
            kind=kind,
            status=kind % 3,
            name=name,
            attributes=[(key, kind, value) for key, (kind, value) in attributes],
        )
    return builder.build()


@settings(max_examples=400, deadline=None)
@given(st.lists(SPANS, max_size=12))
def test_numbers_are_always_possible_ones(spans):
    reading = read(build(spans))
    calls = reading.calls
    assert set(reading.role.tolist()) <= {CALL, AGGREGATE}
    assert (np.diff(reading.rows) > 0).all()
    for tokens in (
        calls.input_tokens,
        calls.output_tokens,
        calls.cache_read_tokens,
        calls.cache_write_tokens,
    ):
        assert (tokens >= 0).all()
        assert (tokens <= 3 * table().most_tokens).all()
    assert (calls.cache_read_tokens + calls.cache_write_tokens <= calls.input_tokens).all()
    assert (calls.reasoning_tokens <= calls.output_tokens).all()
    assert (calls.has_usage == (calls.input_tokens + calls.output_tokens > 0)).all()
    assert (calls.duration_ns >= 0).all()
    energy_kwh = calls.reported_energy_kwh[~np.isnan(calls.reported_energy_kwh)]
    assert all(0 <= energy <= 1000 and math.isfinite(energy) for energy in energy_kwh.tolist())


@settings(max_examples=400, deadline=None)
@given(st.lists(SPANS, max_size=12))
def test_every_span_is_read_alike_alone_and_among_others(spans):
    reading = read(build(spans))
    alone = [read(build([span])) for span in spans]
    assert reading.rows.tolist() == [row for row, one in enumerate(alone) if len(one)]
    assert reading.calls.input_tokens.tolist() == [
        int(one.calls.input_tokens[0]) for one in alone if len(one)
    ]
    assert reading.calls.model.texts() == [one.calls.model[0] for one in alone if len(one)]
    assert reading.calls.provider.texts() == [one.calls.provider[0] for one in alone if len(one)]
    assert len(reading.problems) == sum(len(one.problems) for one in alone)


@settings(max_examples=400, deadline=None)
@given(st.lists(SPANS, max_size=12))
def test_every_call_has_an_owner_that_owns(spans):
    spans_table = build(spans)
    reading = read(spans_table)
    for memory in (None, OwnerMemory()):
        ownership = decide(spans_table, reading, memory)
        traces = [row.tobytes() for row in spans_table.trace_id[reading.rows]]
        ids = spans_table.span_id[reading.rows].tolist()
        owning = {(t, s) for t, s, owns in zip(traces, ids, ownership.is_owner, strict=True) if owns}
        assert set(zip(traces, ownership.owner_span_id.tolist(), strict=True)) == owning
