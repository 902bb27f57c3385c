"""`Fits`: which spans of a table fit which rows of the dialect table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache, partial

import numpy as np

from wattspan.otlp.dialects.names import LONGEST_NAME_BYTES
from wattspan.otlp.dialects.table import Dialect, table
from wattspan.otlp.dialects.view import Codes, Flags, View
from wattspan.otlp.wire import SpanTable


@dataclass(frozen=True, slots=True, eq=False)
class _OfScope:
    """The dialects whose scope patterns fit one scope name."""

    rows: tuple[Dialect, ...]
    ids: frozenset[str]
    first: int
    """Index of the first one that the scope alone decides, or -1."""


@lru_cache(1024)
def _of_scope(name: bytes) -> _OfScope:
    text = name[:LONGEST_NAME_BYTES].decode("utf-8", "replace")
    indices = [index for index, dialect in enumerate(table().dialects) if dialect.fits_scope(text)]
    rows = tuple(table().dialects[index] for index in indices)
    own = [index for index in indices if not table().dialects[index].is_conditional]
    return _OfScope(rows, frozenset(row.id for row in rows), own[0] if own else -1)


class Fits:
    """The dialects of a table's scopes."""

    def __init__(self, spans: SpanTable) -> None:
        self._scope = spans.scope
        self._name_code = spans.name_code
        codes = spans.scope_name_code.tolist()
        self._of_scope = [_of_scope(spans.texts[code] if code >= 0 else b"") for code in codes]
        self.dialects = {dialect.id: dialect for fits in set(self._of_scope) for dialect in fits.rows}
        """The dialects that fit at least one scope, by id."""

    def mask(self, view: View, has: Callable[[Dialect], bool]) -> Flags | None:
        """The spans of `view` that fit a dialect with the property; None where no span does."""
        found: Flags | None = None
        for dialect in self.dialects.values():
            if has(dialect) and (mask := self.of(view, dialect)) is not None:
                found = mask if found is None else found | mask
        return found

    def of(self, view: View, dialect: Dialect) -> Flags | None:
        """The spans of `view` that fit `dialect`; None where no span does."""
        carried = [place for key in dialect.carries if (place := view.place(key)) >= 0]
        if dialect.carries and not carried:
            return None
        of_scope = np.array([dialect.id in fits.ids for fits in self._of_scope])
        fit: Flags = of_scope[self._scope[view.rows]]
        if dialect.carries:
            fit &= view.has_any(carried)
        for key in dialect.lacks:
            has = view.has(key)
            if has is not None:
                fit &= ~has
        for key, patterns in dialect.equals.items():
            place = view.place(key)
            if place < 0:
                return None
            fit &= view.lut(view.codes(view.at(place)), partial(matches, patterns=patterns)) > 0
        if dialect.named:
            fit &= view.lut(self._name_code[view.rows], partial(matches, patterns=dialect.named)) > 0
        if dialect.streaming is not None:
            fit &= view.truths("streaming") == dialect.streaming
        return fit if fit.any() else None

    def first(self, view: View) -> Codes:
        """int32[n]: index of each span's dialect in the table, -1 where no row is for its scope."""
        first = np.array([fits.first for fits in self._of_scope] or [-1], dtype=np.int32)
        dialects: Codes = first[self._scope[view.rows]]
        return dialects


def named_scope(scope: bytes) -> bool:
    """Whether a dialect of this scope name looks at the names of its spans."""
    return any(dialect.named or dialect.names for dialect in _of_scope(scope).rows)


def matches(text: bytes, patterns: Sequence[str]) -> bool:
    """Whether `text`, in lower case, matches one of the patterns."""
    word = text[:LONGEST_NAME_BYTES].decode("utf-8", "replace").strip().lower()
    return any(fnmatchcase(word, pattern) for pattern in patterns)
