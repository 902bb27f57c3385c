"""A neighbour's process, from its start until it listens to its end."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path


def free_port() -> int:
    """A port that is free on loopback now, for programs that cannot choose one."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@asynccontextmanager
async def listening(
    *command: str | Path,
    port: int,
    directory: Path,
    environ: Mapping[str, str] | None = None,
    within_s: float = 240,
) -> AsyncIterator[None]:
    """Run `command` until the block ends; the block begins when `port` answers.

    `directory` is its working directory and home, and takes its output. Raises AssertionError with the end of
    the output where it does not come up.
    """
    output = directory / f"{Path(command[0]).name}.log"
    own = {"PATH": os.environ["PATH"], "HOME": str(directory), "NO_PROXY": "*", **(environ or {})}
    with output.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            *map(str, command), cwd=directory, env=own, stdout=file, stderr=file
        )
        try:
            async with asyncio.timeout(within_s):
                while not await _answers(port):
                    assert process.returncode is None, output.read_text(errors="replace")[-2000:]
                    await asyncio.sleep(0.05)
            yield
        finally:
            if process.returncode is None:
                process.terminate()
            try:
                await asyncio.wait_for(process.wait(), 20)
            except TimeoutError:
                process.kill()
                await process.wait()


async def _answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


async def run(*command: str | Path, directory: Path, within_s: float = 120) -> str:
    """What `command` prints. Raises AssertionError with what it said where it fails."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        cwd=directory,
        env={"PATH": os.environ["PATH"], "HOME": str(directory), "NO_PROXY": "*"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, error = await asyncio.wait_for(process.communicate(), within_s)
    assert process.returncode == 0, error.decode(errors="replace")[-2000:]
    return out.decode()
