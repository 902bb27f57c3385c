"""Several workers fill one lake: a process of its own reads all their spools, so that traces meet in it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.decisions.decision_spans import chat, message
from tests.gateway.backend import Backend
from tests.gateway.test_workers import Group, started, write_config
from wattspan.lake.check import check
from wattspan.lake.reader import open_snapshot

TRACES = 12


def with_lake(path: Path, folder: Path, **settings: object) -> Path:
    content = json.loads(path.read_text())
    content["lake"] = {"folder": str(folder), "seal_after_s": 1.0, **settings}
    content["web"] = {"enabled": True}
    path.write_text(json.dumps(content))
    return path


def span_of(trace: int, number: int, parent: int = 0) -> bytes:
    """A call of a trace; that of number 2 is a copy of number 1's, one level up."""
    span = chat(number, {"gen_ai.response.id": f"response-{trace}"}, parent=parent)
    span.trace_id = trace.to_bytes(16, "big")
    return message([span])


async def until(is_true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await is_true():
            await asyncio.sleep(0.1)


def answers(folder: Path) -> tuple[int, int, int]:
    """Spans, traces, and calls that are counted."""
    query = "SELECT count(*), count(DISTINCT trace_id), count(*) FILTER (is_owner) FROM spans"
    found: tuple[int, int, int] = open_snapshot(folder).connect().execute(query).fetchone()
    return found


async def sealed(group: Group, folder: Path, spans: int) -> None:
    async def is_there() -> bool:
        return (folder / "manifest.json").exists() and answers(folder)[0] == spans

    await until(is_there)
    await until(lambda: is_taken(group))


async def is_taken(group: Group) -> bool:
    """Nothing waits for the lake in any spool."""
    waiting = await group.by_worker("wattspan_lake_queued_batches")
    return set(waiting) == {"0", "1"} and not any(waiting.values())


def lake_process(group: Group) -> int:
    for pid in group.workers:
        if b"lake_process" in Path(f"/proc/{pid}/cmdline").read_bytes():
            return pid
    raise AssertionError("no lake process")


def test_spans_of_a_trace_meet_whichever_workers_took_them_in(tmp_path: Path) -> None:
    folder = tmp_path / "lake"

    async def run() -> None:
        async with Backend() as backend:
            path = with_lake(write_config(tmp_path, backend.endpoint, 2), folder)
            async with started(path) as group:
                assert len(group.workers) == 3
                for trace in range(1, TRACES + 1):
                    # each request over a connection of its own, so to any worker
                    assert await group.post(span_of(trace, 1, parent=2)) == 200
                    assert await group.post(span_of(trace, 2)) == 200
                accepted = await group.by_worker("wattspan_receiver_accepted_spans_total")
                assert set(accepted) == {"0", "1"}
                assert all(accepted.values())
                await sealed(group, folder, 2 * TRACES)
                # each call is counted once, its copy is not
                assert answers(folder) == (2 * TRACES, TRACES, TRACES)
                assert await group.by_worker("wattspan_lake_spans_total") == {"lake": 2 * TRACES}
                assert await group.by_worker("wattspan_workers") == {"": 2}
                assert await group.get("/healthz") == (200, '{"status": "ok", "reasons": []}')
                # the page over the lake is where the probes are
                status, listed = await group.get("/api/traces")
                assert (status, json.loads(listed)["total"]) == (200, TRACES)
                await group.end()

    asyncio.run(run())
    assert check(folder).findings == []


def test_the_lake_goes_on_where_it_was_after_kills(tmp_path: Path) -> None:
    folder = tmp_path / "lake"

    async def run() -> None:
        async with Backend() as backend:
            path = with_lake(write_config(tmp_path, backend.endpoint, 2), folder)
            async with started(path) as group:
                for trace in range(1, 7):
                    assert await group.post(span_of(trace, 1)) == 200
                os.kill(lake_process(group), signal.SIGKILL)
                await group.line(r"worker lake ended with status -9; it is started again")
                for trace in range(7, 13):
                    assert await group.post(span_of(trace, 1)) == 200
                await sealed(group, folder, 12)
                lake = lake_process(group)
                os.kill(next(pid for pid in group.workers if pid != lake), signal.SIGKILL)
                await group.line(r"worker \d ended with status -9; it is started again")
                # what is in the lake is not waiting in the spool of the new worker either
                await until(lambda: is_taken(group))
                await group.end()
            # fewer workers: the spool that is left over is read by the lake, too, before it is deleted
            path = with_lake(write_config(tmp_path, backend.endpoint, 1), folder)
            async with started(path) as group:
                assert await group.post(span_of(13, 1)) == 200

                async def is_drained() -> bool:
                    return not (tmp_path / "spool" / "spool-1.db").exists() and answers(folder)[0] == 13

                await until(is_drained)
                await group.end()

    asyncio.run(run())
    assert answers(folder) == (13, 13, 13)
    assert check(folder).findings == []
