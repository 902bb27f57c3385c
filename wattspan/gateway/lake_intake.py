"""`LakeIntake`: a thread that brings what spools keep into the lake, with a cursor in each of them."""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from wattspan.gateway.journal import without_content
from wattspan.gateway.lake_queue import READER
from wattspan.gateway.settings import ServeConfig
from wattspan.gateway.signals import Signal
from wattspan.gateway.spool import Batch, SpoolError, SpoolReader
from wattspan.lake.cells import add_cells
from wattspan.lake.compact import compact, retire
from wattspan.lake.refresh import refresh
from wattspan.lake.rows import SpanRows
from wattspan.lake.writer import LakeWriter
from wattspan.views.cells import cells_of

log: Final = logging.getLogger(__name__)

_AT_ONCE: Final = 32
"""Batches that are taken into the lake with one fsync."""
_SCANNED_BYTES: Final = 32 * 1024 * 1024
"""They are scanned together up to this size."""
_IDLE_S: Final = 0.2
_LEAST_TICK_S: Final = 0.1
_MOST_TICK_S: Final = 10.0
"""What is due is sealed so often: a file a second would be many to merge, and looking takes time, too."""
_HOUSEKEEPING_S: Final = 60.0
_AGAIN_S: Final = 5.0
"""Wait after the disk refused."""


class Source:
    """One spool that the lake reads, from the cursor which the spool has of it."""

    def __init__(self, path: Path, moved: Callable[[int], None]) -> None:
        """`moved` is told of each batch up to which the lake has everything. Raises SpoolError."""
        self._path = path
        self._moved = moved
        with self._errors():
            self._reader = SpoolReader(path)
        self._cursor: int | None = None

    def batches(self) -> list[Batch]:
        """The next batches of spans. Raises SpoolError."""
        with self._errors():
            if self._cursor is None:
                self._cursor = self._reader.cursor(READER)
            if self._cursor is None:
                # The worker that drains this spool has not begun.
                return []
            newest = self._reader.newest()
            found = self._reader.after(self._cursor, [Signal.TRACES], _AT_ONCE)
        if not found:
            # Batches of other signals are nothing to wait for.
            self.taken(newest)
        return found

    def body(self, batch: Batch) -> bytes | None:
        """The request of a batch; None where it is gone. Raises SpoolError where it is damaged."""
        with self._errors():
            return self._reader.body(batch.id, "")

    def taken(self, cursor: int) -> None:
        """The lake has everything up to batch `cursor`."""
        if self._cursor is not None and cursor > self._cursor:
            self._cursor = cursor
            self._moved(cursor)

    def close(self) -> None:
        """Let the file go."""
        self._reader.close()

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise SpoolError(f"{self._path}: {error}") from error


