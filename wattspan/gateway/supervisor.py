"""`Supervisor`: several worker processes as one gateway.

Workers share the ports and have a spool each. The supervisor starts them, and again when one dies; it passes
on configurations and the end, and shows probes and metrics of all. Where there is a lake, one process more
reads the spools of all into it. The supervisor handles no span.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from wattspan.gateway.page import page_of
from wattspan.gateway.seat import Seat
from wattspan.gateway.settings import ReceiverSection, ServeConfig
from wattspan.gateway.shared_port import SharedPort
from wattspan.gateway.telemetry import Telemetry
from wattspan.gateway.worker_process import WorkerProcess, WorkerState

log: Final = logging.getLogger(__name__)

_FIRST_WAIT_S: Final = 0.1
_LONGEST_WAIT_S: Final = 30.0
_GOOD_LIFE_S: Final = 60.0
"""A worker that lived so long is started again without a longer wait than the first."""
_LOOKS: Final = 4
"""How often a worker is asked within the time that it has to answer."""
_ANSWER_S: Final = 2.0
"""For a worker to say how it is."""
_AFTER_DRAIN_S: Final = 10.0
"""Beyond `drain_s`, before a worker that does not end is killed."""


class _Port:
    """Where a receiver of all workers listens."""

    def __init__(self, section: ReceiverSection, port: int) -> None:
        self._shared = SharedPort(section.host, port) if section.enabled else None
        self.port = self._shared.port if self._shared else 0

    def close(self) -> None:
        if self._shared:
            self._shared.close()


class Supervisor:
    """All processes of a gateway. Made, started and stopped on one event loop."""

    def __init__(self, config: ServeConfig, seats: Sequence[Seat]) -> None:
        """Raises OSError where an address cannot be had, ValueError where there is no page to show."""
        self.config = config
        self.http = _Port(config.gateway.http, config.gateway.http.port)
        try:
            self.grpc = _Port(config.gateway.grpc, config.gateway.grpc.port)
        except OSError:
            self.http.close()
            raise
        self.telemetry = Telemetry(config.gateway.telemetry, self, page_of(config))
        self._seats = list(seats)
        if config.lake.folder is not None:
            self._seats.append(Seat(is_shared=True, is_lake=True))
        self._workers: dict[Seat, WorkerProcess] = {}
        self._starts = dict.fromkeys(self._seats, 0)
        self._in_lake: dict[int, int] = {}
        """Number of each spool to the last batch of it in the lake."""
        self._keepers: list[asyncio.Task[None]] = []
        self._is_stopping = asyncio.Event()

    async def start(self) -> None:
        """Start all workers. Raises OSError where one of them cannot begin."""
        receiving = [seat for seat in self._seats if seat.is_receiving]
        try:
            started = await asyncio.gather(*(self._started(seat) for seat in receiving))
            # It reads the spools that the workers have made by now.
            for seat in self._seats:
                if seat.is_lake:
                    receiving.append(seat)
                    started.append(await self._started(seat))
            await self.telemetry.start()
        except OSError:
            await self._end()
            raise
        self._keepers = [
            asyncio.create_task(self._keep(seat, worker))
            for seat, worker in zip(receiving, started, strict=True)
        ]
        for seat in self._seats:
            if seat.is_draining:
                log.info("worker %d drains a spool that was left behind", seat.number)
                self._keepers.append(asyncio.create_task(self._keep(seat, None)))

    async def reload(self, config: ServeConfig) -> None:
        """Have every worker take over a new configuration.

        Raises ValueError where something changed that needs a restart, or a worker cannot use it.
        """
        for what in self.config.gateway.fixed(config.gateway):
            raise ValueError(f"{what} cannot change while the gateway runs; restart it")
        workers = list(self._workers.values())
        text = self._with_ports(config).model_dump_json()
        answers = await asyncio.gather(*(worker.reload(text) for worker in workers))
        # Those that start from now on, and those that died meanwhile.
        self.config = config
        faults = sorted({answer for answer in answers if answer})
        if faults:
            raise ValueError("; ".join(faults))

    async def stop(self) -> None:
        """End all workers, each as one gateway would end, and then itself."""
        self._is_stopping.set()
        await self._end()
        await asyncio.gather(*self._keepers)
        await self.telemetry.close()

    async def metrics(self) -> bytes:
        """The metrics of all workers, told apart by the label `worker`."""
        states = await self._states()
        registry = CollectorRegistry()
        registry.register(_All(states, self._starts))
        return generate_latest(registry)

    async def why_not_healthy(self) -> Sequence[str]:
        """Workers that are not there or do not answer."""
        states = await self._states()
        return [
            f"worker {seat.name} does not answer"
            for seat in self._seats
            if not seat.is_draining and states.get(seat) is None
        ]

    async def why_not_ready(self) -> Sequence[str]:
        """What keeps clients of some worker from being served. One that is being started has none."""
        states = await self._states()
        there = [(seat, state) for seat, state in states.items() if state and seat.is_receiving]
        if not there or self._is_stopping.is_set():
            return ["not listening"]
        return [f"worker {seat.number}: {reason}" for seat, state in there for reason in state.not_ready]

    async def _states(self) -> dict[Seat, WorkerState | None]:
        """How each worker is; None for one that does not say."""
        workers = dict(self._workers)

        async def asked(worker: WorkerProcess) -> WorkerState | None:
            try:
                async with asyncio.timeout(_ANSWER_S):
                    return await worker.state()
            except TimeoutError:
                return None

        found = await asyncio.gather(*(asked(worker) for worker in workers.values()))
        return dict(zip(workers, found, strict=True))

    async def _started(self, seat: Seat) -> WorkerProcess:
        """Start a worker. Raises OSError where it cannot begin."""
        self._starts[seat] += 1
        worker = await WorkerProcess.start(seat, self._config_of(seat), self._pass_on)
        self._workers[seat] = worker
        fault = await worker.began()
        if fault is not None:
            await worker.ended()
            self._workers.pop(seat, None)
            raise OSError(f"worker {seat.name}: {fault}")
        if not seat.is_lake and seat.number in self._in_lake:
            # It has from its spool what was durable there.
            worker.lake_moved(self._in_lake[seat.number])
        if self._is_stopping.is_set():
            worker.end()
        return worker

    def _config_of(self, seat: Seat) -> str:
        config = self._with_ports(self.config).model_dump(mode="json")
        if not seat.is_lake:
            return json.dumps(config)
        folder = self.config.gateway.spool.directory
        spools = {one.number: str(one.spool_path(folder)) for one in self._seats if not one.is_lake}
        return json.dumps({"config": config, "spools": spools})

    def _pass_on(self, moved: Mapping[str, int]) -> None:
        """The lake has read spools up to some batches: their workers may let these go."""
        for number, cursor in moved.items():
            self._in_lake[int(number)] = cursor
            for seat, worker in self._workers.items():
                if not seat.is_lake and seat.number == int(number):
                    worker.lake_moved(cursor)

    async def _keep(self, seat: Seat, worker: WorkerProcess | None) -> None:
        """Start a worker again each time it dies, until the end; one that drains, until it is done."""
        loop, wait_s = asyncio.get_running_loop(), _FIRST_WAIT_S
        while True:
            began_s = loop.time()
            try:
                worker = worker or await self._started(seat)
            except OSError as error:
                log.error("%s", error)
            else:
                watching = asyncio.create_task(self._watch(seat, worker))
                status = await worker.ended()
                watching.cancel()
                self._workers.pop(seat, None)
                if seat.is_draining and status == 0 and not self._is_stopping.is_set():
                    log.info("worker %d has drained its spool", seat.number)
                    return
                if not self._is_stopping.is_set():
                    log.error("worker %s ended with status %d; it is started again", seat.name, status)
            worker = None
            if loop.time() - began_s > _GOOD_LIFE_S:
                wait_s = _FIRST_WAIT_S
            if await _happens(self._is_stopping, wait_s):
                return
            wait_s = min(4 * wait_s, _LONGEST_WAIT_S)

    async def _watch(self, seat: Seat, worker: WorkerProcess) -> None:
        """Kill a receiving worker that hangs: what it acknowledged is in its spool."""
        while seat.is_receiving:
            within_s = self.config.gateway.worker_timeout_s
            await asyncio.sleep(within_s / _LOOKS)
            try:
                async with asyncio.timeout(within_s):
                    await worker.state()
            except TimeoutError:
                if not self._is_stopping.is_set():
                    log.error("worker %s has not answered for %g s; it is killed", seat.name, within_s)
                    worker.kill()
                return

    async def _end(self) -> None:
        workers = list(self._workers.values())
        for worker in workers:
            worker.end()
        try:
            async with asyncio.timeout(self.config.gateway.drain_s + _AFTER_DRAIN_S):
                await asyncio.gather(*(worker.ended() for worker in workers))
        except TimeoutError:
            log.error("a worker does not end; it is killed")
            for worker in workers:
                worker.kill()
        self.http.close()
        self.grpc.close()

    def _with_ports(self, config: ServeConfig) -> ServeConfig:
        """`config` with the ports that were taken."""
        settings = config.gateway
        ports = {
            name: getattr(settings, name).model_copy(update={"port": port})
            for name, port in (("http", self.http.port), ("grpc", self.grpc.port))
            if port
        }
        return config.model_copy(update={"gateway": settings.model_copy(update=ports)})


class _All(Collector):
    """What the workers showed, family by family."""

    def __init__(self, states: dict[Seat, WorkerState | None], starts: dict[Seat, int]) -> None:
        self._states = states
        self._starts = starts

    def collect(self) -> Iterable[Metric]:
        """All families."""
        families: dict[str, Metric] = {}
        for seat, state in self._states.items():
            for family in text_string_to_metric_families(state.metrics if state else ""):
                into = families.setdefault(
                    family.name, Metric(family.name, family.documentation, family.type)
                )
                for sample in family.samples:
                    into.add_sample(sample.name, {**sample.labels, "worker": seat.name}, sample.value)
        yield from families.values()
        yield GaugeMetricFamily(
            "wattspan_workers",
            "Workers that answer.",
            sum(state is not None for seat, state in self._states.items() if not seat.is_lake),
        )
        starts = CounterMetricFamily("wattspan_worker_starts", "Starts of each worker.", labels=["worker"])
        for seat, count in self._starts.items():
            starts.add_metric([seat.name], count)
        yield starts


async def _happens(event: asyncio.Event, within_s: float) -> bool:
    try:
        async with asyncio.timeout(within_s):
            await event.wait()
    except TimeoutError:
        return False
    return True
