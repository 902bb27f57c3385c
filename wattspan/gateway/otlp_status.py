"""What an OTLP server answers: export responses and `google.rpc.Status` bodies, protobuf and JSON.

opentelemetry-proto docs/specification.md, "OTLP/HTTP Response"; google/rpc/status.proto, error_details.proto.
"""

from __future__ import annotations

import enum
import json
import math
from typing import Final

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"

_RETRY_INFO: Final = b"type.googleapis.com/google.rpc.RetryInfo"


class Code(enum.IntEnum):
    """The gRPC status codes (google/rpc/code.proto) that we answer with."""

    INVALID_ARGUMENT = 3
    NOT_FOUND = 5
    RESOURCE_EXHAUSTED = 8
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    UNAUTHENTICATED = 16


class RefusalError(Exception):
    """A request that was not accepted: nothing of it was kept.

    `retry_after_s`: set where the client should send the same request again.
    """

    def __init__(
        self, http_status: int, code: Code, message: str, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.http_status = http_status
        self.code = code
        self.message = message
        self.retry_after_s = retry_after_s

    def body(self, content_type: str) -> bytes:
        """The `Status` message in a request's content type."""
        if content_type == JSON:
            return json.dumps({"code": int(self.code), "message": self.message}, ensure_ascii=False).encode()
        return status(self.code, self.message)

    @property
    def retry_after(self) -> str | None:
        """The Retry-After header: whole seconds, at least one."""
        return None if self.retry_after_s is None else str(max(1, math.ceil(self.retry_after_s)))


def bad_data(message: str) -> RefusalError:
    """400: the client must not send it again."""
    return RefusalError(400, Code.INVALID_ARGUMENT, message)


def too_large(message: str) -> RefusalError:
    """413: the client must not send it again."""
    return RefusalError(413, Code.RESOURCE_EXHAUSTED, message)


def too_fast(message: str, retry_after_s: float) -> RefusalError:
    """429: more comes in than this process has memory for."""
    return RefusalError(429, Code.UNAVAILABLE, message, retry_after_s)


def unavailable(message: str, retry_after_s: float) -> RefusalError:
    """503: it cannot be made durable now."""
    return RefusalError(503, Code.UNAVAILABLE, message, retry_after_s)


def full_success(content_type: str) -> bytes:
    """`Export*ServiceResponse` with `partial_success` unset, as the specification asks on full success."""
    return b"{}" if content_type == JSON else b""


def status(code: Code, message: str, retry_after_s: float | None = None) -> bytes:
    """A `google.rpc.Status`, with `RetryInfo` in its details where there is a delay."""
    encoded = b"\x08" + _varint(int(code)) + _field(2, message.encode())
    if retry_after_s is not None:
        nanos = round(retry_after_s * 1e9)
        duration = b"\x08" + _varint(nanos // 10**9) + b"\x10" + _varint(nanos % 10**9)
        detail = _field(1, _RETRY_INFO) + _field(2, _field(1, duration))
        encoded += _field(3, detail)
    return encoded


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
