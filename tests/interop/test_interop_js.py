"""Exporters of opentelemetry-js, as npm installs them, against a gateway that runs."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.gateway.backend import Backend
from tests.gateway.running import config_of, running
from tests.interop import neighbours
from tests.interop.process import run
from tests.interop.the_call import assert_estimated, attributes_of

EXPORT = neighbours.HERE / "js" / "export.mjs"


@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("kind", ["http", "proto", "grpc"])
@pytest.mark.parametrize("sdk", neighbours.JS_SDKS)
def test_opentelemetry_js_exports_through_the_gateway(
    tmp_path: Path, sdk: str, kind: str, compression: str
) -> None:
    """`http` sends OTLP as JSON, `proto` as protobuf."""
    node, folder = neighbours.node(), neighbours.js_sdk(sdk)

    async def export() -> None:
        async with (
            Backend() as backend,
            running(config_of(tmp_path, {"endpoint": backend.endpoint})) as client,
        ):
            grpc = f"http://127.0.0.1:{client.gateway.grpc.port}"
            url = grpc if kind == "grpc" else f"{client.url}/v1/traces"
            told = json.loads(await run(node, EXPORT, folder, kind, url, compression, directory=tmp_path))
            await backend.has(2)
            spans = {span.name: span for received in backend.received for span in received.spans}
            assert spans.keys() == {"POST /ask", "chat gpt-4o"}
            call = spans["chat gpt-4o"]
            assert (call.trace_id.hex(), call.span_id.hex()) == (told["traceId"], told["call"])
            assert call.parent_span_id == spans["POST /ask"].span_id
            assert_estimated(attributes_of(call))
            assert attributes_of(spans["POST /ask"]) == {}

    asyncio.run(export())
