"""`Seat`: which of a gateway's processes this is, and which spool is its own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_LATER_SPOOL: Final = re.compile(r"spool-([1-9][0-9]*)\.db")


@dataclass(frozen=True, slots=True)
class Seat:
    """A process of the gateway."""

    number: int = 0
    is_shared: bool = False
    """There are others, and a supervisor: the ports are shared, and it shows the probes and metrics."""
    is_draining: bool = False
    """Takes nothing in: it brings what a former worker left in its spool to the destinations."""
    is_lake: bool = False
    """Takes nothing in: it brings what is in the spools of all others to the lake."""

    @property
    def is_receiving(self) -> bool:
        """Clients send to it."""
        return not self.is_draining and not self.is_lake

    @property
    def name(self) -> str:
        """As logs and metrics call it."""
        return "lake" if self.is_lake else str(self.number)

    def spool_path(self, directory: Path) -> Path:
        """Its spool. A gateway of one process has the first."""
        return directory / (f"spool-{self.number}.db" if self.number else "spool.db")


def seats(directory: Path, workers: int) -> list[Seat]:
    """One for each of `workers`, and one for each spool in `directory` that workers of earlier days left."""
    numbers = [] if not directory.is_dir() else [_number(path) for path in directory.iterdir()]
    left = sorted(number for number in numbers if number >= workers)
    is_shared = workers > 1 or bool(left)
    return [
        *(Seat(number, is_shared) for number in range(workers)),
        *(Seat(number, is_shared, is_draining=True) for number in left),
    ]


def _number(path: Path) -> int:
    match = _LATER_SPOOL.fullmatch(path.name)
    return int(match[1]) if match else 0
