import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status, TracesData
from otlp_spans import (
    CAPTURES,
    START_NS,
    any_value,
    as_otlp_json,
    chat,
    from_otlp_json,
    own,
    span,
    spans_of,
    traces,
    without_own,
)

from wattspan.estimator import Estimator
from wattspan.otlp import pieces as pieces_module
from wattspan.otlp.attributes import PROFILES
from wattspan.otlp.enrich import KEYS, Enriched, Enricher
from wattspan.otlp.wire import SpanTable, WireError
from wattspan.otlp.wire.encode import encode_varint

ESTIMATOR = Estimator()
BINPB = sorted(CAPTURES.rglob("*.binpb"))


def enriched(data: bytes, estimator: Estimator = ESTIMATOR, **options: Any) -> Enriched:
    (window,) = Enricher(estimator, **options).protobuf([data])
    return window


def enrich(message: TracesData | bytes, **options: Any) -> bytes:
    data = message if isinstance(message, bytes) else message.SerializeToString()
    return enriched(data, **options).messages[0]


def enrich_json(text: bytes, **options: Any) -> bytes:
    (window,) = Enricher(ESTIMATOR, **options).json([text])
    return window.messages[0]


def marks(data: bytes) -> list[dict[str, Any]]:
    return [own(one) for one in spans_of(data)]


# What is written


def test_a_call_gets_the_figures_of_the_estimator() -> None:
    (found,) = marks(enrich(traces([chat(1, gen_ai__usage__cache_read__input_tokens=400)])))
    expected = ESTIMATOR.estimate_call(
        model="gpt-4o-2024-08-06",
        input_tokens=1000,
        cached_input_tokens=400,
        output_tokens=300,
        provider="openai",
    )
    assert found["gen_ai.usage.energy_kwh"] == pytest.approx(expected.energy_kwh, rel=1e-12)
    assert found["wattspan.energy_kwh_low"] == pytest.approx(expected.energy_kwh_low, rel=1e-12)
    assert found["wattspan.co2e_g_high"] == pytest.approx(expected.co2e_g_high, rel=1e-12)
    assert found["gen_ai.usage.co2e_g"] == pytest.approx(expected.co2e_g, rel=1e-12)
    assert (found["wattspan.basis"], found["wattspan.evidence"]) == ("modelled", expected.tier)
    assert found["wattspan.model"] == expected.model_resolved
    assert found["wattspan.edition"] == ESTIMATOR.edition.label


