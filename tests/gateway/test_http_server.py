"""HTTP/1.1 as RFC 9110 and 9112 ask for it, spoken over sockets, on the loop that the gateway runs on."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

import pytest
import uvloop

from tests.gateway.backend import Backend
from tests.gateway.running import Client, config_of, running
from tests.gateway.span_requests import traces

HEAD = b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"


def request(body: bytes, more: bytes = b"") -> bytes:
    return HEAD + more + b"Content-Length: %d\r\n\r\n" % len(body) + body


def with_gateway(
    tmp_path: Path, test: Callable[[Client, Backend], Awaitable[None]], **gateway: object
) -> None:
    async def run() -> None:
        async with (
            Backend() as backend,
            running(config_of(tmp_path, {"endpoint": backend.endpoint}, **gateway)) as client,
        ):
            try:
                await test(client, backend)
            finally:
                for writer in Wire.open:
                    writer.close()
                    with suppress(ConnectionError):
                        await writer.wait_closed()
                Wire.open.clear()

    uvloop.run(run())


class Wire:
    """A connection on which bytes are said as they are."""

    open: ClassVar[list[asyncio.StreamWriter]] = []

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.open.append(writer)

    @classmethod
    async def to(cls, client: Client) -> Wire:
        return cls(*await asyncio.open_connection("127.0.0.1", client.gateway.http.port))

    def say(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body."""
        async with asyncio.timeout(10):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            lines = head.split("\r\n")
            match = re.fullmatch(r"HTTP/1\.1 (\d{3}) [A-Za-z -]+", lines[0])
            assert match
            headers = dict(line.split(": ", 1) for line in lines[1:] if line)
            return int(match[1]), headers, await self.reader.readexactly(int(headers["Content-Length"]))

    async def rest(self) -> bytes:
        """What comes until the server closes."""
        async with asyncio.timeout(10):
            return await self.reader.read()


def test_a_connection_is_kept_and_pipelined_requests_are_answered_in_turn(tmp_path: Path) -> None:
    async def test(client: Client, backend: Backend) -> None:
        wire = await Wire.to(client)
        for _ in range(3):
            wire.say(request(traces(1)))
            status, headers, _ = await wire.answer()
            assert (status, headers["Connection"]) == (200, "keep-alive")
        wire.say(b"".join(request(traces(1) if i % 2 else b"garbage") for i in range(40)))
        assert [(await wire.answer())[0] for _ in range(40)] == [200 if i % 2 else 400 for i in range(40)]
        await backend.has(23)

    with_gateway(tmp_path, test)


def test_where_bytes_are_cut_does_not_matter(tmp_path: Path) -> None:
    rng = random.Random(3)

    async def test(client: Client, backend: Backend) -> None:
        for _ in range(20):
            data = (
                request(traces(2, padding=50)) + request(traces(1), b"Transfer-encodin: x\r\n") + request(b"")
            )
            wire = await Wire.to(client)
            cuts = sorted(rng.sample(range(len(data)), 12))
            for begin, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
                wire.say(data[begin:end])
                await wire.writer.drain()
                await asyncio.sleep(0)
            assert [(await wire.answer())[0] for _ in range(3)] == [200] * 3
            wire.writer.close()
        await backend.has(60)

    with_gateway(tmp_path, test)


def test_chunks_with_extensions_and_trailers(tmp_path: Path) -> None:
    async def test(client: Client, backend: Backend) -> None:
        body = traces(3)
        wire = await Wire.to(client)
        chunks = b"".join(b"%x;a=b\r\n%b\r\n" % (len(p), p) for p in (body[:7], body[7:]))
        wire.say(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\nX-Trailer: y\r\n\r\n")
        assert (await wire.answer())[0] == 200
        wire.say(request(traces(1)))
        assert (await wire.answer())[0] == 200
        await backend.has(4)

    with_gateway(tmp_path, test)


@pytest.mark.parametrize("encoding", [b"Content-Length", b"chunked"])
def test_a_wish_for_http_2_is_not_granted_and_the_body_is_taken(tmp_path: Path, encoding: bytes) -> None:
    wish = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB\r\n"

    async def test(client: Client, backend: Backend) -> None:
        body = traces(2)
        wire = await Wire.to(client)
        if encoding == b"chunked":
            message = (
                HEAD + wish + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
            )
        else:
            message = request(body, wish)
        wire.say(message)
        assert (await wire.answer())[0] == 200
        wire.say(message[:200])
        await asyncio.sleep(0.05)
        wire.say(message[200:] + request(traces(1)))
        assert [(await wire.answer())[0] for _ in range(2)] == [200, 200]
        await backend.has(5)

    with_gateway(tmp_path, test)


@pytest.mark.parametrize(
    ("version", "header", "connection"),
    [
        (b"1.1", b"Connection: close\r\n", "close"),
        (b"1.0", b"", "close"),
        (b"1.0", b"Connection: keep-alive\r\n", "keep-alive"),
    ],
)
def test_connections_end_where_the_client_wants_it(
    tmp_path: Path, version: bytes, header: bytes, connection: str
) -> None:
    async def test(client: Client, backend: Backend) -> None:
        wire = await Wire.to(client)
        wire.say(request(traces(1), header).replace(b"HTTP/1.1", b"HTTP/" + version))
        status, headers, _ = await wire.answer()
        assert (status, headers["Connection"]) == (200, connection)
        if connection == "close":
            assert await wire.rest() == b""

    with_gateway(tmp_path, test)


def test_a_client_that_closes_its_side_still_gets_its_answer(tmp_path: Path) -> None:
    async def test(client: Client, backend: Backend) -> None:
        wire = await Wire.to(client)
        wire.say(request(traces(1)))
        wire.writer.write_eof()
        assert (await wire.answer())[0] == 200
        assert await wire.rest() == b""

    with_gateway(tmp_path, test)


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET\r\n\r\n",
        HEAD + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        HEAD + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        HEAD + b"Content-Length: -1\r\n\r\n",
        HEAD + b"Content-Length: 99999999999999999999999999\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
        HEAD + b"Bad Name: x\r\n\r\n",
    ],
)
def test_what_is_not_http_is_400_and_the_connection_ends(tmp_path: Path, data: bytes) -> None:
    async def test(client: Client, backend: Backend) -> None:
        wire = await Wire.to(client)
        wire.say(data)
        status, headers, _ = await wire.answer()
        assert (status, headers["Connection"]) == (400, "close")
        assert await wire.rest() == b""
        assert client.gateway._budget.used_bytes == 0
        assert (await client.post(traces(1)))[0] == 200

    with_gateway(tmp_path, test)


