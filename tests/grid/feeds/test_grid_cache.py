"""The cache: kept for good, revised beside and not over, found again by position."""

from __future__ import annotations

import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.grid.server.apis import HOUR_S, unix_s
from wattspan.grid.cache import Cache, CacheError
from wattspan.grid.feeds.series import Series
from wattspan.grid.intensity import Kind, MixedKindsError
from wattspan.grid.pages import Label, Pages
from wattspan.grid.step import YEAR, Step

KIND = Kind("average", "lifecycle")
T0 = unix_s("2026-03-01T00:00Z")
HOUR = Step(3600)


def series(
    values: list[float], *, start: int = T0, period_s: int = HOUR_S, fetched: int = T0 + 10**6, **more
) -> Series:
    starts = [start + i * period_s for i in range(len(values))]
    n = len(values)
    known = {
        "zone": "DE",
        "kind": KIND,
        "accounting": "consumption",
        "resolution": "hour",
        "period_s": period_s,
        "start_unix_s": np.array(starts, dtype=np.int64),
        "g_per_kwh": np.array(values, dtype=np.float64),
        "is_estimated": np.zeros(n, dtype=np.bool_),
        "is_forecast": np.zeros(n, dtype=np.bool_),
        "asked_start_unix_s": start,
        "asked_end_unix_s": start + n * period_s,
        "fetched_unix_s": fetched,
        "source": "test feed",
    }
    return Series(**{**known, **more})


@pytest.fixture
def cache(tmp_path: Path):
    made = Cache(tmp_path / "grid.sqlite")
    yield made
    made.close()


def look(pages: Pages, zone: str, *moments: int) -> list[float]:
    rows = np.full(len(moments), pages.zone_row(zone), dtype=np.int64)
    return pages.look(rows, np.array(moments, dtype=np.int64) * 10**9).g_per_kwh.tolist()


def test_value_is_found_with_all_that_is_known_of_it(cache: Cache) -> None:
    signal = cache.signal("feed", KIND)
    added = cache.add(
        signal, series([300.0], vintage="model 7", warnings=("old region",), rejected=("x: bad",))
    )
    assert (added.new, added.revised) == (1, 0)
    (vintage,) = cache.vintages(signal, "DE", T0)
    assert (vintage.g_per_kwh, vintage.is_estimated, vintage.is_forecast) == (300.0, False, False)
    fetch = vintage.fetch
    assert (fetch.zone, fetch.asked_start_unix_s, fetch.asked_end_unix_s) == ("DE", T0, T0 + HOUR_S)
    assert (fetch.source, fetch.vintage, fetch.fetched_unix_s) == ("test feed", "model 7", T0 + 10**6)
    assert (fetch.resolution, fetch.accounting, fetch.notes) == (
        "hour",
        "consumption",
        ("old region", "x: bad"),
    )


def test_revised_value_stands_beside_the_old_one(cache: Cache) -> None:
    signal = cache.signal("feed", KIND)
    cache.add(signal, series([300.0, 310.0]))
    before = cache.position()
    added = cache.add(signal, series([300.0, 333.0]))
    assert (added.new, added.revised) == (0, 1)
    assert [v.g_per_kwh for v in cache.vintages(signal, "DE", T0 + HOUR_S)] == [310.0, 333.0]
    assert look(Pages(cache, signal, HOUR), "DE", T0, T0 + HOUR_S) == [300.0, 333.0]
    assert look(Pages(cache, signal, HOUR, as_of=before), "DE", T0, T0 + HOUR_S) == [300.0, 310.0]


def test_value_that_goes_back_is_a_third_vintage(cache: Cache) -> None:
    signal = cache.signal("feed", KIND)
    for value in (300.0, 310.0, 300.0, 300.0):
        cache.add(signal, series([value]))
    assert [v.g_per_kwh for v in cache.vintages(signal, "DE", T0)] == [300.0, 310.0, 300.0]


@pytest.mark.parametrize("table", ["signal", "fetch", "value", "location"])
@pytest.mark.parametrize("statement", ["DELETE FROM {}", "UPDATE {} SET rowid = rowid"])
def test_nothing_can_be_changed_or_deleted(tmp_path: Path, table: str, statement: str) -> None:
    cache = Cache(tmp_path / "grid.sqlite")
    signal = cache.signal("feed", KIND)
    cache.add(signal, series([300.0]))
    cache.locate(signal, "aws/x", "DE", T0)
    cache.close()
    if table in ("value", "location"):
        statement = statement.replace("rowid = rowid", "zone = 'FR'")
    with (
        sqlite3.connect(tmp_path / "grid.sqlite") as db,
        pytest.raises(sqlite3.IntegrityError, match="kept for good"),
    ):
        db.execute(statement.format(table))
    db.close()


