"""HTTP/1.1 for the OTLP receiver: small answers to POSTs, nothing else of the web.

httptools (llhttp, Node's parser) reads; what a server must decide besides is here: bodies are admitted before
they are read, a refused client is listened to for a moment so that it can read why, and nobody holds a
connection for ever. Measured on one core: 31 µs for a request of 6 kB, where aiohttp takes 84.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from typing import Final, Protocol, cast

import httptools

from wattspan.gateway.journal import without_content

log: Final = logging.getLogger(__name__)

_HEAD_BYTES: Final = 64 * 1024
"""Longest request line and headers together."""
_LINGER_S: Final = 2.0
"""How long a refused client may go on sending before the connection is cut: so long it can read why."""
_IDLE_S: Final = 75.0
"""A connection without a request is closed after this; clients open another."""
_SWEEP_S: Final = 1.0
_MOST_WAITING: Final = 8
"""Pipelined requests of one connection that wait for their turn before reading pauses."""
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_REASONS: Final = {status.value: status.phrase for status in HTTPStatus}


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What a client is told."""

    status: int
    content_type: str
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


class AnswerNowError(Exception):
    """The body need not be read any further: `answer` is known."""

    def __init__(self, answer: HttpAnswer) -> None:
        super().__init__(answer.status)
        self.answer = answer


@dataclass(slots=True)
class Head:
    """A request without its body."""

    method: str = ""
    path: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    """By name in lower case; values of a name that comes twice are joined by a comma (RFC 9110 §5.3)."""

    @property
    def content_length(self) -> int | None:
        """Bytes of the body as announced; None where it comes in chunks or there is none."""
        length = self.headers.get("content-length")
        return None if length is None else int(length)

    @property
    def has_body(self) -> bool:
        """Whether anything follows."""
        return bool(self.content_length) or "transfer-encoding" in self.headers

    def without_upgrade(self) -> bytes:
        """A head that announces the same body and asks for no other protocol."""
        length = self.content_length
        kind = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
        return f"POST / HTTP/1.1\r\n{kind}\r\n\r\n".encode()


class Exchange(Protocol):
    """One request and its answer."""

    def admit(self, size: int) -> None:
        """Called with the length of the body, or of each chunk, before it is kept. Raises AnswerNowError."""

    async def answer(self, body: bytes) -> HttpAnswer:
        """The answer to the whole request. Raises nothing."""

    def fault(self, status: int, message: str) -> HttpAnswer:
        """The answer where the rest of the request cannot be read."""

    def close(self) -> None:
        """The request is over, answered or not."""


Begin = Callable[[Head], Exchange]
"""Called with each head. Raises AnswerNowError where the body need not be read."""


class HttpServer:
    """Listens, and has each request answered by an exchange."""

    def __init__(self, begin: Begin, fault: Callable[[int, str], HttpAnswer], body_timeout_s: float) -> None:
        """`fault` answers what is not even a request."""
        self.begin = begin
        self.fault = fault
        self.body_timeout_s = body_timeout_s
        self.connections: set[_Connection] = set()
        self.is_closing = False
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.Task[None] | None = None
        self._date = (0, b"")

    async def start(self, host: str, port: int, tls: ssl.SSLContext | None, *, shares_port: bool) -> int:
        """Listen; the port. Raises OSError where the address cannot be had."""
        self._server = await asyncio.get_running_loop().create_server(
            lambda: _Connection(self), host, port, ssl=tls, backlog=1024, reuse_port=shares_port or None
        )
        self._sweeper = asyncio.create_task(self._sweep())
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self, within_s: float) -> None:
        """Stop listening; requests under way have `within_s` to end."""
        self.is_closing = True
        if self._server is None or self._sweeper is None:
            return
        self._server.close()
        self._sweeper.cancel()
        deadline = time.monotonic() + within_s
        for connection in list(self.connections):
            connection.close_when_idle()
        while self.connections and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        for connection in list(self.connections):
            connection.abort()

    @property
    def date(self) -> bytes:
        """The Date header of now."""
        now = int(time.time())
        if self._date[0] != now:
            self._date = (now, formatdate(now, usegmt=True).encode())
        return self._date[1]

    async def _sweep(self) -> None:
        """One timer for all connections: requests are many, and few of them are late."""
        while True:
            await asyncio.sleep(min(_SWEEP_S, self.body_timeout_s / 4))
            now = time.monotonic()
            for connection in list(self.connections):
                connection.look(now)


