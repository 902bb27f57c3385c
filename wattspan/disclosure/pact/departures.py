"""Events on their way to recipients: kept until they are taken, or for three days (PACT 3.0, Events)."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from wattspan.disclosure.pact.settings import RetrySection
from wattspan.disclosure.pact.state import State

REMEMBERED_S: Final = 90 * 86_400.0
"""How long what became of an event can be looked up."""


@dataclass(frozen=True, slots=True)
class Departure:
    """One event for one recipient. Times are Unix seconds."""

    id: str
    recipient: str
    type: str
    body: str
    created_at: float
    next_at: float
    tries: int
    state: str
    """waiting | sent | abandoned."""
    last_error: str


class Departures:
    """Those in a state."""

    def __init__(self, state: State, retry: RetrySection) -> None:
        self._state, self._retry = state, retry

    def add(self, db: sqlite3.Connection, recipient: str, event: Mapping[str, Any], now: float) -> None:
        """Put an event on its way, within a transaction of the state. What is long done is forgotten."""
        db.execute("DELETE FROM departures WHERE state != 'waiting' AND next_at < ?", (now - REMEMBERED_S,))
        db.execute(
            "INSERT INTO departures (id, recipient, type, body, created_at, next_at) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (event["id"], recipient, event["type"], json.dumps(event, ensure_ascii=False), now, now),
        )

    def due(self, now: float) -> list[Departure]:
        """Those to be tried now, the oldest first."""
        query = (
            "SELECT * FROM departures WHERE state = 'waiting' AND next_at <= ? "
            "ORDER BY next_at, created_at LIMIT 100"
        )
        return [_departure(row) for row in self._state.rows(query, now)]

    def next_at(self) -> float | None:
        """When the next is to be tried; None where none waits."""
        (row,) = self._state.rows("SELECT MIN(next_at) AS at FROM departures WHERE state = 'waiting'")
        found: float | None = row["at"]
        return found

    def sent(self, departure: Departure) -> None:
        """It was taken; what it said is no longer kept."""
        with self._state.change() as db:
            db.execute(
                "UPDATE departures SET state = 'sent', tries = tries + 1, body = '', last_error = '' "
                "WHERE id = ?",
                (departure.id,),
            )

    def failed(self, departure: Departure, why: str, now: float) -> float | None:
        """It was not taken: when it is tried again, later after each try; None where it is given up."""
        wait = min(self._retry.first_s * 2.0 ** min(departure.tries, 60), self._retry.most_s)
        ends_at = departure.created_at + 3600 * self._retry.give_up_after_h
        next_at = None if now >= ends_at else min(now + wait, ends_at)
        with self._state.change() as db:
            db.execute(
                "UPDATE departures SET tries = tries + 1, last_error = ?, state = ?, next_at = ? "
                "WHERE id = ?",
                (why, "abandoned" if next_at is None else "waiting", next_at or now, departure.id),
            )
        return next_at

    def all(self) -> list[Departure]:
        """The oldest first."""
        return [
            _departure(row) for row in self._state.rows("SELECT * FROM departures ORDER BY created_at, id")
        ]


def _departure(row: sqlite3.Row) -> Departure:
    return Departure(**dict(row))
