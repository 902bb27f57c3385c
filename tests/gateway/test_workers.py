"""`gateway.workers`: several processes on shared ports, as one gateway."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import grpc
import grpc.aio
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.gateway.backend import Backend
from tests.gateway.running import PROTOBUF, QUICK
from tests.gateway.span_requests import traces
from wattspan.gateway.seat import Seat, seats

COMMAND = "import typer; from wattspan.cli.serve import serve; typer.run(serve)"


def write_config(tmp_path: Path, endpoint: str, workers: int, **gateway: object) -> Path:
    path = tmp_path / "gateway.yaml"
    settings = {
        "http": {"port": 0},
        "grpc": {"port": 0},
        "telemetry": {"port": 0},
        "spool": {"directory": str(tmp_path / "spool")},
        "workers": workers,
        "drain_s": 5,
        "destinations": [{"name": "d", "endpoint": endpoint, "retry": QUICK}],
        **gateway,
    }
    path.write_text(json.dumps({"gateway": settings}))
    return path


class Group:
    """A supervisor and its workers."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []
        self.ports: dict[str, int] = {}

    async def line(self, pattern: str) -> re.Match[str]:
        assert self.process.stderr is not None
        async with asyncio.timeout(60):
            while True:
                text = (await self.process.stderr.readline()).decode()
                assert text, self.lines
                self.lines.append(json.loads(text)["message"])
                if match := re.search(pattern, self.lines[-1]):
                    return match

    @property
    def workers(self) -> list[int]:
        found = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self.process.pid)], capture_output=True, text=True, check=False
        )
        return [int(pid) for pid in found.stdout.split()]

    async def post(self, body: bytes) -> int | None:
        """The status of an answer to a request over a connection of its own; None where it broke."""
        try:
            async with (
                aiohttp.ClientSession(headers={"Content-Type": PROTOBUF}) as session,
                session.post(f"http://127.0.0.1:{self.ports['OTLP/HTTP']}/v1/traces", data=body) as response,
            ):
                return response.status
        except (aiohttp.ClientError, OSError):
            return None

    async def get(self, path: str) -> tuple[int, str]:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{self.ports['telemetry']}{path}") as response,
        ):
            return response.status, await response.text()

    async def by_worker(self, name: str) -> dict[str, float]:
        """The samples of a metric by the label `worker`, added up over its other labels."""
        _, text = await self.get("/metrics")
        found: dict[str, float] = defaultdict(float)
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == name:
                    found[sample.labels.get("worker", "")] += sample.value
        return dict(found)

    async def sum(self, name: str) -> float:
        return sum((await self.by_worker(name)).values())

    async def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        await self.line("^stopped$")
        assert await self.process.wait() == 0


@asynccontextmanager
async def started(path: Path) -> AsyncIterator[Group]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", COMMAND, "--config", str(path)), stderr=asyncio.subprocess.PIPE
    )
    group = Group(process)
    try:
        for what in ("OTLP/HTTP", "OTLP/gRPC", "telemetry"):
            group.ports[what] = int((await group.line(rf"{what} on 127\.0\.0\.1:(\d+)"))[1])
        yield group
    finally:
        if process.returncode is None:
            process.terminate()
            await process.communicate()


def test_a_worker_that_hangs_is_replaced_and_what_it_acknowledged_is_delivered(tmp_path: Path) -> None:
    async def run() -> None:
        backend = Backend()
        async with backend:
            pass
        path = write_config(tmp_path, backend.endpoint, 2, worker_timeout_s=1)
        async with started(path) as group:
            before = set(group.workers)
            for _ in range(20):
                assert await group.post(traces(2)) == 200
            hanging = min(before)
            os.kill(hanging, signal.SIGSTOP)
            await group.line(r"^worker \d has not answered for 1 s; it is killed$")
            await group.line(r"^worker \d ended with status -9; it is started again$")
            async with backend:
                await backend.has(40, within_s=60)
                async with asyncio.timeout(60):
                    while len(set(group.workers)) < 2:
                        await asyncio.sleep(0.1)
                assert len(set(group.workers) - before) == 1
                assert hanging not in group.workers
                assert await group.post(traces(2)) == 200
                await backend.has(42, within_s=60)
                await group.end()

    asyncio.run(run())


def test_connections_are_spread_over_the_workers_and_the_books_balance(tmp_path: Path) -> None:
    async def run() -> None:
        async with Backend() as backend, started(write_config(tmp_path, backend.endpoint, 2)) as group:
            assert len(group.workers) == 2
            for _ in range(30):
                assert await group.post(traces(2)) == 200
            address = f"127.0.0.1:{group.ports['OTLP/gRPC']}"
            for _ in range(20):
                # Each channel with a pool of its own: else gRPC gives them one connection.
                options = [("grpc.use_local_subchannel_pool", 1)]
                async with grpc.aio.insecure_channel(address, options=options) as channel:
                    method = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
                    await channel.unary_unary(method)(traces(1))
            await backend.has(80, within_s=60)
            accepted = await group.by_worker("wattspan_receiver_accepted_spans_total")
            # 30 and 20 connections: that one worker gets none of either has a chance of one in 500,000.
            assert set(accepted) == {"0", "1"}
            assert all(accepted.values())
            assert sum(accepted.values()) == 80
            async with asyncio.timeout(60):
                while await group.sum("wattspan_exporter_queued_spans"):
                    await asyncio.sleep(0.02)
            assert await group.by_worker("wattspan_exporter_sent_spans_total") == accepted
            assert await group.by_worker("wattspan_exporter_enqueued_spans_total") == accepted
            assert await group.by_worker("wattspan_workers") == {"": 2}
            assert await group.get("/healthz") == (200, '{"status": "ok", "reasons": []}')
            assert await group.get("/readyz") == (200, '{"status": "ready", "reasons": []}')
            assert sorted(p.name for p in (tmp_path / "spool").glob("*.db")) == ["spool-1.db", "spool.db"]
            await group.end()
            assert len(backend.span_keys) == 80

    asyncio.run(run())


