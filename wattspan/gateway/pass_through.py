"""`PassThrough`: a client is told what the destinations told us. Needs no disk, and keeps nothing.

The client's own retries are the queue: there is one attempt for each request and destination.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from wattspan.gateway.enrichment import Enrichment, version_name
from wattspan.gateway.intake import Answer, Group, Intake, Pending
from wattspan.gateway.otlp_status import RefusalError, given_up, unavailable
from wattspan.gateway.sender import Outcome, Refused, Sender, Sent, TryAgain
from wattspan.gateway.settings import DestinationSection, ServeConfig
from wattspan.gateway.signals import Signal
from wattspan.gateway.tallies import DestinationTally


class PassThrough:
    """Brings each request to its destinations while its client waits."""

    def __init__(
        self,
        config: ServeConfig,
        enrichment: Enrichment,
        sender: Callable[[DestinationSection], Sender],
    ) -> None:
        self._sender = sender
        self._retry_after_s = config.gateway.limits.retry_after_s
        self._tallies: dict[str, DestinationTally] = {}
        self._relays = self._made_relays(config)
        self._intake = Intake(enrichment, self._retry_after_s, self._hand_over)
        self._loop = asyncio.get_running_loop()
        self._under_way: set[asyncio.Task[None]] = set()

    @property
    def enrichment(self) -> Enrichment:
        """What puts the attributes on."""
        return self._intake.enrichment

    def _made_relays(self, config: ServeConfig) -> list[_Relay]:
        return [
            _Relay(
                settings,
                version_name(config.version_of(settings)),
                self._sender(settings),
                self._tallies.setdefault(settings.name, DestinationTally()),
                asyncio.Semaphore(settings.in_flight),
            )
            for settings in config.gateway.destinations
        ]

    def start(self) -> None:
        """Begin to work."""
        self._intake.start()

    async def accept(self, signal: Signal, body: bytes) -> int:
        """Bring a protobuf request to every destination of its signal; the number of its items.

        Raises RefusalError where it is not valid, or a destination did not take it.
        """
        answer = await self._intake.ask(signal, body)
        if isinstance(answer, RefusalError):
            raise answer
        return answer

    async def reload(self, config: ServeConfig, enrichment: Enrichment) -> None:
        """Take over other destinations and other attributes; requests under way end with the old ones."""
        before, under_way = self._relays, list(self._under_way)
        self._intake.enrichment = enrichment
        self._retry_after_s = config.gateway.limits.retry_after_s
        self._tallies = {
            d.name: self._tallies.get(d.name, DestinationTally()) for d in config.gateway.destinations
        }
        self._relays = self._made_relays(config)
        await asyncio.gather(*under_way)
        for relay in before:
            await relay.sender.close()

    async def close(self, deadline: float) -> None:
        """Give requests under way until `deadline`; those that are not through are refused."""
        await self._intake.close()
        # The last windows may still be on their way from the thread.
        await asyncio.sleep(0)
        if self._under_way:
            _, late = await asyncio.wait(
                self._under_way, timeout=max(0.0, deadline - asyncio.get_running_loop().time())
            )
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        for relay in self._relays:
            await relay.sender.close()

    def destinations(self) -> Mapping[str, tuple[DestinationTally, int]]:
        """What became of the requests of each destination; there are no quotas."""
        return {relay.settings.name: (relay.tally, 0) for relay in self._relays}

    def why_not_ready(self) -> Sequence[str]:
        """Nothing: a destination that is down refuses its clients one by one."""
        return []

    def _hand_over(self, groups: list[Group]) -> None:
        self._loop.call_soon_threadsafe(self._begin, groups)
        self._intake.done()

    def _begin(self, groups: list[Group]) -> None:
        for group in groups:
            for index, pending in enumerate(group.requests):
                bodies = {name: versions[index] for name, versions in group.versions.items()}
                task = self._loop.create_task(self._pass_on(pending, bodies))
                self._under_way.add(task)
                task.add_done_callback(self._under_way.discard)

    async def _pass_on(self, pending: Pending, bodies: Mapping[str, bytes]) -> None:
        answer: Answer = unavailable("the gateway is stopping", self._retry_after_s, pending.items)
        try:
            relays = [relay for relay in self._relays if pending.signal in relay.settings.signals]
            outcomes = await asyncio.gather(*(relay.bring(pending, bodies) for relay in relays))
            answer = self._answer(pending, [relay.settings.name for relay in relays], outcomes)
        finally:
            if isinstance(answer, RefusalError) and answer.retry_after_s is not None:
                # What is sent again must not be taken for a copy of itself.
                self.enrichment.forget()
            self._intake.tell([(pending, answer)])

    def _answer(self, pending: Pending, names: Sequence[str], outcomes: Sequence[Outcome]) -> Answer:
        for name, outcome in zip(names, outcomes, strict=True):
            if isinstance(outcome, Refused):
                return given_up(
                    f"destination {name} refuses the request for good: {outcome.label}", pending.items
                )
        for name, outcome in zip(names, outcomes, strict=True):
            if isinstance(outcome, TryAgain):
                return unavailable(
                    f"destination {name} does not take the request now: {outcome.label}",
                    max(
                        [self._retry_after_s, *(o.after_s or 0 for o in outcomes if isinstance(o, TryAgain))]
                    ),
                    pending.items,
                )
        return pending.items


@dataclass(frozen=True, slots=True)
class _Relay:
    """One destination."""

    settings: DestinationSection
    version: str
    sender: Sender
    tally: DestinationTally
    slots: asyncio.Semaphore

    async def bring(self, pending: Pending, bodies: Mapping[str, bytes]) -> Outcome:
        """Make one attempt, and count what came of it."""
        tally, signal, items = self.tally, pending.signal, pending.items
        body = bodies.get(self.version) or next(iter(bodies.values()))
        tally.enqueued[signal] += items
        tally.queued[signal] += items
        tally.queued_batches += 1
        tally.queued_bytes += len(body)
        into = tally.failed
        try:
            async with self.slots:
                tally.in_flight += 1
                try:
                    outcome = await self.sender.send(signal, self.sender.packed(body))
                finally:
                    tally.in_flight -= 1
            tally.attempts[outcome.label] += 1
            if isinstance(outcome, Sent):
                into = tally.sent
                tally.rejected[signal] += outcome.rejected
            return outcome
        finally:
            into[signal] += items
            tally.queued[signal] -= items
            tally.queued_batches -= 1
            tally.queued_bytes -= len(body)
