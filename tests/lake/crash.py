"""Kill the lake's writer with SIGKILL at random moments while it writes, seals, rejoins and compacts.

By hand: `python -m tests.lake.crash 100 [SEED [SECONDS]]`, SECONDS being the longest that a writer lives, of
which a busy machine needs more to write anything. The test suite does a few rounds. Nothing acknowledged may
be lost, nothing may be there twice, and a reader beside it may see neither an error nor fewer spans than
before.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import lake_spans
from wattspan.estimator import Estimator
from wattspan.lake.cells import add_cells
from wattspan.lake.check import check
from wattspan.lake.compact import compact
from wattspan.lake.features import FeatureRules
from wattspan.lake.manifest import FILE
from wattspan.lake.reader import open_snapshot
from wattspan.lake.rows import SpanRows
from wattspan.lake.seal import Sealer
from wattspan.lake.settings import LakeSettings
from wattspan.lake.writer import LakeWriter
from wattspan.views.cells import cells_of
from wattspan.views.rollup import Question, roll_up

SETTINGS = LakeSettings(grace_s=2.0, most_open_spans=3_000, portion_spans=1_500)
HALVES = 2
SEALER = Sealer(Estimator(), FeatureRules())


def half(seed: int, part: int) -> SpanRows:
    """Spans of a few traces: those of one half come at one time, the others later."""
    rows = lake_spans.rows(100 + seed % 7 * 100, seed=seed, days=2)
    return rows.take(rows.span_id % np.uint64(HALVES) == np.uint64(part))


def write(folder: Path, log: Path, first_seed: int) -> None:
    """The process that is killed."""
    choose = random.Random(first_seed)
    acknowledged = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    waiting: list[tuple[int, int]] = []
    seed = first_seed
    with LakeWriter(folder, SEALER, SETTINGS) as writer:
        os.write(acknowledged, b"open\n")
        while True:
            waiting += [(seed, part) for part in range(HALVES)]
            seed += 1
            batch = [
                waiting.pop(choose.randrange(len(waiting))) for _ in range(choose.randint(1, len(waiting)))
            ]
            writer.ingest([half(*one) for one in batch])
            os.write(acknowledged, "".join(f"{one} {part}\n" for one, part in batch).encode())
            if choose.random() < 0.2:
                # A client that got no answer sends again.
                waiting += batch
            if choose.random() < 0.4:
                writer.seal_all()
            if choose.random() < 0.2:
                compact(writer, everything=choose.random() < 0.5)
            if choose.random() < 0.3:
                add_cells(writer, cells_of, from_rows=200)
            writer.tick()


def fork(folder: Path, log: Path) -> None:
    """Begin a writer for each line of standard input (its first seed): tells its number, and how it ended."""
    # Prices and tables are read at the first use: once here, and not in every writer.
    SEALER.seal_rows(half(1, 0))
    for line in sys.stdin:
        child = os.fork()
        if not child:
            try:
                write(folder, log, int(line))
            finally:
                os._exit(1)
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) * -1, flush=True)


@dataclass
class Reader:
    """Asks over and over, and notes what must not be."""

    folder: Path
    queries: int = 0
    from_cells: int = 0
    """Queries that were answered from cells, in part at least."""
    most: int = 0
    wrong: str = ""

    def run(self, stop: threading.Event) -> None:
        while not stop.is_set() and not self.wrong:
            if not (self.folder / FILE).exists():
                continue
            try:
                snapshot = open_snapshot(self.folder)
                with snapshot.connect() as connection:
                    time.sleep(0.02)
                    asked = (
                        "SELECT count(*), count(DISTINCT (trace_id, span_id)), "
                        "count(*) FILTER (is_owner) FROM spans"
                    )
                    spans, distinct, calls = connection.execute(asked).fetchone()
                summed = roll_up(snapshot, Question(("model",))).total.recorded
                self.from_cells += any(one.cells is not None for one in snapshot.manifest.segments)
            except Exception as error:
                self.wrong = repr(error)
                return
            self.queries += 1
            if spans != distinct or spans < self.most or calls != summed:
                self.wrong = (
                    f"{spans} spans, {distinct} distinct, {self.most} before; {calls} calls, {summed} summed"
                )
            self.most = max(self.most, spans)


@dataclass(frozen=True)
class Outcome:
    rounds: int
    acknowledged: int
    lost: int
    twice: int
    unknown: int
    queries: int
    from_cells: int
    wrong: str
    findings: list[str]


def crash(folder: Path, rounds: int, seed: int, longest_s: float = 1.2) -> Outcome:
    """So many rounds, each of up to `longest_s`; what became of the spans."""
    choose = random.Random(seed)
    lake, log = folder / "lake", folder / "acknowledged"
    reader, stop = Reader(lake), threading.Event()
    asking = threading.Thread(target=reader.run, args=(stop,))
    asking.start()
    command = [sys.executable, "-m", "tests.lake.crash", "fork", str(lake), str(log)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as nursery:
        assert nursery.stdin is not None
        assert nursery.stdout is not None
        for number in range(rounds):
            before = log.stat().st_size if log.exists() else 0
            print(1 + number * 1_000_000, file=nursery.stdin, flush=True)
            writer_pid = int(nursery.stdout.readline())
            while not log.exists() or log.stat().st_size == before:
                time.sleep(0.002)
            time.sleep(choose.uniform(0.0, longest_s))
            os.kill(writer_pid, signal.SIGKILL)
            assert nursery.stdout.readline() == f"{signal.SIGKILL.value}\n", "the writer ended by itself"
        nursery.stdin.close()
    stop.set()
    asking.join()
    with LakeWriter(lake, SEALER, SETTINGS) as writer:
        writer.seal_all()
    return outcome(lake, log, rounds, reader)


def outcome(lake: Path, log: Path, rounds: int, reader: Reader) -> Outcome:
    told = {tuple(map(int, line.split())) for line in log.read_text().splitlines() if line != "open"}
    wanted = {key for seed, part in told for key in keys_of(half(seed, part))}
    with open_snapshot(lake).connect() as connection:
        found = connection.execute("SELECT trace_id, span_id FROM spans").fetchall()
    there = {(bytes(trace_id), span_id) for trace_id, span_id in found}
    # What was written and not acknowledged before the kill may be there: its client sends it again.
    unknown = len(there - wanted)
    findings = [str(finding) for finding in check(lake).findings]
    return Outcome(
        rounds,
        len(wanted),
        len(wanted - there),
        len(found) - len(there),
        unknown,
        reader.queries,
        reader.from_cells,
        reader.wrong,
        findings,
    )


def keys_of(rows: SpanRows) -> list[tuple[bytes, int]]:
    return [(row.tobytes(), span) for row, span in zip(rows.trace_id, rows.span_id.tolist(), strict=True)]


if __name__ == "__main__":
    if sys.argv[1] == "fork":
        fork(Path(sys.argv[2]), Path(sys.argv[3]))
        sys.exit()
    with tempfile.TemporaryDirectory() as directory:
        given = [int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1]
        print(crash(Path(directory), *given, *map(float, sys.argv[3:])))
