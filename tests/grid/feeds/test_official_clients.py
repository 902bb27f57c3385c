"""WattTime's own SDK and `aioelectricitymaps` against our server: what they can read, a real answer can be.

They run in an interpreter of their own, because the SDK sets up logging and writes the password to the
environment when it is imported. `WATTSPAN_SDK_PYTHON` names one that has both; without it, this one is tried.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache

import pytest

from tests.grid.server.apis import DAY_S, PASSWORD, TOKEN, USER, Apis, unix_s

PYTHON = os.environ.get("WATTSPAN_SDK_PYTHON", sys.executable)
MARCH = unix_s("2026-03-01T00:00Z")

WATTTIME = """
import json, sys
from watttime import WattTimeForecast, WattTimeHistorical, WattTimeMyAccess
url, user, password = sys.argv[1:]
WattTimeHistorical.url_base = WattTimeForecast.url_base = url
history = WattTimeHistorical(user, password)
frame = history.get_historical_pandas("2026-03-01", "2026-04-10", "CAISO_NORTH", "co2_moer")
hourly = history.get_historical_pandas("2026-03-01", "2026-03-02", "CAISO_NORTH", "co2_aoer")
forecast = WattTimeForecast(user, password).get_forecast_json("CAISO_NORTH", "co2_moer", horizon_hours=2)
try:
    history.get_historical_jsons("2026-03-01", "2026-03-02", "PJM_DC", "co2_moer")
    refused = ""
except Exception as error:
    refused = str(error)
try:
    wrong = WattTimeHistorical(user, "wrong")
    wrong.get_historical_jsons("2026-03-01", "2026-03-02", "CAISO_NORTH", "co2_moer")
    locked_out = ""
except Exception as error:
    locked_out = str(error)
print(json.dumps({
    "points": len(frame),
    "distinct": int(frame["point_time"].nunique()),
    "first": [frame["point_time"][0].isoformat(), float(frame["value"][0])],
    "hourly": len(hourly),
    "region": history.region_from_loc("37.77", "-122.42", "co2_moer")["region"],
    "forecast": len(forecast["data"]),
    "units": forecast["meta"]["units"],
    "refused": refused,
    "locked_out": locked_out,
}))
"""

ELECTRICITY_MAPS = """
import asyncio, json, sys
from aioelectricitymaps import ElectricityMaps, ElectricityMapsInvalidTokenError, ZoneRequest
from aioelectricitymaps.const import ApiEndpoints
url, token = sys.argv[1:]
for name in dir(ApiEndpoints):
    if name.isupper():
        real = getattr(ApiEndpoints, name)
        setattr(ApiEndpoints, name, real.replace("https://api.electricitymaps.com", url))

async def main():
    async with ElectricityMaps(token=token) as client:
        latest = await client.latest_carbon_intensity(ZoneRequest("DE"))
        history = await client.carbon_intensity_history(ZoneRequest("DE"))
        zones = await client.zones()
    async with ElectricityMaps(token="wrong") as client:
        try:
            await client.latest_carbon_intensity(ZoneRequest("DE"))
            refused = ""
        except ElectricityMapsInvalidTokenError as error:
            refused = str(error)
    print(json.dumps({
        "zone": latest.zone,
        "value": latest.carbon_intensity,
        "time": latest.timestamp.isoformat(),
        "estimated": latest.is_estimated,
        "hours": len(history.history),
        "last": history.history[-1].carbon_intensity,
        "zones": sorted(zones),
        "refused": refused,
    }))

asyncio.run(main())
"""


@cache
def has(module: str) -> bool:
    found = subprocess.run([PYTHON, "-c", f"import {module}"], capture_output=True, check=False)
    return found.returncode == 0


def run(script: str, *arguments: str) -> dict:
    done = subprocess.run(
        [PYTHON, "-c", script, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        # Nothing may leave the machine, through a proxy either.
        env={"PATH": os.environ.get("PATH", ""), "NO_PROXY": "*"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.skipif(not has("watttime"), reason="WattTime's SDK is not installed: pip install watttime")
def test_sdk_of_watttime_reads_our_server(apis: Apis) -> None:
    apis.now_unix_s = MARCH + 60 * DAY_S + 100
    found = run(WATTTIME, apis.url, USER, PASSWORD)
    # 40 days of five minutes, and the last end.
    assert (found["points"], found["distinct"]) == (40 * 288 + 1, 40 * 288 + 1)
    assert found["first"] == ["2026-03-01T00:00:00+00:00", 100.0]
    assert found["hourly"] == 25
    assert found["region"] == "CAISO_NORTH"
    assert (found["forecast"], found["units"]) == (24, "lbs_co2_per_mwh")
    assert "403" in found["refused"]
    assert "403" in found["locked_out"]


@pytest.mark.skipif(
    not has("aioelectricitymaps"),
    reason="not installed: pip install aioelectricitymaps",
)
def test_client_of_electricity_maps_reads_our_server(apis: Apis) -> None:
    apis.now_unix_s = MARCH + 10 * 3600 + 100
    found = run(ELECTRICITY_MAPS, apis.url, TOKEN)
    assert (found["zone"], found["value"], found["time"]) == ("DE", 110, "2026-03-01T10:00:00+00:00")
    assert (found["estimated"], found["hours"], found["last"]) == (False, 24, 110)
    assert found["zones"] == sorted(apis.zones)
    assert found["refused"] == "The given token is invalid"
