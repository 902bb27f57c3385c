"""`DurableOutlet`: requests are on disk before their clients are told, and are forwarded from there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from wattspan.gateway.enrichment import Enrichment, version_name
from wattspan.gateway.forwarder import Forwarder
from wattspan.gateway.lake_queue import LakeQueue
from wattspan.gateway.otlp_status import unavailable
from wattspan.gateway.pipeline import Kept, Pipeline
from wattspan.gateway.sender import Sender
from wattspan.gateway.settings import DestinationSection, ServeConfig
from wattspan.gateway.signals import Signal
from wattspan.gateway.spool import Spool
from wattspan.gateway.tallies import DestinationTally

log: Final = logging.getLogger(__name__)

_LOOK_AGAIN_S: Final = 0.25
_LAKE_IS_FULL: Final = "the spool quota of the lake is used up"


class DurableOutlet:
    """A spool, what fills it, and what empties it."""

    def __init__(
        self,
        config: ServeConfig,
        spool: Spool,
        enrichment: Enrichment,
        readers: Sequence[str],
        sender: Callable[[DestinationSection], Sender],
        *,
        discards: bool = False,
    ) -> None:
        """`readers`: names of span readers, for which the spool keeps batches as for a destination.

        `discards`: the spool is deleted at the end where nothing is left in it.
        """
        self.spool = spool
        self._config = config
        self._readers = readers
        self._sender = sender
        self._discards = discards
        self._tallies: dict[str, DestinationTally] = {}
        spool.register(self._names(config))
        self.forwarders = self._made_forwarders(config)
        self.lake: LakeQueue | None = None
        """What waits for the lake; None where there is none."""
        if config.lake.folder is not None:
            self.lake = LakeQueue(spool, config.lake)
        self._pipeline = Pipeline(
            spool,
            enrichment,
            batch_bytes=config.gateway.spool.batch_bytes,
            retry_after_s=config.gateway.limits.retry_after_s,
            on_kept=self._offer,
            on_told=self._look_again,
        )

    @property
    def enrichment(self) -> Enrichment:
        """What puts the attributes on."""
        return self._pipeline.enrichment

    def _names(self, config: ServeConfig) -> list[str]:
        return [*(destination.name for destination in config.gateway.destinations), *self._readers]

    def _made_forwarders(self, config: ServeConfig) -> dict[str, Forwarder]:
        return {
            settings.name: Forwarder(
                settings,
                version_name(config.version_of(settings)),
                self.spool,
                self._sender(settings),
                self._tallies.setdefault(settings.name, DestinationTally()),
                lambda: self._pipeline.is_busy,
            )
            for settings in config.gateway.destinations
        }

    def start(self) -> None:
        """Begin to forward what is in the spool, and to keep what comes."""
        for forwarder in self.forwarders.values():
            forwarder.start()
        self._pipeline.start()

    async def accept(self, signal: Signal, body: bytes) -> int:
        """Make a protobuf request durable; the number of its items.

        Raises RefusalError where it is not valid or cannot be kept.
        """
        for forwarder in self.forwarders.values():
            if forwarder.is_full and signal in forwarder.settings.signals:
                raise unavailable(
                    f"the spool quota of destination {forwarder.settings.name} is used up",
                    self._config.gateway.limits.retry_after_s,
                )
        if self.lake is not None and self.lake.is_full and signal is Signal.TRACES:
            raise unavailable(_LAKE_IS_FULL, self._config.gateway.limits.retry_after_s)
        return await self._pipeline.accept(signal, body)

    async def reload(self, config: ServeConfig, enrichment: Enrichment) -> None:
        """Take over other destinations and other attributes without refusing a request."""
        self._pipeline.enrichment = enrichment
        before = self.forwarders
        # What becomes durable meanwhile, the new ones find in the spool.
        self.forwarders = {}
        await asyncio.gather(*(forwarder.close() for forwarder in before.values()))
        await asyncio.to_thread(self.spool.register, self._names(config))
        self._config = config
        self._tallies = {
            d.name: self._tallies.get(d.name, DestinationTally()) for d in config.gateway.destinations
        }
        self.forwarders = self._made_forwarders(config)
        for forwarder in self.forwarders.values():
            forwarder.start()

    async def emptied(self) -> None:
        """Wait until every reader has everything, and nothing is left in the spool."""
        while not self.spool.is_empty:
            await asyncio.sleep(_LOOK_AGAIN_S)

    async def close(self, deadline: float) -> None:
        """Keep what was taken in, and send what can be sent until `deadline`; the rest stays in the spool."""
        await self._pipeline.close()
        try:
            async with asyncio.timeout_at(deadline):
                await asyncio.gather(*(forwarder.empty() for forwarder in self.forwarders.values()))
        except TimeoutError:
            log.info("the rest stays in the spool and is sent after the next start")
        await asyncio.gather(*(forwarder.close() for forwarder in self.forwarders.values()))
        await asyncio.to_thread(self.spool.discard if self._discards else self.spool.close)

    def destinations(self) -> Mapping[str, tuple[DestinationTally, int]]:
        """What became of the batches of each destination, and its quota in bytes."""
        return {name: (f.tally, f.settings.quota_bytes) for name, f in self.forwarders.items()}

    def why_not_ready(self) -> Sequence[str]:
        """What keeps clients from being served."""
        reasons = [] if self._pipeline.fault is None else ["the spool cannot be written"]
        if self.lake is not None and self.lake.is_full:
            reasons.append(_LAKE_IS_FULL)
        return reasons + [
            f"the spool quota of destination {name} is used up"
            for name, forwarder in self.forwarders.items()
            if forwarder.is_full
        ]

    def _look_again(self) -> None:
        for forwarder in self.forwarders.values():
            forwarder.look_again()

    def _offer(self, kept: Sequence[Kept]) -> None:
        for forwarder in self.forwarders.values():
            forwarder.offer(kept)
        if self.lake is not None:
            self.lake.offer(kept)
