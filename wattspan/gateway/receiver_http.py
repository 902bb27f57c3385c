"""The OTLP/HTTP receiver: protobuf and JSON on one port.

opentelemetry-proto docs/specification.md, "OTLP/HTTP".
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import ssl
from collections.abc import Awaitable, Callable, Collection
from typing import Final

from aiohttp import web

from wattspan.gateway.inflate import ENCODINGS, DamagedError, TooLargeError, inflate
from wattspan.gateway.journal import without_content
from wattspan.gateway.json_requests import NotOtlpJsonError, as_protobuf
from wattspan.gateway.limits import MemoryBudget, Reservation
from wattspan.gateway.otlp_status import (
    JSON,
    PROTOBUF,
    Code,
    RefusalError,
    bad_data,
    full_success,
    too_large,
)
from wattspan.gateway.settings import HttpReceiverSection, LimitsSection
from wattspan.gateway.signals import BY_PATH, Signal
from wattspan.gateway.tallies import ReceiverTally

log: Final = logging.getLogger(__name__)

Accept = Callable[[Signal, bytes], Awaitable[int]]

_OWN_THREAD_BYTES: Final = 256 * 1024
"""Bodies above this are inflated or converted off the event loop."""
_JSON_WEIGHT: Final = 8
"""Memory that reading JSON takes, in lengths of its text: 7 measured for spans of chat calls."""
_READ_BYTES: Final = 1024 * 1024
_LINGER_S: Final = 2.0
"""How long a refused client may go on sending before the connection is cut: so long it can read why."""


class HttpReceiver:
    """Answers OTLP requests once what `accept` does with them is done."""

    def __init__(
        self,
        settings: HttpReceiverSection,
        limits: LimitsSection,
        budget: MemoryBudget,
        signals: Collection[Signal],
        accept: Accept,
        tally: ReceiverTally,
        drain_s: float,
    ) -> None:
        self._budget = budget
        self._accept = accept
        self._tally = tally
        self._tls: ssl.SSLContext | None = None
        self._apply(settings, limits, signals)
        self._runner = web.ServerRunner(
            web.Server(
                self._handle,
                access_log=None,
                auto_decompress=False,
                read_bufsize=_READ_BYTES,
                handler_cancellation=False,
                lingering_time=_LINGER_S,
            ),
            shutdown_timeout=drain_s,
        )
        self.port = 0

    def _apply(
        self, settings: HttpReceiverSection, limits: LimitsSection, signals: Collection[Signal]
    ) -> None:
        self._settings, self._limits, self._signals = settings, limits, signals
        self._token = f"Bearer {settings.bearer_token}".encode() if settings.bearer_token else b""

    def reload(
        self, settings: HttpReceiverSection, limits: LimitsSection, signals: Collection[Signal]
    ) -> None:
        """Take over all but where it listens, and certificates that were renewed in their files.

        Raises OSError where those cannot be used.
        """
        if self._tls is not None and settings.tls is not None:
            self._tls.load_cert_chain(settings.tls.cert_file, settings.tls.key_file)
        self._apply(settings, limits, signals)

    async def start(self, *, shares_port: bool = False) -> None:
        """Listen. Raises OSError where the address cannot be had."""
        await self._runner.setup()
        self._tls = self._settings.tls.context() if self._settings.tls else None
        site = web.TCPSite(
            self._runner,
            self._settings.host,
            self._settings.port,
            ssl_context=self._tls,
            backlog=1024,
            reuse_port=shares_port,
        )
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        """Stop listening; requests under way have `drain_s` to end."""
        await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        signal = BY_PATH.get(request.path)
        content_type = request.content_type
        try:
            if signal is None:
                raise RefusalError(404, Code.NOT_FOUND, f"no such path; there are: {', '.join(BY_PATH)}")
            items = await self._export(request, signal, content_type)
        except RefusalError as refusal:
            if signal is not None:
                self._tally.refused[signal] += refusal.items
            response = _refused(refusal, JSON if content_type == JSON else PROTOBUF)
        except Exception as error:
            log.error("a request failed: %s", without_content(error))
            failure = RefusalError(500, Code.INTERNAL, "internal error")
            response = _refused(failure, JSON if content_type == JSON else PROTOBUF)
        else:
            response = web.Response(body=full_success(content_type), content_type=content_type)
            assert signal is not None
            self._tally.accepted[signal] += items
        if signal is not None:
            self._tally.requests[signal.value, str(response.status)] += 1
        if response.status != 200 and not request.content.at_eof():
            # What is left of the body would be taken for the next request.
            response.force_close()
        return response

    async def _export(self, request: web.BaseRequest, signal: Signal, content_type: str) -> int:
        self._check(request, signal, content_type)
        encoding = request.headers.get("Content-Encoding", "identity").strip().lower() or "identity"
        if encoding not in ENCODINGS:
            raise RefusalError(
                415,
                Code.INVALID_ARGUMENT,
                f"Content-Encoding {encoding!r} is not supported; there are: {', '.join(ENCODINGS)}",
            )
        with Reservation(self._budget) as reservation:
            body = await self._read(request, reservation)
            if encoding != "identity":
                body = await self._inflated(encoding, body, reservation)
            if content_type == JSON:
                body = await self._converted(signal, body, reservation)
            return await self._accept(signal, body)

    def _check(self, request: web.BaseRequest, signal: Signal, content_type: str) -> None:
        if self._token:
            given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
            if not hmac.compare_digest(given, self._token):
                raise RefusalError(401, Code.UNAUTHENTICATED, "the bearer token is missing or wrong")
        if request.method != "POST":
            raise RefusalError(405, Code.UNIMPLEMENTED, f"{request.method} is not supported; use POST")
        if signal not in self._signals:
            raise RefusalError(
                404, Code.UNIMPLEMENTED, f"{signal.value} are not enabled: no destination takes them"
            )
        if content_type not in (PROTOBUF, JSON):
            raise RefusalError(
                415,
                Code.INVALID_ARGUMENT,
                f"Content-Type {content_type!r} is not supported; use {PROTOBUF} or {JSON}",
            )

    async def _read(self, request: web.BaseRequest, reservation: Reservation) -> bytes:
        most = self._limits.request_bytes
        expected = request.content_length
        if expected is not None:
            if expected > most:
                raise too_large(f"the body has {expected} bytes; allowed are {most}")
            reservation.add(expected)
        if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        pieces: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._limits.body_timeout_s):
                while piece := await request.content.readany():
                    pieces.append(piece)
                    size += len(piece)
                    if expected is None:
                        if size > most:
                            raise too_large(f"the body has more than {most} bytes")
                        reservation.add(len(piece))
        except TimeoutError:
            raise RefusalError(408, Code.INVALID_ARGUMENT, "the body did not come in time") from None
        except (web.HTTPException, ValueError):
            raise bad_data("the body is not valid HTTP") from None
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def _inflated(self, encoding: str, body: bytes, reservation: Reservation) -> bytes:
        most = self._limits.request_bytes
        try:
            if len(body) < _OWN_THREAD_BYTES:
                return inflate(encoding, body, most, reservation.add)
            return await asyncio.to_thread(inflate, encoding, body, most, reservation.add)
        except TooLargeError as error:
            raise too_large(str(error)) from error
        except DamagedError as error:
            raise bad_data(str(error)) from error

    async def _converted(self, signal: Signal, body: bytes, reservation: Reservation) -> bytes:
        most = self._limits.memory_bytes // (1 + _JSON_WEIGHT)
        if len(body) > most:
            raise too_large(
                f"{len(body)} bytes of JSON; gateway.limits.memory_bytes has room for {most}: send protobuf, "
                "or smaller requests"
            )
        reservation.add(_JSON_WEIGHT * len(body))
        try:
            if len(body) < _OWN_THREAD_BYTES:
                return as_protobuf(signal, body)
            return await asyncio.to_thread(as_protobuf, signal, body)
        except NotOtlpJsonError as error:
            raise bad_data(str(error)) from error


def _refused(refusal: RefusalError, content_type: str) -> web.Response:
    response = web.Response(
        status=refusal.http_status, body=refusal.body(content_type), content_type=content_type
    )
    if refusal.retry_after is not None:
        response.headers["Retry-After"] = refusal.retry_after
    if refusal.http_status == 405:
        response.headers["Allow"] = "POST"
    if refusal.http_status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response
