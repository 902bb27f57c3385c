"""The gateway writes every span to the lake, beside its destinations and at its own pace."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web

from tests.gateway.backend import Backend
from tests.gateway.running import config_of, running
from tests.gateway.span_requests import traces
from wattspan.gateway.server import Gateway
from wattspan.gateway.settings import ServeConfig
from wattspan.lake.reader import open_snapshot


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


@pytest.mark.parametrize(
    ("gateway", "reason"),
    [
        ({"workers": 2}, "gateway.workers must be 1"),
        ({"acknowledge": "delivered"}, "gateway.acknowledge must be durable"),
    ],
)
def test_a_gateway_that_cannot_fill_a_lake_says_why(tmp_path: Path, gateway: dict, reason: str) -> None:
    config = config_of(tmp_path, {"endpoint": "http://127.0.0.1:1"}, **gateway)
    with pytest.raises(ValueError, match=reason):
        Gateway(with_lake(config, tmp_path / "lake"))
