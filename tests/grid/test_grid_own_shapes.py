"""Typical hours from the user's own hours: factors, clocks, what is asked of the data, what they are for."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from tests.grid.hours_of_a_year import stitched, write_file
from wattspan.calls import Factor
from wattspan.grid import Embedded, Kind, MixedKindsError
from wattspan.grid.cache import Cache
from wattspan.grid.feeds.file import FileFeed
from wattspan.grid.feeds.series import Series
from wattspan.grid.history import of_cache, of_series, shapes_of
from wattspan.grid.shape_file import OwnShapes, ShapeFileError, of_kind, read_shapes, write_shapes
from wattspan.grid.typical import Hours, NoTypicalHoursError, ZoneShape, typical_hours

LIFECYCLE = Kind("average", "lifecycle")
YEAR_OF_AGE = math.log(1.151)
HOUR_S = 3_600


def unix_s(text: str) -> int:
    return int(dt.datetime.fromisoformat(text).timestamp())


def hours(first: str, end: str, value: Callable[[dt.datetime], float], estimated: float = 0.0) -> Hours:
    """Every UTC hour of [first, end) with its value; the first share of them estimated."""
    starts = np.arange(unix_s(first), unix_s(end), HOUR_S, dtype=np.int64)
    values = np.array([value(dt.datetime.fromtimestamp(start, dt.UTC)) for start in starts.tolist()])
    is_estimated = np.arange(len(starts)) < estimated * len(starts)
    return Hours(starts, values, is_estimated, HOUR_S)


def from_file(path: Path, **settings: object) -> OwnShapes:
    feed = FileFeed(path, kind=LIFECYCLE, **settings)
    made, reasons = shapes_of(of_series(feed.everything()), feed.kind, YEAR_OF_AGE)
    assert reasons == []
    return made


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> OwnShapes:
    folder = tmp_path_factory.mktemp("own")
    return from_file(write_file(folder / "year.csv", "US-CAL-CISO", "DE", "AU-NSW"))


def test_factor_is_the_mean_of_the_cell_over_the_mean_of_the_year(own: OwnShapes) -> None:
    # Reckoned with awk from the same file: mean of the month and hour / mean of all 8,784 hours.
    for zone, month, hour, expected in (
        ("US-CAL-CISO", 6, 20, 0.5792),
        ("US-CAL-CISO", 1, 3, 1.2209),
        ("US-CAL-CISO", 2, 20, 0.8654),
        ("DE", 3, 1, 1.0951),
        ("AU-NSW", 12, 2, 0.6685),
    ):
        assert own.zones[zone].factors[month - 1, hour] == pytest.approx(expected, abs=5e-5)


def test_shape_knows_its_source_its_months_and_its_hours(own: OwnShapes) -> None:
    germany = own.zones["DE"]
    assert (germany.source, germany.vintage) == ("file year.csv", "2024-01 to 2024-12")
    assert (germany.hours, germany.estimated_share) == (8784, 0.0)
    assert own.kind == LIFECYCLE


def test_two_years_alike_in_shape_give_that_shape_whatever_their_levels() -> None:
    def value(moment: dt.datetime) -> float:
        level = 100.0 if moment.year == 2023 else 150.0
        return level * (1.5 if moment.hour < 12 else 0.5)

    shape = typical_hours("DE", [hours("2023-01-01T00:00Z", "2025-01-01T00:00Z", value)], YEAR_OF_AGE)
    assert shape.factors[:, :12] == pytest.approx(1.5)
    assert shape.factors[:, 12:] == pytest.approx(0.5)
    # The second year was half as high again as the first told it would be.
    assert shape.g == pytest.approx(math.exp(math.log(1.5) / 1.64))
    assert shape.basis == "the last twelve months told from the time before"
    assert shape.vintage == "2023-01 to 2024-12"


def test_one_year_alone_is_as_wide_as_its_own_hours_and_a_years_step() -> None:
    def value(moment: dt.datetime) -> float:
        return 200.0 if moment.day % 2 else 50.0

    shape = typical_hours("DE", [hours("2023-01-01T00:00Z", "2024-01-01T00:00Z", value)], YEAR_OF_AGE)
    # January: 16 odd days of 31; the cell's mean is what both kinds of day are told by.
    mean = (16 * 200 + 15 * 50) / 31
    own_ln_g = math.log(mean / 50) / 1.64
    assert math.log(shape.g) == pytest.approx(math.hypot(own_ln_g, YEAR_OF_AGE), rel=0.02)
    assert shape.basis == "twelve months told from themselves, and a year's step"


def test_wall_clock_of_a_zone_with_summer_time_gives_the_same_as_utc(tmp_path: Path) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    year = stitched("DE", 2024)
    local = ["zone,time,value"]
    local += [f"DE,{at.astimezone(berlin):%Y-%m-%dT%H:%M},{value}" for at, value in year]
    assert "DE,2024-10-27T02:00" in [line.rsplit(",", 1)[0] for line in local]
    assert "DE,2024-03-31T02:00" not in [line.rsplit(",", 1)[0] for line in local]
    path = tmp_path / "local.csv"
    path.write_text("\n".join(local) + "\n", encoding="utf-8")
    made = from_file(path, timezone="Europe/Berlin")
    utc = from_file(write_file(tmp_path / "utc.csv", "DE"))
    assert made.zones["DE"].factors == pytest.approx(utc.zones["DE"].factors, abs=1e-12)
    assert made.zones["DE"].hours == 8784


@pytest.mark.parametrize(
    ("zone", "clock", "share_of_earlier"),
    [("IN-WE", "Asia/Kolkata", 0.5), ("NP", "Asia/Kathmandu", 0.25), ("AU-SA", "Australia/Adelaide", 0.5)],
)
def test_hours_of_zones_off_by_part_of_an_hour_go_into_both_utc_hours(
    tmp_path: Path, zone: str, clock: str, share_of_earlier: float
) -> None:
    local = ZoneInfo(clock)
    offset = dt.datetime(2024, 1, 1, tzinfo=local).utcoffset()
    assert offset is not None
    moment = dt.datetime(2023, 12, 31, 23, tzinfo=dt.UTC) - offset % dt.timedelta(hours=1)
    lines = ["zone,time,value"]
    while moment.year < 2025:
        lines.append(f"{zone},{moment.astimezone(local):%Y-%m-%dT%H:%M},{100 + moment.hour}")
        moment += dt.timedelta(hours=1)
    path = tmp_path / "local.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    shape = from_file(path, timezone=clock).zones[zone]
    # A local hour that begins at 09:15, 09:30 or 09:45 UTC has the value 109, the one an hour later 110.
    ten = share_of_earlier * 109 + (1 - share_of_earlier) * 110
    two = share_of_earlier * 101 + (1 - share_of_earlier) * 102
    assert shape.factors[4, 10] / shape.factors[4, 2] == pytest.approx(ten / two, rel=1e-12)


def test_half_hours_and_five_minutes_are_averaged_to_hours() -> None:
    starts = np.arange(unix_s("2023-01-01T00:00Z"), unix_s("2024-01-01T00:00Z"), 1800, dtype=np.int64)
    halves = Hours(starts, 100.0 + (starts // 1800) % 2, np.zeros(len(starts), dtype=np.bool_), 1800)
    assert typical_hours("GB", [halves], YEAR_OF_AGE).factors == pytest.approx(1.0)
    assert typical_hours("GB", [halves], YEAR_OF_AGE).hours == 8760


def test_newest_twelve_full_months_are_taken_when_the_history_is_longer() -> None:
    def value(moment: dt.datetime) -> float:
        return 900.0 if (moment.year, moment.month) == (2023, 1) else 100.0

    history = hours("2023-01-15T00:00Z", "2024-06-10T00:00Z", value)
    shape = typical_hours("DE", [history], YEAR_OF_AGE)
    assert shape.vintage == "2023-06 to 2024-05"
    assert shape.factors == pytest.approx(1.0)


def test_leap_day_counts_in_february_and_months_by_their_days() -> None:
    def value(moment: dt.datetime) -> float:
        return 200.0 if moment.month == 2 else 100.0

    shape = typical_hours("DE", [hours("2024-01-01T00:00Z", "2025-01-01T00:00Z", value)], YEAR_OF_AGE)
    assert shape.factors[1] == pytest.approx(200 / ((29 * 200 + 337 * 100) / 366))


def test_value_that_was_revised_counts_as_it_is_now() -> None:
    first = hours("2023-01-01T00:00Z", "2024-01-01T00:00Z", lambda moment: 100.0)
    later = hours("2023-03-01T00:00Z", "2023-04-01T00:00Z", lambda moment: 300.0)
    shape = typical_hours("DE", [first, later], YEAR_OF_AGE)
    assert shape.factors[2] == pytest.approx(300 / ((31 * 300 + 334 * 100) / 365))


@pytest.mark.parametrize(
    ("history", "message"),
    [
        (
            lambda: hours("2024-01-01T00:00Z", "2024-12-15T00:00Z", lambda _: 1.0),
            "zone DE: 12 full months in a row are needed, 11 are there; a full month has every UTC hour on "
            "at least 20 days (2024-12 has 00:00 on 14 days)",
        ),
        (
            lambda: hours("2024-01-15T00:00Z", "2024-01-22T00:00Z", lambda _: 1.0),
            "zone DE: 12 full months in a row are needed, 0 are there; a full month has every UTC hour on at "
            "least 20 days (2024-01 has 00:00 on 7 days)",
        ),
        (
            lambda: hours("2024-01-01T00:00Z", "2025-01-01T00:00Z", lambda _: 1.0, estimated=0.5),
            "zone DE: 50% of its hours are estimated, not measured; less than 50% may be",
        ),
        (
            lambda: hours("2024-01-01T00:00Z", "2025-01-01T00:00Z", lambda at: float(at.hour != 3)),
            "zone DE: a typical hour of 0 would make calls free of carbon",
        ),
        (
            lambda: hours("2024-01-01T00:00Z", "2025-01-01T00:00Z", lambda _: 0.0),
            "zone DE: the mean of a year is 0",
        ),
        (lambda: Hours(np.empty(0, dtype=np.int64), np.empty(0), np.empty(0, dtype=np.bool_), 3600),
         "zone DE has no values"),
    ],
)  # fmt: skip
def test_hours_that_make_no_typical_year_are_refused_with_what_is_missing(
    history: Callable[[], Hours], message: str
) -> None:
    with pytest.raises(NoTypicalHoursError) as caught:
        typical_hours("DE", [history()], YEAR_OF_AGE)
    assert message in str(caught.value)


def test_marginal_hours_are_refused_because_there_is_no_marginal_year() -> None:
    with pytest.raises(MixedKindsError, match="marginal direct values have no use"):
        shapes_of({}, Kind("marginal", "direct"), YEAR_OF_AGE)


def keep(cache: Cache, signal: int, parts: Iterable[Hours], *, is_forecast: bool = False) -> None:
    for part in parts:
        n = len(part.start_unix_s)
        cache.add(
            signal,
            Series(
                zone="DE", kind=LIFECYCLE, accounting="consumption", resolution="hour",
                period_s=part.period_s, start_unix_s=part.start_unix_s, g_per_kwh=part.g_per_kwh,
                is_estimated=part.is_estimated, is_forecast=np.full(n, is_forecast),
                asked_start_unix_s=int(part.start_unix_s[0]), asked_end_unix_s=int(part.start_unix_s[-1]) + 1,
                fetched_unix_s=unix_s("2024-01-05T00:00Z"), source="Feed v1",
            ),
        )  # fmt: skip


def test_history_of_a_cache_is_what_was_measured_and_last_revised() -> None:
    cache = Cache(":memory:")
    signal = cache.signal("feed", LIFECYCLE)
    keep(cache, signal, [hours("2023-01-01T00:00Z", "2024-01-01T00:00Z", lambda _: 100.0)])
    keep(cache, signal, [hours("2023-03-01T00:00Z", "2023-04-01T00:00Z", lambda _: 300.0)])
    keep(cache, signal, [hours("2023-05-01T00:00Z", "2024-03-01T00:00Z", lambda _: 9.0)], is_forecast=True)
    made, reasons = shapes_of(of_cache(cache, signal), cache.kind(signal), YEAR_OF_AGE)
    assert reasons == []
    assert made.zones["DE"].factors[2] == pytest.approx(300 / ((31 * 300 + 334 * 100) / 365))
    assert (made.zones["DE"].source, made.zones["DE"].vintage) == ("Feed v1", "2023-01 to 2023-12")
    cache.close()


def test_own_hours_multiply_the_editions_year_and_say_so(edition: Path, region, own: OwnShapes) -> None:
    signal = Embedded(edition, "lifecycle", "typical-hour", shapes=own)
    told = signal.at(region("aws/us-west-1"), 2025)
    annual = Embedded(edition).at(region("aws/us-west-1"), 2025)
    assert (told.g_per_kwh, told.resolution, told.vintage) == (annual.g_per_kwh, "typical-hour", 2025)
    assert told.shape_source == "file year.csv, 2024-01 to 2024-12"
    assert told.origin == "Electricity Maps 2025 x typical hours of file year.csv, 2024-01 to 2024-12"
    start = np.array([unix_s("2025-06-15T20:10Z")]) * 10**9
    factor = signal.hour_factors([told.shape_zone], np.zeros(1, dtype=np.int32), start)
    assert factor == pytest.approx(0.5792, abs=5e-5)
    assert Factor("zone:US-CAL-CISO", math.log(own.zones["US-CAL-CISO"].g)) in told.factors


def test_zones_without_own_hours_keep_the_editions(edition: Path, region, own: OwnShapes) -> None:
    signal = Embedded(edition, "lifecycle", "typical-hour", shapes=own)
    for name in ("aws/eu-west-3", "aws/eu-north-1", "gcp/asia-northeast1"):
        without = Embedded(edition, "lifecycle", "typical-hour").at(region(name), 2025)
        assert signal.at(region(name), 2025) == without


def test_own_hours_of_a_zone_that_the_edition_has_none_for(edition: Path, region) -> None:
    shape = ZoneShape(
        "JP-TK", np.ones((12, 24)), 1.2, "a test", "2024-01 to 2024-12", 8784, 0.0, "file j.csv"
    )
    signal = Embedded(edition, "lifecycle", "typical-hour", shapes=OwnShapes(LIFECYCLE, {"JP-TK": shape}))
    told = signal.at(region("gcp/asia-northeast1"), 2025)
    assert (told.resolution, told.shape_source) == ("typical-hour", "file j.csv, 2024-01 to 2024-12")
    assert Embedded(edition, "lifecycle", "typical-hour").at(
        region("gcp/asia-northeast1"), 2025
    ).resolution == ("annual")


def test_own_hours_go_with_embers_year_where_the_odbl_folder_was_deleted(
    open_edition: Path, region, own: OwnShapes
) -> None:
    told = Embedded(open_edition, "lifecycle", "typical-hour", shapes=own).at(
        region("aws/eu-central-1"), 2024
    )
    assert (told.source, told.shape_zone, told.resolution) == ("Ember", "DE", "typical-hour")
    assert told.shape_source == "file year.csv, 2024-01 to 2024-12"


def test_annual_resolution_leaves_own_hours_alone(edition: Path, region, own: OwnShapes) -> None:
    told = Embedded(edition, shapes=own).at(region("aws/us-west-1"), 2025)
    assert (told.resolution, told.shape_source) == ("annual", "")


def test_own_hours_of_another_factor_type_are_refused(edition: Path, own: OwnShapes, tmp_path: Path) -> None:
    with pytest.raises(MixedKindsError, match="average lifecycle typical hours cannot multiply"):
        Embedded(edition, "direct", "typical-hour", shapes=own)
    with pytest.raises(ShapeFileError, match="one never stands in for the other"):
        of_kind(own, "direct", tmp_path / "own.json")


def test_file_gives_back_what_was_written(own: OwnShapes, tmp_path: Path) -> None:
    path = tmp_path / "own.json"
    write_shapes(own, path)
    found = read_shapes(path)
    assert found.kind == LIFECYCLE
    assert sorted(found.zones) == ["AU-NSW", "DE", "US-CAL-CISO"]
    for zone, shape in found.zones.items():
        assert shape.factors == pytest.approx(own.zones[zone].factors, abs=5e-5)
        assert shape.g == pytest.approx(own.zones[zone].g, abs=5e-5)
        assert (shape.vintage, shape.source, shape.hours) == ("2024-01 to 2024-12", "file year.csv", 8784)
    before = path.read_bytes()
    write_shapes(found, path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(format="other"), "not a file of typical hours"),
        (lambda c: c.update(signal="marginal"), "holds marginal lifecycle typical hours; allowed: average"),
        (lambda c: c.update(factor_type="green"), "holds average green typical hours"),
        (lambda c: c.update(zones={}), "has no zones"),
        (lambda c: c["zones"]["DE"].pop("g"), "zone DE: KeyError('g')"),
        (lambda c: c["zones"]["DE"].update(g=0.9), "zone DE: g is 0.9; a geometric spread is from 1 on"),
        (lambda c: c["zones"]["DE"]["factors_by_month_and_utc_hour"].pop(), "zone DE: needs 12 months of 24"),
        (
            lambda c: c["zones"]["DE"]["factors_by_month_and_utc_hour"][3].__setitem__(4, 0.0),
            "zone DE: needs 12 months of 24 factors, all above 0",
        ),
        (
            lambda c: c["zones"]["DE"].update(factors_by_month_and_utc_hour=[[2.0] * 24] * 12),
            "the mean of its factors is 2.000, not 1",
        ),
    ],
)
def test_file_that_cannot_be_used_is_refused_with_the_reason(
    own: OwnShapes, tmp_path: Path, change: Callable[[dict], object], message: str
) -> None:
    path = tmp_path / "own.json"
    write_shapes(own, path)
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ShapeFileError) as caught:
        read_shapes(path)
    assert message in str(caught.value)
    assert "own.json" in str(caught.value)


def test_missing_file_and_a_file_that_is_no_json_are_named(tmp_path: Path) -> None:
    with pytest.raises(ShapeFileError, match="cannot be read: No such file"):
        read_shapes(tmp_path / "none.json")
    (tmp_path / "own.json").write_text("zone,month\n", encoding="utf-8")
    with pytest.raises(ShapeFileError, match="not JSON"):
        read_shapes(tmp_path / "own.json")
