"""The gateway beside rotel, a collector in Rust: one core each in turn, same load, same compression.

Give the path of the `rotel-agent` binary (from the package `rotel`) in ROTEL_AGENT to have it run too.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from dataclasses import dataclass
from multiprocessing import Process
from pathlib import Path

import httptools
import numpy as np
import uvloop

from benchmarks import wire
from wattspan.otlp.wire import scan

SECONDS = 5.0
CONNECTIONS = 8
MOST_BYTES = 300_000_000
"""Room for requests made beforehand: each goes out once, as no span comes twice in life."""

PROCESSOR = """
from rotel_sdk.open_telemetry.common.v1 import KeyValue

def process_spans(resource_spans):
    for scope in resource_spans.scope_spans:
        for span in scope.spans:
            span.attributes.append(KeyValue.new_double_value("gen_ai.usage.energy_kwh", 0.0001))
"""


class _Answering(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        self._transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n"
        )


def sink(port: int) -> None:
    """A destination that takes everything in."""

    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(_Answering, "127.0.0.1", port)
        await server.serve_forever()

    _pin(-1)
    uvloop.run(serve())


def _pin(core: int) -> None:
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1:
        os.sched_setaffinity(0, {cores[core]})


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def bodies(spans: int) -> list[bytes]:
    """Requests of `spans` spans in traces of eight; no id comes twice."""
    wire.SPANS = spans
    base = bytearray(wire.request(0))
    table = scan(bytes(base), ())
    traces = [base.index(table.trace_id[i].tobytes()) for i in range(table.n)]
    ids = [base.index(int(table.span_id[i]).to_bytes(8, "big")) for i in range(table.n)]
    responses = [match.end() for match in re.finditer(rb"chatcmpl-", base)]
    rng = np.random.default_rng(5)
    made = []
    for _ in range(min(6000, MOST_BYTES // len(base))):
        for start in range(0, table.n, 8):
            trace = rng.bytes(16)
            for at in traces[start : start + 8]:
                base[at : at + 16] = trace
        for at in ids:
            base[at : at + 8] = rng.bytes(8)
        for at in responses:
            base[at : at + 24] = rng.bytes(12).hex().encode()
        made.append(bytes(base))
    return made


@dataclass(frozen=True, slots=True)
class Result:
    spans_per_s: float
    spans_per_cpu_s: float
    p50_ms: float
    p99_ms: float
    rss_mib: float


def blast(port: int, requests: list[bytes], spans: int, pid: int) -> Result:
    """Post `requests` over CONNECTIONS connections for SECONDS at most."""
    taken: list[float] = []
    end = time.monotonic() + SECONDS

    def client(mine: list[bytes]) -> None:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for body in mine:
                begin = time.monotonic()
                if begin > end:
                    return
                connection.sendall(
                    b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf\r\n"
                    b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
                )
                answer = b""
                while b"\r\n\r\n" not in answer:
                    piece = connection.recv(65536)
                    if not piece:
                        raise RuntimeError("the connection was closed")
                    answer += piece
                if b" 200 " not in answer[:16]:
                    raise RuntimeError(answer.decode(errors="replace"))
                taken.append(time.monotonic() - begin)

    threads = [threading.Thread(target=client, args=(requests[i::CONNECTIONS],)) for i in range(CONNECTIONS)]
    cpu, begin = _cpu_s(pid), time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = time.monotonic() - begin
    time.sleep(1.0)  # what still has to go out is part of the work
    used = _cpu_s(pid) - cpu
    n = len(taken) * spans
    ranked = np.sort(taken) * 1e3
    return Result(n / elapsed, n / used, *(float(np.quantile(ranked, q)) for q in (0.5, 0.99)), _rss_mib(pid))


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _rss_mib(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def gateway_command(directory: Path, port: int, sink_port: int, compression: str) -> list[str]:
    """Our process."""
    destination = {
        "name": "sink",
        "endpoint": f"http://127.0.0.1:{sink_port}",
        "compression": compression,
    }
    config = directory / "gateway.json"
    gateway = {
        "http": {"port": port},
        "grpc": {"enabled": False},
        "telemetry": {"port": 0},
        "spool": {"directory": str(directory / "spool")},
        "destinations": [destination],
    }
    config.write_text(json.dumps({"gateway": gateway}))
    code = "import typer; from wattspan.cli.serve import serve; typer.run(serve)"
    return [sys.executable, "-c", code, "--config", str(config)]


def rotel_command(
    agent: str, directory: Path, port: int, sink_port: int, *, has_processor: bool
) -> list[str]:
    """Rotel's process, passing through or with a Python processor that adds one attribute."""
    command = [
        *(agent, "start", "--otlp-http-endpoint", f"127.0.0.1:{port}"),
        *("--otlp-grpc-endpoint", f"127.0.0.1:{free_port()}", "--exporter", "otlp"),
        *("--otlp-exporter-endpoint", f"http://127.0.0.1:{sink_port}", "--otlp-exporter-protocol", "http"),
        *("--otlp-exporter-compression", "gzip"),
    ]
    if has_processor:
        processor = directory / "processor.py"
        processor.write_text(PROCESSOR)
        command += ["--otlp-with-trace-processor", str(processor)]
    return command


