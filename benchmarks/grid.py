"""Look-ups of 10 M calls across 50 zones and the 8,784 hours of a leap year, from a live signal's cache.

Processor time, since the machine may be shared. The rival is DuckDB joining the same calls with the same
values on one thread; it gives the bare value, without label, spread or fetch.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from wattspan.grid.cache import Cache
from wattspan.grid.feeds.series import Series
from wattspan.grid.intensity import Accounting, Codes, Floats, Ints, Kind
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
        bare = _print("values of 10 M calls", lambda: pages.look(rows, starts))

        signal = LiveSignal(feed, cache)
        places = [_place(f"Z{zone}") for zone in range(ZONES)]
        signal.hourly(places, codes, starts)
        whole = _print("values with labels and spreads", lambda: signal.hourly(places, codes, starts))
        _print_rival(cache, signal_id, codes, starts, pages.look(rows, starts).g_per_kwh, bare, whole)
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
    begin = time.process_time()
    work()
    return time.process_time() - begin


def _print(name: str, work: Callable[[], object]) -> float:
    runs = [_seconds(work) for _ in range(RUNS)]
    median = statistics.median(runs)
    print(f"{name:38}  {median:7.2f} s  ({min(runs):.2f} to {max(runs):.2f})   budget 1 s")
    return median


def _print_rival(
    cache: Cache, signal_id: int, codes: Codes, starts: Ints, expected: Floats, bare: float, whole: float
) -> None:
    try:
        import duckdb
        import pyarrow
    except ImportError as error:
        print(f"DuckDB is not there ({error.name}): no rival")
        return
    db = duckdb.connect(config={"threads": 1})
    zones, hours, values = [], [], []
    for zone in range(ZONES):
        kept = cache.rows(signal_id, f"Z{zone}", START_UNIX_S, START_UNIX_S + HOURS * 3_600, cache.position())
        zones.append(np.full(len(kept.start_unix_s), zone, dtype=np.int32))
        hours.append(kept.start_unix_s // 3_600)
        values.append(kept.g_per_kwh)
    intensity = {"zone": zones, "hour": hours, "g_per_kwh": values}
    grid = pyarrow.table({name: np.concatenate(parts) for name, parts in intensity.items()})
    asked = pyarrow.table({"zone": codes, "start_unix_ns": starts})
    for name, content in (("intensity", grid), ("calls", asked)):
        db.register("arrow", content)
        db.execute(f"CREATE TABLE {name} AS SELECT * FROM arrow")
        db.unregister("arrow")
    query = (
        "SELECT sum(g_per_kwh) FROM calls JOIN intensity i "
        "ON calls.zone = i.zone AND calls.start_unix_ns // 3600000000000 = i.hour"
    )
    found = db.execute(query).fetchone()
    assert found is not None
    assert abs(found[0] / float(expected.sum()) - 1) < 1e-9, "the rival finds other values"
    rival = statistics.median(_seconds(lambda: db.execute(query).fetchone()) for _ in range(RUNS))
    print(f"DuckDB, join and sum, one thread        {rival:7.2f} s   {rival / bare:.1f}x our values")
    print(f"{'':38}  {'':7}     {rival / whole:.1f}x our values with labels")


if __name__ == "__main__":
    main()
