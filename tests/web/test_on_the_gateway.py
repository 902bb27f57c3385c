"""The page on the gateway's telemetry port, by setting."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.backend import Backend
from tests.gateway.running import config_of, running
from tests.gateway.span_requests import traces
from wattspan.gateway.page import page_of
from wattspan.gateway.settings import ServeConfig


def with_page(config: ServeConfig, **sections: Any) -> ServeConfig:
    return ServeConfig.model_validate({**config.model_dump(mode="json", exclude_unset=True), **sections})


def test_the_page_shows_what_the_gateway_took_in_beside_its_metrics(tmp_path: Path) -> None:
    async def run() -> None:
        async with Backend() as backend:
            config = with_page(
                config_of(tmp_path, {"endpoint": backend.endpoint}),
                lake={"folder": str(tmp_path / "lake"), "seal_after_s": 0.1},
                web={"enabled": True, "token": "s3cret"},
            )
            async with running(config) as client:
                await client.post(traces(7))
                url = client.telemetry_url
                async with client.session.get(f"{url}/metrics", headers={"Host": "prometheus"}) as answer:
                    assert answer.status == 200
                async with client.session.get(f"{url}/api/traces") as answer:
                    assert answer.status == 401
                async with asyncio.timeout(20):
                    spans = 0
                    while spans < 7:
                        await asyncio.sleep(0.1)
                        async with client.session.get(
                            f"{url}/api/traces", headers={"Authorization": "Bearer s3cret"}
                        ) as answer:
                            assert answer.status == 200
                            spans = sum(row["spans"] for row in (await answer.json())["traces"])
                    assert spans == 7

    asyncio.run(run())


@pytest.mark.parametrize(
    ("gateway", "sections", "reason"),
    [
        ({}, {}, "say where it is under lake.folder"),
        ({"telemetry": {"host": "0.0.0.0", "port": 0}}, {"lake": {"folder": "lake"}}, "give web.token"),
    ],
)
def test_a_page_that_cannot_be_shown_says_why(
    tmp_path: Path, gateway: dict[str, Any], sections: dict[str, Any], reason: str
) -> None:
    config = with_page(
        config_of(tmp_path, {"endpoint": "http://127.0.0.1:1"}, **gateway), web={"enabled": True}, **sections
    )
    with pytest.raises(ValueError, match=reason):
        page_of(config)
