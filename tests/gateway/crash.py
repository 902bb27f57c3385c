"""Kill the gateway with SIGKILL at random moments under load; nothing that it acknowledged may be lost.

By hand: `python -m tests.gateway.crash 200 [SEED]`. The test suite does a few rounds.
"""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path

import aiohttp
from aiohttp import web

from tests.gateway.backend import Backend, SpanKey, keys_of
from tests.gateway.killed_process import complete
from tests.gateway.running import PROTOBUF, QUICK
from tests.gateway.span_requests import traces

CLIENTS = 6


class Crash:
    """The rounds, and what the clients and the destination know."""

    def __init__(self, directory: Path, seed: int) -> None:
        self.rng = random.Random(seed)
        self.log = directory / "lake.log"
        self.config = directory / "gateway.yaml"
        self.directory = directory
        self.acknowledged: list[SpanKey] = []
        self.unanswered: list[bytes] = []
        self.sent_again = 0
        self.backend = Backend()

    def write_config(self) -> None:
        destination = {"name": "d", "endpoint": self.backend.endpoint, "retry": QUICK}
        gateway = {
            "http": {"port": 0},
            "grpc": {"port": 0},
            "telemetry": {"port": 0},
            "spool": {"directory": str(self.directory / "spool"), "batch_bytes": 20_000},
            "destinations": [destination],
        }
        self.config.write_text(json.dumps({"gateway": gateway}))

    async def process(self) -> tuple[asyncio.subprocess.Process, int]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.gateway.killed_process", str(self.config), str(self.log)),
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        return process, int(await asyncio.wait_for(process.stdout.readline(), 60))

    async def client(self, session: aiohttp.ClientSession, port: int) -> None:
        """Post one request after another until the gateway is gone."""
        while True:
            if self.unanswered and self.rng.random() < 0.7:
                body = self.unanswered.pop()
                self.sent_again += 1
            else:
                body = traces(self.rng.choice([1, 3, 20, 200]), padding=self.rng.choice([0, 50, 3000]))
            try:
                async with session.post(
                    f"http://127.0.0.1:{port}/v1/traces", data=body, headers={"Content-Type": PROTOBUF}
                ) as response:
                    status = response.status
            except (aiohttp.ClientError, OSError):
                self.unanswered.append(body)
                return
            if status == 200:
                self.acknowledged += keys_of(body)
            else:
                assert status in (429, 503)
                self.unanswered.append(body)

    async def round(self) -> None:
        process, port = await self.process()
        mood = self.rng.random()
        self.backend.delay_s = 0.05 if mood < 0.2 else 0.0
        self.backend.answer = _failing if 0.2 <= mood < 0.4 else _taking
        async with aiohttp.ClientSession() as session:
            clients = [asyncio.create_task(self.client(session, port)) for _ in range(CLIENTS)]
            await asyncio.sleep(self.rng.random() * self.rng.choice([0.05, 0.3, 1.0]))
            process.send_signal(signal.SIGKILL)
            await process.wait()
            await asyncio.gather(*clients)

    async def settle(self) -> None:
        """Start once more, leave it in peace until all is delivered, stop it."""
        self.backend.delay_s, self.backend.answer = 0.0, _taking
        process, _ = await self.process()
        async with asyncio.timeout(120):
            while not set(self.acknowledged) <= set(self.backend.span_keys):
                await asyncio.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 30) == 0

    def verdict(self) -> str:
        """What was seen. Raises AssertionError where a span was lost, torn or counted twice."""
        acknowledged, delivered = set(self.acknowledged), set(self.backend.span_keys)
        read = Counter(key for _, keys in complete(self.log) for key in keys)
        lost = acknowledged - delivered
        assert not lost, f"{len(lost)} acknowledged spans never reached the destination"
        missing = {trace + span for trace, span in acknowledged} - set(read)
        assert not missing, f"{len(missing)} acknowledged spans never reached the reader"
        twice = [key for key, count in read.items() if count != 1]
        assert not twice, f"{len(twice)} spans were given to the reader more than once"
        return (
            f"{len(acknowledged)} spans acknowledged, all delivered; {len(self.backend.span_keys)} arrived "
            f"at the destination ({len(delivered)} different), {len(read)} at the reader, each once; "
            f"{self.sent_again} requests sent again"
        )


def _taking(request: web.BaseRequest) -> web.Response | None:
    return None


def _failing(request: web.BaseRequest) -> web.Response:
    return web.Response(status=503)


async def crash(directory: Path, rounds: int, seed: int) -> str:
    """Run `rounds` and judge them."""
    trial = Crash(directory, seed)
    async with trial.backend:
        trial.write_config()
        for number in range(rounds):
            await trial.round()
            if rounds > 20 and number % 20 == 19:
                print(f"round {number + 1}: {len(trial.acknowledged)} spans acknowledged", flush=True)
        await trial.settle()
        return trial.verdict()


if __name__ == "__main__":
    n_rounds = int(sys.argv[1])
    chosen = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(10**6)
    print(f"seed {chosen}")
    with tempfile.TemporaryDirectory() as place:
        print(asyncio.run(crash(Path(place), n_rounds, chosen)))
