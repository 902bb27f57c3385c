"""Electricity Maps: average, consumption-based, lifecycle or direct; by the hour, or finer on some plans."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any, Generic, Literal

from wattspan.grid.feeds.errors import (
    FeedAccessError,
    FeedAnswerError,
    FeedNoDataError,
    FeedRequestError,
    WrongKindError,
    WrongZoneError,
)
from wattspan.grid.feeds.http import Client, Limits
from wattspan.grid.feeds.series import Points, Series
from wattspan.grid.feeds.times import DAY_S, HOUR_S, chunks, range_text, utc_text
from wattspan.grid.intensity import LIFECYCLE, Accounting, Average, Kind, LifecycleT, Resolution
from wattspan.grid.step import Step
from wattspan.places import Region

BASE_URL = "https://api.electricitymaps.com"

Granularity = Literal["hourly", "15_minutes", "5_minutes"]

# Hourly ranges are documented as ten days at most; of finer ones nothing is said, so they get a day.
_GRANULARITIES: Mapping[str, tuple[Step, Resolution, int]] = {
    "hourly": (Step(3_600), "hour", 10 * DAY_S),
    "15_minutes": (Step(900), "hour", DAY_S),
    "5_minutes": (Step(300), "5-minute", DAY_S),
}
_UNITS = (None, "gCO2eq/kWh", "gCO2e/kWh")
_LONGEST_FORECAST_HOURS = 72
_ACCESS_KEPT_S = HOUR_S


class ElectricityMaps(Generic[LifecycleT]):
    """Client of `carbon-intensity` in API v4 or v3, which answer alike."""

    name = "electricity-maps"
    accounting: Accounting = "consumption"

    def __init__(
        self,
        token: str,
        *,
        factor_type: LifecycleT = LIFECYCLE,
        granularity: Granularity = "hourly",
        version: Literal["v4", "v3"] = "v4",
        use_estimations: bool = True,
        base_url: str = BASE_URL,
        limits: Limits | None = None,
    ) -> None:
        """`use_estimations` off leaves hours empty that Electricity Maps estimated."""
        self.kind: Kind[Average, LifecycleT] = Kind("average", factor_type)
        self.granularity = granularity
        self.step, self._resolution, self._longest_s = _GRANULARITIES[granularity]
        self._version = version
        self._use_estimations = use_estimations
        self._client = Client(
            self.name, base_url, headers={"auth-token": token}, secrets=(token,), limits=limits
        )
        self._access: Mapping[str, Any] = {}
        self._access_until = 0.0

    def now_unix_s(self) -> int:
        """The time by the feed's clock."""
        return self._client.now_unix_s()

    def zone_of(self, region: Region) -> str:
        """The tables of an edition use the zone keys of Electricity Maps."""
        return region.zone

    def locate(self, region: Region) -> str:
        """As `zone_of`: nothing needs to be asked."""
        return region.zone

    def fetch(self, zone: str, start_unix_s: int, end_unix_s: int) -> Iterator[Series[Average, LifecycleT]]:
        """Values that start in [start, end), ten days a request.

        Of a plan without ranges, such as the free one, the last 24 hours are all there is. Raises FeedError:
        FeedAccessError for a zone that the plan of the token does not cover.
        """
        asked = range_text(start_unix_s, end_unix_s)
        allowed = self._allowed(zone)
        if allowed is None or {"*", "carbon-intensity/past-range"} & allowed:
            for start, end in chunks(start_unix_s, end_unix_s, self._longest_s):
                params = {"start": utc_text(start), "end": utc_text(end)}
                yield self._series("past-range", zone, start, end, params)
        elif "carbon-intensity/history" in allowed and self.granularity == "hourly":
            series = self._series("history", zone, start_unix_s, end_unix_s, {})
            if not len(series) and not series.nulls:
                what = "the plan of this token has the last 24 hours only"
                step = "ask sooner after the calls, or take a plan with past-range"
                raise FeedNoDataError(self.name, what, step, zone=zone, asked=asked)
            yield series
        else:
            raise self._no_access(zone, asked, f"{self.granularity} values")

    def forecast(self, zone: str, hours: int) -> Series[Average, LifecycleT]:
        """The forecast from now on, at most 72 hours; lifecycle only, which is all the API has."""
        start = self.now_unix_s() // HOUR_S * HOUR_S
        end = start + (hours + 1) * HOUR_S
        if self.kind.factor_type != "lifecycle":
            what, step = "it has no forecast with direct factors", "take the forecast of a lifecycle feed"
            raise FeedRequestError(self.name, what, step, zone=zone)
        allowed = self._allowed(zone)
        if allowed is not None and not {"*", "carbon-intensity/forecast"} & allowed:
            raise self._no_access(zone, range_text(start, end), "forecasts")
        params = {"horizonHours": str(min(hours, _LONGEST_FORECAST_HOURS))}
        return self._series("forecast", zone, start, end, params)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _allowed(self, zone: str) -> set[str] | None:
        """What the token's plan has for a zone; None where the API does not tell."""
        now = time.monotonic()
        if now >= self._access_until:
            zones = self._client.get(f"/{self._version}/zones")
            if not isinstance(zones, dict):
                raise FeedAnswerError(self.name, "the list of zones is not an object", "check base_url")
            self._access, self._access_until = zones, now + _ACCESS_KEPT_S
        entry = self._access.get(zone)
        if not isinstance(entry, dict):
            step = "check the zone and what the plan of the token covers"
            raise FeedAccessError(self.name, "this token has no such zone", step, zone=zone)
        access = entry.get("access")
        return {str(item) for item in access} if isinstance(access, list) else None

    def _no_access(self, zone: str, asked: str, of_what: str) -> FeedAccessError:
        what = f"the plan of this token has no {of_what} for this zone"
        return FeedAccessError(
            self.name, what, "take a plan that has, or another feed", zone=zone, asked=asked
        )

    def _series(
        self, operation: str, zone: str, start: int, end: int, params: Mapping[str, str]
    ) -> Series[Average, LifecycleT]:
        asked = range_text(start, end)
        # A zone that does not resolve must be an error, not the zone of whoever asks.
        query = {"zone": zone, "disableCallerLookup": "true", **params}
        if operation != "forecast":
            query["emissionFactorType"] = self.kind.factor_type
            query["temporalGranularity"] = self.granularity
        if not self._use_estimations:
            query["disableEstimations"] = "true"
        path = f"/{self._version}/carbon-intensity/{operation}"
        answer = self._client.get(path, query, zone=zone, asked=asked)
        rows = self._rows(answer, zone, asked)
        self._check(answer, zone, asked)
        points = Points(start, end, self.step.seconds)
        updated = str(answer.get("updatedAt") or "")
        for row in rows:
            if not isinstance(row, dict):
                points.reject(f"{row!r} is not an object")
                continue
            self._check(row, zone, asked)
            value = row["carbonIntensity"] if "carbonIntensity" in row else row.get("value")
            points.add(
                row.get("datetime"),
                value,
                estimated=row.get("isEstimated") is True,
                forecast=operation == "forecast",
            )
            updated = max(updated, str(row.get("updatedAt") or ""))
        return points.series(
            zone=zone,
            kind=self.kind,
            accounting=self.accounting,
            resolution=self._resolution,
            fetched_unix_s=self.now_unix_s(),
            source=f"Electricity Maps API {self._version}",
            vintage=updated,
        )

    def _rows(self, answer: Any, zone: str, asked: str) -> list[Any]:
        if isinstance(answer, dict):
            for key in ("data", "history", "forecast"):
                if isinstance(answer.get(key), list):
                    rows: list[Any] = answer[key]
                    return rows
        what = "the answer has no data, history or forecast list"
        raise FeedAnswerError(self.name, what, "check base_url and version", zone=zone, asked=asked)

    def _check(self, answer: Mapping[str, Any], zone: str, asked: str) -> None:
        """Whatever the answer says of itself must be what was asked for."""
        found = answer.get("zone", zone)
        if found != zone:
            what, step = f"the answer is about zone {found!r}", "check the zone; the answer is not used"
            raise WrongZoneError(self.name, what, step, zone=zone, asked=asked)
        step = "the answer is not used; check the settings of the feed"
        factor_type = answer.get("emissionFactorType", self.kind.factor_type)
        if factor_type != self.kind.factor_type:
            what = f"the answer has {factor_type!r} factors, asked for were {self.kind.factor_type!r}"
            raise WrongKindError(self.name, what, step, zone=zone, asked=asked)
        granularity = answer.get("temporalGranularity", self.granularity)
        if granularity != self.granularity:
            what = f"the answer is {granularity!r}, asked for was {self.granularity!r}"
            raise WrongKindError(self.name, what, step, zone=zone, asked=asked)
        if answer.get("unit") not in _UNITS:
            what = f"the answer is in {answer['unit']!r}, expected is gCO2eq/kWh"
            raise WrongKindError(self.name, what, step, zone=zone, asked=asked)
