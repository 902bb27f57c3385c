"""`Source`: what a footprint is made from: a sealed statement, its seal, its place in the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wattspan.disclosure import canonical
from wattspan.disclosure.book import Book, Published
from wattspan.disclosure.cells import WITHOUT_FIGURE, read_cells
from wattspan.disclosure.folder import AGGREGATES, STATEMENT, FolderError, read_files


@dataclass(frozen=True, slots=True)
class Source:
    """One published disclosure."""

    content: Mapping[str, Any]
    """`disclosure.json`."""
    manifest_sha256: str
    ledger_line: int
    key: str
    """Id of the key that signed."""
    recorded_at: str
    """UTC, ISO 8601 with Z."""
    is_active: bool
    """Neither withdrawn nor replaced."""
    replaces: tuple[str, ...]
    """Ids of the editions of the same period whose place it took, newest first."""
    zones: frozenset[str]
    """Grid zones of the calls with a figure; "" among them where one is unknown."""
    grid_sources: tuple[str, ...]
    """Grid data that were used, such as "Ember 2025"."""

    @property
    def id(self) -> str:
        """issuer / period / feature @ edition."""
        return str(self.content["id"])

    @property
    def columns(self) -> Mapping[str, Any]:
        """The 23 columns."""
        found: Mapping[str, Any] = self.content["columns"]
        return found


def source_of(book: Book, published: Published) -> Source:
    """What the folder of `published` says. Raises FolderError, CanonicalError, CellsError or LedgerError."""
    files = read_files(book.folder(published.id))
    try:
        content = canonical.read(files[STATEMENT], STATEMENT)
        cells = read_cells(files[AGGREGATES], AGGREGATES)
    except KeyError as error:
        raise FolderError(f"{published.id}: {error.args[0]} is missing") from error
    used = [cell for cell in cells if cell.basis not in WITHOUT_FIGURE]
    return Source(
        content=content,
        manifest_sha256=published.manifest_sha256,
        ledger_line=published.entry.seq,
        key=published.entry.key,
        recorded_at=published.entry.recorded_at,
        is_active=published.status == "active",
        replaces=_replaced(book, published),
        zones=frozenset(cell.zone for cell in used),
        grid_sources=tuple(sorted({cell.grid_source for cell in used if cell.grid_source})),
    )


def _replaced(book: Book, published: Published) -> tuple[str, ...]:
    before = {p.replaced_by: p.id for p in book.published() if p.replaced_by}
    chain: list[str] = []
    at = before.get(published.id)
    while at is not None:
        chain.append(at)
        at = before.get(at)
    return tuple(chain)
