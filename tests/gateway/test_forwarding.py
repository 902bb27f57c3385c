from __future__ import annotations

import asyncio
import datetime as dt
import json
import socket
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from email.utils import format_datetime
from pathlib import Path

import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from tests.gateway.backend import Backend, keys_of
from tests.gateway.running import Client, config_of, running
from tests.gateway.span_requests import traces
from wattspan.gateway.retry import Backoff, retry_after_s
from wattspan.gateway.settings import RetrySection
from wattspan.gateway.signals import Signal
from wattspan.gateway.tallies import DestinationTally

KIB = 1024


def tally_of(client: Client, name: str = "d0") -> DestinationTally:
    return client.gateway.durable.forwarders[name].tally


def assert_balance(client: Client, name: str = "d0") -> None:
    """What came for a destination is what it has, what it lost and what waits; the spool agrees."""
    tally = tally_of(client, name)
    came = tally.enqueued[Signal.TRACES] + tally.recovered[Signal.TRACES]
    parts = (tally.sent[Signal.TRACES], tally.failed[Signal.TRACES], tally.queued[Signal.TRACES])
    assert came == sum(parts), parts
    assert tally.queued_batches >= 0
    reader = client.gateway.durable.spool.reader()
    spool = client.gateway.durable.spool
    waiting = reader.backlog(spool.readers()[name], spool.newest, [Signal.TRACES])
    reader.close()
    # Batches out of order are done but not yet behind the cursor.
    assert waiting.items >= tally.queued[Signal.TRACES]


async def until(condition: Callable[[], bool], within_s: float = 10) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.01)


def answering(*statuses: int, headers: dict[str, str] | None = None) -> Callable[..., web.Response | None]:
    """Answer with each status in turn, then take everything in."""
    waiting = list(statuses)

    def answer(request: web.BaseRequest) -> web.Response | None:
        return web.Response(status=waiting.pop(0), headers=headers) if waiting else None

    return answer


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_retryable_answers_are_tried_again_until_it_is_through(tmp_path: Path, status: int) -> None:
    async def run() -> None:
        async with Backend(answering(*[status] * 4)) as backend:
            config = config_of(tmp_path, {"endpoint": backend.endpoint})
            async with running(config) as client:
                await client.post(traces(3))
                await backend.has(3)
                await until(lambda: tally_of(client).queued_batches == 0)
                assert backend.attempts == 5
                assert tally_of(client).attempts == {str(status): 4, "200": 1}
                assert_balance(client)

    asyncio.run(run())


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 413, 500, 501])
def test_other_answers_are_for_good_and_counted_as_failed(tmp_path: Path, status: int) -> None:
    async def run() -> None:
        async with Backend(answering(status)) as backend:
            config = config_of(tmp_path, {"endpoint": backend.endpoint})
            async with running(config) as client:
                await client.post(traces(3))
                await until(lambda: tally_of(client).failed[Signal.TRACES] == 3)
                await client.post(traces(2))
                await backend.has(2)
                await until(lambda: tally_of(client).queued_batches == 0)
                assert backend.attempts == 2
                assert tally_of(client).sent[Signal.TRACES] == 2
                assert_balance(client)

    asyncio.run(run())


def test_a_request_of_several_batches_that_is_refused_is_sent_batch_by_batch(tmp_path: Path) -> None:
    async def run() -> None:
        backend = Backend()
        async with backend:
            pass
        config = config_of(
            tmp_path,
            {"endpoint": backend.endpoint, "compression": "none"},
            spool={"directory": str(tmp_path / "spool"), "batch_bytes": 1},
            drain_s=0.1,
        )
        bodies = [traces(1) for _ in range(6)]
        backend.poison = keys_of(bodies[2])[0][0]
        async with running(config) as client:
            for body in bodies:
                await client.post(body)
        async with backend, running(config) as client:
            await until(lambda: tally_of(client).queued_batches == 0)
            assert tally_of(client).failed[Signal.TRACES] == 1
            assert tally_of(client).sent[Signal.TRACES] == 5
            assert backend.attempts == 7  # all together, then one by one
            assert backend.poison not in {trace for trace, _ in backend.span_keys}
            assert_balance(client)

    asyncio.run(run())


