import math
from pathlib import Path

import numpy as np
import pytest

from wattspan.calls import Factor
from wattspan.decisions import FeedForecast, FileForecast, NoOutlookError, TypicalHours
from wattspan.decisions.forecast import ForecastFileError, kind_of
from wattspan.decisions.regions import place_of
from wattspan.grid import Embedded, Kind
from wattspan.grid.feeds.errors import FeedError
from wattspan.grid.feeds.series import Points
from wattspan.grid.step import Step
from wattspan.methodology import Edition
from wattspan.places import Places

HALF_HOUR = 1800
MARGINAL = Kind("marginal", "direct")
AVERAGE = Kind("average", "lifecycle")
START = 1_795_392_000  # 2026-11-23T00:00Z


@pytest.fixture(scope="module")
def places() -> Places:
    return Places(Edition.load().folder)


@pytest.fixture(scope="module")
def grid() -> Embedded:
    return Embedded(Edition.load().folder, resolution="typical-hour")


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "forecast.csv"
    path.write_text(text)
    return path


HALF_HOURS = """start,zone,g_per_kwh
2026-11-23T00:00Z,FR,40
2026-11-23T01:30+01:00,FR,30
2026-11-23T01:00Z,FR,20
2026-11-23T02:00Z,FR,90
2026-11-23T00:00Z,US-MIDA-PJM,400
"""


def test_values_are_found_by_grid_zone_region_or_place_and_times_by_their_offset(tmp_path, places):
    place = place_of(places, "eu-west-3")
    for name in ("FR", "fr", "eu-west-3", "aws/eu-west-3"):
        text = HALF_HOURS.replace("FR", name)
        forecast = FileForecast(written(tmp_path, text), MARGINAL)
        outlook = forecast.outlook(place, START + 600, START + 3600)
        assert (outlook.first_unix_s, outlook.step_s) == (START, HALF_HOUR)
        assert outlook.g_per_kwh.tolist() == [40.0, 30.0]
        assert (outlook.kind, outlook.resolution, outlook.source) == (MARGINAL, "forecast", "forecast.csv")
        assert outlook.edges_unix_s.tolist() == [START, START + 1800, START + 3600]


@pytest.mark.parametrize(
    ("region", "start", "end", "missing"),
    [
        ("eu-west-3", START - 60, START + 60, "nothing for FR at 2026-11-22T23:59Z"),
        ("eu-west-3", START, START + 7200, "nothing for FR at 2026-11-23T01:30Z"),
        ("us-east-1", START, START + 60, "a single value for US-MIDA-PJM"),
        ("us-west-1", START, START + 60, "has no zone aws/us-west-1 or us-west-1 or US-CAL-CISO"),
    ],
)
def test_what_a_file_does_not_cover_is_said_and_never_filled(tmp_path, places, region, start, end, missing):
    forecast = FileForecast(written(tmp_path, HALF_HOURS), MARGINAL)
    with pytest.raises(NoOutlookError, match=missing):
        forecast.outlook(place_of(places, region), start, end)


def test_the_error_of_a_forecast_is_declared_or_that_of_the_typical_hour_or_unknown(tmp_path, places, grid):
    path, place = written(tmp_path, HALF_HOURS), place_of(places, "eu-west-3")

    def factors(*given):
        return FileForecast(path, *given).outlook(place, START, START + 3600).factors

    assert factors(AVERAGE, 1.2) == (Factor("forecast:FR", math.log(1.2)),)
    assert factors(AVERAGE, None, grid) == (Factor("forecast:FR", math.log(1.77)),)
    assert factors(MARGINAL, None, grid) is None
    assert factors(AVERAGE) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("zone,time,g\n", "line 1: no column start, g_per_kwh; needed: zone, start, g_per_kwh"),
        (
            "zone,start,g_per_kwh\nFR,2026-11-23T00:00,40\n",
            "line 2: start is '2026-11-23T00:00'; write a time with",
        ),
        ("zone,start,g_per_kwh\nFR,yesterday,40\n", "line 2: start is 'yesterday'"),
        ("zone,start,g_per_kwh\n\nFR,2026-11-23T00:00Z,-1\n", "line 3: g_per_kwh is '-1'"),
        ("zone,start,g_per_kwh\nFR,2026-11-23T00:00Z,nan\n", "line 2: g_per_kwh is 'nan'"),
        ("zone,start,g_per_kwh\nFR\n", "line 2: 1 cells, the header has 3"),
    ],
)
def test_a_bad_file_is_refused_with_its_line(tmp_path, text, message):
    with pytest.raises(ForecastFileError, match=message):
        FileForecast(written(tmp_path, text), MARGINAL)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ForecastFileError, match=r"none\.csv: cannot be read"):
        FileForecast(tmp_path / "none.csv", MARGINAL)


def test_kinds_are_named_with_signal_and_factor_type():
    assert kind_of("marginal-direct") == MARGINAL
    with pytest.raises(
        ValueError, match="'marginal'; allowed: average-lifecycle, average-direct, marginal-life"
    ):
        kind_of("marginal")


