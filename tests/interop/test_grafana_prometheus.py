"""A real Prometheus that scrapes a gateway under traffic and an application answers every panel's query."""

from __future__ import annotations

import asyncio
import json
import math
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import wattspan
from tests.gateway.backend import Backend
from tests.gateway.running import Client, config_of, running
from tests.gateway.test_workers import started, write_config
from tests.interop import neighbours
from tests.interop.process import free_port, listening
from tests.interop.the_call import Ids, request
from wattspan.gateway.settings import ServeConfig

FOLDER = neighbours.HERE.parents[1] / "deploy" / "grafana"
SCRAPES = """
global: {scrape_interval: 500ms, scrape_timeout: 500ms}
scrape_configs:
  - {job_name: gateway, static_configs: [{targets: ["127.0.0.1:%d"]}]}
  - {job_name: shop, static_configs: [{targets: ["127.0.0.1:%d"]}]}
  - {job_name: group, static_configs: [{targets: ["127.0.0.1:%d"]}]}
"""
VARIABLES = {
    # As Grafana fills them in for "All" and a range of three minutes.
    "$__rate_interval": "2m",
    "$__range": "3m",
    "$exporter": "(good|down)",
}
Query = Callable[[str], Awaitable[list[dict[str, Any]]]]


def queries() -> Sequence[tuple[str, str]]:
    """Title and PromQL of every panel of the gateway's dashboard."""
    panels = json.loads((FOLDER / "gateway.json").read_text())["panels"]
    return [
        (f"{panel['title']} ({target['refId']})", target["expr"])
        for panel in panels
        for target in panel.get("targets", ())
    ]


async def traffic(client: Client) -> None:
    """Calls, a body that is no OTLP, and OTLP over gRPC."""
    import grpc

    for number in range(1, 5):
        assert (await client.post(request(Ids(number))))[0] == 200
        await asyncio.sleep(0.6)
    assert (await client.post(b"\xff"))[0] == 400
    async with grpc.aio.insecure_channel(f"127.0.0.1:{client.gateway.grpc.port}") as channel:
        export = channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")
        await export(request(Ids(5)))


def test_prometheus_answers_every_panel(tmp_path: Path) -> None:
    prometheus = neighbours.prometheus()
    pytest.importorskip("opentelemetry.exporter.prometheus", reason="opentelemetry-exporter-prometheus")

    async def run() -> None:
        down = Backend()
        async with down:
            pass
        async with Backend() as good:
            config = config_of(
                tmp_path,
                {"name": "good", "endpoint": good.endpoint},
                {"name": "down", "endpoint": down.endpoint},
                drain_s=0.2,
            )
            hours = tmp_path / "hours.csv"
            hours.write_text("zone,time,value\nFR,2020-01-01T00:00Z,40\n")
            live = {
                "feed": "file",
                "path": str(hours),
                "signal": "average",
                "factor_type": "lifecycle",
            }
            config = ServeConfig.model_validate(
                {
                    **config.model_dump(mode="json", exclude_unset=True),
                    "lake": {"folder": str(tmp_path / "lake"), "seal_after_s": 0.5},
                    "grid": {"cache": str(tmp_path / "grid.sqlite"), "live": live},
                }
            )
            (tmp_path / "group").mkdir()
            workers = write_config(tmp_path / "group", good.endpoint, 2)
            app_port, port = free_port(), free_port()
            (tmp_path / "app").mkdir()
            app = (sys.executable, "-m", "tests.interop.counting_app", app_port)
            async with (
                running(config) as client,
                started(workers) as group,
                listening(
                    *map(str, app),
                    port=app_port,
                    directory=tmp_path / "app",
                    environ={"PYTHONPATH": str(neighbours.HERE.parents[1])},
                ),
            ):
                file = tmp_path / "prometheus.yml"
                file.write_text(SCRAPES % (client.gateway.telemetry.port, app_port, group.ports["telemetry"]))
                options = (
                    f"--config.file={file}",
                    f"--storage.tsdb.path={tmp_path / 'tsdb'}",
                    f"--web.listen-address=127.0.0.1:{port}",
                )
                async with listening(prometheus, *options, port=port, directory=tmp_path):
                    await assert_answered(client, port, group.ports["telemetry"])

    asyncio.run(run())


def is_answer(found: Sequence[dict[str, Any]]) -> bool:
    return bool(found) and not any(math.isnan(float(series["value"][1])) for series in found)


async def assert_answered(client: Client, port: int, group_port: int) -> None:
    session = client.session
    instances = f"127.0.0.1:({client.gateway.telemetry.port}|{group_port})"

    async def ask(query: str) -> list[dict[str, Any]]:
        for variable, value in {**VARIABLES, "$instance": instances}.items():
            query = query.replace(variable, value)
        async with session.post(f"http://127.0.0.1:{port}/api/v1/query", data={"query": query}) as answer:
            if answer.status == 503:  # it listens before it is ready
                return []
            told = await answer.json()
        assert told["status"] == "success", (query, told)
        found: list[dict[str, Any]] = told["data"]["result"]
        return found

    async with asyncio.timeout(60):
        # A rate is of what comes after the first scrape.
        while not await ask("wattspan_process_uptime_seconds_total"):
            await asyncio.sleep(0.1)
        await traffic(client)
        while not await ask("sum(wattspan_receiver_accepted_spans_total) == 10"):
            await asyncio.sleep(0.1)
        while unanswered := [title for title, query in queries() if not is_answer(await ask(query))]:
            print("no answer yet:", unanswered)
            await asyncio.sleep(0.2)
        # Traces are sealed a while after their last span.
        while not await ask("wattspan_lake_rows == 10"):
            await asyncio.sleep(0.1)
    await assert_numbers(ask)
    label_values = f"http://127.0.0.1:{port}/api/v1/label/exporter/values"
    async with session.get(label_values, params={"match[]": "wattspan_exporter_queue_size"}) as answer:
        assert (await answer.json())["data"] == ["d", "down", "good"]


async def assert_numbers(ask: Query) -> None:
    """Gateway and application have the same names in Prometheus, and are told apart by their labels."""
    call = wattspan.estimate(model="gpt-4o", provider="openai", input_tokens=1000, output_tokens=300)
    joules = call.energy_kwh * 3.6e6
    (gateway,) = await ask('wattspan_energy_joules_total{wattspan_basis="", job="gateway"}')
    assert float(gateway["value"][1]) == pytest.approx(5 * joules, rel=1e-9)
    (app,) = await ask('wattspan_energy_joules_total{wattspan_basis!=""}')
    assert app["metric"]["job"] == "shop"
    assert app["metric"]["wattspan_model"] == "openai/gpt-4o"
    assert app["metric"]["gen_ai_provider_name"] == "openai"
    calls = float(app["value"][1]) / joules
    assert calls == pytest.approx(round(calls), rel=1e-9)
    (carbon,) = await ask('wattspan_co2e_grams_total{wattspan_basis!=""}')
    assert float(carbon["value"][1]) / float(app["value"][1]) == pytest.approx(call.co2e_g / joules, rel=1e-9)
    books = {
        found["metric"]["exporter"]: float(found["value"][1])
        for title, query in queries()
        if title.startswith("Books")
        for found in await ask(query)
    }
    assert books == {"good": 0.0, "down": 0.0}
    starts = await ask("wattspan_worker_starts_total")
    assert {found["metric"]["worker"]: found["value"][1] for found in starts} == {"0": "1", "1": "1"}