def test_a_partial_success_is_not_sent_again(tmp_path: Path) -> None:
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = 2
    response.partial_success.error_message = "two are too old"

    async def run() -> None:
        def answer(request: web.BaseRequest) -> web.Response:
            return web.Response(body=response.SerializeToString(), content_type="application/x-protobuf")

        async with Backend(answer) as backend:
            config = config_of(tmp_path, {"endpoint": backend.endpoint})
            async with running(config) as client:
                await client.post(traces(5))
                await until(lambda: tally_of(client).sent[Signal.TRACES] == 5)
                assert tally_of(client).rejected[Signal.TRACES] == 2
                await asyncio.sleep(0.2)
                assert backend.attempts == 1

    asyncio.run(run())


def test_retry_after_is_waited_for(tmp_path: Path) -> None:
    async def run() -> None:
        async with Backend(answering(429, headers={"Retry-After": "1"})) as backend:
            config = config_of(tmp_path, {"endpoint": backend.endpoint})
            async with running(config) as client:
                begin = time.monotonic()
                await client.post(traces(1))
                await backend.has(1)
                assert time.monotonic() - begin >= 1.0

    asyncio.run(run())


def test_retry_after_is_read_as_seconds_or_as_a_date() -> None:
    now = dt.datetime(2026, 11, 23, 12, 0, 0, tzinfo=dt.UTC)
    assert retry_after_s("120", now) == 120.0
    assert retry_after_s(" 7 ", now) == 7.0
    assert retry_after_s(format_datetime(now + dt.timedelta(seconds=90), usegmt=True), now) == 90.0
    assert retry_after_s("Mon, 23 Nov 2026 11:59:00 GMT", now) == 0.0
    assert retry_after_s("soon", now) is None
    assert retry_after_s("-5", now) is None
    assert retry_after_s(None, now) is None
    assert retry_after_s("99999999", now) == 3600.0


def test_waits_grow_by_half_from_five_seconds_to_thirty() -> None:
    backoff = Backoff(RetrySection(jitter=0))
    assert [round(backoff.wait_s(), 4) for _ in range(7)] == [5, 7.5, 11.25, 16.875, 25.3125, 30, 30]
    assert backoff.wait_s(2.0) == 2.0


def test_waits_are_drawn_from_within_the_jitter() -> None:
    waits = [Backoff(RetrySection(jitter=0.5)).wait_s() for _ in range(2000)]
    assert 2.5 <= min(waits) < 2.6
    assert 7.4 < max(waits) <= 7.5


