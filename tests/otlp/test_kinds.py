"""Spans of known kinds are read as the reader reads them, owned as the rules say, and estimated as ever."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from otlp_spans import CAPTURES
from span_tables import chat, table_of
from test_dialects_properties import SPANS
from test_owners_properties import shuffled, worlds
from wire_spans import encoded, message_of, needs_kernel, scanned

from wattspan.calls import CallBatch
from wattspan.calls.batch import COLUMNS
from wattspan.estimator import Estimator
from wattspan.otlp.dialects import DIALECT_KEYS, KindReader, Reading, kinds, read
from wattspan.otlp.enrich import Enricher
from wattspan.otlp.owners import OwnerMemory, decide
from wattspan.otlp.owners.look import quick_look, scanned_look
from wattspan.otlp.owners.recent import PureRecent, Recent
from wattspan.otlp.owners.spans import Spans
from wattspan.otlp.wire import scan

pytestmark = needs_kernel

BINPB = sorted(CAPTURES.rglob("*.binpb"))
ESTIMATOR = Estimator()


def assert_same_calls(one: CallBatch, other: CallBatch) -> None:
    for name, kind in COLUMNS.items():
        mine, theirs = getattr(one, name), getattr(other, name)
        if kind == "Column":
            assert mine.texts() == theirs.texts(), name
        else:
            np.testing.assert_array_equal(mine, theirs, err_msg=name)


def assert_same_reading(one: Reading, other: Reading) -> None:
    assert_same_calls(one.calls, other.calls)
    for name in ("rows", "role", "response_id", "is_streaming", "is_continuation", "dialect"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    assert one.problems == other.problems


# Reading


@pytest.mark.parametrize("path", BINPB, ids=lambda path: path.stem)
def test_captures_read_alike_the_first_time_and_the_next(path):
    table = scan(path.read_bytes(), DIALECT_KEYS)
    reader = KindReader()
    for _ in range(2):
        assert_same_reading(reader.read(table), read(table))


def random_request(spans: Any) -> bytes:
    return encoded(
        (
            scope,
            [(key, kind, value) for key, (kind, value) in attributes],
            {
                "trace_id": trace.to_bytes(16, "big"),
                "span_id": span.to_bytes(8, "big"),
                "parent_span_id": parent.to_bytes(8, "big"),
                "start_time_unix_nano": start,
                "end_time_unix_nano": end,
                "kind": kind_of_span,
                "name": name if isinstance(name, bytes) else name.encode("utf-8", "surrogatepass"),
            },
            kind_of_span % 3,
        )
        for attributes, scope, trace, span, parent, start, end, kind_of_span, name in spans
    )


@settings(max_examples=400, deadline=None)
@given(st.lists(st.lists(SPANS, max_size=8), max_size=4))
def test_whatever_spans_carry_they_read_alike(requests):
    reader = KindReader()
    for spans in [*requests, *requests]:
        table = scan(random_request(spans), DIALECT_KEYS)
        assert_same_reading(reader.read(table), read(table))


COUNTS = st.one_of(st.integers(0, 50), st.integers(0, 2), st.just(20_000_001), st.just(-1))
USAGE = st.fixed_dictionaries(
    {},
    optional={
        "gen_ai.usage.input_tokens": COUNTS,
        "gen_ai.usage.output_tokens": COUNTS,
        "gen_ai.usage.cache_read.input_tokens": COUNTS,
        "gen_ai.usage.cache_creation.input_tokens": COUNTS,
        "gen_ai.usage.reasoning_tokens": COUNTS,
        "gen_ai.usage.total_tokens": COUNTS,
        "gen_ai.operation.name": st.sampled_from(["chat", "invoke_agent", "embeddings"]),
        "gen_ai.system": st.sampled_from(["anthropic", "openai"]),
        "openlit.agent.version_hash": st.just("x"),
        "gen_ai.request.stream": st.booleans(),
    },
)
SCOPES = st.sampled_from(
    [
        "opentelemetry.instrumentation.botocore.bedrock",
        "opentelemetry.instrumentation.google_generativeai",
        "opentelemetry.instrumentation.openai_v2",
        "openlit.instrumentation.openai",
        "ai",
        "my.app",
    ]
)


@settings(max_examples=600, deadline=None)
@given(st.lists(st.tuples(USAGE, SCOPES), max_size=10))
def test_counts_fold_alike(spans):
    made = [chat(number, None, more=usage, scope=scope) for number, (usage, scope) in enumerate(spans, 1)]
    assert_same_reading(
        KindReader().read(scanned(made)), read(table_of(made)) if made else read(scanned(made))
    )


@pytest.mark.parametrize(("total", "output"), [(12, 5), (15, 5), (19, 9), (9, 5)])
def test_an_output_without_reasoning_is_what_the_total_leaves_if_that_is_more(total, output):
    usage = {
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.usage.total_tokens": total,
    }
    scope = "opentelemetry.instrumentation.google_generativeai"
    calls = KindReader().read(scanned([chat(1, None, more=usage, scope=scope)])).calls
    assert calls.output_tokens.tolist() == [output]


def test_the_last_value_of_a_key_that_comes_twice_counts():
    attributes = [
        ("gen_ai.usage.output_tokens", 3, 9),
        ("gen_ai.operation.name", 1, "embeddings"),
        ("gen_ai.usage.input_tokens", 3, 1),
        ("gen_ai.operation.name", 1, "chat"),
        ("gen_ai.usage.input_tokens", 3, 318),
    ]
    table = scan(encoded([("my.app", attributes, {"trace_id": bytes(15) + b"\1"}, 0)]), DIALECT_KEYS)
    calls = KindReader().read(table).calls
    assert (calls.input_tokens.tolist(), calls.output_tokens.tolist()) == ([318], [9])
    assert calls.operation.texts() == ["chat"]


def test_requests_of_other_resources_are_other_kinds():
    reader = KindReader()
    for service in ("shop", "bank", "shop"):
        calls = reader.read(scanned([chat(1)], {"service.name": service})).calls
        assert calls.service.texts() == [service]


def test_kinds_that_are_not_met_again_make_room(monkeypatch):
    monkeypatch.setattr(kinds, "MOST_KINDS", 3)
    reader = KindReader()
    for number in range(20):
        spans = [chat(1, model="gpt-4o"), chat(2, model=f"model-{number}")]
        assert reader.read(scanned(spans)).calls.model.texts() == ["gpt-4o", f"model-{number}"]
        assert len(reader._young) + len(reader._old) <= 8


def test_a_table_in_which_each_span_is_another_kind_is_read_and_not_all_remembered():
    spans = [chat(number, model=f"model-{number}") for number in range(1, 200)]
    reader = KindReader()
    assert reader.read(scanned(spans)).calls.model.texts() == [f"model-{number}" for number in range(1, 200)]
    assert len(reader._young) == kinds.MOST_NEW_KINDS


# Owners


@settings(max_examples=300, deadline=None)
@given(worlds(), st.integers(0, 2**32), st.integers(1, 9))
def test_owners_of_a_stream_are_the_same_from_bytes_as_from_columns(worlds, seed, size):
    spans = shuffled(worlds, seed)
    memories = OwnerMemory(), OwnerMemory()
    for first in range(0, len(spans), size):
        some = spans[first : first + size]
        tables = scanned(some), table_of(some)
        mine, theirs = (
            decide(table, read(table), memory) for table, memory in zip(tables, memories, strict=True)
        )
        np.testing.assert_array_equal(mine.is_owner, theirs.is_owner)
        np.testing.assert_array_equal(mine.owner_span_id, theirs.owner_span_id)
        assert_same_calls(mine.calls, theirs.calls)
        assert (memories[0].traces, memories[0].calls) == (memories[1].traces, memories[1].calls)


SIDE_BY_SIDE = [
    # Calls of two instrumentors in one trace, and whether they may be one call.
    ([chat(1, scope="a"), chat(2, scope="b", at=(1002.5, 2000))], False),
    ([chat(1, scope="a"), chat(2, scope="b", at=(1002, 2000))], True),
    ([chat(1, scope="a"), chat(2, scope="b", at=(1002.5, 2000)), chat(3, scope="c", at=(0, 1002.5))], True),
    ([chat(1, scope="a"), chat(2, (1000, 302), scope="b")], False),
    ([chat(1, scope="a"), chat(2, (1000, 301), scope="b")], True),
    ([chat(1, scope="a"), chat(2, (1001, 300), scope="b")], False),
    ([chat(1, scope="a"), chat(2, None, scope="b")], True),
    ([chat(1, scope="a"), chat(2, None, error="429", scope="b")], False),
    ([chat(1, None, error="429", scope="a"), chat(2, None, error="500", scope="b")], True),
    ([chat(2, scope="b", at=(2000, 3000)), chat(1, scope="a", at=(0, 3000))], True),
    ([chat(n, (n, 9), scope="ab"[n % 2], at=(n, 999)) for n in range(1, 66)], False),
    ([chat(n, (n, 9), scope="ab"[n % 2], at=(n, 999)) for n in range(1, 67)], True),
]


@pytest.mark.parametrize(("spans", "may_be_one"), SIDE_BY_SIDE)
def test_calls_of_two_instrumentors_are_settled_where_they_may_be_one_call(spans, may_be_one):
    table, columns = scanned(spans), table_of(spans)
    assert scanned_look(table, read(table)).needs_care.tolist() == [may_be_one]
    assert quick_look(Spans.of(columns, read(columns))).needs_care.tolist() == [may_be_one]


@settings(max_examples=300, deadline=None)
@given(st.lists(SPANS, max_size=12))
def test_owners_of_whatever_spans_are_the_same_from_bytes_as_from_columns(spans):
    table = scan(random_request(spans), DIALECT_KEYS)
    columns = table.take(np.arange(table.n))
    assert columns.scanned is None
    mine, theirs = decide(table, read(table)), decide(columns, read(columns))
    np.testing.assert_array_equal(mine.is_owner, theirs.is_owner)
    np.testing.assert_array_equal(mine.owner_span_id, theirs.owner_span_id)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.sets(st.integers(0, 40), min_size=1, max_size=12)),
        st.tuples(st.just("open"), st.integers(0, 40)),
        st.tuples(st.just("resize"), st.integers(0, 9)),
        st.tuples(st.just("evict"), st.tuples(st.integers(1, 15), st.integers(1, 30))),
    ),
    max_size=40,
)


@settings(max_examples=500, deadline=None)
@given(STEPS)
def test_both_memories_of_traces_answer_alike(steps):
    both: tuple[Any, Any] = PureRecent(), Recent()
    # Keys as hashes are, and some that differ in their upper half alone.
    key_of = [number * 0x9E3779B97F4A7C15 % 2**64 if number % 2 else number << 40 for number in range(41)]
    opened: set[int] = set()
    for place, (step, argument) in enumerate(steps):
        if step == "add":
            new = [key_of[number] for number in sorted(argument) if key_of[number] not in both[0]]
            keys = np.array(new, dtype=np.uint64)
            groups = np.arange(len(new), dtype=np.int64)
            for recent in both:
                recent.add(keys, groups, groups % 3 + 1, f"batch {place}")
        elif step == "open":
            opened.add(key_of[argument])
            assert both[0].open(key_of[argument]) == both[1].open(key_of[argument])
        elif step == "resize":
            for key in sorted(opened):
                if key in both[0]:
                    for recent in both:
                        recent.resize(key, argument)
                    break
        else:
            assert both[0].evict(*argument) == both[1].evict(*argument)
        assert (len(both[0]), both[0].calls) == (len(both[1]), both[1].calls)
        known = [recent.known(np.array(key_of, dtype=np.uint64)) for recent in both]
        np.testing.assert_array_equal(*known)


# Estimates and bytes


def by_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on nothing is taken from kinds, plans or templates."""
    monkeypatch.setattr(KindReader, "read", lambda _, table: read(table))
    monkeypatch.setattr(Enricher, "_appending", lambda *_: None)


