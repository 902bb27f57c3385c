"""What a provider served: the truth beside a capture."""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple


class Usage(NamedTuple):
    """Tokens of a call: input includes cache reads and writes, output includes reasoning."""

    input: int
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0
    reasoning: int = 0

    @property
    def fresh(self) -> int:
        return self.input - self.cache_read - self.cache_write


@dataclass(frozen=True)
class LedgerRow:
    route: str
    model: str
    stream: bool
    status: int
    usage_reported: bool
    input: int
    cache_read: int
    cache_write: int
    output: int
    reasoning: int


class Ledger:
    """What was served, in order of arrival."""

    def __init__(self) -> None:
        self.rows: list[LedgerRow] = []
        self._lock = threading.Lock()

    def add(self, route: str, model: str, stream: bool, usage: Usage | None, reported: bool) -> None:
        status, tokens = (200, usage) if usage is not None else (429, Usage(0))
        row = LedgerRow(route, model, stream, status, reported and usage is not None, *tokens)
        with self._lock:
            self.rows.append(row)

    def truth(self) -> dict[str, Any]:
        """The truth file: counts, and token totals over the calls whose usage the client was told."""
        served = [row for row in self.rows if row.status == 200]
        told = [row for row in served if row.usage_reported]
        keys = ("input", "cache_read", "cache_write", "output", "reasoning")
        return {
            "calls": len(self.rows),
            "errors": len(self.rows) - len(served),
            "calls_with_usage": len(told),
            "calls_without_usage": len(served) - len(told),
            "tokens_where_reported": {key: sum(getattr(row, key) for row in told) for key in keys},
            "ledger": [asdict(row) for row in self.rows],
        }
