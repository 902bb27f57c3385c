"""What calls estimated earlier would get now: hours that came, forecasts that came true, values revised."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.grid.feeds.limits import FAST
from tests.grid.server.apis import HOUR_S, PASSWORD, TOKEN, USER, Apis, unix_s
from wattspan.calls import CallBatch
from wattspan.estimator import Estimator
from wattspan.grid import Embedded, Kind
from wattspan.grid.cache import Cache
from wattspan.grid.feeds.electricity_maps import ElectricityMaps
from wattspan.grid.feeds.series import Series
from wattspan.grid.feeds.watttime import WattTime
from wattspan.grid.live import LiveSignal
from wattspan.grid.prefetch import Prefetcher
from wattspan.places import Place

MARCH = unix_s("2026-03-03T00:00Z")
NS = 10**9


@pytest.fixture
def cache() -> Iterator[Cache]:
    made = Cache(":memory:")
    yield made
    made.close()


@pytest.fixture
def signal(apis: Apis, cache: Cache, edition: Path) -> Iterator[LiveSignal]:
    feed = ElectricityMaps(TOKEN, base_url=apis.url, limits=FAST)
    yield LiveSignal(feed, cache, Embedded(edition))
    feed.close()


def keep(signal: LiveSignal, start: int, value: float, *, is_forecast: bool = False, zone: str = "DE") -> int:
    series = Series(
        zone=zone, kind=signal.kind, accounting="consumption", resolution="hour", period_s=HOUR_S,
        start_unix_s=np.array([start]), g_per_kwh=np.array([value]), is_estimated=np.array([False]),
        is_forecast=np.array([is_forecast]), asked_start_unix_s=start, asked_end_unix_s=start + HOUR_S,
        fetched_unix_s=start + 2 * HOUR_S, source="test",
    )  # fmt: skip
    return signal.cache.add(signal.signal_id, series).fetch_id


def newer(signal: LiveSignal, place: Place, position: int, *moments: int) -> list[bool]:
    starts = np.array(moments, dtype=np.int64) * NS
    return signal.newer([place], np.zeros(len(moments), dtype=np.int32), starts, position).tolist()


def test_hour_that_came_since_is_newer_and_the_others_are_not(signal: LiveSignal, region) -> None:
    place = region("aws/eu-central-1")
    before = signal.position
    keep(signal, MARCH, 300.0)
    assert newer(signal, place, before, MARCH + 5, MARCH + HOUR_S, 0) == [True, False, False]
    assert newer(signal, place, signal.position, MARCH + 5) == [False]


def test_revised_value_and_a_forecast_that_came_true_are_newer(signal: LiveSignal, region) -> None:
    place = region("aws/eu-central-1")
    keep(signal, MARCH, 300.0)
    keep(signal, MARCH + HOUR_S, 310.0, is_forecast=True)
    between = keep(signal, MARCH + 2 * HOUR_S, 320.0)
    moments = (MARCH, MARCH + HOUR_S, MARCH + 2 * HOUR_S)
    assert newer(signal, place, between, *moments) == [False, False, False]
    keep(signal, MARCH, 305.0)
    keep(signal, MARCH + HOUR_S, 333.0)
    assert newer(signal, place, between, *moments) == [True, True, False]


def test_same_value_read_again_and_a_forecast_after_the_measurement_are_not_newer(
    signal: LiveSignal, region
) -> None:
    place = region("aws/eu-central-1")
    position = keep(signal, MARCH, 300.0)
    keep(signal, MARCH, 300.0)
    keep(signal, MARCH, 999.0, is_forecast=True)
    assert newer(signal, place, position, MARCH) == [False]


def test_asking_what_is_newer_wants_and_counts_nothing(signal: LiveSignal, region) -> None:
    assert newer(signal, region("aws/eu-central-1"), 0, MARCH) == [False]
    assert signal.wanted() == []
    assert not signal.misses


def test_mix_is_newer_when_the_last_of_its_zones_came(signal: LiveSignal, mix) -> None:
    place = mix("aws", "eu")
    *zones, last = sorted(set(place.zones))
    for zone in zones:
        position = keep(signal, MARCH, 100.0, zone=zone)
    assert newer(signal, place, 0, MARCH) == [False]
    keep(signal, MARCH, 100.0, zone=last)
    assert newer(signal, place, position, MARCH) == [True]


def test_region_placed_by_the_feed_since_is_newer_though_its_hours_were_there_for_others(
    apis: Apis, cache: Cache, region
) -> None:
    feed = WattTime(USER, PASSWORD, base_url=apis.url, limits=FAST)
    signal = LiveSignal(feed, cache)
    place = region("aws/us-west-1")
    position = keep(signal, MARCH, 100.0, zone="CAISO_NORTH")
    assert newer(signal, place, position, MARCH) == [False]
    signal.locate(place.members[0], "CAISO_NORTH", MARCH + 30 * HOUR_S)
    assert newer(signal, place, position, MARCH) == [True]
    feed.close()


def test_changed_names_zones_and_times_of_what_came_since(signal: LiveSignal) -> None:
    position = keep(signal, MARCH, 300.0)
    assert signal.changed(position) == {}
    keep(signal, MARCH + HOUR_S, 300.0)
    keep(signal, MARCH + 5 * HOUR_S, 300.0)
    keep(signal, MARCH, 20.0, zone="FR")
    assert signal.changed(position) == {
        "DE": (MARCH + HOUR_S, MARCH + 6 * HOUR_S),
        "FR": (MARCH, MARCH + HOUR_S),
    }


def test_calls_estimated_before_their_hour_came_are_found_and_become_hourly_of_the_same_kind(
    apis: Apis, signal: LiveSignal
) -> None:
    estimator = Estimator(grid=signal)
    calls = CallBatch.of(
        3,
        model="gpt-4o",
        input_tokens=1000,
        output_tokens=300,
        span_region=["eu-central-1", "eu-west-3", "us-east-1"],
        start_unix_ns=np.array([MARCH, MARCH + HOUR_S, MARCH], dtype=np.int64) * NS,
    )
    position = signal.position
    coarse = estimator.estimate(calls)
    assert coarse.grid_resolution.texts() == ["annual"] * 3
    # The server has Germany and France, not PJM.
    Prefetcher(signal).round()
    is_newer = estimator.newer(calls, position)
    assert is_newer.tolist() == [True, True, False]
    again = estimator.estimate(calls.take(np.flatnonzero(is_newer)))
    assert again.grid_resolution.texts() == ["hour", "hour"]
    assert again.intensity_g_per_kwh.tolist() == [148.0, 149.0]
    assert (
        (again.signal, again.factor_type) == (coarse.signal, coarse.factor_type) == ("average", "lifecycle")
    )
    assert again.energy_kwh.tolist() == coarse.energy_kwh[:2].tolist()
    assert estimator.newer(calls, signal.position).tolist() == [False, False, False]


def test_edition_alone_is_never_newer() -> None:
    calls = CallBatch.of(1, model="gpt-4o", output_tokens=300, start_unix_ns=MARCH * NS)
    assert Estimator().newer(calls, 0).tolist() == [False]
    assert Estimator().grid.kind == Kind("average", "lifecycle")
