"""The gateway beside rotel, a collector in Rust: one core each in turn, same load, same compression.

Full load says what a processor second is worth; half of it, sent at fixed times whatever comes back, how long
an acknowledgement takes. The `rotel` package is in requirements-bench.txt; ROTEL_AGENT may name a binary.
"""

from __future__ import annotations

import asyncio
import importlib.util
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
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from multiprocessing import Process
from pathlib import Path

import grpc
import httptools
import numpy as np
import uvloop

from benchmarks import wire
from wattspan.otlp.wire import scan

SECONDS = 5.0
CONNECTIONS = 8
PACED_CONNECTIONS = 32
MOST_BYTES = 450_000_000
"""Room for requests made beforehand: each goes out once, as no span comes twice in life."""

OURS = {
    "none": "wattspan: enriched, durable, plain out",
    "gzip": "wattspan: enriched, durable, gzip out",
    "lake": "wattspan: the same, lake on",
    "grpc": "wattspan: gRPC in, enriched, durable, plain out",
}

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
    base = bytearray(wire.request(0, spans))
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
    half_p50_ms: float
    half_p99_ms: float
    rss_mib: float


Post = Callable[[bytes], None]
"""Sends a request and waits for its acknowledgement."""


@contextmanager
def http_client(port: int) -> Iterator[Post]:
    """One connection of OTLP/HTTP."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def post(body: bytes) -> None:
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

        yield post


@contextmanager
def grpc_client(port: int) -> Iterator[Post]:
    """One connection of OTLP/gRPC."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
        grpc.channel_ready_future(channel).result(timeout=60)
        export = channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")

        def post(body: bytes) -> None:
            export(body)

        yield post


Client = Callable[[int], AbstractContextManager[Post]]


def in_threads(work: Callable[[int], None], n: int) -> float:
    """Run `work(0)` ... `work(n - 1)`; how long all took together. Raises RuntimeError where one failed."""
    faults: list[BaseException] = []

    def run(number: int) -> None:
        try:
            work(number)
        except Exception as error:
            faults.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(n)]
    begin = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise RuntimeError(str(faults[0]))
    return time.monotonic() - begin


def blast(port: int, requests: list[bytes], spans: int, pid: int, client: Client) -> tuple[float, float]:
    """Post `requests` as fast as they are answered, SECONDS at most: spans a second and per CPU second."""
    sent = [0] * CONNECTIONS
    end = time.monotonic() + SECONDS

    def work(number: int) -> None:
        with client(port) as post:
            for body in requests[number::CONNECTIONS]:
                if time.monotonic() > end:
                    return
                post(body)
                sent[number] += 1

    cpu = _cpu_s(pid)
    elapsed = in_threads(work, CONNECTIONS)
    time.sleep(1.0)  # what still has to go out is part of the work
    n = sum(sent) * spans
    return n / elapsed, n / (_cpu_s(pid) - cpu)


def paced(port: int, requests: list[bytes], per_s: float, client: Client) -> list[float]:
    """Post `requests` at fixed times: milliseconds from then to each acknowledgement."""
    taken: list[float] = []
    n = min(len(requests), int(per_s * SECONDS))
    begin: list[float] = []
    connected = threading.Barrier(PACED_CONNECTIONS, lambda: begin.append(time.monotonic() + 0.1))

    def work(number: int) -> None:
        with client(port) as post:
            connected.wait(60)
            for i in range(number, n, PACED_CONNECTIONS):
                due = begin[0] + i / per_s
                time.sleep(max(0.0, due - time.monotonic()))
                post(requests[i])
                taken.append((time.monotonic() - due) * 1e3)

    in_threads(work, PACED_CONNECTIONS)
    return taken


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _rss_mib(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def gateway_command(
    directory: Path,
    port: int,
    sink_port: int,
    compression: str,
    *,
    receiver: str = "http",
    lake: bool = False,
) -> list[str]:
    """Our process."""
    destination = {
        "name": "sink",
        "endpoint": f"http://127.0.0.1:{sink_port}",
        "compression": compression,
    }
    config = directory / "gateway.json"
    gateway = {
        "http": {"enabled": False},
        "grpc": {"enabled": False},
        "telemetry": {"port": 0},
        "spool": {"directory": str(directory / "spool")},
        "destinations": [destination],
        receiver: {"port": port},
    }
    rooms = {"lake": {"folder": str(directory / "lake")}} if lake else {}
    config.write_text(json.dumps({"gateway": gateway, **rooms}))
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


def measure(
    name: str, command: list[str], port: int, requests: list[bytes], spans: int, client: Client = http_client
) -> Result | None:
    """Run `command`, load it, print what it did."""
    environ = {**os.environ, "LD_LIBRARY_PATH": sysconfig.get_config_var("LIBDIR") or ""}
    process = subprocess.Popen(
        command, env=environ, preexec_fn=lambda: _pin(0), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    full = len(requests) * 2 // 3
    try:
        _wait_for(port, process)
        per_s, per_cpu_s = blast(port, requests[:full], spans, process.pid, client)
        taken = paced(port, requests[full:], per_s / spans / 2, client)
        p50, p99 = (float(np.quantile(taken, q)) for q in (0.5, 0.99))
        result = Result(per_s, per_cpu_s, p50, p99, _rss_mib(process.pid))
    except (RuntimeError, OSError) as error:
        print(f"{name:48} failed: {error}")
        return None
    finally:
        process.terminate()
        process.wait(30)
    print(
        f"{name:48}{per_s / 1e3:7.1f} k spans/s {per_cpu_s / 1e3:7.1f} k per CPU s"
        f"   at half load p50 {p50:6.1f} ms  p99 {p99:6.1f} ms   {result.rss_mib:4.0f} MiB"
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


def rotel_agent() -> str | None:
    """Where the binary is."""
    package = importlib.util.find_spec("rotel")
    packed = Path(package.origin).with_name("rotel-agent") if package and package.origin else None
    return os.environ.get("ROTEL_AGENT") or (str(packed) if packed and packed.exists() else None)


def main() -> None:
    agent = rotel_agent()
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
        for name, client, settings in (
            ("none", http_client, {"compression": "none"}),
            ("gzip", http_client, {"compression": "gzip"}),
            ("lake", http_client, {"compression": "gzip", "lake": True}),
            ("grpc", grpc_client, {"compression": "none", "receiver": "grpc"}),
        ):
            port = free_port()
            for folder in ("spool", "lake"):
                shutil.rmtree(directory / folder, ignore_errors=True)
            command = gateway_command(directory, port, sink_port, **settings)
            ours[name] = measure(OURS[name], command, port, requests, spans, client)
        if ours["none"] and ours["grpc"]:
            ratio = ours["grpc"].spans_per_cpu_s / ours["none"].spans_per_cpu_s
            print(f"gRPC in / HTTP in, per CPU second: {ratio:.2f} x")
        if agent is None:
            print("rotel: not run (its package is not installed, and ROTEL_AGENT names no binary)")
            return
        for name, has_processor in (("pass-through", False), ("with a Python processor", True)):
            port = free_port()
            command = rotel_command(agent, directory, port, sink_port, has_processor=has_processor)
            theirs = measure(f"rotel: {name}, gzip out", command, port, requests, spans)
            for lake in ("gzip", "lake"):
                mine = ours[lake]
                if theirs and mine:
                    ratio = mine.spans_per_cpu_s / theirs.spans_per_cpu_s
                    state = "on" if lake == "lake" else "off"
                    print(f"wattspan / rotel {name}, per CPU second, gzip out, lake {state}: {ratio:.2f} x")


if __name__ == "__main__":
    main()