@pytest.mark.parametrize("piece_bytes", [1_000, 100_000])
def test_headers_are_held_to_a_length(tmp_path: Path, piece_bytes: int) -> None:
    async def test(client: Client, backend: Backend) -> None:
        wire = await Wire.to(client)
        wire.say(HEAD + b"X: ")
        with suppress(ConnectionError):
            for _ in range(100_000 // piece_bytes):
                wire.say(b"x" * piece_bytes)
                await wire.writer.drain()
        assert (await wire.answer())[0] == 431

    with_gateway(tmp_path, test)


def test_a_head_that_trickles_in_is_given_up(tmp_path: Path) -> None:
    async def test(client: Client, backend: Backend) -> None:
        wire = await Wire.to(client)
        wire.say(HEAD)

        async def trickle() -> None:
            while True:
                wire.say(b"X: y\r\n")
                await asyncio.sleep(0.02)

        trickling = asyncio.create_task(trickle())
        assert (await wire.answer())[0] == 408
        trickling.cancel()

    with_gateway(tmp_path, test, limits={"body_timeout_s": 0.3})


def test_a_refused_client_that_goes_on_sending_can_read_why(tmp_path: Path) -> None:
    async def test(client: Client, backend: Backend) -> None:
        wire = await Wire.to(client)
        wire.say(HEAD + b"Content-Length: 8000000\r\n\r\n")
        for _ in range(80):
            wire.say(bytes(100_000))
            await wire.writer.drain()
        status, headers, _ = await wire.answer()
        assert (status, headers["Connection"]) == (413, "close")

    with_gateway(tmp_path, test, limits={"request_bytes": 1_000_000})


def test_head_has_no_body_and_other_forms_of_the_target_are_understood(tmp_path: Path) -> None:
    async def test(client: Client, backend: Backend) -> None:
        wire = await Wire.to(client)
        wire.say(b"HEAD /v1/traces HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(5):
            head, _, body = (await wire.reader.read()).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 405 ")
        assert body == b""
        for target in (b"/v1/traces?x=1", b"http://gateway.example:4318/v1/traces"):
            wire = await Wire.to(client)
            wire.say(request(traces(1)).replace(b"/v1/traces", target, 1))
            assert (await wire.answer())[0] == 200

    with_gateway(tmp_path, test)


def test_noise_neither_hangs_nor_hurts(tmp_path: Path) -> None:
    rng = random.Random(11)

    async def noise(client: Client) -> None:
        wire = await Wire.to(client)
        good = request(traces(1)) * rng.randrange(1, 4)
        data = bytearray(good)
        for _ in range(rng.randrange(1, 8)):
            # Mostly where the heads are; a body may be anything.
            data[rng.randrange(min(len(data), 160))] = rng.randrange(256)
        with suppress(ConnectionError):
            wire.say(bytes(data))
            wire.writer.write_eof()
            answers = await wire.rest()
            assert answers == b"" or re.match(rb"HTTP/1\.1 (200|400|404|405|413|415|429) ", answers)
        wire.writer.close()

    async def test(client: Client, backend: Backend) -> None:
        for _ in range(30):
            await asyncio.gather(*(noise(client) for _ in range(20)))
        assert client.gateway._budget.used_bytes == 0
        assert (await client.post(traces(1)))[0] == 200

    with_gateway(tmp_path, test)
