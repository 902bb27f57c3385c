"""UK Carbon Intensity (NESO): Great Britain by the half hour, average, direct, with imports and losses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wattspan.grid.feeds.errors import FeedAnswerError, WrongZoneError
from wattspan.grid.feeds.http import Client, Limits
from wattspan.grid.feeds.series import Points, Series
from wattspan.grid.feeds.times import DAY_S, HOUR_S, chunks, range_text, unix_s, utc_text
from wattspan.grid.intensity import Accounting, Average, Direct, Kind
from wattspan.grid.step import Step
from wattspan.places import Region

BASE_URL = "https://api.carbonintensity.org.uk"
ZONE = "GB"
_LONGEST_S = 14 * DAY_S
_HALF_HOUR_S = 1_800


class UKCarbonIntensity:
    """Client of `/intensity/{from}/{to}`; no key. Northern Ireland is another grid and not in it."""

    name = "uk-carbon-intensity"
    kind: Kind[Average, Direct] = Kind("average", "direct")
    accounting: Accounting = "consumption"
    step = Step(_HALF_HOUR_S)

    def __init__(self, *, base_url: str = BASE_URL, limits: Limits | None = None) -> None:
        self._client = Client(self.name, base_url, limits=limits)

    def now_unix_s(self) -> int:
        """The time by the feed's clock."""
        return self._client.now_unix_s()

    def zone_of(self, region: Region) -> str:
        """GB, or nothing."""
        return ZONE if region.zone == ZONE else ""

    def locate(self, region: Region) -> str:
        """As `zone_of`: nothing needs to be asked."""
        return self.zone_of(region)

    def fetch(self, zone: str, start_unix_s: int, end_unix_s: int) -> Iterator[Series[Average, Direct]]:
        """Half hours that start in [start, end), 14 days a request. Raises FeedError.

        A half hour whose actual value is not there yet comes with its forecast, labelled as such.
        """
        for start, end in chunks(start_unix_s, end_unix_s, _LONGEST_S):
            yield self._series(f"/intensity/{utc_text(start)}/{utc_text(end)}", zone, start, end)

    def forecast(self, zone: str, hours: int) -> Series[Average, Direct]:
        """The forecast from now on, 48 hours at most. Raises FeedError."""
        start = self.now_unix_s() // _HALF_HOUR_S * _HALF_HOUR_S
        end = start + hours * HOUR_S
        return self._series(f"/intensity/{utc_text(start)}/fw48h", zone, start, end)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _series(self, path: str, zone: str, start: int, end: int) -> Series[Average, Direct]:
        asked = range_text(start, end)
        if zone != ZONE:
            raise WrongZoneError(
                self.name, "it has Great Britain only", f"ask for {ZONE}", zone=zone, asked=asked
            )
        answer = self._client.get(path, zone=zone, asked=asked)
        rows = answer.get("data") if isinstance(answer, dict) else None
        if not isinstance(rows, list):
            what = "the answer has no data list"
            raise FeedAnswerError(self.name, what, "check base_url", zone=zone, asked=asked)
        points = Points(start, end, _HALF_HOUR_S)
        for row in rows:
            self._add(points, row)
        return points.series(
            zone=zone,
            kind=self.kind,
            accounting=self.accounting,
            resolution="hour",
            fetched_unix_s=self.now_unix_s(),
            source="UK Carbon Intensity API (NESO)",
        )

    def _add(self, points: Points, row: Any) -> None:
        intensity = row.get("intensity") if isinstance(row, dict) else None
        if not isinstance(intensity, dict):
            points.reject(f"{row!r:.80} has no intensity")
            return
        try:
            length_s = unix_s(row.get("to")) - unix_s(row.get("from"))
        except ValueError as error:
            points.reject(str(error))
            return
        if length_s != _HALF_HOUR_S:
            points.reject(f"{row['from']}: {length_s} s long, not half an hour")
            return
        actual = intensity.get("actual")
        points.add(row["from"], actual)
        if actual is None:
            points.add(row["from"], intensity.get("forecast"), forecast=True)
