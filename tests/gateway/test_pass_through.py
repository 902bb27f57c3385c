"""`acknowledge: delivered`: the client is told what the destinations said, and no disk is needed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
import grpc.aio
import pytest
from aiohttp import web
from google.rpc import status_pb2  # type: ignore[import-untyped]

from tests.gateway.backend import Backend
from tests.gateway.running import Client, config_of, running
from tests.gateway.span_requests import traces
from wattspan.gateway.otlp_status import retry_delay_s
from wattspan.gateway.settings import ServeConfig
from wattspan.gateway.signals import Signal

METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


def passing(tmp_path: Path, *endpoints: str, **gateway: object) -> ServeConfig:
    destinations = [{"endpoint": endpoint, "timeout_s": 1} for endpoint in endpoints]
    return config_of(tmp_path, *destinations, acknowledge="delivered", **gateway)


def books(client: Client, name: str = "d0") -> tuple[int, int, int, int]:
    """Enqueued, sent, failed and queued spans."""
    tally = client.gateway.outlet.destinations()[name][0]
    parts = (tally.enqueued, tally.sent, tally.failed, tally.queued)
    found = tuple(items[Signal.TRACES] for items in parts)
    return found[0], found[1], found[2], found[3]


def test_an_accepted_request_has_arrived_enriched_and_nothing_was_written(tmp_path: Path) -> None:
    async def run() -> None:
        async with Backend() as backend, running(passing(tmp_path, backend.endpoint)) as client:
            assert (await client.post(traces(3)))[0] == 200
            assert len(backend.span_keys) == 3
            keys = {attribute.key for attribute in backend.received[0].spans[0].attributes}
            assert "gen_ai.usage.energy_kwh" in keys
            assert books(client) == (3, 3, 0, 0)
            assert client.gateway.receiver_tallies["http"].accepted[Signal.TRACES] == 3
        assert list(tmp_path.iterdir()) == []

    asyncio.run(run())


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_a_destination_may_take_later_the_client_is_to_send_again(tmp_path: Path, status: int) -> None:
    def answer(request: web.BaseRequest) -> web.Response:
        return web.Response(status=status, headers={"Retry-After": "7"})

    async def run() -> None:
        async with Backend(answer) as backend, running(passing(tmp_path, backend.endpoint)) as client:
            found, body, headers = await client.post(traces(3))
            assert (found, headers["Retry-After"]) == (503, "7")
            assert status_pb2.Status.FromString(body).message == (
                f"destination d0 does not take the request now: {status}"
            )
            assert backend.attempts == 1
            assert books(client) == (3, 0, 3, 0)
            assert client.gateway.receiver_tallies["http"].refused[Signal.TRACES] == 3
            backend.answer = lambda request: None
            assert (await client.post(traces(3)))[0] == 200

    asyncio.run(run())


def test_what_is_sent_again_is_not_taken_for_a_copy_of_itself(tmp_path: Path) -> None:
    async def run() -> None:
        body = traces(2)
        async with (
            Backend(lambda request: web.Response(status=503)) as backend,
            running(passing(tmp_path, backend.endpoint)) as client,
        ):
            assert (await client.post(body))[0] == 503
            backend.answer = lambda request: None
            assert (await client.post(body))[0] == 200
            for span in backend.received[0].spans:
                values = {attribute.key: attribute.value for attribute in span.attributes}
                assert values["wattspan.basis"].string_value == "modelled"

    asyncio.run(run())


def test_what_a_destination_refuses_for_good_is_not_to_be_sent_again(tmp_path: Path) -> None:
    async def run() -> None:
        async with (
            Backend(lambda request: web.Response(status=401)) as backend,
            running(passing(tmp_path, backend.endpoint)) as client,
        ):
            status, body, headers = await client.post(traces(1))
            assert status == 500
            assert "Retry-After" not in headers
            message = status_pb2.Status.FromString(body).message
            assert message == "destination d0 refuses the request for good: 401"

    asyncio.run(run())


def test_over_grpc_the_delay_is_in_retry_info(tmp_path: Path) -> None:
    async def run() -> None:
        async with (
            Backend(lambda request: web.Response(status=429, headers={"Retry-After": "3"})) as backend,
            running(passing(tmp_path, backend.endpoint)) as client,
            grpc.aio.insecure_channel(f"127.0.0.1:{client.gateway.grpc.port}") as channel,
        ):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await channel.unary_unary(METHOD)(traces(1))
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
            details = dict(caught.value.trailing_metadata() or ())["grpc-status-details-bin"]
            assert retry_delay_s(bytes(details)) == 3.0

    asyncio.run(run())


def test_all_destinations_must_have_it(tmp_path: Path) -> None:
    async def run() -> None:
        down = Backend()
        async with down:
            pass
        async with (
            Backend() as good,
            running(passing(tmp_path, good.endpoint, down.endpoint)) as client,
        ):
            assert (await client.post(traces(2)))[0] == 503
            assert (books(client, "d0"), books(client, "d1")) == ((2, 2, 0, 0), (2, 0, 2, 0))
            async with Backend(port=down.port):
                assert (await client.post(traces(2)))[0] == 200
            assert (books(client, "d0"), books(client, "d1")) == ((4, 4, 0, 0), (4, 2, 2, 0))

    asyncio.run(run())


def test_a_destination_that_hangs_is_given_up_after_its_timeout(tmp_path: Path) -> None:
    async def run() -> None:
        async with (
            Backend(delay_s=5) as backend,
            running(passing(tmp_path, backend.endpoint)) as client,
        ):
            status, body, _ = await client.post(traces(1))
            assert status == 503
            assert b"TimeoutError" in body

    asyncio.run(run())


def test_a_damaged_request_fails_alone(tmp_path: Path) -> None:
    async def run() -> None:
        async with Backend() as backend, running(passing(tmp_path, backend.endpoint)) as client:
            bodies = [traces(2), traces(2)[:-3], traces(2)]
            answers = await asyncio.gather(*(client.post(body) for body in bodies))
            assert [status for status, _, _ in answers] == [200, 400, 200]
            assert len(backend.span_keys) == 4

    asyncio.run(run())


def test_stopping_waits_for_requests_under_way(tmp_path: Path) -> None:
    async def run() -> None:
        async with Backend(delay_s=0.4) as backend:
            async with running(passing(tmp_path, backend.endpoint)) as client:
                posts = [asyncio.create_task(client.post(traces(1))) for _ in range(3)]
                while backend.attempts < 3:
                    await asyncio.sleep(0.01)
                await client.gateway.stop()
                assert [(await post)[0] for post in posts] == [200] * 3
            assert len(backend.span_keys) == 3

    asyncio.run(run())


def test_a_reload_takes_over_other_destinations(tmp_path: Path) -> None:
    async def run() -> None:
        async with (
            Backend(delay_s=0.2) as first,
            Backend() as second,
            running(passing(tmp_path, first.endpoint)) as client,
        ):
            under_way = asyncio.create_task(client.post(traces(1)))
            while first.attempts < 1:
                await asyncio.sleep(0.01)
            await client.gateway.reload(passing(tmp_path, second.endpoint))
            assert (await under_way)[0] == 200
            assert (await client.post(traces(2)))[0] == 200
            assert (len(first.span_keys), len(second.span_keys)) == (1, 2)

    asyncio.run(run())
