"""OTLP/gRPC, in and out, with real channels."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from google.rpc import status_pb2
from google.rpc.error_details_pb2 import RetryInfo
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tests.gateway.backend import Backend, keys_of
from tests.gateway.running import Client, config_of, running
from tests.gateway.span_requests import traces
from wattspan.gateway.signals import Signal

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
LOGS = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
MIB = 1024 * 1024


def with_gateway(
    tmp_path: Path,
    test: Callable[[grpc.aio.Channel, Client, Backend], Awaitable[None]],
    destination: dict[str, Any] | None = None,
    compression: grpc.Compression = grpc.Compression.NoCompression,
    **gateway: Any,
) -> None:
    async def run() -> None:
        async with Backend() as backend:
            config = config_of(tmp_path, {"endpoint": backend.endpoint, **(destination or {})}, **gateway)
            async with running(config) as client:
                target = f"127.0.0.1:{client.gateway.grpc.port}"
                options = [("grpc.max_send_message_length", -1)]
                async with grpc.aio.insecure_channel(target, options, compression) as channel:
                    await test(channel, client, backend)

    asyncio.run(run())


async def refused(call: Any) -> tuple[grpc.StatusCode, str, float | None]:
    """Code, message and the delay of the RetryInfo of a call that fails."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    error = caught.value
    details = dict(error.trailing_metadata()).get("grpc-status-details-bin")
    delay = None
    if details is not None:
        status = status_pb2.Status.FromString(details)
        assert (status.code, status.message) == (error.code().value[0], error.details())
        for detail in status.details:
            info = RetryInfo()
            assert detail.Unpack(info)
            delay = info.retry_delay.ToNanoseconds() / 1e9
    return error.code(), error.details(), delay


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_spans_come_in_over_grpc(tmp_path: Path, compression: grpc.Compression) -> None:
    async def test(channel: grpc.aio.Channel, client: Client, backend: Backend) -> None:
        body = traces(5)
        export = channel.unary_unary(
            EXPORT, ExportTraceServiceRequest.SerializeToString, ExportTraceServiceResponse.FromString
        )
        response = await export(ExportTraceServiceRequest.FromString(body))
        assert not response.HasField("partial_success")
        assert await export(ExportTraceServiceRequest()) == ExportTraceServiceResponse()
        await backend.has(5)
        assert backend.span_keys == keys_of(body)
        _, text = await client.get("/metrics")
        assert 'wattspan_receiver_accepted_spans_total{transport="grpc"} 5.0' in text

    with_gateway(tmp_path, test, compression=compression)


def test_what_cannot_be_decoded_is_invalid_argument(tmp_path: Path) -> None:
    async def test(channel: grpc.aio.Channel, client: Client, backend: Backend) -> None:
        code, message, delay = await refused(channel.unary_unary(EXPORT)(b"\x0a\xff"))
        assert (code, delay) == (grpc.StatusCode.INVALID_ARGUMENT, None)
        assert message.startswith("not an OTLP trace request")

    with_gateway(tmp_path, test)


def test_signals_without_a_destination_and_unknown_methods_are_unimplemented(tmp_path: Path) -> None:
    async def test(channel: grpc.aio.Channel, client: Client, backend: Backend) -> None:
        code, message, _ = await refused(channel.unary_unary(LOGS)(b""))
        assert (code, message) == (
            grpc.StatusCode.UNIMPLEMENTED,
            "logs are not enabled: no destination takes them",
        )
        code, _, _ = await refused(channel.unary_unary("/no.such/Method")(b""))
        assert code is grpc.StatusCode.UNIMPLEMENTED

    with_gateway(tmp_path, test)


