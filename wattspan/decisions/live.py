"""Forecasts of live feeds, for decisions; the only part of this room that waits for a network."""

from __future__ import annotations

from wattspan.decisions.forecast import HOUR_S, NoOutlookError, Outlook, own_factors, stepped
from wattspan.grid import Kind, Signal
from wattspan.grid.feeds.errors import FeedError
from wattspan.grid.feeds.feed import Feed
from wattspan.places import Place


class FeedForecast:
    """What a feed expects, asked anew for each outlook."""

    def __init__(self, feed: Feed, g: float | None = None, stand_in: Signal | None = None) -> None:
        """`g`, `stand_in`: as for `FileForecast`."""
        self._feed = feed
        self._g = g
        self._stand_in = stand_in

    @property
    def kind(self) -> Kind:
        """The feed's."""
        return self._feed.kind

    def outlook(self, place: Place, start_unix_s: int, end_unix_s: int) -> Outlook:
        """See `Forecast.outlook`. A place of several zones has none."""
        name = self._feed.name
        if len(place.members) != 1:
            raise NoOutlookError(f"{name} has no forecast for {place.label}: it is not one zone")
        try:
            zone = self._feed.zone_of(place.members[0])
            zone = self._feed.locate(place.members[0]) if zone is None else zone
            if not zone:
                raise NoOutlookError(f"{name} has no zone for {place.label}")
            # The horizon counts from the start of a period, which may have been a while ago.
            whole_s = end_unix_s - self._feed.now_unix_s() + self._feed.step.seconds
            hours = -(-whole_s // HOUR_S)
            found = self._feed.forecast(zone, max(1, hours))
        except FeedError as error:
            raise NoOutlookError(str(error)) from error
        values = dict(zip(found.start_unix_s.tolist(), found.g_per_kwh.tolist(), strict=True))
        first = min(values, default=0)
        if start_unix_s < first <= start_unix_s + found.period_s:
            # Feeds begin with the next period; it stands for the one that is under way.
            values[first - found.period_s] = values[first]
        factors = own_factors(found.kind, self._g, self._stand_in, place, zone, start_unix_s)
        return stepped(values, start_unix_s, end_unix_s, found.kind, found.source, zone, factors)
