"""Clients: who may fetch footprints, and of which features. Their secrets are told once and kept hashed."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import json
import secrets
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from wattspan.disclosure.pact.grammar import written_time
from wattspan.disclosure.pact.state import State

SECRET_BYTES: Final = 32
_SALT_BYTES: Final = 16
_NOBODY: Final = b"\0" * _SALT_BYTES


class ClientError(ValueError):
    """Something asked about clients cannot be done; the message says what there is."""


@dataclass(frozen=True, slots=True)
class Client:
    """One system of a customer."""

    id: str
    name: str
    features: frozenset[str] | None
    """Features (as ids spell them) it may see; None: all."""
    created_at: str

    def may_see(self, feature: str) -> bool:
        """Whether footprints of `feature` are for it."""
        return self.features is None or feature in self.features


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a new client is told, once."""

    client: Client
    secret: str

    def __repr__(self) -> str:
        return f"Credentials({self.client.id})"


class Clients:
    """The clients in a state."""

    def __init__(self, state: State) -> None:
        self._state = state

    def add(self, name: str, features: Sequence[str], now: dt.datetime) -> Credentials:
        """A new client; `features` empty: all of them. Raises ClientError where the name is taken."""
        if not name.strip():
            raise ClientError("a client has a name")
        client = Client(
            f"client-{secrets.token_hex(8)}", name, frozenset(features) or None, written_time(now)
        )
        secret, salt, digest = _new_secret()
        try:
            with self._state.change() as db:
                db.execute(
                    "INSERT INTO clients VALUES (?, ?, ?, ?, ?, ?)",
                    (client.id, name, salt, digest, _features_text(client), client.created_at),
                )
        except sqlite3.IntegrityError:
            raise ClientError(
                f"there is a client {name!r} already; name it otherwise, or remove that"
            ) from None
        return Credentials(client, secret)

    def renew(self, name: str) -> Credentials:
        """Another secret for a client: the old one and its tokens no longer hold. Raises ClientError."""
        client = self.named(name)
        secret, salt, digest = _new_secret()
        with self._state.change() as db:
            db.execute("UPDATE clients SET salt = ?, hash = ? WHERE id = ?", (salt, digest, client.id))
            db.execute("DELETE FROM tokens WHERE client = ?", (client.id,))
        return Credentials(client, secret)

    def remove(self, name: str) -> Client:
        """Remove a client and its tokens. Raises ClientError."""
        client = self.named(name)
        with self._state.change() as db:
            db.execute("DELETE FROM clients WHERE id = ?", (client.id,))
        return client

    def all(self) -> list[Client]:
        """By name."""
        return [_client(row) for row in self._state.rows("SELECT * FROM clients ORDER BY name")]

    def named(self, name: str) -> Client:
        """Raises ClientError where there is none of that name."""
        rows = self._state.rows("SELECT * FROM clients WHERE name = ?", name)
        if not rows:
            there = ", ".join(client.name for client in self.all()) or "none"
            raise ClientError(f"there is no client {name!r}; there are: {there}")
        return _client(rows[0])

    def get(self, client_id: str) -> Client | None:
        """The client with an id; None where there is none."""
        rows = self._state.rows("SELECT * FROM clients WHERE id = ?", client_id)
        return _client(rows[0]) if rows else None

    def proven(self, client_id: str, secret: str) -> Client | None:
        """The client, where `secret` is its own; an unknown one takes as long as a wrong secret."""
        rows = self._state.rows("SELECT * FROM clients WHERE id = ?", client_id)
        salt, expected = (rows[0]["salt"], rows[0]["hash"]) if rows else (_NOBODY, b"")
        is_right = hmac.compare_digest(_digest(secret, salt), expected)
        return _client(rows[0]) if rows and is_right else None


def _new_secret() -> tuple[str, bytes, bytes]:
    secret, salt = secrets.token_urlsafe(SECRET_BYTES), secrets.token_bytes(_SALT_BYTES)
    return secret, salt, _digest(secret, salt)


def _digest(secret: str, salt: bytes) -> bytes:
    return hashlib.scrypt(secret.encode(), salt=salt, n=2**14, r=8, p=1, dklen=32)


def _features_text(client: Client) -> str | None:
    return None if client.features is None else json.dumps(sorted(client.features))


def _client(row: sqlite3.Row) -> Client:
    features = None if row["features"] is None else frozenset(json.loads(row["features"]))
    return Client(row["id"], row["name"], features, row["created_at"])
