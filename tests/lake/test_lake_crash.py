"""A writer that is killed loses nothing; `python -m tests.lake.crash 100` is the long form."""

from __future__ import annotations

from pathlib import Path

from tests.lake.crash import crash


def test_nothing_is_lost_or_there_twice_after_kills(tmp_path: Path) -> None:
    found = crash(tmp_path, rounds=4, seed=7)
    assert (found.lost, found.twice, found.wrong, found.findings) == (0, 0, "", [])
    assert found.acknowledged >= 1_000
