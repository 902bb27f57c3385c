"""`Gateway`: receivers, and the outlet that brings what they take in to the destinations."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from wattspan.gateway.durable import DurableOutlet
from wattspan.gateway.enrichment import Enrichment
from wattspan.gateway.lake_queue import READER, LakeQueueCollector
from wattspan.gateway.limits import MemoryBudget
from wattspan.gateway.metrics import GatewayCollector
from wattspan.gateway.outlet import Outlet
from wattspan.gateway.page import page_of
from wattspan.gateway.pass_through import PassThrough
from wattspan.gateway.receiver_grpc import GrpcReceiver
from wattspan.gateway.receiver_http import HttpReceiver
from wattspan.gateway.seat import Seat
from wattspan.gateway.sender import Sender
from wattspan.gateway.sender_grpc import GrpcSender
from wattspan.gateway.sender_http import HttpSender
from wattspan.gateway.settings import DestinationSection, ServeConfig
from wattspan.gateway.signals import Signal
from wattspan.gateway.spool import Spool
from wattspan.gateway.tallies import ProcessorTally, ReceiverTally
from wattspan.gateway.telemetry import Telemetry
from wattspan.grid.prefetch import Prefetcher, prefetcher_of

if TYPE_CHECKING:
    from wattspan.gateway.lake_intake import LakeIntake

_PREFETCH_STOPS_WITHIN_S: Final = 2.0


class Gateway:
    """One gateway process. Made, started and stopped on one event loop."""

    def __init__(self, config: ServeConfig, readers: Sequence[str] = (), seat: Seat | None = None) -> None:
        """`readers`: names of span readers, for which the spool keeps batches as for a destination.

        `seat`: which process of several this is; alone where absent. Raises SpoolError, EditionError or
        ValueError where the configuration cannot be used.
        """
        self.config = config
        self.seat = seat = seat or Seat()
        settings = config.gateway
        self.receiver_tallies = {"http": ReceiverTally(), "grpc": ReceiverTally()}
        self.processor_tally = ProcessorTally()
        self._budget = MemoryBudget(settings.limits.memory_bytes, settings.limits.retry_after_s)
        enrichment, self._prefetcher = self._enrichment(config)
        if config.lake.folder is not None:
            if reasons := why_no_lake(config):
                raise ValueError(f"lake: {'; '.join(reasons)}")
            readers = [*readers, READER]
        self.durable: DurableOutlet | None = None
        """The outlet with a spool; None in a gateway that passes through."""
        self.outlet: Outlet
        if settings.acknowledge == "durable" or seat.is_draining:
            spool = Spool(seat.spool_path(settings.spool.directory))
            self.outlet = self.durable = DurableOutlet(
                config, spool, enrichment, readers, _sender, discards=seat.is_draining
            )
        else:
            self.outlet = PassThrough(config, enrichment, _sender)
        shared = (settings.limits, self._budget, settings.signals, self._accept)
        drain_s = settings.drain_s / 2
        self.http = HttpReceiver(settings.http, *shared, self.receiver_tallies["http"], drain_s)
        self.grpc = GrpcReceiver(settings.grpc, *shared, self.receiver_tallies["grpc"], drain_s)
        # The supervisor of several workers shows probes, metrics and the page.
        page = None if seat.is_shared else page_of(config)
        self.telemetry = Telemetry(settings.telemetry, self, page)
        self._registry = CollectorRegistry()
        self._registry.register(
            GatewayCollector(
                self.receiver_tallies,
                self.processor_tally,
                lambda: self.outlet.destinations(),
                lambda: self.outlet.enrichment.memory,
                lambda: self._budget.used_bytes,
                lambda: self._prefetcher,
            )
        )
        self.lake: LakeIntake | None = None
        """Brings the spool into the lake; None where none is configured, or another process does."""
        if self.durable is not None and (queue := self.durable.lake) is not None:
            self._registry.register(LakeQueueCollector(queue))
            if not seat.is_shared:
                # Arrow is an extra: only who has a lake loads it.
                from wattspan.gateway.lake_intake import LakeCollector, LakeIntake, Source

                self.lake = LakeIntake(config, [Source(self.durable.spool.path, queue.moved)])
                self._registry.register(LakeCollector(self.lake))
        self._is_listening = False

    def _enrichment(self, config: ServeConfig) -> tuple[Enrichment, Prefetcher | None]:
        versions = [config.version_of(destination) for destination in config.gateway.destinations]
        estimator = config.estimator()
        return Enrichment(estimator, versions, self.processor_tally), prefetcher_of(estimator.grid)

    async def reload(self, config: ServeConfig) -> None:
        """Take over a new configuration without refusing a request.

        Raises ValueError where something changed that needs a restart, EditionError or OSError where the new
        configuration cannot be used; then the old one stays.
        """
        new = config.gateway
        for what in (*self.config.gateway.fixed(new), *(["lake"] if config.lake != self.config.lake else [])):
            raise ValueError(f"{what} cannot change while the gateway runs; restart it")
        for destination in new.destinations:
            destination.tls.context()
        enrichment, prefetcher = await asyncio.to_thread(self._enrichment, config)
        self.http.reload(new.http, new.limits, new.signals)
        self.grpc.reload(new.grpc, new.signals)
        self._budget.most_bytes = new.limits.memory_bytes
        await self._stop_prefetcher()
        self._prefetcher = prefetcher
        self._start_prefetcher()
        await self.outlet.reload(config, enrichment)
        self.config = config

    async def start(self) -> None:
        """Begin to forward what is in the spool, and to listen. Raises OSError for an address in use."""
        self.outlet.start()
        if self.lake is not None:
            self.lake.start()
        self._start_prefetcher()
        if not self.seat.is_shared:
            await self.telemetry.start()
        if self.seat.is_draining:
            return
        if self.config.gateway.http.enabled:
            await self.http.start(shares_port=self.seat.is_shared)
        if self.config.gateway.grpc.enabled:
            await self.grpc.start(shares_port=self.seat.is_shared)
        self._is_listening = True

    async def stop(self) -> None:
        """Take nothing more in, finish requests under way, and send what can be sent within `drain_s`."""
        self._is_listening = False
        deadline = asyncio.get_running_loop().time() + self.config.gateway.drain_s
        await asyncio.gather(self.http.close(), self.grpc.close())
        await self._stop_prefetcher()
        if self.lake is not None:
            within_s = max(0.0, deadline - asyncio.get_running_loop().time())
            await asyncio.to_thread(self.lake.stop, within_s)
        await self.outlet.close(deadline)
        await self.telemetry.close()

    async def metrics(self) -> bytes:
        """What `/metrics` shows."""
        return generate_latest(self._registry)

    def lake_moved(self, cursor: int) -> None:
        """The lake's process has everything of the spool up to batch `cursor`."""
        if self.durable is not None and self.durable.lake is not None:
            self.durable.lake.moved(cursor)

    async def why_not_healthy(self) -> Sequence[str]:
        """Nothing: that it answers is its health."""
        return []

    async def why_not_ready(self) -> Sequence[str]:
        """What keeps clients from being served."""
        return [*([] if self._is_listening else ["not listening"]), *self.outlet.why_not_ready()]

    def _start_prefetcher(self) -> None:
        if self._prefetcher is not None:
            self._prefetcher.start()

    async def _stop_prefetcher(self) -> None:
        if self._prefetcher is not None:
            # A feed may hang; its thread ends with the process.
            await asyncio.to_thread(self._prefetcher.stop, _PREFETCH_STOPS_WITHIN_S)

    async def _accept(self, signal: Signal, body: bytes) -> int:
        return await self.outlet.accept(signal, body)


def why_no_lake(config: ServeConfig) -> Sequence[str]:
    """What in the configuration keeps the gateway from writing a lake."""
    reasons = []
    if config.gateway.acknowledge != "durable":
        reasons.append("gateway.acknowledge must be durable: the lake reads the spool")
    if any(destination.name == READER for destination in config.gateway.destinations):
        reasons.append(f"no destination may be named {READER!r}")
    return reasons


def _sender(settings: DestinationSection) -> Sender:
    """What speaks the protocol of a destination. Raises OSError where its TLS settings cannot be used."""
    return GrpcSender(settings) if settings.protocol == "grpc" else HttpSender(settings)
