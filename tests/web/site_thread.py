"""The page over a lake, served for real on loopback from a thread of the test."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aiohttp import web
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from wattspan.estimator import Estimator
from wattspan.lake.features import FeatureRules
from wattspan.lake.seal import Sealer
from wattspan.lake.spans import SpanSource
from wattspan.lake.writer import LakeWriter
from wattspan.web.site import make_app

CAPTURES = Path(__file__).parent.parent / "captures"
EVIL = '<script>window.hacked=1</script><img src=x onerror="window.hacked=1">\'"]]></script>{{7*7}}'
EVIL_TRACE = "ee" * 16


@contextmanager
def served(folder: Path, **options: object) -> Iterator[str]:
    """The address of the page over the lake in `folder`."""
    loop = asyncio.new_event_loop()
    ready = threading.Event()
    found: list[str] = []
    runner = web.AppRunner(make_app(folder, **options), access_log=None, shutdown_timeout=0.2)  # type: ignore[arg-type]

    async def begin() -> None:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        found.append(f"http://127.0.0.1:{runner.addresses[0][1]}")
        ready.set()

    thread = threading.Thread(target=lambda: (loop.run_until_complete(begin()), loop.run_forever()))
    thread.start()
    assert ready.wait(30)
    try:
        yield found[0]
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def write_lake(folder: Path) -> None:
    """The captures, and a trace with script in every text that a span can carry."""
    source = SpanSource()
    with LakeWriter(folder, Sealer(Estimator(), FeatureRules(), 1.0)) as writer:
        writer.ingest([source.request(path.read_bytes()) for path in sorted(CAPTURES.glob("*.binpb"))])
        writer.ingest([source.request(evil_request())])
        writer.seal_all()


def evil_request() -> bytes:
    data = TracesData()
    resource = data.resource_spans.add()
    resource.resource.attributes.add(key="service.name").value.string_value = EVIL
    scope = resource.scope_spans.add()
    scope.scope.name = EVIL
    for number, parent in ((1, 0), (2, 1), (3, 1)):
        span = scope.spans.add()
        span.trace_id, span.span_id = bytes.fromhex(EVIL_TRACE), number.to_bytes(8, "big")
        span.parent_span_id = parent.to_bytes(8, "big") if parent else b""
        span.name, span.trace_state = EVIL, "ot=th:0"
        span.start_time_unix_nano = 1_795_478_400_000_000_000 + number
        span.end_time_unix_nano = span.start_time_unix_nano + 10**9
        for key in (
            "gen_ai.agent.name", "gen_ai.tool.name", "gen_ai.request.model", "gen_ai.response.model",
            "gen_ai.provider.name", "cloud.region", "cloud.provider", "server.address", "http.route",
            "gen_ai.response.id", "gen_ai.conversation.id",
        ):  # fmt: skip
            is_id = key == "gen_ai.response.id"  # the same id would make the second call a copy
            span.attributes.add(key=key).value.string_value = f"{EVIL}{number}" if is_id else EVIL
        if number > 1:
            span.attributes.add(key="gen_ai.operation.name").value.string_value = "chat"
            span.attributes.add(key="gen_ai.usage.input_tokens").value.int_value = 1000 * number
            span.attributes.add(key="gen_ai.usage.output_tokens").value.int_value = 200
    return data.SerializeToString()
