from __future__ import annotations

import math

import pytest
from span_trees import Span, call, rows_of

from wattspan.lake.sampling import weights


def weighed(rate: float | None, *traces: list[Span]) -> list[tuple[float, str]]:
    found = weights(*rows_of(*traces), rate)
    return list(zip(found.weight.tolist(), found.sampling.texts(), strict=True))


def test_the_trace_state_says_how_many_traces_a_span_stands_for() -> None:
    traces = [[Span("a", [call()], kept=0.25)], [Span("b", [call()])]]
    assert weighed(0.5, *traces) == [(4.0, "traced")] * 2 + [(2.0, "configured")] * 2


def test_a_span_without_a_trace_state_has_that_of_the_nearest_span_above_it() -> None:
    trace = [
        Span("a", [Span("b", [Span("c", [call()])], kept=0.25), Span("d")], kept=0.5),
        Span("lost", [call()], is_orphan=True),
    ]
    assert [weight for weight, _ in weighed(None, trace)] == [2, 4, 4, 4, 2, 2, 2]


def test_spans_above_the_first_that_says_something_have_its_weight_too() -> None:
    assert [weight for weight, _ in weighed(None, [Span("a", [Span("b", [call()], kept=0.1)])])] == [
        10,
        10,
        10,
    ]


def test_a_trace_that_is_kept_for_certain_is_not_sampled() -> None:
    assert weighed(0.5, [Span("a", [call()], kept=1.0)]) == [(1.0, "all")] * 2
    assert weighed(1.0, [Span("a", [call()])]) == [(1.0, "all")] * 2


def test_where_nobody_says_the_rate_it_is_unknown_and_not_guessed() -> None:
    assert weighed(None, [Span("a", [call()])]) == [(1.0, "unknown")] * 2


@pytest.mark.parametrize("absurd", [0.0, -1.0, 1.5, math.inf])
def test_an_absurd_trace_state_says_nothing(absurd: float) -> None:
    assert weighed(None, [Span("a", [call()], kept=absurd)])[0] == (1.0, "unknown")


@pytest.mark.parametrize("rate", [0.0, -0.5, 1.01])
def test_a_rate_out_of_range_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="share of traces kept"):
        weights(*rows_of([call()]), rate)
