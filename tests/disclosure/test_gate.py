"""Why estimates must not be disclosed: each reason alone, all of them together, and none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wattspan.disclosure import Facts, Limits, Reason, RefusedError, location_based_kind, refusals
from wattspan.grid import Kind

AVERAGE = Kind("average", "lifecycle")
DIRECT = Kind("average", "direct")
MARGINAL = Kind("marginal", "direct")
GOOD = Facts(
    kinds=frozenset({AVERAGE}),
    editions={"2026.11": "released"},
    coverage=0.99,
    unmapped_share=0.0,
    is_period_over=True,
)


def reasons(facts: Facts) -> list[Reason]:
    return [refusal.reason for refusal in refusals(facts)]


def test_whole_average_figures_of_a_released_edition_are_not_refused() -> None:
    assert refusals(GOOD) == ()
    assert refusals(replace(GOOD, kinds=frozenset({DIRECT}))) == ()


def test_marginal_carbon_is_refused_and_the_rule_is_quoted() -> None:
    (refusal,) = refusals(replace(GOOD, kinds=frozenset({MARGINAL})))
    assert str(refusal) == (
        "marginal: carbon is marginal direct; a location-based inventory must not use marginal factors (GHG "
        "Protocol, Scope 2 Guidance 2015); estimate anew with grid.signal: average"
    )


def test_marginal_beside_average_is_refused_for_being_marginal_and_for_being_mixed() -> None:
    found = replace(GOOD, kinds=frozenset({DIRECT, MARGINAL}))
    assert reasons(found) == [Reason.MARGINAL, Reason.MIXED_SIGNALS]
    everything = replace(GOOD, kinds=frozenset({AVERAGE, MARGINAL}))
    assert reasons(everything) == [Reason.MARGINAL, Reason.MIXED_SIGNALS, Reason.MIXED_FACTOR_TYPES]


def test_lifecycle_beside_direct_is_refused() -> None:
    (refusal,) = refusals(replace(GOOD, kinds=frozenset({AVERAGE, DIRECT})))
    assert refusal.reason is Reason.MIXED_FACTOR_TYPES
    assert "average direct, average lifecycle; a sum of both is neither" in refusal.found


def test_no_carbon_figure_at_all_is_refused() -> None:
    assert reasons(replace(GOOD, kinds=frozenset())) == [Reason.NO_FIGURE]


@pytest.mark.parametrize("status", ["draft", "unknown", ""])
def test_edition_that_is_not_released_is_refused(status: str) -> None:
    (refusal,) = refusals(replace(GOOD, editions={"2026.11": status}))
    assert refusal.reason is Reason.UNRELEASED_EDITION
    assert f"edition 2026.11 is {status}: its figures may still change" in refusal.found


def test_estimates_of_two_editions_are_refused() -> None:
    both = replace(GOOD, editions={"2026.11": "released", "2027.02": "released"})
    assert reasons(both) == [Reason.SEVERAL_EDITIONS]
    draft = replace(GOOD, editions={"2026.11": "released", "2027.02": "draft"})
    assert reasons(draft) == [Reason.UNRELEASED_EDITION, Reason.SEVERAL_EDITIONS]


def test_low_coverage_is_refused_unless_the_gap_has_a_rule() -> None:
    (refusal,) = refusals(replace(GOOD, coverage=0.9))
    assert "90.0% of the calls have a figure, 95% are needed" in str(refusal)
    assert refusals(replace(GOOD, coverage=0.95)) == ()
    assert refusals(replace(GOOD, coverage=0.5, gap_rule="mean of the model's other calls")) == ()


def test_energy_without_a_feature_is_refused_above_its_share() -> None:
    assert reasons(replace(GOOD, unmapped_share=0.011)) == [Reason.UNMAPPED]
    assert refusals(replace(GOOD, unmapped_share=0.01)) == ()
    assert refusals(replace(GOOD, unmapped_share=0.2), Limits(most_unmapped=0.25)) == ()


def test_open_period_is_refused() -> None:
    assert reasons(replace(GOOD, is_period_over=False)) == [Reason.OPEN_PERIOD]


def test_every_reason_is_told_at_once() -> None:
    worst = Facts(
        kinds=frozenset({AVERAGE, MARGINAL}),
        editions={"2026.11": "draft", "2027.02": "draft"},
        coverage=0.1,
        unmapped_share=1.0,
        is_period_over=False,
    )
    assert set(reasons(worst)) == set(Reason) - {Reason.NO_FIGURE}


def test_location_based_kind_is_the_one_average_kind_or_an_error() -> None:
    assert location_based_kind([AVERAGE, AVERAGE]) == AVERAGE
    for kinds, reason in (
        ([MARGINAL], Reason.MARGINAL),
        ([AVERAGE, DIRECT], Reason.MIXED_FACTOR_TYPES),
        ([], Reason.NO_FIGURE),
    ):
        with pytest.raises(RefusedError) as caught:
            location_based_kind(kinds)
        assert [refusal.reason for refusal in caught.value.refusals] == [reason]
