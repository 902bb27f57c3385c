"""What `/metrics` shows: the tallies under names that mirror the OpenTelemetry Collector's.

opentelemetry.io, "Internal telemetry": their otelcol_receiver_accepted_spans is our
wattspan_receiver_accepted_spans.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from wattspan.gateway.signals import Signal
from wattspan.gateway.tallies import DestinationTally, ProcessorTally, ReceiverTally
from wattspan.grid.prefetch import Prefetcher
from wattspan.otlp.owners import OwnerMemory

_DESTINATION_ITEMS: Final[tuple[tuple[str, str, Callable[[DestinationTally], Mapping[Signal, int]]], ...]] = (
    ("enqueued", "made durable for this destination", lambda t: t.enqueued),
    ("recovered", "that were waiting in the spool at the start", lambda t: t.recovered),
    ("sent", "that the destination has", lambda t: t.sent),
    ("send_failed", "refused for good by the destination or dropped at the quota", lambda t: t.failed),
    ("dropped", "dropped at the quota; part of send_failed", lambda t: t.dropped),
    ("rejected", "rejected one by one in a partial success; part of sent", lambda t: t.rejected),
)


class GatewayCollector(Collector):
    """Reads the tallies when somebody asks."""

    def __init__(
        self,
        receivers: Mapping[str, ReceiverTally],
        processor: ProcessorTally,
        destinations: Callable[[], Mapping[str, tuple[DestinationTally, int]]],
        memory: Callable[[], OwnerMemory],
        used_bytes: Callable[[], int],
        prefetcher: Callable[[], Prefetcher | None] = lambda: None,
    ) -> None:
        """`receivers` by transport; `destinations` by name, each with its quota in bytes."""
        self._receivers = receivers
        self._processor = processor
        self._destinations = destinations
        self._memory = memory
        self._used_bytes = used_bytes
        self._prefetcher = prefetcher
        self._started = time.monotonic()

    def collect(self) -> Iterable[Metric]:
        """All families."""
        yield from self._received()
        yield from self._processed()
        yield from self._grid()
        yield from self._exported()
        yield from self._process()

    def _received(self) -> Iterable[Metric]:
        for what, meaning in (("accepted", "made durable"), ("refused", "decoded but not made durable")):
            for signal in Signal:
                family = CounterMetricFamily(
                    f"wattspan_receiver_{what}_{signal.items}", f"Items {meaning}.", labels=["transport"]
                )
                for transport, tally in self._receivers.items():
                    family.add_metric([transport], getattr(tally, what)[signal])
                yield family
        requests = CounterMetricFamily(
            "wattspan_receiver_requests",
            "Requests by the status that was answered.",
            labels=["transport", "signal", "status"],
        )
        for transport, tally in self._receivers.items():
            for (signal_name, status), count in sorted(tally.requests.items()):
                requests.add_metric([transport, signal_name, status], count)
        yield requests

    def _processed(self) -> Iterable[Metric]:
        tally = self._processor
        yield CounterMetricFamily(
            "wattspan_processor_incoming_items", "Spans that were read.", tally.incoming_spans
        )
        calls = CounterMetricFamily("wattspan_processor_calls", "Model calls by basis.", labels=["basis"])
        for basis, count in sorted(tally.calls.items()):
            calls.add_metric([basis], count)
        yield calls
        yield CounterMetricFamily(
            "wattspan_energy_joules", "Energy of the calls that were counted.", tally.energy_j
        )
        yield CounterMetricFamily(
            "wattspan_co2e_grams", "Operational carbon of the calls that were counted.", tally.co2e_g
        )
        yield CounterMetricFamily(
            "wattspan_processor_failures",
            "Requests passed on without our attributes because of an error in Wattspan.",
            tally.failures,
        )
        yield CounterMetricFamily(
            "wattspan_processor_problems", "Values on spans that could not be used.", tally.problems
        )
        memory = self._memory()
        yield GaugeMetricFamily("wattspan_owner_memory_traces", "Traces remembered.", memory.traces)
        yield CounterMetricFamily(
            "wattspan_owner_memory_evicted_traces",
            "Traces forgotten to make room: copies of their calls that come later are counted again.",
            memory.evicted_traces,
        )

    def _grid(self) -> Iterable[Metric]:
        prefetcher = self._prefetcher()
        if prefetcher is None:
            return
        misses = CounterMetricFamily(
            "wattspan_grid_misses", "Calls that got no intensity of their own hour.", labels=["reason"]
        )
        for reason, count in sorted(prefetcher.signal.misses_by_reason().items()):
            misses.add_metric([reason], count)
        yield misses
        for name, meaning in (
            ("ranges", "Ranges of time asked for from the grid feed."),
            ("new", "Values that came for hours that had none."),
            ("revised", "Values that came for hours that had another one."),
            ("rejected", "Values that cannot be, set aside."),
            ("errors", "Answers of the grid feed that could not be used."),
        ):
            yield CounterMetricFamily(f"wattspan_grid_prefetch_{name}", meaning, prefetcher.tally[name])

    def _exported(self) -> Iterable[Metric]:
        destinations = self._destinations()
        for what, meaning, items in _DESTINATION_ITEMS:
            for signal in Signal:
                family = CounterMetricFamily(
                    f"wattspan_exporter_{what}_{signal.items}", f"Items {meaning}.", labels=["exporter"]
                )
                for name, (tally, _) in destinations.items():
                    family.add_metric([name], items(tally)[signal])
                yield family
        for signal in Signal:
            waiting = GaugeMetricFamily(
                f"wattspan_exporter_queued_{signal.items}",
                "Items that wait or are under way.",
                labels=["exporter"],
            )
            for name, (tally, _) in destinations.items():
                waiting.add_metric([name], tally.queued[signal])
            yield waiting
        for metric, meaning, value in (
            ("queue_size", "Batches that wait or are under way.", lambda t, _: t.queued_batches),
            ("queue_bytes", "Their bytes in the spool.", lambda t, _: t.queued_bytes),
            ("queue_capacity_bytes", "The quota.", lambda _, quota: quota),
            ("in_flight_requests", "Requests under way or between attempts.", lambda t, _: t.in_flight),
        ):
            gauge = GaugeMetricFamily(f"wattspan_exporter_{metric}", meaning, labels=["exporter"])
            for name, (tally, quota) in destinations.items():
                gauge.add_metric([name], value(tally, quota))
            yield gauge
        attempts = CounterMetricFamily(
            "wattspan_exporter_attempts", "Attempts by what came of them.", labels=["exporter", "outcome"]
        )
        for name, (tally, _) in destinations.items():
            for outcome, count in sorted(tally.attempts.items()):
                attempts.add_metric([name, outcome], count)
        yield attempts

    def _process(self) -> Iterable[Metric]:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        yield CounterMetricFamily(
            "wattspan_process_uptime_seconds", "Since the start.", time.monotonic() - self._started
        )
        yield CounterMetricFamily(
            "wattspan_process_cpu_seconds", "User and system time.", usage.ru_utime + usage.ru_stime
        )
        yield GaugeMetricFamily("wattspan_process_memory_rss_bytes", "Resident memory.", _rss_bytes())
        yield GaugeMetricFamily(
            "wattspan_receiver_memory_bytes", "Bodies of requests being handled.", self._used_bytes()
        )


def _rss_bytes() -> int:
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
