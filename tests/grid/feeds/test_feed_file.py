"""A file of the user's own: columns, units, clocks that jump, and what is wrong with a line."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from tests.grid.server.apis import unix_s
from wattspan.grid.feeds.errors import FeedFileError, FeedNoDataError
from wattspan.grid.feeds.file import FileFeed
from wattspan.grid.intensity import Kind

KIND = Kind("average", "lifecycle")
DAY = unix_s("2026-03-29T00:00Z"), unix_s("2026-03-30T00:00Z")


def write(folder: Path, text: str) -> Path:
    path = folder / "own.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_values_by_zone_and_hour_with_the_digest_of_the_file(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "zone,time,value,estimated\nDE,2026-03-29T00:00Z,300,\nDE,2026-03-29T03:00+02:00,310.5,true\n"
        "NA,2026-03-29T00:00Z,50,false\nDE,2026-03-29T02:00Z,,\n",
    )
    feed = FileFeed(path, kind=KIND, accounting="consumption")
    (series,) = feed.fetch("DE", *DAY)
    assert series.start_unix_s.tolist() == [DAY[0], DAY[0] + 3600]
    assert series.g_per_kwh.tolist() == [300.0, 310.5]
    assert series.is_estimated.tolist() == [False, True]
    assert series.nulls == 1
    assert (series.kind, series.accounting, series.source) == (KIND, "consumption", "file own.csv")
    assert series.vintage.startswith("sha256 ")
    assert len(series.vintage) == 7 + 64
    assert [series.zone for series in feed.everything()] == ["DE", "NA"]


def test_pounds_a_megawatt_hour_are_converted(tmp_path: Path) -> None:
    path = write(tmp_path, "zone,time,value\nDE,2026-03-29T00:00Z,1000\n")
    (series,) = FileFeed(path, kind=KIND, unit="lb/MWh").fetch("DE", *DAY)
    assert series.g_per_kwh.tolist() == pytest.approx([453.59237], rel=1e-15)


def test_times_may_name_the_end_of_their_hour(tmp_path: Path) -> None:
    path = write(tmp_path, "zone,time,value\nDE,2026-03-29T01:00Z,300\n")
    (series,) = FileFeed(path, kind=KIND, time_is="end").fetch("DE", *DAY)
    assert series.start_unix_s.tolist() == [DAY[0]]


def test_hour_that_comes_twice_in_autumn_is_two_hours(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "zone,time,value\nDE,2026-10-25T01:00,1\nDE,2026-10-25T02:00,2\nDE,2026-10-25T02:00,3\n"
        "DE,2026-10-25T03:00,4\n",
    )
    feed = FileFeed(path, kind=KIND, timezone="Europe/Berlin")
    (series,) = feed.fetch("DE", unix_s("2026-10-24T00:00Z"), unix_s("2026-10-26T00:00Z"))
    first = unix_s("2026-10-24T23:00Z")
    assert series.start_unix_s.tolist() == [first, first + 3600, first + 7200, first + 10800]
    assert series.g_per_kwh.tolist() == [1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize(
    ("text", "settings", "message"),
    [
        ("zone,time,value\nDE,2026-03-29T02:00,1\n", {"timezone": "Europe/Berlin"}, "00 does not exist"),
        ("zone,time,value\nDE,2026-03-29T02:00,1\n", {}, "line 2: 2026-03-29T02:00:00 has no UTC offset"),
        ("zone,time,value\nDE,29.03.2026,1\n", {}, "line 2: time is '29.03.2026'"),
        ("zone,time,value\nDE,2026-03-29T00:30Z,1\n", {}, "is not the start of a period; a period has"),
        ("zone,time,value\nDE,2026-03-29T00:00Z,much\n", {}, "line 2: value is 'much'"),
        ("zone,time,value\n,2026-03-29T00:00Z,1\n", {}, "line 2: zone is ''"),
        ("zone,time,value,estimated\nDE,2026-03-29T00:00Z,1,maybe\n", {}, "line 2: estimated is 'maybe'"),
        ("zone,hour,value\nDE,1,1\n", {}, "has no column 'time'; found zone, hour, value"),
        ("", {}, "has no column 'zone'; found nothing"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_line_is_said(tmp_path: Path, text: str, settings: dict, message: str) -> None:
    feed = FileFeed(write(tmp_path, text), kind=KIND, **settings)
    with pytest.raises(FeedFileError) as caught:
        list(feed.fetch("DE", *DAY))
    assert message in str(caught.value)
    assert "own.csv" in str(caught.value)


def test_missing_file_and_missing_zone_are_named(tmp_path: Path) -> None:
    with pytest.raises(FeedFileError, match="cannot be read: No such file"):
        list(FileFeed(tmp_path / "none.csv", kind=KIND).fetch("DE", *DAY))
    path = write(tmp_path, "zone,time,value\nFR,2026-03-29T00:00Z,1\n")
    with pytest.raises(FeedNoDataError, match=r"own\.csv has FR, not this zone"):
        list(FileFeed(path, kind=KIND).fetch("DE", *DAY))


@pytest.mark.parametrize(
    ("settings", "message"), [({"timezone": "Mars/Base"}, "Mars/Base"), ({"period_s": 7}, "period_s is 7")]
)
def test_settings_that_cannot_be_are_refused_at_once(tmp_path: Path, settings: dict, message: str) -> None:
    with pytest.raises(FeedFileError, match=message):
        FileFeed(tmp_path / "own.csv", kind=KIND, **settings)


def test_changed_file_is_read_again(tmp_path: Path) -> None:
    path = write(tmp_path, "zone,time,value\nDE,2026-03-29T00:00Z,1\n")
    feed = FileFeed(path, kind=KIND)
    (before,) = feed.fetch("DE", *DAY)
    write(tmp_path, "zone,time,value\nDE,2026-03-29T00:00Z,2\n")
    (after,) = feed.fetch("DE", *DAY)
    assert (before.g_per_kwh[0], after.g_per_kwh[0]) == (1.0, 2.0)
    assert before.vintage != after.vintage


def test_parquet_is_read_like_csv(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="Parquet needs pyarrow: pip install pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    moment = dt.datetime(2026, 3, 29, tzinfo=dt.UTC)
    table = pyarrow.table(
        {"zone": ["DE", "DE"], "time": [moment, moment + dt.timedelta(hours=1)], "value": [1.5, None]}
    )
    parquet.write_table(table, tmp_path / "own.parquet")
    (series,) = FileFeed(tmp_path / "own.parquet", kind=KIND).fetch("DE", *DAY)
    assert (series.start_unix_s.tolist(), series.g_per_kwh.tolist(), series.nulls) == ([DAY[0]], [1.5], 1)


def test_what_is_no_parquet_is_said(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="Parquet needs pyarrow: pip install pyarrow")
    path = tmp_path / "own.parquet"
    path.write_bytes(b"zone,time,value\n")
    with pytest.raises(FeedFileError, match="is no Parquet file"):
        list(FileFeed(path, kind=KIND).fetch("DE", *DAY))


def test_hours_of_a_zone_half_an_hour_off_are_two_half_hours_each(tmp_path: Path) -> None:
    text = "zone,time,value\nIN-WE,2026-03-29T05:00,700\nIN-WE,2026-03-29T06:00,710\n"
    feed = FileFeed(write(tmp_path, text), kind=KIND, timezone="Asia/Kolkata")
    (series,) = feed.everything()
    first = unix_s("2026-03-28T23:30Z")
    assert (feed.step.seconds, series.period_s, series.resolution) == (1800, 1800, "hour")
    assert series.start_unix_s.tolist() == [first, first + 1800, first + 3600, first + 5400]
    assert series.g_per_kwh.tolist() == [700.0, 700.0, 710.0, 710.0]


def test_three_quarters_of_an_hour_off_makes_quarters_also_for_the_files_other_zones(tmp_path: Path) -> None:
    text = "zone,time,value\nNP,2026-03-29T05:00+05:45,20\nDE,2026-03-29T00:00Z,300\n"
    feed = FileFeed(write(tmp_path, text), kind=KIND)
    nepal, germany = feed.everything()
    assert feed.step.seconds == 900
    assert nepal.start_unix_s[0] == unix_s("2026-03-28T23:15Z")
    assert germany.g_per_kwh.tolist() == [300.0] * 4


def test_half_past_the_hour_is_a_start_only_where_the_clock_has_its_hour_there(tmp_path: Path) -> None:
    in_utc = "zone,time,value\nIN-WE,2026-03-29T00:30Z,700\n"
    with pytest.raises(FeedFileError, match="is not the start of a period"):
        list(FileFeed(write(tmp_path, in_utc), kind=KIND).everything())
    (series,) = FileFeed(write(tmp_path, in_utc), kind=KIND, timezone="Asia/Kolkata").everything()
    assert series.g_per_kwh.tolist() == [700.0, 700.0]
    text = "zone,time,value\nIN-WE,2026-03-29T06:15+05:30,700\n"
    with pytest.raises(FeedFileError, match="is not the start of a period"):
        list(FileFeed(write(tmp_path, text), kind=KIND).everything())


def test_file_that_changes_its_part_of_an_hour_is_refused(tmp_path: Path) -> None:
    feed = FileFeed(write(tmp_path, "zone,time,value\nDE,2026-03-29T00:00Z,1\n"), kind=KIND)
    assert feed.step.seconds == 3600
    write(tmp_path, "zone,time,value\nIN-WE,2026-03-29T05:00+05:30,1\n")
    with pytest.raises(FeedFileError, match="now has times off UTC by another part of an hour; start anew"):
        list(feed.everything())
