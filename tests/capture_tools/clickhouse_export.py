"""Write captures as ClickHouse exports them: `python clickhouse_export.py OUT CAPTURE.binpb...`.

Needs `pip install chdb` (ClickHouse in a process, 0.8 GB: no dependency of the tests). The table and the
texts of attribute values are those of the OpenTelemetry Collector's exporter.
"""

from __future__ import annotations

import base64
import gzip
import json
import sys
from pathlib import Path
from typing import Any

from chdb.session import Session
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status, TracesData

CREATE = """
CREATE TABLE otel_traces (
    Timestamp DateTime64(9), TraceId String, SpanId String, ParentSpanId String, TraceState String,
    SpanName LowCardinality(String), SpanKind LowCardinality(String), ServiceName LowCardinality(String),
    ResourceAttributes Map(LowCardinality(String), String), ScopeName String, ScopeVersion String,
    SpanAttributes Map(LowCardinality(String), String), Duration UInt64,
    StatusCode LowCardinality(String), StatusMessage String,
    Events Nested (Timestamp DateTime64(9), Name LowCardinality(String),
                   Attributes Map(LowCardinality(String), String)),
    Links Nested (TraceId String, SpanId String, TraceState String,
                  Attributes Map(LowCardinality(String), String))
) ENGINE = MergeTree() PARTITION BY toDate(Timestamp)
ORDER BY (ServiceName, SpanName, toDateTime(Timestamp), Timestamp)
"""


def text(value: Any) -> str:
    """An attribute value as the Collector's `AsString` writes it."""
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return str(value.string_value)
    if kind == "bool_value":
        return "true" if value.bool_value else "false"
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    if kind in ("int_value", "double_value"):
        return json.dumps(plain(value))
    return "" if kind is None else json.dumps(plain(value), separators=(",", ":"), ensure_ascii=False)


def plain(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return {item.key: plain(item.value) for item in value.kvlist_value.values}
    found = getattr(value, kind) if kind else None
    return int(found) if kind == "double_value" and found == int(found) else found


def attributes(holder: Any) -> dict[str, str]:
    return {attribute.key: text(attribute.value) for attribute in holder}


def time(unix_ns: int) -> str:
    return f"{unix_ns // 10**9}.{unix_ns % 10**9:09d}"


def rows(data: TracesData) -> list[dict[str, Any]]:
    found = []
    for resource_spans in data.resource_spans:
        resource = attributes(resource_spans.resource.attributes)
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                kind = Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").capitalize()
                status = Status.StatusCode.Name(span.status.code).removeprefix("STATUS_CODE_").capitalize()
                found.append(
                    {
                        "Timestamp": time(span.start_time_unix_nano),
                        "TraceId": span.trace_id.hex(),
                        "SpanId": span.span_id.hex(),
                        "ParentSpanId": span.parent_span_id.hex(),
                        "TraceState": span.trace_state,
                        "SpanName": span.name,
                        "SpanKind": kind,
                        "ServiceName": resource.get("service.name", ""),
                        "ResourceAttributes": resource,
                        "ScopeName": scope_spans.scope.name,
                        "ScopeVersion": scope_spans.scope.version,
                        "SpanAttributes": attributes(span.attributes),
                        "Duration": span.end_time_unix_nano - span.start_time_unix_nano,
                        "StatusCode": status,
                        "StatusMessage": span.status.message,
                        "Events.Timestamp": [time(event.time_unix_nano) for event in span.events],
                        "Events.Name": [event.name for event in span.events],
                        "Events.Attributes": [attributes(event.attributes) for event in span.events],
                        "Links.TraceId": [],
                        "Links.SpanId": [],
                        "Links.TraceState": [],
                        "Links.Attributes": [],
                    }
                )
    return found


def main(out: str, captures: list[str]) -> None:
    session = Session()
    session.query("CREATE DATABASE otel ENGINE = Atomic; USE otel")
    session.query(CREATE)
    for path in captures:
        lines = "\n".join(json.dumps(row) for row in rows(TracesData.FromString(Path(path).read_bytes())))
        session.query(f"INSERT INTO otel_traces FORMAT JSONEachRow {lines}")
    select = "SELECT * FROM otel_traces ORDER BY Timestamp, SpanId"
    settings = "SETTINGS output_format_parquet_compression_method='zstd'"
    Path(out).mkdir(parents=True, exist_ok=True)
    parquet = session.query(f"{select} {settings}", "Parquet")
    (Path(out) / "otel_traces.parquet").write_bytes(parquet.bytes())
    csv = session.query(select, "CSVWithNames")
    (Path(out) / "otel_traces.csv.gz").write_bytes(gzip.compress(csv.bytes(), mtime=0))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