def test_series_of_another_kind_is_refused(cache: Cache) -> None:
    signal = cache.signal("feed", KIND)
    with pytest.raises(
        MixedKindsError, match="marginal direct series of test feed was to be kept as average lifecycle"
    ):
        cache.add(signal, series([1.0], kind=Kind("marginal", "direct")))
    assert cache.position() == 0


def test_kinds_of_one_feed_are_kept_apart(cache: Cache) -> None:
    lifecycle, direct = cache.signal("feed", KIND), cache.signal("feed", Kind("average", "direct"))
    cache.add(lifecycle, series([300.0]))
    cache.add(direct, series([200.0], kind=Kind("average", "direct")))
    assert look(Pages(cache, lifecycle, HOUR), "DE", T0) == [300.0]
    assert look(Pages(cache, direct, HOUR), "DE", T0) == [200.0]


def test_file_is_for_its_owner_only(tmp_path: Path) -> None:
    Cache(tmp_path / "grid.sqlite").close()
    assert stat.S_IMODE((tmp_path / "grid.sqlite").stat().st_mode) == 0o600


def test_values_survive_closing(tmp_path: Path) -> None:
    first = Cache(tmp_path / "grid.sqlite")
    first.add(first.signal("feed", KIND), series([1 / 3]))
    first.close()
    again = Cache(tmp_path / "grid.sqlite")
    assert again.vintages(again.signal("feed", KIND), "DE", T0)[0].g_per_kwh == 1 / 3
    again.close()


def test_another_file_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE mine (x)")
    db.close()
    with pytest.raises(CacheError, match="another SQLite file; give another path"):
        Cache(path)
    (tmp_path / "text").write_text("no database at all, but long enough to be looked at" * 30)
    with pytest.raises(CacheError, match="not a database"):
        Cache(tmp_path / "text")
    with pytest.raises(CacheError, match="cannot be used"):
        Cache(tmp_path / "no" / "such" / "folder")


def test_cache_of_a_later_version_is_refused(tmp_path: Path) -> None:
    Cache(tmp_path / "grid.sqlite").close()
    with sqlite3.connect(tmp_path / "grid.sqlite") as db:
        db.execute("PRAGMA user_version = 2")
    db.close()
    with pytest.raises(CacheError, match="has version 2, this is for version 1"):
        Cache(tmp_path / "grid.sqlite")


def test_what_another_process_brings_is_seen_after_advance(tmp_path: Path, cache: Cache) -> None:
    signal = cache.signal("feed", KIND)
    pages = Pages(cache, signal, HOUR)
    assert np.isnan(look(pages, "DE", T0)).all()
    other = Cache(tmp_path / "grid.sqlite")
    other.add(signal, series([300.0]))
    other.close()
    assert np.isnan(look(pages, "DE", T0)).all()
    assert pages.advance()
    assert look(pages, "DE", T0) == [300.0]
    assert not pages.advance()


def test_measured_value_goes_before_a_later_forecast(cache: Cache) -> None:
    signal = cache.signal("feed", KIND)
    forecast = np.ones(1, dtype=np.bool_)
    cache.add(signal, series([250.0], is_forecast=forecast))
    pages = Pages(cache, signal, HOUR)
    assert look(pages, "DE", T0) == [250.0]
    assert pages.labels == [Label("forecast", "consumption", "test feed", 2026, False)]
    cache.add(signal, series([300.0]))
    cache.add(signal, series([260.0], is_forecast=forecast))
    pages.advance()
    assert look(pages, "DE", T0) == [300.0]


def test_value_holds_from_its_start_until_the_next(cache: Cache) -> None:
    signal = cache.signal("feed", KIND)
    cache.add(signal, series([1.0, 2.0], period_s=1800))
    pages = Pages(cache, signal, Step(1800))
    assert look(pages, "DE", T0, T0 + 1799, T0 + 1800, T0 + 3599) == [1.0, 1.0, 2.0, 2.0]
    assert np.isnan(look(pages, "DE", T0 - 1, T0 + 3600)).all()


def test_long_value_fills_the_short_steps_it_holds_for(cache: Cache) -> None:
    signal = cache.signal("feed", KIND)
    cache.add(signal, series([1.0, 2.0], period_s=3600))
    pages = Pages(cache, signal, Step(300))
    assert look(pages, "DE", T0 + 3300, T0 + 3600, T0 + 7199) == [1.0, 2.0, 2.0]


