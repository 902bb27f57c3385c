"""Ember: yearly intensities of countries, average, production-based, aiming at lifecycle."""

from __future__ import annotations

from collections.abc import Iterator

from wattspan.grid.feeds.errors import (
    FeedAccessError,
    FeedAnswerError,
    FeedKeyError,
    FeedRequestError,
    WrongZoneError,
)
from wattspan.grid.feeds.http import Client, Limits
from wattspan.grid.feeds.series import Points, Series
from wattspan.grid.feeds.times import range_text, year_of, year_start
from wattspan.grid.intensity import Accounting, Average, Kind, Lifecycle
from wattspan.grid.step import YEAR
from wattspan.places import Region

BASE_URL = "https://api.ember-energy.org"


class Ember:
    """Client of `/v1/carbon-intensity/yearly`, by ISO 3166-1 alpha-3 code. The key is free."""

    name = "ember"
    kind: Kind[Average, Lifecycle] = Kind("average", "lifecycle")
    accounting: Accounting = "generation"
    step = YEAR

    def __init__(self, key: str, *, base_url: str = BASE_URL, limits: Limits | None = None) -> None:
        self._client = Client(self.name, base_url, params={"api_key": key}, secrets=(key,), limits=limits)

    def now_unix_s(self) -> int:
        """The time by the feed's clock."""
        return self._client.now_unix_s()

    def zone_of(self, region: Region) -> str:
        """The country; "" for a US state: the API has the whole country only, the edition has the states."""
        return region.ember_area if "-" not in region.ember_area else ""

    def locate(self, region: Region) -> str:
        """As `zone_of`: nothing needs to be asked."""
        return self.zone_of(region)

    def fetch(self, zone: str, start_unix_s: int, end_unix_s: int) -> Iterator[Series[Average, Lifecycle]]:
        """Years that touch [start, end). Raises FeedError."""
        first, last = year_of(start_unix_s), year_of(max(start_unix_s, end_unix_s - 1))
        start, end = year_start(first), year_start(last + 1)
        asked = range_text(start, end)
        params = {"entity_code": zone, "start_date": str(first), "end_date": str(last)}
        try:
            answer = self._client.get("/v1/carbon-intensity/yearly", params, zone=zone, asked=asked)
        except FeedAccessError as error:
            # Without a key, or with a wrong one, Ember answers 403; every zone is in every plan.
            what = error.what
        else:
            yield self._series(answer, zone, start, end, asked)
            return
        raise FeedKeyError(self.name, what, "check the key", zone=zone, asked=asked)

    def forecast(self, zone: str, hours: int) -> Series[Average, Lifecycle]:
        """Ember has none: raises FeedRequestError."""
        raise FeedRequestError(self.name, "it has no forecast", "take another feed for forecasts", zone=zone)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _series(
        self, answer: object, zone: str, start: int, end: int, asked: str
    ) -> Series[Average, Lifecycle]:
        rows = answer.get("data") if isinstance(answer, dict) else None
        if not isinstance(rows, list):
            what = "the answer has no data list"
            raise FeedAnswerError(self.name, what, "check base_url", zone=zone, asked=asked)
        points = Points(start, end, 0)
        for row in rows:
            if not isinstance(row, dict):
                points.reject(f"{row!r:.80} is not an object")
                continue
            if row.get("entity_code") != zone:
                what = f"the answer is about {row.get('entity_code')!r}"
                step = "check the code; the answer is not used"
                raise WrongZoneError(self.name, what, step, zone=zone, asked=asked)
            date = row.get("date")
            if not (isinstance(date, str) and len(date) == 4 and date.isdecimal() and date.isascii()):
                points.reject(f"date {date!r} is not a year")
                continue
            points.add(year_start(int(date)), row.get("emissions_intensity_gco2_per_kwh"))
        return points.series(
            zone=zone,
            kind=self.kind,
            accounting=self.accounting,
            resolution="annual",
            fetched_unix_s=self.now_unix_s(),
            source="Ember",
        )