def test_typical_hours_are_the_years_value_times_the_hours_factor(places, grid):
    """France: 31 g/kWh in 2025; November, 0 to 2 h UTC: 1.1497, 1.1371, 1.1015."""
    outlook = TypicalHours(grid).outlook(place_of(places, "eu-west-3"), START + 1800, START + 7201)
    assert outlook.first_unix_s == START
    assert outlook.g_per_kwh == pytest.approx(31 * np.array([1.1497, 1.1371, 1.1015]), rel=1e-12)
    assert (outlook.resolution, outlook.hour_key) == ("typical-hour", "zone:FR")
    assert Factor("zone:FR", math.log(1.77)) in (outlook.factors or ())


def test_a_place_without_typical_hours_is_flat_and_says_annual(places, grid):
    outlook = TypicalHours(grid).outlook(place_of(places, "eu"), START, START + 7200)
    assert len(set(outlook.g_per_kwh.tolist())) == 1
    assert (outlook.resolution, outlook.hour_key) == ("annual", "")


def test_a_place_without_a_figure_has_no_outlook(places):
    direct = Embedded(Edition.load().folder, factor_type="direct", resolution="typical-hour")
    with pytest.raises(NoOutlookError, match="no direct table has"):
        TypicalHours(direct).outlook(place_of(places, "me-south-1"), START, START + 3600)


class Expecting:
    """A feed that expects 500, 400, 300 ... g/kWh, hour by hour from START on."""

    name = "a-feed"
    kind = MARGINAL
    accounting = "mixed"
    step = Step(3600)

    def __init__(
        self, hours: int = 4, zone: str | None = "CAISO_NORTH", error: FeedError | None = None
    ) -> None:
        self.asked: list[tuple[str, int]] = []
        self._hours, self._zone, self._error = hours, zone, error

    def zone_of(self, region):
        return self._zone

    def locate(self, region):
        return f"located {region.name}"

    def now_unix_s(self):
        return START

    def fetch(self, zone, start_unix_s, end_unix_s):
        raise AssertionError("a decision asks for forecasts only")

    def forecast(self, zone, hours):
        self.asked.append((zone, hours))
        if self._error is not None:
            raise self._error
        points = Points(START, START + 365 * 86400, 3600)
        for hour in range(self._hours):
            points.add(START + hour * 3600, 500 - 100 * hour, forecast=True)
        return points.series(
            zone=zone, kind=MARGINAL, accounting="mixed", resolution="5-minute", fetched_unix_s=START,
            source="a feed v1",
        )  # fmt: skip


def test_a_live_feed_is_asked_as_far_as_the_deadline(places):
    feed = Expecting()
    outlook = FeedForecast(feed, g=1.2).outlook(place_of(places, "us-west-1"), START + 60, START + 10_000)
    # 2.8 hours, and one for the hour that has begun: horizons count from its start.
    assert feed.asked == [("CAISO_NORTH", 4)]
    assert outlook.g_per_kwh.tolist() == [500.0, 400.0, 300.0]
    assert (outlook.kind, outlook.resolution, outlook.source) == (MARGINAL, "forecast", "a feed v1")
    assert outlook.factors == (Factor("forecast:CAISO_NORTH", math.log(1.2)),)
    located = Expecting(zone=None)
    FeedForecast(located).outlook(place_of(places, "us-west-1"), START, START + 3600)
    assert located.asked == [("located us-west-1", 2)]


def test_forecast_that_begins_with_the_next_hour_covers_the_one_under_way(places):
    outlook = FeedForecast(Expecting()).outlook(place_of(places, "us-west-1"), START - 600, START + 3600)
    assert outlook.first_unix_s == START - 3600
    assert outlook.g_per_kwh.tolist() == [500.0, 500.0]
    # A whole hour and more before the first value nothing is known.
    with pytest.raises(NoOutlookError, match="has nothing for CAISO_NORTH at 2026-11-22T22:59Z"):
        FeedForecast(Expecting()).outlook(place_of(places, "us-west-1"), START - 3601, START + 3600)


@pytest.mark.parametrize(
    ("feed", "region", "message"),
    [
        (Expecting(), "eu", "a-feed has no forecast for .*: it is not one zone"),
        (Expecting(zone=""), "us-west-1", "a-feed has no zone for aws/us-west-1"),
        (
            Expecting(error=FeedError("a-feed", "no access", "ask for it")),
            "us-west-1",
            "a-feed: no access; ask for it",
        ),
        (Expecting(hours=2), "us-west-1", "a feed v1 has nothing for CAISO_NORTH at 2026-11-23T02:00Z"),
    ],
)
def test_a_feed_without_a_forecast_leaves_the_decision_to_the_next(places, feed, region, message):
    with pytest.raises(NoOutlookError, match=message):
        FeedForecast(feed).outlook(place_of(places, region), START, START + 10_000)
