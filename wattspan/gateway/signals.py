"""The three OTLP signals: their paths, their gRPC methods, and how many items a request holds."""

from __future__ import annotations

import enum
from typing import Final

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from wattspan.otlp.wire import WireError, scan


class Signal(enum.Enum):
    """A signal; the value is its name in settings, paths and labels."""

    TRACES = "traces"
    METRICS = "metrics"
    LOGS = "logs"

    @property
    def path(self) -> str:
        """URL path of the signal under an OTLP/HTTP endpoint."""
        return f"/v1/{self.value}"

    @property
    def method(self) -> str:
        """Full name of the signal's gRPC method."""
        return _METHODS[self]

    @property
    def items(self) -> str:
        """What is counted in metrics names: spans, metric points, log records."""
        return _ITEMS[self]


_METHODS: Final = {
    Signal.TRACES: "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    Signal.METRICS: "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    Signal.LOGS: "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
}
_ITEMS: Final = {Signal.TRACES: "spans", Signal.METRICS: "metric_points", Signal.LOGS: "log_records"}

BY_PATH: Final = {signal.path: signal for signal in Signal}


class UndecodableError(ValueError):
    """The body is not a message of its signal: it can never be accepted."""


def count_items(signal: Signal, body: bytes) -> int:
    """How many spans, metric points or log records the protobuf request `body` holds.

    Raises UndecodableError where `body` is not valid.
    """
    try:
        if signal is Signal.TRACES:
            return scan(body, ()).n
        if signal is Signal.LOGS:
            logs = ExportLogsServiceRequest.FromString(body)
            return sum(len(s.log_records) for r in logs.resource_logs for s in r.scope_logs)
        metrics = ExportMetricsServiceRequest.FromString(body)
    except WireError as error:
        raise UndecodableError(f"not an OTLP trace request: {error}") from error
    except DecodeError as error:
        raise UndecodableError(f"not an OTLP {signal.value} request: {error}") from error
    return sum(_points(m) for r in metrics.resource_metrics for s in r.scope_metrics for m in s.metrics)


def _points(metric: Metric) -> int:
    kind = metric.WhichOneof("data")
    return len(getattr(metric, kind).data_points) if kind else 0
