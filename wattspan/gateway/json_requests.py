"""OTLP/JSON requests as protobuf: one form inside the gateway.

opentelemetry-proto docs/specification.md, "JSON Protobuf Encoding": ids are hex, enums are integers, unknown
fields are ignored.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any, Final

from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from wattspan.gateway.signals import Signal

_MESSAGES: Final[dict[Signal, type[Message]]] = {
    Signal.TRACES: ExportTraceServiceRequest,
    Signal.METRICS: ExportMetricsServiceRequest,
    Signal.LOGS: ExportLogsServiceRequest,
}
_IDS: Final = ("traceId", "spanId", "parentSpanId")


class NotOtlpJsonError(ValueError):
    """The body is not an OTLP/JSON request."""


def as_protobuf(signal: Signal, body: bytes) -> bytes:
    """The protobuf request that the JSON request `body` stands for. Raises NotOtlpJsonError."""
    try:
        content = json.loads(body)
        if not isinstance(content, dict):
            raise NotOtlpJsonError("the body must be a JSON object")
        _hex_to_base64(content)
        message = ParseDict(content, _MESSAGES[signal](), ignore_unknown_fields=True)
        return message.SerializeToString()
    except NotOtlpJsonError:
        raise
    except RecursionError as error:
        raise NotOtlpJsonError("the JSON is nested too deeply") from error
    except (ValueError, TypeError, ParseError) as error:
        # The reason may quote the content, and answers end up in logs of clients: it is cut short.
        raise NotOtlpJsonError(f"not OTLP/JSON {signal.value}: {str(error)[:200]}") from error


def _hex_to_base64(node: Any) -> None:
    """Write the ids, wherever they stand, as protobuf's own JSON mapping does."""
    if isinstance(node, dict):
        for key in _IDS:
            value = node.get(key)
            if value is not None:
                node[key] = _base64(key, value)
        for value in node.values():
            if isinstance(value, (dict, list)):
                _hex_to_base64(value)
    else:
        for value in node:
            if isinstance(value, (dict, list)):
                _hex_to_base64(value)


def _base64(key: str, value: object) -> str:
    if not isinstance(value, str):
        raise NotOtlpJsonError(f"{key} must be a string of hex digits")
    try:
        return base64.b64encode(bytes.fromhex(value)).decode()
    except (ValueError, binascii.Error):
        raise NotOtlpJsonError(f"{key} must be hex digits, found {value[:64]!r}") from None
