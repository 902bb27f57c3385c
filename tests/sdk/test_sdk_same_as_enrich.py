"""The spans of the in-process exporter against `wattspan enrich`: the same bytes by two routes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from sdk_spans import CAPTURES, by_id, captured, ours, plain, sent

from wattspan.estimator import Estimator
from wattspan.otlp.enrich import Enricher
from wattspan.sdk import Settings
from wattspan.sdk.enricher import SpanEnricher

ESTIMATOR = Estimator()
BINPB = sorted(CAPTURES.rglob("*.binpb"))


def by_bytes(data: bytes, **options: Any) -> bytes:
    (window,) = Enricher(ESTIMATOR, **options).protobuf([data])
    return window.messages[0]


def in_process(data: bytes, **options: Any) -> dict[bytes, Any]:
    enricher = SpanEnricher(Settings(metrics=False, **options))
    spans = enricher.enriched(captured(data))
    assert enricher.failed_spans == 0
    return sent(spans)


@pytest.mark.parametrize("path", BINPB, ids=lambda path: path.stem)
def test_every_captured_instrumentation_gets_the_attributes_of_wattspan_enrich(path: Path) -> None:
    data = path.read_bytes()
    expected, found = by_id(by_bytes(data)), in_process(data)
    assert found.keys() == expected.keys()
    for span_id, span in expected.items():
        assert plain(found[span_id].attributes) == plain(span.attributes)
    assert any(ours(span) for span in found.values()) == any(ours(span) for span in expected.values())


@pytest.mark.parametrize("profile", ["genai", "wattspan", "both"])
@pytest.mark.parametrize("detail", ["standard", "full"])
def test_profiles_and_details_are_those_of_wattspan_enrich(profile: Any, detail: Any) -> None:
    data = (CAPTURES / "otel_genai_openai.binpb").read_bytes()
    expected = by_id(by_bytes(data, profile=profile, detail=detail))
    found = in_process(data, profile=profile, detail=detail)
    assert {key: ours(span) for key, span in found.items()} == {
        key: ours(span) for key, span in expected.items()
    }


@pytest.mark.parametrize("before", ["genai", "wattspan", "both"])
@pytest.mark.parametrize("after", ["genai", "wattspan"])
def test_spans_that_carry_our_attributes_get_what_wattspan_enrich_gives_them(before: Any, after: Any) -> None:
    data = by_bytes((CAPTURES / "strands.binpb").read_bytes(), profile=before, detail="full")
    expected = by_id(by_bytes(data, profile=after))
    found = in_process(data, profile=after)
    for span_id, span in expected.items():
        assert plain(found[span_id].attributes) == plain(span.attributes)


def test_enriching_twice_leaves_the_spans_themselves() -> None:
    data = (CAPTURES / "otel_genai_openai.binpb").read_bytes()
    once = SpanEnricher(Settings(metrics=False)).enriched(captured(data))
    twice = SpanEnricher(Settings(metrics=False)).enriched(once)
    assert [id(span) for span in twice] == [id(span) for span in once]


def test_batches_of_one_span_each_find_the_copies_that_wattspan_enrich_finds_in_such_messages() -> None:
    data = (CAPTURES / "strands.binpb").read_bytes()
    spans = captured(data)
    enricher = SpanEnricher(Settings(metrics=False))
    found = sent([one for span in spans for one in enricher.enriched([span])])
    stream = Enricher(ESTIMATOR)
    expected: dict[bytes, Any] = {}
    for span in spans:
        (window,) = stream.protobuf([encode_spans([span]).SerializeToString()])
        expected |= by_id(window.messages[0])
    assert {key: ours(span) for key, span in found.items()} == {
        key: ours(span) for key, span in expected.items()
    }
