"""What a forwarder asks of a protocol, and what can come of an attempt."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Protocol

from wattspan.gateway.signals import Signal


@dataclass(frozen=True, slots=True)
class Sent:
    """The destination has it. Items that it rejected one by one must not be sent again (OTLP)."""

    label: str
    rejected: int = 0


@dataclass(frozen=True, slots=True)
class TryAgain:
    """It may go through later; `after_s` is what the destination asked for."""

    label: str
    after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """It can never go through."""

    label: str


Outcome = Sent | TryAgain | Refused
"""`label`: an HTTP status, a gRPC code, or the kind of error; never what the destination wrote."""


class Sender(Protocol):
    """One protocol towards one destination."""

    def packed(self, body: bytes) -> bytes:
        """A plain protobuf request as it goes over the wire."""

    def send(self, signal: Signal, packed: bytes) -> Awaitable[Outcome]:
        """Make one attempt. Raises nothing but CancelledError."""

    def close(self) -> Awaitable[None]:
        """Close the connections."""
