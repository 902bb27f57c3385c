"""Print the spans of captures as trees, and the ledger: `show.py FILE.binpb ...`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

MARKS = ("usage", "token", "model", "operation", "span.kind", "provider", "system", "response.id", "stream")
MARKS += ("error.type", "finish", "observation", "agent.name", "conversation", "server.", "region")
LONGEST = 160


def plain(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain(item) for item in value.array_value.values]
    return getattr(value, kind) if kind else None


def show(path: Path) -> None:
    request = ExportTraceServiceRequest.FromString(path.read_bytes())
    spans: dict[bytes, tuple[Any, str]] = {}
    for resource_spans in request.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            scope = f"{scope_spans.scope.name} {scope_spans.scope.version}".strip()
            spans.update({span.span_id: (span, scope) for span in scope_spans.spans})
    count = sum(len(s.spans) for r in request.resource_spans for s in r.scope_spans)
    children: dict[bytes, list[bytes]] = {}
    for span_id, (span, _) in spans.items():
        parent = span.parent_span_id if span.parent_span_id in spans else b""
        children.setdefault(parent, []).append(span_id)
    print(f"==== {path.name}: {count} spans ({len(spans)} ids), {path.stat().st_size} bytes")
    print("resource", {a.key: plain(a.value) for a in request.resource_spans[0].resource.attributes})

    def walk(span_id: bytes, depth: int) -> None:
        span, scope = spans[span_id]
        pad = "    " * depth
        print(f"{pad}{span.name}  [{scope}] kind {span.kind} status {span.status.code}")
        for attribute in span.attributes:
            if any(mark in attribute.key for mark in MARKS):
                print(f"{pad}  . {attribute.key} = {str(plain(attribute.value))[:LONGEST]!r}")
        for event in span.events:
            print(f"{pad}  ! {event.name} {[a.key for a in event.attributes][:8]}")
        for child in sorted(children.get(span_id, []), key=lambda i: spans[i][0].start_time_unix_nano):
            walk(child, depth + 1)

    for span_id in sorted(children.get(b"", []), key=lambda i: spans[i][0].start_time_unix_nano):
        walk(span_id, 0)
    truth = json.loads(path.with_name(f"{path.stem}.truth.json").read_text())
    print({key: value for key, value in truth.items() if key != "ledger"})
    for row in truth["ledger"]:
        tokens = [row[key] for key in ("input", "cache_read", "cache_write", "output", "reasoning")]
        told = "" if row["usage_reported"] else "not told"
        print(" ", row["route"], row["model"], "stream" * row["stream"], row["status"], tokens, told)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        show(Path(name))
