"""From a lake to a sealed figure: the same energy as the estimator's, to 1e-12, and what the gate is told."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from pathlib import Path

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.disclosure.sealed_rows import NOW
from tests.otlp.otlp_spans import chat, span, traces
from wattspan.disclosure import Reason, refusals
from wattspan.disclosure.aggregate import Aggregates, aggregate
from wattspan.disclosure.cells import read_cells, write_cells
from wattspan.disclosure.figure import reckon
from wattspan.disclosure.prepare import sealed_of
from wattspan.disclosure.subject import Period
from wattspan.estimator import Estimator
from wattspan.lake.features import FeatureRules
from wattspan.lake.reader import open_snapshot
from wattspan.lake.rules import FeatureRule
from wattspan.lake.seal import Sealer
from wattspan.lake.spans import SpanSource
from wattspan.lake.writer import LakeWriter

JULY_NS = 1_782_900_000_000_000_000
"""2026-07-01 10:00 UTC."""
DAY_NS = 86_400 * 10**9
RULES = FeatureRules(
    [FeatureRule(feature="summary", route="/summaries"), FeatureRule(feature="search", route="/search*")]
)
RELEASED = {"2026.11": "released"}


def request(
    trace: int, route: str, calls: Iterable[Span], *, start: int = JULY_NS, **fields: object
) -> list[Span]:
    """A user's request: a server span over its model calls."""
    root = span(
        1, {"http.route": route}, trace=trace, name="POST", kind=2, start=start, end=start + 10**9, **fields
    )
    return [root, *calls]


def call(number: int, trace: int, start: int = JULY_NS, **changes: object) -> Span:
    begin = start + number * 10**7
    return chat(number, trace=trace, parent=1, start=begin, end=begin + 10**6, **changes)


def lake_of(folder: Path, spans: Iterable[Span], rate: float | None = 1.0) -> Path:
    sealer = Sealer(Estimator(), RULES, rate)
    with LakeWriter(folder, sealer) as writer:
        writer.ingest([SpanSource(RULES.keys).request(traces(spans).SerializeToString())])
        writer.seal_all()
    return folder


def aggregates(folder: Path, period: str = "2026Q3", gap_rule: str = "mean_of_model", now=NOW) -> Aggregates:
    return aggregate(open_snapshot(folder), Period.of(period), RELEASED, now, gap_rule)


@pytest.fixture
def july(tmp_path: Path) -> Path:
    spans: list[Span] = []
    for trace in range(1, 41):
        start = JULY_NS + trace * DAY_NS // 4
        spans += request(
            trace,
            "/summaries",
            [
                call(
                    2,
                    trace,
                    start,
                    gen_ai__usage__input_tokens=1000 + trace,
                    gen_ai__usage__output_tokens=50 * trace,
                ),
                call(
                    3,
                    trace,
                    start,
                    gen_ai__response__model="claude-sonnet-4-5",
                    gen_ai__provider__name="anthropic",
                ),
            ],
            start=start,
        )
    for trace in range(41, 44):
        spans += request(trace, "/search", [call(2, trace)])
    return lake_of(tmp_path / "lake", spans)


def test_the_sealed_energy_is_that_of_the_estimator_to_1e_12(july: Path) -> None:
    connection = open_snapshot(july).connect()
    floats = connection.execute(
        "SELECT sum(energy_kwh), sum(co2e_g), sum(embodied_g) FROM spans WHERE feature = 'summary'"
    ).fetchone()
    found = reckon(sealed_of(aggregates(july), "summary", "mean_of_model"), "summary")
    assert float(found.energy_kwh) == pytest.approx(floats[0], rel=1e-12)
    # the intensity of the hour is sealed in whole micrograms per kWh
    assert float(found.use_kg * 1000) == pytest.approx(floats[1], rel=1e-8)
    assert float(found.embodied_kg * 1000) == pytest.approx(floats[2], rel=1e-12)
    assert (found.completed, found.failed, found.calls) == (40, 0, 80)
    assert found.request_coverage == 1


