"""`Forwarder`: brings the batches of the spool to one destination, at its own pace."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from wattspan.gateway.pipeline import Kept
from wattspan.gateway.retry import Backoff
from wattspan.gateway.sender import Outcome, Refused, Sender, Sent
from wattspan.gateway.settings import DestinationSection
from wattspan.gateway.signals import Signal
from wattspan.gateway.spool import Batch, Spool, SpoolError
from wattspan.gateway.tallies import DestinationTally

log: Final = logging.getLogger(__name__)

_AT_HAND_BYTES: Final = 4 * 1024 * 1024
"""Plain bodies held in memory for a destination that keeps up, or is being refilled from the spool."""
_READ_BATCHES: Final = 256
_SPOOL_AGAIN_S: Final = 1.0
_LOG_EVERY_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class _Load:
    """A batch at hand."""

    batch: Batch
    body: bytes


@dataclass(eq=False, slots=True)
class _Delivery:
    """Batches that go in one request."""

    loads: list[_Load]
    """Those that the destination has not got yet."""
    task: asyncio.Task[None] | None = None


class Forwarder:
    """One destination: what waits for it, what is under way, and how far it is."""

    def __init__(
        self,
        settings: DestinationSection,
        version: str,
        spool: Spool,
        sender: Sender,
        tally: DestinationTally,
        is_more_coming: Callable[[], bool],
    ) -> None:
        """`version` of the attributes it wants. The destination must be registered with `spool`.

        `is_more_coming`: whether requests are on their way to the disk; `look_again` follows each of them.
        """
        self.settings = settings
        self.tally = tally
        self._version = version
        self._spool = spool
        self._sender = sender
        self._reader = spool.reader()
        self._taken = spool.readers()[settings.name]
        self._seen = spool.newest
        self._newest = self._taken
        self._at_hand: deque[_Load] = deque()
        self._at_hand_bytes = 0
        self._under_way: deque[_Delivery] = deque()
        self._slots = asyncio.Semaphore(settings.in_flight)
        self._sending = 0
        self._is_more_coming = is_more_coming
        self._arrived = asyncio.Event()
        self._moved = asyncio.Event()
        self._next_log_s = 0.0
        self._dispatcher: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Take up where the spool says, and begin to send."""
        tally = self.tally
        tally.queued_batches = tally.queued_bytes = 0
        for signal in Signal:
            wanted = [signal] if signal in self.settings.signals else []
            backlog = self._reader.backlog(self._taken, self._seen, wanted)
            # After a reload some of these were counted before, as waiting or, out of order, as sent.
            tally.recovered[signal] += backlog.items - tally.queued[signal]
            tally.queued[signal] = backlog.items
            tally.queued_batches += backlog.batches
            tally.queued_bytes += backlog.size
            if backlog.batches:
                self._newest = self._seen
        if self._newest > self._taken:
            self._arrived.set()
        else:
            self._move()
        self._shed()
        self._dispatcher = asyncio.create_task(self._dispatch(), name=f"forward {self.settings.name}")

    @property
    def is_full(self) -> bool:
        """Whether clients must be refused because of this destination's quota."""
        return self.settings.on_quota == "refuse" and self.tally.queued_bytes >= self.settings.quota_bytes

    def offer(self, kept: Sequence[Kept]) -> None:
        """Batches that were just made durable."""
        for entry in kept:
            batch = entry.batch
            if batch.id <= self._seen:
                # It was made durable just before the start, which found it in the spool.
                continue
            self._seen = batch.id
            if batch.signal not in self.settings.signals:
                continue
            last_at_hand = self._at_hand[-1].batch.id if self._at_hand else self._taken
            body = entry.bodies.get(self._version) or next(iter(entry.bodies.values()))
            if last_at_hand == self._newest and self._at_hand_bytes < _AT_HAND_BYTES:
                self._at_hand.append(_Load(batch, body))
                self._at_hand_bytes += len(body)
            self._newest = batch.id
            self.tally.enqueued[batch.signal] += batch.items
            self.tally.queued[batch.signal] += batch.items
            self.tally.queued_batches += 1
            self.tally.queued_bytes += batch.size
        self._shed()
        if self._newest > self._taken:
            self._arrived.set()
        else:
            self._move()

    async def empty(self) -> None:
        """Wait until nothing is left to send."""
        while self._newest > self._taken or self._under_way:
            self._moved.clear()
            await self._moved.wait()

    async def close(self) -> None:
        """Stop; what is not delivered stays in the spool."""
        tasks = [delivery.task for delivery in self._under_way if delivery.task]
        if self._dispatcher:
            tasks.append(self._dispatcher)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._sender.close()
        self._reader.close()

    async def _dispatch(self) -> None:
        while True:
            await self._slots.acquire()
            loads = await self._next()
            delivery = _Delivery(loads)
            self._under_way.append(delivery)
            self.tally.in_flight += 1
            delivery.task = asyncio.create_task(self._deliver(delivery))
            delivery.task.add_done_callback(self._ended)

    async def _next(self) -> list[_Load]:
        """The next batches, of one signal and within the size of a request; waits for what is worth one."""
        while not self._is_worth_a_request():
            if self._newest > self._taken and not self._at_hand:
                await self._refill()
            else:
                self._arrived.clear()
                await self._arrived.wait()
        loads = [self._pop()]
        size = len(loads[0].body)
        while self._at_hand:
            load = self._at_hand[0]
            size += len(load.body)
            if size > self.settings.request_bytes or load.batch.signal is not loads[0].batch.signal:
                break
            loads.append(self._pop())
        return loads

    def _is_worth_a_request(self) -> bool:
        """While another request is under way, or others come, a little waits for them; never for a clock."""
        if not self._at_hand:
            return False
        is_all = self._at_hand[-1].batch.id == self._newest
        if not is_all or self._at_hand_bytes >= self.settings.join_bytes:
            return True
        return not (self._sending or self._is_more_coming())

    def look_again(self) -> None:
        """What was on its way has come, or was refused."""
        if self._at_hand:
            self._arrived.set()

    def _pop(self) -> _Load:
        load = self._at_hand.popleft()
        self._at_hand_bytes -= len(load.body)
        self._taken = load.batch.id
        return load

    async def _refill(self) -> None:
        """Read what follows from the spool."""
        try:
            loads, damaged, last = await asyncio.to_thread(self._read, self._taken, self._newest)
        except sqlite3.Error as error:
            log.error("destination %s: the spool cannot be read: %s", self.settings.name, error)
            await asyncio.sleep(_SPOOL_AGAIN_S)
            return
        for batch in damaged:
            if batch.id > self._taken:
                log.error("destination %s: batch %d in the spool is damaged", self.settings.name, batch.id)
                self._count(batch, self.tally.failed)
        for load in loads:
            # Meanwhile the quota may have taken some of them.
            if load.batch.id > self._taken:
                self._at_hand.append(load)
                self._at_hand_bytes += len(load.body)
        if not self._at_hand:
            self._taken = max(self._taken, last)
            self._move()

    def _read(self, cursor: int, newest: int) -> tuple[list[_Load], list[Batch], int]:
        """Batches after `cursor`, those of them that are damaged, and the last one looked at."""
        loads: list[_Load] = []
        damaged: list[Batch] = []
        size, last = 0, newest
        for batch in self._reader.after(cursor, self.settings.signals, _READ_BATCHES):
            if size >= _AT_HAND_BYTES:
                break
            try:
                body = self._reader.body(batch.id, self._version)
            except SpoolError:
                damaged.append(batch)
            else:
                if body is not None:
                    loads.append(_Load(batch, body))
                    size += len(body)
            last = batch.id
        return loads, damaged, last

    def _ended(self, _: asyncio.Task[None]) -> None:
        # Not in the task itself: one that is cancelled before its first step runs none of its code.
        self._slots.release()
        self.tally.in_flight -= 1

    async def _deliver(self, delivery: _Delivery) -> None:
        await self._send(delivery, list(delivery.loads))
        while self._under_way and not self._under_way[0].loads:
            self._under_way.popleft()
        self._move()

    async def _send(self, delivery: _Delivery, loads: Sequence[_Load]) -> None:
        """Try until the destination has these batches, or refuses them for good."""
        signal = loads[0].batch.signal
        body = loads[0].body if len(loads) == 1 else b"".join(load.body for load in loads)
        packed = self._sender.packed(body)
        backoff = Backoff(self.settings.retry)
        while True:
            outcome = await self._attempt(signal, packed)
            self.tally.attempts[outcome.label] += 1
            if isinstance(outcome, Sent):
                self.tally.rejected[signal] += outcome.rejected
                self._finish(loads, self.tally.sent)
                break
            if isinstance(outcome, Refused):
                if len(loads) > 1:
                    # One of them may be to blame, or all together are too large.
                    for load in loads:
                        await self._send(delivery, [load])
                    return
                self._finish(loads, self.tally.failed)
                self._report("destination %s refuses batches for good: %s", outcome.label)
                break
            self._report("destination %s fails: %s; trying again", outcome.label)
            await asyncio.sleep(backoff.wait_s(outcome.after_s))
        delivery.loads = delivery.loads[len(loads) :]

    async def _attempt(self, signal: Signal, packed: bytes) -> Outcome:
        self._sending += 1
        try:
            return await self._sender.send(signal, packed)
        finally:
            self._sending -= 1
            self._arrived.set()

    def _finish(self, loads: Iterable[_Load], into: Counter[Signal]) -> None:
        for load in loads:
            self._count(load.batch, into)

    def _count(self, batch: Batch, into: Counter[Signal]) -> None:
        into[batch.signal] += batch.items
        self.tally.queued[batch.signal] -= batch.items
        self.tally.queued_batches -= 1
        self.tally.queued_bytes -= batch.size

    def _move(self) -> None:
        """Tell the spool how far the destination is without a gap."""
        if self._under_way:
            cursor = self._under_way[0].loads[0].batch.id - 1
        else:
            cursor = self._taken if self._newest > self._taken else self._seen
        self._spool.move(self.settings.name, cursor)
        self._moved.set()

    def _shed(self) -> None:
        """Hold a destination with `drop_oldest` to its quota."""
        if self.settings.on_quota != "drop_oldest":
            return
        while self.tally.queued_bytes > self.settings.quota_bytes:
            if self._under_way:
                self._drop_delivery(self._under_way.popleft())
            elif self._at_hand:
                self._drop(self._pop().batch)
            else:
                waiting = self._reader.after(self._taken, self.settings.signals, 1)
                if not waiting:
                    break
                self._taken = waiting[0].id
                self._drop(waiting[0])
        self._move()

    def _drop_delivery(self, delivery: _Delivery) -> None:
        if delivery.task is not None:
            delivery.task.cancel()
        for load in delivery.loads:
            self._drop(load.batch)

    def _drop(self, batch: Batch) -> None:
        self.tally.dropped[batch.signal] += batch.items
        self._count(batch, self.tally.failed)
        self._report("destination %s is at its quota: the oldest batches are dropped%s", "")

    def _report(self, message: str, what: str) -> None:
        """Log, but not each time."""
        now = time.monotonic()
        if now >= self._next_log_s:
            self._next_log_s = now + _LOG_EVERY_S
            log.warning(message, self.settings.name, what)
