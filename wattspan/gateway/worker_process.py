"""`WorkerProcess`: a worker as its supervisor sees it.

They speak JSON, one object a line. To the worker's standard input: `{"config": {...}, "id": 0}` first and
with each new configuration, `{"ask": "state", "id": n}`; its end means: drain and end, also where the
supervisor was killed. From its standard output, the answers: `{"id": n, ...}`.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
from dataclasses import dataclass
from typing import Any, Final

from wattspan.gateway.seat import Seat

MOST_LINE_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class WorkerState:
    """How a worker is."""

    metrics: str
    """Its page of metrics."""
    not_ready: list[str]


class WorkerProcess:
    """One process of a gateway."""

    def __init__(self, process: asyncio.subprocess.Process, config: str) -> None:
        """Use `start`."""
        self._process = process
        self._numbers = itertools.count()
        self._answers: dict[int, asyncio.Future[dict[str, Any] | None]] = {}
        self._began = self._ask("config", json.loads(config))
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, seat: Seat, config: str) -> WorkerProcess:
        """Start a process that takes `seat` under the JSON text `config`."""
        module = "wattspan.gateway.worker"
        kind = ["--draining"] if seat.is_draining else []
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module, "--number", str(seat.number), *kind),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=MOST_LINE_BYTES,
        )
        return cls(process, config)

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
            answer = self._answers.pop(content["id"], None)
            if answer is not None and not answer.done():
                answer.set_result(content)
        for answer in self._answers.values():
            if not answer.done():
                answer.set_result(None)
        self._answers.clear()


def _fault(answer: dict[str, Any] | None) -> str | None:
    if answer is None:
        return "it ended before it served"
    fault = answer["fault"]
    return None if fault is None else str(fault)