@asynccontextmanager
async def hostile(behaviour: str) -> AsyncIterator[int]:
    """A port at which connections are reset, hang, end early, or answer what is not HTTP."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if behaviour == "reset":
                sock = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            elif behaviour == "hang":
                await asyncio.sleep(60)
            elif behaviour == "garbage":
                writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
            elif behaviour == "dribble":
                for _ in range(600):
                    writer.write(b"H")
                    await asyncio.sleep(0.1)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@pytest.mark.parametrize("behaviour", ["reset", "hang", "close", "garbage", "dribble"])
def test_a_broken_destination_holds_up_no_other_and_gets_all_once_it_is_whole(
    tmp_path: Path, behaviour: str
) -> None:
    async def run() -> None:
        async with Backend() as good, hostile(behaviour) as port:
            broken = {"endpoint": f"http://127.0.0.1:{port}", "timeout_s": 0.3}
            config = config_of(tmp_path, {"endpoint": good.endpoint}, broken, drain_s=0.1)
            async with running(config) as client:
                for _ in range(20):
                    assert (await client.post(traces(5)))[0] == 200
                await good.has(100)
                await until(lambda: sum(tally_of(client, "d1").attempts.values()) >= 5)
                assert tally_of(client, "d0").queued[Signal.TRACES] == 0
                assert tally_of(client, "d1").queued[Signal.TRACES] == 100
                assert_balance(client, "d0")
                assert_balance(client, "d1")
        async with Backend() as good, Backend() as mended:
            config = config_of(tmp_path, {"endpoint": good.endpoint}, {"endpoint": mended.endpoint})
            async with running(config):
                await mended.has(100)
                assert len(set(mended.span_keys)) == 100
                assert good.attempts == 0

    asyncio.run(run())


def test_a_destination_that_is_down_for_the_whole_run_and_comes_back_gets_everything(tmp_path: Path) -> None:
    async def run() -> None:
        backend = Backend()
        async with backend:
            pass
        config = config_of(tmp_path, {"endpoint": backend.endpoint})
        async with running(config) as client:
            keys = []
            for _ in range(50):
                body = traces(20, padding=3000)
                keys += keys_of(body)
                assert (await client.post(body))[0] == 200
            assert tally_of(client).queued[Signal.TRACES] == 1000
            async with backend:
                await backend.has(1000)
                await until(lambda: tally_of(client).queued_batches == 0)
                assert sorted(backend.span_keys) == sorted(keys)
                assert_balance(client)

    asyncio.run(run())


def test_each_destination_gets_the_names_and_the_detail_it_asks_for(tmp_path: Path) -> None:
    async def run() -> None:
        async with Backend() as plain, Backend() as langfuse, Backend() as full:
            config = config_of(
                tmp_path,
                {"endpoint": plain.endpoint},
                {"endpoint": langfuse.endpoint, "profile": "wattspan"},
                {"endpoint": full.endpoint, "profile": "both", "detail": "full"},
            )
            async with running(config) as client:
                await client.post(traces(1))
                for backend in (plain, langfuse, full):
                    await backend.has(1)
            keys = [
                {attribute.key for attribute in backend.received[0].spans[0].attributes}
                for backend in (plain, langfuse, full)
            ]
            assert {"gen_ai.usage.energy_kwh", "wattspan.energy_kwh_low"} <= keys[0]
            assert "wattspan.energy_kwh" not in keys[0]
            # Langfuse takes every numeric gen_ai.usage.* for tokens.
            numeric = {key for key in keys[1] if key.startswith("gen_ai.usage.")}
            assert numeric == {"gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"}
            assert "wattspan.energy_kwh" in keys[1]
            assert {"gen_ai.usage.energy_kwh", "wattspan.energy_kwh", "wattspan.grid.g_per_kwh"} <= keys[2]

    asyncio.run(run())


def test_at_its_quota_a_destination_makes_clients_try_again_and_then_recovers(tmp_path: Path) -> None:
    async def run() -> None:
        backend = Backend()
        async with backend:
            pass
        config = config_of(tmp_path, {"endpoint": backend.endpoint, "quota_bytes": 2 * KIB})
        async with running(config) as client:
            accepted = 0
            while True:
                status, body, headers = await client.post(traces(10))
                if status != 200:
                    break
                accepted += 10
                assert accepted < 1000
            assert status == 503
            assert headers["Retry-After"] == "1"
            assert body[:2] == b"\x08\x0e"
            assert b"the spool quota of destination d0 is used up" in body
            status, text = await client.get("/readyz")
            assert status == 503
            assert json.loads(text)["reasons"] == ["the spool quota of destination d0 is used up"]
            async with backend:
                await backend.has(accepted)
                await until(lambda: tally_of(client).queued_batches == 0)
                assert (await client.post(traces(10)))[0] == 200
                assert (await client.get("/readyz"))[0] == 200
                await backend.has(accepted + 10)

    asyncio.run(run())


def test_drop_oldest_keeps_the_newest_and_counts_the_others_as_failed(tmp_path: Path) -> None:
    async def run() -> None:
        backend = Backend()
        async with backend:
            pass
        async with Backend() as good:
            config = config_of(
                tmp_path,
                {"endpoint": backend.endpoint, "quota_bytes": 8 * KIB, "on_quota": "drop_oldest"},
                {"endpoint": good.endpoint},
            )
            async with running(config) as client:
                keys = []
                for _ in range(60):
                    body = traces(10)
                    keys += keys_of(body)
                    assert (await client.post(body))[0] == 200
                tally = tally_of(client)
                assert tally.dropped[Signal.TRACES] == tally.failed[Signal.TRACES] > 0
                assert tally.queued_bytes <= 8 * KIB
                assert_balance(client)
                await good.has(600)
                left = tally.queued[Signal.TRACES]
                assert left == 600 - tally.failed[Signal.TRACES]
                async with backend:
                    await backend.has(left)
                    await until(lambda: tally.queued_batches == 0)
                    assert sorted(set(backend.span_keys)) == sorted(keys[-left:])
                    assert_balance(client)
                assert tally_of(client, "d1").failed[Signal.TRACES] == 0

    asyncio.run(run())


def test_a_slow_destination_has_no_more_requests_under_way_than_allowed(tmp_path: Path) -> None:
    async def run() -> None:
        most = 0

        async with Backend(delay_s=0.05) as backend:
            config = config_of(tmp_path, {"endpoint": backend.endpoint, "in_flight": 3, "request_bytes": 1})
            async with running(config) as client:
                posts = asyncio.gather(*(client.post(traces(1, padding=200_000)) for _ in range(40)))
                while len(backend.span_keys) < 40:
                    most = max(most, tally_of(client).in_flight)
                    await asyncio.sleep(0.005)
                await posts
                assert most == 3

    asyncio.run(run())


def test_a_batch_that_the_disk_has_damaged_fails_alone(tmp_path: Path) -> None:
    async def run() -> None:
        backend = Backend()
        async with backend:
            pass
        config = config_of(
            tmp_path,
            {"endpoint": backend.endpoint},
            spool={"directory": str(tmp_path / "spool"), "batch_bytes": 1},
            drain_s=0.1,
        )
        async with running(config) as client:
            for _ in range(5):
                await client.post(traces(2))
        database = sqlite3.connect(tmp_path / "spool" / "spool.db")
        database.execute("UPDATE bodies SET data = zeroblob(100) WHERE batch IN (1, 3)")
        database.commit()
        database.close()
        async with backend, running(config) as client:
            await until(lambda: tally_of(client).queued_batches == 0)
            assert (tally_of(client).sent[Signal.TRACES], tally_of(client).failed[Signal.TRACES]) == (6, 4)
            assert len(set(backend.span_keys)) == 6
            assert (await client.post(traces(1)))[0] == 200
            await backend.has(7)
            assert_balance(client)

    asyncio.run(run())


@pytest.mark.parametrize(("join_bytes", "spans"), [(128 * KIB, [1, 6]), (0, [1] * 7)])
def test_what_comes_while_a_request_is_under_way_goes_together(
    tmp_path: Path, join_bytes: int, spans: list[int]
) -> None:
    async def run() -> None:
        async with Backend(delay_s=1.0) as backend:
            destination = {"endpoint": backend.endpoint, "in_flight": 16, "join_bytes": join_bytes}
            async with running(config_of(tmp_path, destination)) as client:
                for _ in range(7):
                    # A batch each: a client that waits for its answer, as exporters do.
                    assert (await client.post(traces(1)))[0] == 200
                assert len(backend.received) == 0
                await backend.has(7)
                assert [len(received.spans) for received in backend.received] == spans
                await until(lambda: tally_of(client).queued_batches == 0)
                assert tally_of(client).sent[Signal.TRACES] == 7
                assert_balance(client)

    asyncio.run(run())


def test_a_little_does_not_wait_behind_a_request_that_is_tried_again_later(tmp_path: Path) -> None:
    async def run() -> None:
        async with Backend(answer=answering(503)) as backend:
            destination = {"endpoint": backend.endpoint, "retry": {"initial_s": 60, "max_s": 60}}
            async with running(config_of(tmp_path, destination, drain_s=0.1)) as client:
                assert (await client.post(traces(1)))[0] == 200
                await until(lambda: backend.attempts == 1)
                assert (await client.post(traces(2)))[0] == 200
                await backend.has(2)
                assert tally_of(client).queued[Signal.TRACES] == 1
                assert_balance(client)

    asyncio.run(run())
