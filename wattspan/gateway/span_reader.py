"""`SpanReader`: each accepted span once, for readers that must not count one twice.

A client that got no answer sends again, so the spool may hold a span in two batches. This reader remembers
the keys of the spans it gave out, durably, and gives out only the first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from wattspan.gateway.signals import Signal
from wattspan.gateway.spool import Spool
from wattspan.otlp.wire import scan

REMEMBERED_SPANS: Final = 500_000
"""Spans whose keys are remembered; a copy that comes later than so many others is given out again."""

_KEY_BYTES: Final = 24


@dataclass(frozen=True, slots=True, eq=False)
class Portion:
    """One batch."""

    batch: int
    """Number of the batch: rises, and is the same when the batch is read again."""
    body: bytes
    """A protobuf trace request."""
    is_first: npt.NDArray[np.bool_]
    """bool[n], spans in wire order: not given out before."""
    keys: bytes
    """Trace id and span id of every span, 24 bytes each."""


class SpanReader:
    """Reads the traces of a spool in order. Used by one thread."""

    def __init__(self, spool: Spool, name: str, version: str, *, remembered: int = REMEMBERED_SPANS) -> None:
        """`name` must be registered with `spool`; `version` of the attributes that it reads."""
        self._spool = spool
        self._name = name
        self._version = version
        self._remembered = remembered
        self._reader = spool.reader()
        self._cursor = spool.readers()[name]
        self._batches: deque[tuple[int, bytes]] = deque()
        self._keys: set[bytes] = set()
        self._n = 0
        for batch, keys in self._reader.seen(name, self._cursor):
            self._remember(batch, keys)

    def read(self) -> Portion | None:
        """The batch after the last one that was committed; None where there is none yet."""
        while found := self._reader.after(self._cursor, [Signal.TRACES], 1):
            batch = found[0].id
            body = self._reader.body(batch, self._version)
            if body is not None:
                keys = _keys(body)
                is_first = np.fromiter(self._firsts(keys), dtype=np.bool_, count=len(keys) // _KEY_BYTES)
                return Portion(batch, body, is_first, keys)
            self._cursor = batch
        return None

    def commit(self, portion: Portion) -> None:
        """The reader has `portion`, durably; after a crash the next batch is read, and not this one again.

        Raises SpoolError where that cannot be made durable.
        """
        self._remember(portion.batch, portion.keys)
        oldest = self._batches[0][0]
        self._spool.move_with_keys(self._name, portion.batch, portion.keys, oldest)
        self._cursor = portion.batch

    def close(self) -> None:
        """Let the spool go."""
        self._reader.close()

    def _firsts(self, keys: bytes) -> Iterator[bool]:
        here: set[bytes] = set()
        for key in _pieces(keys):
            yield key not in self._keys and key not in here
            here.add(key)

    def _remember(self, batch: int, keys: bytes) -> None:
        self._batches.append((batch, keys))
        self._keys.update(_pieces(keys))
        self._n += len(keys) // _KEY_BYTES
        while self._n > self._remembered and len(self._batches) > 1:
            _, oldest = self._batches.popleft()
            self._keys.difference_update(_pieces(oldest))
            self._n -= len(oldest) // _KEY_BYTES


def _keys(body: bytes) -> bytes:
    table = scan(body, ())
    keys = np.empty((table.n, _KEY_BYTES), dtype=np.uint8)
    keys[:, :16] = table.trace_id
    keys[:, 16:] = table.span_id.astype(">u8").view(np.uint8).reshape(table.n, 8)
    return keys.tobytes()


def _pieces(keys: bytes) -> Iterator[bytes]:
    return (keys[at : at + _KEY_BYTES] for at in range(0, len(keys), _KEY_BYTES))
