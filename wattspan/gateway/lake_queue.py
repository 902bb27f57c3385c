"""`LakeQueue`: what waits in a spool for the lake, and the quota on it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from wattspan.config import LakeSection
from wattspan.gateway.pipeline import Kept
from wattspan.gateway.signals import Signal
from wattspan.gateway.spool import Batch, Spool

READER: Final = "lake"
"""Name of the cursor in the spool; a destination may not have it."""
_READ_BATCHES: Final = 10_000


class LakeQueue:
    """The lake as one that reads a spool: its cursor, and what is beyond it.

    Batches are offered on the event loop; the cursor moves from whichever thread takes them to the lake.
    """

    def __init__(self, spool: Spool, settings: LakeSection) -> None:
        """`READER` must be registered with `spool`."""
        self._spool = spool
        self._settings = settings
        self._lock = threading.Lock()
        self._waiting: deque[Batch] = deque()
        self._newest = spool.readers()[READER]
        self.queued_bytes = 0
        self.dropped_spans = 0
        """Spans that the lake will never have, because of the quota."""
        reader = spool.reader()
        try:
            while batches := reader.after(self._newest, [Signal.TRACES], _READ_BATCHES):
                self._add(batches)
        finally:
            reader.close()

    @property
    def is_full(self) -> bool:
        """Clients must be refused because of the quota."""
        return self._settings.on_quota == "refuse" and self.queued_bytes >= self._settings.quota_bytes

    def offer(self, kept: Sequence[Kept]) -> None:
        """Batches that were just made durable."""
        with self._lock:
            self._add([entry.batch for entry in kept])
            dropped = 0
            if self._settings.on_quota == "drop_oldest":
                while self.queued_bytes > self._settings.quota_bytes:
                    self.dropped_spans += self._waiting[0].items
                    dropped = self._take_first()
        if dropped:
            self._spool.move(READER, dropped)
        elif not self._waiting and kept:
            # Nothing of it is for the lake.
            self._spool.move(READER, kept[-1].batch.id)

    def moved(self, cursor: int) -> None:
        """The lake has everything up to batch `cursor`."""
        with self._lock:
            while self._waiting and self._waiting[0].id <= cursor:
                self._take_first()
        self._spool.move(READER, cursor)

    def families(self) -> Iterable[Metric]:
        """What `/metrics` shows of it."""
        yield CounterMetricFamily(
            "wattspan_lake_dropped_spans",
            "Spans that waited for the lake and were dropped at its quota.",
            self.dropped_spans,
        )
        for name, meaning, value in (
            ("queued_batches", "Batches in the spool that are not in the lake yet.", len(self._waiting)),
            ("queued_bytes", "Their size.", self.queued_bytes),
            ("queue_capacity_bytes", "The quota.", self._settings.quota_bytes),
        ):
            yield GaugeMetricFamily(f"wattspan_lake_{name}", meaning, value)

    def _add(self, batches: Sequence[Batch]) -> None:
        for batch in batches:
            # What became durable just before the start was found in the spool.
            if batch.id > self._newest:
                self._newest = batch.id
                if batch.signal is Signal.TRACES:
                    self._waiting.append(batch)
                    self.queued_bytes += batch.size

    def _take_first(self) -> int:
        batch = self._waiting.popleft()
        self.queued_bytes -= batch.size
        return batch.id


class LakeQueueCollector(Collector):
    """`LakeQueue.families` as Prometheus asks for them."""

    def __init__(self, queue: LakeQueue) -> None:
        self._queue = queue

    def collect(self) -> Iterable[Metric]:
        """All families."""
        return self._queue.families()