def test_a_worker_that_dies_is_started_again_and_what_it_acknowledged_arrives(tmp_path: Path) -> None:
    async def run() -> None:
        backend = Backend(delay_s=0.2)
        async with backend, started(write_config(tmp_path, backend.endpoint, 2)) as group:
            n = 0
            for _ in range(20):
                assert await group.post(traces(3)) == 200
                n += 3
            os.kill(group.workers[0], signal.SIGKILL)
            await group.line(r"worker \d ended with status -9; it is started again")
            for _ in range(20):
                if await group.post(traces(3)) == 200:
                    n += 3
            async with asyncio.timeout(60):
                while await group.by_worker("wattspan_workers") != {"": 2}:
                    await asyncio.sleep(0.05)
            assert sorted((await group.by_worker("wattspan_worker_starts_total")).values()) == [1, 2]
            await backend.has(n, within_s=60)
            await group.end()
            assert len(set(backend.span_keys)) == n

    asyncio.run(run())


def test_workers_end_where_their_supervisor_is_killed_and_the_next_one_takes_up(tmp_path: Path) -> None:
    async def run() -> None:
        backend = Backend(delay_s=1.0)
        path = write_config(tmp_path, "http://127.0.0.1:9", 2, drain_s=0.2)
        async with started(path) as group:
            workers = group.workers
            for _ in range(10):
                assert await group.post(traces(2)) == 200
            group.process.kill()
            await group.process.wait()
            async with asyncio.timeout(60):
                while any(Path(f"/proc/{pid}/stat").exists() for pid in workers):
                    await asyncio.sleep(0.05)
        async with backend, started(write_config(tmp_path, backend.endpoint, 2)) as group:
            await backend.has(20, within_s=60)
            assert await group.sum("wattspan_exporter_recovered_spans_total") == 20
            await group.end()

    asyncio.run(run())


def test_fewer_workers_drain_the_spools_that_are_left_over_and_delete_them(tmp_path: Path) -> None:
    async def run() -> None:
        async with started(write_config(tmp_path, "http://127.0.0.1:9", 3, drain_s=0.2)) as group:
            for _ in range(40):
                assert await group.post(traces(1)) == 200
            waiting = await group.by_worker("wattspan_exporter_queued_spans")
            assert waiting["1"] + waiting["2"] > 0
            await group.end()
        assert [seat.number for seat in seats(tmp_path / "spool", 1) if seat.is_draining] == [1, 2]
        async with Backend() as backend:
            async with started(write_config(tmp_path, backend.endpoint, 1)) as group:
                assert await group.post(traces(1)) == 200
                await backend.has(41, within_s=60)
                async with asyncio.timeout(60):
                    while len(group.workers) > 1:
                        await asyncio.sleep(0.05)
                names = {path.name for path in (tmp_path / "spool").iterdir()}
                assert names <= {"spool.db", "spool.lock", "spool.db-wal", "spool.db-shm"}
                assert await group.get("/readyz") == (200, '{"status": "ready", "reasons": []}')
                await group.end()
            assert len(set(backend.span_keys)) == 41
            assert seats(tmp_path / "spool", 1) == [Seat()]

    asyncio.run(run())


def test_sighup_reaches_every_worker_and_a_wrong_file_none(tmp_path: Path) -> None:
    async def run() -> None:
        async with Backend() as first, Backend() as second:
            path = write_config(tmp_path, first.endpoint, 2)
            async with started(path) as group:
                write_config(tmp_path, second.endpoint, 2)
                group.process.send_signal(signal.SIGHUP)
                await group.line("^reloaded$")
                for _ in range(20):
                    assert await group.post(traces(1)) == 200
                await second.has(20, within_s=60)
                write_config(tmp_path, first.endpoint, 3)
                group.process.send_signal(signal.SIGHUP)
                match = await group.line("^not reloaded, the old configuration stays: (.*)")
                assert match[1] == "gateway.workers cannot change while the gateway runs; restart it"
                for _ in range(20):
                    assert await group.post(traces(1)) == 200
                await second.has(40, within_s=60)
                await group.end()
                assert first.span_keys == []

    asyncio.run(run())


def test_a_second_gateway_on_the_same_ports_is_refused(tmp_path: Path) -> None:
    async def run() -> None:
        async with (
            Backend() as backend,
            started(write_config(tmp_path, backend.endpoint, 2)) as group,
        ):
            port = group.ports["OTLP/HTTP"]
            other = tmp_path / "other"
            other.mkdir()
            path = write_config(other, backend.endpoint, 2, http={"port": port})
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", COMMAND, "--config", str(path)), stderr=asyncio.subprocess.PIPE
            )
            _, told = await asyncio.wait_for(process.communicate(), 60)
            assert process.returncode == 1
            assert f"cannot listen on 127.0.0.1:{port}" in " ".join(told.decode().split())
            await group.end()

    asyncio.run(run())


@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_that_cannot_begin_says_why_and_nothing_is_left_running(
    tmp_path: Path, workers: int
) -> None:
    async def run() -> None:
        spool = tmp_path / "spool"
        spool.write_text("a file where the directory should be")
        path = write_config(tmp_path, "http://127.0.0.1:9", workers)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", COMMAND, "--config", str(path)), stderr=asyncio.subprocess.PIPE
        )
        _, told = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == 1
        assert "File exists" in " ".join(told.decode().split())

    asyncio.run(run())
