"""Carbon Aware SDK (Green Software Foundation): a web API of the user's own, before another feed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Generic, NamedTuple

from wattspan.grid.feeds.errors import FeedAnswerError, WrongZoneError
from wattspan.grid.feeds.http import Client, Limits
from wattspan.grid.feeds.series import Points, Series
from wattspan.grid.feeds.times import DAY_S, HOUR_S, chunks, range_text, unix_s, utc_text
from wattspan.grid.intensity import Accounting, FactorT, Kind, Resolution, SignalT
from wattspan.grid.step import Step
from wattspan.places import Region

_LONGEST_S = 10 * DAY_S


class Window(NamedTuple):
    """The best window of a forecast."""

    start_unix_s: int
    minutes: float
    g_per_kwh: float


class CarbonAware(Generic[SignalT, FactorT]):
    """Client of `/emissions/bylocation` and `/emissions/forecasts/current`.

    Its answers do not say what they are: whoever runs it must declare kind, accounting and period.
    """

    def __init__(
        self,
        base_url: str,
        *,
        kind: Kind[SignalT, FactorT],
        accounting: Accounting = "mixed",
        period_s: int = 300,
        locations: Mapping[str, str] | None = None,
        zones: Mapping[str, str] | None = None,
        limits: Limits | None = None,
    ) -> None:
        """`period_s`: how long a value holds, 300, 900, 1800 or 3600.

        `locations`: its location by our region ("aws/us-east-1") where it is not the region's bare name;
        `zones`: the zone it must answer with, by location; others are refused where it is given.
        """
        self.kind = kind
        self.accounting: Accounting = accounting
        self.step = Step(period_s)
        self.name = "carbon-aware-sdk"
        self._resolution: Resolution = "5-minute" if period_s == 300 else "hour"
        self._locations = dict(locations or {})
        self._zones = dict(zones or {})
        self._client = Client(self.name, base_url, limits=limits)

    def now_unix_s(self) -> int:
        """The time by the feed's clock."""
        return self._client.now_unix_s()

    def zone_of(self, region: Region) -> str:
        """The location that was named in the settings, else the bare name of the region."""
        return self._locations.get(f"{region.cloud}/{region.name}", region.name)

    def locate(self, region: Region) -> str:
        """As `zone_of`: nothing needs to be asked."""
        return self.zone_of(region)

    def fetch(self, zone: str, start_unix_s: int, end_unix_s: int) -> Iterator[Series[SignalT, FactorT]]:
        """Values that start in [start, end). Raises FeedError."""
        for start, end in chunks(start_unix_s, end_unix_s, _LONGEST_S):
            asked = range_text(start, end)
            params = {"location": zone, "time": utc_text(start), "toTime": utc_text(end)}
            rows = self._client.get("/emissions/bylocation", params, zone=zone, asked=asked)
            # 204: nothing for these hours.
            yield self._series([] if rows is None else rows, "time", "rating", zone, start, end)

    def forecast(self, zone: str, hours: int) -> Series[SignalT, FactorT]:
        """The forecast from now on. Raises FeedError."""
        start, end = self._window(hours)
        forecast = self._forecast(zone, start, end, {})
        rows = forecast.get("forecastData")
        return self._series(rows, "timestamp", "value", zone, start, end, is_forecast=True)

    def best_windows(self, zone: str, hours: int, minutes: int) -> list[Window]:
        """The starts that the SDK itself finds best for a run of so many minutes. Raises FeedError."""
        start, end = self._window(hours)
        forecast = self._forecast(zone, start, end, {"windowSize": str(minutes)})
        # Its documentation has one object, its generated clients a list of another name.
        found = forecast.get("optimalDataPoints", forecast.get("optimalDataPoint"))
        rows = found if isinstance(found, list) else [] if found is None else [found]
        try:
            return [
                Window(unix_s(row["timestamp"]), float(row.get("duration", minutes)), float(row["value"]))
                for row in rows
            ]
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            what = f"an optimal data point cannot be read ({type(error).__name__}: {error})"
        raise FeedAnswerError(self.name, what, "check base_url", zone=zone, asked=range_text(start, end))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _window(self, hours: int) -> tuple[int, int]:
        start = self.now_unix_s() // self.step.seconds * self.step.seconds
        return start, start + hours * HOUR_S

    def _forecast(self, zone: str, start: int, end: int, params: Mapping[str, str]) -> Mapping[str, Any]:
        query = {"location": zone, "dataStartAt": utc_text(start), "dataEndAt": utc_text(end), **params}
        asked = range_text(start, end)
        answer = self._client.get("/emissions/forecasts/current", query, zone=zone, asked=asked)
        forecast = answer[0] if isinstance(answer, list) and answer else None
        if not isinstance(forecast, dict):
            what = "the answer has no forecast"
            raise FeedAnswerError(self.name, what, "check location and base_url", zone=zone, asked=asked)
        if forecast.get("location", zone) != zone:
            what = f"the forecast is about {forecast['location']!r}"
            raise WrongZoneError(self.name, what, "the answer is not used", zone=zone, asked=asked)
        return forecast

    def _series(
        self,
        rows: object,
        time_key: str,
        value_key: str,
        zone: str,
        start: int,
        end: int,
        *,
        is_forecast: bool = False,
    ) -> Series[SignalT, FactorT]:
        asked = range_text(start, end)
        if not isinstance(rows, list):
            what = "the answer is not a list"
            raise FeedAnswerError(self.name, what, "check base_url", zone=zone, asked=asked)
        points = Points(start, end, self.step.seconds)
        zones = set()
        for row in rows:
            if not isinstance(row, dict):
                points.reject(f"{row!r:.80} is not an object")
                continue
            zones.add(str(row.get("location")))
            points.add(row.get(time_key), row.get(value_key), forecast=is_forecast)
        expected = self._zones.get(zone)
        if len(zones) > 1 or (expected and zones - {expected}):
            what = f"the answer is about {', '.join(sorted(zones))}, expected is {expected or 'one zone'}"
            raise WrongZoneError(self.name, what, "the answer is not used", zone=zone, asked=asked)
        return points.series(
            zone=zone,
            kind=self.kind,
            accounting=self.accounting,
            resolution=self._resolution,
            fetched_unix_s=self.now_unix_s(),
            source="Carbon Aware SDK",
            vintage=f"zone {zones.pop()}" if zones else "",
        )