class LakeIntake:
    """Reads spools in order. A batch that is read twice changes nothing: the lake has each span once."""

    def __init__(self, config: ServeConfig, sources: Sequence[Source]) -> None:
        """Open the lake. Raises LakeError."""
        assert config.lake.folder is not None
        self._sources = list(sources)
        self._source = config.span_source()
        self._writer = LakeWriter(
            config.lake.folder, config.sealer(config.estimator()), config.lake_settings()
        )
        self._stopping = threading.Event()
        self._deadline = 0.0
        self._thread = threading.Thread(target=self._run, name="lake", daemon=True)
        self.spans = 0
        """Spans taken in."""
        self.damaged = 0
        """Batches that could not be read."""
        self.fault: str | None = None
        """Why nothing can be written."""

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, within_s: float) -> None:
        """Take in what is there, within a time, and let the lake go; open traces stay in its journal."""
        self._deadline = time.monotonic() + within_s
        self._stopping.set()
        self._thread.join()

    def families(self) -> Iterable[Metric]:
        """What `/metrics` shows of the lake."""
        segments, writer = self._writer.manifest.segments, self._writer
        for name, meaning, value in (
            ("spans", "Spans taken into the lake.", self.spans),
            ("sealed_spans", "Spans sealed.", writer.sealed_spans),
            ("retired_spans", "Spans left out: the day of their trace was dropped.", writer.retired_spans),
            ("damaged_batches", "Batches left out.", self.damaged),
        ):
            yield CounterMetricFamily(f"wattspan_lake_{name}", meaning, value)
        for name, meaning, value in (
            ("open_spans", "Spans of traces that are not sealed yet.", writer.open_spans),
            ("segments", "Files.", len(segments)),
            ("rows", "Spans at rest.", sum(one.rows for one in segments)),
            ("bytes", "Size of the files.", sum(one.size for one in segments)),
            ("failing", "1 while the disk refuses.", int(self.fault is not None)),
        ):
            yield GaugeMetricFamily(f"wattspan_lake_{name}", meaning, value)

    def _run(self) -> None:
        tick_s = max(_LEAST_TICK_S, min(_MOST_TICK_S, self._writer.settings.seal_after_s / 6))
        next_tick, next_housekeeping = 0.0, time.monotonic() + _HOUSEKEEPING_S
        try:
            while True:
                took = False
                try:
                    # All spools in turn, so that none waits for another.
                    took = sum(map(self._take, self._sources)) > 0
                    if time.monotonic() >= next_tick:
                        next_tick = time.monotonic() + tick_s
                        self._writer.tick()
                    if time.monotonic() >= next_housekeeping:
                        # What fails is tried again then, and holds up nothing else.
                        next_housekeeping = time.monotonic() + _HOUSEKEEPING_S
                        retire(self._writer, dt.datetime.now(dt.UTC).date(), cells_of)
                        compact(self._writer)
                        refresh(self._writer)
                        add_cells(self._writer, cells_of)
                    self.fault = None
                except (OSError, pa.ArrowException) as error:
                    if self.fault is None:
                        log.error("the lake cannot be written, batches wait in the spool: %s", error)
                    self.fault = str(error)
                    if self._stopping.wait(_AGAIN_S):
                        break
                if self._stopping.is_set() and (not took or time.monotonic() > self._deadline):
                    break
                if not took:
                    self._stopping.wait(_IDLE_S)
        finally:
            for source in self._sources:
                source.close()
            self._writer.close()

    def _take(self, source: Source) -> bool:
        batches = source.batches()
        if not batches:
            return False
        portions = self._portions([(b.id, body) for b in batches if (body := self._body(source, b))])
        self._writer.ingest(portions)
        self.spans += sum(map(len, portions))
        source.taken(batches[-1].id)
        return True

    def _portions(self, bodies: list[tuple[int, bytes]]) -> list[SpanRows]:
        """Requests as rows. Many small ones are scanned as the one message that they are together."""
        joined: list[list[tuple[int, bytes]]] = []
        size = 0
        for one in bodies:
            if not joined or size + len(one[1]) > _SCANNED_BYTES:
                joined.append([])
                size = 0
            joined[-1].append(one)
            size += len(one[1])
        return [rows for together in joined for rows in self._rows(together)]

    def _rows(self, bodies: list[tuple[int, bytes]]) -> list[SpanRows]:
        try:
            return [self._source.request(b"".join(body for _, body in bodies))]
        except Exception as error:
            # One batch must not keep all others out.
            if len(bodies) > 1:
                return [rows for one in bodies for rows in self._rows([one])]
            self._leave_out(bodies[0][0], error)
            return []

    def _body(self, source: Source, batch: Batch) -> bytes | None:
        try:
            return source.body(batch)
        except OSError as error:
            self._leave_out(batch.id, error)
            return None

    def _leave_out(self, batch: int, error: Exception) -> None:
        log.error("batch %d is left out of the lake: %s", batch, without_content(error))
        self.damaged += 1


class LakeCollector(Collector):
    """`LakeIntake.families` as Prometheus asks for them."""

    def __init__(self, intake: LakeIntake) -> None:
        self._intake = intake

    def collect(self) -> Iterable[Metric]:
        """All families."""
        return self._intake.families()
