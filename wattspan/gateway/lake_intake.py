"""`LakeIntake`: a thread that brings what the spool keeps into the lake, with a cursor of its own."""

from __future__ import annotations

import datetime as dt
import logging
import threading
import time
from collections.abc import Iterable, Sequence
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from wattspan.gateway.journal import without_content
from wattspan.gateway.settings import ServeConfig
from wattspan.gateway.signals import Signal
from wattspan.gateway.spool import Batch, Spool, SpoolReader
from wattspan.lake.cells import add_cells
from wattspan.lake.compact import compact, retire
from wattspan.lake.refresh import refresh
from wattspan.lake.rows import SpanRows
from wattspan.lake.writer import LakeWriter
from wattspan.views.cells import cells_of

log: Final = logging.getLogger(__name__)

READER: Final = "lake"
"""Name of the cursor in the spool; a destination may not have it."""
_AT_ONCE: Final = 32
"""Batches that are taken into the lake with one fsync."""
_IDLE_S: Final = 0.2
_TICK_S: Final = 1.0
_HOUSEKEEPING_S: Final = 60.0
_AGAIN_S: Final = 5.0
"""Wait after the disk refused."""


class LakeIntake:
    """Reads the spool in order. A batch that is read twice changes nothing: the lake has each span once."""

    def __init__(self, config: ServeConfig, spool: Spool) -> None:
        """Open the lake. `READER` must be registered with `spool`. Raises LakeError."""
        assert config.lake.folder is not None
        self._spool = spool
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
        self.cursor = spool.readers()[READER]
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

    @property
    def lag(self) -> int:
        """Batches in the spool that are not in the lake yet."""
        return max(0, self._spool.newest - self.cursor)

    def families(self) -> Iterable[Metric]:
        """What `/metrics` shows of the lake."""
        segments = self._writer.manifest.segments
        yield CounterMetricFamily("wattspan_lake_spans", "Spans taken into the lake.", self.spans)
        sealed = self._writer.sealed_spans
        yield CounterMetricFamily("wattspan_lake_sealed_spans", "Spans sealed.", sealed)
        retired = self._writer.retired_spans
        yield CounterMetricFamily(
            "wattspan_lake_retired_spans", "Spans left out: the day of their trace was dropped.", retired
        )
        yield CounterMetricFamily("wattspan_lake_damaged_batches", "Batches left out.", self.damaged)
        for name, meaning, value in (
            ("open_spans", "Spans of traces that are not sealed yet.", self._writer.open_spans),
            ("queued_batches", "Batches in the spool that are not in the lake yet.", self.lag),
            ("segments", "Files.", len(segments)),
            ("rows", "Spans at rest.", sum(one.rows for one in segments)),
            ("bytes", "Size of the files.", sum(one.size for one in segments)),
            ("failing", "1 while the disk refuses.", int(self.fault is not None)),
        ):
            yield GaugeMetricFamily(f"wattspan_lake_{name}", meaning, value)

    def _run(self) -> None:
        reader = self._spool.reader()
        next_tick, next_housekeeping = 0.0, time.monotonic() + _HOUSEKEEPING_S
        try:
            while True:
                took = False
                try:
                    took = self._take(reader)
                    if time.monotonic() >= next_tick:
                        self._writer.tick()
                        next_tick = time.monotonic() + _TICK_S
                    if time.monotonic() >= next_housekeeping:
                        retire(self._writer, dt.datetime.now(dt.UTC).date(), cells_of)
                        compact(self._writer)
                        refresh(self._writer)
                        add_cells(self._writer, cells_of)
                        next_housekeeping = time.monotonic() + _HOUSEKEEPING_S
                    self.fault = None
                except OSError as error:
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
            reader.close()
            self._writer.close()

    def _take(self, reader: SpoolReader) -> bool:
        newest = self._spool.newest
        batches = reader.after(self.cursor, [Signal.TRACES], _AT_ONCE)
        if not batches:
            # Batches of other signals are nothing to wait for.
            self._moved(newest)
            return False
        portions = [rows for batch in batches if (rows := self._rows(reader, batch)) is not None]
        self._writer.ingest(portions)
        self.spans += sum(map(len, portions))
        self._moved(batches[-1].id)
        return True

    def _moved(self, cursor: int) -> None:
        if cursor > self.cursor:
            self.cursor = cursor
            self._spool.move(READER, cursor)

    def _rows(self, reader: SpoolReader, batch: Batch) -> SpanRows | None:
        try:
            body = reader.body(batch.id, "")
            return None if body is None else self._source.request(body)
        except Exception as error:
            # One batch must not keep all others out.
            log.error("batch %d is left out of the lake: %s", batch.id, without_content(error))
            self.damaged += 1
            return None


class LakeCollector(Collector):
    """`LakeIntake.families` as Prometheus asks for them."""

    def __init__(self, intake: LakeIntake) -> None:
        self._intake = intake

    def collect(self) -> Iterable[Metric]:
        """All families."""
        return self._intake.families()


def why_no_lake(config: ServeConfig) -> Sequence[str]:
    """What in the configuration keeps the gateway from writing a lake."""
    if config.lake.folder is None:
        return []
    reasons = []
    if config.gateway.workers != 1:
        reasons.append("gateway.workers must be 1: all spans of a trace must meet in one process")
    if config.gateway.acknowledge != "durable":
        reasons.append("gateway.acknowledge must be durable: the lake reads the spool")
    if any(destination.name == READER for destination in config.gateway.destinations):
        reasons.append(f"no destination may be named {READER!r}")
    return reasons
