"""`Catalogue`: the footprints of a book as they are handed out: never changed but for their status.

A disclosure enters when its folder verifies and its footprint breaks no rule. What was handed out once is
kept as it was, so that terms which change later change new footprints alone (PACT 3.0, Footprint lifecycle).
"""

from __future__ import annotations

import json
import math
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from wattspan.disclosure.book import Book, BookError, Published
from wattspan.disclosure.canonical import CanonicalError
from wattspan.disclosure.cells import CellsError
from wattspan.disclosure.folder import FolderError
from wattspan.disclosure.ledger import LedgerError
from wattspan.disclosure.pact.clients import Client
from wattspan.disclosure.pact.criteria import Criteria
from wattspan.disclosure.pact.footprint import footprint
from wattspan.disclosure.pact.grammar import footprint_id
from wattspan.disclosure.pact.rules import faults
from wattspan.disclosure.pact.source import source_of
from wattspan.disclosure.pact.state import State
from wattspan.disclosure.pact.terms import Terms

Announce = Callable[[sqlite3.Connection, Sequence["Entry"]], None]
"""Told of entries that are new or changed, within the transaction that writes them."""
CURSOR: Final = "^[0-9a-f]{24}$"
"""Texts that name a page."""
_CURSOR: Final = re.compile(CURSOR.strip("^$"))
_OF_A_DISCLOSURE: Final = (BookError, CanonicalError, CellsError, FolderError)


AGAIN_S: Final = 30.0
"""How soon a disclosure that could not be handed out is looked at again."""


class CursorError(ValueError):
    """A page that this server never named."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One footprint."""

    seq: int
    """Number in the order in which they came: 1, 2, ..."""
    feature: str
    """As ids of disclosures spell it."""
    body: dict[str, Any]

    @property
    def id(self) -> str:
        """Its UUID."""
        return str(self.body["id"])


@dataclass(frozen=True, slots=True)
class Page:
    """Some of what was asked for, in order."""

    entries: tuple[Entry, ...]
    next_cursor: str | None
    """Names the page after this one; None for the last."""


class Catalogue:
    """The footprints of a book in a state; many threads may ask."""

    def __init__(
        self, book: Book, terms: Terms, state: State, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._book, self._terms, self._state, self._clock = book, terms, state, clock
        self._lock = threading.Lock()
        self._seen: tuple[int, int] | None = None
        self._again_at = math.inf
        self._entries: tuple[Entry, ...] = ()
        self.problems: tuple[str, ...] = ()
        """Why some disclosures are not handed out, a line each."""

    def __len__(self) -> int:
        return len(self._entries)

    def refresh(self, announce: Announce = lambda db, entries: None) -> None:
        """Take in what the ledger has got since the last look. Raises LedgerError where it is not whole."""
        with self._lock:
            stamp = self._stamp()
            if stamp == self._seen and self._clock() < self._again_at:
                return
            self._take_in(announce)
            self._seen = stamp
            # a folder may be mended, which no line of the ledger tells
            self._again_at = self._clock() + AGAIN_S if self.problems else math.inf

    def get(self, footprint_id: str) -> Entry | None:
        """The footprint with an id, in any case; None where there is none."""
        wanted = footprint_id.lower()
        return next((entry for entry in self._entries if entry.id == wanted), None)

    def all_of(self, asked: Criteria, client: Client) -> list[Entry]:
        """Those that are asked for and that `client` may see, in order."""
        return [e for e in self._entries if client.may_see(e.feature) and asked.holds(e.body)]

    def page(self, asked: Criteria, client: Client, limit: int, cursor: str | None) -> Page:
        """At most `limit` of them after `cursor`. Later pages show the catalogue as it was at the first.

        Raises CursorError.
        """
        after, until = (0, self._entries[-1].seq if self._entries else 0) if cursor is None else _read(cursor)
        found = [e for e in self.all_of(asked, client) if after < e.seq <= until]
        entries = tuple(found[:limit])
        return Page(entries, _written(entries[-1].seq, until) if len(found) > limit else None)

    def _take_in(self, announce: Announce) -> None:
        known = {row["disclosure"]: row for row in self._state.rows("SELECT * FROM footprints")}
        problems: list[str] = []
        new: list[tuple[Published, dict[str, Any]]] = []
        changed: list[tuple[str, str]] = []
        in_ledger = self._book.published()
        for published in in_ledger:
            status = "Active" if published.status == "active" else "Deprecated"
            row = known.get(published.id)
            if row is None:
                try:
                    new.append((published, self._made(published)))
                except _OF_A_DISCLOSURE as error:
                    problems.append(f"{published.id} is not handed out: {error}")
            elif row["status"] != status:
                changed.append((status, published.id))
        with self._state.change() as db:
            for published, body in new:
                db.execute(
                    "INSERT INTO footprints (id, disclosure, feature, status, body) VALUES (?, ?, ?, ?, ?)",
                    (
                        footprint_id(published.id),
                        published.id,
                        _feature(published.id),
                        body["status"],
                        json.dumps(body, ensure_ascii=False),
                    ),
                )
            db.executemany("UPDATE footprints SET status = ? WHERE disclosure = ?", changed)
            # what another ledger once had is none of this one's
            ids = {published.id for published in in_ledger}
            rows = db.execute("SELECT * FROM footprints ORDER BY seq").fetchall()
            entries = tuple(_entry(row) for row in rows if row["disclosure"] in ids)
            news = {footprint_id(name) for name in (*(p.id for p, _ in new), *(name for _, name in changed))}
            announce(db, [entry for entry in entries if entry.id in news])
        self._entries, self.problems = entries, tuple(problems)

    def _made(self, published: Published) -> dict[str, Any]:
        if wrong := self._book.verify(published.id):
            raise BookError(wrong[0])
        made = footprint(source_of(self._book, published), self._terms)
        if found := faults(made):
            raise BookError("; ".join(f"{fault.field} {fault.why}" for fault in found))
        return made

    def _stamp(self) -> tuple[int, int] | None:
        try:
            found = self._book.ledger.path.stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise LedgerError(f"{self._book.ledger.path.name} cannot be read: {error.strerror}") from error
        return found.st_mtime_ns, found.st_size


def _feature(disclosure_id: str) -> str:
    return disclosure_id.rpartition("/")[2].rpartition("@")[0]


def _entry(row: sqlite3.Row) -> Entry:
    return Entry(row["seq"], row["feature"], {**json.loads(row["body"]), "status": row["status"]})


def _written(after: int, until: int) -> str:
    return f"{after:012x}{until:012x}"


def _read(cursor: str) -> tuple[int, int]:
    if not _CURSOR.fullmatch(cursor):
        raise CursorError("cursor names no page; take it from a Link header as it stands there")
    return int(cursor[:12], 16), int(cursor[12:], 16)
