"""opentelemetry-proto docs/specification.md, "OTLP/HTTP", sentence by sentence."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import socket
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tests.gateway.backend import Backend, keys_of
from tests.gateway.running import PROTOBUF, Client, config_of, running
from tests.gateway.span_requests import traces

JSON = "application/json"
MIB = 1024 * 1024


def with_gateway(
    tmp_path: Path,
    test: Callable[[Client, Backend], Awaitable[None]],
    destination: dict[str, Any] | None = None,
    **gateway: Any,
) -> None:
    async def run() -> None:
        async with Backend() as backend:
            config = config_of(tmp_path, {"endpoint": backend.endpoint, **(destination or {})}, **gateway)
            async with running(config) as client:
                await test(client, backend)

    asyncio.run(run())


def status_of(body: bytes) -> tuple[int, str]:
    """Code and message of a google.rpc.Status, read without the code under test: 1 = varint, 2 = string."""
    assert body[0] == 0x08
    assert body[2] == 0x12
    at, length, shift = 3, 0, 0
    while True:
        length |= (body[at] & 0x7F) << shift
        shift += 7
        at += 1
        if not body[at - 1] & 0x80:
            break
    assert at + length == len(body)
    return body[1], body[at:].decode()


def as_json(request: Any) -> dict[str, Any]:
    """OTLP/JSON: protobuf's mapping with hex ids and integer enums."""

    def mend(node: Any) -> Any:
        if isinstance(node, list):
            return [mend(item) for item in node]
        if isinstance(node, dict):
            return {
                key: base64.b64decode(value).hex()
                if key in ("traceId", "spanId", "parentSpanId")
                else mend(value)
                for key, value in node.items()
            }
        return node

    content = mend(MessageToDict(request, use_integers_for_enums=True))
    assert isinstance(content, dict)
    return content


def test_full_success_has_no_partial_success_and_the_content_type_of_the_request(tmp_path: Path) -> None:
    async def test(client: Client, backend: Backend) -> None:
        status, body, headers = await client.post(traces(2))
        assert (status, body, headers["Content-Type"]) == (200, b"", PROTOBUF)
        assert not ExportTraceServiceResponse.FromString(body).HasField("partial_success")
        content = as_json(ExportTraceServiceRequest.FromString(traces(2)))
        status, body, headers = await client.post(json.dumps(content).encode(), content_type=JSON)
        assert (status, body, headers["Content-Type"]) == (200, b"{}", JSON)

    with_gateway(tmp_path, test)


def test_json_comes_out_as_protobuf_with_the_same_attributes(tmp_path: Path) -> None:
    first, second, third = traces(3), traces(3), traces(1)
    content = as_json(ExportTraceServiceRequest.FromString(second))
    content["resourceSpans"][0]["unknownMember"] = [1, {"x": None}]
    last = as_json(ExportTraceServiceRequest.FromString(third))
    last["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["traceId"] = "0" * 29 + "ABC"

    async def test(client: Client, backend: Backend) -> None:
        await client.post(first)
        await backend.has(3)
        status, _, _ = await client.post(json.dumps(content).encode(), content_type=f"{JSON}; charset=utf-8")
        assert status == 200
        await backend.has(6)
        sent = [span for received in backend.received for span in received.spans]
        assert sent[0].attributes == sent[3].attributes
        assert "gen_ai.usage.energy_kwh" in {attribute.key for attribute in sent[3].attributes}
        assert backend.span_keys == keys_of(first) + keys_of(second)
        await client.post(json.dumps(last).encode(), content_type=JSON)
        await backend.has(7)
        assert backend.span_keys[6][0] == b"\0" * 14 + b"\x0a\xbc"

    with_gateway(tmp_path, test)


@pytest.mark.parametrize("content_type", [PROTOBUF, JSON])
@pytest.mark.parametrize("path", ["/v1/traces"])
def test_an_empty_request_is_a_success(tmp_path: Path, content_type: str, path: str) -> None:
    async def test(client: Client, backend: Backend) -> None:
        empty = b"{}" if content_type == JSON else b""
        status, body, _ = await client.post(empty, path, content_type)
        assert (status, body) == (200, empty)
        resource_only = b'{"resourceSpans":[{}]}' if content_type == JSON else b"\x0a\x00"
        assert (await client.post(resource_only, path, content_type))[0] == 200
        assert backend.attempts == 0

    with_gateway(tmp_path, test)


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("gzip", gzip.compress),
        ("zstd", zstandard.compress),
        ("deflate", zlib.compress),
        ("identity", bytes),
        ("GZIP", gzip.compress),
    ],
)
def test_compressed_bodies(tmp_path: Path, encoding: str, pack: Callable[[bytes], bytes]) -> None:
    async def test(client: Client, backend: Backend) -> None:
        status, _, _ = await client.post(pack(traces(4)), Content_Encoding=encoding)
        assert status == 200
        await backend.has(4)

    with_gateway(tmp_path, test)


