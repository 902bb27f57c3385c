"""A gateway with a live grid feed: it fetches for the zones it sees, and says what calls did not get."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("httpx", reason="live feeds are an optional extra: pip install 'wattspan[grid]'")
pytest.importorskip("stamina", reason="live feeds are an optional extra: pip install 'wattspan[grid]'")

from tests.decisions.decision_spans import chat, message
from tests.gateway.backend import Backend, Received
from tests.gateway.running import Client, config_of, running
from tests.gateway.test_operations import samples
from tests.grid.server.apis import TOKEN, Apis, Fault, unix_s
from wattspan.gateway.settings import ServeConfig
from wattspan.grid import prefetch
from wattspan.grid.live import FEED_FAILED, NOT_THERE_YET

MARCH = unix_s("2026-03-03T10:00Z")


@pytest.fixture
def apis(monkeypatch: pytest.MonkeyPatch) -> Iterator[Apis]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ELECTRICITY_MAPS_TOKEN", TOKEN)
    monkeypatch.setattr(prefetch, "PAUSE_S", 0.05)
    server = Apis()
    yield server
    server.close()


def with_feed(folder: Path, backend: Backend, apis: Apis) -> ServeConfig:
    grid = {
        "cache": str(folder / "grid.sqlite"),
        "live": {"feed": "electricity-maps", "base_url": apis.url},
    }
    settings = config_of(folder, {"endpoint": backend.endpoint}).model_dump(mode="json")
    return ServeConfig.model_validate({**settings, "grid": grid, "attributes": {"detail": "full"}})


def call(number: int) -> bytes:
    span = chat(number, {"cloud.region": "eu-central-1"})
    span.start_time_unix_nano, span.end_time_unix_nano = MARCH * 10**9, (MARCH + 1) * 10**9
    span.trace_id = number.to_bytes(16, "big")
    return message([span])


def grid_of(received: Received) -> tuple[str, float]:
    (span,) = received.spans
    values = {a.key: a.value for a in span.attributes}
    return (
        values["wattspan.grid.resolution"].string_value,
        values["wattspan.grid.g_per_kwh"].double_value,
    )


async def until(client: Client, name: str, label: str, least: float) -> None:
    for _ in range(400):
        if (await samples(client)).get((name, label), 0) >= least:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"{name} did not reach {least}: {await samples(client)}")


def test_hour_of_a_call_is_fetched_and_the_next_call_has_it(tmp_path: Path, apis: Apis) -> None:
    async def run() -> None:
        async with Backend() as backend, running(with_feed(tmp_path, backend, apis)) as client:
            await client.post(call(1))
            await backend.has(1)
            await until(client, "wattspan_grid_prefetch_new_total", "", 1)
            await client.post(call(2))
            await backend.has(2)
            # Germany 2025 by Electricity Maps; 3 March 10:00 by the rule of the server: 100 + 10 + 48.
            assert [grid_of(received) for received in backend.received] == [
                ("annual", 342.0),
                ("hour", 158.0),
            ]
            found = await samples(client)
            assert found[("wattspan_grid_misses_total", NOT_THERE_YET)] == 1
            assert found[("wattspan_grid_prefetch_errors_total", "")] == 0

    asyncio.run(run())


def test_calls_go_on_with_the_coarse_figure_while_the_feed_is_down(tmp_path: Path, apis: Apis) -> None:
    apis.faults.append(Fault(status=401, body='{"error": "Invalid auth-token"}'))

    async def run() -> None:
        async with Backend() as backend, running(with_feed(tmp_path, backend, apis)) as client:
            await client.post(call(1))
            await until(client, "wattspan_grid_prefetch_errors_total", "", 1)
            await client.post(call(2))
            await backend.has(2)
            assert [grid_of(received)[0] for received in backend.received] == ["annual", "annual"]
            assert (await samples(client))[("wattspan_grid_misses_total", FEED_FAILED)] == 1

    asyncio.run(run())


def test_reload_takes_the_new_feed_and_stops_asking_the_old_one(tmp_path: Path, apis: Apis) -> None:
    async def run() -> None:
        async with Backend() as backend:
            config = with_feed(tmp_path, backend, apis)
            without = config.model_copy(update={"grid": config.grid.model_copy(update={"live": None})})
            async with running(config) as client:
                await client.post(call(1))
                await until(client, "wattspan_grid_prefetch_new_total", "", 1)
                await client.gateway.reload(without)
                assert ("wattspan_grid_prefetch_new_total", "") not in await samples(client)
                asked = len(apis.requests)
                await client.post(call(2))
                await backend.has(2)
                await asyncio.sleep(0.2)
                assert len(apis.requests) == asked

    asyncio.run(run())


def test_error_in_a_round_is_logged_and_the_next_round_comes(
    tmp_path: Path, apis: Apis, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real, failures = prefetch.Prefetcher.round, iter([OSError("no space left on device")])

    def full_once(self: prefetch.Prefetcher) -> prefetch.Round:
        for failure in failures:
            raise failure
        return real(self)

    monkeypatch.setattr(prefetch.Prefetcher, "round", full_once)

    async def run() -> None:
        async with Backend() as backend, running(with_feed(tmp_path, backend, apis)) as client:
            await client.post(call(1))
            await until(client, "wattspan_grid_prefetch_new_total", "", 1)

    with caplog.at_level(logging.ERROR):
        asyncio.run(run())
    assert "a round of the grid prefetch failed" in caplog.text
