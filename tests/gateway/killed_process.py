"""The process that the crash test kills: a gateway, and a reader that writes down each span it is given.

`python -m tests.gateway.killed_process CONFIG LOG`
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from pathlib import Path

import uvloop

from wattspan.gateway.configuration import load_serve_config
from wattspan.gateway.server import Gateway
from wattspan.gateway.span_reader import SpanReader

END = b"END\n"


def complete(log: Path) -> list[tuple[int, list[bytes]]]:
    """Batches that were written down whole: number and span keys, in order."""
    found = []
    data = log.read_bytes() if log.exists() else b""
    at = 0
    while at + 16 <= len(data):
        batch, size = (int.from_bytes(data[at + i : at + i + 8], "big") for i in (0, 8))
        end = at + 16 + size + len(END)
        if data[end - len(END) : end] != END or end > len(data):
            break
        keys = data[at + 16 : at + 16 + size]
        found.append((batch, [keys[i : i + 24] for i in range(0, size, 24)]))
        at = end
    return found


def length(log: Path) -> int:
    return sum(16 + 24 * len(keys) + len(END) for _, keys in complete(log))


def write_down(reader: SpanReader, log: Path, stop: threading.Event) -> None:
    """What the lake does: make a portion durable under its number, then move on."""
    last = max((batch for batch, _ in complete(log)), default=0)
    file = os.open(log, os.O_RDWR | os.O_CREAT)
    os.ftruncate(file, length(log))
    os.lseek(file, 0, os.SEEK_END)
    while True:
        portion = reader.read()
        if portion is None:
            if stop.wait(0.01):
                return
            continue
        if portion.batch > last:
            keys = b"".join(
                portion.keys[24 * i : 24 * i + 24] for i, first in enumerate(portion.is_first) if first
            )
            head = portion.batch.to_bytes(8, "big") + len(keys).to_bytes(8, "big")
            os.write(file, head + keys + END)
            os.fsync(file)
        reader.commit(portion)


async def main(config_file: Path, log: Path) -> None:
    gateway = Gateway(load_serve_config(config_file, {}), readers=["lake"])
    stop, done = asyncio.Event(), threading.Event()
    asyncio.get_running_loop().add_signal_handler(15, stop.set)
    reader = SpanReader(gateway.durable.spool, "lake", "genai/standard")
    thread = threading.Thread(target=write_down, args=(reader, log, done))
    thread.start()
    await gateway.start()
    print(gateway.http.port, flush=True)
    await stop.wait()
    done.set()
    await asyncio.to_thread(thread.join)
    await gateway.stop()


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
