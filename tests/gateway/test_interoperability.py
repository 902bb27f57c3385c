"""Clients as they are installed, against a gateway that runs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.gateway.backend import Backend
from tests.gateway.running import config_of, running


@pytest.mark.parametrize("protocol", ["http", "grpc"])
@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_opentelemetry_python_exports_through_the_gateway(
    tmp_path: Path, protocol: str, compression: str
) -> None:
    pytest.importorskip("opentelemetry.sdk.trace", reason="opentelemetry-sdk is not installed")
    exporters = pytest.importorskip(
        f"opentelemetry.exporter.otlp.proto.{protocol}.trace_exporter",
        reason=f"opentelemetry-exporter-otlp-proto-{protocol} is not installed",
    )
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    def export(http_port: int, grpc_port: int) -> bool:
        if protocol == "http":
            kind = getattr(exporters.Compression, "Gzip" if compression == "gzip" else "NoCompression")
            exporter = exporters.OTLPSpanExporter(f"http://127.0.0.1:{http_port}/v1/traces", compression=kind)
        else:
            import grpc

            kind = grpc.Compression.Gzip if compression == "gzip" else grpc.Compression.NoCompression
            exporter = exporters.OTLPSpanExporter(
                f"http://127.0.0.1:{grpc_port}", insecure=True, compression=kind
            )
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        tracer = provider.get_tracer("opentelemetry.instrumentation.openai_v2")
        attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.usage.input_tokens": 1000,
            "gen_ai.usage.output_tokens": 200,
        }
        with tracer.start_as_current_span("chat gpt-4o", attributes=attributes):
            pass
        provider.shutdown()
        return True

    async def run() -> None:
        async with (
            Backend() as backend,
            running(config_of(tmp_path, {"endpoint": backend.endpoint})) as client,
        ):
            assert await asyncio.to_thread(export, client.gateway.http.port, client.gateway.grpc.port)
            await backend.has(1)
            (span,) = backend.received[0].spans
            attributes = {attribute.key: attribute.value for attribute in span.attributes}
            assert attributes["wattspan.model"].string_value == "openai/gpt-4o"
            assert attributes["gen_ai.usage.energy_kwh"].HasField("double_value")

    asyncio.run(run())
