"""The live signal: hours over coarse figures, of one kind, without waiting."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.grid.feeds.limits import FAST
from tests.grid.server.apis import DAY_S, EMBER_KEY, HOUR_S, PASSWORD, TOKEN, USER, Apis, Fault, unix_s
from wattspan.calls import Factor
from wattspan.grid import Embedded
from wattspan.grid.cache import Cache
from wattspan.grid.feeds.electricity_maps import ElectricityMaps
from wattspan.grid.feeds.ember import Ember
from wattspan.grid.feeds.uk import UKCarbonIntensity
from wattspan.grid.feeds.watttime import WattTime
from wattspan.grid.hourly import HourlySignal, HourlyValues
from wattspan.grid.intensity import Kind, MixedKindsError, same_kind
from wattspan.grid.live import (
    FEED_FAILED,
    NO_TIME,
    NO_ZONE,
    NOT_THERE_YET,
    SEVERAL_ZONES,
    TOO_MANY_ZONES,
    LiveSignal,
    Want,
)
from wattspan.grid.live_spreads import Spreads
from wattspan.grid.prefetch import Prefetcher
from wattspan.places import Place

MARCH = unix_s("2026-03-03T00:00Z")
NS = 10**9
REVISION = math.log(1.099) / 1.645


@pytest.fixture
def cache() -> Iterator[Cache]:
    made = Cache(":memory:")
    yield made
    made.close()


@pytest.fixture
def feed(apis: Apis) -> Iterator[ElectricityMaps]:
    made = ElectricityMaps(TOKEN, base_url=apis.url, limits=FAST)
    yield made
    made.close()


@pytest.fixture
def signal(feed: ElectricityMaps, cache: Cache, edition: Path) -> LiveSignal:
    return LiveSignal(feed, cache, Embedded(edition), spreads=Spreads.of(edition, feed))


def at(signal: LiveSignal, places: list[Place], *calls: tuple[int, int]) -> HourlyValues:
    """Values of calls given as (place, moment)."""
    codes = np.array([code for code, _ in calls], dtype=np.int32)
    return signal.hourly(places, codes, np.array([moment for _, moment in calls], dtype=np.int64) * NS)


def test_hour_that_is_not_there_gets_the_coarse_figure_at_once_and_is_wanted(
    apis: Apis, signal: LiveSignal, region
) -> None:
    place = region("aws/eu-central-1")
    found = at(signal, [place], (0, MARCH + 5), (0, MARCH + HOUR_S))
    assert found.codes.tolist() == [-1, -1]
    assert np.isnan(found.g_per_kwh).all()
    assert apis.requests == []
    assert signal.misses == {("DE", NOT_THERE_YET): 2}
    coarse = signal.at(place, 2026)
    assert (coarse.resolution, coarse.kind) == ("annual", signal.kind)
    hour = MARCH // HOUR_S
    assert signal.wanted() == [Want("DE", frozenset({hour, hour + 1}))]
    assert signal.wanted() == []


def test_hour_is_there_after_the_prefetch_with_its_label(apis: Apis, signal: LiveSignal, region) -> None:
    place = region("aws/eu-central-1")
    calls = [(0, MARCH + 5), (0, MARCH + HOUR_S + 7), (0, MARCH + HOUR_S)]
    at(signal, [place], *calls)
    done = Prefetcher(signal).round()
    assert (done.new, done.errors) == (2, [])
    found = at(signal, [place], *calls)
    # Third of March: 100 + 48, and the hour.
    assert found.g_per_kwh.tolist() == [148.0, 149.0, 149.0]
    assert found.codes.tolist() == [0, 0, 0]
    (told,) = found.intensities
    assert (told.zone, told.kind, told.accounting) == ("DE", Kind("average", "lifecycle"), "consumption")
    assert (told.resolution, told.vintage, told.source) == ("hour", 2026, "Electricity Maps API v4")
    assert told.g_per_kwh == pytest.approx((148 + 149 + 149) / 3)
    assert told.factors == (Factor("hours of electricity-maps:DE", REVISION),)
    assert told.g == pytest.approx(1.0591, abs=5e-5)
    assert signal.cache.fetch(int(found.fetch[0])).zone == "DE"


def test_measured_hour_has_a_narrower_band_than_the_year(signal: LiveSignal, region) -> None:
    place = region("aws/eu-central-1")
    at(signal, [place], (0, MARCH))
    Prefetcher(signal).round()
    (told,) = at(signal, [place], (0, MARCH)).intensities
    assert told.g < signal.at(place, 2026).g


def test_estimated_hour_is_as_wide_as_the_coarse_figure_and_wider(
    apis: Apis, signal: LiveSignal, region
) -> None:
    place = region("aws/ap-south-1")
    assert place.zones == ("IN-WE",)
    at(signal, [place], (0, MARCH))
    Prefetcher(signal).round()
    (told,) = at(signal, [place], (0, MARCH)).intensities
    assert told.is_estimated
    zone = [factor for factor in signal.at(place, 2026).factors if factor.key == "zone:IN-WE"]
    assert set(told.factors) == {Factor("hours of electricity-maps:IN-WE", REVISION), *zone}


def test_mix_is_the_unweighted_mean_of_its_regions_at_hours_that_all_have(
    apis: Apis, signal: LiveSignal, mix
) -> None:
    place = mix("aws", "eu")
    zones = sorted(set(place.zones))
    assert len(zones) > 3
    apis.zones.update(zones)
    calls = [(0, MARCH), (0, MARCH + HOUR_S)]
    at(signal, [place], *calls)
    apis.zones.discard(zones[0])
    Prefetcher(signal).round()
    assert at(signal, [place], *calls).codes.tolist() == [-1, -1]
    apis.zones.add(zones[0])
    later = Prefetcher(signal)
    signal.feed._access_until = 0.0
    later.round()
    found = at(signal, [place], *calls)
    assert found.g_per_kwh.tolist() == [148.0, 149.0]
    (told,) = found.intensities
    coarse = signal.at(place, 2026)
    assert (told.zone, told.resolution, told.kind) == (place.label, "hour", coarse.kind)
    assert [f for f in told.factors if f.key.startswith("region:")] == [
        f for f in coarse.factors if f.key.startswith("region:")
    ]


def test_mix_of_too_many_zones_stays_coarse_and_is_counted(signal: LiveSignal, mix) -> None:
    place = mix("aws", "global")
    found = at(signal, [place], (0, MARCH), (0, MARCH))
    assert found.codes.tolist() == [-1, -1]
    assert signal.misses == {(place.label, TOO_MANY_ZONES): 2}
    assert signal.wanted() == []


def test_call_without_a_possible_time_keeps_the_coarse_figure(signal: LiveSignal, region) -> None:
    place = region("aws/eu-central-1")
    future = 4_000_000_000
    found = at(signal, [place], (0, 0), (0, future), (0, -5))
    assert found.codes.tolist() == [-1, -1, -1]
    assert signal.misses == {("DE", NO_TIME): 3}
    assert signal.wanted() == []


def test_no_calls_and_no_places_are_no_trouble(signal: LiveSignal) -> None:
    found = signal.hourly([], np.empty(0, dtype=np.int32), np.empty(0, dtype=np.int64))
    assert (len(found.g_per_kwh), found.intensities) == (0, ())


def test_fallback_of_another_kind_cannot_be_given(apis: Apis, cache: Cache, edition: Path) -> None:
    marginal = WattTime(USER, PASSWORD, base_url=apis.url)
    with pytest.raises(MixedKindsError, match="marginal direct intensities, the fallback average direct"):
        LiveSignal(marginal, cache, Embedded(edition, "direct"))
    with pytest.raises(MixedKindsError, match="average direct intensities, the fallback average lifecycle"):
        LiveSignal(UKCarbonIntensity(base_url=apis.url), cache, Embedded(edition, "lifecycle"))
    marginal.close()


def test_marginal_hour_that_is_not_there_has_no_figure_and_a_reason(apis: Apis, cache: Cache, region) -> None:
    feed = WattTime(USER, PASSWORD, regions={"aws/us-west-1": "CAISO_NORTH"}, base_url=apis.url, limits=FAST)
    signal = LiveSignal(feed, cache)
    place = region("aws/us-west-1")
    found = at(signal, [place], (0, MARCH))
    (told,) = found.intensities
    assert found.codes.tolist() == [0]
    assert (told.has_figure, told.reason, told.kind) == (False, NOT_THERE_YET, Kind("marginal", "direct"))
    assert not signal.at(place, 2026).has_figure
    assert same_kind([told, signal.at(place, 2026)]) == Kind("marginal", "direct")
    Prefetcher(signal).round()
    found = at(signal, [place], (0, MARCH + 299), (0, MARCH + 300))
    assert found.g_per_kwh[0] == pytest.approx(148 * 0.45359237)
    assert found.intensities[found.codes[0]].resolution == "5-minute"
    # Only the five minutes that were asked for have come.
    assert np.isnan(found.g_per_kwh[1])
    feed.close()


def test_marginal_mix_has_no_figure(apis: Apis, cache: Cache, mix) -> None:
    place = mix("aws", "us")
    regions = {f"aws/{region.name}": region.zone for region in place.members}
    feed = WattTime(USER, PASSWORD, regions=regions, base_url=apis.url)
    signal = LiveSignal(feed, cache)
    found = at(signal, [place], (0, MARCH))
    assert found.intensities[0].reason == SEVERAL_ZONES
    assert signal.misses == {(place.label, SEVERAL_ZONES): 1}
    feed.close()


def test_region_is_located_once_and_a_place_outside_has_its_reason(apis: Apis, cache: Cache, region) -> None:
    feed = WattTime(USER, PASSWORD, base_url=apis.url, limits=FAST)
    signal = LiveSignal(feed, cache)
    inside, outside = region("aws/us-west-1"), region("aws/eu-west-3")
    calls = [(0, MARCH), (1, MARCH)]
    assert {told.reason for told in at(signal, [inside, outside], *calls).intensities} == {NOT_THERE_YET}
    prefetcher = Prefetcher(signal)
    prefetcher.round()
    assert len(apis.asked("region-from-loc")) == 2
    found = at(signal, [inside, outside], *calls)
    assert found.intensities[found.codes[1]].reason == NO_ZONE
    prefetcher.round()
    assert at(signal, [inside, outside], *calls).g_per_kwh[0] == pytest.approx(148 * 0.45359237)
    assert len(apis.asked("region-from-loc")) == 2
    again = LiveSignal(feed, cache)
    assert at(again, [inside], (0, MARCH)).g_per_kwh[0] == pytest.approx(148 * 0.45359237)
    feed.close()


def test_yearly_feed_says_of_which_year_its_figure_is(
    apis: Apis, cache: Cache, edition: Path, region
) -> None:
    feed = Ember(EMBER_KEY, base_url=apis.url, limits=FAST)
    signal = LiveSignal(feed, cache, Embedded(edition), spreads=Spreads.of(edition, feed))
    place = region("aws/eu-west-3")
    calls = [(0, unix_s("2024-05-01T00:00Z")), (0, MARCH)]
    at(signal, [place], *calls)
    Prefetcher(signal).round()
    found = at(signal, [place], *calls)
    assert found.g_per_kwh.tolist() == [324.0, 325.0]
    told = [found.intensities[code] for code in found.codes]
    assert [(one.vintage, one.resolution, one.accounting) for one in told] == [
        (2024, "annual", "generation"),
        (2025, "annual", "generation"),
    ]
    assert Factor("grid method:Ember", math.log(1.346)) in told[0].factors
    assert any(factor.key == "zone:FR" for factor in told[0].factors)
    feed.close()


def test_same_position_gives_the_same_values_after_history_was_revised(
    apis: Apis, signal: LiveSignal, edition: Path, region
) -> None:
    place = region("aws/eu-central-1")
    at(signal, [place], (0, MARCH))
    Prefetcher(signal).round()
    before = at(signal, [place], (0, MARCH))
    apis.revision = 7.0
    for series in signal.feed.fetch("DE", MARCH, MARCH + HOUR_S):
        signal.cache.add(signal.signal_id, series)
    after = at(signal, [place], (0, MARCH))
    assert (before.g_per_kwh[0], after.g_per_kwh[0]) == (148.0, 155.0)
    then = LiveSignal(signal.feed, signal.cache, Embedded(edition), as_of=before.position)
    assert at(then, [place], (0, MARCH)).g_per_kwh.tolist() == [148.0]


def test_live_signal_knows_hours_and_the_embedded_one_does_not(signal: LiveSignal, edition: Path) -> None:
    assert isinstance(signal, HourlySignal)
    assert not isinstance(Embedded(edition), HourlySignal)


def test_typical_hours_of_the_fallback_shape_what_is_not_there(
    feed: ElectricityMaps, cache: Cache, edition: Path, region
) -> None:
    fallback = Embedded(edition, resolution="typical-hour")
    signal = LiveSignal(feed, cache, fallback)
    starts = np.array([MARCH, MARCH + 12 * HOUR_S]) * NS
    codes = np.zeros(2, dtype=np.int32)
    zones = [signal.at(region("aws/eu-central-1"), 2026).shape_zone]
    assert zones == ["DE"]
    assert (signal.hour_factors(zones, codes, starts) == fallback.hour_factors(zones, codes, starts)).all()


def test_wanted_hours_are_bounded_however_many_times_spans_invent(
    signal: LiveSignal, region, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wattspan.grid.live._MAX_WANTED", 100)
    starts = (MARCH - np.arange(5000) * HOUR_S) * NS
    signal.hourly([region("aws/eu-central-1")], np.zeros(5000, dtype=np.int32), starts)
    signal.hourly([region("aws/eu-west-3")], np.zeros(5000, dtype=np.int32), starts)
    wants = signal.wanted()
    # One batch may pass the bound; the next one finds it reached.
    assert [want.zone for want in wants] == ["DE"]
    assert signal.misses[("FR", NOT_THERE_YET)] == 5000


def test_prefetch_keeps_zones_of_ongoing_traffic_up_to_date(apis: Apis, signal: LiveSignal, region) -> None:
    now = apis.now()
    place = region("aws/eu-central-1")
    at(signal, [place], (0, now - 600))
    Prefetcher(signal).round()
    hours = [(0, (now // HOUR_S - i) * HOUR_S) for i in range(24)]
    assert (at(signal, [place], *hours).codes == 0).all()


def test_prefetch_asks_for_near_hours_together_and_not_again_at_once(
    apis: Apis, signal: LiveSignal, region
) -> None:
    place = region("aws/eu-central-1")
    at(signal, [place], (0, MARCH), (0, MARCH + 20 * HOUR_S), (0, MARCH + 60 * DAY_S))
    prefetcher = Prefetcher(signal)
    assert prefetcher.round().ranges == 2
    assert [query["start"] for query in apis.asked("past-range")] == [
        "2026-03-03T00:00Z",
        "2026-05-02T00:00Z",
    ]
    assert prefetcher.round().ranges == 0


def test_hour_that_the_feed_left_empty_is_asked_for_again_until_it_is_settled(
    apis: Apis, feed: ElectricityMaps, signal: LiveSignal, region, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [MARCH + 7200]
    monkeypatch.setattr(feed, "now_unix_s", lambda: now[0])
    apis.faults = [
        Fault(
            path="past-range",
            change=lambda answer: {
                **answer,
                "data": [{**row, "carbonIntensity": None} for row in answer["data"]],
            },
        )
    ]
    prefetcher = Prefetcher(signal)
    at(signal, [region("aws/eu-central-1")], (0, MARCH))
    ranges = []
    for later in (0, 600, 600, 3 * DAY_S, 2000, 2000):
        now[0] += later
        ranges.append(prefetcher.round().ranges)
    # At once; not after ten minutes; after twenty; once more when settled; then never.
    assert ranges == [1, 0, 1, 1, 0, 0]


def test_history_is_read_again_when_it_is_settled_and_what_changed_is_a_new_vintage(
    apis: Apis, feed: ElectricityMaps, signal: LiveSignal, region, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [MARCH + 7200]
    monkeypatch.setattr(feed, "now_unix_s", lambda: now[0])
    place = region("aws/eu-central-1")
    at(signal, [place], (0, MARCH))
    prefetcher = Prefetcher(signal)
    prefetcher.round()
    apis.revision = 9.0
    now[0] += 2 * DAY_S
    assert prefetcher.round().ranges == 0
    now[0] += DAY_S
    done = prefetcher.round()
    assert (done.ranges, done.revised) == (1, 1)
    assert at(signal, [place], (0, MARCH)).g_per_kwh.tolist() == [157.0]
    assert [v.g_per_kwh for v in signal.cache.vintages(signal.signal_id, "DE", MARCH)] == [148.0, 157.0]
    now[0] += 3600
    assert prefetcher.round().ranges == 0


def test_thread_fetches_while_calls_are_answered(apis: Apis, signal: LiveSignal, region) -> None:
    place = region("aws/eu-central-1")
    prefetcher = Prefetcher(signal, interval_s=0.01)
    prefetcher.start()
    for _ in range(500):
        if at(signal, [place], (0, MARCH)).codes.tolist() == [0]:
            break
        prefetcher._stopped.wait(0.01)
    prefetcher.stop()
    assert at(signal, [place], (0, MARCH)).g_per_kwh.tolist() == [148.0]


def test_errors_that_a_feed_words_anew_each_time_do_not_fill_the_memory(signal: LiveSignal, region) -> None:
    place = region("aws/eu-central-1")
    for number in range(5_000):
        signal.note("DE", f"electricity-maps: request {number} failed")
        at(signal, [place], (0, MARCH))
    assert len(signal.misses) == 4_097
    assert signal.misses["", FEED_FAILED] == 5_000 - 4_096
    assert signal.misses_by_reason() == {FEED_FAILED: 5_000}