@pytest.mark.parametrize(
    ("profile", "detail"),
    [("genai", "standard"), ("genai", "full"), ("wattspan", "full"), ("both", "standard")],
)
def test_enriched_captures_are_the_same_bytes_by_kinds_as_by_columns(profile, detail, monkeypatch):
    def enriched() -> list[bytes]:
        enricher = Enricher(ESTIMATOR, profile=profile, detail=detail)
        messages = [path.read_bytes() for path in BINPB]
        return [
            message
            for window in (messages[:1], messages, messages[::-1])
            for found in enricher.protobuf(window)
            for message in found.messages
        ]

    by_kinds = enriched()
    assert len({len(message) for message in by_kinds}) > 30
    by_columns(monkeypatch)
    assert enriched() == by_kinds


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(SPANS, max_size=6), min_size=1, max_size=3), st.integers(1, 3))
def test_whatever_spans_carry_they_are_the_same_bytes_by_kinds_as_by_columns(requests, size):
    messages = [random_request(spans) for spans in requests] * 2

    def enriched() -> list[tuple[list[bytes], list[Any], list[float]]]:
        enricher = Enricher(ESTIMATOR)
        return [
            (found.messages, found.problems, found.estimates.energy_kwh.tolist())
            for first in range(0, len(messages), size)
            for found in enricher.protobuf(messages[first : first + size])
        ]

    by_kinds = enriched()
    with pytest.MonkeyPatch.context() as patch:
        by_columns(patch)
        assert repr(enriched()) == repr(by_kinds)


def test_calls_of_two_years_and_of_an_id_that_changed_its_meaning_have_the_plans_of_their_day():
    year_ns = 366 * 86_400 * 10**9
    spans = [chat(1, model="gpt-4o"), chat(2, model="gpt-4o").but(at=(-year_ns / 10**6, 0))]
    readings = KindReader().read(scanned(spans)), read(table_of(spans))
    one, other = (ESTIMATOR.estimate(reading.calls) for reading in readings)
    for name in ("energy_kwh", "co2e_g", "intensity_g_per_kwh"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    for name in ("model", "region", "zone", "tier", "grid_source"):
        assert getattr(one, name).texts() == getattr(other, name).texts()


def test_duplicates_name_their_owner_in_the_same_bytes(monkeypatch):
    spans = [chat(2, parent=1, scope="com.anthropic.sdk.python"), chat(1), chat(3, trace=2)]
    (found,) = Enricher(ESTIMATOR).protobuf([message_of(spans)])
    assert found.messages[0].count(b"wattspan.duplicate_of") == 1
    by_columns(monkeypatch)
    (again,) = Enricher(ESTIMATOR).protobuf([message_of(spans)])
    assert again.messages == found.messages
