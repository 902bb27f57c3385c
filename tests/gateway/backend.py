"""A real OTLP/HTTP destination on loopback that answers as it is told to."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable
from dataclasses import dataclass, field

import zstandard
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

Answer = Callable[[web.BaseRequest], web.StreamResponse | None]
"""Called with each request: None takes the request in and answers 200."""

SpanKey = tuple[bytes, bytes]


@dataclass
class Received:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def plain(self) -> bytes:
        encoding = self.headers.get("Content-Encoding")
        if encoding == "gzip":
            return gzip.decompress(self.body)
        if encoding == "zstd":
            return zstandard.decompress(self.body)
        assert encoding is None
        return self.body

    @property
    def spans(self) -> list[Span]:
        return spans_of(self.plain)


def spans_of(body: bytes) -> list[Span]:
    request = ExportTraceServiceRequest.FromString(body)
    return [s for r in request.resource_spans for scope in r.scope_spans for s in scope.spans]


def keys_of(body: bytes) -> list[SpanKey]:
    return [(span.trace_id, span.span_id) for span in spans_of(body)]


@dataclass
class Backend:
    """`async with Backend() as backend`; `received` are the requests that it took."""

    answer: Answer = lambda request: None
    received: list[Received] = field(default_factory=list)
    attempts: int = 0
    delay_s: float = 0.0
    poison: bytes = b""
    """Requests with these bytes are refused for good."""
    port: int = 0

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def span_keys(self) -> list[SpanKey]:
        return [key for r in self.received if r.path == "/v1/traces" for key in keys_of(r.plain)]

    async def __aenter__(self) -> Backend:
        self._runner = web.ServerRunner(
            web.Server(self._handle, access_log=None, auto_decompress=False), shutdown_timeout=0.1
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.content.read()
        self.attempts += 1
        await asyncio.sleep(self.delay_s)
        if self.poison and self.poison in body:
            return web.Response(status=400)
        answer = self.answer(request)
        if answer is not None:
            return answer
        self.received.append(Received(request.path, dict(request.headers), body))
        return web.Response(body=b"", content_type="application/x-protobuf")

    async def has(self, n_spans: int, within_s: float = 10.0) -> None:
        """Wait until `n_spans` spans (or more) are here."""
        async with asyncio.timeout(within_s):
            while len(self.span_keys) < n_spans:
                await asyncio.sleep(0.01)
