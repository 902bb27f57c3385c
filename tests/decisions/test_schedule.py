import math
from dataclasses import replace

import numpy as np
import pytest

from wattspan import Estimator
from wattspan.calls import Factor
from wattspan.decisions import NoOutlookError, Outlook, Site, Work, best_start, choose
from wattspan.decisions.regions import UnknownRegionError, place_of
from wattspan.decisions.schedule import ScheduleError, drift
from wattspan.grid import Kind

HOUR = 3600
AVERAGE = Kind("average", "lifecycle")
MARGINAL = Kind("marginal", "direct")


@pytest.fixture(scope="module")
def estimator() -> Estimator:
    return Estimator(resolution="typical-hour")


@pytest.fixture(scope="module")
def site(estimator: Estimator):
    def at(region: str, energy_kwh: float = 2.0, factors: tuple[Factor, ...] = ()) -> Site:
        return Site(region, place_of(estimator.places, region), energy_kwh, factors)

    return at


class Hours:
    """A forecast that says what it is told, hour by hour from 0 on, for the places it is told of."""

    def __init__(self, g_per_kwh, kind=AVERAGE, factors=(), hour_key="", regions=None) -> None:
        self.kind = kind
        self._regions = regions
        self._outlook = Outlook(
            kind, "hour", "a test", 0, HOUR, np.array(g_per_kwh, float), factors, hour_key
        )

    def outlook(self, place, start_unix_s, end_unix_s):
        if self._regions is not None and place.region not in self._regions:
            raise NoOutlookError(f"no {place.region}")
        return self._outlook


def asked(sites, *forecasts, duration_s=2 * HOUR, now=0, deadline=6 * HOUR):
    return choose(sites, forecasts, duration_s=duration_s, now_unix_s=now, deadline_unix_s=deadline)


def test_the_lowest_two_hours_are_chosen_and_the_savings_are_those_of_the_means(site):
    decision = asked([site("eu-west-3")], Hours([100, 300, 200, 50, 150, 400]))
    assert (decision.best.start_unix_s, decision.best.g_per_kwh) == (3 * HOUR, 100.0)
    assert decision.best.co2e_g == 200.0  # 2 kWh x 100 g/kWh
    assert (decision.now.g_per_kwh, decision.worst.start_unix_s) == (200.0, 4 * HOUR)
    assert decision.saving_against_now.central == pytest.approx(0.5)
    assert decision.saving_against_worst.central == pytest.approx(1 - 100 / 275)


def test_starts_between_the_hours_are_found_where_an_end_meets_an_edge(site):
    # 90 minutes: all of hour 2 (20 g) and half of hour 3 (60 g) beat half of hour 1 (80 g) and hour 2
    decision = asked([site("eu-west-3")], Hours([500, 80, 20, 60, 500]), duration_s=5400, deadline=5 * HOUR)
    assert decision.best.start_unix_s == 2 * HOUR
    assert decision.best.g_per_kwh == pytest.approx((20 * 60 + 60 * 30) / 90)
    # ending at the edge of hour 3 is best if hour 3 is the dirtier one
    decision = asked([site("eu-west-3")], Hours([500, 60, 20, 80, 500]), duration_s=5400, deadline=5 * HOUR)
    assert decision.best.start_unix_s == 1.5 * HOUR