def test_spans_that_are_no_model_calls_keep_their_bytes() -> None:
    others = [
        span(1, {"http.request.method": "GET"}, name="GET /", kind=Span.SPAN_KIND_SERVER),
        span(2, {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"}),
        span(3, {}),
    ]
    data = traces(others).SerializeToString()
    assert enriched(data).messages[0] is data


def test_a_stream_without_usage_and_a_failed_call_get_a_reason_and_no_figure() -> None:
    silent = {"gen_ai__usage__input_tokens": None, "gen_ai__usage__output_tokens": None}
    failed = chat(2, **silent, error__type="429", status=Status(code=Status.STATUS_CODE_ERROR))
    assert marks(enrich(traces([chat(1, **silent), failed]))) == [
        {"wattspan.basis": "no_usage", "wattspan.edition": "2026.11"},
        {"wattspan.basis": "failed", "wattspan.edition": "2026.11"},
    ]


def test_a_copy_points_to_the_owner_and_the_owner_alone_has_the_figure() -> None:
    inner = chat(2, parent=1, gen_ai__response__id="resp-7", start=START_NS + 10, end=START_NS + 90)
    outer = chat(1, gen_ai__response__id="resp-7", start=START_NS, end=START_NS + 100)
    window = enriched(traces([inner, outer], "some.scope").SerializeToString())
    first, second = marks(window.messages[0])
    assert first["wattspan.basis"] == "modelled"
    assert second == {
        "wattspan.basis": "duplicate",
        "wattspan.edition": "2026.11",
        "wattspan.duplicate_of": "0000000000000002",
    }
    assert (len(window.calls), len(window.duplicates)) == (1, 1)


def test_a_copy_in_a_later_message_is_known_by_the_enricher_that_saw_the_first() -> None:
    enricher = Enricher(ESTIMATOR)
    inner = traces([chat(2, parent=1, gen_ai__response__id="resp-7", start=START_NS + 10, end=START_NS + 90)])
    outer = traces([chat(1, gen_ai__response__id="resp-7", start=START_NS, end=START_NS + 100)])
    (one,) = enricher.protobuf([inner.SerializeToString()])
    (two,) = enricher.protobuf([outer.SerializeToString()])
    assert marks(one.messages[0])[0]["wattspan.basis"] == "modelled"
    assert marks(two.messages[0])[0]["wattspan.duplicate_of"] == "0000000000000002"


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("detail", ["standard", "full"])
def test_every_capture_keeps_all_that_is_not_ours(profile: Any, detail: Any) -> None:
    for path in BINPB:
        data = path.read_bytes()
        out = enrich(data, profile=profile, detail=detail)
        assert without_own(out) == TracesData.FromString(data), path.name
        assert out == enrich(out, profile=profile, detail=detail), path.name


def test_json_and_protobuf_of_every_capture_carry_the_same_attributes() -> None:
    for path in BINPB:
        data = path.read_bytes()
        text = as_otlp_json(TracesData.FromString(data))
        assert from_otlp_json(text) == TracesData.FromString(data), path.name
        out = enrich_json(text)
        assert marks(from_otlp_json(out).SerializeToString()) == marks(enrich(data)), path.name
        assert enrich_json(out) == out, path.name


def test_unknown_fields_at_every_level_come_out_as_they_went_in() -> None:
    unknown = b"\xba\x3e\x05extra"  # field 999
    one = chat(1).SerializeToString() + unknown
    scope = b"\x12" + _counted(one) + unknown
    resource = b"\x12" + _counted(scope) + unknown
    data = b"\x0a" + _counted(resource) + unknown
    out = enrich(data)
    assert len(marks(out)[0]) == 13
    assert out.count(unknown) == 4
    assert without_own(out).SerializeToString(deterministic=True) == TracesData.FromString(
        data
    ).SerializeToString(deterministic=True)


def _counted(body: bytes) -> bytes:
    size, encoded = len(body), bytearray()
    while size > 0x7F:
        encoded.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes((*encoded, size)) + body


# What was there already


def with_label(label: str) -> Estimator:
    other = Estimator()
    other._label = label
    return other


@pytest.mark.parametrize("write", [enrich, lambda data, **options: _by_json(data, **options)])
def test_another_edition_replaces_ours_and_leaves_nothing_of_the_old(write: Any) -> None:
    data = traces([chat(1), chat(2, gen_ai__usage__input_tokens=None, gen_ai__usage__output_tokens=None)])
    fresh = write(data.SerializeToString())
    old = TracesData.FromString(fresh)
    for one in spans_of(old):
        for attribute in one.attributes:
            if attribute.key == "wattspan.edition":
                attribute.value.string_value = "2025.08"
            if attribute.value.WhichOneof("value") == "double_value":
                attribute.value.double_value *= 2
    assert write(old.SerializeToString()) == fresh


def _by_json(data: bytes, **options: Any) -> bytes:
    return from_otlp_json(
        enrich_json(as_otlp_json(TracesData.FromString(data)), **options)
    ).SerializeToString()


@pytest.mark.parametrize("write", [enrich, _by_json])
@pytest.mark.parametrize("first", PROFILES)
@pytest.mark.parametrize("second", PROFILES)
def test_another_profile_or_detail_replaces_ours(write: Any, first: Any, second: Any) -> None:
    data = traces([chat(1), chat(2, gen_ai__response__id="resp-1")]).SerializeToString()
    direct = write(data, profile=second, detail="standard")
    assert write(write(data, profile=first, detail="full"), profile=second, detail="standard") == direct


def test_ours_somewhere_else_on_the_span_stay_where_they_are() -> None:
    message = TracesData.FromString(enrich(traces([chat(1)])))
    (one,) = spans_of(message)
    moved = list(reversed(one.attributes))
    del one.attributes[:]
    one.attributes.extend(moved)
    data = message.SerializeToString()
    assert enriched(data).messages[0] is data


def test_a_value_of_another_type_under_our_key_is_replaced() -> None:
    fresh = enrich(traces([chat(1)]))
    message = TracesData.FromString(fresh)
    (one,) = spans_of(message)
    next(a for a in one.attributes if a.key == "gen_ai.usage.energy_kwh").value.string_value = "0.1"
    assert enrich(message) == fresh


def test_what_is_no_call_any_more_loses_our_attributes() -> None:
    message = TracesData.FromString(enrich(traces([chat(1)])))
    (one,) = spans_of(message)
    for attribute in list(one.attributes):
        if attribute.key.startswith("gen_ai.") and not attribute.key.startswith("gen_ai.usage.e"):
            one.attributes.remove(attribute)
    one.name = "work"
    assert marks(enrich(message)) == [{}]


def test_energy_reported_by_others_wins_and_stays_a_report_when_enriched_again() -> None:
    data = traces([chat(1, gen_ai__usage__energy_kwh=0.002)]).SerializeToString()
    out = enrich(data)
    (found,) = marks(out)
    assert (found["gen_ai.usage.energy_kwh"], found["wattspan.basis"]) == (0.002, "reported")
    assert enrich(out) == out
    (other,) = marks(enrich(out, profile="both"))
    assert (other["wattspan.energy_kwh"], other["wattspan.basis"]) == (0.002, "reported")


@pytest.mark.parametrize("profile", PROFILES)
def test_what_is_a_call_by_its_energy_alone_stays_one(profile: Any) -> None:
    data = traces([span(1, {"gen_ai.usage.energy_kwh": "12"}, name="POST")]).SerializeToString()
    out = enrich(data, profile=profile)
    (found,) = marks(out)
    assert (found["wattspan.basis"], float(found["gen_ai.usage.energy_kwh"])) == ("reported", 12.0)
    assert enrich(out, profile=profile) == out


@pytest.mark.parametrize("first", PROFILES)
@pytest.mark.parametrize("second", PROFILES)
def test_energy_that_the_user_metered_is_copied_and_stays_metered(first: Any, second: Any) -> None:
    data = traces([chat(1, gen_ai__energy__kwh=0.003)]).SerializeToString()
    direct = enrich(data, profile=second)
    (found,) = marks(direct)
    assert found["wattspan.basis"] == "measured"
    assert found["wattspan.energy_kwh" if second == "wattspan" else "gen_ai.usage.energy_kwh"] == 0.003
    assert enrich(enrich(data, profile=first), profile=second) == direct


@pytest.mark.parametrize("write", [enrich, _by_json])
def test_the_wattspan_profile_leaves_the_key_of_somebody_elses_report(write: Any) -> None:
    data = traces([chat(1, gen_ai__usage__energy_kwh=0.002), chat(2)]).SerializeToString()
    out = write(data, profile="wattspan")
    first, second = marks(out)
    assert first["gen_ai.usage.energy_kwh"] == first["wattspan.energy_kwh"] == 0.002
    assert "gen_ai.usage.energy_kwh" not in second
    assert write(out, profile="wattspan") == out


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("write", [enrich, _by_json])
def test_a_report_that_we_have_no_figure_to_put_in_its_place_stays(write: Any, profile: Any) -> None:
    absurd = {"gen_ai.usage.energy_kwh": 10**12}
    copy = {"gen_ai__response__id": "resp-1", "gen_ai__usage__energy_kwh": 0.004}
    data = traces([span(5, absurd, name="work"), chat(1), chat(2, parent=1, **copy)]).SerializeToString()
    out = write(data, profile=profile)
    assert [found.get("gen_ai.usage.energy_kwh") for found in marks(data)] == [10**12, None, 0.004]
    assert marks(out)[0]["gen_ai.usage.energy_kwh"] == 10**12
    assert write(out, profile=profile) == out


def test_an_agent_that_adds_up_its_calls_gets_nothing_and_is_no_duplicate() -> None:
    sums = {"gen_ai.usage.input_tokens": 2000, "gen_ai.usage.output_tokens": 600}
    agent = span(1, {"gen_ai.operation.name": "invoke_agent", **sums}, end=START_NS + 10**9)
    calls = [chat(2, parent=1), chat(3, parent=1)]
    window = enriched(traces([*calls, agent]).SerializeToString())
    first, second, third = marks(window.messages[0])
    assert (first["wattspan.basis"], second["wattspan.basis"], third) == ("modelled", "modelled", {})
    assert (len(window.owners), len(window.duplicates)) == (2, 0)


# Bad input


@pytest.mark.parametrize(
    "count", ["many", -1, 10**12, float("nan"), 3.5, True, any_value("x" * 1000), "1_000", 2**62]
)
def test_a_token_count_that_cannot_be_is_reported_with_its_span_and_the_rest_goes_on(count: Any) -> None:
    bad = chat(7, gen_ai__usage__input_tokens=count, gen_ai__usage__output_tokens=count)
    window = enriched(traces([chat(1), bad, chat(3)]).SerializeToString())
    first, second, third = marks(window.messages[0])
    assert first["gen_ai.usage.energy_kwh"] == third["gen_ai.usage.energy_kwh"]
    assert second == {"wattspan.basis": "no_usage", "wattspan.edition": "2026.11"}
    assert {(p.trace_id, p.span_id, p.key) for _, p in window.problems} == {
        (f"{1:032x}", f"{7:016x}", "gen_ai.usage.input_tokens"),
        (f"{1:032x}", f"{7:016x}", "gen_ai.usage.output_tokens"),
    }
    assert all("allowed: a whole number from 0 to" in p.reason for _, p in window.problems)


def test_token_counts_as_texts_and_doubles_count() -> None:
    out = enrich(
        traces([chat(1), chat(2, gen_ai__usage__input_tokens="1000", gen_ai__usage__output_tokens=300.0)])
    )
    first, second = marks(out)
    assert first == second


def test_a_broken_resource_is_left_and_its_neighbours_are_enriched() -> None:
    good, other = (traces([chat(n)]).SerializeToString() for n in (1, 2))
    bad = b"\x0a\x07\x12\x05\x12\x50abc"  # a span that claims 80 bytes inside a scope of 5
    window = enriched(good + bad + other)
    assert window.messages[0] == enrich(good) + bad + enrich(other)
    assert [(index, p.offset is not None) for index, p in window.problems] == [(0, True)]
    assert len(good) <= (window.problems[0][1].offset or 0) < len(good) + len(bad)


def test_bytes_that_end_too_early_are_kept_and_what_is_before_them_enriched() -> None:
    good = traces([chat(1)]).SerializeToString()
    window = enriched(good + good[:-20])
    assert window.messages[0] == enrich(good) + good[:-20]
    assert [len(good) <= (p.offset or 0) <= len(good) + 2 for _, p in window.problems] == [True]


def test_an_empty_request_is_one() -> None:
    assert enriched(b"").messages == [b""]
    (window,) = Enricher(ESTIMATOR).protobuf([])
    assert window.messages == []
    (window,) = Enricher(ESTIMATOR).json([])
    assert window.messages == []


def test_ten_megabytes_in_one_attribute_pass() -> None:
    long = "x" * 10_000_000
    data = traces([chat(1, gen_ai__input__messages=long), chat(2, gen_ai__request__model=long)])
    out = enrich(data)
    assert without_own(out) == data
    assert [found["wattspan.basis"] for found in marks(out)] == ["modelled", "modelled"]
    assert max(len(str(value)) for found in marks(out) for value in found.values()) < 1000


def test_a_hundred_thousand_spans_in_one_request() -> None:
    one = traces([]).SerializeToString()
    body = b"".join(b"\x12" + _counted(chat(n + 1).SerializeToString()) for n in range(1000))
    data = one + b"\x0a" + _counted(b"".join(b"\x12" + _counted(body) for _ in range(100)))
    window = enriched(data)
    assert window.table.n == 100_000
    assert len(spans_of(window.messages[0])) == 100_000
    assert len(window.owners) + len(window.duplicates) == 100_000


def test_json_that_breaks_off_is_enriched_up_to_there() -> None:
    text = as_otlp_json(traces([chat(1), chat(2), chat(3)]))
    cut = text.index(b'"spanId":"0000000000000003"')
    (window,) = Enricher(ESTIMATOR).json([text[:cut]])
    whole = enrich_json(text)
    assert whole.startswith(window.messages[0][: -len(text[:cut]) + text.rindex(b'{"traceId"')])
    assert window.messages[0].count(b"wattspan.basis") == 2
    assert window.messages[0].endswith(text[text.rindex(b'{"traceId"') : cut])
    assert [p.offset for _, p in window.problems] == [cut]


def test_json_with_many_spans_is_enriched_in_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [as_otlp_json(traces([chat(n), chat(n + 1)])) for n in (1, 3, 5)]
    (together,) = Enricher(ESTIMATOR).json(texts)
    monkeypatch.setattr("wattspan.otlp.enrich.JSON_WINDOW_SPANS", 3)
    windows = list(Enricher(ESTIMATOR).json([*texts, b'{"resourceSpans":[}']))
    assert [window.table.n for window in windows] == [4, 2]
    assert [m for window in windows for m in window.messages][:3] == together.messages
    assert [index for window in windows for index, _ in window.problems] == [1]


def test_json_spans_above_the_limit_pass_through_and_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wattspan.otlp.json_text.MOST_ROWS", 2)
    text = as_otlp_json(traces([chat(1), chat(2), chat(3)]))
    (window,) = Enricher(ESTIMATOR).json([text])
    assert window.messages[0].count(b"wattspan.basis") == 2
    assert [(p.offset, p.reason) for _, p in window.problems] == [
        (text.rindex(b'{"traceId"'), "more than 2 spans in one request; the others pass through")
    ]


def test_protobuf_with_more_spans_than_a_scan_reads_is_enriched_in_windows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    messages = [traces([chat(n), chat(n + 1)]).SerializeToString() for n in (1, 3, 5)]
    (together,) = Enricher(ESTIMATOR).protobuf(messages)
    scan = pieces_module.scan

    def scan_of_three(data: bytes, keys: Any, ends: Sequence[int] = ()) -> SpanTable:
        table = scan(data, keys, ends)
        if table.n > 3:
            raise WireError(0, "more than 3 spans")
        return table

    monkeypatch.setattr(pieces_module, "scan", scan_of_three)
    windows = list(Enricher(ESTIMATOR).protobuf(messages))
    assert [window.table.n for window in windows] == [2, 2, 2]
    assert [m for window in windows for m in window.messages] == together.messages
    (window,) = Enricher(ESTIMATOR).protobuf([traces([chat(n) for n in range(1, 5)]).SerializeToString()])
    assert [p.reason for _, p in window.problems] == ["more than 3 spans"]


def test_a_message_that_is_cut_off_is_not_completed_by_the_next_one() -> None:
    whole = traces([chat(1)]).SerializeToString()
    # A field that nobody knows, of as many bytes as the next message has.
    cut_off = b"\x22" + encode_varint(len(whole))
    (window,) = Enricher(ESTIMATOR).protobuf([cut_off, whole])
    (alone,) = Enricher(ESTIMATOR).protobuf([whole])
    assert window.messages == [cut_off, *alone.messages]
    assert [(at, p.reason) for at, p in window.problems] == [
        (0, "a field's length reaches past the end of its message")
    ]


def test_an_empty_span_at_the_end_of_a_message_is_no_span_of_the_next() -> None:
    empty = b"\x0a\x04\x12\x02\x12\x00"
    whole = traces([chat(1)]).SerializeToString()
    (window,) = Enricher(ESTIMATOR).protobuf([empty, whole])
    (alone,) = Enricher(ESTIMATOR).protobuf([whole])
    assert window.messages == [empty, *alone.messages]
    assert window.problems == []


def test_several_versions_of_the_attributes_are_written_of_one_estimate() -> None:
    once = [traces([chat(1), chat(2)]).SerializeToString(), traces([chat(3)]).SerializeToString()]
    (marked,) = Enricher(ESTIMATOR).protobuf([traces([chat(4)]).SerializeToString()])
    messages = [*once, *marked.messages]
    versions = [(profile, detail) for profile in PROFILES for detail in ("standard", "full")]
    both = Enricher(ESTIMATOR, profile="genai", detail="standard", also=versions)
    for window in (messages, once):
        (found,) = both.protobuf(window)
        assert len(found.also) == 6
        for (profile, detail), made in zip(versions, found.also, strict=True):
            alone = Enricher(ESTIMATOR, profile=profile, detail=detail)
            if window is once:
                list(alone.protobuf(messages))
            (expected,) = alone.protobuf(window)
            assert made == expected.messages
        assert found.messages == found.also[versions.index(("genai", "standard"))]


def test_messages_that_were_scanned_are_not_scanned_again(monkeypatch: pytest.MonkeyPatch) -> None:
    messages = [traces([chat(n), chat(n + 1)]).SerializeToString() for n in (1, 3)]
    (window,) = Enricher(ESTIMATOR).protobuf(messages)
    table = pieces_module.scan_messages(messages, KEYS)
    monkeypatch.delattr(pieces_module, "scan")
    (again,) = Enricher(ESTIMATOR).protobuf(messages, table)
    assert again.messages == window.messages
    assert again.table is table


COUNT = st.one_of(
    st.none(), st.integers(-5, 10**13), st.floats(), st.sampled_from(["7", "x", ""]), st.booleans()
)


@given(
    st.lists(
        st.tuples(
            st.integers(1, 6),
            st.integers(0, 6),
            st.integers(1, 2),
            st.sampled_from(["chat", "invoke_agent", "embeddings", "execute_tool", None]),
            COUNT,
            COUNT,
            st.sampled_from(["r1", "r2", None]),
            st.sampled_from(["gpt-4o", "my-own-model", "", None]),
        ),
        max_size=6,
    ),
    st.sampled_from(PROFILES),
    st.sampled_from(["standard", "full"]),
)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_any_trace_keeps_its_bytes_and_is_the_same_when_enriched_twice(
    rows: list[tuple[Any, ...]], profile: Any, detail: Any
) -> None:
    made = [
        chat(
            number,
            parent=parent,
            trace=trace,
            gen_ai__operation__name=operation,
            gen_ai__usage__input_tokens=n_in,
            gen_ai__usage__output_tokens=n_out,
            gen_ai__response__id=response,
            gen_ai__request__model=model,
        )
        for number, parent, trace, operation, n_in, n_out, response, model in rows
    ]
    data = traces(made).SerializeToString()
    out = enrich(data, profile=profile, detail=detail)
    assert without_own(out).SerializeToString() == data
    assert enrich(out, profile=profile, detail=detail) == out
    text = as_otlp_json(TracesData.FromString(data))
    assert [json.dumps(mark) for mark in marks(out)] == [
        json.dumps(mark)
        for mark in marks(
            from_otlp_json(enrich_json(text, profile=profile, detail=detail)).SerializeToString()
        )
    ]


@given(st.data())
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_damaged_bytes_never_raise_and_never_lose_a_span(data: st.DataObject) -> None:
    message = bytearray(traces([chat(1), chat(2), chat(3)]).SerializeToString() * 2)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(message) - 1))
        match data.draw(st.sampled_from(["flip", "cut", "insert", "delete"])):
            case "flip":
                message[place] = data.draw(st.integers(0, 255))
            case "cut":
                del message[place + 1 :]
            case "insert":
                message[place:place] = data.draw(st.binary(max_size=20))
            case "delete":
                del message[place : place + data.draw(st.integers(0, 20))]
        if not message:
            return
    raw = bytes(message)
    windows = list(Enricher(ESTIMATOR).protobuf([raw]))
    out = b"".join(part for window in windows for part in window.messages)
    assert len(out) >= len(raw)
    try:
        spans = spans_of(raw)
    except Exception:
        return
    assert len(spans_of(out)) == len(spans)


def test_an_enriched_window_says_what_was_found() -> None:
    window = enriched(traces([chat(1), chat(2, gen_ai__response__id="resp-1")]).SerializeToString())
    assert {field.name for field in dataclasses.fields(window)} >= {"calls", "estimates", "reading", "table"}
    assert window.calls.input_tokens.tolist() == [1000]
    assert len(window.estimates) == 1
