"""A book with disclosures of the summary feature, and their footprints."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.disclosure.sealed_rows import NOW, SMALL, cell, sealed, subject
from wattspan.disclosure.book import Book, Published
from wattspan.disclosure.keys import SigningKey
from wattspan.disclosure.pact import Source, Terms, footprint, source_of
from wattspan.disclosure.subject import Change, Period

ENVIRONMENT = "python 3\nwattspan test\n"


class Shelf:
    """A book and the key it is signed with."""

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.book = Book(root / "disclosures")
        self.key = SigningKey.new(root / "key.pem")

    def publish(
        self, number: int = 1, *, at: dt.datetime = NOW, supersedes: str = "", **given: Any
    ) -> Published:
        """Publish an edition; of 100 calls of the big model in Paris unless `rows` says otherwise."""
        rows = given.pop("rows", None) or sealed(
            cell(), cell(model="openai/small", vector=SMALL.id, spread="small")
        )
        return self.book.publish(
            subject(number, **given), rows, self.key, at, environment=ENVIRONMENT, supersedes=supersedes
        )

    def restated(self, old: Published) -> Published:
        """The next edition in the place of a wrong one."""
        change = Change(
            "error-correction", old.id, Decimal("1.5"), old.entry.recorded_at[:10], "wrong region"
        )
        number = int(old.id.rpartition("@")[2]) + 1
        return self.publish(number, change=change, supersedes=old.id)

    def next_quarter(self, old: Published) -> Published:
        """The fourth quarter after the third."""
        change = Change("new-period", old.id, Decimal("1.5"), old.entry.recorded_at[:10])
        return self.publish(period=Period.of("2026Q4"), change=change, at=NOW.replace(year=2027, month=1))

    def source(self, published: Published) -> Source:
        """What its footprint is made from, as the ledger has it today."""
        return source_of(self.book, self.book.get(published.id))


def made(root: Path, **terms: Any) -> dict[str, Any]:
    """The footprint of a first edition."""
    shelf = Shelf(root)
    return footprint(shelf.source(shelf.publish()), Terms(**terms))