def measure(name: str, command: list[str], port: int, requests: list[bytes], spans: int) -> Result | None:
    """Run `command`, load it, print what it did."""
    environ = {**os.environ, "LD_LIBRARY_PATH": sysconfig.get_config_var("LIBDIR") or ""}
    process = subprocess.Popen(
        command, env=environ, preexec_fn=lambda: _pin(0), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_for(port, process)
        result = blast(port, requests, spans, process.pid)
    except (RuntimeError, OSError) as error:
        print(f"{name:48} failed: {error}")
        return None
    finally:
        process.terminate()
        process.wait(30)
    print(
        f"{name:48}{result.spans_per_s / 1e3:8.0f} k spans/s {result.spans_per_cpu_s / 1e3:8.0f} k per CPU s"
        f"   p50 {result.p50_ms:6.1f} ms  p99 {result.p99_ms:6.1f} ms  {result.rss_mib:5.0f} MiB"
    )
    return result


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        if process.poll() is not None:
            raise RuntimeError(f"it ended with status {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError("it does not listen")


def main() -> None:
    agent = os.environ.get("ROTEL_AGENT") or shutil.which("rotel-agent")
    sink_port = free_port()
    destination = Process(target=sink, args=(sink_port,), daemon=True)
    destination.start()
    cores = os.sched_getaffinity(0)
    _pin(-1)
    try:
        for spans in (512, 8):
            compare(spans, agent, sink_port)
    finally:
        os.sched_setaffinity(0, cores)
        destination.terminate()
        destination.join()


def compare(spans: int, agent: str | None, sink_port: int) -> None:
    """Print the runs with requests of `spans` spans."""
    requests = bodies(spans)
    budget = 300 if spans == 512 else 30
    print(
        f"-- {spans} spans a request, {len(requests[0]) / spans:.0f} B a span, plain in; "
        f"budget {budget} k spans per CPU second"
    )
    with tempfile.TemporaryDirectory(dir=".") as place:
        directory, port = Path(place), free_port()
        ours = {}
        for compression in ("none", "gzip"):
            shutil.rmtree(directory / "spool", ignore_errors=True)
            command = gateway_command(directory, port, sink_port, compression)
            ours[compression] = measure(
                f"wattspan: enriched, durable, {compression} out", command, port, requests, spans
            )
        if agent is None:
            print("rotel: not run (give its binary in ROTEL_AGENT)")
            return
        for name, has_processor in (("pass-through", False), ("with a Python processor", True)):
            port = free_port()
            command = rotel_command(agent, directory, port, sink_port, has_processor=has_processor)
            theirs = measure(f"rotel: {name}, gzip out", command, port, requests, spans)
            if theirs and ours["gzip"]:
                ratio = ours["gzip"].spans_per_cpu_s / theirs.spans_per_cpu_s
                print(f"wattspan / rotel {name}, per CPU second, gzip out: {ratio:.2f} x")


if __name__ == "__main__":
    main()
