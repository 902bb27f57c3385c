"""What `WattspanExporter` does with spans, and what it does when something breaks."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanKind
from sdk_spans import CAPTURES, CHAT, by_id, captured, made, ours, sent

import wattspan
from wattspan.config import ConfigError
from wattspan.sdk import Settings, SettingsError, WattspanExporter
from wattspan.sdk.forks import loading

SECRET = "my mother's maiden name"


class Recorder(SpanExporter):
    """Remembers what it was told, and answers as asked."""

    def __init__(self, result: SpanExportResult = SpanExportResult.SUCCESS) -> None:
        self.result = result
        self.spans: list[ReadableSpan] = []
        self.threads: set[str] = set()
        self.said: list[tuple[str, Any]] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.spans += spans
        self.threads.add(threading.current_thread().name)
        return self.result

    def shutdown(self, timeout_millis: float = 30_000) -> None:
        self.said.append(("shutdown", timeout_millis))

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        self.said.append(("force_flush", timeout_millis))
        return False


class Broken(SpanExporter):
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        raise ConnectionError("the backend is gone")

    def shutdown(self) -> None:
        raise ConnectionError("the backend is gone")


def exported(spans: Sequence[ReadableSpan], settings: Settings | None = None) -> list[ReadableSpan]:
    recorder = Recorder()
    exporter = WattspanExporter(recorder, settings)
    assert exporter.export(spans) is SpanExportResult.SUCCESS
    assert exporter.failed_spans == 0
    return recorder.spans


# What comes out


def test_a_call_gets_the_figures_of_wattspan_estimate() -> None:
    (span,) = exported(made(CHAT))
    expected = wattspan.estimate(
        model="gpt-4o", provider="openai", input_tokens=1000, output_tokens=300, operation="chat"
    )
    found = ours(span)
    assert found["gen_ai.usage.energy_kwh"] == pytest.approx(expected.energy_kwh, rel=1e-12)
    assert found["wattspan.energy_kwh_high"] == pytest.approx(expected.energy_kwh_high, rel=1e-12)
    assert found["gen_ai.usage.co2e_g"] == pytest.approx(expected.co2e_g, rel=1e-12)
    assert found["wattspan.basis"] == "modelled"
    assert found["wattspan.model"] == "openai/gpt-4o"


def test_all_else_on_the_span_stays_and_other_exporters_see_theirs_as_it_was() -> None:
    mine, others = InMemorySpanExporter(), InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(WattspanExporter(mine)))
    provider.add_span_processor(SimpleSpanProcessor(others))
    tracer = provider.get_tracer("shop.llm", "1.0", attributes={"team": "desk"})
    with tracer.start_as_current_span("POST /ask") as root:
        link = Link(root.get_span_context(), {"why": "asked before"})
        with tracer.start_as_current_span("chat", kind=SpanKind.CLIENT, links=[link]) as span:
            span.set_attributes({**CHAT, "tags": ["a", "b"], "nested": {"x": 1}})
            span.add_event("first token", {"at": 3})
            span.record_exception(ValueError("late"))
    enriched, plain = sent(mine.get_finished_spans()), sent(others.get_finished_spans())
    assert enriched.keys() == plain.keys()
    for span_id, one in plain.items():
        assert ours(one) == {}
        copy = enriched[span_id]
        n_own = len(one.attributes)
        assert [*copy.attributes][:n_own] == [*one.attributes]
        del copy.attributes[n_own:]
        assert copy == one
    chat = next(span for span in others.get_finished_spans() if span.name == "chat")
    copy_of_chat = next(span for span in mine.get_finished_spans() if span.name == "chat")
    assert isinstance(copy_of_chat, ReadableSpan)
    assert json.loads(copy_of_chat.to_json())["events"] == json.loads(chat.to_json())["events"]


def test_spans_that_are_no_calls_are_handed_on_themselves() -> None:
    spans = made({"http.request.method": "GET"}, {}, name="GET /")
    assert [id(span) for span in exported(spans)] == [id(span) for span in spans]


def test_attributes_come_on_top_of_the_limit_and_what_the_limit_cost_is_still_told() -> None:
    limits = SpanLimits(max_span_attributes=8, max_events=1, max_span_attribute_length=3)
    crowd = {**{f"message.{number}": "long text" for number in range(10)}, **CHAT}
    memory = InMemorySpanExporter()
    provider = TracerProvider(span_limits=limits, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(memory))
    with provider.get_tracer("shop").start_as_current_span("chat") as span:
        span.set_attributes(crowd)
        span.add_event("one")
        span.add_event("two")
    (plain,) = memory.get_finished_spans()
    assert (plain.dropped_attributes, plain.dropped_events) == (7, 1)
    (enriched,) = exported([plain])
    assert dict(plain.attributes).items() <= dict(enriched.attributes).items()
    assert (enriched.dropped_attributes, enriched.dropped_events, enriched.dropped_links) == (7, 1, 0)
    assert ours(enriched)["wattspan.basis"] == "modelled"
    (proto,) = sent([enriched]).values()
    assert (proto.dropped_attributes_count, proto.dropped_events_count) == (7, 1)


def test_a_copy_that_comes_in_a_later_batch_is_known_as_one() -> None:
    recorder = Recorder()
    exporter = WattspanExporter(recorder)
    memory = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(memory))
    attributes = {**CHAT, "gen_ai.response.id": "resp-1"}
    with (
        provider.get_tracer("outer").start_as_current_span("chat") as outer,
        provider.get_tracer("inner").start_as_current_span("chat") as inner,
    ):
        outer.set_attributes(attributes)
        inner.set_attributes(attributes)
    first, second = memory.get_finished_spans()
    exporter.export([first])
    exporter.export([second])
    owner, copy = (ours(span) for span in recorder.spans)
    assert owner["wattspan.basis"] == "modelled"
    assert copy == {
        "wattspan.basis": "duplicate",
        "wattspan.edition": owner["wattspan.edition"],
        "wattspan.duplicate_of": f"{first.context.span_id:016x}",
    }


# Settings


def test_a_region_said_in_code_places_every_call() -> None:
    (span,) = exported(made(CHAT), Settings(region="eu-west-3"))
    expected = wattspan.estimate(
        model="gpt-4o", provider="openai", input_tokens=1000, output_tokens=300, region="eu-west-3"
    )
    assert ours(span)["wattspan.region_source"] == "rule"
    assert ours(span)["gen_ai.usage.co2e_g"] == pytest.approx(expected.co2e_g, rel=1e-12)


def test_what_is_said_in_code_wins_over_the_environment_and_that_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "wattspan.yaml"
    file.write_text(
        "attributes: {profile: both, detail: full}\n"
        "regions: [{match: {provider: openai}, region: swedencentral}]\n"
    )
    monkeypatch.setenv("WATTSPAN_CONFIG", str(file))
    (span,) = exported(made(CHAT))
    assert {"gen_ai.usage.energy_kwh", "wattspan.energy_kwh", "wattspan.pue"} <= ours(span).keys()
    assert ours(span)["wattspan.region"] == "azure/swedencentral"
    monkeypatch.setenv("WATTSPAN_PROFILE", "wattspan")
    monkeypatch.setenv("WATTSPAN_REGION", "eu-west-3")
    (span,) = exported(made(CHAT))
    assert "gen_ai.usage.energy_kwh" not in ours(span)
    assert ours(span)["wattspan.region"] == "azure/swedencentral"  # the file has a rule for it
    (span,) = exported(made(CHAT), Settings(profile="genai"))
    assert "wattspan.energy_kwh" not in ours(span)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (Settings(profile="loud"), "profile is 'loud'; allowed: genai, wattspan, both"),
        (Settings(detail="all"), "detail is 'all'; allowed: standard, full"),
        (Settings(metrics="perhaps"), "metrics is 'perhaps'; allowed: true, false"),
    ],
)
def test_wrong_settings_are_named_by_load(settings: Settings, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        WattspanExporter(Recorder(), settings).load()


def test_with_wrong_settings_the_spans_go_on_and_the_reason_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "wattspan.yaml"
    file.write_text("atributes: {profile: both}\n")
    recorder = Recorder()
    exporter = WattspanExporter(recorder, Settings(config=file))
    spans = made(CHAT, CHAT)
    exporter.export(spans)
    exporter.export(spans)
    assert recorder.spans == [*spans, *spans]
    assert exporter.failed_spans == 4
    (record,) = caplog.records
    assert "wattspan.yaml, line 1: atributes" in record.getMessage()
    with pytest.raises(ConfigError):
        exporter.load()


# Errors


def test_a_failing_estimator_loses_no_span_and_says_nothing_of_them(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorder()
    exporter = WattspanExporter(recorder)
    exporter.load()
    assert exporter.enricher._ready is not None
    _, enrichment = exporter.enricher._ready

    def fails(calls: Any) -> Any:
        raise ArithmeticError(SECRET)

    spans = made({**CHAT, "gen_ai.prompt": SECRET}, CHAT)
    with monkeypatch.context() as patch:
        patch.setattr(enrichment.estimator, "estimate", fails)
        for _ in range(3):
            assert exporter.export(spans) is SpanExportResult.SUCCESS
    assert [id(span) for span in recorder.spans] == [id(span) for span in spans] * 3
    assert exporter.failed_spans == 6
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "ArithmeticError at test_sdk_exporter.py:" in record.getMessage()
    assert SECRET not in caplog.text
    exporter.export(made(CHAT))
    assert ours(recorder.spans[-1])["wattspan.basis"] == "modelled"


def test_an_odd_span_goes_on_as_it_is_and_the_others_get_their_figures() -> None:
    recorder = Recorder()
    exporter = WattspanExporter(recorder)
    first, last = made(CHAT, CHAT)
    odd = ReadableSpan("no context", attributes=CHAT)
    exporter.export([first, odd, last])
    assert recorder.spans[1] is odd
    assert exporter.failed_spans == 1
    assert [ours(span).get("wattspan.basis") for span in recorder.spans] == ["modelled", None, "modelled"]


@pytest.mark.parametrize("value", [float("nan"), -1, 2**80, "many", ("1", "2"), {"n": 1}, b"\xff", True])
def test_odd_token_counts_cost_no_span(value: Any) -> None:
    spans = made({**CHAT, "gen_ai.usage.input_tokens": value, "gen_ai.request.model": "\udcff"})
    (span,) = exported(spans)
    assert ours(span)["wattspan.basis"] == "modelled"


def test_an_error_of_the_inner_exporter_is_the_inner_exporters() -> None:
    exporter = WattspanExporter(Broken())
    with pytest.raises(ConnectionError, match="the backend is gone"):
        exporter.export(made(CHAT))
    assert exporter.failed_spans == 0
    failing = WattspanExporter(Recorder(SpanExportResult.FAILURE))
    assert failing.export(made(CHAT)) is SpanExportResult.FAILURE


def test_flush_and_shutdown_are_passed_on() -> None:
    recorder = Recorder()
    exporter = WattspanExporter(recorder)
    assert exporter.force_flush(1_234) is False
    exporter.shutdown(timeout_millis=567)
    exporter.shutdown()
    assert recorder.said == [("force_flush", 1_234), ("shutdown", 567), ("shutdown", 30_000)]
    memory = InMemorySpanExporter()
    assert WattspanExporter(memory).force_flush() is True
    WattspanExporter(memory).shutdown(timeout_millis=5)
    assert memory.export(()) is SpanExportResult.FAILURE


# Threads and processes


def test_everything_runs_on_the_thread_of_the_batch_processor() -> None:
    recorder = Recorder()
    processor = BatchSpanProcessor(WattspanExporter(recorder), schedule_delay_millis=10)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    before = threading.active_count()
    for _ in range(600):
        with provider.get_tracer("shop").start_as_current_span("chat") as span:
            span.set_attributes(CHAT)
    processor.shutdown()
    assert len(recorder.spans) == 600
    assert recorder.threads == {"OtelBatchSpanRecordProcessor"}
    assert threading.active_count() <= before
    assert {ours(span)["wattspan.basis"] for span in recorder.spans} == {"modelled"}


def test_two_threads_may_export_at_once() -> None:
    recorder = Recorder()
    exporter = WattspanExporter(recorder)
    batches = [made(*[CHAT] * 40) for _ in range(8)]
    threads = [
        threading.Thread(
            target=lambda mine: [exporter.export(batch) for batch in mine], args=(batches[i::2],)
        )
        for i in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert exporter.failed_spans == 0
    assert len(recorder.spans) == 320
    energies = {ours(span)["gen_ai.usage.energy_kwh"] for span in recorder.spans}
    assert len(energies) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_goes_on_where_another_thread_of_the_parent_held_the_lock() -> None:
    recorder = Recorder()
    exporter = WattspanExporter(recorder)
    exporter.load()
    spans = made(CHAT)
    with exporter.enricher._lock:
        child = os.fork()
        if child == 0:
            try:
                exporter.export(spans)
                os._exit(0 if ours(recorder.spans[0])["wattspan.basis"] == "modelled" else 2)
            except BaseException:
                os._exit(3)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_waits_for_an_import_that_another_thread_is_in_the_midst_of() -> None:
    begun, ended = threading.Event(), threading.Event()

    def importing() -> None:
        with loading:
            begun.set()
            time.sleep(0.3)
            ended.set()

    thread = threading.Thread(target=importing)
    thread.start()
    begun.wait()
    child = os.fork()
    if child == 0:
        os._exit(0 if ended.is_set() and loading.acquire(timeout=1) else 2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert loading.acquire(timeout=1)
    loading.release()
    thread.join()


def test_an_application_waits_for_no_import_of_numpy_at_its_start() -> None:
    script = """
import sys, threading
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
from wattspan.sdk import WattspanExporter

class Where(ConsoleSpanExporter):
    def export(self, spans):
        print(threading.current_thread() is threading.main_thread(), "numpy" in sys.modules)
        print(dict(spans[0].attributes)["wattspan.basis"])

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(WattspanExporter(Where())))
span = provider.get_tracer("app").start_span("chat")
span.set_attributes({"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o",
    "gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 5})
span.end()
print("numpy" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False", "True", "modelled"], done.stderr
    assert done.stderr == ""


def test_captured_spans_are_as_an_sdk_holds_them() -> None:
    data = (CAPTURES / "otel_genai_openai.binpb").read_bytes()
    again = sent(captured(data))
    assert {key: list(span.attributes) for key, span in by_id(data).items()} == {
        key: list(span.attributes) for key, span in again.items()
    }
