"""`Pipeline`: requests to durable batches. One thread enriches a window while another commits the last."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from wattspan.gateway.enrichment import Enrichment
from wattspan.gateway.intake import Group, Intake, Pending
from wattspan.gateway.journal import without_content
from wattspan.gateway.otlp_status import RefusalError, unavailable
from wattspan.gateway.signals import Signal
from wattspan.gateway.spool import Batch, Draft, Spool, SpoolError

log: Final = logging.getLogger(__name__)

_SETTLE_S: Final = 1.0
"""Cursors are made durable at least this often; after a crash what is newer is sent again."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A batch that was just made durable, and its plain bodies by version."""

    batch: Batch
    bodies: dict[str, bytes]


@dataclass(frozen=True, slots=True)
class _Window:
    drafts: list[Draft]
    good: list[Pending]


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
        on_told: Callable[[], None],
    ) -> None:
        """`on_kept` is called on the event loop with durable batches, before their clients are told.

        `on_told` is called there after that, and after clients were refused.
        """
        self._spool = spool
        self._intake = Intake(enrichment, retry_after_s, self._prepare, on_told)
        self._batch_bytes = batch_bytes
        self._retry_after_s = retry_after_s
        self._on_kept = on_kept
        self._settle_at = 0.0
        self._windows: queue.Queue[_Window | None] = queue.Queue(maxsize=1)
        self.fault: str | None = None
        """Why the last commit failed; None after one that did not."""
        self._committer = threading.Thread(target=self._commit, name="commit")

    @property
    def enrichment(self) -> Enrichment:
        """What puts the attributes on."""
        return self._intake.enrichment

    @enrichment.setter
    def enrichment(self, enrichment: Enrichment) -> None:
        self._intake.enrichment = enrichment

    @property
    def is_busy(self) -> bool:
        """Whether requests are on their way to the disk; for the event loop to read."""
        return self._intake.waiting > 0

    def start(self) -> None:
        """Begin to work."""
        self._intake.start()
        self._committer.start()

    async def accept(self, signal: Signal, body: bytes) -> int:
        """Make a protobuf request durable; the number of its items.

        Raises RefusalError where it is not valid or cannot be kept.
        """
        answer = await self._intake.ask(signal, body)
        if isinstance(answer, RefusalError):
            raise answer
        return answer

    async def close(self) -> None:
        """Finish what was taken in, and stop. The spool stays open."""
        await self._intake.close()
        self._windows.put(None)
        await asyncio.to_thread(self._committer.join)

    def _prepare(self, groups: list[Group]) -> None:
        drafts = [draft for group in groups for draft in self._drafts(group)]
        self._windows.put(_Window(drafts, [pending for group in groups for pending in group.requests]))

    def _drafts(self, group: Group) -> list[Draft]:
        """Whole requests joined up to the size of a batch: OTLP requests joined are one valid request."""
        now, drafts, first, size = time.time_ns(), [], 0, 0
        sizes = [len(request.body) for request in group.requests]
        for end in range(1, len(sizes) + 1):
            size += sizes[end - 1]
            if end == len(sizes) or size + sizes[end] > self._batch_bytes:
                items = sum(request.items for request in group.requests[first:end])
                if items:
                    joined = {
                        name: bodies[first] if end - first == 1 else b"".join(bodies[first:end])
                        for name, bodies in group.versions.items()
                    }
                    drafts.append(Draft(group.signal, items, now, joined))
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
            self._intake.done()
            if time.monotonic() >= self._settle_at:
                self._settle()

    def _keep(self, window: _Window) -> None:
        try:
            batches = self._spool.append(window.drafts) if window.drafts else []
        except Exception as error:
            # Whatever it is, the clients must hear of it and the next window have its turn.
            self.fault = str(error) if isinstance(error, SpoolError) else without_content(error)
            self.enrichment.forget()
            log.error("batches could not be made durable: %s", self.fault)
            self._intake.answer(
                (p, unavailable("the spool cannot be written", self._retry_after_s, p.items))
                for p in window.good
            )
            return
        self.fault = None
        kept = [Kept(b, d.bodies) for b, d in zip(batches, window.drafts, strict=True)]
        answers = [(pending, pending.items) for pending in window.good]
        self._intake.answer(answers, (lambda: self._on_kept(kept)) if kept else None)

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
