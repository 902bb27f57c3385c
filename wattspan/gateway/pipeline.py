"""`Pipeline`: requests to durable batches. One thread enriches a window while another commits the last.

Whatever arrives while a commit waits for the disk is the next window: the group commit needs no timer.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from wattspan.gateway.enrichment import Enrichment
from wattspan.gateway.journal import without_content
from wattspan.gateway.otlp_status import RefusalError, bad_data, unavailable
from wattspan.gateway.signals import Signal, UndecodableError, count_items
from wattspan.gateway.spool import Batch, Draft, Spool, SpoolError

log: Final = logging.getLogger(__name__)

_WINDOW_BYTES: Final = 4 * 1024 * 1024
"""Requests taken together; more only makes the first of them wait longer."""
_WORTH_BYTES: Final = 128 * 1024
"""While a window is on its way to the disk, less than this waits for more: a window has its own price."""
_SETTLE_S: Final = 1.0
"""Cursors are made durable at least this often; after a crash what is newer is sent again."""
_AS_RECEIVED: Final = "received"
"""Version of signals that are passed on untouched."""

Answer = int | RefusalError
"""Items accepted, or why not."""


@dataclass(slots=True)
class _Pending:
    signal: Signal
    body: bytes
    answer: asyncio.Future[Answer]
    items: int = 0


@dataclass(frozen=True, slots=True)
class Kept:
    """A batch that was just made durable, and its plain bodies by version."""

    batch: Batch
    bodies: dict[str, bytes]


@dataclass(frozen=True, slots=True)
class _Window:
    drafts: list[Draft]
    good: list[_Pending]


class Pipeline:
    """Takes requests on the event loop; answers when they are on disk."""

    def __init__(
        self,
        spool: Spool,
        enrichment: Enrichment,
        *,
        batch_bytes: int,
        retry_after_s: float,
        on_kept: Callable[[Sequence[Kept]], None],
    ) -> None:
        """`on_kept` is called on the event loop with durable batches, before their clients are told."""
        self._spool = spool
        self.enrichment = enrichment
        self._batch_bytes = batch_bytes
        self._retry_after_s = retry_after_s
        self._on_kept = on_kept
        self._pending: deque[_Pending] = deque()
        self._arrived = threading.Condition()
        self._pending_bytes = 0
        self._uncommitted = 0
        self._settle_at = 0.0
        self._is_closed = False
        self._windows: queue.Queue[_Window | None] = queue.Queue(maxsize=1)
        self._loop = asyncio.get_running_loop()
        self.fault: str | None = None
        """Why the last commit failed; None after one that did not."""
        self._threads = [
            threading.Thread(target=self._enrich, name="enrich"),
            threading.Thread(target=self._commit, name="commit"),
        ]

    def start(self) -> None:
        """Begin to work."""
        for thread in self._threads:
            thread.start()

    async def accept(self, signal: Signal, body: bytes) -> int:
        """Make a protobuf request durable; the number of its items.

        Raises RefusalError where it is not valid or cannot be kept.
        """
        if not body:
            return 0
        pending = _Pending(signal, body, self._loop.create_future())
        with self._arrived:
            if self._is_closed:
                raise unavailable("the gateway is stopping", self._retry_after_s)
            self._pending.append(pending)
            self._pending_bytes += len(body)
            self._arrived.notify()
        answer = await pending.answer
        if isinstance(answer, RefusalError):
            raise answer
        return answer

    async def close(self) -> None:
        """Finish what was taken in, and stop. The spool stays open."""
        with self._arrived:
            self._is_closed = True
            self._arrived.notify()
        for thread in self._threads:
            await asyncio.to_thread(thread.join)

    def _enrich(self) -> None:
        while (taken := self._take()) is not None:
            try:
                window = self._window(taken)
            except Exception as error:
                log.error("a window could not be made ready: %s", without_content(error))
                self._answer([(p, unavailable("internal error", self._retry_after_s)) for p in taken])
                self._committed()
            else:
                self._windows.put(window)
        self._windows.put(None)

    def _take(self) -> list[_Pending] | None:
        with self._arrived:
            while not self._pending or (self._uncommitted and self._pending_bytes < _WORTH_BYTES):
                if self._is_closed and not self._pending:
                    return None
                self._arrived.wait()
            taken = [self._pending.popleft()]
            size = len(taken[0].body)
            while self._pending and size + len(self._pending[0].body) <= _WINDOW_BYTES:
                taken.append(self._pending.popleft())
                size += len(taken[-1].body)
            self._pending_bytes -= size
            self._uncommitted += 1
            return taken

    def _window(self, taken: Sequence[_Pending]) -> _Window:
        good: dict[Signal, list[_Pending]] = {}
        refused: list[tuple[_Pending, Answer]] = []
        for pending in taken:
            try:
                pending.items = count_items(pending.signal, pending.body)
            except UndecodableError as error:
                refused.append((pending, bad_data(str(error))))
            else:
                good.setdefault(pending.signal, []).append(pending)
        if refused:
            self._answer(refused)
        drafts: list[Draft] = []
        for signal, requests in good.items():
            bodies = [request.body for request in requests]
            versions = self.enrichment.versions(bodies) if signal is Signal.TRACES else {_AS_RECEIVED: bodies}
            drafts += self._drafts(signal, requests, versions)
        return _Window(drafts, [pending for requests in good.values() for pending in requests])

    def _drafts(
        self, signal: Signal, requests: Sequence[_Pending], versions: dict[str, list[bytes]]
    ) -> list[Draft]:
        """Whole requests joined up to the size of a batch: OTLP requests joined are one valid request."""
        now, drafts, first, size = time.time_ns(), [], 0, 0
        sizes = [len(request.body) for request in requests]
        for end in range(1, len(requests) + 1):
            size += sizes[end - 1]
            if end == len(requests) or size + sizes[end] > self._batch_bytes:
                items = sum(request.items for request in requests[first:end])
                if items:
                    joined = {
                        name: bodies[first] if end - first == 1 else b"".join(bodies[first:end])
                        for name, bodies in versions.items()
                    }
                    drafts.append(Draft(signal, items, now, joined))
                first, size = end, 0
        return drafts

    def _commit(self) -> None:
        while True:
            try:
                window = self._windows.get(timeout=_SETTLE_S)
            except queue.Empty:
                self._settle()
                continue
            if window is None:
                break
            self._keep(window)
            self._committed()
            if time.monotonic() >= self._settle_at:
                self._settle()

    def _committed(self) -> None:
        with self._arrived:
            self._uncommitted -= 1
            self._arrived.notify()

    def _keep(self, window: _Window) -> None:
        try:
            batches = self._spool.append(window.drafts) if window.drafts else []
        except Exception as error:
            # Whatever it is, the clients must hear of it and the next window have its turn.
            self.fault = str(error) if isinstance(error, SpoolError) else without_content(error)
            self.enrichment.forget()
            log.error("batches could not be made durable: %s", self.fault)
            self._answer(
                [
                    (
                        pending,
                        unavailable("the spool cannot be written", self._retry_after_s, pending.items),
                    )
                    for pending in window.good
                ]
            )
            return
        self.fault = None
        kept = [Kept(b, d.bodies) for b, d in zip(batches, window.drafts, strict=True)]
        self._answer([(pending, pending.items) for pending in window.good], kept)

    def _settle(self) -> None:
        """Move cursors and delete what all have; never in the way of an acknowledgement for long."""
        self._settle_at = time.monotonic() + _SETTLE_S
        if self._spool.is_settled:
            return
        try:
            while self._spool.settle() and self._windows.empty():
                pass
        except SpoolError as error:
            self.fault = str(error)
            log.error("cursors could not be made durable: %s", error)

    def _answer(self, answers: Sequence[tuple[_Pending, Answer]], kept: Sequence[Kept] = ()) -> None:
        def tell() -> None:
            if kept:
                self._on_kept(kept)
            for pending, answer in answers:
                if not pending.answer.done():
                    pending.answer.set_result(answer)

        self._loop.call_soon_threadsafe(tell)
