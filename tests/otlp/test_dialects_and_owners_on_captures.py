"""Captures of real instrumentations against the provider's ledger, but for what docs/dialects.md lists."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from wattspan.calls import CallBatch
from wattspan.otlp.dialects import DIALECT_KEYS, read
from wattspan.otlp.owners import OwnerMemory, decide
from wattspan.otlp.wire import scan

ROOT = Path(__file__).parents[2]
CAPTURES = sorted((ROOT / "tests/captures").glob("**/*.binpb"), key=lambda path: path.stem)
TOKENS = ("input", "cache read", "cache write", "output", "reasoning")
CALLS = ("calls", "failed", "with usage", "without usage")


def test_the_captures_are_there():
    assert len(CAPTURES) >= 13


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_owners_add_up_to_the_providers_ledger_but_for_what_the_documentation_lists(path):
    found, served = sums_of_file(path.read_bytes()), ledger(path)
    different = {name: (found[name], served[name]) for name in served if found[name] != served[name]}
    assert different == documented().get(path.stem, {})


def test_the_documentation_names_every_capture_and_no_other():
    text = (ROOT / "docs/dialects.md").read_text()
    complete = set(
        re.findall(r"`(\w+)`", text.partition("## Captures that tell everything")[2].partition("\n## ")[0])
    )
    assert complete | set(documented()) == {path.stem for path in CAPTURES}
    assert not complete & set(documented())


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_no_attribute_of_a_real_capture_is_a_problem(path):
    assert read(scan(path.read_bytes(), DIALECT_KEYS)).problems == ()


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_one_span_a_request_in_the_order_they_ended_gives_the_same_tokens(path):
    whole = sums_of_file(path.read_bytes())
    streamed, memory = sums_of_stream(path, reverse=False)
    assert {name: streamed[name] for name in TOKENS} == {name: whole[name] for name in TOKENS}
    # A request that was told to be without usage cannot be taken back when its usage comes on another span.
    assert streamed["calls"] == whole["calls"] + memory.superseded
    assert streamed["without usage"] == whole["without usage"] + memory.superseded
    assert (streamed["failed"], streamed["with usage"]) == (whole["failed"], whole["with usage"])


REVERSED_LOSSES = {
    # What the spans inside know comes too late for the span around them that was told to own the call.
    "openinference_and_traceloop_openai": {"reasoning"},
    "openlit_langchain": {"cache read", "reasoning"},
    "traceloop_anthropic": {"output"},
    "traceloop_langchain_and_openai": {"reasoning"},
    "vercel_ai_v4": {"cache read", "reasoning"},
    # A step ended after its agent, so the agent came without anything that tied it to the call inside.
    "vercel_ai_v7_usage": {"input", "cache read", "output"},
}


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_parents_that_come_before_their_children_stand_for_them(path):
    whole = sums_of_file(path.read_bytes())
    streamed, memory = sums_of_stream(path, reverse=True)
    different = {name for name in TOKENS if streamed[name] != whole[name]}
    assert different == REVERSED_LOSSES.get(path.stem, set())
    assert streamed["calls"] <= whole["calls"] + memory.superseded
    assert streamed["failed"] == whole["failed"]


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_the_order_of_spans_in_a_file_does_not_matter(path):
    request = ExportTraceServiceRequest.FromString(path.read_bytes())
    turned = ExportTraceServiceRequest()
    for resource in reversed(request.resource_spans):
        other = turned.resource_spans.add(resource=resource.resource)
        for scope in reversed(resource.scope_spans):
            other.scope_spans.add(scope=scope.scope, spans=list(reversed(scope.spans)))
    assert sums_of_file(turned.SerializeToString()) == sums_of_file(path.read_bytes())


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_a_file_sent_twice_counts_once(path):
    data = path.read_bytes()
    assert sums_of_file(data + data) == sums_of_file(data)


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_each_duplicate_names_a_span_of_its_trace_that_owns(path):
    table = scan(path.read_bytes(), DIALECT_KEYS)
    reading = read(table)
    ownership = decide(table, reading)
    trace = [row.tobytes() for row in table.trace_id[reading.rows]]
    spans = table.span_id[reading.rows].tolist()
    owning = {(t, s) for t, s, owns in zip(trace, spans, ownership.is_owner, strict=True) if owns}
    assert {(t, s) for t, s in zip(trace, ownership.owner_span_id.tolist(), strict=True)} == owning


# The sums of what was found and of what was served


def sums_of_file(data: bytes) -> dict[str, int]:
    table = scan(data, DIALECT_KEYS)
    reading = read(table)
    ownership = decide(table, reading)
    return sums(ownership.calls.take(ownership.is_owner))


def sums_of_stream(path: Path, *, reverse: bool) -> tuple[dict[str, int], OwnerMemory]:
    request = ExportTraceServiceRequest.FromString(path.read_bytes())
    spans = [
        (resource.resource, scope.scope, span)
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    spans.sort(key=lambda item: item[2].end_time_unix_nano, reverse=reverse)
    memory = OwnerMemory()
    batches = []
    for resource, scope, span in spans:
        one = ExportTraceServiceRequest()
        one.resource_spans.add(resource=resource).scope_spans.add(scope=scope, spans=[span])
        table = scan(one.SerializeToString(), DIALECT_KEYS)
        ownership = decide(table, read(table), memory)
        batches.append(ownership.calls.take(ownership.is_owner))
    return sums(CallBatch.concatenate(batches)), memory


def sums(calls: CallBatch) -> dict[str, int]:
    columns = (calls.input_tokens, calls.cache_read_tokens, calls.cache_write_tokens, calls.output_tokens)
    tokens = (*columns, calls.reasoning_tokens)
    untold = ~calls.has_usage & ~calls.is_error
    counted = (len(calls), calls.is_error.sum(), calls.has_usage.sum(), untold.sum())
    figures = [*(int(count) for count in counted), *(int(np.sum(column)) for column in tokens)]
    return dict(zip((*CALLS, *TOKENS), figures, strict=True))


def ledger(path: Path) -> dict[str, int]:
    truth = json.loads(path.with_name(f"{path.stem}.truth.json").read_text())
    keys = ("calls", "errors", "calls_with_usage", "calls_without_usage")
    served = {name: truth[key] for name, key in zip(CALLS, keys, strict=True)}
    told = truth["tokens_where_reported"]
    return served | {name: told[name.replace(" ", "_")] for name in TOKENS}


@cache
def documented() -> dict[str, dict[str, tuple[int, int]]]:
    """ "What is missing" in docs/dialects.md: for each capture, (found, served) of each figure listed."""
    text = (ROOT / "docs/dialects.md").read_text().partition("## What is missing")[2]
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", text.partition("\n## ")[0], flags=re.M)
    return {
        name: {
            figure: (int(found), int(served))
            for figure, found, served in re.findall(r"([a-z][a-z ]*) (\d+) of (\d+)", cell)
        }
        for name, cell in rows
    }
