"""Rotel, a collector in Rust, before the gateway and behind it."""

from __future__ import annotations

import asyncio
import sysconfig
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.gateway.backend import Backend
from tests.gateway.running import PROTOBUF, config_of, running
from tests.interop import neighbours
from tests.interop.process import free_port, listening
from tests.interop.the_call import assert_estimated, attributes_of, request


@asynccontextmanager
async def rotel(
    tmp_path: Path, endpoint: str, protocol: str, compression: str
) -> AsyncIterator[tuple[int, int]]:
    """Rotel that forwards to `endpoint`; its HTTP and gRPC port. docs/collector.md has the settings."""
    http_port, grpc_port = free_port(), free_port()
    settings = {
        "ROTEL_OTLP_HTTP_ENDPOINT": f"127.0.0.1:{http_port}",
        "ROTEL_OTLP_GRPC_ENDPOINT": f"127.0.0.1:{grpc_port}",
        "ROTEL_EXPORTER": "otlp",
        "ROTEL_OTLP_EXPORTER_ENDPOINT": endpoint,
        "ROTEL_OTLP_EXPORTER_PROTOCOL": protocol,
        "ROTEL_OTLP_EXPORTER_COMPRESSION": compression,
        "ROTEL_OTLP_EXPORTER_RETRY_INITIAL_BACKOFF": "100ms",
        "ROTEL_PID_FILE": str(tmp_path / "rotel.pid"),
        "ROTEL_LOG_FILE": str(tmp_path / "rotel.log"),
        # It is linked to libpython3.11, which need not be in the system's folders.
        "LD_LIBRARY_PATH": sysconfig.get_config_var("LIBDIR") or "",
    }
    command = (neighbours.rotel_agent(), "start")
    async with listening(*command, port=http_port, directory=tmp_path, environ=settings):
        yield http_port, grpc_port


async def post(port: int) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            f"http://127.0.0.1:{port}/v1/traces", data=request(), headers={"Content-Type": PROTOBUF}
        ) as answer,
    ):
        assert answer.status == 200


def assert_arrived(backend: Backend) -> None:
    spans = {span.name: attributes_of(span) for received in backend.received for span in received.spans}
    assert spans.keys() == {"POST /ask", "chat gpt-4o"}
    assert_estimated(spans["chat gpt-4o"])
    assert spans["POST /ask"] == {}


@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_rotel_sends_to_the_gateway(tmp_path: Path, protocol: str, compression: str) -> None:
    async def run() -> None:
        async with (
            Backend() as backend,
            running(config_of(tmp_path, {"endpoint": backend.endpoint})) as client,
        ):
            port = client.gateway.grpc.port if protocol == "grpc" else client.gateway.http.port
            async with rotel(tmp_path, f"http://127.0.0.1:{port}", protocol, compression) as (http_port, _):
                await post(http_port)
                await backend.has(2)
            assert_arrived(backend)
            assert len(backend.span_keys) == 2

    asyncio.run(run())


@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_the_gateway_sends_to_rotel(tmp_path: Path, protocol: str, compression: str) -> None:
    async def run() -> None:
        async with Backend() as backend, rotel(tmp_path, backend.endpoint, "http", "gzip") as (http, grpc):
            destination = {
                "protocol": protocol,
                "endpoint": f"http://127.0.0.1:{grpc if protocol == 'grpc' else http}",
                "compression": compression,
            }
            async with running(config_of(tmp_path, destination)) as client:
                assert (await client.post(request()))[0] == 200
                await backend.has(2)
            assert_arrived(backend)
            assert len(backend.span_keys) == 2

    asyncio.run(run())
