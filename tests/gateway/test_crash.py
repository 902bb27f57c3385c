from __future__ import annotations

import asyncio
from pathlib import Path

from tests.gateway.crash import crash


def test_nothing_acknowledged_is_lost_or_doubled_when_the_process_is_killed(tmp_path: Path) -> None:
    verdict = asyncio.run(crash(tmp_path, rounds=3, seed=2026))
    assert "each once" in verdict
