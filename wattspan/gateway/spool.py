"""`Spool`: batches on disk between acknowledgement and delivery. SQLite in WAL mode, full sync.

Tables: `batches` (one row a batch: signal, items, bytes), `bodies` (the batch under one profile of
attributes, a zstd frame), `readers` (how far each destination is) and `seen` (span keys of the batches that
a `SpanReader` had). A batch goes when all readers have it.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import zstandard

from wattspan.gateway.signals import Signal

LAYOUT: Final = 1
"""`user_version` of the file."""

_PAGE_BYTES: Final = 32_768
"""Measured for bodies of 0.5 MB: half the CPU time of 4 KiB pages."""
_CHECKPOINT_BYTES: Final = 8 * 1024 * 1024
_LEVEL: Final = -3
"""zstd level: 0.18 ms for 0.5 MB and a ninth of the bytes; writing them plain costs SQLite 0.7 ms more."""
_MOST_DELETED: Final = 1_000
"""Batches deleted in one transaction: a long backlog must not hold up the next acknowledgement."""
_MOST_FREE_BYTES: Final = 64 * 1024 * 1024
"""Free pages kept in the file; above, the file shrinks."""
_SIGNAL_NUMBERS: Final = {Signal.TRACES: 1, Signal.METRICS: 2, Signal.LOGS: 3}
_SIGNALS: Final = {number: signal for signal, number in _SIGNAL_NUMBERS.items()}

_SCHEMA: Final = """
CREATE TABLE batches(id INTEGER PRIMARY KEY AUTOINCREMENT, signal INTEGER NOT NULL, items INTEGER NOT NULL,
  size INTEGER NOT NULL, received_unix_ns INTEGER NOT NULL);
CREATE TABLE bodies(batch INTEGER NOT NULL, version TEXT NOT NULL, data BLOB NOT NULL);
CREATE INDEX bodies_by_batch ON bodies(batch);
CREATE TABLE readers(name TEXT PRIMARY KEY, cursor INTEGER NOT NULL);
CREATE TABLE seen(reader TEXT NOT NULL, batch INTEGER NOT NULL, keys BLOB NOT NULL,
  PRIMARY KEY(reader, batch));
