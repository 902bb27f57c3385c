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

from wattspan.gateway.http_server import AnswerNowError, Head, HttpAnswer, HttpServer
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
_DONE: Final = {kind: HttpAnswer(200, kind, full_success(kind)) for kind in (PROTOBUF, JSON)}


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
        self._drain_s = drain_s
        self._server = HttpServer(self._begin, self._fault, limits.body_timeout_s)
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
        self._server.body_timeout_s = limits.body_timeout_s

    async def start(self, *, shares_port: bool = False) -> None:
        """Listen. Raises OSError where the address cannot be had."""
        self._tls = self._settings.tls.context() if self._settings.tls else None
        self.port = await self._server.start(
            self._settings.host, self._settings.port, self._tls, shares_port=shares_port
        )

    async def close(self) -> None:
        """Stop listening; requests under way have `drain_s` to end."""
        await self._server.close(self._drain_s)

    def _begin(self, head: Head) -> _Export:
        """Admit a request by its head. Raises AnswerNowError."""
        content_type = head.headers.get("content-type", "").partition(";")[0].strip().lower()
        signal = BY_PATH.get(head.path)
        if signal is None:
            message = f"no such path; there are: {', '.join(BY_PATH)}"
            raise AnswerNowError(_refused(RefusalError(404, Code.NOT_FOUND, message), content_type))
        try:
            self._check(head, signal, content_type)
            encoding = _encoding(head)
            most, length = self._limits.request_bytes, head.content_length
            if length is not None and length > most:
                raise too_large(f"the body has {length} bytes; allowed are {most}")
        except RefusalError as refusal:
            raise AnswerNowError(self.refused(signal, refusal, content_type)) from None
        return _Export(self, signal, content_type, encoding, Reservation(self._budget))

    def _check(self, head: Head, signal: Signal, content_type: str) -> None:
        if self._token:
            given = head.headers.get("authorization", "").encode("latin-1")
            if not hmac.compare_digest(given, self._token):
                raise RefusalError(401, Code.UNAUTHENTICATED, "the bearer token is missing or wrong")
        if head.method != "POST":
            raise RefusalError(405, Code.UNIMPLEMENTED, f"{head.method} is not supported; use POST")
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

    def _fault(self, status: int, message: str) -> HttpAnswer:
        return _refused(_unreadable(status, message), PROTOBUF)

    def refused(self, signal: Signal, refusal: RefusalError, content_type: str) -> HttpAnswer:
        """The answer to a request that is not taken in."""
        self._tally.refused[signal] += refusal.items
        self._tally.requests[signal.value, str(refusal.http_status)] += 1
        return _refused(refusal, content_type)

    async def export(
        self, signal: Signal, content_type: str, encoding: str, body: bytes, reservation: Reservation
    ) -> HttpAnswer:
        """The answer to a whole request."""
        try:
            if encoding != "identity":
                body = await self._inflated(encoding, body, reservation)
            if content_type == JSON:
                body = await self._converted(signal, body, reservation)
            items = await self._accept(signal, body)
        except RefusalError as refusal:
            return self.refused(signal, refusal, content_type)
        except Exception as error:
            log.error("a request failed: %s", without_content(error))
            failure = RefusalError(500, Code.INTERNAL, "internal error")
            return self.refused(signal, failure, content_type)
        self._tally.accepted[signal] += items
        self._tally.requests[signal.value, "200"] += 1
        return _DONE[content_type]

    def admit(self, size: int, so_far: int, signal: Signal, content_type: str, held: Reservation) -> None:
        """Admit `size` bytes more of a body. Raises AnswerNowError."""
        most = self._limits.request_bytes
        try:
            if so_far + size > most:
                raise too_large(f"the body has more than {most} bytes")
            held.add(size)
        except RefusalError as refusal:
            raise AnswerNowError(self.refused(signal, refusal, content_type)) from None

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


class _Export:
    """One request."""

    __slots__ = ("_content_type", "_encoding", "_receiver", "_reservation", "_signal", "_size")

    def __init__(
        self,
        receiver: HttpReceiver,
        signal: Signal,
        content_type: str,
        encoding: str,
        reservation: Reservation,
    ) -> None:
        self._receiver = receiver
        self._signal = signal
        self._content_type = content_type
        self._encoding = encoding
        self._reservation = reservation
        self._size = 0

    def admit(self, size: int) -> None:
        """Admit `size` bytes more of the body. Raises AnswerNowError."""
        self._receiver.admit(size, self._size, self._signal, self._content_type, self._reservation)
        self._size += size

    async def answer(self, body: bytes) -> HttpAnswer:
        """The answer to the whole request."""
        return await self._receiver.export(
            self._signal, self._content_type, self._encoding, body, self._reservation
        )

    def fault(self, status: int, message: str) -> HttpAnswer:
        """The answer where the rest of the request cannot be read."""
        return self._receiver.refused(self._signal, _unreadable(status, message), self._content_type)

    def close(self) -> None:
        """Give the memory back."""
        self._reservation.release()


def _unreadable(status: int, message: str) -> RefusalError:
    return RefusalError(status, Code.INTERNAL if status == 500 else Code.INVALID_ARGUMENT, message)


def _encoding(head: Head) -> str:
    encoding = head.headers.get("content-encoding", "identity").strip().lower() or "identity"
    if encoding not in ENCODINGS:
        raise RefusalError(
            415,
            Code.INVALID_ARGUMENT,
            f"Content-Encoding {encoding!r} is not supported; there are: {', '.join(ENCODINGS)}",
        )
    return encoding


def _refused(refusal: RefusalError, content_type: str) -> HttpAnswer:
    kind = JSON if content_type == JSON else PROTOBUF
    headers = []
    if refusal.retry_after is not None:
        headers.append(("Retry-After", refusal.retry_after))
    if refusal.http_status == 405:
        headers.append(("Allow", "POST"))
    if refusal.http_status == 401:
        headers.append(("WWW-Authenticate", "Bearer"))
    return HttpAnswer(refusal.http_status, kind, refusal.body(kind), tuple(headers))
