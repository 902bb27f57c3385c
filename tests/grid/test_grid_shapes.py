"""Month and hour factors, in UTC."""

import csv
import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattspan.grid import Embedded
from wattspan.grid.shapes import Shapes
from wattspan.places import EditionTableError

NS = 1_000_000_000


@pytest.fixture(scope="module")
def typical(edition):
    return Embedded(edition, "lifecycle", "typical-hour")


def ns(text: str) -> int:
    return int(dt.datetime.fromisoformat(text + "+00:00").timestamp()) * NS


def factors(signal, zone, *times):
    codes = np.zeros(len(times), dtype=np.int32)
    return signal.hour_factors([zone], codes, np.array([ns(time) for time in times])).tolist()


def test_california_is_clean_at_noon_and_dirty_at_night(typical):
    # 20:00 UTC is noon in California, 03:00 the evening before; from the source table.
    times = ("2025-06-15T20:10", "2025-06-15T03:59", "2025-01-15T20:00", "2025-12-31T03:00")
    assert factors(typical, "US-CAL-CISO", *times) == [0.6192, 1.0291, 0.7584, 1.2763]


def test_in_the_southern_hemisphere_december_is_summer(typical):
    # 02:00 UTC is 13:00 in Sydney in December, 12:00 in June.
    times = ("2025-12-10T02:30", "2025-06-10T02:30", "2025-12-10T20:30", "2025-06-10T20:30")
    assert factors(typical, "AU-NSW", *times) == [0.6068, 0.8642, 0.9279, 1.1204]


def test_the_leap_day_is_in_february(typical):
    leap, before, after = factors(typical, "DE", "2024-02-29T20:00", "2024-02-28T20:00", "2024-03-01T20:00")
    assert leap == before != after


def test_the_second_after_a_leap_second_is_in_the_new_year(typical):
    # Unix time has no 23:59:60: 31 December 2016 ends at 23:59:59.
    last, first = factors(typical, "DE", "2016-12-31T23:59:59", "2017-01-01T00:00:00")
    december, january = factors(typical, "DE", "2025-12-31T23:00", "2025-01-01T00:00")
    assert (last, first) == (december, january)


def test_daylight_saving_does_not_move_the_hours(typical):
    before, after = factors(typical, "DE", "2025-03-29T02:30", "2025-03-30T02:30")
    assert before == after


def test_a_price_zone_has_the_hours_of_its_country(typical, region):
    found = typical.at(region("aws/eu-north-1"), 2025)
    assert (found.g_per_kwh, found.zone, found.shape_zone) == (20.0, "SE-SE3", "SE")
    assert found.resolution == "typical-hour"
    assert factors(typical, found.shape_zone, "2025-07-01T00:00", "2025-12-01T02:00") == [0.7379, 1.5118]


def test_a_zone_with_mostly_estimated_hours_has_no_factors(typical, region):
    for name in ("gcp/asia-northeast1", "aws/ap-south-1", "aws/eu-west-1"):
        found = typical.at(region(name), 2025)
        assert (found.shape_zone, found.resolution) == ("", "annual")
    assert factors(typical, "JP-TK", "2025-06-15T20:10") == [1.0]


def test_a_typical_hour_is_narrower_than_a_year(edition, typical, region):
    # California, 90 % of hours of 2024: 0.310 to 1.352 of the year, 0.486 to 1.133 of the typical hour.
    place = region("aws/us-west-1")
    assert Embedded(edition).at(place, 2025).g == pytest.approx(2.042)
    assert typical.at(place, 2025).g == pytest.approx(1.553)


def test_each_call_gets_the_factor_of_its_own_zone_and_hour(typical):
    zones = ["", "US-CAL-CISO", "AU-NSW", "nowhere"]
    codes = np.array([1, 2, 0, 3, 1, 1], dtype=np.int32)
    starts = np.array([ns("2025-06-15T20:10")] * 4 + [0, ns("2025-01-15T20:00")])
    assert typical.hour_factors(zones, codes, starts).tolist() == [0.6192, 1.1204, 1.0, 1.0, 1.0, 0.7584]


def test_the_factors_of_one_place(typical, region, mix):
    month, hour = np.array([6, 12]), np.array([20, 3])
    assert typical.hour_factor(region("aws/us-west-1"), month, hour).tolist() == [0.6192, 1.2763]
    assert typical.hour_factor(mix("aws", "us"), month, hour).tolist() == [1.0, 1.0]


def test_annual_resolution_knows_no_hours(edition, region):
    annual = Embedded(edition)
    assert factors(annual, "US-CAL-CISO", "2025-06-15T20:10") == [1.0]
    assert annual.hour_factor(region("aws/us-west-1"), np.array([6]), np.array([20])).tolist() == [1.0]


def test_direct_hours_are_of_the_direct_table(edition, region):
    direct = Embedded(edition, "direct", "typical-hour")
    assert factors(direct, "US-CAL-CISO", "2025-06-15T20:10") == [0.5663]
    assert direct.at(region("aws/us-west-1"), 2024).shape_zone == "US-CAL-CISO"


def test_zones_whose_direct_factors_are_zero_or_impossible_are_left_out(edition):
    direct = Shapes.read(edition / "odbl" / "shapes_direct.csv")
    assert [zone for zone in ("IS", "US-NW-DOPD", "BO", "HN", "RU-1", "IN-WE") if zone in direct] == []
    assert "US-MIDA-PJM" in direct


@given(st.datetimes(dt.datetime(1960, 1, 1), dt.datetime(2200, 1, 1)))
def test_month_and_hour_are_those_of_the_calendar(edition, typical, time):
    with (edition / "odbl" / "shapes_lifecycle.csv").open() as file:
        germany = [row for row in csv.DictReader(file) if row["zone"] == "DE"]
    since = time - dt.datetime(1970, 1, 1)
    start = (since.days * 86_400 + since.seconds) * NS
    factor = float(germany[time.month - 1][f"h{time.hour:02d}"])
    found = typical.hour_factors(["DE"], np.array([0], dtype=np.int32), np.array([start]))[0]
    assert found == (factor if start else 1.0)


def test_the_mean_of_a_zones_factors_over_a_year_is_one(edition):
    for name in ("shapes_lifecycle.csv", "shapes_direct.csv"):
        means = {}
        with (edition / "odbl" / name).open() as file:
            for row in csv.DictReader(file):
                days = (31, 28.25, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[int(row["month"]) - 1]
                mean = sum(float(row[f"h{hour:02d}"]) for hour in range(24)) / 24
                means[row["zone"]] = means.get(row["zone"], 0.0) + mean * days / 365.25
        # The source weighs hours, not days; only three zones with gaps are more than 0.1 % off.
        assert {zone for zone, mean in means.items() if abs(mean - 1) > 0.001} == {
            "US-CENT-SPA", "US-NW-PSEI", "US-SE-SEPA",
        }  # fmt: skip
        assert max(abs(mean - 1) for mean in means.values()) < 0.02


def test_a_table_with_a_month_out_of_order_is_refused(tmp_path):
    path = tmp_path / "shapes.csv"
    header = ",".join(["zone", "month", *(f"h{hour:02d}" for hour in range(24))])
    path.write_text(header + "\nDE,2," + ",".join(["1"] * 24) + "\n")
    with pytest.raises(EditionTableError, match="month 2 of DE is out of order"):
        Shapes.read(path)
