"""`OpenTraces`: spans of traces that are not sealed yet, in memory; the journal has the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np

from wattspan.lake.rows import Counts, Flags, Floats, Hashes, Ints, SpanRows
from wattspan.lake.tree import trace_keys

_MOST_CHUNKS: Final = 64
"""Chunks left over by sealing are joined above this."""
_JOINED_ROWS: Final = 65_536
_STAYS: Final = -1
"""Portion of spans that are not sealed yet."""


@dataclass(frozen=True, slots=True, eq=False)
class _Chunk:
    rows: SpanRows
    key: Hashes
    """uint64[n]: of each span's trace."""
    seen_s: Floats
    """float64[n]: when each span came."""
    portion: Counts
    """int32[n]: number of the portion it is sealed with."""

    def take(self, chosen: Flags) -> _Chunk:
        return _Chunk(self.rows.take(chosen), self.key[chosen], self.seen_s[chosen], self.portion[chosen])


class Portion(NamedTuple):
    """Some of the open traces, to be sealed together."""

    number: int
    keys: Hashes
    """uint64[traces], ascending."""


@dataclass(frozen=True, slots=True, eq=False)
class _Heard:
    """The open traces, by ascending key."""

    key: Hashes
    spans: Ints
    order: Ints
    """int64[n]: rows of all chunks, those of a trace together."""
    first_row: Ints
    """Of each trace, as it came."""
    first_s: Floats
    last_s: Floats


class OpenTraces:
    """Spans by arrival, and when each trace was last heard of."""

    def __init__(self) -> None:
        self._chunks: list[_Chunk] = []
        self._known: _Heard | None = None
        self.spans = 0

    def __len__(self) -> int:
        return len(self._heard().key)

    def add(self, rows: SpanRows, now_s: float) -> None:
        """Take in spans that were heard of at `now_s`."""
        if len(rows):
            n = len(rows)
            stays = np.full(n, _STAYS, dtype=np.int32)
            self._known = None
            self._chunks.append(_Chunk(rows, trace_keys(rows.trace_id), np.full(n, now_s), stays))
            self.spans += n

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

    def portions(self, keys: Hashes, most_spans: int) -> Iterator[Portion]:
        """The traces with the sorted `keys`, up to `most_spans` spans at a time (or one larger trace).

        Those that came first come first: most spans that came together are then sealed together, and need not
        be picked one by one. Nothing may be added meanwhile.
        """
        heard = self._heard()
        at = np.searchsorted(heard.key, keys)
        by_arrival = at[np.argsort(heard.first_row[at])]
        ends = np.cumsum(heard.spans[by_arrival])
        bounds = [0]
        while bounds[-1] < len(keys):
            done = int(ends[bounds[-1] - 1]) if bounds[-1] else 0
            bounds.append(max(bounds[-1] + 1, int(np.searchsorted(ends, done + most_spans, side="right"))))
        of_trace = np.full(len(heard.key), _STAYS, dtype=np.int32)
        of_trace[by_arrival] = np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))
        of_row = np.empty(self.spans, dtype=np.int32)
        of_row[heard.order] = np.repeat(of_trace, heard.spans)
        first = 0
        for place, chunk in enumerate(self._chunks):
            self._chunks[place] = replace(chunk, portion=of_row[first : first + len(chunk.key)])
            first += len(chunk.key)
        for number, (begin, end) in enumerate(pairwise(bounds)):
            yield Portion(number, np.sort(heard.key[by_arrival[begin:end]]))

    def rows(self, portion: Portion) -> SpanRows:
        """The spans of a portion, in the order in which they came."""
        taken = []
        for chunk in self._chunks:
            chosen = chunk.portion == portion.number
            if chosen.any():
                taken.append(chunk.rows if chosen.all() else chunk.rows.take(chosen))
        return SpanRows.concatenate(taken).without_unused_names()

    def forget(self, portion: Portion) -> None:
        """Let the traces of a portion go."""
        left: list[_Chunk] = []
        for chunk in self._chunks:
            gone = chunk.portion == portion.number
            if not gone.any():
                left.append(chunk)
            elif not gone.all():
                left.append(chunk.take(~gone))
        if len(left) > _MOST_CHUNKS:
            left = _joined(left)
        self._known = None
        self._chunks = left
        self.spans = sum(len(chunk.key) for chunk in left)

    def portions_for_journal(self) -> list[SpanRows]:
        """Everything, as a new journal gets it."""
        return [chunk.rows for chunk in self._chunks]

    def _heard(self) -> _Heard:
        if self._known is None:
            self._known = self._listened()
        return self._known

    def _listened(self) -> _Heard:
        if not self._chunks:
            none = np.zeros(0, np.int64)
            return _Heard(np.zeros(0, np.uint64), none, none, none, np.zeros(0), np.zeros(0))
        key = np.concatenate([chunk.key for chunk in self._chunks])
        seen_s = np.concatenate([chunk.seen_s for chunk in self._chunks])
        order = np.argsort(key)
        key, seen_s = key[order], seen_s[order]
        starts = np.flatnonzero(np.append(True, key[1:] != key[:-1]))
        return _Heard(
            key[starts],
            np.diff(np.append(starts, len(key))),
            order,
            np.minimum.reduceat(order, starts),
            np.minimum.reduceat(seen_s, starts),
            np.maximum.reduceat(seen_s, starts),
        )


def _joined(chunks: list[_Chunk]) -> list[_Chunk]:
    """Many small chunks as few larger ones, of _JOINED_ROWS or more."""
    done: list[_Chunk] = []
    held: list[_Chunk] = []
    for chunk in chunks:
        held.append(chunk)
        if sum(len(one.key) for one in held) >= _JOINED_ROWS or chunk is chunks[-1]:
            rows = SpanRows.concatenate([one.rows for one in held])
            key, seen_s, portion = (
                np.concatenate(parts)
                for parts in zip(*((one.key, one.seen_s, one.portion) for one in held), strict=True)
            )
            done.append(_Chunk(rows.without_unused_names() if len(held) > 1 else rows, key, seen_s, portion))
            held = []
    return done
