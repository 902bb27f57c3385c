"""`OpenTraces`: spans of traces that are not sealed yet, in memory; the journal has the same."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from wattspan.lake.rows import Hashes
from wattspan.lake.segments import rows_of_keys, trace_ids
from wattspan.lake.tree import trace_keys


@dataclass(slots=True)
class _Trace:
    first_seen_s: float
    last_seen_s: float
    spans: int


@dataclass(frozen=True, slots=True, eq=False)
class _Chunk:
    batch: pa.RecordBatch
    keys: Hashes


class OpenTraces:
    """Raw columns by arrival, and when each trace was last heard of."""

    def __init__(self) -> None:
        self._chunks: list[_Chunk] = []
        self._traces: dict[int, _Trace] = {}
        self.spans = 0

    def __len__(self) -> int:
        return len(self._traces)

    def add(self, batch: pa.RecordBatch, now_s: float) -> None:
        """Take in spans that were heard of at `now_s`."""
        if not batch.num_rows:
            return
        keys = trace_keys(trace_ids(pa.Table.from_batches([batch])))
        self._chunks.append(_Chunk(batch, keys))
        self.spans += batch.num_rows
        distinct, counts = np.unique(keys, return_counts=True)
        traces = self._traces
        for key, count in zip(distinct.tolist(), counts.tolist(), strict=True):
            trace = traces.get(key)
            if trace is None:
                traces[key] = _Trace(now_s, now_s, count)
            else:
                trace.last_seen_s = now_s
                trace.spans += count

    def due(self, now_s: float, idle_s: float, longest_s: float) -> list[int]:
        """Keys of traces that were not heard of for `idle_s`, or are open for `longest_s`."""
        return [
            key
            for key, trace in self._traces.items()
            if now_s - trace.last_seen_s >= idle_s or now_s - trace.first_seen_s >= longest_s
        ]

    def longest_idle(self, spans: int) -> list[int]:
        """Keys of the traces longest unheard of that have `spans` spans between them."""
        chosen: list[int] = []
        for key, trace in sorted(self._traces.items(), key=lambda item: item[1].last_seen_s):
            if spans <= 0:
                break
            chosen.append(key)
            spans -= trace.spans
        return chosen

    def keys(self) -> list[int]:
        """All of them."""
        return list(self._traces)

    def portions(self, keys: Iterable[int], most_spans: int) -> list[Hashes]:
        """`keys` in runs of traces with up to `most_spans` spans each (or one larger trace)."""
        portions: list[Hashes] = []
        run: list[int] = []
        size = 0
        for key in keys:
            spans = self._traces[key].spans
            if run and size + spans > most_spans:
                portions.append(_sorted(run))
                run, size = [], 0
            run.append(key)
            size += spans
        if run:
            portions.append(_sorted(run))
        return portions

    def rows(self, keys: Hashes) -> pa.Table:
        """The spans of the traces with the sorted `keys`."""
        taken = []
        for chunk in self._chunks:
            at = rows_of_keys(chunk.keys, keys)
            if len(at):
                taken.append(chunk.batch if len(at) == len(chunk.keys) else chunk.batch.take(pa.array(at)))
        return pa.Table.from_batches(taken)

    def forget(self, keys: Hashes) -> None:
        """Let the traces with the sorted `keys` go."""
        left: list[_Chunk] = []
        for chunk in self._chunks:
            at = rows_of_keys(chunk.keys, keys)
            if not len(at):
                left.append(chunk)
            elif len(at) < len(chunk.keys):
                stays = np.ones(len(chunk.keys), dtype=np.bool_)
                stays[at] = False
                left.append(_Chunk(chunk.batch.filter(pa.array(stays)), chunk.keys[stays]))
            self.spans -= len(at)
        self._chunks = left
        for key in keys.tolist():
            self._traces.pop(key, None)

    def batches(self) -> list[pa.RecordBatch]:
        """Everything, as a new journal gets it."""
        return [chunk.batch for chunk in self._chunks]


def _sorted(keys: list[int]) -> Any:
    return np.sort(np.array(keys, dtype=np.uint64))
