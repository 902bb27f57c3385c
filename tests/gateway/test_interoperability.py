"""Clients as they are installed, against a gateway that runs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.gateway.backend import Backend
from tests.gateway.running import config_of, running
from tests.interop.the_call import ATTRIBUTES, assert_estimated, attributes_of


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
        with tracer.start_as_current_span("chat gpt-4o", attributes=ATTRIBUTES):
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
            assert_estimated(attributes_of(span))

    asyncio.run(run())
