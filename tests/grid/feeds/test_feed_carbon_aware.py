"""Carbon Aware SDK: an address whose answers do not say what they are."""

from __future__ import annotations

import pytest

from tests.grid.feeds.limits import FAST
from tests.grid.server.apis import HOUR_S, Apis, Fault, unix_s
from wattspan.grid.feeds.carbon_aware import CarbonAware
from wattspan.grid.feeds.errors import FeedAnswerError, WrongZoneError
from wattspan.grid.intensity import Kind
from wattspan.places import Region

MARCH = unix_s("2026-03-01T00:00Z")
MARGINAL = Kind("marginal", "direct")


@pytest.fixture
def feed(apis: Apis):
    made = CarbonAware(apis.url, kind=MARGINAL, limits=FAST)
    yield made
    made.close()


def test_kind_is_what_the_user_declared(feed: CarbonAware) -> None:
    (series,) = feed.fetch("eastus", MARCH, MARCH + 600)
    assert series.kind == MARGINAL
    assert series.g_per_kwh.tolist() == [100.0, 100.0]
    assert series.vintage == "zone PJM_ROANOKE"


def test_kind_cannot_be_left_out(apis: Apis) -> None:
    with pytest.raises(TypeError, match="kind"):
        CarbonAware(apis.url)  # type: ignore[call-arg]


def test_nothing_for_these_hours_is_an_empty_series(apis: Apis, feed: CarbonAware) -> None:
    apis.now_unix_s = MARCH
    (series,) = feed.fetch("eastus", MARCH, MARCH + 600)
    assert len(series) == 0


def test_answer_of_two_zones_is_refused(apis: Apis, feed: CarbonAware) -> None:
    apis.faults = [Fault(change=lambda rows: [{**rows[0], "location": "ERCOT"}, *rows[1:]])]
    with pytest.raises(WrongZoneError, match="about ERCOT, PJM_ROANOKE, expected is one zone"):
        list(feed.fetch("eastus", MARCH, MARCH + 600))


def test_zone_that_was_named_must_come(apis: Apis) -> None:
    feed = CarbonAware(apis.url, kind=MARGINAL, zones={"eastus": "PJM_DC"}, limits=FAST)
    with pytest.raises(WrongZoneError, match="about PJM_ROANOKE, expected is PJM_DC"):
        list(feed.fetch("eastus", MARCH, MARCH + 600))
    feed.close()


def test_location_is_the_name_of_the_region_unless_named_otherwise(apis: Apis) -> None:
    feed = CarbonAware(apis.url, kind=MARGINAL, locations={"aws/us-east-1": "useast1"})
    assert feed.zone_of(Region("azure", "eastus", "Virginia", "US", "US-MIDA-PJM")) == "eastus"
    assert feed.zone_of(Region("aws", "us-east-1", "Virginia", "US", "US-MIDA-PJM")) == "useast1"
    assert feed.zone_of(Region("", "", "DE", "DE", "DE")) == ""
    feed.close()


def as_object(answer: list) -> list:
    """As its documentation has it: one object under the singular name."""
    (forecast,) = answer
    (point,) = forecast.pop("optimalDataPoints")
    return [{**forecast, "optimalDataPoint": point}]


@pytest.mark.parametrize("change", [None, as_object], ids=["list", "object"])
def test_best_window_is_read_in_both_spellings(apis: Apis, feed: CarbonAware, change) -> None:
    apis.now_unix_s = MARCH
    list(feed.fetch("eastus", MARCH - HOUR_S, MARCH))
    apis.faults = [Fault(path="forecasts", change=change)]
    assert feed.best_windows("eastus", 4, 30) == [(MARCH, 30.0, 100.0)]
    assert apis.asked("forecasts")[0] == {
        "location": "eastus",
        "dataStartAt": "2026-03-01T00:00Z",
        "dataEndAt": "2026-03-01T04:00Z",
        "windowSize": "30",
    }


def test_best_window_that_cannot_be_read_is_an_error(apis: Apis, feed: CarbonAware) -> None:
    apis.faults = [Fault(change=lambda answer: [{**answer[0], "optimalDataPoints": [{"value": 3}]}])]
    with pytest.raises(FeedAnswerError, match="KeyError"):
        feed.best_windows("eastus", 4, 30)


def test_forecast_about_another_location_is_refused(apis: Apis, feed: CarbonAware) -> None:
    apis.faults = [Fault(change=lambda answer: [{**answer[0], "location": "westus"}])]
    with pytest.raises(WrongZoneError, match="about 'westus'"):
        feed.forecast("eastus", 4)
