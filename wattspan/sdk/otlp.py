"""The exporters behind `OTEL_TRACES_EXPORTER=wattspan` and `wattspan_http`: OTLP, with energy and carbon."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final, Literal

from opentelemetry.metrics import MeterProvider
from opentelemetry.sdk.trace.export import SpanExporter

from wattspan.sdk.exporter import WattspanExporter
from wattspan.sdk.settings import Settings, SettingsError

GRPC: Final = "grpc"
HTTP: Final = "http/protobuf"
_PROTOCOL_KEYS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")


class WattspanOtlpExporter(WattspanExporter):
    """Exports over OTLP, by gRPC or HTTP as `OTEL_EXPORTER_OTLP_(TRACES_)PROTOCOL` says; gRPC by default.

    Made by the SDK, from environment variables or declarative configuration. config, edition, profile,
    detail, region, metrics: see `Settings`. All other arguments (endpoint, headers, timeout in seconds, ...)
    go to the SDK's own `OTLPSpanExporter`; `compression` may be a text, `headers` a list of names and values.
    """

    def __init__(
        self,
        *,
        config: str | os.PathLike[str] | None = None,
        edition: str | None = None,
        profile: str | None = None,
        detail: str | None = None,
        region: str | None = None,
        metrics: bool | str | None = None,
        protocol: str | None = None,
        meter_provider: MeterProvider | None = None,
        **otlp: Any,
    ) -> None:
        settings = Settings(config, edition, profile, detail, region, metrics)
        inner = _exporter(protocol or _protocol(), otlp)
        super().__init__(inner, settings, meter_provider=meter_provider)


class WattspanOtlpHttpExporter(WattspanOtlpExporter):
    """As `WattspanOtlpExporter`, over HTTP whatever the environment says."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**{**arguments, "protocol": HTTP})


def _protocol() -> str:
    for key in _PROTOCOL_KEYS:
        if said := os.environ.get(key, "").strip():
            return said
    return GRPC


def _exporter(protocol: str, options: Mapping[str, Any]) -> SpanExporter:
    if protocol not in (GRPC, HTTP):
        raise SettingsError(f"OTLP protocol is {protocol!r}; allowed: {GRPC}, {HTTP}")
    arguments = {name: value for name, value in options.items() if value is not None}
    if isinstance(headers := arguments.get("headers"), list):
        arguments["headers"] = {header["name"]: header["value"] for header in headers}
    compression = arguments.get("compression")
    try:
        if protocol == GRPC:
            from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as OverGrpc

            if isinstance(compression, str):
                arguments["compression"] = _grpc_compression(compression)
            return OverGrpc(**arguments)
        from opentelemetry.exporter.otlp.proto.http import Compression
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as OverHttp

        if isinstance(compression, str):
            arguments["compression"] = Compression(_known(compression, [one.value for one in Compression]))
        return OverHttp(**arguments)
    except ImportError as error:
        kind: Literal["grpc", "http"] = "grpc" if protocol == GRPC else "http"
        other = "; or OTEL_TRACES_EXPORTER=wattspan_http" if kind == "grpc" else ""
        raise SettingsError(
            f"OTLP protocol {protocol} needs a package that is not installed: "
            f"pip install opentelemetry-exporter-otlp-proto-{kind}{other}"
        ) from error


def _grpc_compression(name: str) -> Any:
    compression = import_module("grpc").Compression
    known = {"none": compression.NoCompression, "gzip": compression.Gzip, "deflate": compression.Deflate}
    return known[_known(name, list(known))]


def _known(compression: str, allowed: list[str]) -> str:
    if compression not in allowed:
        raise SettingsError(f"compression is {compression!r}; allowed: {', '.join(allowed)}")
    return compression
