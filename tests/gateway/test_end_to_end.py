from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.gateway.backend import Backend, keys_of
from tests.gateway.running import config_of, running
from tests.gateway.span_requests import traces
from wattspan.config import Config
from wattspan.otlp.enrich import Enricher


def test_a_span_comes_out_as_the_enricher_writes_it(tmp_path: Path) -> None:
    body = traces(3)
    (expected,) = Enricher(Config().estimator()).protobuf([body])

    async def run() -> None:
        async with (
            Backend() as backend,
            running(config_of(tmp_path, {"endpoint": backend.endpoint})) as client,
        ):
            status, answer, headers = await client.post(body)
            assert (status, answer, headers["Content-Type"]) == (200, b"", "application/x-protobuf")
            await backend.has(3)
            assert [r.plain for r in backend.received] == expected.messages

    asyncio.run(run())


def test_what_was_acknowledged_is_sent_after_the_next_start(tmp_path: Path) -> None:
    async def run() -> None:
        backend = Backend()
        async with backend:
            pass  # now its port is known, and nobody listens there
        config = config_of(tmp_path, {"endpoint": backend.endpoint}, drain_s=0.2)
        async with running(config) as client:
            assert (await client.post(traces(5)))[0] == 200
        async with backend, running(config):
            await backend.has(5)
            assert len(set(backend.span_keys)) == 5

    asyncio.run(run())


@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
def test_the_body_goes_out_in_the_compression_that_is_set(tmp_path: Path, compression: str) -> None:
    async def run() -> None:
        async with Backend() as backend:
            destination = {
                "endpoint": backend.endpoint,
                "compression": compression,
                "headers": {"X-Org": "a"},
            }
            async with running(config_of(tmp_path, destination)) as client:
                await client.post(traces(2))
                await backend.has(2)
            (received,) = backend.received
            expected = None if compression == "none" else compression
            assert received.headers.get("Content-Encoding") == expected
            assert received.headers["X-Org"] == "a"

    asyncio.run(run())


def test_a_long_body_goes_out_whole(tmp_path: Path) -> None:
    async def run() -> None:
        async with Backend() as backend:
            destination = {"endpoint": backend.endpoint, "compression": "none"}
            async with running(config_of(tmp_path, destination)) as client:
                body = traces(3, padding=700_000)
                assert (await client.post(body))[0] == 200
                await backend.has(3)
            assert backend.span_keys == keys_of(body)
            assert len(backend.received[0].body) == int(backend.received[0].headers["Content-Length"])

    asyncio.run(run())
