"""Arize Phoenix as a destination: our attributes are seen on the span through its own API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

import wattspan
from tests.gateway.running import QUICK, config_of, running
from tests.interop import neighbours
from tests.interop.process import free_port, listening
from tests.interop.the_call import Ids, assert_estimated, request

SEARCH = """
query ($project: ID!, $where: String!) {
  node(id: $project) {
    ... on Project { spans(first: 10, filterCondition: $where) { edges { node { name } } } }
  }
}
"""


@asynccontextmanager
async def phoenix(directory: Path) -> AsyncIterator[tuple[int, int]]:
    """Phoenix with a database in memory; its HTTP and gRPC port."""
    command = neighbours.phoenix()
    http_port, grpc_port = free_port(), free_port()
    settings = {
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_PORT": str(http_port),
        "PHOENIX_GRPC_PORT": str(grpc_port),
        "PHOENIX_WORKING_DIR": str(directory),
        "PHOENIX_SQL_DATABASE_URL": "sqlite:///:memory:",
        "PHOENIX_TELEMETRY_ENABLED": "false",
        "PHOENIX_ALLOW_EXTERNAL_RESOURCES": "false",
    }
    async with listening(command, "serve", port=http_port, directory=directory, environ=settings):
        yield http_port, grpc_port


async def spans_of(session: aiohttp.ClientSession, url: str, trace_id: str) -> dict[str, dict[str, Any]]:
    """Spans of one trace by their ids, once both are there."""
    async with asyncio.timeout(60):
        while True:
            async with session.get(
                f"{url}/v1/projects/default/spans", params={"trace_id": trace_id}
            ) as answer:
                assert answer.status == 200
                found = {span["context"]["span_id"]: span for span in (await answer.json())["data"]}
            if len(found) >= 2:
                return found
            await asyncio.sleep(0.1)


def test_phoenix_shows_our_attributes_as_numbers(tmp_path: Path) -> None:
    """One Phoenix for both protocols and both profiles: it is slow to start."""

    async def send(port: int, protocol: str, profile: str, ids: Ids) -> None:
        directory = tmp_path / f"{protocol}-{profile}"
        destination = {
            "endpoint": f"http://127.0.0.1:{port}",
            "protocol": protocol,
            "profile": profile,
            "retry": QUICK,
        }
        async with running(config_of(directory, destination)) as client:
            assert (await client.post(request(ids)))[0] == 200
            async with asyncio.timeout(30):
                sent = 'wattspan_exporter_sent_spans_total{exporter="d0"} 2.0'
                while sent not in (await client.get("/metrics"))[1]:
                    await asyncio.sleep(0.05)

    async def run() -> None:
        async with phoenix(tmp_path) as (http, grpc), aiohttp.ClientSession() as session:
            url = f"http://127.0.0.1:{http}"
            genai, wattspan_only = Ids(1), Ids(2)
            await send(http, "http", "genai", genai)
            await send(grpc, "grpc", "wattspan", wattspan_only)

            for ids, profile in ((genai, "genai"), (wattspan_only, "wattspan")):
                found = await spans_of(session, url, ids.trace.hex())
                call, root = found[ids.call.hex()], found[ids.root.hex()]
                assert call["parent_id"] == ids.root.hex()
                assert_estimated(call["attributes"], profile=profile)
                assert root["attributes"] == {}
                # Phoenix makes its own names of the known gen_ai keys; energy is no token to it.
                tokens = {k: v for k, v in call["attributes"].items() if k.startswith("llm.token_count.")}
                assert tokens == {
                    "llm.token_count.prompt": 1000,
                    "llm.token_count.completion": 300,
                    "llm.token_count.total": 1300,
                }

            async def filtered(where: str) -> list[str]:
                async with session.get(f"{url}/v1/projects/default") as answer:
                    project = (await answer.json())["data"]["id"]
                body = {"query": SEARCH, "variables": {"project": project, "where": where}}
                async with session.post(f"{url}/graphql", json=body) as answer:
                    told = await answer.json()
                assert "errors" not in told, told
                return [edge["node"]["name"] for edge in told["data"]["node"]["spans"]["edges"]]

            # As in Phoenix's search field: keys are nested at their dots, numbers compare as numbers.
            kwh = wattspan.estimate(
                model="gpt-4o", provider="openai", input_tokens=1000, output_tokens=300
            ).energy_kwh
            energy = "attributes['gen_ai']['usage']['energy_kwh']"
            assert await filtered(f"{energy} > {kwh * 0.99:.9f}") == ["chat gpt-4o"]
            assert await filtered(f"{energy} > {kwh * 1.01:.9f}") == []
            assert await filtered("attributes['wattspan']['basis'] == 'modelled'") == ["chat gpt-4o"] * 2

    asyncio.run(run())
