"""`View`: some spans of a table, and the dialect keys that at least one span of the table carries."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from wattspan.otlp.dialects.names import LONGEST_NAME_BYTES
from wattspan.otlp.dialects.table import table
from wattspan.otlp.wire import BOOL, DOUBLE, INT, STRING, SpanTable

Codes = npt.NDArray[np.int32]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

_NOT_TRUE: Final = frozenset((b"", b"false", b"0", b"none", b"null"))


@lru_cache(16)
def _fields_of_position(keys: tuple[str, ...]) -> Mapping[int, tuple[tuple[str, int], ...]]:
    """For each position in `keys`, the fields that read the key and its priority in each."""
    position = {key: place for place, key in enumerate(keys)}
    found: dict[int, list[tuple[str, int]]] = {}

    def add(field: str, names: tuple[str, ...]) -> None:
        for priority, key in enumerate(names):
            found.setdefault(position[key], []).append((field, priority))

    rules = table()
    for field, names in (*rules.fields.items(), *rules.counts.items()):
        add(field, names)
    for count, parts in rules.parts.items():
        for part, names in enumerate(parts):
            add(f"{count}/{part}", names)
    add("energy", tuple(energy.key for energy in rules.energy))
    add("embedded", tuple(embedded.key for embedded in rules.embedded))
    return {place: tuple(fields) for place, fields in found.items()}


@lru_cache(256)
def _carried(keys: tuple[str, ...], carried: bytes) -> Mapping[str, tuple[int, ...]]:
    """For each field the positions of its keys, in priority order; of those keys for which `carried` has a
    1."""
    fields = _fields_of_position(keys)
    ranked: dict[str, list[tuple[int, int]]] = {}
    for place in np.frombuffer(carried, dtype=np.bool_).nonzero()[0].tolist():
        for field, priority in fields.get(place, ()):
            ranked.setdefault(field, []).append((priority, place))
    return {field: tuple(place for _, place in sorted(places)) for field, places in ranked.items()}


class View:
    """The spans `rows` of a table, one line a span; texts are named by their codes, -1 = none."""

    __slots__ = ("_lines", "_text_at", "_values", "carried", "n", "rows", "spans", "text_count")

    def __init__(self, spans: SpanTable, rows: Ints | slice = slice(None)) -> None:
        self.spans = spans
        self.rows = rows
        self.n = spans.n if isinstance(rows, slice) else len(rows)
        self.text_count = len(spans.texts)
        self._lines = spans.span_index.line
        self._values = spans.span_index.values
        # Where a span lacks a key its place is -1: there, at the end, is the code for no text.
        self._text_at = np.append(spans.value_text, np.int32(-1))
        carried = (self._lines >= 0).tobytes()
        self.carried: Mapping[str, tuple[int, ...]] = _carried(spans.keyset.keys, carried)
        """For each field, the positions of its keys that some span carries, in priority order."""

    def of(self, rows: Ints) -> View:
        """The view of other spans of the same table."""
        other = View.__new__(View)
        other.spans, other.rows, other.n = self.spans, rows, len(rows)
        other.text_count, other._lines, other._values = self.text_count, self._lines, self._values
        other._text_at, other.carried = self._text_at, self.carried
        return other

    def key(self, place: int) -> str:
        """The key at a position."""
        return self.spans.keyset.keys[place]

    def place(self, key: str) -> int:
        """The position of a key, -1 where no span carries it."""
        place = self.spans.keyset.position[key]
        return place if self._lines[place] >= 0 else -1

    def at(self, place: int) -> Codes:
        """int32[n]: where the key's value is in the table's value columns, or -1."""
        line: Codes = self._values[self._lines[place]][self.rows]
        return line

    def has(self, key: str) -> Flags | None:
        """Whether each span carries `key`; None where none does."""
        place = self.place(key)
        return None if place < 0 else self.at(place) >= 0

    def has_any(self, places: Sequence[int]) -> Flags:
        """Whether each span carries at least one of the keys at `places`."""
        if not places:
            return np.zeros(self.n, dtype=np.bool_)
        lines = self._values[self._lines[list(places)]]
        found: Flags = np.asarray((lines >= 0).any(axis=0))[self.rows]
        return found

    def first(self, field: str) -> Codes | None:
        """int32[n]: where the value of the first key of `field` that each span has is, or -1."""
        places = self.carried.get(field)
        if not places:
            return None
        at = self.at(places[0])
        for place in places[1:]:
            at = np.where(at >= 0, at, self.at(place))
        return at

    def codes(self, at: Codes) -> Codes:
        """Text codes of the values at `at`; -1 where the value is no text."""
        codes: Codes = self._text_at[at]
        return codes

    def distinct(self, codes: Codes) -> list[int]:
        """The codes that occur, without -1, in ascending order."""
        seen = np.zeros(self.text_count + 1, dtype=np.bool_)
        seen[codes] = True
        seen[self.text_count] = False
        return seen.nonzero()[0].tolist()

    def lut(self, codes: Codes, answer: Callable[[bytes], int]) -> Codes:
        """`answer` of the text of each code, 0 for -1; asked once a distinct text."""
        answers = np.zeros(self.text_count + 1, dtype=np.int32)
        texts = self.spans.texts
        for code in self.distinct(codes):
            answers[code] = answer(texts[code])
        answered: Codes = answers[codes]
        return answered

    def names(self, field: str, spelled: Callable[[str, str], str]) -> tuple[Codes, list[str]]:
        """The first text of `field` to which `spelled(text, key)` gives a name: codes into the list of names.

        `names[0]` is "". Texts longer than LONGEST_NAME_BYTES are no names.
        """
        index: dict[str, int] = {"": 0}
        chosen: Codes | None = None
        for place in self.carried.get(field, ()):
            key = self.key(place)

            def answer(text: bytes, key: str = key) -> int:
                if len(text) > LONGEST_NAME_BYTES:
                    return 0
                return index.setdefault(spelled(text.decode("utf-8", "replace"), key), len(index))

            found = self.lut(self.codes(self.at(place)), answer)
            chosen = found if chosen is None else np.where(chosen > 0, chosen, found)
            if chosen.all():
                break
        return (np.zeros(self.n, dtype=np.int32) if chosen is None else chosen), list(index)

    def truths(self, field: str) -> Flags:
        """Whether the first key of `field` says yes: true, a number that is not 0, a text but "false" and its
        like."""
        at = self.first(field)
        if at is None:
            return np.zeros(self.n, dtype=np.bool_)
        kind = self.spans.value_type[at]
        yes = (kind == DOUBLE) | (((kind == BOOL) | (kind == INT)) & (self.spans.value_int[at] != 0))
        if (kind == STRING).any():
            said = self.lut(self.codes(at), lambda text: text.lower() not in _NOT_TRUE)
            yes = np.where(kind == STRING, said > 0, yes)
        truths: Flags = yes & (at >= 0)
        return truths
