"""`WorkerProcess`: a worker as its supervisor sees it.

They speak JSON, one object a line. To the worker's standard input: `{"config": {...}, "id": 0}` first and
with each new configuration, `{"ask": "state", "id": n}`, and `{"moved": batch}` as the lake reads its spool;
its end means: drain and end, also where the supervisor was killed. From its standard output, the answers:
`{"id": n, ...}`.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from wattspan.gateway.seat import Seat

_SPEAKING: Final = threading.Lock()
MOST_LINE_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class WorkerState:
    """How a worker is."""

    metrics: str
    """Its page of metrics."""
    not_ready: list[str]


async def first_word() -> tuple[asyncio.Event, asyncio.StreamReader, dict[str, Any] | None]:
    """In a process that a supervisor started: what ends it (an event), what it hears, and the first of that.

    None where the supervisor ended before it spoke. The file of settings is the supervisor's to read again.
    """
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    lines = asyncio.StreamReader(limit=MOST_LINE_BYTES)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    return stop, lines, json.loads(await lines.readline() or "null")


class WorkerProcess:
    """One process of a gateway."""

    def __init__(
        self, process: asyncio.subprocess.Process, config: str, on_moved: Callable[[Mapping[str, int]], None]
    ) -> None:
        """Use `start`."""
        self._process = process
        self._on_moved = on_moved
        self._numbers = itertools.count()
        self._answers: dict[int, asyncio.Future[dict[str, Any] | None]] = {}
        self._began = self._ask("config", json.loads(config))
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def start(
        cls, seat: Seat, config: str, on_moved: Callable[[Mapping[str, int]], None] = lambda _: None
    ) -> WorkerProcess:
        """Start a process that takes `seat` under the JSON text `config`.

        `on_moved` is told of the spools' numbers and how far the lake has read them.
        """
        module = "lake_process" if seat.is_lake else "worker"
        kind = [] if seat.is_lake else ["--number", str(seat.number)]
        kind += ["--draining"] if seat.is_draining else []
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", f"wattspan.gateway.{module}", *kind),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=MOST_LINE_BYTES,
        )
        return cls(process, config, on_moved)

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    async def began(self) -> str | None:
        """Wait until it serves; why it cannot, else None."""
        return _fault(await self._began)

    async def reload(self, config: str) -> str | None:
        """Have it take over another configuration; why it cannot, else None. One that is dead can."""
        answer = await self._ask("config", json.loads(config))
        return _fault(answer) if answer is not None else None

    async def state(self) -> WorkerState | None:
        """How it is; None where it is dead."""
        answer = await self._ask("ask", "state")
        return WorkerState(answer["metrics"], answer["not_ready"]) if answer else None

    def lake_moved(self, cursor: int) -> None:
        """Tell it that the lake has everything of its spool up to a batch. There is no answer."""
        assert self._process.stdin is not None
        if not self._process.stdin.is_closing():
            self._process.stdin.write(json.dumps({"moved": cursor}).encode() + b"\n")

    def end(self) -> None:
        """Tell it to drain and to end."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def kill(self) -> None:
        """End it at once."""
        if self._process.returncode is None:
            self._process.kill()

    async def ended(self) -> int:
        """Wait for its end; its exit status."""
        status = await self._process.wait()
        await self._reading
        return status

    def _ask(self, what: str, content: object) -> asyncio.Future[dict[str, Any] | None]:
        answer: asyncio.Future[dict[str, Any] | None] = asyncio.get_running_loop().create_future()
        assert self._process.stdin is not None
        if self._process.stdin.is_closing():
            answer.set_result(None)
            return answer
        number = next(self._numbers)
        self._answers[number] = answer
        self._process.stdin.write(json.dumps({what: content, "id": number}).encode() + b"\n")
        return answer

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            content = json.loads(line)
            if content["id"] is None:
                self._on_moved(content["moved"])
                continue
            answer = self._answers.pop(content["id"], None)
            if answer is not None and not answer.done():
                answer.set_result(content)
        for answer in self._answers.values():
            if not answer.done():
                answer.set_result(None)
        self._answers.clear()


def say(number: int | None, **answer: object) -> None:
    """In a worker: answer order `number`, or tell something unasked (None)."""
    line = json.dumps({"id": number, **answer}).encode() + b"\n"
    with _SPEAKING:
        while line:
            try:
                line = line[os.write(sys.stdout.fileno(), line) :]
            except BrokenPipeError:
                # The supervisor is gone; the end of standard input says so, too.
                return


def _fault(answer: dict[str, Any] | None) -> str | None:
    if answer is None:
        return "it ended before it served"
    fault = answer["fault"]
    return None if fault is None else str(fault)
