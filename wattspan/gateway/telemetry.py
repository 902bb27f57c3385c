"""`/healthz`, `/readyz` and `/metrics`, on a port of their own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final, Protocol

from aiohttp import web
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from wattspan.gateway.settings import TelemetrySection


class Watched(Protocol):
    """What probes and Prometheus ask."""

    async def metrics(self) -> bytes:
        """The page of metrics."""

    async def why_not_healthy(self) -> Sequence[str]:
        """What a restart should mend; nothing when all is well."""

    async def why_not_ready(self) -> Sequence[str]:
        """What keeps clients from being served; nothing when they are."""


PATHS: Final = ("/metrics", "/healthz", "/readyz")


class Telemetry:
    """A small HTTP server for probes and Prometheus, and for the page where it is wanted."""

    def __init__(
        self, settings: TelemetrySection, watched: Watched, page: web.Application | None = None
    ) -> None:
        self._settings = settings
        self._watched = watched
        self._runner: web.BaseRunner
        if page is None:
            self._runner = web.ServerRunner(web.Server(self._handle, access_log=None))
        else:
            for path in PATHS:
                page.router.add_route("*", path, self._handle)
            self._runner = web.AppRunner(page, access_log=None)
        self.port = 0

    async def start(self) -> None:
        """Listen. Raises OSError where the address cannot be had."""
        await self._runner.setup()
        await web.TCPSite(self._runner, self._settings.host, self._settings.port).start()
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        """Stop listening."""
        await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.method not in ("GET", "HEAD"):
            return web.Response(status=405, headers={"Allow": "GET, HEAD"})
        if request.path == "/metrics":
            return web.Response(
                body=await self._watched.metrics(), headers={"Content-Type": CONTENT_TYPE_LATEST}
            )
        if request.path == "/healthz":
            return _probe("ok", "failing", await self._watched.why_not_healthy())
        if request.path == "/readyz":
            return _probe("ready", "not ready", await self._watched.why_not_ready())
        return web.Response(status=404, text="there are /healthz, /readyz and /metrics\n")


def _probe(good: str, bad: str, reasons: Sequence[str]) -> web.Response:
    content = {"status": bad if reasons else good, "reasons": list(reasons)}
    return web.Response(
        status=503 if reasons else 200, text=json.dumps(content), content_type="application/json"
    )
