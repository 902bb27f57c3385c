"""No file of the lake holds what people wrote or who they are, wherever in a span it stood."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from wattspan.estimator import Estimator
from wattspan.lake.allowed import AllowedError, allowed_keys
from wattspan.lake.features import FeatureRules
from wattspan.lake.seal import Sealer
from wattspan.lake.spans import SpanSource
from wattspan.lake.writer import LakeWriter

CAPTURES = Path(__file__).parent.parent / "captures"
SEALER = Sealer(Estimator(), FeatureRules(), 1.0)
PERSONAL = (
    "user.id", "enduser.id", "user.email", "session.id", "gen_ai.conversation.id", "langfuse.user.id",
    "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions",
    "gen_ai.prompt.0.content",
    "gen_ai.completion.0.content", "input.value", "output.value", "llm.input_messages.0.message.content",
    "traceloop.entity.input", "traceloop.entity.output", "ai.prompt", "ai.response.text", "ai.toolCall.args",
    "gen_ai.tool.call.arguments", "gen_ai.tool.call.result", "gen_ai.tool.description", "db.query.text",
    "db.statement", "url.full", "url.query", "http.url", "http.target", "client.address",
    "user_agent.original",
    "http.request.header.authorization", "exception.message", "exception.stacktrace", "anything.else",
)  # fmt: skip


def bytes_of(lake: Path) -> bytes:
    """Everything that is readable in the files: as they are, and their texts uncompressed."""
    parts = [path.read_bytes() for path in lake.rglob("*") if path.is_file()]
    parts += [str(pq.read_table(path).to_pylist()).encode() for path in lake.rglob("*.parquet")]
    return b"\n".join(parts)


def written(lake: Path, bodies: list[bytes]) -> bytes:
    with LakeWriter(lake, SEALER) as writer:
        writer.ingest([SpanSource().request(body) for body in bodies])
        in_journal = bytes_of(lake)
        writer.seal_all()
        writer.ingest([SpanSource().request(bodies[0])])
    return in_journal + bytes_of(lake)


def test_secrets_in_every_field_of_a_span_are_in_no_file(tmp_path: Path) -> None:
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    resource.schema_url = "https://SECRET-schema"
    scope = resource.scope_spans.add()
    scope.scope.name, scope.scope.version = "kept-scope", "SECRET-version"
    span = scope.spans.add(name="kept-name", trace_state="vendor=SECRET-state", kind=3)
    span.trace_id, span.span_id = b"t" * 16, b"s" * 8
    span.status.message = "SECRET-status"
    event = span.events.add(name="SECRET-event")
    event.attributes.add(key="SECRET-key").value.string_value = "SECRET-event-value"
    link = span.links.add(trace_state="SECRET-link")
    link.attributes.add(key="k").value.string_value = "SECRET-link-value"
    for holder in (span, scope.scope, resource.resource):
        for number, key in enumerate(PERSONAL):
            holder.attributes.add(key=key).value.string_value = f"SECRET-{number}"
            nested = holder.attributes.add(key=key + ".x").value.kvlist_value.values.add(key="SECRET")
            nested.value.string_value = "SECRET-nested"
        holder.attributes.add(key="http.route").value.kvlist_value.values.add(key="SECRET-in-allowed")
    for key, text in (("gen_ai.operation.name", "chat"), ("gen_ai.request.model", "gpt-4o")):
        span.attributes.add(key=key).value.string_value = text
    found = written(tmp_path, [request.SerializeToString()])
    assert b"kept-name" in found
    assert b"kept-scope" in found
    assert b"SECRET" not in found


def test_no_prompt_or_answer_of_a_capture_is_in_a_file(tmp_path: Path) -> None:
    bodies = [path.read_bytes() for path in sorted(CAPTURES.glob("**/*.binpb"))]
    found = written(tmp_path, bodies)
    content = re.compile(rb"[A-Z][a-z]+(?: [a-z,']+){4,}[.?!]")
    sentences = {match for body in bodies for match in content.findall(body)}
    assert len(sentences) >= 20
    assert [sentence for sentence in sentences if sentence in found] == []


@pytest.mark.parametrize("key", [key for key in PERSONAL if key != "anything.else"])
def test_keys_of_people_and_content_are_refused_in_the_configuration(key: str) -> None:
    with pytest.raises(AllowedError, match=re.escape(key)):
        allowed_keys([key])


def test_keys_by_which_nobody_is_found_may_be_kept() -> None:
    wanted = ("app.plan", "tenant.tier", "user.plan", "prompt.version", "gen_ai.prompt.name", "feature")
    assert allowed_keys(wanted)[-len(wanted) :] == wanted


def test_values_are_cut() -> None:
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(name="n" * 5_000)
    span.attributes.add(key="http.route").value.string_value = "/" + "r" * 5_000
    rows = SpanSource().request(request.SerializeToString())
    assert len(rows.name[0]) == 128
    assert len(rows.attributes.column("http.route")[0]) == 256
