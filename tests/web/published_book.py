"""A book of disclosures as a publisher leaves it: two quarters, one superseded, names that would run."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from tests.disclosure.sealed_rows import CALL, NOW, SMALL, cell, sealed, subject, without_figure
from tests.web.site_thread import EVIL
from wattspan.disclosure.book import Book, Published
from wattspan.disclosure.cells import RequestCount
from wattspan.disclosure.comparison import Previous
from wattspan.disclosure.figure import Sealed
from wattspan.disclosure.folder import TABLES
from wattspan.disclosure.keys import SigningKey
from wattspan.disclosure.prepare import content_of, replacing
from wattspan.disclosure.subject import Change, Feature, Issuer, Period
from wattspan.disclosure.tables import FactorTables
from wattspan.methodology import Edition

DAYS = 30
FIRST = "saas.example/2026Q3/ticket-summary@1"
SECOND = "saas.example/2026Q3/ticket-summary@2"
HOSTILE = "saas.example/2026Q3/hostile@1"


def rows(month: str, calls: int, feature: str = "ticket summary") -> Sealed:
    """Thirty days of `calls` calls to one model, half as many to another, and 3 without usage."""
    cells, counts = [], []
    for number in range(1, DAYS + 1):
        day, n = f"{month}-{number:02}", calls + number % 5
        common = {"day": day, "feature": feature}
        cells.append(cell(n=n, **common))
        # the registry knows this one, and where its size comes from
        cells.append(
            cell(n=n // 2, model="openai/gpt-4o-mini", vector=SMALL.id, spread="small", zone="SE", **common)
        )
        cells.append(without_figure("no_usage", 3, **common))
        counts.append(RequestCount(day, feature, n // 2 * CALL, CALL, n // 2 * CALL))
    return sealed(*cells, requests=counts)


def write_book(folder: Path) -> None:
    key = SigningKey.new(folder.parent / f"{folder.name}.pem")
    book = Book(folder)
    method = replace(subject().method, edition_digest=Edition.load().digest)
    spring = book.publish(
        subject(method=method, period=Period.of("2026Q2")),
        rows("2026-04", 60), key, NOW, environment="python 3.11\n",
    )  # fmt: skip
    change = Change("new-period", spring.id, Decimal("1.7"), NOW.date().isoformat())
    summer = subject(method=method, change=change)
    old, new = rows("2026-07", 80), rows("2026-07", 90)
    first = book.publish(summer, old, key, NOW, environment="python 3.11\n", previous=_previous(book, spring))
    better = replacing(subject(2, method=method), book, first, "estimate-revision", "late calls came in")
    book.publish(
        better, new, key, NOW, environment="python 3.11\n", previous=_previous(book, first),
        extra={TABLES: FactorTables(Edition.load()).of(new)}, supersedes=first.id,
    )  # fmt: skip
    hostile = subject(
        feature=Feature("hostile", EVIL, EVIL, EVIL), issuer=Issuer("saas.example", EVIL), method=method
    )
    book.publish(hostile, rows("2026-07", 50, "hostile"), key, NOW, environment="python 3.11\n")


def _previous(book: Book, published: Published) -> Previous:
    """Of the same methodology: nothing has to be shown under two."""
    content = content_of(book, published)
    return Previous(content.subject, content.sealed, None)
