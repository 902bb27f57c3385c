"""`Recent`: the traces seen last, the one longest unseen first to go."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from wattspan.otlp.wire import IMPLEMENTATION

if TYPE_CHECKING:
    from wattspan.otlp.owners.batch import Batch

Hashes = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]


class PureRecent:
    """The traces seen last, and the batch that has the spans of each, where nobody has looked at them yet.

    Traces go by the hash of their id. `calls`: calls of all of them.
    """

    def __init__(self) -> None:
        self._traces: OrderedDict[int, tuple[Batch | None, int, int]] = OrderedDict()
        self.calls = 0

    def __len__(self) -> int:
        return len(self._traces)

    def __contains__(self, key: int) -> bool:
        return key in self._traces

    def known(self, keys: Hashes) -> npt.NDArray[np.bool_] | None:
        """bool[g]: which of the traces uint64[g] are known; None where none is."""
        found = np.array([key in self._traces for key in keys.tolist()], dtype=np.bool_)
        return found if found.any() else None

    def add(self, keys: Hashes, groups: Ints, sizes: Ints, batch: Batch) -> None:
        """New traces, all in `batch`: its group of each, int64[g], and how many calls that has."""
        for key, group, size in zip(keys.tolist(), groups.tolist(), sizes.tolist(), strict=True):
            self._traces[key] = batch, group, size
            self.calls += size

    def open(self, key: int) -> tuple[Batch, int] | None:
        """Make a trace the last one; its batch and group if it has them: they are the caller's then."""
        batch, group, size = self._traces.pop(key, (None, 0, 0))
        self._traces[key] = None, 0, size
        return None if batch is None else (batch, group)

    def resize(self, key: int, calls: int) -> None:
        """Say how many calls a known trace has."""
        self.calls += calls - self._traces[key][2]
        self._traces[key] = (*self._traces[key][:2], calls)

    def evict(self, most_traces: int, most_calls: int) -> tuple[int, list[int]]:
        """Forget the traces longest unseen until the bounds hold: how many, and which of them were opened."""
        gone, opened = 0, []
        while len(self) > most_traces or (self.calls > most_calls and len(self) > 1):
            key, (batch, _, calls) = self._traces.popitem(last=False)
            self.calls -= calls
            gone += 1
            if batch is None:
                opened.append(key)
        return gone, opened


Recent: type[PureRecent] = PureRecent
"""What runs: `PureRecent`, or the same in C."""
if IMPLEMENTATION == "cython":
    from wattspan.otlp.owners import _recent

    Recent = _recent.Recent
