"""What an OTLP server answers: export responses and `google.rpc.Status` bodies, protobuf and JSON.

opentelemetry-proto docs/specification.md, "OTLP/HTTP Response"; google/rpc/status.proto, error_details.proto.
"""

from __future__ import annotations

import enum
import json
import math
from typing import Final

from google.protobuf.message import DecodeError
from google.rpc import status_pb2  # type: ignore[import-untyped]
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"

LONGEST_WAIT_S: Final = 3600.0
"""No answer of a destination makes us wait longer."""


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

    `retry_after_s`: set where the client should send the same request again. `items`: how many there were,
    where it was decoded.
    """

    def __init__(
        self,
        http_status: int,
        code: Code,
        message: str,
        retry_after_s: float | None = None,
        items: int = 0,
    ) -> None:
        super().__init__(message)
        self.http_status = http_status
        self.code = code
        self.message = message
        self.retry_after_s = retry_after_s
        self.items = items

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


def unavailable(message: str, retry_after_s: float, items: int = 0) -> RefusalError:
    """503: it cannot be made durable now."""
    return RefusalError(503, Code.UNAVAILABLE, message, retry_after_s, items)


def given_up(message: str, items: int) -> RefusalError:
    """500: a destination refused it for good, so sending it again would not help."""
    return RefusalError(500, Code.INTERNAL, message, items=items)


def full_success(content_type: str) -> bytes:
    """`Export*ServiceResponse` with `partial_success` unset, as the specification asks on full success."""
    return b"{}" if content_type == JSON else b""


def status(code: Code, message: str, retry_after_s: float | None = None) -> bytes:
    """A `google.rpc.Status`, with `RetryInfo` in its details where there is a delay."""
    answer = status_pb2.Status(code=int(code), message=message)
    if retry_after_s is not None:
        info = RetryInfo()
        info.retry_delay.FromNanoseconds(round(retry_after_s * 1e9))
        answer.details.add().Pack(info)
    return bytes(answer.SerializeToString())


def retry_delay_s(details: bytes) -> float | None:
    """What the `RetryInfo` in a serialized `google.rpc.Status` asks for."""
    try:
        found = status_pb2.Status.FromString(details)
        for detail in found.details:
            info = RetryInfo()
            if detail.Unpack(info):
                return min(max(float(info.retry_delay.ToNanoseconds()) / 1e9, 0.0), LONGEST_WAIT_S)
    except DecodeError:
        pass
    return None


def rejected_items(response: bytes) -> int:
    """Items that an `Export*ServiceResponse` says were rejected: partial success."""
    # The three signals' responses have the same fields under the same numbers.
    try:
        return max(0, ExportTraceServiceResponse.FromString(response).partial_success.rejected_spans)
    except DecodeError:
        return 0
