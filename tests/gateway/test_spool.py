from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from pathlib import Path

import pytest

from tests.gateway.backend import Backend, keys_of
from tests.gateway.running import config_of, running
from tests.gateway.span_requests import traces
from wattspan.gateway.signals import Signal
from wattspan.gateway.span_reader import SpanReader
from wattspan.gateway.spool import Draft, Spool, SpoolError

MIB = 1024 * 1024


def draft(body: bytes, items: int = 1, signal: Signal = Signal.TRACES) -> Draft:
    return Draft(signal, items, time.time_ns(), {"genai/standard": body})


def test_batches_are_read_in_order_with_the_bytes_that_were_kept(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.db")
    spool.register(["a"])
    kept = spool.append([draft(b"one", 1), draft(b"two", 2), draft(b"three", 3, Signal.LOGS)])
    reader = spool.reader()
    found = reader.after(0, [Signal.TRACES], 10)
    assert [(batch.id, batch.items) for batch in found] == [(1, 1), (2, 2)]
    assert found == kept[:2]
    assert [reader.body(batch.id, "genai/standard") for batch in kept] == [b"one", b"two", b"three"]
    assert reader.backlog(0, 3, list(Signal)).items == 6
    reader.close()
    spool.close()


def test_a_batch_goes_when_all_readers_have_it_and_not_before(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.db")
    spool.register(["a", "b"])
    spool.append([draft(b"x") for _ in range(5)])
    reader = spool.reader()

    def left() -> list[int]:
        spool.settle()
        return [batch.id for batch in reader.after(0, [Signal.TRACES], 10)]

    spool.move("a", 5)
    assert left() == [1, 2, 3, 4, 5]
    spool.move("b", 2)
    assert left() == [3, 4, 5]
    spool.move("b", 1)  # never backwards
    assert left() == [3, 4, 5]
    spool.move("b", 5)
    assert left() == []
    assert spool.append([draft(b"y")])[0].id == 6
    reader.close()
    spool.close()


def test_numbers_of_batches_are_never_used_again(tmp_path: Path) -> None:
    for expected in (1, 2, 3):
        spool = Spool(tmp_path / "spool.db")
        spool.register(["a"])
        assert spool.append([draft(b"x")])[0].id == expected
        spool.move("a", expected)
        spool.close()


def test_a_new_reader_begins_after_the_newest_batch(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.db")
    spool.register(["a"])
    spool.append([draft(b"x"), draft(b"y")])
    spool.register(["a", "b"])
    assert spool.readers() == {"a": 0, "b": 2}
    spool.close()


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.db")
    with pytest.raises(SpoolError, match="another process writes to this spool; give each gateway"):
        Spool(tmp_path / "spool.db")
    spool.close()
    Spool(tmp_path / "spool.db").close()


def test_a_file_that_is_no_spool_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    path.write_bytes(b"precious" * 1000)
    with pytest.raises(SpoolError, match="file is not a database"):
        Spool(path)
    assert path.read_bytes() == b"precious" * 1000
    path.unlink()
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE mine(x)")
    other.close()
    with pytest.raises(SpoolError, match="the spool has layout 0; this version reads 1"):
        Spool(path)


def test_when_the_disk_is_full_nothing_of_the_group_is_kept_and_later_it_works_again(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.db")
    spool.register(["a"])
    spool.append([draft(b"first")])
    pages = spool._db.execute("PRAGMA page_count").fetchone()[0]
    spool._db.execute(f"PRAGMA max_page_count = {pages + 3}")
    noise = [sqlite3.connect(":memory:").execute("SELECT randomblob(60000)").fetchone()[0] for _ in range(5)]
    with pytest.raises(SpoolError, match="database or disk is full"):
        spool.append([draft(body) for body in noise])
    reader = spool.reader()
    assert [batch.id for batch in reader.after(0, [Signal.TRACES], 10)] == [1]
    spool._db.execute("PRAGMA max_page_count = 1000000")
    assert [batch.id for batch in spool.append([draft(body) for body in noise])] == [2, 3, 4, 5, 6]
    reader.close()
    spool.close()


def test_clients_are_told_to_try_again_while_the_disk_is_full_and_lose_nothing(tmp_path: Path) -> None:
    async def run() -> None:
        async with (
            Backend() as backend,
            running(config_of(tmp_path, {"endpoint": backend.endpoint})) as client,
        ):
            database = client.gateway.durable.spool._db
            pages = database.execute("PRAGMA page_count").fetchone()[0]
            database.execute(f"PRAGMA max_page_count = {pages}")
            noise = sqlite3.connect(":memory:").execute("SELECT hex(randomblob(200000))").fetchone()[0]
            body = traces(3, content=noise)
            status, answer, headers = await client.post(body)
            assert (status, headers["Retry-After"]) == (503, "1")
            assert b"the spool cannot be written" in answer
            assert (await client.get("/readyz"))[0] == 503
            assert (await client.get("/healthz"))[0] == 200
            assert backend.attempts == 0
            assert client.gateway.receiver_tallies["http"].refused == {Signal.TRACES: 3}
            database.execute("PRAGMA max_page_count = 1000000")
            assert (await client.post(body))[0] == 200
            assert (await client.get("/readyz"))[0] == 200
            await backend.has(3)
            assert backend.span_keys == keys_of(body)
            # What was refused left no trace: the calls are no copies of themselves.
            attributes = {a.key: a.value for a in backend.received[0].spans[0].attributes}
            assert attributes["wattspan.basis"].string_value == "modelled"

    asyncio.run(run())


def test_a_spool_of_a_gigabyte_is_open_within_five_seconds(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.db")
    spool.register(["d0"])
    noise = sqlite3.connect(":memory:").execute("SELECT randomblob(1048576)").fetchone()[0]
    for _ in range(16):
        spool.append([draft(noise) for _ in range(64)])
    spool._db.close()  # as a killed process leaves it
    os.close(spool._lock_file)
    assert (tmp_path / "spool.db").stat().st_size > 1024 * MIB
    begin = time.monotonic()
    spool = Spool(tmp_path / "spool.db")
    spool.register(["d0"])
    reader = spool.reader()
    assert reader.backlog(0, spool.newest, [Signal.TRACES]).batches == 1024
    assert reader.body(1, "genai/standard") == noise
    assert time.monotonic() - begin < 5
    reader.close()
    spool._db.close()
    os.close(spool._lock_file)


def test_a_span_that_came_twice_is_given_to_a_span_reader_once(tmp_path: Path) -> None:
    first, second = traces(3), traces(2)
    path = tmp_path / "spool.db"
    spool = Spool(path)
    spool.register(["lake"])
    spool.append([draft(first, 3), draft(second + first, 5)])
    spool.append([draft(second + second, 4)])
    reader = SpanReader(spool, "lake", "genai/standard")
    portion = reader.read()
    assert portion is not None
    assert (portion.batch, portion.body, portion.is_first.tolist()) == (1, first, [True] * 3)
    reader.commit(portion)
    reader.close()
    spool.close()

    spool = Spool(path)
    spool.register(["lake"])
    reader = SpanReader(spool, "lake", "genai/standard")
    again = reader.read()
    assert again is not None
    assert (again.batch, again.is_first.tolist()) == (2, [True] * 2 + [False] * 3)
    assert again.keys == b"".join(trace + span for trace, span in keys_of(second + first))
    reader.commit(again)
    last = reader.read()
    assert last is not None
    assert last.is_first.tolist() == [False] * 4
    reader.commit(last)
    assert reader.read() is None
    reader.close()
    spool.close()


def test_a_span_reader_remembers_so_many_spans_and_no_more(tmp_path: Path) -> None:
    bodies = [traces(10) for _ in range(4)]
    spool = Spool(tmp_path / "spool.db")
    spool.register(["lake"])
    spool.append([draft(body, 10) for body in (*bodies, bodies[3], bodies[0])])
    reader = SpanReader(spool, "lake", "genai/standard", remembered=20)
    firsts = []
    while portion := reader.read():
        firsts.append(int(portion.is_first.sum()))
        reader.commit(portion)
    assert firsts == [10, 10, 10, 10, 0, 10]
    assert spool._db.execute("SELECT count(*) FROM seen").fetchone() == (2,)
    reader.close()
    spool.close()