def test_deflate_without_the_zlib_header_and_bodies_of_several_members(tmp_path: Path) -> None:
    async def test(client: Client, backend: Backend) -> None:
        raw = zlib.compressobj(wbits=-15)
        body = raw.compress(traces(1)) + raw.flush()
        assert (await client.post(body, Content_Encoding="deflate"))[0] == 200
        members = gzip.compress(traces(1)) + gzip.compress(traces(1))
        assert (await client.post(members, Content_Encoding="gzip"))[0] == 200
        frames = zstandard.compress(traces(1)) + zstandard.compress(traces(1))
        assert (await client.post(frames, Content_Encoding="zstd"))[0] == 200
        stream = zstandard.ZstdCompressor().compressobj()
        sizeless = stream.compress(traces(1)) + stream.flush()
        assert (await client.post(sizeless, Content_Encoding="zstd"))[0] == 200
        await backend.has(6)

    with_gateway(tmp_path, test)


def zstd_without_size(data: bytes) -> bytes:
    stream = zstandard.ZstdCompressor().compressobj()
    return stream.compress(data) + stream.flush()


@pytest.mark.parametrize(
    ("encoding", "bomb"),
    [
        ("gzip", gzip.compress(bytes(80 * MIB), 1)),
        ("deflate", zlib.compress(bytes(80 * MIB), 1)),
        ("zstd", zstandard.compress(bytes(80 * MIB))),
        ("zstd", zstd_without_size(bytes(80 * MIB))),
    ],
    ids=["gzip", "deflate", "zstd", "zstd without its size"],
)
def test_a_bomb_is_refused_with_413(tmp_path: Path, encoding: str, bomb: bytes) -> None:
    async def test(client: Client, backend: Backend) -> None:
        status, body, headers = await client.post(bomb, Content_Encoding=encoding)
        assert status == 413
        assert "Retry-After" not in headers
        assert status_of(body)[0] == 8
        assert (await client.post(traces(1)))[0] == 200

    with_gateway(tmp_path, test)


def test_the_limit_holds_for_the_body_as_it_comes_and_once_inflated(tmp_path: Path) -> None:
    async def test(client: Client, backend: Backend) -> None:
        exact = traces(1, padding=20_000)
        limit = len(exact)
        assert limit == client.gateway.config.gateway.limits.request_bytes
        assert (await client.post(exact))[0] == 200
        assert (await client.post(gzip.compress(exact), Content_Encoding="gzip"))[0] == 200
        longer = traces(1, padding=20_001)
        status, body, _ = await client.post(longer)
        assert status == 413
        assert status_of(body) == (8, f"the body has {limit + 1} bytes; allowed are {limit}")
        status, body, _ = await client.post(gzip.compress(longer), Content_Encoding="gzip")
        assert status == 413
        assert status_of(body) == (8, f"more than {limit} bytes once inflated")

    # Every span's encoding has the same length as long as its number does.
    limit = len(traces(1, padding=20_000))
    with_gateway(tmp_path, test, limits={"request_bytes": limit})


def test_json_takes_memory_for_what_it_becomes(tmp_path: Path) -> None:
    content = json.dumps(as_json(ExportTraceServiceRequest.FromString(traces(10, padding=20_000)))).encode()
    assert 200_000 < len(content) < 250_000

    async def test(client: Client, backend: Backend) -> None:
        status, body, _ = await client.post(content, content_type=JSON)
        assert status == 413
        assert json.loads(body)["message"] == (
            f"{len(content)} bytes of JSON; gateway.limits.memory_bytes has room for 200000: send protobuf, "
            "or smaller requests"
        )
        assert (await client.post(traces(10, padding=20_000)))[0] == 200
        assert client.gateway._budget.used_bytes == 0

    with_gateway(tmp_path, test, limits={"request_bytes": 300_000, "memory_bytes": 1_800_000})


