"""The gateway writes every span to the lake, beside its destinations and at its own pace."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web

from tests.gateway.backend import Backend
from tests.gateway.running import config_of, running
from tests.gateway.span_requests import traces
from wattspan.gateway.server import Gateway
from wattspan.gateway.settings import ServeConfig
from wattspan.lake.disk import LakeError
from wattspan.lake.reader import open_snapshot
from wattspan.lake.writer import LakeWriter


def with_lake(config: ServeConfig, folder: Path, **settings: object) -> ServeConfig:
    content = config.model_dump(mode="json", exclude_unset=True)
    return ServeConfig.model_validate({**content, "lake": {"folder": str(folder), **settings}})


def rows(folder: Path) -> int:
    return sum(segment.rows for segment in open_snapshot(folder).manifest.segments)


async def until(is_true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not is_true():
            await asyncio.sleep(0.05)


def refused(_: object) -> web.StreamResponse:
    return web.Response(status=503)


def test_spans_are_sealed_with_energy_whatever_the_destination_does(tmp_path: Path) -> None:
    async def run() -> None:
        async with Backend(answer=refused) as backend:
            config = config_of(tmp_path, {"endpoint": backend.endpoint}, drain_s=0.5)
            async with running(with_lake(config, tmp_path / "lake", seal_after_s=0.1)) as client:
                status, _, _ = await client.post(traces(7))
                assert status == 200
                await until(lambda: rows(tmp_path / "lake") == 7)
                _, metrics = await client.get("/metrics")
                assert "wattspan_lake_spans_total 7.0" in metrics
                assert "wattspan_lake_rows 7.0" in metrics
                assert "wattspan_lake_queued_batches 0.0" in metrics
            assert backend.received == []

    asyncio.run(run())
    found = open_snapshot(tmp_path / "lake").connect()
    energies = found.execute("SELECT count(*), count(energy_kwh), count(DISTINCT span_id) FROM spans")
    assert energies.fetchone() == (7, 7, 7)


def test_what_is_open_when_the_gateway_stops_is_sealed_by_the_next(tmp_path: Path) -> None:
    async def run() -> None:
        async with Backend() as backend:
            config = config_of(tmp_path, {"endpoint": backend.endpoint})
            async with running(with_lake(config, tmp_path / "lake", seal_after_s=3600)) as client:
                await client.post(traces(3))
            assert rows(tmp_path / "lake") == 0
            async with running(with_lake(config, tmp_path / "lake", seal_after_s=0.1)):
                await until(lambda: rows(tmp_path / "lake") == 3)

    asyncio.run(run())


def test_a_gateway_that_passes_through_cannot_fill_a_lake_and_says_why(tmp_path: Path) -> None:
    config = config_of(tmp_path, {"endpoint": "http://127.0.0.1:1"}, acknowledge="delivered")
    with pytest.raises(ValueError, match=r"gateway\.acknowledge must be durable"):
        Gateway(with_lake(config, tmp_path / "lake"))


def no_disk(*_: object) -> None:
    raise LakeError("the disk is full")


@pytest.mark.parametrize("on_quota", ["refuse", "drop_oldest"])
def test_a_lake_whose_disk_is_full_cannot_fill_the_spool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_quota: str
) -> None:
    async def run() -> None:
        async with Backend() as backend:
            config = config_of(tmp_path, {"endpoint": backend.endpoint}, drain_s=0.5)
            config = with_lake(config, tmp_path / "lake", quota_bytes=1 << 20, on_quota=on_quota)
            with monkeypatch.context() as full:
                full.setattr(LakeWriter, "ingest", no_disk)
                async with running(config) as client:
                    # random bytes, so that zstd makes nothing smaller of them
                    statuses = [
                        (await client.post(traces(1, content=random.randbytes(140_000).hex())))[0]
                        for _ in range(6)
                    ]
                    ready, why = await client.get("/readyz")
                    _, metrics = await client.get("/metrics")
                    if on_quota == "refuse":
                        # four of them, each kept as it came and enriched, are more than 1 MiB
                        assert statuses == [200] * 4 + [503] * 2
                        assert ready == 503
                        assert "the spool quota of the lake is used up" in why
                        assert "wattspan_lake_queued_batches 4.0" in metrics
                        assert "wattspan_lake_dropped_spans_total 0.0" in metrics
                    else:
                        assert (statuses, ready) == ([200] * 6, 200)
                        assert "wattspan_lake_queued_batches 3.0" in metrics
                        assert "wattspan_lake_dropped_spans_total 3.0" in metrics
                    assert "wattspan_lake_queue_capacity_bytes 1.048576e+06" in metrics
                    # destinations have what was accepted, whatever the lake does
                    await until(lambda: len(backend.received) >= 1)
            async with running(with_lake(config, tmp_path / "lake", seal_after_s=0.1)) as client:
                await until(lambda: rows(tmp_path / "lake") == (4 if on_quota == "refuse" else 3))
                assert (await client.get("/readyz"))[0] == 200

    asyncio.run(run())
