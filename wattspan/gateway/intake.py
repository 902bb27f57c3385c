"""`Intake`: requests to enriched windows, on a thread of its own.

Whatever arrives while the last window is on its way is the next one: there is no timer.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from wattspan.gateway.enrichment import Enrichment
from wattspan.gateway.journal import without_content
from wattspan.gateway.otlp_status import RefusalError, bad_data, unavailable
from wattspan.gateway.signals import Signal, UndecodableError, count_items
from wattspan.otlp.enrich import KEYS
from wattspan.otlp.pieces import scan_messages
from wattspan.otlp.wire import SpanTable, WireError

log: Final = logging.getLogger(__name__)

_WINDOW_BYTES: Final = 4 * 1024 * 1024
"""Requests taken together; more only makes the first of them wait longer."""
_WORTH_BYTES: Final = 128 * 1024
"""While a window is on its way to the disk, less than this waits for more: a window has its own price."""
AS_RECEIVED: Final = "received"
"""Version of signals that are passed on untouched."""

Answer = int | RefusalError
"""Items accepted, or why not."""


@dataclass(slots=True)
class Pending:
    """A request whose client waits."""

    signal: Signal
    body: bytes
    answer: asyncio.Future[Answer]
    items: int = 0


@dataclass(frozen=True, slots=True)
class Group:
    """The requests of one signal in a window, and their plain bodies in each version of attributes."""

    signal: Signal
    requests: list[Pending]
    versions: dict[str, list[bytes]]


class Intake:
    """Takes requests on the event loop and hands on windows of them."""

    def __init__(
        self,
        enrichment: Enrichment,
        retry_after_s: float,
        on_window: Callable[[list[Group]], None],
        on_told: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_window` is called on the thread with each window, and may block; `done` ends a window.

        `on_told` is called on the event loop whenever clients were told something.
        """
        self.enrichment = enrichment
        self.waiting = 0
        """Requests whose clients wait; for the event loop to read."""
        self._retry_after_s = retry_after_s
        self._on_window = on_window
        self._on_told = on_told
        self._loop = asyncio.get_running_loop()
        self._pending: deque[Pending] = deque()
        self._pending_bytes = 0
        self._arrived = threading.Condition()
        self._under_way = 0
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="enrich")

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    async def ask(self, signal: Signal, body: bytes) -> Answer:
        """What became of a protobuf request."""
        if not body:
            return 0
        pending = Pending(signal, body, self._loop.create_future())
        with self._arrived:
            if self._is_closed:
                return unavailable("the gateway is stopping", self._retry_after_s)
            self._pending.append(pending)
            self._pending_bytes += len(body)
            self._arrived.notify()
        self.waiting += 1
        return await pending.answer

    def done(self) -> None:
        """A window is no longer under way; from any thread."""
        with self._arrived:
            self._under_way -= 1
            self._arrived.notify()

    def answer(
        self, answers: Iterable[tuple[Pending, Answer]], before: Callable[[], None] | None = None
    ) -> None:
        """As `tell`, from any thread."""
        self._loop.call_soon_threadsafe(self.tell, list(answers), before)

    def tell(
        self, answers: Sequence[tuple[Pending, Answer]], before: Callable[[], None] | None = None
    ) -> None:
        """Tell clients; `before` is called first."""
        self.waiting -= len(answers)
        if before is not None:
            before()
        for pending, answer in answers:
            if not pending.answer.done():
                pending.answer.set_result(answer)
        self._on_told()

    async def close(self) -> None:
        """Finish what was taken in, and stop."""
        with self._arrived:
            self._is_closed = True
            self._arrived.notify()
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        while (taken := self._take()) is not None:
            try:
                groups = self._groups(taken)
            except Exception as error:
                log.error("a window could not be made ready: %s", without_content(error))
                self.answer([(p, unavailable("internal error", self._retry_after_s)) for p in taken])
                self.done()
            else:
                self._on_window(groups)

    def _take(self) -> list[Pending] | None:
        with self._arrived:
            while not self._pending or (self._under_way and self._pending_bytes < _WORTH_BYTES):
                if self._is_closed and not self._pending:
                    return None
                self._arrived.wait()
            taken = [self._pending.popleft()]
            size = len(taken[0].body)
            while self._pending and size + len(self._pending[0].body) <= _WINDOW_BYTES:
                taken.append(self._pending.popleft())
                size += len(taken[-1].body)
            self._pending_bytes -= size
            self._under_way += 1
            return taken

    def _groups(self, taken: Sequence[Pending]) -> list[Group]:
        of_signal: dict[Signal, list[Pending]] = {}
        for pending in taken:
            of_signal.setdefault(pending.signal, []).append(pending)
        groups = []
        for signal, requests in of_signal.items():
            table = _scanned_together(requests) if signal is Signal.TRACES else None
            good = self._counted(requests) if table is None else requests
            if good:
                bodies = [request.body for request in good]
                is_enriched = signal is Signal.TRACES
                versions = self.enrichment.versions(bodies, table) if is_enriched else {AS_RECEIVED: bodies}
                groups.append(Group(signal, good, versions))
        return groups

    def _counted(self, requests: Sequence[Pending]) -> list[Pending]:
        """Those of `requests` that are valid, with their items; the clients of others are told."""
        good: list[Pending] = []
        refused: list[tuple[Pending, Answer]] = []
        for pending in requests:
            try:
                pending.items = count_items(pending.signal, pending.body)
            except UndecodableError as error:
                refused.append((pending, bad_data(str(error))))
            else:
                good.append(pending)
        if refused:
            self.answer(refused)
        return good


def _scanned_together(requests: Sequence[Pending]) -> SpanTable | None:
    """The spans of trace requests, which are counted on the way; None where one of them is not valid."""
    try:
        table = scan_messages([request.body for request in requests], KEYS)
    except WireError:
        return None
    end = before = 0
    for request in requests:
        end += len(request.body)
        upto = table.rows_until(end)
        request.items, before = upto - before, upto
    return table
