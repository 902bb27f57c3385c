"""Kill workers of a gateway with SIGKILL under load, now and then all of them with their supervisor.

By hand: `python -m tests.gateway.crash_workers 100 [SEED]`; 2 workers, one kill a round.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from tests.gateway.backend import Backend, SpanKey, keys_of
from tests.gateway.span_requests import traces
from tests.gateway.test_workers import Group, started, write_config

CLIENTS = 6
KILLS_OF_ALL = 0.1


async def crash(directory: Path, rounds: int, seed: int) -> str:
    """Kill `rounds` times; every acknowledged span must arrive. Raises AssertionError where one does not."""
    rng = random.Random(seed)
    acknowledged: list[SpanKey] = []
    unanswered: list[bytes] = []

    async def client(group: Group, stop: asyncio.Event) -> None:
        while not stop.is_set():
            body = unanswered.pop() if unanswered and rng.random() < 0.7 else traces(rng.choice([1, 5, 50]))
            if await group.post(body) == 200:
                acknowledged.extend(keys_of(body))
            else:
                unanswered.append(body)
                await asyncio.sleep(0.01)

    killed = 0
    async with Backend() as backend:
        path = write_config(directory, backend.endpoint, 2)
        while killed < rounds:
            async with started(path) as group:
                stop = asyncio.Event()
                clients = [asyncio.create_task(client(group, stop)) for _ in range(CLIENTS)]
                while killed < rounds:
                    await asyncio.sleep(rng.random())
                    killed += 1
                    is_all = rng.random() < KILLS_OF_ALL
                    workers = group.workers
                    victims = (
                        [group.process.pid, *workers] if is_all else rng.sample(workers, min(1, len(workers)))
                    )
                    for pid in victims:
                        with suppress(ProcessLookupError):
                            os.kill(pid, signal.SIGKILL)
                    if is_all:
                        await group.process.wait()
                        break
                stop.set()
                await asyncio.gather(*clients)
        async with started(path) as group:
            async with asyncio.timeout(120):
                while not set(acknowledged) <= set(backend.span_keys):
                    await asyncio.sleep(0.2)
            await group.end()
        different = len(set(acknowledged))
        arrived = backend.span_keys
        return (
            f"{killed} kills; {different} spans acknowledged, all delivered; {len(arrived)} arrived "
            f"({len(set(arrived))} different)"
        )


if __name__ == "__main__":
    n_rounds = int(sys.argv[1])
    chosen = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(10**6)
    print(f"seed {chosen}")
    with tempfile.TemporaryDirectory() as place:
        print(asyncio.run(crash(Path(place), n_rounds, chosen)))
