"""`Cache`: every value a feed ever gave, kept for good with its provenance, in one SQLite file.

A disclosure must find the very values it used, so nothing here is changed or deleted: a revised value is one
more row, and a position (the number of the last fetch) names the state of the cache at a moment.

    signal    one feed and kind
    fetch     one answer of a feed: zone, range asked for, when, source, vintage, warnings
    value     one value of one fetch; of the same start, the row of the latest fetch holds
    location  the feed's zone of a cloud region, as the feed said, and when
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from weakref import finalize

import numpy as np

from wattspan.grid.feeds.series import Flags, Series
from wattspan.grid.intensity import (
    Accounting,
    Codes,
    Floats,
    Ints,
    Kind,
    MixedKindsError,
    Resolution,
    kind_text,
)

VERSION = 1
# "WSPG": tells our files from other SQLite files.
_APPLICATION_ID = 0x57535047

_SCHEMA = """
CREATE TABLE signal (
    id INTEGER PRIMARY KEY, feed TEXT NOT NULL, signal TEXT NOT NULL, factor_type TEXT NOT NULL,
    UNIQUE (feed, signal, factor_type)
) STRICT;
CREATE TABLE fetch (
    id INTEGER PRIMARY KEY, signal_id INTEGER NOT NULL REFERENCES signal, zone TEXT NOT NULL,
    asked_start_unix_s INTEGER NOT NULL, asked_end_unix_s INTEGER NOT NULL,
    fetched_unix_s INTEGER NOT NULL, period_s INTEGER NOT NULL, resolution TEXT NOT NULL,
    accounting TEXT NOT NULL, source TEXT NOT NULL, vintage TEXT NOT NULL, notes TEXT NOT NULL,
    first_unix_s INTEGER, last_unix_s INTEGER
) STRICT;
CREATE INDEX fetch_zone ON fetch (signal_id, zone, asked_start_unix_s);
CREATE TABLE value (
    signal_id INTEGER NOT NULL, zone TEXT NOT NULL, start_unix_s INTEGER NOT NULL,
    is_forecast INTEGER NOT NULL, fetch_id INTEGER NOT NULL REFERENCES fetch,
    g_per_kwh REAL NOT NULL, is_estimated INTEGER NOT NULL,
    PRIMARY KEY (signal_id, zone, start_unix_s, is_forecast, fetch_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE location (
    signal_id INTEGER NOT NULL, region TEXT NOT NULL, located_unix_s INTEGER NOT NULL, zone TEXT NOT NULL,
    PRIMARY KEY (signal_id, region, located_unix_s)
) STRICT, WITHOUT ROWID;
"""
_KEPT = "".join(
    f"CREATE TRIGGER {table}_{verb.lower()} BEFORE {verb} ON {table} "
    f"BEGIN SELECT RAISE(ABORT, 'the grid cache is kept for good'); END;\n"
    for table in ("signal", "fetch", "value", "location")
    for verb in ("UPDATE", "DELETE")
)


class CacheError(Exception):
    """The file of the cache cannot be used."""


class Added(NamedTuple):
    """What a series brought."""

    fetch_id: int
    new: int
    """Values of hours that had none."""
    revised: int
    """Values that differ from the ones held before; those are kept beside them."""


class Rows(NamedTuple):
    """Values by start; where a start occurs again, the later row holds."""

    start_unix_s: Ints
    g_per_kwh: Floats
    is_estimated: Flags
    is_forecast: Flags
    fetch_id: Codes


@dataclass(frozen=True, slots=True)
class Fetch:
    """Where values came from."""

    id: int
    zone: str
    asked_start_unix_s: int
    asked_end_unix_s: int
    fetched_unix_s: int
    period_s: int
    resolution: Resolution
    accounting: Accounting
    source: str
    vintage: str
    notes: tuple[str, ...]
    """Warnings of the feed, and values that were set aside, with the reason."""


class Vintage(NamedTuple):
    """One of the values a feed ever gave for one start."""

    g_per_kwh: float
    is_estimated: bool
    is_forecast: bool
    fetch: Fetch


class Holding(NamedTuple):
    """What a cache holds of one zone of one feed and kind."""

    feed: str
    kind: Kind
    zone: str
    fetches: int
    last_fetched_unix_s: int
    first_unix_s: int | None
    last_unix_s: int | None
    """Start of the last value, measured or forecast; None where the feed gave none."""
    source: str
    vintage: str
    """What the feed said of its data with the latest answer."""
    measured: int
    """Starts with a measured value."""
    forecast: int
    """Starts with a forecast."""
    estimated: int
    """Of `measured`: starts with a value that the feed estimated, in whichever answer."""
    values: int
    """All values, revised ones with those before them."""


class Cache:
    """The file, or memory (":memory:"). Safe to share between threads and, as a file, between processes."""

    def __init__(self, path: Path | str) -> None:
        """Open or make it, readable by its owner only: data of feeds are licensed to whoever fetched them.

        Raises CacheError where it is another file, or of another version.
        """
        self.path = str(path)
        self._lock = threading.RLock()
        try:
            if self.path != ":memory:":
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
            self._db = sqlite3.connect(self.path, timeout=30.0, isolation_level=None, check_same_thread=False)
            finalize(self, self._db.close)
            self._prepare()
        except (OSError, sqlite3.Error) as error:
            raise CacheError(
                f"{self.path}: cannot be used as a grid cache: {error}; "
                "give another path, or put the file back from a copy"
            ) from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def signal(self, feed: str, kind: Kind) -> int:
        """Number of a feed and kind; it is made where it is not there yet."""
        key = (feed, kind.signal, kind.factor_type)
        query = "SELECT id FROM signal WHERE feed = ? AND signal = ? AND factor_type = ?"
        with self._lock:
            found = self._db.execute(query, key).fetchone()
            if found is None:
                insert = "INSERT OR IGNORE INTO signal (feed, signal, factor_type) VALUES (?, ?, ?)"
                self._db.execute(insert, key)
                found = self._db.execute(query, key).fetchone()
            return int(found[0])

    def signals(self) -> list[tuple[int, str, Kind]]:
        """(number, feed, kind) of every signal, in the order in which they came."""
        with self._lock:
            rows = self._db.execute("SELECT id, feed, signal, factor_type FROM signal ORDER BY id").fetchall()
        return [(number, feed, Kind(signal, factor_type)) for number, feed, signal, factor_type in rows]

    def kind(self, signal: int) -> Kind:
        """Kind of every value of a signal."""
        with self._lock:
            row = self._db.execute(
                "SELECT signal, factor_type FROM signal WHERE id = ?", (signal,)
            ).fetchone()
        return Kind(*row)

    def add(self, signal: int, series: Series) -> Added:
        """Keep a series: hours that are new and values that changed; and that the range was asked for.

        Raises MixedKindsError where the series is of another kind than the signal.
        """
        kind = self.kind(signal)
        if series.kind != kind:
            raise MixedKindsError(
                f"a {kind_text(series.kind)} series of {series.source} was to be kept as {kind_text(kind)}; "
                "kinds are never mixed"
            )
        with self._write() as db:
            held = self._held(db, signal, series)
            rows, revised = [], 0
            for start, value, estimated, forecast in zip(
                series.start_unix_s.tolist(),
                series.g_per_kwh.tolist(),
                series.is_estimated.tolist(),
                series.is_forecast.tolist(),
                strict=True,
            ):
                before = held.get((start, int(forecast)))
                if before == (value, int(estimated)):
                    continue
                revised += before is not None
                rows.append((start, int(forecast), value, int(estimated)))
            starts = [row[0] for row in rows]
            fetch_id = db.execute(
                "INSERT INTO fetch (signal_id, zone, asked_start_unix_s, asked_end_unix_s, fetched_unix_s, "
                "period_s, resolution, accounting, source, vintage, notes, first_unix_s, last_unix_s) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    signal,
                    series.zone,
                    series.asked_start_unix_s,
                    series.asked_end_unix_s,
                    series.fetched_unix_s,
                    series.period_s,
                    series.resolution,
                    series.accounting,
                    series.source,
                    series.vintage,
                    json.dumps([*series.warnings, *series.rejected], ensure_ascii=False),
                    min(starts, default=None),
                    max(starts, default=None),
                ),
            ).lastrowid
            db.executemany(
                "INSERT INTO value (signal_id, zone, fetch_id, start_unix_s, is_forecast, g_per_kwh, "
                "is_estimated) VALUES (?, ?, ?, ?, ?, ?, ?)",
                [(signal, series.zone, fetch_id, *row) for row in rows],
            )
        assert fetch_id is not None
        return Added(fetch_id, len(rows) - revised, revised)

    def position(self) -> int:
        """Number of the last fetch: names the present state of the cache."""
        with self._lock:
            return int(self._db.execute("SELECT coalesce(max(id), 0) FROM fetch").fetchone()[0])

    def changes(self, signal: int, after: int, until: int) -> list[tuple[str, int, int]]:
        """(zone, first start, last start) of the values that came after one position until another."""
        query = (
            "SELECT zone, min(first_unix_s), max(last_unix_s) FROM fetch "
            "WHERE signal_id = ? AND id > ? AND id <= ? AND first_unix_s IS NOT NULL GROUP BY zone"
        )
        with self._lock:
            return self._db.execute(query, (signal, after, until)).fetchall()

    def zones(self, signal: int) -> list[str]:
        """Zones that were asked for, by name."""
        query = "SELECT DISTINCT zone FROM fetch WHERE signal_id = ? ORDER BY zone"
        with self._lock:
            return [zone for (zone,) in self._db.execute(query, (signal,))]

    def holdings(self) -> list[Holding]:
        """What is there, a row for each feed, kind and zone."""
        query = (
            "SELECT s.feed, s.signal, s.factor_type, f.zone, count(DISTINCT f.id), max(f.fetched_unix_s), "
            "min(f.first_unix_s), max(f.last_unix_s), max(f.source), "
            "(SELECT vintage FROM fetch v WHERE v.signal_id = f.signal_id AND v.zone = f.zone "
            "ORDER BY v.id DESC LIMIT 1), "
            "(SELECT count(DISTINCT start_unix_s) FROM value v WHERE v.signal_id = f.signal_id "
            "AND v.zone = f.zone AND NOT v.is_forecast), "
            "(SELECT count(DISTINCT start_unix_s) FROM value v WHERE v.signal_id = f.signal_id "
            "AND v.zone = f.zone AND v.is_forecast), "
            "(SELECT count(DISTINCT start_unix_s) FROM value v WHERE v.signal_id = f.signal_id "
            "AND v.zone = f.zone AND NOT v.is_forecast AND v.is_estimated), "
            "(SELECT count(*) FROM value v WHERE v.signal_id = f.signal_id AND v.zone = f.zone) "
            "FROM fetch f JOIN signal s ON s.id = f.signal_id GROUP BY s.id, f.zone ORDER BY s.id, f.zone"
        )
        with self._lock:
            rows = self._db.execute(query).fetchall()
        return [Holding(feed, Kind(signal, factor), *rest) for feed, signal, factor, *rest in rows]

    def size_bytes(self) -> int:
        """Size of the file with what waits in its write-ahead log; 0 in memory."""
        parts = (self.path, f"{self.path}-wal")
        return sum(os.stat(part).st_size for part in parts if os.path.exists(part))

    def extent(self, signal: int, zone: str, position: int) -> tuple[int, int] | None:
        """First and last start of the values of a zone at a position; None where it has none."""
        query = (
            "SELECT min(first_unix_s), max(last_unix_s) FROM fetch "
            "WHERE signal_id = ? AND zone = ? AND id <= ? AND first_unix_s IS NOT NULL"
        )
        with self._lock:
            first, last = self._db.execute(query, (signal, zone, position)).fetchone()
        return None if first is None else (first, last)

    def rows(self, signal: int, zone: str, start_unix_s: int, end_unix_s: int, position: int) -> Rows:
        """Values that start in [start, end) at a position: forecasts first, then by fetch."""
        query = (
            "SELECT start_unix_s, g_per_kwh, is_estimated, is_forecast, fetch_id FROM value "
            "WHERE signal_id = ? AND zone = ? AND start_unix_s >= ? AND start_unix_s < ? AND fetch_id <= ? "
            "ORDER BY is_forecast DESC, fetch_id"
        )
        with self._lock:
            found = self._db.execute(query, (signal, zone, start_unix_s, end_unix_s, position)).fetchall()
        columns: list[tuple[Any, ...]] = list(zip(*found, strict=True)) or [()] * 5
        return Rows(
            np.array(columns[0], dtype=np.int64),
            np.array(columns[1], dtype=np.float64),
            np.array(columns[2], dtype=np.bool_),
            np.array(columns[3], dtype=np.bool_),
            np.array(columns[4], dtype=np.int32),
        )

    def fetch(self, fetch_id: int) -> Fetch:
        """Provenance of a fetch. Raises KeyError for a number that is not there."""
        query = (
            "SELECT id, zone, asked_start_unix_s, asked_end_unix_s, fetched_unix_s, period_s, resolution, "
            "accounting, source, vintage, notes FROM fetch WHERE id = ?"
        )
        with self._lock:
            row = self._db.execute(query, (fetch_id,)).fetchone()
        if row is None:
            raise KeyError(f"the grid cache {self.path} has no fetch {fetch_id}")
        columns: tuple[Any, ...] = (*row[:-1], tuple(json.loads(row[-1])))
        return Fetch(*columns)

    def vintages(self, signal: int, zone: str, start_unix_s: int) -> list[Vintage]:
        """All values ever given for one start, oldest first."""
        query = (
            "SELECT g_per_kwh, is_estimated, is_forecast, fetch_id FROM value "
            "WHERE signal_id = ? AND zone = ? AND start_unix_s = ? ORDER BY fetch_id"
        )
        with self._lock:
            rows = self._db.execute(query, (signal, zone, start_unix_s)).fetchall()
        return [
            Vintage(value, bool(estimated), bool(forecast), self.fetch(fetch_id))
            for value, estimated, forecast, fetch_id in rows
        ]

    def asked(self, signal: int, zone: str, start_unix_s: int, end_unix_s: int) -> list[tuple[int, int, int]]:
        """(start, end, when) of the ranges asked for that touch [start, end)."""
        query = (
            "SELECT asked_start_unix_s, asked_end_unix_s, max(fetched_unix_s) FROM fetch "
            "WHERE signal_id = ? AND zone = ? AND asked_start_unix_s < ? AND asked_end_unix_s > ? "
            "GROUP BY asked_start_unix_s, asked_end_unix_s"
        )
        with self._lock:
            return self._db.execute(query, (signal, zone, end_unix_s, start_unix_s)).fetchall()

    def locate(self, signal: int, region: str, zone: str, now_unix_s: int) -> None:
        """Keep what the feed said of a region."""
        with self._write() as db:
            db.execute(
                "INSERT OR IGNORE INTO location VALUES (?, ?, ?, ?)", (signal, region, now_unix_s, zone)
            )

    def locations(self, signal: int, until_unix_s: int = 2**62) -> dict[str, tuple[str, int]]:
        """The latest (zone, when) of each region that was asked for; zone "" where the feed has none."""
        query = (
            "SELECT region, zone, max(located_unix_s) FROM location "
            "WHERE signal_id = ? AND located_unix_s <= ? GROUP BY region"
        )
        with self._lock:
            found = self._db.execute(query, (signal, until_unix_s)).fetchall()
        return {region: (zone, when) for region, zone, when in found}

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _held(
        self, db: sqlite3.Connection, signal: int, series: Series
    ) -> dict[tuple[int, int], tuple[float, int]]:
        """The values that hold now, of the starts that a series has."""
        if not len(series):
            return {}
        first, last = int(series.start_unix_s.min()), int(series.start_unix_s.max())
        query = (
            "SELECT start_unix_s, is_forecast, g_per_kwh, is_estimated FROM value "
            "WHERE signal_id = ? AND zone = ? AND start_unix_s BETWEEN ? AND ? ORDER BY fetch_id"
        )
        found = db.execute(query, (signal, series.zone, first, last))
        return {(start, forecast): (value, estimated) for start, forecast, value, estimated in found}

    def _prepare(self) -> None:
        db = self._db
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        with self._write():
            version = db.execute("PRAGMA user_version").fetchone()[0]
            application = db.execute("PRAGMA application_id").fetchone()[0]
            is_empty = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0
            if is_empty:
                for statement in _statements(_SCHEMA + _KEPT):
                    db.execute(statement)
                db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
                db.execute(f"PRAGMA user_version = {VERSION}")
            elif application != _APPLICATION_ID:
                raise sqlite3.DatabaseError("it is another SQLite file")
            elif version != VERSION:
                raise sqlite3.DatabaseError(f"it has version {version}, this is for version {VERSION}")


def _statements(script: str) -> Iterator[str]:
    """The statements of a script: `executescript` would end the transaction."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
