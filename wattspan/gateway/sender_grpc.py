"""OTLP/gRPC towards a destination."""

from __future__ import annotations

import logging
from typing import Final
from urllib.parse import urlsplit

import grpc
import grpc.aio

import wattspan
from wattspan.gateway.journal import without_content
from wattspan.gateway.otlp_status import rejected_items, retry_delay_s
from wattspan.gateway.sender import Outcome, Refused, Sent, TryAgain
from wattspan.gateway.settings import DestinationSection
from wattspan.gateway.signals import Signal

log: Final = logging.getLogger(__name__)

_RETRYABLE: Final = frozenset(
    {
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)
"""opentelemetry-proto docs/specification.md, "Failures"; RESOURCE_EXHAUSTED only together with RetryInfo."""
_RESPONSE_BYTES: Final = 4 * 1024 * 1024
_MOST_RECONNECT_MS: Final = 30_000


class GrpcSender:
    """Sends protobuf requests as raw bytes over one channel."""

    def __init__(self, settings: DestinationSection) -> None:
        """Raises OSError where a file of the TLS settings cannot be used."""
        url = urlsplit(settings.endpoint)
        is_secure = url.scheme == "https"
        host = f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname
        target = f"{host}:{url.port or (443 if is_secure else 4317)}"
        options = [
            ("grpc.max_send_message_length", -1),
            ("grpc.max_receive_message_length", _RESPONSE_BYTES),
            ("grpc.primary_user_agent", f"wattspan/{wattspan.__version__}"),
            # Our own backoff decides when to try; the channel's must not be slower.
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", min(_MOST_RECONNECT_MS, int(settings.retry.initial_s * 1000))),
            ("grpc.min_reconnect_backoff_ms", 100),
        ]
        compression = (
            grpc.Compression.Gzip if settings.compression == "gzip" else grpc.Compression.NoCompression
        )
        if is_secure:
            self._channel = grpc.aio.secure_channel(
                target, settings.tls.credentials(), options=options, compression=compression
            )
        else:
            self._channel = grpc.aio.insecure_channel(target, options=options, compression=compression)
        self._methods: dict[Signal, grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]] = {
            signal: self._channel.unary_unary(signal.method) for signal in Signal
        }
        self._metadata = tuple((name.lower(), value) for name, value in settings.headers.items())
        self._timeout_s = settings.timeout_s

    def packed(self, body: bytes) -> bytes:
        """As it is: gRPC compresses by itself."""
        return body

    async def send(self, signal: Signal, packed: bytes) -> Outcome:
        """One call."""
        try:
            call = self._methods[signal](packed, timeout=self._timeout_s, metadata=self._metadata)
            return Sent("OK", rejected_items(await call))
        except grpc.aio.AioRpcError as error:
            code = error.code()
            details = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin", b"")
            delay_s = retry_delay_s(details if isinstance(details, bytes) else b"")
            if code in _RETRYABLE or (code is grpc.StatusCode.RESOURCE_EXHAUSTED and delay_s is not None):
                return TryAgain(code.name, delay_s)
            return Refused(code.name)
        except Exception as error:
            # A fault of ours or of the client library must not leave the batch behind for ever.
            log.error("an attempt failed in an unforeseen way: %s", without_content(error))
            return TryAgain(type(error).__name__)

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()
