"""`Attempts`: how often tokens may be asked for: a rate for an address, a lock after wrong secrets in a row.

A client is locked for addresses it never came from, so that a stranger who knows its id cannot lock it out
where it lives; an address is locked whatever client it names.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Final, TypeVar

from wattspan.disclosure.pact.settings import LimitsSection

MOST_REMEMBERED: Final = 20_000
"""Addresses and clients in memory; the one unheard of for longest goes first."""
MOST_NAME: Final = 64
"""Characters by which one is remembered: ids of clients have 23."""
_MINUTE_S: Final = 60.0
_MOST_KNOWN: Final = 100
"""Addresses that are remembered as a client's own."""

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


@dataclass(slots=True)
class _Count:
    """Failures in a row of one client or address."""

    failures: int = 0
    locks: int = 0
    until: float = 0.0


@dataclass(slots=True)
class _Asking:
    """When an address asked in the last minute."""

    times: deque[float] = field(default_factory=deque)


class Attempts:
    """Times are of any clock that only goes forward, in seconds."""

    def __init__(self, limits: LimitsSection) -> None:
        self._limits = limits
        self._counts: OrderedDict[tuple[str, str], _Count] = OrderedDict()
        self._asking: OrderedDict[str, _Asking] = OrderedDict()
        self._known: OrderedDict[str, OrderedDict[str, None]] = OrderedDict()

    def wait_s(self, client_id: str, address: str, now: float) -> int:
        """Whole seconds until `address` may ask as `client_id`; 0 where it may now, and that is counted."""
        locked = max(
            (count.until - now for key in self._keys(client_id, address) if (count := self._counts.get(key))),
            default=0.0,
        )
        asking = _kept(self._asking, address[:MOST_NAME], _Asking())
        while asking.times and asking.times[0] <= now - _MINUTE_S:
            asking.times.popleft()
        most = self._limits.token_requests_per_minute
        crowded = asking.times[-most] + _MINUTE_S - now if len(asking.times) >= most else 0.0
        wait = max(locked, crowded, 0.0)
        if wait == 0.0:
            asking.times.append(now)
        return math.ceil(wait)

    def failed(self, client_id: str, address: str, now: float) -> None:
        """A wrong secret."""
        for key in self._keys(client_id, address):
            count = _kept(self._counts, key, _Count())
            count.failures += 1
            if count.failures >= self._limits.failures_before_lock:
                lock_s = min(self._limits.lock_s * 2.0**count.locks, self._limits.most_lock_s)
                count.failures, count.locks, count.until = 0, min(count.locks + 1, 60), now + lock_s

    def succeeded(self, client_id: str, address: str) -> None:
        """The right secret: nothing is held against either, and the address is the client's own now."""
        for key in self._keys(client_id, address):
            self._counts.pop(key, None)
        known = _kept(self._known, client_id[:MOST_NAME], OrderedDict())
        _kept(known, address[:MOST_NAME], None, _MOST_KNOWN)

    def _keys(self, client_id: str, address: str) -> tuple[tuple[str, str], ...]:
        client_id, address = client_id[:MOST_NAME], address[:MOST_NAME]
        own = ("address", address)
        is_known = address in self._known.get(client_id, ())
        return (own, ("client at", f"{client_id} {address}")) if is_known else (own, ("client", client_id))


def _kept(found: OrderedDict[_Key, _Value], key: _Key, new: _Value, most: int = MOST_REMEMBERED) -> _Value:
    """The value of `key`, made where there is none; the oldest of too many goes."""
    value = found.setdefault(key, new)
    found.move_to_end(key)
    if len(found) > most:
        found.popitem(last=False)
    return value
