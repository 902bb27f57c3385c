"""OTLP/HTTP towards a destination."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import AsyncIterator
from typing import Final

import aiohttp
import zstandard
from isal import igzip

import wattspan
from wattspan.gateway.journal import without_content
from wattspan.gateway.otlp_status import PROTOBUF, rejected_items
from wattspan.gateway.retry import retry_after_s
from wattspan.gateway.sender import Outcome, Refused, Sent, TryAgain
from wattspan.gateway.settings import DestinationSection
from wattspan.gateway.signals import Signal

log: Final = logging.getLogger(__name__)

_RETRYABLE: Final = frozenset({429, 502, 503, 504})
_RESPONSE_BYTES: Final = 4 * 1024 * 1024
"""Longest answer read: the specification's limit."""
_PIECE_BYTES: Final = 512 * 1024
"""Longer bodies are written piece by piece, so that a slow destination does not make us buffer them twice."""
_ZSTD_LEVEL: Final = 1
_GZIP_LEVEL: Final = 1


class HttpSender:
    """Sends protobuf requests by POST over kept connections."""

    def __init__(self, settings: DestinationSection) -> None:
        """Raises OSError where a file of the TLS settings cannot be used."""
        self._urls = {signal: settings.endpoint + signal.path for signal in Signal}
        headers = {"User-Agent": f"wattspan/{wattspan.__version__}", "Content-Type": PROTOBUF}
        if settings.compression != "none":
            headers["Content-Encoding"] = settings.compression
        self._compression = settings.compression
        tls = settings.tls.context() if settings.endpoint.startswith("https:") else True
        self._session = aiohttp.ClientSession(
            headers={**headers, **settings.headers},
            timeout=aiohttp.ClientTimeout(total=settings.timeout_s),
            connector=aiohttp.TCPConnector(limit=settings.in_flight, ssl=tls),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    def packed(self, body: bytes) -> bytes:
        """Compressed as the settings say."""
        if self._compression == "gzip":
            return igzip.compress(body, _GZIP_LEVEL)
        if self._compression == "zstd":
            return zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compress(body)
        return body

    async def send(self, signal: Signal, packed: bytes) -> Outcome:
        """One POST."""
        try:
            async with self._session.post(
                self._urls[signal],
                data=packed if len(packed) <= _PIECE_BYTES else _pieces(packed),
                headers={"Content-Length": str(len(packed))},
                allow_redirects=False,
            ) as response:
                body = await _answer(response)
                label = str(response.status)
                if 200 <= response.status < 300:
                    return Sent(label, rejected_items(body))
                if response.status in _RETRYABLE:
                    now = dt.datetime.now(dt.UTC)
                    return TryAgain(label, retry_after_s(response.headers.get("Retry-After"), now))
                return Refused(label)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return TryAgain(type(error).__name__)
        except Exception as error:
            # A fault of ours or of the client library must not leave the batch behind for ever.
            log.error("an attempt failed in an unforeseen way: %s", without_content(error))
            return TryAgain(type(error).__name__)

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()


async def _answer(response: aiohttp.ClientResponse) -> bytes:
    body = b""
    while len(body) < _RESPONSE_BYTES and (piece := await response.content.readany()):
        body += piece
    return body


async def _pieces(packed: bytes) -> AsyncIterator[memoryview]:
    view = memoryview(packed)
    for at in range(0, len(view), _PIECE_BYTES):
        yield view[at : at + _PIECE_BYTES]
