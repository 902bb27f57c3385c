"""The rule: each feed is broken in each way, and no kind ever changes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.grid.feeds.limits import FAST
from tests.grid.server.apis import (
    EMBER_KEY,
    NGINX_403,
    PASSWORD,
    TOKEN,
    USER,
    Apis,
    Fault,
    closed_port,
    unix_s,
)
from wattspan.grid import Embedded
from wattspan.grid.cache import Cache
from wattspan.grid.feeds.carbon_aware import CarbonAware
from wattspan.grid.feeds.electricity_maps import ElectricityMaps
from wattspan.grid.feeds.ember import Ember
from wattspan.grid.feeds.feed import Feed
from wattspan.grid.feeds.file import FileFeed
from wattspan.grid.feeds.uk import UKCarbonIntensity
from wattspan.grid.feeds.watttime import WattTime
from wattspan.grid.intensity import Kind
from wattspan.grid.live import LiveSignal
from wattspan.grid.prefetch import Prefetcher
from wattspan.places import Place

MOMENT = unix_s("2026-03-03T10:00Z")
LIFECYCLE, MARGINAL = Kind("average", "lifecycle"), Kind("marginal", "direct")
BACKEND = {"eastus": "PJM_ROANOKE"}

FEEDS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "electricity-maps": (
        "aws/eu-central-1",
        lambda url: ElectricityMaps(TOKEN, base_url=url, limits=FAST),
    ),
    "electricity-maps direct": (
        "aws/eu-central-1",
        lambda url: ElectricityMaps(TOKEN, factor_type="direct", base_url=url, limits=FAST),
    ),
    "watttime": ("aws/us-west-1", lambda url: WattTime(USER, PASSWORD, base_url=url, limits=FAST)),
    "watttime average": (
        "aws/us-west-1",
        lambda url: WattTime(USER, PASSWORD, signal_type="co2_aoer", base_url=url, limits=FAST),
    ),
    "uk": ("aws/eu-west-2", lambda url: UKCarbonIntensity(base_url=url, limits=FAST)),
    "ember": ("aws/eu-west-3", lambda url: Ember(EMBER_KEY, base_url=url, limits=FAST)),
    "carbon-aware marginal": (
        "azure/eastus",
        lambda url: CarbonAware(url, kind=MARGINAL, zones=BACKEND, limits=FAST),
    ),
    "carbon-aware average": (
        "azure/eastus",
        lambda url: CarbonAware(url, kind=LIFECYCLE, zones=BACKEND, limits=FAST),
    ),
}


def nulls(answer: Any) -> Any:
    """Every value of an answer left empty."""
    values = {
        "carbonIntensity",
        "value",
        "rating",
        "actual",
        "forecast",
        "emissions_intensity_gco2_per_kwh",
    }
    if isinstance(answer, dict):
        return {
            key: None if key in values and not isinstance(found, list) else nulls(found)
            for key, found in answer.items()
        }
    return [nulls(one) for one in answer] if isinstance(answer, list) else answer


def another_zone(answer: Any) -> Any:
    """The answer is about somewhere else."""
    names = {"zone", "region", "entity_code", "location"}
    if isinstance(answer, dict):
        return {key: "ELSEWHERE" if key in names else another_zone(found) for key, found in answer.items()}
    return [another_zone(one) for one in answer] if isinstance(answer, list) else answer


FAULTS: dict[str, Fault] = {
    "401": Fault(status=401, body='{"error":"Invalid auth-token"}'),
    "403 html": Fault(status=403, body=NGINX_403),
    "403 text": Fault(status=403, body="Access denied"),
    "404": Fault(status=404, body='{"message":"No recent data"}'),
    "429": Fault(status=429, headers={"Retry-After": "3600"}, body="{}"),
    "500": Fault(status=500, body="Internal Server Error"),
    "slow": Fault(delay_s=0.45),
    "truncated": Fault(cut=7),
    "half a JSON": Fault(body='{"data": [{"zone": "DE", "carbonIn'),
    "empty": Fault(body=""),
    "html": Fault(body="<!DOCTYPE html><html><body>Maintenance</body></html>"),
    "list of nothing": Fault(body="[null]"),
    "another JSON": Fault(body='{"a": 1}'),
    "nulls": Fault(change=nulls),
    "another zone": Fault(change=another_zone),
}


@pytest.fixture(params=FEEDS)
def broken(
    request: pytest.FixtureRequest, apis: Apis, edition: Path, region: Callable[[str], Place]
) -> Iterator[tuple[Callable[[str], LiveSignal], Place]]:
    """A signal at an address, and the place that calls ran in."""
    name, make = FEEDS[request.param]
    made: list[tuple[Feed, Cache]] = []

    def signal(url: str) -> LiveSignal:
        feed, cache = make(url), Cache(":memory:")
        made.append((feed, cache))
        fallback = Embedded(edition, feed.kind.factor_type) if feed.kind.signal == "average" else None
        return LiveSignal(feed, cache, fallback)

    # Coordinates of one region that every feed knows, or may be asked for.
    apis.regions.add("CAISO_NORTH")
    yield signal, region(name)
    for feed, cache in made:
        feed.close()
        cache.close()


def check_that_no_kind_changed(signal: LiveSignal, place: Place, kind: Kind) -> None:
    """A coarse figure of the same kind that says so, or none and a reason; and the calls are counted."""
    starts = np.array([MOMENT, MOMENT + 60], dtype=np.int64) * 10**9
    found = signal.hourly([place], np.zeros(2, dtype=np.int32), starts)
    coarse = signal.at(place, 2026)
    assert signal.kind == coarse.kind == kind
    assert {told.kind for told in found.intensities} <= {kind}
    assert np.isnan(found.g_per_kwh).all()
    if kind.signal == "marginal":
        assert not coarse.has_figure
        assert found.codes.tolist() == [0, 0]
        (told,) = found.intensities
        assert not told.has_figure
        assert told.reason
    else:
        assert coarse.has_figure
        assert coarse.resolution == "annual"
        assert coarse.source.startswith(("Electricity Maps", "Ember", "Google", "EPA eGRID"))
        assert found.codes.tolist() == [-1, -1]
    assert sum(signal.misses.values()) >= 2


@pytest.mark.parametrize("fault", FAULTS)
def test_feed_that_fails_never_changes_kind(
    apis: Apis, broken: tuple[Callable[[str], LiveSignal], Place], fault: str
) -> None:
    make, place = broken
    signal = make(apis.url)
    if fault == "another zone" and signal.feed.name == "uk-carbon-intensity":
        pytest.skip("its answers name no zone: it has only one")
    kind = signal.kind
    apis.faults = [FAULTS[fault]]
    check_that_no_kind_changed(signal, place, kind)
    prefetcher = Prefetcher(signal)
    prefetcher.round()
    check_that_no_kind_changed(signal, place, kind)
    # And whatever was answered, nothing of it is in the cache under any kind.
    assert signal.cache.extent(signal.signal_id, signal.feed.zone_of(place.members[0]) or "", 10**6) is None


def test_feed_that_is_down_never_changes_kind(broken: tuple[Callable[[str], LiveSignal], Place]) -> None:
    make, place = broken
    signal = make(f"http://127.0.0.1:{closed_port()}")
    kind = signal.kind
    check_that_no_kind_changed(signal, place, kind)
    done = Prefetcher(signal).round()
    assert [type(error).__name__ for error in done.errors] == ["FeedDownError"]
    check_that_no_kind_changed(signal, place, kind)
    reasons = {reason for _, reason in signal.misses}
    assert any("ConnectError" in reason for reason in reasons)


def test_feed_that_comes_back_gives_its_own_kind_again(
    apis: Apis, broken: tuple[Callable[[str], LiveSignal], Place]
) -> None:
    make, place = broken
    signal = make(apis.url)
    starts, codes = np.array([MOMENT], dtype=np.int64) * 10**9, np.zeros(1, dtype=np.int32)
    apis.faults = [Fault(status=500, times=4)]
    prefetcher = Prefetcher(signal)
    signal.hourly([place], codes, starts)
    prefetcher.round()
    # A region is located in one round and its values come in the next.
    for _ in range(6):
        found = signal.hourly([place], codes, starts)
        prefetcher.round()
    (told,) = found.intensities
    assert told.kind == signal.kind
    assert told.has_figure
    assert math.isfinite(found.g_per_kwh[0])


def test_refused_key_is_not_tried_again_within_the_hour(apis: Apis, edition: Path, region) -> None:
    feed = ElectricityMaps("wrong", base_url=apis.url, limits=FAST)
    signal = LiveSignal(feed, Cache(":memory:"), Embedded(edition))
    prefetcher = Prefetcher(signal)
    for _ in range(3):
        signal.hourly([region("aws/eu-central-1")], np.zeros(1, dtype=np.int32), np.array([MOMENT * 10**9]))
        prefetcher.round()
    assert len(apis.asked("past-range")) == 1
    assert (
        "DE",
        "electricity-maps: answered 401 (Invalid auth-token: The provided token is invalid.)",
    ) in signal.misses
    feed.close()
    signal.cache.close()


def test_limit_is_waited_for_as_long_as_the_feed_said(
    apis: Apis, edition: Path, region, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = UKCarbonIntensity(base_url=apis.url, limits=FAST)
    now = [MOMENT + 7200]
    monkeypatch.setattr(feed, "now_unix_s", lambda: now[0])
    signal = LiveSignal(feed, Cache(":memory:"), Embedded(edition, "direct"))
    prefetcher = Prefetcher(signal)
    apis.faults = [Fault(status=429, headers={"Retry-After": "600"}, times=1)]
    signal.hourly([region("aws/eu-west-2")], np.zeros(1, dtype=np.int32), np.array([MOMENT * 10**9]))
    ranges = []
    for later in (0, 599, 2):
        now[0] += later
        ranges.append(prefetcher.round().ranges)
    assert ranges == [1, 0, 1]
    feed.close()
    signal.cache.close()


def test_file_that_disappears_leaves_the_coarse_figure_of_its_kind(
    tmp_path: Path, edition: Path, region
) -> None:
    path = tmp_path / "gone.csv"
    path.write_text("zone,time,value\nFR,2026-03-03T10:00Z,40\n", encoding="utf-8")
    signal = LiveSignal(FileFeed(path, kind=LIFECYCLE), Cache(":memory:"), Embedded(edition))
    path.unlink()
    place = region("aws/eu-central-1")
    check_that_no_kind_changed(signal, place, LIFECYCLE)
    (error,) = Prefetcher(signal).round().errors
    assert "cannot be read" in str(error)
    check_that_no_kind_changed(signal, place, LIFECYCLE)
    signal.cache.close()
