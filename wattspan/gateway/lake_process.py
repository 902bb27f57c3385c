"""The lake's process in a gateway of several workers: it reads the spools of all of them.

All spans of a trace must meet in one place, whichever worker took them in. `python -m
wattspan.gateway.lake_process`; it speaks with the supervisor as a worker does (`worker_process`). With the
first configuration come the spools, `{"spools": {"0": path, ...}}`; it tells, unasked, how far it has read:
`{"moved": {"0": batch}}`, which the supervisor passes on to the worker that the spool belongs to.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from functools import partial
from pathlib import Path
from typing import Any, Final

import uvloop
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from wattspan.gateway import garbage, journal
from wattspan.gateway.lake_intake import LakeCollector, LakeIntake, Source
from wattspan.gateway.settings import ServeConfig
from wattspan.gateway.worker_process import first_word, say

log: Final = logging.getLogger(__name__)


async def keep_lake() -> int:
    """Fill the lake until the supervisor ends it; the exit status."""
    stop, lines, first = await first_word()
    if first is None:
        return 0
    config = ServeConfig.model_validate(first["config"]["config"])
    journal.set_up(config.gateway.telemetry.log_format, worker="lake")
    try:
        sources = [
            Source(Path(path), partial(_tell, int(number)))
            for number, path in first["config"]["spools"].items()
        ]
        intake = LakeIntake(config, sources)
    except (OSError, ValueError) as error:
        say(first["id"], fault=str(error))
        return 1
    registry = CollectorRegistry()
    registry.register(LakeCollector(intake))
    intake.start()
    garbage.settle()
    say(first["id"], fault=None)
    obeying = asyncio.create_task(_obey(lines, registry, stop))
    await stop.wait()
    obeying.cancel()
    await asyncio.gather(obeying, return_exceptions=True)
    await asyncio.to_thread(intake.stop, config.gateway.drain_s)
    return 0


async def _obey(lines: asyncio.StreamReader, registry: CollectorRegistry, stop: asyncio.Event) -> None:
    while line := await lines.readline():
        order: dict[str, Any] = json.loads(line)
        if "config" in order:
            # What the lake is made with cannot change while the gateway runs.
            say(order["id"], fault=None)
        else:
            say(order["id"], metrics=generate_latest(registry).decode(), not_ready=[])
    stop.set()


def _tell(number: int, cursor: int) -> None:
    say(None, moved={number: cursor})


if __name__ == "__main__":
    sys.exit(uvloop.run(keep_lake()))
