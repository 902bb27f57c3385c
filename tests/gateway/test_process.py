"""The command as it is run: checks, reload on SIGHUP, drain on SIGTERM."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
from pathlib import Path

import aiohttp
from typer import Typer
from typer.testing import CliRunner

from tests.gateway.backend import Backend
from tests.gateway.running import PROTOBUF, QUICK
from tests.gateway.span_requests import traces
from wattspan.cli.serve import serve

COMMAND = "import typer; from wattspan.cli.serve import serve; typer.run(serve)"


def config_file(tmp_path: Path, endpoint: str, **destination: object) -> Path:
    path = tmp_path / "gateway.yaml"
    gateway = {
        "http": {"port": 0},
        "grpc": {"port": 0},
        "telemetry": {"port": 0},
        "spool": {"directory": str(tmp_path / "spool")},
        "drain_s": 5,
        "destinations": [{"name": "d", "endpoint": endpoint, "retry": QUICK, **destination}],
    }
    path.write_text(json.dumps({"gateway": gateway}))
    return path


class Running:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []
        self.port = 0

    async def line(self, pattern: str) -> re.Match[str]:
        assert self.process.stderr is not None
        async with asyncio.timeout(30):
            while True:
                line = (await self.process.stderr.readline()).decode()
                assert line, self.lines
                self.lines.append(json.loads(line)["message"])
                if match := re.search(pattern, self.lines[-1]):
                    return match

    async def post(self, body: bytes) -> int:
        async with (
            aiohttp.ClientSession() as session,
            session.post(
                f"http://127.0.0.1:{self.port}/v1/traces", data=body, headers={"Content-Type": PROTOBUF}
            ) as response,
        ):
            return response.status


async def started(path: Path) -> Running:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", COMMAND, "--config", str(path)), stderr=asyncio.subprocess.PIPE
    )
    running = Running(process)
    running.port = int((await running.line(r"OTLP/HTTP on 127\.0\.0\.1:(\d+)"))[1])
    return running


def test_sigterm_sends_what_is_waiting_and_ends_with_status_0(tmp_path: Path) -> None:
    async def run() -> None:
        async with Backend(delay_s=0.3) as backend:
            running = await started(config_file(tmp_path, backend.endpoint))
            posts = [asyncio.create_task(running.post(traces(2))) for _ in range(5)]
            assert await asyncio.gather(*posts) == [200] * 5
            running.process.send_signal(signal.SIGTERM)
            await running.line("^stopped$")
            assert await running.process.wait() == 0
            assert len(set(backend.span_keys)) == 10

    asyncio.run(run())


def test_sighup_takes_over_a_good_file_and_keeps_the_old_one_for_a_bad_one(tmp_path: Path) -> None:
    async def run() -> None:
        async with Backend() as first, Backend() as second:
            path = config_file(tmp_path, first.endpoint)
            running = await started(path)
            assert await running.post(traces(1)) == 200
            await first.has(1)
            config_file(tmp_path, second.endpoint, profile="wattspan")
            running.process.send_signal(signal.SIGHUP)
            await running.line("^reloaded$")
            assert await running.post(traces(2)) == 200
            await second.has(2)
            keys = {attribute.key for attribute in second.received[0].spans[0].attributes}
            assert "wattspan.energy_kwh" in keys
            path.write_text(path.read_text().replace("retry", "rety"))
            running.process.send_signal(signal.SIGHUP)
            match = await running.line("^not reloaded, the old configuration stays: (.*)")
            assert "rety: Extra inputs are not permitted" in match[1]
            assert await running.post(traces(3)) == 200
            await second.has(5)
            config_file(tmp_path, second.endpoint)
            path.write_text(path.read_text().replace('"port": 0', '"port": 1', 1))
            running.process.send_signal(signal.SIGHUP)
            match = await running.line("^not reloaded, the old configuration stays: (.*)")
            assert (
                match[1]
                == "gateway.http but its bearer_token cannot change while the gateway runs; restart it"
            )
            running.process.send_signal(signal.SIGTERM)
            assert await running.process.wait() == 0

    asyncio.run(run())


def test_no_request_is_refused_and_none_lost_while_reloading(tmp_path: Path) -> None:
    async def run() -> None:
        async with Backend() as backend:
            running = await started(config_file(tmp_path, backend.endpoint))
            sent = 0
            for _ in range(3):
                running.process.send_signal(signal.SIGHUP)
                for _ in range(15):
                    assert await running.post(traces(2)) == 200
                    sent += 2
            await backend.has(sent)
            running.process.send_signal(signal.SIGTERM)
            assert await running.process.wait() == 0
            assert len(set(backend.span_keys)) == sent

    asyncio.run(run())


def test_check_and_schema(tmp_path: Path) -> None:
    app = Typer()
    app.command()(serve)
    good = config_file(tmp_path, "http://localhost:4319")
    result = CliRunner().invoke(app, ["--check", "--config", str(good)])
    assert (result.exit_code, result.stdout) == (0, "the configuration is good; destinations: d\n")
    good.write_text(good.read_text().replace("drain_s", "drain"))
    result = CliRunner().invoke(app, ["--check", "--config", str(good)])
    assert result.exit_code == 2
    tls = {"cert_file": str(tmp_path / "none.pem"), "key_file": str(tmp_path / "none.key")}
    without = config_file(tmp_path, "https://localhost:4319", tls=tls)
    assert CliRunner().invoke(app, ["--check", "--config", str(without)]).exit_code == 2
    result = CliRunner().invoke(app, ["--schema"])
    assert json.loads(result.stdout)["required"] == ["gateway"]
