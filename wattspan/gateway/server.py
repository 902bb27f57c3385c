"""`Gateway`: receivers, pipeline, spool and forwarders put together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from wattspan.gateway.enrichment import Enrichment, version_name
from wattspan.gateway.forwarder import Forwarder
from wattspan.gateway.limits import MemoryBudget
from wattspan.gateway.metrics import GatewayCollector
from wattspan.gateway.otlp_status import unavailable
from wattspan.gateway.pipeline import Kept, Pipeline
from wattspan.gateway.receiver_grpc import GrpcReceiver
from wattspan.gateway.receiver_http import HttpReceiver
from wattspan.gateway.sender_grpc import GrpcSender
from wattspan.gateway.sender_http import HttpSender
from wattspan.gateway.settings import ServeConfig
from wattspan.gateway.signals import Signal
from wattspan.gateway.spool import Spool
from wattspan.gateway.tallies import DestinationTally, ProcessorTally, ReceiverTally
from wattspan.gateway.telemetry import Telemetry
from wattspan.grid.prefetch import Prefetcher, prefetcher_of

log: Final = logging.getLogger(__name__)

_PREFETCH_STOPS_WITHIN_S: Final = 2.0


class Gateway:
    """One gateway process. Made, started and stopped on one event loop."""

    def __init__(self, config: ServeConfig, readers: Sequence[str] = ()) -> None:
        """`readers`: names of span readers, for which the spool keeps batches as for a destination.

        Raises SpoolError, EditionError or ValueError where the configuration cannot be used.
        """
        self.config = config
        self._readers = readers
        settings = config.gateway
        self.receiver_tallies = {"http": ReceiverTally(), "grpc": ReceiverTally()}
        self.processor_tally = ProcessorTally()
        self._budget = MemoryBudget(settings.limits.memory_bytes, settings.limits.retry_after_s)
        enrichment, self._prefetcher = self._enrichment(config)
        self.spool = Spool(settings.spool.directory / "spool.db")
        self.spool.register(self._names(config))
        self._tallies: dict[str, DestinationTally] = {}
        self.forwarders = self._made_forwarders(config)
        self._pipeline = Pipeline(
            self.spool,
            enrichment,
            batch_bytes=settings.spool.batch_bytes,
            retry_after_s=settings.limits.retry_after_s,
            on_kept=self._offer,
        )
        shared = (settings.limits, self._budget, settings.signals, self._accept)
        drain_s = settings.drain_s / 2
        self.http = HttpReceiver(settings.http, *shared, self.receiver_tallies["http"], drain_s)
        self.grpc = GrpcReceiver(settings.grpc, *shared, self.receiver_tallies["grpc"], drain_s)
        self.telemetry = Telemetry(
            settings.telemetry,
            GatewayCollector(
                self.receiver_tallies,
                self.processor_tally,
                lambda: {n: (f.tally, f.settings.quota_bytes) for n, f in self.forwarders.items()},
                lambda: self._pipeline.enrichment.memory,
                lambda: self._budget.used_bytes,
                lambda: self._prefetcher,
            ),
            self._why_not_ready,
        )
        self._is_listening = False

    def _names(self, config: ServeConfig) -> list[str]:
        return [*(destination.name for destination in config.gateway.destinations), *self._readers]

    def _enrichment(self, config: ServeConfig) -> tuple[Enrichment, Prefetcher | None]:
        versions = [config.version_of(destination) for destination in config.gateway.destinations]
        estimator = config.estimator()
        return Enrichment(estimator, versions, self.processor_tally), prefetcher_of(estimator.grid)

    def _made_forwarders(self, config: ServeConfig) -> dict[str, Forwarder]:
        return {
            settings.name: Forwarder(
                settings,
                version_name(config.version_of(settings)),
                self.spool,
                GrpcSender(settings) if settings.protocol == "grpc" else HttpSender(settings),
                self._tallies.setdefault(settings.name, DestinationTally()),
            )
            for settings in config.gateway.destinations
        }

    async def reload(self, config: ServeConfig) -> None:
        """Take over a new configuration without refusing a request.

        Raises ValueError where something changed that needs a restart, EditionError or OSError where the new
        configuration cannot be used; then the old one stays.
        """
        old, new = self.config.gateway, config.gateway
        for what, is_same in (
            ("gateway.http but its bearer_token", old.http.listening == new.http.listening),
            ("gateway.grpc but its bearer_token", old.grpc.listening == new.grpc.listening),
            ("gateway.limits.request_bytes", old.limits.request_bytes == new.limits.request_bytes),
            ("gateway.telemetry", old.telemetry == new.telemetry),
            ("gateway.spool", old.spool == new.spool),
        ):
            if not is_same:
                raise ValueError(f"{what} cannot change while the gateway runs; restart it")
        for destination in new.destinations:
            destination.tls.context()
        enrichment, prefetcher = await asyncio.to_thread(self._enrichment, config)
        self.http.reload(new.http, new.limits, new.signals)
        self.grpc.reload(new.grpc, new.signals)
        self._budget.most_bytes = new.limits.memory_bytes
        self._pipeline.enrichment = enrichment
        await self._stop_prefetcher()
        self._prefetcher = prefetcher
        self._start_prefetcher()
        before = self.forwarders
        # What becomes durable meanwhile, the new ones find in the spool.
        self.forwarders = {}
        await asyncio.gather(*(forwarder.close() for forwarder in before.values()))
        await asyncio.to_thread(self.spool.register, self._names(config))
        self.config = config
        self._tallies = {d.name: self._tallies.get(d.name, DestinationTally()) for d in new.destinations}
        self.forwarders = self._made_forwarders(config)
        for forwarder in self.forwarders.values():
            forwarder.start()

    async def start(self) -> None:
        """Begin to forward what is in the spool, and to listen. Raises OSError for an address in use."""
        for forwarder in self.forwarders.values():
            forwarder.start()
        self._pipeline.start()
        self._start_prefetcher()
        await self.telemetry.start()
        if self.config.gateway.http.enabled:
            await self.http.start()
        if self.config.gateway.grpc.enabled:
            await self.grpc.start()
        self._is_listening = True

    async def stop(self) -> None:
        """Take nothing more in, finish requests under way, and send what can be sent within `drain_s`."""
        self._is_listening = False
        drain_s = self.config.gateway.drain_s
        deadline = asyncio.get_running_loop().time() + drain_s
        await asyncio.gather(self.http.close(), self.grpc.close())
        await self._pipeline.close()
        await self._stop_prefetcher()
        try:
            async with asyncio.timeout_at(deadline):
                await asyncio.gather(*(forwarder.empty() for forwarder in self.forwarders.values()))
        except TimeoutError:
            log.info("the rest stays in the spool and is sent after the next start")
        await asyncio.gather(*(forwarder.close() for forwarder in self.forwarders.values()))
        await asyncio.to_thread(self.spool.close)
        await self.telemetry.close()

    def _start_prefetcher(self) -> None:
        if self._prefetcher is not None:
            self._prefetcher.start()

    async def _stop_prefetcher(self) -> None:
        if self._prefetcher is not None:
            # A feed may hang; its thread ends with the process.
            await asyncio.to_thread(self._prefetcher.stop, _PREFETCH_STOPS_WITHIN_S)

    async def _accept(self, signal: Signal, body: bytes) -> int:
        for forwarder in self.forwarders.values():
            if forwarder.is_full and signal in forwarder.settings.signals:
                raise unavailable(
                    f"the spool quota of destination {forwarder.settings.name} is used up",
                    self.config.gateway.limits.retry_after_s,
                )
        return await self._pipeline.accept(signal, body)

    def _offer(self, kept: Sequence[Kept]) -> None:
        for forwarder in self.forwarders.values():
            forwarder.offer(kept)

    def _why_not_ready(self) -> list[str]:
        reasons = [] if self._is_listening else ["not listening"]
        if self._pipeline.fault is not None:
            reasons.append("the spool cannot be written")
        reasons += [
            f"the spool quota of destination {name} is used up"
            for name, forwarder in self.forwarders.items()
            if forwarder.is_full
        ]
        return reasons
