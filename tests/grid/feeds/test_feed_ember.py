"""Ember: years of countries, with a key in the query that nobody sees."""

from __future__ import annotations

import pytest

from tests.grid.feeds.limits import FAST
from tests.grid.server.apis import EMBER_KEY, Apis, Fault, unix_s
from wattspan.grid.feeds.ember import Ember
from wattspan.grid.feeds.errors import FeedKeyError, FeedRequestError, WrongZoneError
from wattspan.grid.intensity import Kind
from wattspan.places import Region

START, END = unix_s("2023-05-01T00:00Z"), unix_s("2025-02-01T00:00Z")


@pytest.fixture
def feed(apis: Apis):
    made = Ember(EMBER_KEY, base_url=apis.url, limits=FAST)
    yield made
    made.close()


def test_years_that_the_range_touches(apis: Apis, feed: Ember) -> None:
    (series,) = feed.fetch("DEU", START, END)
    years = [unix_s(f"{year}-01-01T00:00Z") for year in (2023, 2024, 2025)]
    assert series.start_unix_s.tolist() == years
    assert series.g_per_kwh.tolist() == [323.0, 324.0, 325.0]
    assert (series.kind, series.accounting) == (Kind("average", "lifecycle"), "generation")
    assert (series.resolution, series.period_s) == ("annual", 0)
    assert apis.requests[0][1]["api_key"] == EMBER_KEY


def test_wrong_key_is_a_key_error_and_not_in_it(apis: Apis) -> None:
    feed = Ember("wrong-key-1", base_url=apis.url, limits=FAST)
    with pytest.raises(FeedKeyError, match="check the key") as caught:
        list(feed.fetch("DEU", START, END))
    assert "wrong-key-1" not in str(caught.value)
    feed.close()


def test_other_country_is_refused(apis: Apis, feed: Ember) -> None:
    def france(answer: dict) -> dict:
        return {"data": [{**row, "entity_code": "FRA"} for row in answer["data"]]}

    apis.faults = [Fault(change=france)]
    with pytest.raises(WrongZoneError, match="about 'FRA'"):
        list(feed.fetch("DEU", START, END))


def test_month_is_not_taken_for_a_year(apis: Apis, feed: Ember) -> None:
    apis.faults = [Fault(change=lambda answer: {"data": [{**answer["data"][0], "date": "2023-05"}]})]
    (series,) = feed.fetch("DEU", START, END)
    assert (len(series), series.rejected) == (0, ("date '2023-05' is not a year",))


def test_state_is_not_answered_by_its_country(feed: Ember) -> None:
    assert feed.zone_of(Region("aws", "us-east-1", "Virginia", "US", "US-MIDA-PJM", ember_area="US-VA")) == ""
    assert feed.zone_of(Region("aws", "eu-west-3", "Paris", "FR", "FR", ember_area="FRA")) == "FRA"


def test_there_is_no_forecast(feed: Ember) -> None:
    with pytest.raises(FeedRequestError, match="no forecast"):
        feed.forecast("DEU", 24)