def test_a_chunked_body_is_held_to_the_limit_too(tmp_path: Path) -> None:
    async def test(client: Client, backend: Backend) -> None:
        async def chunks(n: int) -> Any:
            for _ in range(n):
                yield bytes(1000)

        headers = {"Content-Type": PROTOBUF}
        async with client.session.post(
            f"{client.url}/v1/traces", data=chunks(200), headers=headers
        ) as response:
            assert response.status == 413
            assert status_of(await response.read()) == (8, "the body has more than 100000 bytes")

    with_gateway(tmp_path, test, limits={"request_bytes": 100_000})


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"\x0a\xff", {}),
        (b"this is not protobuf", {}),
        (traces(3)[:-5], {}),
        (b"not gzip", {"Content_Encoding": "gzip"}),
        (gzip.compress(traces(50))[:-20], {"Content_Encoding": "gzip"}),
        (zstandard.compress(traces(50))[:-20], {"Content_Encoding": "zstd"}),
        (zstd_without_size(traces(50))[:-20], {"Content_Encoding": "zstd"}),
        (b"not zstd", {"Content_Encoding": "zstd"}),
        (zlib.compress(traces(50))[:-20], {"Content_Encoding": "deflate"}),
        (zlib.compress(traces(1)) + b"more", {"Content_Encoding": "deflate"}),
    ],
)
def test_what_cannot_be_decoded_is_400_with_a_status_in_protobuf(
    tmp_path: Path, body: bytes, headers: dict[str, str]
) -> None:
    async def test(client: Client, backend: Backend) -> None:
        status, answer, answer_headers = await client.post(body, **headers)
        assert status == 400
        assert answer_headers["Content-Type"] == PROTOBUF
        assert "Retry-After" not in answer_headers
        code, message = status_of(answer)
        assert code == 3
        assert message
        await client.post(traces(1))
        await backend.has(1)
        assert len(backend.span_keys) == 1

    with_gateway(tmp_path, test)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"[]", "the body must be a JSON object"),
        (b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"xyz"}]}]}]}', "traceId must be hex digits"),
        (b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":12}]}]}]}', "traceId must be a string"),
        (b'{"resourceSpans":{}}', "not OTLP/JSON traces"),
        (b"{", "not OTLP/JSON traces"),
        (b'{"x":' + b"[" * 50_000 + b"]" * 50_000 + b"}", "the JSON is nested too deeply"),
        (b"\xff\xfe", "not OTLP/JSON traces"),
    ],
)
def test_what_is_not_otlp_json_is_400_with_a_status_in_json(
    tmp_path: Path, body: bytes, message: str
) -> None:
    async def test(client: Client, backend: Backend) -> None:
        status, answer, headers = await client.post(body, content_type=JSON)
        assert (status, headers["Content-Type"]) == (400, JSON)
        content = json.loads(answer)
        assert content["code"] == 3
        assert content["message"].startswith(message)

    with_gateway(tmp_path, test)


def test_one_bad_request_among_good_ones_hurts_nobody_else(tmp_path: Path) -> None:
    async def test(client: Client, backend: Backend) -> None:
        bodies = [traces(2) if i % 3 else b"garbage" for i in range(30)]
        answers = await asyncio.gather(*(client.post(body) for body in bodies))
        assert [status for status, _, _ in answers] == [200 if i % 3 else 400 for i in range(30)]
        await backend.has(40)
        assert len(set(backend.span_keys)) == len(backend.span_keys) == 40

    with_gateway(tmp_path, test)


def test_paths_methods_types_and_encodings_that_are_not_there(tmp_path: Path) -> None:
    async def test(client: Client, backend: Backend) -> None:
        status, body, _ = await client.post(traces(1), "/v1/profiles")
        assert (status, status_of(body)[0]) == (404, 5)
        status, body, _ = await client.post(traces(1), content_type="text/plain")
        assert status == 415
        assert status_of(body)[1].startswith("Content-Type 'text/plain' is not supported")
        status, body, _ = await client.post(traces(1), Content_Encoding="br")
        assert status == 415
        assert status_of(body)[1] == (
            "Content-Encoding 'br' is not supported; there are: identity, gzip, zstd, deflate"
        )
        async with client.session.get(f"{client.url}/v1/traces") as response:
            assert response.status == 405
            assert response.headers["Allow"] == "POST"

    with_gateway(tmp_path, test)


