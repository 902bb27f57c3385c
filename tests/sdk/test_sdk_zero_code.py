"""`opentelemetry-instrument` with nothing but settings: environment variables or declarative YAML."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from sdk_spans import by_id, ours

import wattspan
from wattspan.sdk import SettingsError, WattspanOtlpExporter, WattspanOtlpHttpExporter

sys.path.insert(0, str(Path(__file__).parents[1] / "capture_tools"))
from sink import Sink

INSTRUMENT = Path(sys.executable).with_name("opentelemetry-instrument")
APP = """
from opentelemetry import trace
tracer = trace.get_tracer("shop.llm")
with tracer.start_as_current_span("POST /ask"):
    with tracer.start_as_current_span("chat gpt-4o", kind=trace.SpanKind.CLIENT) as span:
        span.set_attributes({
            "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 300,
        })
trace.get_tracer_provider().force_flush()
print("the application ran")
"""
CALL = {"model": "gpt-4o", "provider": "openai", "input_tokens": 1000, "output_tokens": 300}


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as made:
        yield made
    made._server.server_close()


def run(tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """The application under `opentelemetry-instrument`, with these settings and none of ours."""
    app = tmp_path / "app.py"
    app.write_text(APP)
    inherited = {
        key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "WATTSPAN_"))
    }
    settings = {
        "NO_PROXY": "*",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_SERVICE_NAME": "shop",
        **environment,
    }
    return subprocess.run(
        [INSTRUMENT, sys.executable, app],
        env={**inherited, **settings},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )


def call_of(spans: dict[bytes, Span]) -> dict[str, Any]:
    """What is ours on the one call of the application, whose other span has nothing of ours."""
    assert sorted(span.name for span in spans.values()) == ["POST /ask", "chat gpt-4o"]
    found = {span.name: ours(span) for span in spans.values()}
    assert found["POST /ask"] == {}
    return found["chat gpt-4o"]


def test_wattspan_http_by_an_environment_variable(tmp_path: Path, sink: Sink) -> None:
    done = run(tmp_path, OTEL_TRACES_EXPORTER="wattspan_http", OTEL_EXPORTER_OTLP_ENDPOINT=sink.url)
    assert "the application ran" in done.stdout
    found = call_of(by_id(b"".join(sink.bodies)))
    expected = wattspan.estimate(**CALL, operation="chat")
    assert found["gen_ai.usage.energy_kwh"] == pytest.approx(expected.energy_kwh, rel=1e-12)
    assert found["gen_ai.usage.co2e_g"] == pytest.approx(expected.co2e_g, rel=1e-12)


def test_settings_by_environment_variables(tmp_path: Path, sink: Sink) -> None:
    run(
        tmp_path,
        OTEL_TRACES_EXPORTER="wattspan",
        OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
        OTEL_EXPORTER_OTLP_ENDPOINT=sink.url,
        WATTSPAN_REGION="eu-west-3",
        WATTSPAN_PROFILE="wattspan",
        WATTSPAN_DETAIL="full",
    )
    found = call_of(by_id(b"".join(sink.bodies)))
    expected = wattspan.estimate(**CALL, region="eu-west-3")
    assert found["wattspan.co2e_g"] == pytest.approx(expected.co2e_g, rel=1e-12)
    assert found["wattspan.grid.g_per_kwh"] == pytest.approx(expected.intensity_g_per_kwh, rel=1e-12)
    assert "gen_ai.usage.co2e_g" not in found


def test_counters_reach_the_metrics_exporter_of_the_application(tmp_path: Path, sink: Sink) -> None:
    done = run(
        tmp_path,
        OTEL_TRACES_EXPORTER="wattspan_http",
        OTEL_METRICS_EXPORTER="console",
        OTEL_EXPORTER_OTLP_ENDPOINT=sink.url,
    )
    told = json.loads(done.stdout[done.stdout.index("{") :])
    metrics = {
        metric["name"]: metric["data"]
        for resource in told["resource_metrics"]
        for scope in resource["scope_metrics"]
        for metric in scope["metrics"]
    }
    expected = wattspan.estimate(**CALL, operation="chat")
    (point,) = metrics["wattspan.energy"]["data_points"]
    assert point["value"] == pytest.approx(expected.energy_kwh * 3.6e6, rel=1e-12)
    assert metrics["wattspan.energy"]["is_monotonic"] is True


def test_a_wrong_file_stops_neither_the_application_nor_its_spans(tmp_path: Path, sink: Sink) -> None:
    config = tmp_path / "wattspan.yaml"
    config.write_text("atributes: {profile: both}\n")
    done = run(
        tmp_path,
        OTEL_TRACES_EXPORTER="wattspan_http",
        OTEL_EXPORTER_OTLP_ENDPOINT=sink.url,
        WATTSPAN_CONFIG=str(config),
    )
    assert "the application ran" in done.stdout
    assert call_of(by_id(b"".join(sink.bodies))) == {}
    assert "Wattspan is off" in done.stderr
    assert "wattspan.yaml, line 1: atributes" in done.stderr


def test_declarative_yaml(tmp_path: Path, sink: Sink) -> None:
    file = tmp_path / "otel.yaml"
    file.write_text(
        f"""
