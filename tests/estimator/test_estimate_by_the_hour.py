"""Estimates by a live signal: each call by its own hour, coarse where the hour is not there."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator

import numpy as np
import pytest

from wattspan import CallBatch, Estimator
from wattspan.grid import Embedded
from wattspan.grid.cache import Cache
from wattspan.grid.feeds.file import FileFeed
from wattspan.grid.intensity import Kind
from wattspan.grid.live import LiveSignal
from wattspan.methodology import Edition

HOUR_NS = 3_600 * 10**9
START_NS = int(np.datetime64("2026-03-03T10:00", "ns").astype(np.int64))


def live(tmp_path, kind: Kind, cache: Cache) -> LiveSignal:
    path = tmp_path / "own.csv"
    path.write_text("zone,time,value\nFR,2026-03-03T10:00Z,40\nFR,2026-03-03T11:00Z,80\n", encoding="utf-8")
    feed = FileFeed(path, kind=kind, accounting="consumption")
    edition = Edition.load("2026.11").folder
    fallback = Embedded(edition, kind.factor_type) if kind.signal == "average" else None
    signal = LiveSignal(feed, cache, fallback)
    for series in feed.everything():
        cache.add(signal.signal_id, series)
    return signal


@pytest.fixture
def cache() -> Iterator[Cache]:
    made = Cache(":memory:")
    yield made
    made.close()


def calls(n: int = 4) -> CallBatch:
    return CallBatch.of(
        n,
        model="gpt-4o",
        input_tokens=1000,
        output_tokens=300,
        span_region=["eu-west-3", "eu-west-3", "eu-west-3", "eu-central-1"][:n],
        span_cloud="aws",
        start_unix_ns=np.array([0, 1, 2, 0])[:n] * HOUR_NS + START_NS,
    )


def test_each_call_has_the_intensity_of_its_hour_and_the_coarse_one_where_it_is_not_there(
    tmp_path, cache
) -> None:
    signal = live(tmp_path, Kind("average", "lifecycle"), cache)
    found, coarse = Estimator(grid=signal).estimate(calls()), Estimator().estimate(calls())
    assert found.intensity_g_per_kwh.tolist()[:2] == [40.0, 80.0]
    assert found.intensity_g_per_kwh.tolist()[2:] == coarse.intensity_g_per_kwh.tolist()[2:]
    assert found.energy_kwh.tolist() == coarse.energy_kwh.tolist()
    assert found.co2e_g.tolist() == pytest.approx((found.energy_kwh * found.intensity_g_per_kwh).tolist())
    assert found.grid_resolution.texts() == ["hour", "hour", "annual", "annual"]
    assert found.grid_source.texts()[:2] == ["file own.csv 2026", "file own.csv 2026"]
    assert found.grid_source.texts()[2:] == coarse.grid_source.texts()[2:]
    assert (found.signal, found.factor_type) == ("average", "lifecycle")
    width = found.co2e_g_high / found.co2e_g
    assert width[0] < width[2]
    assert found.spreads[found.spread[0]].carbon[-1].key == "hours of file:FR"


def test_marginal_call_without_its_hour_has_no_carbon_figure_and_a_reason(tmp_path, cache) -> None:
    found = Estimator(grid=live(tmp_path, Kind("marginal", "direct"), cache)).estimate(calls())
    assert found.co2e_g[0] == pytest.approx(found.energy_kwh[0] * 40)
    assert np.isnan(found.co2e_g[2:]).all()
    assert np.isfinite(found.energy_kwh).all()
    assert found.grid_reason.texts() == ["", "", "the hour is not there yet", "the hour is not there yet"]
    assert (found.signal, found.factor_type) == ("marginal", "direct")


def test_one_call_is_estimated_as_in_a_batch(tmp_path, cache) -> None:
    estimator = Estimator(grid=live(tmp_path, Kind("average", "lifecycle"), cache))
    one = estimator.estimate_call(
        model="gpt-4o", input_tokens=1000, output_tokens=300, region="eu-west-3",
        at=dt.datetime(2026, 3, 3, 12, 30, tzinfo=dt.timezone(dt.timedelta(hours=1))),
    )  # fmt: skip
    assert one.intensity_g_per_kwh == 80.0
    assert one.plan.intensity.resolution == "hour"
    batch = estimator.estimate(calls(2))
    assert math.isclose(one.co2e_g_high, batch.co2e_g_high[1])


def test_embedded_estimates_are_as_before(tmp_path) -> None:
    for resolution in ("annual", "typical-hour"):
        found = Estimator(resolution=resolution).estimate(calls())
        assert set(found.grid_resolution.texts()) == {resolution}