def test_the_limit_holds_also_once_inflated_and_is_not_to_be_tried_again(tmp_path: Path) -> None:
    async def test(channel: grpc.aio.Channel, client: Client, backend: Backend) -> None:
        code, _, delay = await refused(channel.unary_unary(EXPORT)(traces(1, padding=2 * MIB)))
        assert (code, delay) == (grpc.StatusCode.RESOURCE_EXHAUSTED, None)
        await channel.unary_unary(EXPORT)(traces(1, padding=MIB // 2))
        await backend.has(1)

    with_gateway(tmp_path, test, compression=grpc.Compression.Gzip, limits={"request_bytes": MIB})


def test_at_the_quota_clients_get_unavailable_with_retry_info(tmp_path: Path) -> None:
    async def test(channel: grpc.aio.Channel, client: Client, backend: Backend) -> None:
        backend.delay_s = 60
        export = channel.unary_unary(EXPORT)
        await export(traces(50))
        code, message, delay = await refused(export(traces(1)))
        assert (code, delay) == (grpc.StatusCode.UNAVAILABLE, 2.5)
        assert message == "the spool quota of destination d0 is used up"

    with_gateway(tmp_path, test, {"quota_bytes": 100}, limits={"retry_after_s": 2.5}, drain_s=0.1)


def test_a_bearer_token_is_asked_for_where_one_is_set(tmp_path: Path) -> None:
    async def test(channel: grpc.aio.Channel, client: Client, backend: Backend) -> None:
        export = channel.unary_unary(EXPORT)
        for metadata in ((), (("authorization", "Bearer wrong-token"),)):
            code, _, _ = await refused(export(traces(1), metadata=metadata))
            assert code is grpc.StatusCode.UNAUTHENTICATED
        await export(traces(1), metadata=(("authorization", "Bearer correct-token"),))
        await backend.has(1)

    with_gateway(tmp_path, test, grpc={"port": 0, "bearer_token": "correct-token"})


class GrpcBackend:
    """A destination; `failures` are the codes, details and delays of its first answers."""

    def __init__(self, failures: list[tuple[grpc.StatusCode, float | None]]) -> None:
        self.failures = failures
        self.received: list[bytes] = []
        self.metadata: list[dict[str, Any]] = []
        self.times: list[float] = []

    async def export(self, request: bytes, context: Any) -> bytes:
        self.times.append(asyncio.get_running_loop().time())
        if self.failures:
            code, delay = self.failures.pop(0)
            status = status_pb2.Status(code=code.value[0], message="no")
            if delay is not None:
                info = RetryInfo()
                info.retry_delay.FromMilliseconds(int(delay * 1000))
                status.details.add().Pack(info)
            await context.abort(code, "no", (("grpc-status-details-bin", status.SerializeToString()),))
        self.received.append(request)
        self.metadata.append(dict(context.invocation_metadata()))
        response = ExportTraceServiceResponse()
        response.partial_success.rejected_spans = 1
        return bytes(response.SerializeToString())


@asynccontextmanager
async def grpc_backend(
    failures: list[tuple[grpc.StatusCode, float | None]],
) -> AsyncIterator[tuple[GrpcBackend, str]]:
    backend = GrpcBackend(failures)
    server = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(backend.export)
    service = EXPORT.split("/")[1]
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"Export": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield backend, f"http://127.0.0.1:{port}"
    await server.stop(0)


@pytest.mark.parametrize(
    ("failures", "sent", "failed"),
    [
        ([], 3, 0),
        ([(grpc.StatusCode.UNAVAILABLE, None)] * 3, 3, 0),
        ([(grpc.StatusCode.RESOURCE_EXHAUSTED, 0.2)], 3, 0),
        ([(grpc.StatusCode.RESOURCE_EXHAUSTED, None)], 0, 3),
        ([(grpc.StatusCode.INVALID_ARGUMENT, None)], 0, 3),
        ([(grpc.StatusCode.ABORTED, None), (grpc.StatusCode.DATA_LOSS, None)], 3, 0),
        ([(grpc.StatusCode.PERMISSION_DENIED, None)], 0, 3),
    ],
)
def test_a_grpc_destination_gets_spans_and_its_answers_are_understood(
    tmp_path: Path, failures: list[tuple[grpc.StatusCode, float | None]], sent: int, failed: int
) -> None:
    n_attempts = len(failures) + (1 if sent else 0)

    async def run() -> None:
        async with grpc_backend(list(failures)) as (backend, endpoint):
            destination = {"endpoint": endpoint, "protocol": "grpc", "headers": {"X-Scope": "a"}}
            async with running(config_of(tmp_path, destination)) as client:
                body = traces(3)
                await client.post(body)
                tally = client.gateway.durable.forwarders["d0"].tally
                async with asyncio.timeout(10):
                    while tally.queued_batches or not tally.attempts:
                        await asyncio.sleep(0.01)
                assert (tally.sent[Signal.TRACES], tally.failed[Signal.TRACES]) == (sent, failed)
                assert len(backend.times) == n_attempts
                if sent:
                    assert tally.rejected[Signal.TRACES] == 1
                    assert keys_of(backend.received[0]) == keys_of(body)
                    assert backend.metadata[0]["x-scope"] == "a"
                    assert backend.metadata[0]["user-agent"].startswith("wattspan/")
                if failures == [(grpc.StatusCode.RESOURCE_EXHAUSTED, 0.2)]:
                    assert backend.times[1] - backend.times[0] >= 0.2

    asyncio.run(run())


def test_a_grpc_destination_that_is_down_gets_everything_once_it_is_back(tmp_path: Path) -> None:
    async def run() -> None:
        async with grpc_backend([]) as (_, endpoint):
            pass
        config = config_of(tmp_path, {"endpoint": endpoint, "protocol": "grpc"})
        async with running(config) as client:
            body = traces(4)
            await client.post(body)
            tally = client.gateway.durable.forwarders["d0"].tally
            async with asyncio.timeout(10):
                while tally.attempts["UNAVAILABLE"] < 3:
                    await asyncio.sleep(0.01)
            server = grpc.aio.server()
            backend = GrpcBackend([])
            handler = grpc.unary_unary_rpc_method_handler(backend.export)
            server.add_generic_rpc_handlers(
                (grpc.method_handlers_generic_handler(EXPORT.split("/")[1], {"Export": handler}),)
            )
            server.add_insecure_port(endpoint.removeprefix("http://"))
            await server.start()
            async with asyncio.timeout(15):
                while not backend.received:
                    await asyncio.sleep(0.01)
            assert keys_of(backend.received[0]) == keys_of(body)
            await server.stop(0)

    asyncio.run(run())
