from __future__ import annotations

import asyncio
from pathlib import Path

from tests.gateway.backend import Backend, keys_of
from tests.gateway.running import config_of, running
from tests.gateway.span_requests import traces

MIB = 1024 * 1024


def test_above_its_memory_clients_get_429_and_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    async def run() -> None:
        async with Backend(delay_s=0.1) as backend:
            limits = {"request_bytes": MIB, "memory_bytes": 2 * MIB}
            config = config_of(
                tmp_path,
                {"endpoint": backend.endpoint, "quota_bytes": 300_000, "in_flight": 1},
                limits=limits,
            )
            async with running(config) as client:
                bodies = [traces(2, padding=200_000) for _ in range(60)]
                acknowledged = []
                statuses = set()
                most = 0

                async def post(body: bytes) -> None:
                    nonlocal most
                    for _ in range(400):
                        status, _, headers = await client.post(body)
                        statuses.add(status)
                        most = max(most, client.gateway._budget.used_bytes)
                        if status == 200:
                            acknowledged.extend(keys_of(body))
                            return
                        assert headers["Retry-After"] == "1"
                        await asyncio.sleep(0.05)

                await asyncio.gather(*(post(body) for body in bodies))
                assert 429 in statuses
                assert statuses <= {200, 429, 503}
                assert most <= 2 * MIB
                assert len(acknowledged) == 120
                await backend.has(120)
                assert set(backend.span_keys) == set(acknowledged)
                assert client.gateway._budget.used_bytes == 0

    asyncio.run(run())


def test_a_long_body_that_stops_half_way_gives_its_memory_back(tmp_path: Path) -> None:
    async def run() -> None:
        async with Backend() as backend:
            limits = {"request_bytes": MIB, "memory_bytes": MIB, "body_timeout_s": 0.2}
            async with running(config_of(tmp_path, {"endpoint": backend.endpoint}, limits=limits)) as client:
                _, writer = await asyncio.open_connection("127.0.0.1", client.gateway.http.port)
                writer.write(
                    b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"
                    b"Content-Length: 1048576\r\n\r\nstart"
                )
                await writer.drain()
                while client.gateway._budget.used_bytes == 0:
                    await asyncio.sleep(0.01)
                assert (await client.post(traces(1)))[0] == 429
                writer.close()
                async with asyncio.timeout(5):
                    while client.gateway._budget.used_bytes:
                        await asyncio.sleep(0.01)
                assert (await client.post(traces(1)))[0] == 200

    asyncio.run(run())
