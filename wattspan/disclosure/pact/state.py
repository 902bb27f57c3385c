"""`State`: one SQLite file of the host system, readable by its owner alone.

It holds clients (secrets hashed), tokens (hashed), footprints as they were first handed out, events that came
and events that are to go. What is written is on the disk before anybody is told so.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

PRIVATE_MODE: Final = 0o600
VERSION: Final = 1
_TABLES: Final = """
CREATE TABLE clients (
  id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, salt BLOB NOT NULL, hash BLOB NOT NULL,
  features TEXT, created_at TEXT NOT NULL
);
CREATE TABLE tokens (
  sha256 BLOB PRIMARY KEY, client TEXT NOT NULL REFERENCES clients(id) ON DELETE CASCADE,
  expires_at REAL NOT NULL
);
CREATE TABLE footprints (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, disclosure TEXT NOT NULL UNIQUE,
  feature TEXT NOT NULL, status TEXT NOT NULL, body TEXT NOT NULL
);
CREATE TABLE arrivals (
  client TEXT NOT NULL, source TEXT NOT NULL, event TEXT NOT NULL, type TEXT NOT NULL, body TEXT NOT NULL,
  arrived_at TEXT NOT NULL, PRIMARY KEY (client, source, event)
);
CREATE TABLE departures (
  id TEXT PRIMARY KEY, recipient TEXT NOT NULL, type TEXT NOT NULL, body TEXT NOT NULL,
  created_at REAL NOT NULL, next_at REAL NOT NULL, tries INTEGER NOT NULL DEFAULT 0,
  state TEXT NOT NULL DEFAULT 'waiting', last_error TEXT NOT NULL DEFAULT ''
);
CREATE INDEX departures_due ON departures (state, next_at);
"""


class StateError(OSError):
    """The file cannot be used: which, why, and what to do."""


class State:
    """The file at `path`, made where it is not there. One connection, used by one thread at a time."""

    def __init__(self, path: Path) -> None:
        """Raises StateError."""
        self.path = path
        self._lock = threading.RLock()
        try:
            _make_private(path)
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=10)
            self._db.row_factory = sqlite3.Row
            self._db.execute("PRAGMA foreign_keys = ON")
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._prepare()
        except sqlite3.Error as error:
            raise StateError(f"{path} is no state of PACT, or cannot be used: {error}") from error

    @contextlib.contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """A transaction: all of the block, or nothing. Raises StateError where the disk refuses."""
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield self._db
                except BaseException:
                    self._db.execute("ROLLBACK")
                    raise
                self._db.execute("COMMIT")
            except sqlite3.OperationalError as error:
                raise StateError(f"{self.path} cannot be written: {error}") from error

    def rows(self, query: str, *values: Any) -> list[sqlite3.Row]:
        """What a query finds. Raises StateError."""
        with self._lock:
            try:
                return self._db.execute(query, values).fetchall()
            except sqlite3.OperationalError as error:
                raise StateError(f"{self.path} cannot be read: {error}") from error

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._db.close()

    def _prepare(self) -> None:
        with self.change() as db:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version == VERSION:
                return
            if version:
                raise StateError(
                    f"{self.path} is of version {version}, this Wattspan knows {VERSION}; use the newer one"
                )
            for statement in _TABLES.split(";"):
                if statement.strip():
                    db.execute(statement)
            db.execute(f"PRAGMA user_version = {VERSION}")


def _make_private(path: Path) -> None:
    """Make the file before SQLite does, which would let the umask decide who reads it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_MODE))
    except FileExistsError:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            raise StateError(
                f"{path} may be read by others (mode {mode:o}); run `chmod 600 {path}`"
            ) from None
    except OSError as error:
        raise StateError(f"{path} cannot be made: {error.strerror}") from error
