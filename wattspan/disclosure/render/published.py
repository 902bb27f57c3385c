"""Published disclosures as documents, and every rendering there is of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from wattspan.disclosure import canonical
from wattspan.disclosure.book import Book, Published
from wattspan.disclosure.folder import BRIDGE, COMPARATIVE, STATEMENT, FolderError
from wattspan.disclosure.render import csv_file, page, pdf, workbook
from wattspan.disclosure.render.document import Document


class Rendering(NamedTuple):
    """One way to write a disclosure down."""

    written: Callable[[Document], bytes]
    content_type: str


RENDERINGS: Final[Mapping[str, Rendering]] = {
    "xlsx": Rendering(workbook.written, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    "pdf": Rendering(pdf.written, "application/pdf"),
    "csv": Rendering(csv_file.written, "text/csv; charset=utf-8"),
    "html": Rendering(page.written, "text/html; charset=utf-8"),
}


def document_of(book: Book, published: Published) -> Document:
    """A published disclosure as readers meet it. Raises FolderError, CanonicalError."""
    folder = book.folder(published.id)
    try:
        content = canonical.read((folder / STATEMENT).read_bytes(), STATEMENT)
        changed, compared = (
            canonical.read((folder / name).read_bytes(), name) if (folder / name).exists() else None
            for name in (BRIDGE, COMPARATIVE)
        )
    except OSError as error:
        raise FolderError(f"{published.id}: {STATEMENT} cannot be read: {error.strerror}") from error
    if not isinstance(content, dict) or content.get("id") != published.id or "columns" not in content:
        raise FolderError(f"{published.id}: {STATEMENT} is not of it; `wattspan disclosure verify` says more")
    return Document(
        content=content,
        manifest_sha256=published.manifest_sha256,
        ledger_line=published.entry.seq,
        key=published.entry.key,
        published=published.entry.recorded_at,
        status=published.status,
        status_reason=published.reason,
        replaced_by=published.replaced_by,
        bridge=changed,
        comparative=compared,
        notes=tuple(
            f"{note.change_percent} % ({note.reason}), {note.recorded_at[:10]}" for note in published.notes
        ),
    )
