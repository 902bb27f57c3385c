"""Access tokens: random texts that mean nothing, kept as digests until some time after they end."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import Final

from wattspan.disclosure.pact.clients import Client, Clients
from wattspan.disclosure.pact.state import State

REMEMBERED_S: Final = 24 * 3600.0
"""How long an ended token is told to be ended and not merely wrong."""
MOST_A_CLIENT: Final = 1000
"""Tokens of one client that hold at a time: the oldest ends when there is one more."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The token was good and has ended."""


class Tokens:
    """The tokens in a state. Times are Unix seconds."""

    def __init__(self, state: State, minutes: int) -> None:
        self._state = state
        self.lifetime_s = 60 * minutes

    def issue(self, client: Client, now: float) -> str:
        """A new token of `client`."""
        token = secrets.token_urlsafe(32)
        with self._state.change() as db:
            db.execute("DELETE FROM tokens WHERE expires_at < ?", (now - REMEMBERED_S,))
            db.execute(
                "DELETE FROM tokens WHERE sha256 IN (SELECT sha256 FROM tokens WHERE client = ? "
                "ORDER BY expires_at DESC LIMIT -1 OFFSET ?)",
                (client.id, MOST_A_CLIENT - 1),
            )
            db.execute(
                "INSERT INTO tokens VALUES (?, ?, ?)", (_digest(token), client.id, now + self.lifetime_s)
            )
        return token

    def holder(self, token: str, now: float) -> Client | Ended | None:
        """Whose `token` is; Ended where it no longer holds, None where it never did."""
        rows = self._state.rows("SELECT client, expires_at FROM tokens WHERE sha256 = ?", _digest(token))
        if not rows:
            return None
        if rows[0]["expires_at"] <= now:
            return Ended()
        return Clients(self._state).get(rows[0]["client"])


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="surrogateescape")).digest()
