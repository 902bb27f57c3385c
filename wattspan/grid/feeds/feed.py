"""`Feed`: what every client offers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from wattspan.grid.feeds.series import Series
from wattspan.grid.intensity import Accounting, FactorT, Kind, SignalT
from wattspan.grid.step import Step
from wattspan.places import Region


class Feed(Protocol[SignalT, FactorT]):
    """A source of live intensities of one kind; calls of `fetch`, `forecast` and `locate` use the network."""

    @property
    def name(self) -> str:
        """Key of the feed in the cache; two feeds with the same name and kind have the same values."""

    @property
    def kind(self) -> Kind[SignalT, FactorT]:
        """The kind of every value; the feed never gives another."""

    @property
    def accounting(self) -> Accounting:
        """consumption, generation, or mixed where the feed does not say."""

    @property
    def step(self) -> Step:
        """The shortest time a value holds."""

    def zone_of(self, region: Region) -> str | None:
        """The feed's name of the zone of a region: "" where it has none, None where it must be located."""

    def locate(self, region: Region) -> str:
        """Ask the feed for the zone of a region; "" where it has none. Raises FeedError."""

    def fetch(self, zone: str, start_unix_s: int, end_unix_s: int) -> Iterator[Series[SignalT, FactorT]]:
        """Values of a zone that start in [start, end), in as many pieces as the feed's limits make.

        Raises FeedError; pieces that came before it stand.
        """

    def forecast(self, zone: str, hours: int) -> Series[SignalT, FactorT]:
        """What the feed expects from now on. Raises FeedError, also where it has no forecast of its kind."""

    def now_unix_s(self) -> int:
        """The time by the feed's clock, where it told it; else by ours."""