def test_the_same_spans_give_the_same_rows_whatever_the_order_they_came_in(tmp_path: Path) -> None:
    traces_of = [
        request(trace, "/summaries", [call(2, trace, start)], start=start)
        for trace, start in ((n, JULY_NS + n * DAY_NS // 3) for n in range(1, 20))
    ]
    rows = []
    for name, ordered in (("one", traces_of), ("two", traces_of[::-1])):
        # a segment a trace: files in another order, and other groups of them
        for spans in ordered:
            lake_of(tmp_path / name, spans)
        rows.append(write_cells(aggregates(tmp_path / name).cells))
    assert rows[0] == rows[1]
    assert write_cells(read_cells(rows[0])) == rows[0]


def test_only_days_of_the_period_count(july: Path) -> None:
    # traces 1 to 40 begin every quarter of a day from July 1st, 16:00 on
    july_days = {cell.day for cell in aggregates(july, "2026-07").cells}
    assert min(july_days) == "2026-07-01"
    assert max(july_days) == "2026-07-11"
    assert aggregates(july, "2026-08").cells == ()


def test_calls_without_usage_make_their_request_uncovered(tmp_path: Path) -> None:
    silent = {"gen_ai__usage__input_tokens": None, "gen_ai__usage__output_tokens": None}
    spans = [
        *request(1, "/summaries", [call(2, 1)]),
        *request(2, "/summaries", [call(2, 2), call(3, 2, **silent)]),
    ]
    found = aggregates(lake_of(tmp_path, spans))
    (count,) = found.requests
    assert (count.completed, count.covered) == (2_000_000, 1_000_000)
    assert found.facts.coverage == pytest.approx(2 / 3)
    assert Reason.LOW_COVERAGE in {r.reason for r in refusals(aggregates(tmp_path, gap_rule="none").facts)}
    figure = reckon(sealed_of(found, "summary", "mean_of_model"), "summary")
    without = reckon(sealed_of(found, "summary", "none"), "summary")
    assert float(figure.energy_kwh / without.energy_kwh) == pytest.approx(1.5)


def test_failed_requests_are_in_the_energy_and_not_in_the_number(tmp_path: Path) -> None:
    failed = {"status": {"code": 2}}
    spans = [*request(1, "/summaries", [call(2, 1)]), *request(2, "/summaries", [call(2, 2)], **failed)]
    found = reckon(sealed_of(aggregates(lake_of(tmp_path, spans)), "summary", "none"), "summary")
    assert (found.completed, found.failed, found.calls) == (1, 1, 2)


def test_a_sampled_trace_stands_for_those_that_were_dropped(tmp_path: Path) -> None:
    # th:c rejects three quarters
    spans = request(1, "/summaries", [call(2, 1, trace_state="ot=th:c")], trace_state="ot=th:c")
    found = reckon(sealed_of(aggregates(lake_of(tmp_path, spans)), "summary", "none"), "summary")
    assert (found.completed, found.calls) == (4, 4)
    (cell,) = aggregates(tmp_path).cells
    assert (cell.sampling, cell.rows) == ("traced", 1)


def test_the_gate_is_told_what_it_must_know(july: Path) -> None:
    assert refusals(aggregates(july).facts) == ()
    open_period = aggregates(july, now=dt.datetime(2026, 9, 30, tzinfo=dt.UTC)).facts
    assert [r.reason for r in refusals(open_period)] == [Reason.OPEN_PERIOD]
    draft = aggregate(open_snapshot(july), Period.of("2026Q3"), {"2026.11": "draft"}, NOW, "none").facts
    assert [r.reason for r in refusals(draft)] == [Reason.UNRELEASED_EDITION]


def test_energy_of_no_feature_is_refused_above_its_share(tmp_path: Path) -> None:
    spans = [*request(1, "/summaries", [call(2, 1)]), *request(2, "/else", [call(2, 2)])]
    found = aggregates(lake_of(tmp_path, spans))
    assert found.facts.unmapped_share == pytest.approx(0.5)
    assert [r.reason for r in refusals(found.facts)] == [Reason.UNMAPPED]
    assert found.features == ("summary",)


def test_an_empty_period_is_refused(july: Path) -> None:
    reasons = {r.reason for r in refusals(aggregates(july, "2025Q1").facts)}
    assert Reason.NO_FIGURE in reasons
