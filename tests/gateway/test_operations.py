from __future__ import annotations

import asyncio
import json
import logging
import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.gateway.backend import Backend
from tests.gateway.running import Client, config_of, running
from tests.gateway.span_requests import traces
from wattspan.gateway.journal import JsonLines, without_content

SECRET = "the-patient-said-his-name-is"


async def samples(client: Client) -> dict[tuple[str, str], float]:
    """Value of each sample by name and the label that tells it from its like."""
    status, text = await client.get("/metrics")
    assert status == 200
    return {
        (sample.name, ",".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_accepted_is_sent_and_failed_and_queued_for_each_destination(tmp_path: Path) -> None:
    async def run() -> None:
        down = Backend()
        async with down:
            pass
        async with Backend() as good, Backend(poison=b"poison") as picky:
            config = config_of(
                tmp_path,
                {"endpoint": good.endpoint},
                {"endpoint": down.endpoint},
                {"endpoint": picky.endpoint, "compression": "none"},
                drain_s=0.2,
            )
            async with running(config) as client:
                for content in ("", "poison", "", ""):
                    assert (await client.post(traces(4, content=content)))[0] == 200
                async with asyncio.timeout(10):
                    while (found := await samples(client))[("wattspan_exporter_queued_spans", "d2")] or found[
                        ("wattspan_exporter_queued_spans", "d0")
                    ]:
                        await asyncio.sleep(0.02)
                assert found[("wattspan_receiver_accepted_spans_total", "http")] == 16
                parts = {
                    name: tuple(
                        found[(f"wattspan_exporter_{what}", name)]
                        for what in ("sent_spans_total", "send_failed_spans_total", "queued_spans")
                    )
                    for name in ("d0", "d1", "d2")
                }
                assert parts["d0"] == (16, 0, 0)
                assert parts["d1"] == (0, 0, 16)
                assert parts["d2"][0] + parts["d2"][1] == 16
                assert parts["d2"][1] >= 4
                assert found[("wattspan_exporter_attempts_total", "d2,400")] >= 1
            async with running(config) as client:
                found = await samples(client)
                assert found[("wattspan_exporter_recovered_spans_total", "d1")] == 16
                assert found[("wattspan_exporter_queued_spans", "d1")] == 16
                assert found[("wattspan_exporter_recovered_spans_total", "d0")] == 0

    asyncio.run(run())


def test_energy_is_counted_once_in_joules_and_by_basis(tmp_path: Path) -> None:
    async def run() -> None:
        async with (
            Backend() as backend,
            running(config_of(tmp_path, {"endpoint": backend.endpoint})) as client,
        ):
            await client.post(traces(2))
            await backend.has(2)
            energy_kwh = sum(
                attribute.value.double_value
                for span in backend.received[0].spans
                for attribute in span.attributes
                if attribute.key == "gen_ai.usage.energy_kwh"
            )
            found = await samples(client)
            assert energy_kwh > 0
            assert (
                abs(found[("wattspan_energy_joules_total", "")] - energy_kwh * 3.6e6)
                < 1e-9 * energy_kwh * 3.6e6
            )
            assert found[("wattspan_processor_calls_total", "modelled")] == 2
            assert found[("wattspan_processor_incoming_items_total", "")] == 2

    asyncio.run(run())


def test_probes(tmp_path: Path) -> None:
    async def run() -> None:
        async with (
            Backend() as backend,
            running(config_of(tmp_path, {"endpoint": backend.endpoint})) as client,
        ):
            assert await client.get("/healthz") == (200, '{"status": "ok", "reasons": []}')
            assert await client.get("/readyz") == (200, '{"status": "ready", "reasons": []}')
            assert (await client.get("/"))[0] == 404
            async with client.session.post(f"{client.telemetry_url}/metrics") as response:
                assert response.status == 405

    asyncio.run(run())


def test_nothing_that_a_span_says_is_logged(tmp_path: Path, caplog, capfd) -> None:  # type: ignore[no-untyped-def]
    caplog.set_level(logging.DEBUG)
    bodies = [
        (traces(2, content=SECRET), "application/x-protobuf"),
        (traces(2, content=SECRET)[:-3], "application/x-protobuf"),
        (json.dumps({"resourceSpans": [{"scopeSpans": SECRET}]}).encode(), "application/json"),
        (
            json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [{"name": [SECRET]}]}]}]}).encode(),
            "application/json",
        ),
        (SECRET.encode(), "application/json"),
    ]

    async def run() -> None:
        async with Backend(poison=SECRET.encode()) as backend:
            config = config_of(tmp_path, {"endpoint": backend.endpoint, "compression": "none"})
            async with running(config) as client:
                for body, content_type in bodies:
                    await client.post(body, content_type=content_type)
                enricher = client.gateway.outlet.enrichment._enricher
                enricher.protobuf = _broken
                assert (await client.post(traces(3, content=SECRET)))[0] == 200
                assert (await samples(client))[("wattspan_processor_failures_total", "")] == 1

    asyncio.run(run())
    lines = [JsonLines().format(r) for r in caplog.records if r.name.startswith("wattspan")]
    assert any("a request of" in line and "RuntimeError at " in line for line in lines)
    assert SECRET not in "".join(lines) + "".join(capfd.readouterr())


def _broken(requests: list[bytes], table: object) -> list[object]:
    raise RuntimeError(f"cannot read {requests!r}")


def test_a_log_line_is_one_json_object(caplog) -> None:  # type: ignore[no-untyped-def]
    logging.getLogger("wattspan.gateway.test").error("two\nlines %d", 5)
    line = JsonLines().format(caplog.records[0])
    content = json.loads(line)
    assert "\n" not in line
    assert (content["level"], content["message"]) == ("error", "two\nlines 5")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", content["time"])


def test_an_error_is_named_without_what_it_says() -> None:
    with pytest.raises(ValueError, match="quoted") as caught:
        raise ValueError("quoted content")
    assert re.fullmatch(r"ValueError at .*test_operations\.py:\d+", without_content(caught.value))
