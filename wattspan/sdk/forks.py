"""Programs that fork: the child starts with new locks, as nobody there would give back one that was held."""

from __future__ import annotations

import os
import threading
from typing import Final, Protocol
from weakref import WeakSet


class Forked(Protocol):
    """What holds a lock."""

    def start_afresh(self) -> None:
        """Make a new lock, and drop what another thread may have left half done."""


_living: WeakSet[Forked] = WeakSet()


def start_afresh_in_children(thing: Forked) -> None:
    """From now on call `thing.start_afresh()` in every child process, as long as the thing lives."""
    _living.add(thing)


def _after_in_child() -> None:
    for thing in list(_living):
        thing.start_afresh()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_in_child)


loading: Final = threading.RLock()
"""Held while modules are imported with the first batch. A child that is forked in the midst of an import has
the module by half, and its lock for ever; so a fork waits."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=loading.acquire, after_in_parent=loading.release, after_in_child=loading.release
    )
