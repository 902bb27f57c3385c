"""WattTime v3: marginal (co2_moer) or average (co2_aoer) rates, direct, CO2 only."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator, Mapping
from typing import Any, Generic, Literal, overload

from wattspan.grid.feeds.errors import (
    FeedAccessError,
    FeedAnswerError,
    FeedKeyError,
    FeedNoDataError,
    FeedRequestError,
    WrongKindError,
    WrongZoneError,
)
from wattspan.grid.feeds.http import Client, Limits
from wattspan.grid.feeds.series import G_PER_KWH_FROM_LB_PER_MWH, Points, Series
from wattspan.grid.feeds.times import DAY_S, HOUR_S, chunks, range_text, utc_text
from wattspan.grid.intensity import Accounting, Average, Direct, Kind, Marginal, Resolution, SignalT
from wattspan.grid.step import Step
from wattspan.places import Region

BASE_URL = "https://api.watttime.org"

_SIGNALS: Mapping[str, tuple[Any, Step, Resolution]] = {
    "co2_moer": ("marginal", Step(300), "5-minute"),
    "co2_aoer": ("average", Step(3_600), "hour"),
}
_UNITS = "lbs_co2_per_mwh"
# The API takes 32 days, both ends included; a range of 30 days never touches that.
_LONGEST_S = 30 * DAY_S
_LONGEST_FORECAST_HOURS = 72
# Tokens live 30 minutes; renewed early, so that none dies between the check and its use.
_TOKEN_KEPT_S = 25 * 60
_LIMITS = Limits(requests=3_000, per_s=300.0)


class WattTime(Generic[SignalT]):
    """Client of `historical`, `forecast` and `region-from-loc`."""

    accounting: Accounting = "mixed"

    @overload
    def __init__(
        self: WattTime[Marginal],
        username: str,
        password: str,
        *,
        signal_type: Literal["co2_moer"] = "co2_moer",
        regions: Mapping[str, str] | None = None,
        base_url: str = BASE_URL,
        limits: Limits | None = None,
    ) -> None: ...

    @overload
    def __init__(
        self: WattTime[Average],
        username: str,
        password: str,
        *,
        signal_type: Literal["co2_aoer"],
        regions: Mapping[str, str] | None = None,
        base_url: str = BASE_URL,
        limits: Limits | None = None,
    ) -> None: ...

    def __init__(
        self,
        username: str,
        password: str,
        *,
        signal_type: Literal["co2_moer", "co2_aoer"] = "co2_moer",
        regions: Mapping[str, str] | None = None,
        base_url: str = BASE_URL,
        limits: Limits | None = None,
    ) -> None:
        """`regions`: WattTime's region by ours ("aws/us-west-1"); others are asked for by coordinates."""
        signal, self.step, self._resolution = _SIGNALS[signal_type]
        self.kind: Kind[SignalT, Direct] = Kind(signal, "direct")
        self.signal_type = signal_type
        self.name = f"watttime-{signal_type}"
        self._regions = dict(regions or {})
        limits = limits or _LIMITS
        basic = base64.b64encode(f"{username}:{password}".encode()).decode()
        self._login = Client(
            self.name,
            base_url,
            headers={"Authorization": f"Basic {basic}"},
            secrets=(password, basic),
            limits=limits,
        )
        self._client = Client(self.name, base_url, secrets=(password, basic), limits=limits)
        self._token_until = 0.0

    def now_unix_s(self) -> int:
        """The time by the feed's clock."""
        return self._client.now_unix_s()

    def zone_of(self, region: Region) -> str | None:
        """The region of WattTime that was named in the settings; None where it must be asked for."""
        named = self._regions.get(f"{region.cloud}/{region.name}", self._regions.get(region.zone))
        if named is not None:
            return named
        # A bare grid zone has no coordinates.
        return None if region.latitude or region.longitude else ""

    def locate(self, region: Region) -> str:
        """WattTime's region at the coordinates of a cloud region; "" where it has none. Raises FeedError."""
        place = f"{region.cloud}/{region.name}"
        params = {
            "latitude": f"{region.latitude:.4f}",
            "longitude": f"{region.longitude:.4f}",
            "signal_type": self.signal_type,
        }
        try:
            answer = self._get("/v3/region-from-loc", params, place, "")
        except FeedNoDataError:
            return ""
        if isinstance(answer, dict) and isinstance(found := answer.get("region"), str) and found:
            return found
        raise FeedAnswerError(self.name, "the answer names no region", "check base_url", zone=place)

    def fetch(self, zone: str, start_unix_s: int, end_unix_s: int) -> Iterator[Series[SignalT, Direct]]:
        """Values that start in [start, end), 30 days a request. Raises FeedError."""
        for start, end in chunks(start_unix_s, end_unix_s, _LONGEST_S):
            # Both ends are included.
            last = max(start, end - self.step.seconds)
            params = {
                "region": zone,
                "start": _time(start),
                "end": _time(last),
                "signal_type": self.signal_type,
                "include_imputed_marker": "true",
            }
            yield self._series("/v3/historical", zone, start, end, params)

    def forecast(self, zone: str, hours: int) -> Series[SignalT, Direct]:
        """The forecast from now on, at most 72 hours; only co2_moer has one. Raises FeedError."""
        if self.signal_type != "co2_moer":
            what = f"{self.signal_type} has no forecast"
            raise FeedRequestError(self.name, what, "use its history", zone=zone)
        start = self.now_unix_s() // self.step.seconds * self.step.seconds
        params = {
            "region": zone,
            "signal_type": self.signal_type,
            "horizon_hours": str(min(hours, _LONGEST_FORECAST_HOURS)),
        }
        # The feed's "now" may lie a period or two before ours.
        return self._series(
            "/v3/forecast", zone, start - HOUR_S, start + (hours + 1) * HOUR_S, params, is_forecast=True
        )

    def close(self) -> None:
        """Close the connections."""
        self._login.close()
        self._client.close()

    def _get(self, path: str, params: Mapping[str, str], zone: str, asked: str) -> Any:
        if time.monotonic() >= self._token_until:
            self._renew()
        try:
            return self._client.get(path, params, zone=zone, asked=asked)
        except (FeedAccessError, FeedKeyError) as error:
            # A region outside the plan is refused in JSON; a dead token in HTML, by the web server in front.
            if isinstance(error, FeedAccessError) and not error.is_html:
                raise
        self._renew()
        try:
            return self._client.get(path, params, zone=zone, asked=asked)
        except FeedAccessError as error:
            if not error.is_html:
                raise
            what = f"a new token is refused too: {error.what}"
        raise FeedKeyError(self.name, what, "check that the account is active", zone=zone, asked=asked)

    def _renew(self) -> None:
        self._token_until = 0.0
        try:
            answer = self._login.get("/login")
        except (FeedAccessError, FeedKeyError) as error:
            what = f"login refused: {error.what}"
        else:
            token = answer.get("token") if isinstance(answer, dict) else None
            if isinstance(token, str) and token:
                self._client.authorize(f"Bearer {token}", token)
                self._token_until = time.monotonic() + _TOKEN_KEPT_S
                return
            what = "login gave no token"
        raise FeedKeyError(self.name, what, "check user name and password")

    def _series(
        self,
        path: str,
        zone: str,
        start: int,
        end: int,
        params: Mapping[str, str],
        *,
        is_forecast: bool = False,
    ) -> Series[SignalT, Direct]:
        asked = range_text(start, end)
        answer = self._get(path, params, zone, asked)
        meta = answer.get("meta") if isinstance(answer, dict) else None
        data = answer.get("data") if isinstance(answer, dict) else None
        if not isinstance(meta, dict) or not isinstance(data, list):
            what = "the answer has no data list with meta"
            raise FeedAnswerError(self.name, what, "check base_url", zone=zone, asked=asked)
        period_s = self._check(meta, zone, asked)
        points = Points(start, end, period_s)
        for row in data:
            if not isinstance(row, dict):
                points.reject(f"{row!r} is not an object")
                continue
            points.add(
                row.get("point_time"),
                row.get("value"),
                estimated=row.get("imputed_data_used") is True,
                forecast=is_forecast,
                per=G_PER_KWH_FROM_LB_PER_MWH,
            )
        model = meta.get("model")
        warnings = meta.get("warnings")
        return points.series(
            zone=zone,
            kind=self.kind,
            accounting=self.accounting,
            resolution=self._resolution,
            fetched_unix_s=self.now_unix_s(),
            source=f"WattTime v3 {self.signal_type}",
            vintage=f"model {model['date']}" if isinstance(model, dict) and model.get("date") else "",
            warnings=tuple(map(str, warnings)) if isinstance(warnings, list) else (),
        )

    def _check(self, meta: Mapping[str, Any], zone: str, asked: str) -> int:
        """The period of the values, after everything the answer says of itself is what was asked for."""
        if meta.get("region") != zone:
            what = f"the answer is about region {meta.get('region')!r}"
            raise WrongZoneError(
                self.name, what, "check the region; the answer is not used", zone=zone, asked=asked
            )
        for key, expected in (("signal_type", self.signal_type), ("units", _UNITS)):
            if meta.get(key) != expected:
                what = f"{key} of the answer is {meta.get(key)!r}, expected is {expected!r}"
                raise WrongKindError(self.name, what, "the answer is not used", zone=zone, asked=asked)
        period_s = meta.get("data_point_period_seconds")
        if (
            not isinstance(period_s, int)
            or period_s <= 0
            or period_s % self.step.seconds
            or HOUR_S % period_s
        ):
            what = f"values hold for {period_s!r} s, expected are {self.step.seconds} s"
            raise WrongKindError(self.name, what, "the answer is not used", zone=zone, asked=asked)
        return period_s


def _time(moment_unix_s: int) -> str:
    return utc_text(moment_unix_s).replace("Z", "+00:00")
