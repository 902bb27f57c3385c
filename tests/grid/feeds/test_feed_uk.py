"""UK Carbon Intensity: half hours, fourteen days, and values that are not there yet."""

from __future__ import annotations

import numpy as np
import pytest

from tests.grid.feeds.limits import FAST
from tests.grid.server.apis import DAY_S, Apis, Fault, unix_s
from wattspan.grid.feeds.errors import FeedAnswerError, FeedRequestError, WrongZoneError
from wattspan.grid.feeds.uk import UKCarbonIntensity
from wattspan.grid.intensity import Kind
from wattspan.places import Region

MARCH = unix_s("2026-03-01T00:00Z")


@pytest.fixture
def feed(apis: Apis):
    made = UKCarbonIntensity(base_url=apis.url, limits=FAST)
    yield made
    made.close()


def test_half_hours_start_at_their_from(feed: UKCarbonIntensity) -> None:
    (series,) = feed.fetch("GB", MARCH, MARCH + 7200)
    assert series.start_unix_s.tolist() == [MARCH, MARCH + 1800, MARCH + 3600, MARCH + 5400]
    assert series.g_per_kwh.tolist() == [100.0, 100.0, 101.0, 101.0]
    assert (series.kind, series.accounting) == (Kind("average", "direct"), "consumption")
    assert series.period_s == 1800


def test_day_of_the_change_to_summer_time_has_48_half_hours_in_utc(feed: UKCarbonIntensity) -> None:
    start = unix_s("2026-03-29T00:00Z")
    (series,) = feed.fetch("GB", start, start + DAY_S)
    assert series.start_unix_s.tolist() == list(range(start, start + DAY_S, 1800))


def test_half_hour_without_an_actual_value_comes_with_its_forecast(
    apis: Apis, feed: UKCarbonIntensity
) -> None:
    apis.published_until = MARCH + 1800
    (series,) = feed.fetch("GB", MARCH, MARCH + 3600)
    assert series.g_per_kwh.tolist() == [100.0, 105.0]
    assert series.is_forecast.tolist() == [False, True]


def test_long_range_is_cut_into_fourteen_days(feed: UKCarbonIntensity) -> None:
    pieces = list(feed.fetch("GB", MARCH, MARCH + 30 * DAY_S))
    assert [len(piece) for piece in pieces] == [14 * 48, 14 * 48, 2 * 48]
    assert len(np.unique(np.concatenate([piece.start_unix_s for piece in pieces]))) == 30 * 48


def test_forecast_is_asked_for_from_now(apis: Apis, feed: UKCarbonIntensity) -> None:
    apis.now_unix_s = MARCH + 60
    list(feed.fetch("GB", MARCH - 3600, MARCH))
    series = feed.forecast("GB", 2)
    assert apis.requests[-1][0] == "/intensity/2026-03-01T00:00Z/fw48h"
    assert series.start_unix_s.tolist() == [MARCH, MARCH + 1800, MARCH + 3600, MARCH + 5400]


def test_only_great_britain_is_in_it(feed: UKCarbonIntensity) -> None:
    assert feed.zone_of(Region("aws", "eu-west-2", "London", "GB", "GB")) == "GB"
    assert feed.zone_of(Region("", "", "Belfast", "GB", "GB-NIR")) == ""
    with pytest.raises(WrongZoneError, match="Great Britain only"):
        list(feed.fetch("DE", MARCH, MARCH + 3600))


def test_row_that_is_no_half_hour_is_set_aside(apis: Apis, feed: UKCarbonIntensity) -> None:
    def longer(answer: dict) -> dict:
        first, *rest = answer["data"]
        return {"data": [{**first, "to": "2026-03-01T01:30Z"}, {"from": "x"}, *rest]}

    apis.faults = [Fault(change=longer)]
    (series,) = feed.fetch("GB", MARCH, MARCH + 3600)
    assert series.start_unix_s.tolist() == [MARCH + 1800]
    assert series.rejected[0] == "2026-03-01T00:00Z: 5400 s long, not half an hour"


def test_error_of_the_api_is_quoted(apis: Apis, feed: UKCarbonIntensity) -> None:
    apis.faults = [Fault(status=400, body='{"error":{"code":"400 Bad Request","message":"Too long"}}')]
    with pytest.raises(FeedRequestError, match=r"answered 400 \(Too long\)"):
        list(feed.fetch("GB", MARCH, MARCH + 3600))
    apis.faults = [Fault(body="{}")]
    with pytest.raises(FeedAnswerError, match="no data list"):
        list(feed.fetch("GB", MARCH, MARCH + 3600))
