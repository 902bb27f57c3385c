"""A server on loopback that answers as the real feeds do: their shapes, limits, errors and traps.

The official clients run against it too (`test_official_clients.py`), so that it is known to be faithful.
Values follow a rule that tests can reckon by hand: `g_per_kwh`.
"""

from __future__ import annotations

import base64
import copy
import datetime as dt
import json
import re
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

SHAPES: dict[str, Any] = json.loads(Path(__file__).with_name("answers.json").read_text(encoding="utf-8"))[
    "shapes"
]

TOKEN = "em-token-of-a-paid-plan"
FREE_TOKEN = "em-token-of-the-free-plan"
USER, PASSWORD = "tester", "watttime-pass/word+1"
EMBER_KEY = "ember-key-123456"
CALLERS_ZONE = "FR"

HOUR_S, DAY_S = 3_600, 86_400
NGINX_403 = (
    "<html>\r\n<head><title>403 Forbidden</title></head>\r\n"
    "<body>\r\n<center><h1>403 Forbidden</h1></center>\r\n"
    "<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)


def g_per_kwh(unix_s: int) -> float:
    """The value of every zone at a time: 100 and the hour of the day, and one for each day of the month."""
    moment = dt.datetime.fromtimestamp(unix_s, dt.UTC)
    return 100.0 + moment.hour + 24 * (moment.day - 1)


@dataclass
class Fault:
    """What goes wrong with an answer."""

    path: str = ""
    """Only with requests whose path contains this."""
    times: int = 10**9
    """With so many requests, then no more."""
    status: int = 0
    body: str | bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    drip_s: float = 0.0
    """Seconds between the bytes of the body."""
    cut: int = 0
    """Bytes of the body that never come, though announced."""
    change: Callable[[Any], Any] | None = None
    """Changes the JSON of a good answer."""


class Apis:
    """All feeds at one address."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], dict[str, str]]] = []
        """(path, query, headers) of every request."""
        self.faults: list[Fault] = []
        self.now_unix_s: int | None = None
        """Time by the server's clock; None for the real one. `Date` headers tell it."""
        self.tokens: dict[str, float] = {}
        self.token_life_s = 1800.0
        self.zones = {"DE", "FR", "GB", "US-CAL-CISO", "IN-WE"}
        self.plan = {TOKEN: ["*"], FREE_TOKEN: ["carbon-intensity/latest", "carbon-intensity/history"]}
        self.free_zone = "DE"
        self.regions = {"CAISO_NORTH"}
        self.revision = 0.0
        """Added to every value: revised history."""
        self.published_until: int | None = None
        """UK: half hours from here on have no actual value."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def now(self) -> int:
        return int(time.time()) if self.now_unix_s is None else self.now_unix_s

    def asked(self, path: str) -> list[dict[str, str]]:
        """Queries of the requests whose path contains this."""
        return [query for found, query, _ in self.requests if path in found]

    def value(self, unix_s: int) -> float:
        return g_per_kwh(unix_s) + self.revision

    # --- answers: (status, body) -------------------------------------------------------------------

    def answer(self, path: str, query: dict[str, str], headers: dict[str, str]) -> tuple[int, Any]:
        if path.startswith("/login"):
            return self._login(headers)
        if re.match(r"/v[34]/(zones|carbon-intensity|home-assistant)", path):
            return self._electricity_maps(path, query, headers)
        if path.startswith("/v3/"):
            return self._watttime(path, query, headers)
        if path.startswith("/intensity"):
            return self._uk(path)
        if path.startswith("/v1/carbon-intensity/"):
            return self._ember(query)
        if path.startswith("/emissions/"):
            return self._carbon_aware(path, query)
        return 404, {"error": "not found"}

    def _electricity_maps(self, path: str, query: dict[str, str], headers: dict[str, str]) -> tuple[int, Any]:
        _, _, *operation = path.split("/")
        token = headers.get("auth-token", "")
        if operation == ["zones"]:
            return 200, self._zones(token)
        if token not in self.plan:
            return shape("electricitymaps 401 no/invalid token")
        zone = query.get("zone", query.get("zoneKey", ""))
        if zone not in self.zones and query.get("disableCallerLookup") != "true":
            zone = CALLERS_ZONE
        if zone not in self.zones:
            status, body = shape("electricitymaps 404 no data")
            return status, {**body, "message": f'No recent data available for zone "{zone}"'}
        name = "/".join(operation)
        if not self._may(token, zone, name):
            return shape("electricitymaps 403 zone not in plan")
        period_s = {"hourly": 3600, "15_minutes": 900, "5_minutes": 300}[
            query.get("temporalGranularity", "hourly")
        ]
        point = self._point(query, zone)
        now = self.now() // HOUR_S * HOUR_S
        if name == "carbon-intensity/latest":
            return 200, point(now)
        if name == "carbon-intensity/history":
            _, body = shape("electricitymaps carbon-intensity/history (24 h)")
            starts = range(now - 23 * HOUR_S, now + HOUR_S, HOUR_S)
            return 200, {**body, "zone": zone, "history": [point(start) for start in starts]}
        if name == "carbon-intensity/forecast":
            _, body = shape("electricitymaps carbon-intensity/forecast")
            hours = int(query.get("horizonHours", 24))
            rows = [
                {"carbonIntensity": self.value(start), "datetime": em_time(start)}
                for start in range(now + HOUR_S, now + (hours + 1) * HOUR_S, HOUR_S)
            ]
            return 200, {**body, "zone": zone, "forecast": rows, "updatedAt": em_time(now)}
        if name == "carbon-intensity/past-range":
            if "start" not in query or "end" not in query:
                return shape("electricitymaps 400 bad input")
            start, end = unix_s(query["start"]), unix_s(query["end"])
            if end - start > 10 * DAY_S:
                return 400, {"status": "error", "message": "The range is longer than 10 days"}
            _, body = shape("electricitymaps carbon-intensity/past-range")
            rows = [point(moment) for moment in range(start, min(end, now + HOUR_S), period_s)]
            granularity = query.get("temporalGranularity", "hourly")
            return 200, {**body, "zone": zone, "data": rows, "temporalGranularity": granularity}
        return 404, {"status": "error", "message": "no such operation"}

    def _zones(self, token: str) -> dict[str, Any]:
        zones: dict[str, Any] = {zone: {"zoneName": zone} for zone in sorted(self.zones)}
        for zone, entry in zones.items():
            if token == FREE_TOKEN:
                entry["access"] = self.plan[token] if zone == self.free_zone else []
            elif token in self.plan:
                entry["access"] = self.plan[token]
        return zones

    def _may(self, token: str, zone: str, name: str) -> bool:
        if token == FREE_TOKEN and zone != self.free_zone:
            return False
        return "*" in self.plan[token] or name in self.plan[token]

    def _point(self, query: dict[str, str], zone: str) -> Callable[[int], dict[str, Any]]:
        is_estimated = zone == "IN-WE"
        name = "carbon-intensity/latest estimated" if is_estimated else "carbon-intensity/latest"
        _, body = shape(f"electricitymaps {name}")
        factor_type = query.get("emissionFactorType", "lifecycle")
        # Direct factors leave out what happens upstream.
        less = 20.0 if factor_type == "direct" else 0.0

        def point(start: int) -> dict[str, Any]:
            empty = is_estimated and query.get("disableEstimations") == "true"
            return {
                **body,
                "zone": zone,
                "carbonIntensity": None if empty else round(self.value(start) - less),
                "datetime": em_time(start),
                "updatedAt": em_time(self.now()),
                "emissionFactorType": factor_type,
                "temporalGranularity": query.get("temporalGranularity", "hourly"),
            }

        return point

    def _login(self, headers: dict[str, str]) -> tuple[int, Any]:
        expected = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if headers.get("authorization") != f"Basic {expected}":
            return 403, NGINX_403
        token = f"watttime-token-{len(self.tokens) + 1}"
        self.tokens[token] = time.monotonic() + self.token_life_s
        return 200, {"token": token}

    def _watttime(self, path: str, query: dict[str, str], headers: dict[str, str]) -> tuple[int, Any]:
        token = headers.get("authorization", "").removeprefix("Bearer ")
        if self.tokens.get(token, 0.0) <= time.monotonic():
            return 403, NGINX_403
        if path == "/v3/region-from-loc":
            if float(query["latitude"]) > 30 and -125 < float(query["longitude"]) < -115:
                _, body = shape("watttime region-from-loc")
                return 200, {**body, "region": "CAISO_NORTH", "signal_type": query["signal_type"]}
            return shape("watttime region-from-loc outside coverage")
        region = query.get("region", "")
        if region not in self.regions:
            return shape("watttime 403 region not in plan")
        is_average = query["signal_type"] == "co2_aoer"
        name = "historical AOER" if is_average else "historical"
        period_s = HOUR_S if is_average else 300
        if path == "/v3/historical":
            start, end = unix_s(query["start"]), unix_s(query["end"])
            if end - start > 32 * DAY_S:
                return 400, {"error": "Bad request", "message": "range longer than 32 days"}
            end = min(end, self.now())
        elif is_average:
            return 400, {"error": "Bad request", "message": "co2_aoer has no forecast"}
        else:
            name = "forecast"
            start = self.now() // period_s * period_s
            end = start + int(query.get("horizon_hours", 24)) * HOUR_S - period_s
        _, body = shape(f"watttime {name}")
        rows = [
            {"point_time": wt_time(moment), "value": self.value(moment)}
            for moment in range(-(-start // period_s) * period_s, end + 1, period_s)
        ]
        if query.get("include_imputed_marker") == "true":
            for row in rows:
                row["imputed_data_used"] = False
        meta = {**body["meta"], "region": region, "signal_type": query["signal_type"]}
        return 200, {"data": rows, "meta": meta}

    def _uk(self, path: str) -> tuple[int, Any]:
        found = re.fullmatch(r"/intensity/([^/]+)/([^/]+)", path)
        try:
            start = unix_s(found[1]) if found else 0
            end = start + 2 * DAY_S if found and found[2] == "fw48h" else unix_s(found[2]) if found else 0
        except ValueError:
            found = None
        if not found or end - start > 14 * DAY_S:
            return shape("uk_carbon_intensity error")
        _, body = shape("uk_carbon_intensity intensity")
        until = self.now() if self.published_until is None else self.published_until
        rows = []
        for moment in range(start, end, 1800):
            row = copy.deepcopy(body["data"][0])
            row["from"], row["to"] = uk_time(moment), uk_time(moment + 1800)
            row["intensity"]["forecast"] = int(self.value(moment)) + 5
            row["intensity"]["actual"] = int(self.value(moment)) if moment < until else None
            rows.append(row)
        return 200, {"data": rows}

    def _ember(self, query: dict[str, str]) -> tuple[int, Any]:
        if query.get("api_key") != EMBER_KEY:
            return 403, {"detail": "Invalid API key"}
        _, body = shape("ember carbon-intensity/yearly")
        first, last = int(query["start_date"]), int(query["end_date"])
        rows = []
        for year in range(first, min(last, 2025) + 1):
            row = {**body["data"][0], "entity_code": query["entity_code"], "date": str(year)}
            rows.append({**row, "emissions_intensity_gco2_per_kwh": year - 1700 + self.revision})
        return 200, {"stats": {}, "data": rows}

    def _carbon_aware(self, path: str, query: dict[str, str]) -> tuple[int, Any]:
        if path == "/emissions/bylocation":
            start, end = unix_s(query["time"]), min(unix_s(query["toTime"]), self.now())
            _, body = shape("carbon_aware_sdk emissions/bylocation")
            rows = [
                {**body[0], "time": wt_time(moment), "rating": self.value(moment)}
                for moment in range(start, end, 300)
            ]
            return (200, rows) if rows else (204, None)
        _, body = shape("carbon_aware_sdk forecasts/current")
        forecast = copy.deepcopy(body[0])
        start, end = unix_s(query["dataStartAt"]), unix_s(query["dataEndAt"])
        point = forecast["forecastData"][0]
        forecast["location"] = query["location"]
        forecast["forecastData"] = [
            {**point, "timestamp": wt_time(moment), "value": self.value(moment)}
            for moment in range(start, end, 300)
        ]
        forecast["optimalDataPoints"][0].update(
            timestamp=wt_time(start), duration=int(query.get("windowSize", 5)), value=self.value(start)
        )
        return 200, [forecast]


def shape(name: str) -> tuple[int, Any]:
    """Status and body of an answer as documented."""
    return SHAPES[name]["status"], copy.deepcopy(SHAPES[name]["body"])


def unix_s(text: str) -> int:
    moment = dt.datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp())


def em_time(moment: int) -> str:
    return dt.datetime.fromtimestamp(moment, dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def wt_time(moment: int) -> str:
    return dt.datetime.fromtimestamp(moment, dt.UTC).isoformat()


def uk_time(moment: int) -> str:
    return dt.datetime.fromtimestamp(moment, dt.UTC).strftime("%Y-%m-%dT%H:%MZ")


def _handler(apis: Apis) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = dict(parse_qsl(parts.query, keep_blank_values=True))
            headers = {name.lower(): value for name, value in self.headers.items()}
            apis.requests.append((parts.path, query, headers))
            fault = self._fault(parts.path)
            status, found = apis.answer(parts.path, query, headers)
            if fault.change is not None and status == 200:
                found = fault.change(found)
            body = (
                b""
                if found is None
                else found.encode()
                if isinstance(found, str)
                else json.dumps(found).encode()
            )
            if fault.status:
                status = fault.status
            if fault.body is not None:
                body = fault.body.encode() if isinstance(fault.body, str) else fault.body
            if fault.delay_s:
                time.sleep(fault.delay_s)
            try:
                self._send(status, body, fault)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def _fault(self, path: str) -> Fault:
            for fault in apis.faults:
                if fault.path in path and fault.times > 0:
                    fault.times -= 1
                    return fault
            return Fault()

        def _send(self, status: int, body: bytes, fault: Fault) -> None:
            self.send_response(status)
            if not {"content-type"} & {name.lower() for name in fault.headers}:
                is_json = body[:1] in (b"{", b"[")
                self.send_header("Content-Type", "application/json" if is_json else "text/html")
            for name, value in fault.headers.items():
                self.send_header(name, value)
            if status != 204:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if fault.cut:
                body = body[: -fault.cut]
                self.close_connection = True
            if fault.drip_s:
                for byte in body:
                    self.wfile.write(bytes([byte]))
                    self.wfile.flush()
                    time.sleep(fault.drip_s)
            else:
                self.wfile.write(body)

        def date_time_string(self, timestamp: float | None = None) -> str:
            return format_datetime(dt.datetime.fromtimestamp(apis.now(), dt.UTC), usegmt=True)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


def closed_port() -> int:
    """A port at which nobody listens."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