def test_signals_without_a_destination_are_refused_by_name(tmp_path: Path) -> None:
    async def test(client: Client, backend: Backend) -> None:
        for signal in ("metrics", "logs"):
            status, body, headers = await client.post(b"", f"/v1/{signal}")
            assert status == 404
            assert "Retry-After" not in headers
            assert status_of(body) == (12, f"{signal} are not enabled: no destination takes them")

    with_gateway(tmp_path, test)


def metrics(points: int) -> bytes:
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="requests")
    for number in range(points):
        metric.gauge.data_points.add(time_unix_nano=5).as_int = number
    return request.SerializeToString() + b"\xba\x3e\x03abc"  # field 999: newer than we are


def logs(records: int) -> bytes:
    request = ExportLogsServiceRequest()
    scope = request.resource_logs.add().scope_logs.add()
    for _ in range(records):
        scope.log_records.add(trace_id=b"\1" * 16, span_id=b"\2" * 8).body.string_value = "hello"
    return request.SerializeToString()


def test_metrics_and_logs_pass_to_the_byte_where_a_destination_takes_them(tmp_path: Path) -> None:
    async def test(client: Client, backend: Backend) -> None:
        assert (await client.post(metrics(3), "/v1/metrics"))[0] == 200
        assert (await client.post(logs(2), "/v1/logs"))[0] == 200
        assert (await client.post(b"\x0a\xff", "/v1/metrics"))[0] == 400
        assert (await client.post(b"\x0a\xff", "/v1/logs"))[0] == 400
        while len(backend.received) < 2:
            await asyncio.sleep(0.01)
        got = {received.path: received.plain for received in backend.received}
        assert got == {"/v1/metrics": metrics(3), "/v1/logs": logs(2)}
        _, text = await client.get("/metrics")
        assert 'wattspan_receiver_accepted_metric_points_total{transport="http"} 3.0' in text
        assert 'wattspan_receiver_accepted_log_records_total{transport="http"} 2.0' in text
        content = as_json(ExportLogsServiceRequest.FromString(logs(2)))
        status, _, _ = await client.post(json.dumps(content).encode(), "/v1/logs", JSON)
        assert status == 200
        while len(backend.received) < 3:
            await asyncio.sleep(0.01)
        assert ExportLogsServiceRequest.FromString(
            backend.received[2].plain
        ) == ExportLogsServiceRequest.FromString(logs(2))

    with_gateway(tmp_path, test, {"signals": ["traces", "metrics", "logs"]})


def test_a_bearer_token_is_asked_for_where_one_is_set(tmp_path: Path) -> None:
    async def test(client: Client, backend: Backend) -> None:
        for headers in ({}, {"Authorization": "Bearer wrong-token"}, {"Authorization": "correct-token"}):
            status, body, answer = await client.post(traces(1), **headers)
            assert status == 401
            assert answer["WWW-Authenticate"] == "Bearer"
            assert status_of(body) == (16, "the bearer token is missing or wrong")
        assert (await client.post(traces(1), Authorization="Bearer correct-token"))[0] == 200

    with_gateway(tmp_path, test, http={"port": 0, "bearer_token": "correct-token"})


def test_a_client_that_waits_for_100_continue_gets_it(tmp_path: Path) -> None:
    body = traces(2)

    def talk(port: int) -> tuple[bytes, bytes]:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            client.sendall(
                b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"
                b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body)
            )
            first = client.recv(4096)
            client.sendall(body)
            return first, client.recv(4096)

    async def test(client: Client, backend: Backend) -> None:
        first, second = await asyncio.to_thread(talk, client.gateway.http.port)
        assert first == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert second.startswith(b"HTTP/1.1 200 OK\r\n")
        await backend.has(2)

    with_gateway(tmp_path, test)


def test_a_client_that_never_ends_its_body_is_let_go(tmp_path: Path) -> None:
    def talk(port: int) -> bytes:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            client.sendall(
                b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"
                b"Content-Length: 1000\r\n\r\nonly this"
            )
            answer = b""
            while piece := client.recv(4096):
                answer += piece
            return answer

    async def test(client: Client, backend: Backend) -> None:
        answer = await asyncio.to_thread(talk, client.gateway.http.port)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"Connection: close" in answer

    with_gateway(tmp_path, test, limits={"body_timeout_s": 0.2})


def test_the_gateway_listens_on_loopback_unless_told_otherwise(tmp_path: Path) -> None:
    config = config_of(tmp_path, {"endpoint": "http://localhost:1"}).gateway
    assert (config.http.host, config.telemetry.host) == ("127.0.0.1", "127.0.0.1")
