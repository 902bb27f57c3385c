"""Electricity Maps: ranges, plans, both versions, and answers that are not what was asked for."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.grid.feeds.limits import FAST
from tests.grid.server.apis import DAY_S, FREE_TOKEN, HOUR_S, TOKEN, Apis, Fault, em_time, unix_s
from wattspan.grid.feeds.electricity_maps import ElectricityMaps
from wattspan.grid.feeds.errors import (
    FeedAccessError,
    FeedAnswerError,
    FeedKeyError,
    FeedNoDataError,
    FeedRequestError,
    WrongKindError,
    WrongZoneError,
)
from wattspan.grid.intensity import Kind

MARCH = unix_s("2026-03-01T00:00Z")


@pytest.fixture
def feed(apis: Apis):
    made = ElectricityMaps(TOKEN, base_url=apis.url, limits=FAST)
    yield made
    made.close()


def test_hours_come_with_everything_a_disclosure_needs(apis: Apis, feed: ElectricityMaps) -> None:
    apis.now_unix_s = MARCH + 30 * DAY_S
    (series,) = feed.fetch("DE", MARCH, MARCH + 3 * HOUR_S)
    assert series.start_unix_s.tolist() == [MARCH, MARCH + HOUR_S, MARCH + 2 * HOUR_S]
    assert series.g_per_kwh.tolist() == [100.0, 101.0, 102.0]
    assert not series.is_estimated.any()
    assert not series.is_forecast.any()
    assert (series.zone, series.kind) == ("DE", Kind("average", "lifecycle"))
    assert (series.accounting, series.resolution, series.period_s) == ("consumption", "hour", 3600)
    assert (series.source, series.vintage) == ("Electricity Maps API v4", em_time(apis.now_unix_s))
    assert abs(series.fetched_unix_s - apis.now_unix_s) <= 2


def test_request_names_the_zone_and_forbids_that_of_the_caller(apis: Apis, feed: ElectricityMaps) -> None:
    list(feed.fetch("DE", MARCH, MARCH + HOUR_S))
    (query,) = apis.asked("past-range")
    assert query == {
        "zone": "DE",
        "disableCallerLookup": "true",
        "emissionFactorType": "lifecycle",
        "temporalGranularity": "hourly",
        "start": "2026-03-01T00:00Z",
        "end": "2026-03-01T01:00Z",
    }


def test_long_range_is_cut_into_ten_days_without_gap_or_overlap(apis: Apis, feed: ElectricityMaps) -> None:
    pieces = list(feed.fetch("DE", MARCH, MARCH + 25 * DAY_S))
    assert [len(piece) for piece in pieces] == [240, 240, 120]
    starts = np.concatenate([piece.start_unix_s for piece in pieces])
    assert starts.tolist() == list(range(MARCH, MARCH + 25 * DAY_S, HOUR_S))


@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25", "2024-02-29", "2023-12-31"])
def test_every_day_has_24_hours_whatever_clocks_and_calendars_do(feed: ElectricityMaps, day: str) -> None:
    start = unix_s(f"{day}T00:00Z")
    (series,) = feed.fetch("DE", start, start + DAY_S)
    assert series.start_unix_s.tolist() == list(range(start, start + DAY_S, HOUR_S))


def test_version_3_is_asked_at_its_own_address_and_answers_the_same(
    apis: Apis, feed: ElectricityMaps
) -> None:
    older = ElectricityMaps(TOKEN, version="v3", base_url=apis.url, limits=FAST)
    (new,), (old,) = feed.fetch("DE", MARCH, MARCH + DAY_S), older.fetch("DE", MARCH, MARCH + DAY_S)
    assert old.g_per_kwh.tolist() == new.g_per_kwh.tolist()
    assert [path for path, _, _ in apis.requests] == [
        f"/{version}/{rest}" for version in ("v4", "v3") for rest in ("zones", "carbon-intensity/past-range")
    ]
    older.close()


def test_direct_factors_are_asked_for_and_labelled(apis: Apis) -> None:
    feed = ElectricityMaps(TOKEN, factor_type="direct", base_url=apis.url, limits=FAST)
    (series,) = feed.fetch("DE", MARCH, MARCH + HOUR_S)
    assert (series.kind, series.g_per_kwh.tolist()) == (Kind("average", "direct"), [80.0])
    feed.close()


def test_five_minutes_are_asked_for_by_the_day(apis: Apis) -> None:
    feed = ElectricityMaps(TOKEN, granularity="5_minutes", base_url=apis.url, limits=FAST)
    pieces = list(feed.fetch("DE", MARCH, MARCH + 2 * DAY_S))
    assert [len(piece) for piece in pieces] == [288, 288]
    assert (pieces[0].resolution, pieces[0].period_s) == ("5-minute", 300)
    feed.close()


def test_estimated_hours_are_flagged(feed: ElectricityMaps) -> None:
    (series,) = feed.fetch("IN-WE", MARCH, MARCH + 2 * HOUR_S)
    assert series.is_estimated.tolist() == [True, True]


def test_estimated_hours_are_empty_where_they_are_not_wanted(apis: Apis) -> None:
    feed = ElectricityMaps(TOKEN, use_estimations=False, base_url=apis.url, limits=FAST)
    (series,) = feed.fetch("IN-WE", MARCH, MARCH + 2 * HOUR_S)
    assert (len(series), series.nulls) == (0, 2)
    feed.close()


def test_free_plan_gives_the_last_24_hours(apis: Apis) -> None:
    apis.now_unix_s = MARCH + 9 * HOUR_S + 600
    feed = ElectricityMaps(FREE_TOKEN, base_url=apis.url, limits=FAST)
    (series,) = feed.fetch("DE", MARCH - DAY_S, MARCH + DAY_S)
    assert series.start_unix_s.tolist() == list(range(MARCH - 14 * HOUR_S, MARCH + 10 * HOUR_S, HOUR_S))
    assert not apis.asked("past-range")
    with pytest.raises(FeedNoDataError, match="the last 24 hours only"):
        list(feed.fetch("DE", MARCH - 9 * DAY_S, MARCH - 8 * DAY_S))
    with pytest.raises(FeedAccessError, match="zone FR"):
        list(feed.fetch("FR", MARCH, MARCH + HOUR_S))
    with pytest.raises(FeedAccessError, match="no forecasts for this zone"):
        feed.forecast("DE", 24)
    feed.close()


def test_forecast_is_labelled_as_one(apis: Apis, feed: ElectricityMaps) -> None:
    apis.now_unix_s = MARCH + 1800
    list(feed.fetch("DE", MARCH, MARCH + HOUR_S))
    series = feed.forecast("DE", 3)
    assert series.start_unix_s.tolist() == [MARCH + HOUR_S, MARCH + 2 * HOUR_S, MARCH + 3 * HOUR_S]
    assert series.is_forecast.all()
    assert "emissionFactorType" not in apis.asked("forecast")[0]


def test_there_is_no_direct_forecast(apis: Apis) -> None:
    feed = ElectricityMaps(TOKEN, factor_type="direct", base_url=apis.url, limits=FAST)
    with pytest.raises(FeedRequestError, match="no forecast with direct factors"):
        feed.forecast("DE", 3)
    feed.close()


def test_newer_answers_with_value_and_unit_are_read_too(apis: Apis, feed: ElectricityMaps) -> None:
    def newer(answer: dict) -> dict:
        rows = [
            {"datetime": row["datetime"], "value": row["carbonIntensity"], "unit": "gCO2eq/kWh"}
            for row in answer["data"]
        ]
        return {"zone": answer["zone"], "data": rows}

    apis.faults = [Fault(path="past-range", change=newer)]
    (series,) = feed.fetch("DE", MARCH, MARCH + 2 * HOUR_S)
    assert series.g_per_kwh.tolist() == [100.0, 101.0]


def changed(**values: object):
    """A change of every point of an answer."""
    return lambda answer: {**answer, "data": [{**row, **values} for row in answer["data"]]}


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        (lambda answer: {**answer, "zone": "FR"}, WrongZoneError, "about zone 'FR'"),
        (changed(zone="DE-LU"), WrongZoneError, "about zone 'DE-LU'"),
        (changed(emissionFactorType="direct"), WrongKindError, "'direct' factors, asked for were"),
        (changed(temporalGranularity="daily"), WrongKindError, "'daily', asked for was 'hourly'"),
        (changed(unit="lbCO2/MWh"), WrongKindError, "in 'lbCO2/MWh'"),
        (lambda answer: {"zone": "DE"}, FeedAnswerError, "no data, history or forecast list"),
        (lambda answer: [1], FeedAnswerError, "no data, history or forecast list"),
    ],
)  # fmt: skip
def test_answer_about_something_else_is_refused(
    apis: Apis, feed: ElectricityMaps, change, error: type[Exception], text: str
) -> None:
    apis.faults = [Fault(path="past-range", change=change)]
    with pytest.raises(error, match=text):
        list(feed.fetch("DE", MARCH, MARCH + HOUR_S))


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"carbonIntensity": -3}, "-3 g/kWh is not between 0 and 5000"),
        ({"carbonIntensity": 999_999}, "not between 0 and 5000"),
        ({"carbonIntensity": "302"}, "value '302' is not a number"),
        ({"carbonIntensity": True}, "value True is not a number"),
        ({"datetime": "2026-03-01T00:20:00.000Z"}, "not the start of a period of 3600 s"),
        ({"datetime": "2026-03-01T00:00:00"}, "has no UTC offset"),
        ({"datetime": None}, "time None is not a text"),
    ],
)
def test_impossible_points_are_set_aside_with_the_reason(
    apis: Apis, feed: ElectricityMaps, values: dict, reason: str
) -> None:
    apis.faults = [Fault(path="past-range", change=changed(**values))]
    (series,) = feed.fetch("DE", MARCH, MARCH + HOUR_S)
    assert len(series) == 0
    assert reason in series.rejected[0]


def test_points_outside_the_range_are_left_out(apis: Apis, feed: ElectricityMaps) -> None:
    def longer(answer: dict) -> dict:
        extra = [{**answer["data"][0], "datetime": em_time(MARCH + i * HOUR_S)} for i in (-1, 1)]
        return {**answer, "data": [*extra, *answer["data"]]}

    apis.faults = [Fault(path="past-range", change=longer)]
    (series,) = feed.fetch("DE", MARCH, MARCH + HOUR_S)
    assert series.start_unix_s.tolist() == [MARCH]


def test_empty_values_are_counted_not_zero(apis: Apis, feed: ElectricityMaps) -> None:
    apis.faults = [Fault(path="past-range", change=changed(carbonIntensity=None))]
    (series,) = feed.fetch("DE", MARCH, MARCH + 4 * HOUR_S)
    assert (len(series), series.nulls) == (0, 4)


def test_wrong_token_is_a_key_error(apis: Apis) -> None:
    feed = ElectricityMaps("wrong", base_url=apis.url, limits=FAST)
    with pytest.raises(FeedKeyError, match="Invalid auth-token"):
        list(feed.fetch("DE", MARCH, MARCH + HOUR_S))
    feed.close()


def test_zone_the_api_does_not_have_is_not_asked_for(apis: Apis, feed: ElectricityMaps) -> None:
    with pytest.raises(FeedAccessError, match="has no such zone"):
        list(feed.fetch("XX", MARCH, MARCH + HOUR_S))
    assert not apis.asked("past-range")
    assert math.isclose(apis.value(MARCH), 100.0)
