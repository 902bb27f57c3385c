"""The loopback server, and the feeds pointed at it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("httpx", reason="live feeds are an optional extra: pip install 'wattspan[grid]'")
pytest.importorskip("stamina", reason="live feeds are an optional extra: pip install 'wattspan[grid]'")

from tests.grid.server.apis import Apis


@pytest.fixture
def apis(monkeypatch: pytest.MonkeyPatch) -> Iterator[Apis]:
    # A proxy of the machine must not carry loopback requests away.
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    server = Apis()
    yield server
    server.close()
