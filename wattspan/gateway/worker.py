"""One worker of a gateway of several processes; its supervisor starts it and speaks with it.

`python -m wattspan.gateway.worker --number N [--draining]`; see `WorkerProcess` for what is said.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
from typing import Any, Final

import uvloop

from wattspan.gateway import garbage, journal
from wattspan.gateway.seat import Seat
from wattspan.gateway.server import Gateway
from wattspan.gateway.settings import ServeConfig
from wattspan.gateway.worker_process import first_word, say

log: Final = logging.getLogger(__name__)


async def work(seat: Seat) -> int:
    """Serve until the supervisor ends it, or until the spool is drained; the exit status."""
    stop, lines, first = await first_word()
    if first is None:
        return 0
    config = ServeConfig.model_validate(first["config"])
    journal.set_up(config.gateway.telemetry.log_format, worker=seat.name)
    try:
        gateway = Gateway(config, seat=seat)
        await gateway.start()
    except (OSError, ValueError) as error:
        say(first["id"], fault=str(error))
        return 1
    garbage.settle()
    say(first["id"], fault=None)
    tasks = [asyncio.create_task(_obey(lines, gateway, stop))]
    if seat.is_draining and gateway.durable is not None:
        tasks.append(asyncio.create_task(_until_empty(gateway.durable.emptied(), stop)))
    await stop.wait()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await gateway.stop()
    return 0


async def _obey(lines: asyncio.StreamReader, gateway: Gateway, stop: asyncio.Event) -> None:
    while line := await lines.readline():
        order = json.loads(line)
        if "moved" in order:
            gateway.lake_moved(order["moved"])
        elif "config" in order:
            say(order["id"], fault=await _reloaded(gateway, order["config"]))
        else:
            metrics = (await gateway.metrics()).decode()
            say(order["id"], metrics=metrics, not_ready=await gateway.why_not_ready())
    stop.set()


async def _reloaded(gateway: Gateway, config: object) -> str | None:
    try:
        await gateway.reload(ServeConfig.model_validate(config))
    except (OSError, ValueError) as error:
        return str(error)
    return None


async def _until_empty(emptied: Any, stop: asyncio.Event) -> None:
    await emptied
    stop.set()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--number", type=int, required=True)
    parser.add_argument("--draining", action="store_true")
    given = parser.parse_args()
    sys.exit(uvloop.run(work(Seat(given.number, is_shared=True, is_draining=given.draining))))
