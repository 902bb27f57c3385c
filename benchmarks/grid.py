"""Look-ups of 10 M calls across 50 zones and the 8,784 hours of a leap year, from a live signal's cache."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from wattspan.grid.cache import Cache
from wattspan.grid.feeds.series import Series
from wattspan.grid.intensity import Accounting, Kind
from wattspan.grid.live import LiveSignal
from wattspan.grid.pages import Pages
from wattspan.grid.step import Step
from wattspan.places import Place, Region

RUNS = 5
CALLS = 10_000_000
ZONES = 50
HOURS = 8_784
START_UNIX_S = 1_704_067_200
"""2024-01-01T00:00Z."""


class HourlyTable:
    """A feed that is never asked: what the benchmark looks up is in the cache."""

    name = "benchmark"
    kind = Kind("average", "lifecycle")
    accounting: Accounting = "consumption"
    step = Step(3_600)

    def now_unix_s(self) -> int:
        return START_UNIX_S + HOURS * 3_600

    def zone_of(self, region: Region) -> str:
        return region.zone

    def locate(self, region: Region) -> str:
        return region.zone

    def fetch(self, zone: str, start_unix_s: int, end_unix_s: int) -> Iterator[Series]:
        raise AssertionError("the benchmark fetches nothing")

    def forecast(self, zone: str, hours: int) -> Series:
        raise AssertionError("the benchmark fetches nothing")


def main() -> None:
    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as folder:
        cache = Cache(Path(folder) / "grid.sqlite")
        feed = HourlyTable()
        signal_id = cache.signal(feed.name, feed.kind)
        filled = _seconds(lambda: _fill(cache, signal_id, rng))
        print(f"keep {ZONES} zones x {HOURS:,} hours            {filled:7.2f} s")

        starts = (START_UNIX_S + rng.integers(0, HOURS * 3_600, CALLS)) * 1_000_000_000
        codes = rng.integers(0, ZONES, CALLS).astype(np.int32)
        pages = Pages(cache, signal_id, feed.step)
        rows = np.array([pages.zone_row(f"Z{zone}") for zone in range(ZONES)])[codes]
        print(f"first look-up, pages read from disk     {_seconds(lambda: pages.look(rows, starts)):7.2f} s")
        _print("values of 10 M calls", lambda: pages.look(rows, starts))

        signal = LiveSignal(feed, cache)
        places = [_place(f"Z{zone}") for zone in range(ZONES)]
        signal.hourly(places, codes, starts)
        _print("values with labels and spreads", lambda: signal.hourly(places, codes, starts))
        cache.close()


def _fill(cache: Cache, signal_id: int, rng: np.random.Generator) -> None:
    starts = START_UNIX_S + np.arange(HOURS, dtype=np.int64) * 3_600
    nothing = np.zeros(HOURS, dtype=np.bool_)
    for zone in range(ZONES):
        series = Series(
            zone=f"Z{zone}",
            kind=HourlyTable.kind,
            accounting="consumption",
            resolution="hour",
            period_s=3_600,
            start_unix_s=starts,
            g_per_kwh=rng.uniform(20.0, 700.0, HOURS),
            is_estimated=nothing,
            is_forecast=nothing,
            asked_start_unix_s=int(starts[0]),
            asked_end_unix_s=int(starts[-1]) + 3_600,
            fetched_unix_s=int(starts[-1]) + 3_600,
            source="benchmark",
        )
        cache.add(signal_id, series)


def _place(zone: str) -> Place:
    region = Region("", "", zone, "", zone)
    return Place(f"zone/{zone}", "", "", "", (region,), "rule", "none", 1.0, "", None)


def _seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def _print(name: str, work: Callable[[], object]) -> None:
    runs = [_seconds(work) for _ in range(RUNS)]
    median = statistics.median(runs)
    print(f"{name:38}  {median:7.2f} s  ({min(runs):.2f} to {max(runs):.2f})   budget 1 s")


if __name__ == "__main__":
    main()
