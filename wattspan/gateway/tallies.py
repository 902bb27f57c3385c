"""Counts that rise on the hot path; `/metrics` reads them.

Names mirror the OpenTelemetry Collector's, so that dashboards carry over by a rename of the prefix.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from wattspan.gateway.signals import Signal

Items = Counter[Signal]


@dataclass(slots=True)
class ReceiverTally:
    """What came in through one transport."""

    accepted: Items = field(default_factory=Counter)
    """Items that were made durable."""
    refused: Items = field(default_factory=Counter)
    """Items of requests that could be decoded but not be made durable."""
    requests: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Requests by signal and the HTTP status or gRPC code of the answer."""


@dataclass(slots=True)
class DestinationTally:
    """What became of the batches of one destination: accepted + recovered = sent + failed + queued."""

    enqueued: Items = field(default_factory=Counter)
    """Items made durable for this destination since the start."""
    recovered: Items = field(default_factory=Counter)
    """Items that were waiting in the spool at the start."""
    queued: Items = field(default_factory=Counter)
    """Items that wait or are under way now."""
    sent: Items = field(default_factory=Counter)
    failed: Items = field(default_factory=Counter)
    """Refused for good by the destination, or dropped at the quota."""
    dropped: Items = field(default_factory=Counter)
    """Of the failed: dropped at the quota."""
    rejected: Items = field(default_factory=Counter)
    """Of the sent: refused one by one in the destination's partial success."""
    attempts: Counter[str] = field(default_factory=Counter)
    """Attempts by what came of them: an HTTP status, a gRPC code, or the kind of error."""
    queued_batches: int = 0
    queued_bytes: int = 0
    in_flight: int = 0


@dataclass(slots=True)
class ProcessorTally:
    """What enrichment did."""

    incoming_spans: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    """Model calls by basis."""
    energy_j: float = 0.0
    co2e_g: float = 0.0
    failures: int = 0
    """Requests that went on without our attributes because of an error in Wattspan."""
    problems: int = 0
    """Values on spans that could not be used."""
