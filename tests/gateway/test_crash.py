from __future__ import annotations

import asyncio
import re
from pathlib import Path

from tests.gateway import crash_workers
from tests.gateway.crash import crash


def test_nothing_acknowledged_is_lost_or_doubled_when_the_process_is_killed(tmp_path: Path) -> None:
    verdict = asyncio.run(crash(tmp_path, rounds=3, seed=2026))
    assert "each once" in verdict


def test_what_was_acknowledged_survives_workers_that_are_killed(tmp_path: Path) -> None:
    verdict = asyncio.run(crash_workers.crash(tmp_path, 5, seed=1))
    assert re.match(r"5 kills; [1-9]\d* spans acknowledged, all delivered", verdict)