"""


class SpoolError(OSError):
    """The spool cannot be used, or the batches could not be made durable: what, where, and what to do."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A batch to be kept."""

    signal: Signal
    items: int
    received_unix_ns: int
    bodies: dict[str, bytes]
    """The plain protobuf request under each version of its attributes."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch in the spool, without its body."""

    id: int
    signal: Signal
    items: int
    size: int
    """Bytes of all its stored bodies."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """What a reader has not got yet."""

    batches: int = 0
    items: int = 0
    size: int = 0


class Spool:
    """One spool file and its single writer; every method may be called from any thread."""

    def __init__(self, path: Path) -> None:
        """Open or create the spool at `path`.

        Raises SpoolError where another process writes to it, or it is not a spool of this layout.
        """
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock_path = path.with_suffix(".lock")
        self._lock_file = os.open(self._lock_path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock_file)
            raise SpoolError(
                f"{path}: another process writes to this spool; give each gateway a directory of its own"
            ) from error
        try:
            self._db = _opened(path)
        except (sqlite3.Error, SpoolError) as error:
            os.close(self._lock_file)
            raise error if isinstance(error, SpoolError) else SpoolError(f"{path}: {error}") from error
        self._compressor = zstandard.ZstdCompressor(level=_LEVEL)
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._has_more = True
        self._moved: dict[str, int] = {}
        self._cursors: dict[str, int] = dict(self._db.execute("SELECT name, cursor FROM readers"))
        newest = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'batches'").fetchone()
        self.newest = int(newest[0]) if newest else 0
        self._oldest = self._first()

    def _first(self) -> int:
        found = self._db.execute("SELECT min(id) FROM batches").fetchone()[0]
        return int(found) if found is not None else self.newest + 1

    def readers(self) -> dict[str, int]:
        """Names of the readers and the last batch that each has."""
        with self._lock:
            return {**self._cursors, **self._moved}

    def register(self, names: Iterable[str]) -> None:
        """Make `names` the readers: new ones begin after the newest batch, others are forgotten."""
        wanted = list(names)
        with self._writing, self._lock, self._transaction():
            known = {**self._cursors, **self._moved}
            kept = {name: known.get(name, self.newest) for name in wanted}
            self._db.execute("DELETE FROM readers")
            self._db.executemany("INSERT INTO readers VALUES(?, ?)", kept.items())
            self._cursors, self._moved = kept, {}

    def move(self, name: str, cursor: int) -> None:
        """Reader `name` has everything up to batch `cursor`; durable with the next `append` or `settle`."""
        with self._lock:
            if name in self._cursors:
                self._moved[name] = max(cursor, self._moved.get(name, 0))

    def append(self, drafts: Sequence[Draft]) -> list[Batch]:
        """Make `drafts` durable: when this returns they survive a crash. All of them or none.

        Raises SpoolError where the disk is full or fails.
        """
        with self._writing:
            return self._append(drafts)

    def _append(self, drafts: Sequence[Draft]) -> list[Batch]:
        kept: list[Batch] = []
        next_id = self.newest + 1
        try:
            packed = [{v: self._compressor.compress(b) for v, b in d.bodies.items()} for d in drafts]
            with self._transaction():
                for draft, bodies in zip(drafts, packed, strict=True):
                    batch = Batch(next_id, draft.signal, draft.items, sum(map(len, bodies.values())))
                    self._db.execute(
                        "INSERT INTO batches VALUES(?, ?, ?, ?, ?)",
                        (
                            batch.id,
                            _SIGNAL_NUMBERS[batch.signal],
                            batch.items,
                            batch.size,
                            draft.received_unix_ns,
                        ),
                    )
                    self._db.executemany(
                        "INSERT INTO bodies VALUES(?, ?, ?)", ((batch.id, v, b) for v, b in bodies.items())
                    )
                    kept.append(batch)
                    next_id += 1
                moved = self._write_cursors()
        except sqlite3.Error as error:
            raise SpoolError(f"{self.path}: {error}") from error
        self._settled(moved)
        self.newest = next_id - 1
        return kept

    def settle(self) -> bool:
        """Make moved cursors durable and delete what all readers have; whether there is more to delete.

        Raises SpoolError where the disk fails.
        """
        with self._writing:
            return self._settle()

    def _settle(self) -> bool:
        try:
            with self._transaction():
                moved = self._write_cursors()
                cursors = {**self._cursors, **moved}
                done = min(cursors.values(), default=self.newest)
                last = min(done, self._oldest + _MOST_DELETED - 1)
                if last >= self._oldest:
                    self._db.execute("DELETE FROM bodies WHERE batch <= ?", (last,))
                    self._db.execute("DELETE FROM batches WHERE id <= ?", (last,))
            free = self._db.execute("PRAGMA freelist_count").fetchone()[0] * _PAGE_BYTES
            if free > _MOST_FREE_BYTES:
                # Each step of this pragma frees one page.
                self._db.execute(f"PRAGMA incremental_vacuum({_MOST_FREE_BYTES // _PAGE_BYTES})").fetchall()
        except sqlite3.Error as error:
            raise SpoolError(f"{self.path}: {error}") from error
        self._settled(moved)
        self._oldest = max(self._oldest, last + 1)
        self._has_more = last < done
        return self._has_more

    def move_with_keys(self, name: str, batch: int, keys: bytes, oldest: int) -> None:
        """Reader `name` has `batch`: durably remember its span keys, forget those of batches before `oldest`.

        Raises SpoolError where the disk fails.
        """
        try:
            with self._writing, self._transaction():
                self._db.execute("INSERT OR REPLACE INTO seen VALUES(?, ?, ?)", (name, batch, keys))
                self._db.execute("DELETE FROM seen WHERE reader = ? AND batch < ?", (name, oldest))
                self._db.execute("UPDATE readers SET cursor = max(cursor, ?) WHERE name = ?", (batch, name))
        except sqlite3.Error as error:
            raise SpoolError(f"{self.path}: {error}") from error
        self.move(name, batch)

    @property
    def is_settled(self) -> bool:
        """Whether `settle` has nothing to do."""
        return not self._moved and not self._has_more

    @property
    def is_empty(self) -> bool:
        """Whether all readers have everything and it is deleted."""
        return self._oldest > self.newest

    def _write_cursors(self) -> dict[str, int]:
        with self._lock:
            moved = dict(self._moved)
        self._db.executemany(
            "UPDATE readers SET cursor = max(cursor, ?) WHERE name = ?", ((c, n) for n, c in moved.items())
        )
        return moved

    def _settled(self, moved: dict[str, int]) -> None:
        with self._lock:
            for name, cursor in moved.items():
                self._cursors[name] = cursor
                if self._moved.get(name) == cursor:
                    del self._moved[name]

    def _transaction(self) -> _Transaction:
        return _Transaction(self._db)

    def reader(self) -> SpoolReader:
        """A connection that reads, for use by one thread at a time."""
        return SpoolReader(self.path)

    def discard(self) -> None:
        """Close, and delete the files where nothing is left in them."""
        if not self.is_empty:
            self.close()
            return
        self._db.close()
        for path in (*self.path.parent.glob(f"{self.path.name}*"), self._lock_path):
            path.unlink()
        os.close(self._lock_file)

    def close(self) -> None:
        """Make the cursors durable and let the file go."""
        try:
            while self.settle():
                pass
        finally:
            self._db.close()
            os.close(self._lock_file)


class SpoolReader:
    """Reads batches in the order in which they came."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
        )
        self._decompressor = zstandard.ZstdDecompressor()

    def after(self, cursor: int, signals: Iterable[Signal], most: int) -> list[Batch]:
        """At most `most` batches of `signals` that follow batch `cursor`."""
        numbers = ",".join(str(_SIGNAL_NUMBERS[signal]) for signal in signals)
        rows = self._db.execute(
            f"SELECT id, signal, items, size FROM batches WHERE id > ? AND signal IN ({numbers})"
            " ORDER BY id LIMIT ?",
            (cursor, most),
        )
        return [Batch(id_, _SIGNALS[signal], items, size) for id_, signal, items, size in rows]

    def newest(self) -> int:
        """The last batch that was made durable; 0 where there was none."""
        found = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'batches'").fetchone()
        return int(found[0]) if found else 0

    def cursor(self, name: str) -> int | None:
        """The last batch that reader `name` has, as far as is durable; None where it is no reader (yet)."""
        found = self._db.execute("SELECT cursor FROM readers WHERE name = ?", (name,)).fetchone()
        return None if found is None else int(found[0])

    def stored(self, batch: int, version: str) -> bytes | None:
        """The zstd frame of a batch; another version where `version` was not asked for when it came.

        None where the batch is no longer there.
        """
        found = self._db.execute(
            "SELECT data FROM bodies WHERE batch = ? ORDER BY version <> ? LIMIT 1", (batch, version)
        ).fetchone()
        return None if found is None else bytes(found[0])

    def body(self, batch: int, version: str) -> bytes | None:
        """The plain protobuf request of a batch, as `stored`. Raises SpoolError where it is damaged."""
        stored = self.stored(batch, version)
        try:
            return None if stored is None else self._decompressor.decompress(stored)
        except zstandard.ZstdError as error:
            raise SpoolError(f"batch {batch} in the spool is damaged: {error}") from error

    def seen(self, name: str, until: int) -> list[tuple[int, bytes]]:
        """Batches up to `until` whose span keys reader `name` remembers, oldest first."""
        return list(
            self._db.execute(
                "SELECT batch, keys FROM seen WHERE reader = ? AND batch <= ? ORDER BY batch", (name, until)
            )
        )

    def backlog(self, cursor: int, last: int, signals: Iterable[Signal]) -> Backlog:
        """What follows batch `cursor` up to batch `last`."""
        numbers = ",".join(str(_SIGNAL_NUMBERS[signal]) for signal in signals)
        found = self._db.execute(
            "SELECT count(*), coalesce(sum(items), 0), coalesce(sum(size), 0) FROM batches"
            f" WHERE id > ? AND id <= ? AND signal IN ({numbers})",
            (cursor, last),
        ).fetchone()
        return Backlog(*found)

    def close(self) -> None:
        """Let the file go."""
        self._db.close()


class _Transaction:
    """BEGIN IMMEDIATE ... COMMIT, rolled back on any error, that of COMMIT included."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            try:
                self._db.execute("COMMIT")
            except sqlite3.Error:
                self._roll_back()
                raise
        else:
            self._roll_back()

    def _roll_back(self) -> None:
        # A full disk makes SQLite roll back by itself.
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")


def _opened(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
    try:
        layout = db.execute("PRAGMA user_version").fetchone()[0]
        is_new = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
        if not is_new and layout != LAYOUT:
            raise SpoolError(
                f"{path}: the spool has layout {layout}; this version reads {LAYOUT}. Drain it with the "
                "version that wrote it, or move it away"
            )
        if is_new:
            db.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
            db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_BYTES // _PAGE_BYTES}")
        db.execute(f"PRAGMA journal_size_limit = {4 * _CHECKPOINT_BYTES}")
        if is_new:
            with _Transaction(db):
                for statement in filter(str.strip, _SCHEMA.split(";")):
                    db.execute(statement)
                db.execute(f"PRAGMA user_version = {LAYOUT}")
        path.chmod(0o600)
    except BaseException:
        db.close()
        raise
    return db