def test_starting_in_the_middle_of_an_hour_takes_its_rest(site):
    decision = asked([site("eu-west-3")], Hours([100, 200, 300, 400, 500, 600]), now=HOUR // 2)
    assert decision.best == decision.now
    assert decision.now.g_per_kwh == pytest.approx((100 / 2 + 200 + 300 / 2) / 2)
    assert decision.saving_against_now == (0.0, 0.0, 0.0)


def test_the_deadline_is_when_the_batch_is_done(site):
    hours = Hours([100, 90, 80, 70, 10, 10])
    assert asked([site("eu-west-3")], hours, deadline=5 * HOUR).best.start_unix_s == 3 * HOUR
    assert asked([site("eu-west-3")], hours, deadline=2 * HOUR).best.start_unix_s == 0
    with pytest.raises(ScheduleError, match="7199 s away and the batch takes 7200 s"):
        asked([site("eu-west-3")], hours, deadline=2 * HOUR - 1)


def test_among_starts_that_are_alike_the_earliest_is_taken(site):
    assert asked([site("eu-west-3")], Hours([300, 100, 100, 300, 100, 100])).best.start_unix_s == HOUR


def test_regions_are_weighed_with_the_energy_that_they_take(site):
    first, second = site("eu-west-3", 2.0), site("us-east-1", 1.0)
    decision = asked([first, second], Hours([100, 100, 100, 100, 100, 100]))
    assert (decision.best.site.name, decision.now.site.name) == ("us-east-1", "eu-west-3")
    assert decision.saving_against_now.central == pytest.approx(0.5)
    assert [choice.co2e_g for choice in decision.best_by_site] == [200.0, 100.0]


@pytest.mark.parametrize(("hours", "expected"), [(0, 0.0), (10, 0.675801), (1000, 0.85)])
def test_errors_of_blocks_drift_apart_with_the_hours_between_them(hours, expected):
    # 0.85 sqrt(1 - e^-1) = 0.675801
    assert drift(hours * HOUR) == pytest.approx(expected, abs=1e-6)
    assert drift(-hours * HOUR) == drift(hours * HOUR)


def test_in_one_zone_only_the_error_of_the_hour_is_left(site):
    """Ten hours apart: ln g of the ratio is 0.675801 x ln 1.5 = 0.274014; e^(1.64 x 0.274014) = 1.567344."""
    error = Factor("zone:FR", math.log(1.5))
    level = Factor("age:FR", math.log(2.0))
    hours = Hours([100] * 10 + [50] * 2, factors=(error, level), hour_key="zone:FR")
    batch = site("eu-west-3", 1.0, (Factor("model:x", math.log(3.0)),))
    saving = asked([batch], hours, deadline=12 * HOUR).saving_against_now
    assert saving == pytest.approx((0.5, 0.2163279, 0.6809890), abs=1e-6)


def test_between_regions_their_own_errors_are_left_and_the_models_cancel(site):
    """ln^2 of 1.2, 1.3, 1.25 and 1.25 add up to 0.201662; e^(1.64 x 0.449067) = 2.088554."""
    shared = Factor("model:x", math.log(3.0))
    batch = [
        site("eu-west-3", 1.0, (shared, Factor("facility:a", math.log(1.25)))),
        site("us-east-1", 1.0, (shared, Factor("facility:b", math.log(1.25)))),
    ]

    class TwoZones(Hours):
        def outlook(self, place, start_unix_s, end_unix_s):
            level, g = (200, 1.2) if place.region == "eu-west-3" else (100, 1.3)
            factors = (Factor(f"zone:{place.region}", math.log(g)),)
            return replace(self._outlook, g_per_kwh=np.full(6, float(level)), factors=factors)

    saving = asked(batch, TwoZones([0] * 6)).saving_against_now
    assert saving == pytest.approx((0.5, 1 - 0.5 * 2.088554, 1 - 0.5 / 2.088554), abs=1e-6)


def test_a_marginal_forecast_decides_before_an_average_one_whatever_the_order(site):
    average = Hours([10, 10, 300, 300, 300, 300], factors=())
    marginal = Hours([500, 500, 500, 500, 100, 100], MARGINAL, factors=None)
    decision = asked([site("eu-west-3")], average, marginal)
    assert (decision.kind, decision.best.start_unix_s) == (MARGINAL, 4 * HOUR)
    assert decision.saving_against_now.central == pytest.approx(0.8)
    assert math.isnan(decision.saving_against_now.low)
    assert decision.as_dict()["saving_against_now"] == {
        "central": pytest.approx(0.8), "low": None, "high": None,
    }  # fmt: skip


def test_a_forecast_of_some_of_the_regions_is_passed_over_for_all_of_them(site):
    marginal = Hours([1] * 6, MARGINAL, regions=["eu-west-3"])
    average = Hours([100] * 6)
    decision = asked([site("eu-west-3"), site("us-east-1")], marginal, average)
    assert {outlook.kind for outlook in decision.outlooks} == {AVERAGE}
    assert decision.passed_over == ("marginal direct: no us-east-1",)
    with pytest.raises(ScheduleError, match="no intensity for this choice: marginal direct: no us-east-1"):
        asked([site("us-east-1")], marginal)


def test_now_is_clean_when_it_emits_hardly_more_than_the_best_start(site):
    decision = asked([site("eu-west-3")], Hours([101, 101, 100, 100, 300, 300]))
    assert decision.seconds_to_wait() == 2 * HOUR
    assert decision.seconds_to_wait(within=0.01) == 0


def test_california_in_november_waits_for_the_sun(estimator):
    """208 g/kWh in 2025; factors of 18 to 21 h UTC 0.8001, 0.7964, 0.7891, 0.7860; PUE 1.18."""
    work = Work("gpt-4o", 1000, 1000, 300)
    now = 1_795_392_000  # 2026-11-23T00:00Z
    decision = best_start(
        estimator, work, ["us-west-1"], duration_s=4 * HOUR, now_unix_s=now, deadline_unix_s=now + 24 * HOUR
    )
    assert decision.as_dict()["best"]["start"] == "2026-11-23T18:00Z"
    assert decision.best.g_per_kwh == pytest.approx(208 * (0.8001 + 0.7964 + 0.7891 + 0.7860) / 4, rel=1e-9)
    assert decision.now.g_per_kwh == pytest.approx(208 * (1.2170 + 1.2676 + 1.2685 + 1.2770) / 4, rel=1e-9)
    assert decision.worst.g_per_kwh == pytest.approx(208 * (1.3436 + 1.3429 + 1.3411 + 1.3411) / 4, rel=1e-9)
    # the error of the hour, x1.553, 18 h apart: 0.85 sqrt(1 - e^(-1.8^1.5)) = 0.811128
    times = math.exp(1.64 * 0.811128 * math.log(1.553))
    left = 3.1716 / 5.0301
    assert decision.saving_against_now == pytest.approx(
        (1 - left, 1 - left * times, 1 - left / times), abs=1e-5
    )
    one = estimator.estimate_call(model="gpt-4o", input_tokens=1000, output_tokens=300, region="us-west-1")
    assert decision.best.site.energy_kwh == pytest.approx(1000 * one.energy_kwh, rel=1e-12)


def test_an_estimator_of_annual_values_compares_regions_only():
    decision = best_start(
        Estimator(), Work("gpt-4o", 1, 1000, 300), ["us-east-1", "aws/eu-west-3"],
        duration_s=HOUR, now_unix_s=1_795_392_000, deadline_unix_s=1_795_392_000 + 24 * HOUR,
    )  # fmt: skip
    assert decision.best.start_unix_s == decision.now.start_unix_s
    # PJM 418 at PUE 1.15 against France 31 at 1.11
    assert decision.saving_against_now.central == pytest.approx(1 - 31 * 1.11 / (418 * 1.15), rel=1e-9)
    assert decision.outlooks[0].resolution == "annual"


def test_wrong_input_is_refused_with_what_is_allowed(estimator):
    def ask(regions=("us-west-1",), duration_s=HOUR, **work):
        return best_start(
            estimator, Work(**{"model": "gpt-4o", "input_tokens": 10, **work}), regions,
            duration_s=duration_s, now_unix_s=0, deadline_unix_s=24 * HOUR,
        )  # fmt: skip

    with pytest.raises(UnknownRegionError, match=r"no region 'us-wst-1'; did you mean us-west-1"):
        ask(["us-wst-1"])
    with pytest.raises(UnknownRegionError, match="no region 'azure/eu-west-3'"):
        ask(["azure/eu-west-3"])
    with pytest.raises(ScheduleError, match="at least one region"):
        ask([])
    with pytest.raises(ScheduleError, match="give calls and input or output tokens"):
        ask(input_tokens=0)
    with pytest.raises(ScheduleError, match="the duration is 0 s"):
        ask(duration_s=0)
