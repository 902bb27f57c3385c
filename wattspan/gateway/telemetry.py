"""`/healthz`, `/readyz` and `/metrics`, on a port of their own."""

from __future__ import annotations

import json
from collections.abc import Callable

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from wattspan.gateway.settings import TelemetrySection


class Telemetry:
    """A small HTTP server for probes and Prometheus."""

    def __init__(
        self, settings: TelemetrySection, collector: Collector, why_not_ready: Callable[[], list[str]]
    ) -> None:
        """`why_not_ready` says what keeps clients from being served; nothing when they are."""
        self._settings = settings
        self._registry = CollectorRegistry()
        self._registry.register(collector)
        self._why_not_ready = why_not_ready
        self._runner = web.ServerRunner(web.Server(self._handle, access_log=None))
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
                body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
            )
        if request.path == "/healthz":
            return web.json_response({"status": "ok"})
        if request.path == "/readyz":
            reasons = self._why_not_ready()
            content = {"status": "not ready" if reasons else "ready", "reasons": reasons}
            return web.Response(
                status=503 if reasons else 200, text=json.dumps(content), content_type="application/json"
            )
        return web.Response(status=404, text="there are /healthz, /readyz and /metrics\n")