file_format: "1.0"
tracer_provider:
  processors:
    - batch:
        exporter:
          wattspan_http:
            {{region: eu-west-3, endpoint: "{sink.url}/v1/traces", profile: both, compression: gzip}}
"""
    )
    run(tmp_path, OTEL_CONFIG_FILE=str(file))
    found = call_of(by_id(b"".join(sink.bodies)))
    expected = wattspan.estimate(**CALL, region="eu-west-3")
    assert found["gen_ai.usage.co2e_g"] == found["wattspan.co2e_g"]
    assert found["wattspan.co2e_g"] == pytest.approx(expected.co2e_g, rel=1e-12)


class Backend(TraceServiceServicer):
    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    def Export(self, request: Any, context: Any) -> ExportTraceServiceResponse:  # noqa: N802
        self.bodies.append(request.SerializeToString())
        return ExportTraceServiceResponse()


def test_grpc_is_what_wattspan_speaks_unless_told_otherwise(tmp_path: Path) -> None:
    backend = Backend()
    server = grpc.server(ThreadPoolExecutor(1))
    add_TraceServiceServicer_to_server(backend, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        endpoint = f"http://127.0.0.1:{port}"
        run(tmp_path, OTEL_TRACES_EXPORTER="wattspan", OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)
    finally:
        server.stop(None)
    found = call_of(by_id(b"".join(backend.bodies)))
    expected = wattspan.estimate(**CALL, operation="chat")
    assert found["gen_ai.usage.energy_kwh"] == pytest.approx(expected.energy_kwh, rel=1e-12)


# The exporters themselves


def test_arguments_of_the_otlp_exporter_are_its_own(sink: Sink) -> None:
    headers = [{"name": "authorization", "value": "Bearer x"}]
    exporter = WattspanOtlpHttpExporter(endpoint=f"{sink.url}/v1/traces", headers=headers, timeout=2)
    assert type(exporter.inner).__module__ == "opentelemetry.exporter.otlp.proto.http.trace_exporter"
    exporter.shutdown()
    over_grpc = WattspanOtlpExporter(endpoint="127.0.0.1:1", insecure=True, compression="gzip")
    assert type(over_grpc.inner).__module__ == "opentelemetry.exporter.otlp.proto.grpc.trace_exporter"
    over_grpc.shutdown()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"protocol": "http/json"}, "OTLP protocol is 'http/json'; allowed: grpc, http/protobuf"),
        ({"protocol": "grpc", "compression": "br"}, "compression is 'br'; allowed: none, gzip, deflate"),
        ({"protocol": "http/protobuf", "compression": "br"}, "compression is 'br'; allowed: none, deflate"),
    ],
)
def test_what_cannot_be_built_is_said(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        WattspanOtlpExporter(**arguments)


def test_a_package_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.grpc.trace_exporter", None)
    with pytest.raises(SettingsError, match="pip install opentelemetry-exporter-otlp-proto-grpc"):
        WattspanOtlpExporter(protocol="grpc")
