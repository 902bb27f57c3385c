"""`pact.json`: a published disclosure's footprint as a file."""

from __future__ import annotations

import json

from wattspan.disclosure.book import Book, Published
from wattspan.disclosure.pact.footprint import footprint
from wattspan.disclosure.pact.rules import Fault, faults
from wattspan.disclosure.pact.source import source_of
from wattspan.disclosure.pact.terms import Terms


class PactError(ValueError):
    """A footprint would break PACT's rules, or ours: each field and what is wrong with it."""

    def __init__(self, name: str, found: list[Fault]) -> None:
        self.faults = found
        super().__init__("\n".join(f"{name}: {fault.field} {fault.why}" for fault in found))


def written(book: Book, published: Published, terms: Terms) -> bytes:
    """The bytes of pact.json. Raises PactError, and what `source_of` does."""
    made = footprint(source_of(book, published), terms)
    if found := faults(made):
        raise PactError(published.id, found)
    return json.dumps(made, indent=2, ensure_ascii=False).encode() + b"\n"