@pytest.mark.parametrize(
    "moment", [0, -1, -(2**33), unix_s("1999-12-31T23:59Z"), unix_s("2100-01-01T00:00Z"), 2**33]
)
def test_moments_that_cannot_be_have_no_value(cache: Cache, moment: int) -> None:
    signal = cache.signal("feed", KIND)
    cache.add(signal, series([1.0]))
    assert np.isnan(look(Pages(cache, signal, HOUR), "DE", moment)).all()


def test_every_hour_of_a_leap_year_is_found(cache: Cache) -> None:
    signal = cache.signal("feed", KIND)
    start = unix_s("2024-01-01T00:00Z")
    values = np.arange(8784, dtype=np.float64)
    cache.add(signal, series(values.tolist(), start=start))
    pages = Pages(cache, signal, HOUR)
    moments = (start + np.arange(8784) * 3600).tolist()
    assert look(pages, "DE", *moments) == values.tolist()
    assert look(pages, "DE", unix_s("2024-02-29T12:30Z")) == [59 * 24 + 12]


def test_year_stands_in_for_the_next_three_and_says_of_which_year_it_is(cache: Cache) -> None:
    signal = cache.signal("ember", KIND)
    for year, value in ((2020, 400.0), (2022, 350.0)):
        one = series([value], start=unix_s(f"{year}-01-01T00:00Z"), resolution="annual")
        cache.add(signal, Series(**{**{n: getattr(one, n) for n in one.__slots__}, "period_s": 0}))
    pages = Pages(cache, signal, YEAR)
    days = [unix_s(f"{year}-06-01T00:00Z") for year in (2019, 2020, 2021, 2022, 2025, 2026)]
    found = pages.look(np.full(6, pages.zone_row("DE")), np.array(days) * 10**9)
    assert found.g_per_kwh.tolist()[1:5] == [400.0, 400.0, 350.0, 350.0]
    assert np.isnan(found.g_per_kwh[[0, 5]]).all()
    told = [pages.labels[code] for code in found.label[1:5]]
    assert [(label.vintage, label.carried_years) for label in told] == [
        (2020, 0),
        (2020, 1),
        (2022, 0),
        (2022, 3),
    ]


@given(
    st.lists(
        st.tuples(st.integers(0, 5000), st.lists(st.floats(0, 900), min_size=1, max_size=30)),
        min_size=1,
        max_size=6,
    )
)
def test_look_up_equals_the_last_value_added_for_the_hour(batches: list[tuple[int, list[float]]]) -> None:
    cache = Cache(":memory:")
    signal = cache.signal("feed", KIND)
    pages = Pages(cache, signal, HOUR)
    truth: dict[int, float] = {}
    for offset, values in batches:
        cache.add(signal, series(values, start=T0 + offset * HOUR_S))
        truth.update({T0 + (offset + i) * HOUR_S: value for i, value in enumerate(values)})
        pages.advance()
        assert look(pages, "DE", *truth) == list(truth.values())
    assert np.isnan(look(pages, "FR", *truth)).all()
    cache.close()


def test_location_of_a_region_is_kept_with_its_time(cache: Cache) -> None:
    signal = cache.signal("feed", KIND)
    cache.locate(signal, "aws/us-west-1", "CAISO_NORTH", T0)
    cache.locate(signal, "aws/us-west-1", "CAISO", T0 + 100)
    assert cache.locations(signal) == {"aws/us-west-1": ("CAISO", T0 + 100)}
    assert cache.locations(signal, T0 + 99) == {"aws/us-west-1": ("CAISO_NORTH", T0)}


def test_unknown_fetch_is_named(cache: Cache) -> None:
    with pytest.raises(KeyError, match="has no fetch 7"):
        cache.fetch(7)


def test_many_may_open_and_fill_one_file_at_once(tmp_path: Path) -> None:
    def fill(zone: int) -> int:
        cache = Cache(tmp_path / "grid.sqlite")
        signal = cache.signal("feed", KIND)
        for day in range(5):
            cache.add(signal, series([float(zone)] * 24, zone=f"Z{zone}", start=T0 + day * 86_400))
        cache.close()
        return zone

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(fill, range(16))) == list(range(16))
    cache = Cache(tmp_path / "grid.sqlite")
    pages = Pages(cache, cache.signal("feed", KIND), HOUR)
    assert cache.position() == 80
    assert [look(pages, f"Z{zone}", T0 + 100 * 3600)[0] for zone in range(16)] == [
        float(z) for z in range(16)
    ]
    cache.close()
