"""WattTime: tokens, ranges, units, and its two signals, which are two kinds."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.grid.feeds.limits import FAST
from tests.grid.server.apis import DAY_S, HOUR_S, NGINX_403, PASSWORD, USER, Apis, Fault, unix_s
from wattspan.grid.feeds import watttime
from wattspan.grid.feeds.errors import (
    FeedAccessError,
    FeedAnswerError,
    FeedKeyError,
    FeedRequestError,
    WrongKindError,
    WrongZoneError,
)
from wattspan.grid.feeds.watttime import WattTime
from wattspan.grid.intensity import Kind
from wattspan.places import Region

MARCH = unix_s("2026-03-01T00:00Z")
ZONE = "CAISO_NORTH"
US_WEST_1 = Region(
    "aws", "us-west-1", "San Francisco", "US", "US-CAL-CISO", latitude=37.77, longitude=-122.42
)
PARIS = dataclasses.replace(US_WEST_1, name="eu-west-3", latitude=48.86, longitude=2.35)


@pytest.fixture
def feed(apis: Apis):
    made = WattTime(USER, PASSWORD, base_url=apis.url, limits=FAST)
    yield made
    made.close()


def test_pounds_a_megawatt_hour_become_grams_a_kilowatt_hour(feed: WattTime) -> None:
    (series,) = feed.fetch(ZONE, MARCH, MARCH + 600)
    # 100 lb/MWh = 45.359237 g/kWh.
    assert series.g_per_kwh.tolist() == pytest.approx([45.359237, 45.359237], rel=1e-15)
    assert series.start_unix_s.tolist() == [MARCH, MARCH + 300]
    assert (series.kind, series.resolution, series.period_s) == (Kind("marginal", "direct"), "5-minute", 300)
    assert (series.source, series.vintage) == ("WattTime v3 co2_moer", "model 2023-03-01")


def test_average_rates_are_another_kind_under_another_name(apis: Apis, feed: WattTime) -> None:
    average = WattTime(USER, PASSWORD, signal_type="co2_aoer", base_url=apis.url, limits=FAST)
    (series,) = average.fetch(ZONE, MARCH, MARCH + 2 * HOUR_S)
    assert series.g_per_kwh.tolist() == pytest.approx([45.359237, 45.81282937], rel=1e-12)
    assert (average.kind, series.resolution) == (Kind("average", "direct"), "hour")
    assert average.name != feed.name
    with pytest.raises(FeedRequestError, match="co2_aoer has no forecast"):
        average.forecast(ZONE, 24)
    average.close()


def test_long_range_is_cut_to_what_the_api_takes_with_every_point_once(apis: Apis, feed: WattTime) -> None:
    pieces = list(feed.fetch(ZONE, MARCH, MARCH + 70 * DAY_S))
    assert [query["end"] for query in apis.asked("historical")] == [
        "2026-03-30T23:55+00:00",
        "2026-04-29T23:55+00:00",
        "2026-05-09T23:55+00:00",
    ]
    starts = np.concatenate([piece.start_unix_s for piece in pieces])
    assert len(starts) == 70 * 288
    assert len(np.unique(starts)) == len(starts)


def test_imputed_points_are_estimated(apis: Apis, feed: WattTime) -> None:
    def imputed(answer: dict) -> dict:
        return {**answer, "data": [{**row, "imputed_data_used": True} for row in answer["data"]]}

    apis.faults = [Fault(path="historical", change=imputed)]
    (series,) = feed.fetch(ZONE, MARCH, MARCH + 300)
    assert series.is_estimated.tolist() == [True]


def test_warnings_are_passed_on(apis: Apis, feed: WattTime) -> None:
    def warned(answer: dict) -> dict:
        return {**answer, "meta": {**answer["meta"], "warnings": ["region will be retired"]}}

    apis.faults = [Fault(path="historical", change=warned)]
    (series,) = feed.fetch(ZONE, MARCH, MARCH + 300)
    assert series.warnings == ("region will be retired",)


def test_one_login_serves_many_requests(apis: Apis, feed: WattTime) -> None:
    for _ in range(3):
        list(feed.fetch(ZONE, MARCH, MARCH + 300))
    assert len(apis.asked("/login")) == 1


def test_token_is_renewed_before_its_half_hour_is_over(
    apis: Apis, feed: WattTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = [1000.0]
    monkeypatch.setattr(watttime.time, "monotonic", lambda: moment[0])
    apis.tokens = type("Always", (dict,), {"get": lambda *_: 1e18})()
    list(feed.fetch(ZONE, MARCH, MARCH + 300))
    moment[0] += 24 * 60
    list(feed.fetch(ZONE, MARCH, MARCH + 300))
    assert len(apis.asked("/login")) == 1
    moment[0] += 2 * 60
    list(feed.fetch(ZONE, MARCH, MARCH + 300))
    assert len(apis.asked("/login")) == 2


def test_token_that_died_early_is_renewed_and_the_request_repeated(apis: Apis, feed: WattTime) -> None:
    list(feed.fetch(ZONE, MARCH, MARCH + 300))
    apis.tokens = dict.fromkeys(apis.tokens, 0.0)
    (series,) = feed.fetch(ZONE, MARCH, MARCH + 300)
    assert len(series) == 1
    assert len(apis.asked("/login")) == 2


def test_wrong_password_is_a_key_error_though_it_comes_as_html(apis: Apis) -> None:
    feed = WattTime(USER, "wrong", base_url=apis.url, limits=FAST)
    with pytest.raises(FeedKeyError, match=r"login refused: answered 403 \(HTML: 403 Forbidden"):
        list(feed.fetch(ZONE, MARCH, MARCH + 300))
    assert len(apis.requests) == 1
    feed.close()


def test_region_outside_the_plan_is_an_access_error_and_no_reason_to_log_in_again(
    apis: Apis, feed: WattTime
) -> None:
    with pytest.raises(FeedAccessError, match=r"zone PJM_DC.*Invalid scope"):
        list(feed.fetch("PJM_DC", MARCH, MARCH + 300))
    assert len(apis.asked("/login")) == 1


def test_refusal_of_a_fresh_token_ends_after_one_renewal(apis: Apis, feed: WattTime) -> None:
    apis.faults = [Fault(path="historical", status=403, body=NGINX_403)]
    with pytest.raises(FeedKeyError, match="a new token is refused too"):
        list(feed.fetch(ZONE, MARCH, MARCH + 300))
    assert len(apis.asked("/login")) == 2


def test_login_without_a_token_is_a_key_error(apis: Apis, feed: WattTime) -> None:
    apis.faults = [Fault(path="/login", body="{}")]
    with pytest.raises(FeedKeyError, match="login gave no token"):
        list(feed.fetch(ZONE, MARCH, MARCH + 300))


def test_neither_password_nor_token_is_in_any_error(apis: Apis, feed: WattTime) -> None:
    list(feed.fetch(ZONE, MARCH, MARCH + 300))
    (token,) = apis.tokens
    apis.faults = [Fault(status=500, body=f"{PASSWORD} {token}")]
    with pytest.raises(Exception, match=r"\*\*\* \*\*\*") as caught:
        list(feed.fetch(ZONE, MARCH, MARCH + 300))
    assert PASSWORD not in str(caught.value)
    assert token not in str(caught.value)


def test_region_of_a_place_is_asked_for_by_coordinates(apis: Apis, feed: WattTime) -> None:
    assert feed.zone_of(US_WEST_1) is None
    assert feed.locate(US_WEST_1) == "CAISO_NORTH"
    assert apis.asked("region-from-loc") == [
        {"latitude": "37.7700", "longitude": "-122.4200", "signal_type": "co2_moer"}
    ]
    assert feed.locate(PARIS) == ""


def test_named_region_needs_no_asking(apis: Apis) -> None:
    feed = WattTime(USER, PASSWORD, regions={"aws/us-west-1": "CAISO_NORTH"}, base_url=apis.url)
    assert feed.zone_of(US_WEST_1) == "CAISO_NORTH"
    assert feed.zone_of(Region("", "", "DE", "DE", "DE")) == ""
    feed.close()


def test_forecast_starts_now(apis: Apis, feed: WattTime) -> None:
    apis.now_unix_s = MARCH + 700
    list(feed.fetch(ZONE, MARCH, MARCH + 300))
    series = feed.forecast(ZONE, 1)
    assert series.start_unix_s.tolist() == list(range(MARCH + 600, MARCH + 600 + HOUR_S, 300))
    assert series.is_forecast.all()


@pytest.mark.parametrize(
    ("meta", "error", "text"),
    [
        ({"region": "PJM_DC"}, WrongZoneError, "about region 'PJM_DC'"),
        ({"signal_type": "health_damage"}, WrongKindError, "signal_type of the answer is 'health_damage'"),
        ({"units": "kg_co2_per_mwh"}, WrongKindError, "units of the answer is 'kg_co2_per_mwh'"),
        ({"data_point_period_seconds": 420}, WrongKindError, "values hold for 420 s"),
    ],
)
def test_answer_about_something_else_is_refused(
    apis: Apis, feed: WattTime, meta: dict, error: type[Exception], text: str
) -> None:
    change = lambda answer: {**answer, "meta": {**answer["meta"], **meta}}  # noqa: E731
    apis.faults = [Fault(path="historical", change=change)]
    with pytest.raises(error, match=text):
        list(feed.fetch(ZONE, MARCH, MARCH + 300))


def test_answer_without_meta_is_refused(apis: Apis, feed: WattTime) -> None:
    apis.faults = [Fault(path="historical", change=lambda answer: {"data": answer["data"]})]
    with pytest.raises(FeedAnswerError, match="no data list with meta"):
        list(feed.fetch(ZONE, MARCH, MARCH + 300))
