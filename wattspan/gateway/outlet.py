"""`Outlet`: what a gateway does with requests that its receivers took in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from wattspan.gateway.enrichment import Enrichment
from wattspan.gateway.settings import ServeConfig
from wattspan.gateway.signals import Signal
from wattspan.gateway.tallies import DestinationTally


class Outlet(Protocol):
    """Enriches requests and sees to it that the destinations get them."""

    @property
    def enrichment(self) -> Enrichment:
        """What puts the attributes on."""

    def start(self) -> None:
        """Begin to work."""

    async def accept(self, signal: Signal, body: bytes) -> int:
        """Take in a protobuf request; the number of its items once the client may be told so.

        Raises RefusalError where it is not valid or cannot be taken.
        """

    async def reload(self, config: ServeConfig, enrichment: Enrichment) -> None:
        """Take over other destinations and other attributes without refusing a request."""

    async def close(self, deadline: float) -> None:
        """Finish what was taken in, with time until `deadline` of the event loop's clock to deliver it."""

    def destinations(self) -> Mapping[str, tuple[DestinationTally, int]]:
        """What became of the batches of each destination, and its quota in bytes."""

    def why_not_ready(self) -> Sequence[str]:
        """What keeps clients from being served."""
