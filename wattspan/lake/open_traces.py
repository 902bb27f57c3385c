"""`OpenTraces`: spans of traces that are not sealed yet, in memory; the journal has the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from wattspan.lake.rows import Flags, Floats, Hashes, Ints, SpanRows
from wattspan.lake.tree import trace_keys

_MOST_CHUNKS: Final = 64
"""Chunks left over by sealing are joined above this."""


@dataclass(frozen=True, slots=True, eq=False)
class _Chunk:
    rows: SpanRows
    key: Hashes
    """uint64[n]: of each span's trace."""
    seen_s: Floats
    """float64[n]: when each span came."""

    def take(self, chosen: Flags) -> _Chunk:
        return _Chunk(self.rows.take(chosen), self.key[chosen], self.seen_s[chosen])


@dataclass(frozen=True, slots=True, eq=False)
class _Heard:
    """The open traces, by ascending key."""

    key: Hashes
    spans: Ints
    first_s: Floats
    last_s: Floats


class OpenTraces:
    """Spans by arrival, and when each trace was last heard of."""

    def __init__(self) -> None:
        self._chunks: list[_Chunk] = []
        self.spans = 0

    def __len__(self) -> int:
        return len(self._heard().key)

    def add(self, rows: SpanRows, now_s: float) -> None:
        """Take in spans that were heard of at `now_s`."""
        if len(rows):
            self._chunks.append(_Chunk(rows, trace_keys(rows.trace_id), np.full(len(rows), now_s)))
            self.spans += len(rows)

    def due(self, now_s: float, idle_s: float, longest_s: float) -> Hashes:
        """Keys of traces that were not heard of for `idle_s`, or are open for `longest_s`; ascending."""
        heard = self._heard()
        due: Hashes = heard.key[(now_s - heard.last_s >= idle_s) | (now_s - heard.first_s >= longest_s)]
        return due

    def longest_idle(self, spans: int) -> Hashes:
        """Keys of the traces longest unheard of that have `spans` spans between them; ascending."""
        heard = self._heard()
        by_age = np.argsort(heard.last_s, kind="stable")
        enough = int(np.searchsorted(np.cumsum(heard.spans[by_age]), spans)) + 1
        chosen: Hashes = np.sort(heard.key[by_age[:enough]])
        return chosen

    def keys(self) -> Hashes:
        """All of them, ascending."""
        return self._heard().key

    def portions(self, keys: Hashes, most_spans: int) -> Iterator[Hashes]:
        """`keys` in runs of traces with up to `most_spans` spans each (or one larger trace)."""
        heard = self._heard()
        ends = np.cumsum(heard.spans[np.searchsorted(heard.key, keys)])
        first, done = 0, 0
        while first < len(keys):
            last = max(first + 1, int(np.searchsorted(ends, done + most_spans, side="right")))
            yield keys[first:last]
            first, done = last, int(ends[last - 1])

    def rows(self, keys: Hashes) -> SpanRows:
        """The spans of the traces with the sorted `keys`, in the order in which they came."""
        taken = []
        for chunk in self._chunks:
            chosen = _among(chunk.key, keys)
            if chosen.any():
                taken.append(chunk.rows if chosen.all() else chunk.rows.take(chosen))
        return SpanRows.concatenate(taken).without_unused_names()

    def forget(self, keys: Hashes) -> None:
        """Let the traces with the sorted `keys` go."""
        left: list[_Chunk] = []
        for chunk in self._chunks:
            gone = _among(chunk.key, keys)
            if not gone.any():
                left.append(chunk)
            elif not gone.all():
                left.append(chunk.take(~gone))
        if len(left) > _MOST_CHUNKS:
            rows = SpanRows.concatenate([chunk.rows for chunk in left]).without_unused_names()
            key, seen_s = (
                np.concatenate(parts) for parts in zip(*((c.key, c.seen_s) for c in left), strict=True)
            )
            left = [_Chunk(rows, key, seen_s)]
        self._chunks = left
        self.spans = sum(len(chunk.key) for chunk in left)

    def portions_for_journal(self) -> list[SpanRows]:
        """Everything, as a new journal gets it."""
        return [chunk.rows for chunk in self._chunks]

    def _heard(self) -> _Heard:
        if not self._chunks:
            return _Heard(np.zeros(0, np.uint64), np.zeros(0, np.int64), np.zeros(0), np.zeros(0))
        key = np.concatenate([chunk.key for chunk in self._chunks])
        seen_s = np.concatenate([chunk.seen_s for chunk in self._chunks])
        order = np.argsort(key)
        key, seen_s = key[order], seen_s[order]
        starts = np.flatnonzero(np.append(True, key[1:] != key[:-1]))
        return _Heard(
            key[starts],
            np.diff(np.append(starts, len(key))),
            np.minimum.reduceat(seen_s, starts),
            np.maximum.reduceat(seen_s, starts),
        )


def _among(keys: Hashes, wanted: Hashes) -> Flags:
    if not len(wanted):
        return np.zeros(len(keys), dtype=np.bool_)
    among: Flags = wanted[np.minimum(np.searchsorted(wanted, keys), len(wanted) - 1)] == keys
    return among