class _Connection(asyncio.Protocol):
    """One client. Requests are answered one after the other, in the order in which they came."""

    def __init__(self, server: HttpServer) -> None:
        self._server = server
        self._transport: asyncio.Transport
        self._parser = httptools.HttpRequestParser(self)
        self._since_s = 0.0
        self._is_refused = False
        self._is_last = False
        self._head_bytes = 0
        self._head: Head | None = None
        self._url = b""
        self._exchange: Exchange | None = None
        self._pieces: list[bytes] = []
        self._has_length = False
        self._waiting: deque[tuple[Exchange, bytes, bool, bool]] = deque()
        self._answering: asyncio.Task[None] | None = None
        self._is_paused = False
        self._awaits_body = False
        self._is_replayed = False

    # Calls of the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's is one without being a subclass.
        self._transport = cast(asyncio.Transport, transport)
        self._since_s = time.monotonic()
        self._server.connections.add(self)
        if self._server.is_closing:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.discard(self)
        self._is_refused = True
        if self._exchange is not None:
            self._exchange.close()
            self._exchange = None
        while self._waiting:
            self._waiting.popleft()[0].close()

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        if self._exchange is None:
            # Of a request whose head has not ended, or is about to begin.
            self._head_bytes += len(data)
        try:
            self._feed(data)
        except AnswerNowError as refusal:
            self._refuse(refusal.answer)
        except httptools.HttpParserError:
            self._refuse(self._fault(400, "the request is not valid HTTP"))
        except Exception as error:
            log.error("a request could not be read: %s", without_content(error))
            self._refuse(self._fault(500, "internal error"))
        else:
            if self._head is not None and self._exchange is None and self._head_bytes > _HEAD_BYTES:
                self._refuse(self._fault(431, f"the headers have more than {_HEAD_BYTES} bytes"))

    def _feed(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._parser = httptools.HttpRequestParser(self)
            if self._awaits_body:
                # The parser takes what follows for another protocol; it is still the body.
                assert self._head is not None
                self._is_replayed, self._awaits_body = True, False
                self._parser.feed_data(self._head.without_upgrade())
                self._is_replayed = False
            if rest := data[upgrade.args[0] :]:
                self._feed(rest)
        except httptools.HttpParserCallbackError as error:
            raise error.__context__ or error from None

    def eof_received(self) -> bool:
        # A client may close its side and still wait for its answer.
        if self._answering is None and not self._waiting:
            return False
        self._is_last = True
        return True

    def pause_writing(self) -> None:
        self._is_paused = True
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._is_paused = False
        self._transport.resume_reading()

    # Calls of the parser.

    def on_message_begin(self) -> None:
        if not self._is_replayed:
            self._head, self._url = Head(), b""
            self._since_s = time.monotonic()

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes | None) -> None:
        if self._head is None or self._is_replayed:
            # Trailers of a chunked body say nothing to us.
            return
        headers, key, text = (
            self._head.headers,
            name.decode("latin-1").lower(),
            (value or b"").decode("latin-1"),
        )
        headers[key] = f"{headers[key]},{text}" if key in headers else text

    def on_headers_complete(self) -> None:
        head = self._head
        if self._is_replayed or head is None:
            return
        head.method = self._parser.get_method().decode("latin-1")
        head.path = _path(self._url)
        self._exchange = self._server.begin(head)
        # A wish that a server may ignore (RFC 9110 §7.8): Java's client asks for HTTP/2 so.
        self._awaits_body = self._parser.should_upgrade() and head.has_body
        length = head.content_length
        self._has_length = length is not None
        if length is not None:
            self._exchange.admit(length)
        if head.headers.get("expect", "").lower() == "100-continue" and self._answering is None:
            self._transport.write(_CONTINUE)

    def on_body(self, body: bytes) -> None:
        assert self._exchange is not None
        if not self._has_length:
            self._exchange.admit(len(body))
        self._pieces.append(body)

    def on_message_complete(self) -> None:
        exchange, head, pieces = self._exchange, self._head, self._pieces
        assert exchange is not None
        assert head is not None
        if self._awaits_body:
            return
        self._exchange, self._head, self._pieces, self._head_bytes = None, None, [], 0
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._waiting.append((exchange, body, self._parser.should_keep_alive(), head.method == "HEAD"))
        if self._answering is None:
            self._answering = asyncio.get_running_loop().create_task(self._answer())
        elif len(self._waiting) >= _MOST_WAITING:
            self._transport.pause_reading()

    # Our own.

    async def _answer(self) -> None:
        while self._waiting:
            exchange, body, keeps, is_head = self._waiting.popleft()
            try:
                answer = await exchange.answer(body)
            finally:
                exchange.close()
            del body
            keeps = keeps and not (self._server.is_closing or self._is_last)
            self._write(answer, keeps=keeps, is_head=is_head)
            if not keeps:
                self._is_refused = True
                self._transport.close()
                break
        self._answering = None
        self._since_s = time.monotonic()
        if not self._is_paused and not self._transport.is_closing():
            self._transport.resume_reading()

    def _write(self, answer: HttpAnswer, *, keeps: bool, is_head: bool = False) -> None:
        if self._transport.is_closing():
            return
        lines = [
            f"HTTP/1.1 {answer.status} {_REASONS.get(answer.status, 'Error')}",
            f"Content-Type: {answer.content_type}",
            f"Content-Length: {len(answer.body)}",
            f"Date: {self._server.date.decode()}",
            *(f"{name}: {value}" for name, value in answer.headers),
            f"Connection: {'keep-alive' if keeps else 'close'}",
        ]
        body = b"" if is_head else answer.body
        self._transport.write("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)

    def _refuse(self, answer: HttpAnswer) -> None:
        """Answer before the request has ended; what still comes is not a request."""
        self._is_refused = True
        if self._exchange is not None:
            self._exchange.close()
            self._exchange = None
        self._pieces = []
        is_head = self._head is not None and self._head.method == "HEAD"
        asyncio.get_running_loop().create_task(self._refuse_in_turn(answer, is_head=is_head))

    async def _refuse_in_turn(self, answer: HttpAnswer, *, is_head: bool) -> None:
        if self._answering is not None:
            await asyncio.wait([self._answering])
        self._write(answer, keeps=False, is_head=is_head)
        self._transport.resume_reading()
        asyncio.get_running_loop().call_later(_LINGER_S, self._transport.close)

    def _fault(self, status: int, message: str) -> HttpAnswer:
        exchange = self._exchange
        return self._server.fault(status, message) if exchange is None else exchange.fault(status, message)

    def look(self, now: float) -> None:
        """Let go a client that is late with its request, or has none."""
        if self._is_refused or self._answering is not None:
            return
        waited_s = now - self._since_s
        if self._head is not None and waited_s > self._server.body_timeout_s:
            self._refuse(self._fault(408, "the request did not come in time"))
        elif waited_s > _IDLE_S:
            self._transport.close()

    def close_when_idle(self) -> None:
        """No further request is awaited."""
        if self._answering is None and self._head is None:
            self._transport.close()

    def abort(self) -> None:
        """End now."""
        self._transport.abort()


def _path(url: bytes) -> str:
    if url.startswith(b"/"):
        return url.partition(b"?")[0].decode("latin-1")
    try:
        return (httptools.parse_url(url).path or b"").decode("latin-1")
    except httptools.HttpParserInvalidURLError:
        return ""
