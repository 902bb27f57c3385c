"""A gateway on free ports, and a client for it."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from wattspan.gateway.server import Gateway
from wattspan.gateway.settings import ServeConfig

PROTOBUF = "application/x-protobuf"
QUICK = {"initial_s": 0.02, "max_s": 0.1, "jitter": 0.0}
"""Retries that do not hold up the tests."""


def config_of(directory: Path, *destinations: Mapping[str, Any], **gateway: Any) -> ServeConfig:
    settings = {
        "http": {"port": 0},
        "grpc": {"port": 0},
        "telemetry": {"port": 0},
        "spool": {"directory": str(directory / "spool")},
        "drain_s": 2,
        "destinations": [{"name": f"d{i}", "retry": QUICK, **d} for i, d in enumerate(destinations)],
    }
    return ServeConfig.model_validate({"gateway": {**settings, **gateway}})


class Client:
    def __init__(self, gateway: Gateway, session: aiohttp.ClientSession) -> None:
        self.gateway = gateway
        self.session = session
        self.url = f"http://127.0.0.1:{gateway.http.port}"
        self.telemetry_url = f"http://127.0.0.1:{gateway.telemetry.port}"

    async def post(
        self, body: bytes, path: str = "/v1/traces", content_type: str = PROTOBUF, **headers: str
    ) -> tuple[int, bytes, Mapping[str, str]]:
        """Status, body and headers of the answer."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.post(
            self.url + path,
            # aiohttp wants large bodies as files.
            data=body if len(body) < 1_000_000 else io.BytesIO(body),
            headers={"Content-Type": content_type, **named},
        ) as response:
            return response.status, await response.read(), response.headers

    async def get(self, path: str) -> tuple[int, str]:
        async with self.session.get(self.telemetry_url + path) as response:
            return response.status, await response.text()


@asynccontextmanager
async def running(config: ServeConfig) -> AsyncIterator[Client]:
    gateway = Gateway(config)
    await gateway.start()
    try:
        async with aiohttp.ClientSession() as session:
            yield Client(gateway, session)
    finally:
        await gateway.stop()
