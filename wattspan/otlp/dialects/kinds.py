"""`KindReader`: `read` for spans of kinds that were met before, which is nearly all of them.

What a span says besides numbers, ids and times is the same on thousands of spans. It is read once by the
reader of `reader.py`, and remembered under the bytes that said it; of the next span of that kind only the
numbers are taken. Spans whose numbers are odd, or in places that only the reader knows, are read by it every
time.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final, NamedTuple, cast

import numpy as np

from wattspan.calls import CallBatch, CallKind, Kinds
from wattspan.calls.batch import NUMBERS
from wattspan.otlp.dialects.counts import Problem
from wattspan.otlp.dialects.fit import named_scope
from wattspan.otlp.dialects.reader import Reading, Traits, read, traits
from wattspan.otlp.dialects.roles import AGGREGATE, NO_ROLE
from wattspan.otlp.dialects.table import AGGREGATED, COUNTS, table
from wattspan.otlp.dialects.view import Ints
from wattspan.otlp.wire import INT, STRING, SpanTable
from wattspan.otlp.wire.implementation import IMPLEMENTATION

if IMPLEMENTATION == "cython":
    from wattspan.otlp.wire._kinds import group
    from wattspan.otlp.wire._take import take

MOST_KINDS: Final = 8_192
"""Kinds remembered; twice as many while half of them have not been met for a while."""
MOST_NEW_KINDS: Final = 64
"""New kinds of one table that are remembered: where each span is a kind of its own, the reader is better."""
MOST_SCOPES: Final = 4_096

NOTHING, PLAIN, CAREFUL = 0, 1, 2
"""Of a kind of span: no call; a call whose numbers are whole; one for the reader."""
_BY_TYPE, _BY_TEXT, _BY_TRUTH, _BY_OBJECT = 0, 1, 2, 3


class Kind(NamedTuple):
    """What is known of the spans of one kind."""

    places: bytes
    """Where the numbers are, and all that is a number: `Places` of the kernel."""
    call: CallKind


_TAKEN: Final = (
    "input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens",
    "has_usage", "is_error", "start_unix_ns", "duration_ns", "is_self_hosted",
)  # fmt: skip
"""Columns of calls that `take` gives, after its rows and kinds."""

_NONE: Final = Kind(struct.pack("17i", NOTHING, *[0] * 16), CallKind())
_FOR_THE_READER: Final = Kind(struct.pack("17i", CAREFUL, *[0] * 16), CallKind())


@lru_cache(16)
def _deciding(keys: tuple[str, ...]) -> tuple[bytes, bytes]:
    """For each key, how its value decides a span's kind, and a resource's."""
    rules = table()
    how = dict.fromkeys(keys, _BY_TYPE)
    for embedded in rules.embedded:
        if not embedded.has_numbers:
            how[embedded.key] = _BY_OBJECT
    how.update(dict.fromkeys(rules.fields["streaming"], _BY_TRUTH))
    for field, names in rules.fields.items():
        if field not in ("streaming", "response_id"):
            how.update(dict.fromkeys(names, _BY_TEXT))
    for dialect in rules.dialects:
        how.update(dict.fromkeys(dialect.equals, _BY_TEXT))
    of_resource = [_BY_TEXT if key in rules.resource_fields.values() else _BY_TYPE for key in keys]
    return bytes(how[key] for key in keys), bytes(of_resource)


class KindReader:
    """Reads tables of one stream; remembers the kinds of their spans."""

    def __init__(self) -> None:
        self._young: dict[bytes, Kind] = {}
        self._old: dict[bytes, Kind] = {}
        self._is_named: dict[bytes, bool] = {}

    def read(self, spans: SpanTable) -> Reading:
        """As `read`; a table that the kernel did not scan is read by that."""
        if spans.scanned is None:
            return read(spans)
        deciding, of_resource = _deciding(spans.keyset.keys)
        kind_of_row, contents, examples = group(
            spans.scanned, deciding, of_resource, self._is_named, self._names_decide
        )
        young, old = self._young, self._old
        found = [young.get(content) or old.get(content) for content in contents]
        if None in found:
            self._make(spans, contents, examples, found)
        kinds = cast(list[Kind], found)
        places = [kind.places for kind in kinds]
        columns, used, careful = take(spans.scanned, kind_of_row, places, table().most_tokens)
        plain = _plain(columns, [kinds[place].call for place in used])
        if not careful:
            return plain
        if not len(plain):
            return read(spans)
        return _merged(plain, spans, np.array(careful, dtype=np.int64))

    def _names_decide(self, scope: bytes) -> bool:
        if len(self._is_named) >= MOST_SCOPES:
            self._is_named.clear()
        decide = self._is_named[scope] = named_scope(scope)
        return decide

    def _make(
        self, spans: SpanTable, contents: list[bytes], examples: list[tuple[int, int]], kinds: list[Any]
    ) -> None:
        """Fill in the kinds that are None; `examples`: a row of each kind, and where its values begin."""
        missing = [place for place, kind in enumerate(kinds) if kind is None]
        few = missing[:MOST_NEW_KINDS]
        for place, kind in zip(few, kinds_of(spans, [examples[place] for place in few]), strict=True):
            self._young[contents[place]] = kinds[place] = kind
        for place in missing[MOST_NEW_KINDS:]:
            kinds[place] = _FOR_THE_READER
        if len(self._young) >= MOST_KINDS:
            self._old, self._young = self._young, {}


def kinds_of(spans: SpanTable, examples: list[tuple[int, int]]) -> list[Kind]:
    """The kind of some spans of a table: (row, where its values begin in the value columns)."""
    some = spans.take(np.array([row for row, _ in examples], dtype=np.int64))
    found = traits(some)
    texts = [getattr(found.calls, name).texts() for name in CallKind._fields[:-1]]
    calls = [CallKind(*one) for one in zip(*texts, found.calls.is_self_hosted.tolist(), strict=True)]
    return [
        _kind(_Places(some, row, first), row, found, call)
        for row, ((_, first), call) in enumerate(zip(examples, calls, strict=True))
    ]


def _kind(places: _Places, row: int, found: Traits, call: CallKind) -> Kind:
    role = int(found.role[row])
    if role == NO_ROLE:
        return _NONE
    rules = table()
    if found.reads_objects[row] or found.is_continuation[row] or places.is_odd(role):
        return _FOR_THE_READER
    return Kind(
        struct.pack(
            "17i",
            PLAIN,
            role,
            *(places.of(rules.counts[field], INT) for field in COUNTS),
            places.of(rules.fields["response_id"], STRING),
            int(found.cache_outside[row]),
            int(found.reasoning_outside[row]),
            bool(found.output_is_rest[row]),
            bool(found.is_invented[row]),
            bool(found.calls.is_error[row]),
            call.is_self_hosted,
            bool(found.is_streaming[row]),
            int(found.dialect[row]),
        ),
        call,
    )


class _Places:
    """Which of a span's values are what."""

    def __init__(self, spans: SpanTable, row: int, first: int) -> None:
        index = spans.span_index
        at = index.values[:, row]
        carried = {
            key: int(at[index.line[place]])
            for key, place in spans.keyset.position.items()
            if index.line[place] >= 0
        }
        self._place = {key: place - first for key, place in carried.items() if place >= 0}
        self._type = {key: int(spans.value_type[place]) for key, place in carried.items() if place >= 0}

    def of(self, keys: tuple[str, ...], type: int) -> int:
        """Place of the value of the first of `keys` that is there; -1 if none is, or not of that type."""
        key = next((key for key in keys if key in self._place), None)
        return -1 if key is None or self._type[key] != type else self._place[key]

    def is_odd(self, role: int) -> bool:
        """Whether only the reader takes some of the numbers: parts of counts, energies, texts."""
        rules = table()
        names = [key for parts in rules.parts.values() for keys in parts for key in keys]
        names += [energy.key for energy in rules.energy]
        if role == AGGREGATE:
            names += [key for field in AGGREGATED for key in rules.counts.get(field, ())]
        if any(name in self._place for name in names):
            return True
        first = (next((key for key in rules.counts[field] if key in self._place), None) for field in COUNTS)
        return any(key is not None and self._type[key] != INT for key in first)


def _plain(columns: tuple[Any, ...], kinds: list[CallKind]) -> Reading:
    """The reading of calls of known kinds."""
    rows, of_row, *numbers, role, response_id, is_streaming, dialect, no_energy, never = columns
    made = dict(zip(_TAKEN, numbers, strict=True), reported_energy_kwh=no_energy, is_measured=never)
    calls = CallBatch.of_kinds(Kinds(of_row, kinds), made)
    return Reading(calls, rows, role, response_id, is_streaming, never, dialect, ())


def _merged(plain: Reading, spans: SpanTable, rows: Ints) -> Reading:
    """The reading of a table of which `plain` is a part and the spans `rows` are for the reader."""
    other = read(spans.take(rows))
    if not len(other):
        return replace(plain, problems=_moved(other.problems, rows))
    other_rows = rows[other.rows]
    order = np.argsort(np.concatenate([plain.rows, other_rows]), kind="stable")

    def both(one: Any, two: Any) -> Any:
        return np.concatenate([one, two])[order]

    assert plain.calls.kinds is not None
    texts = [getattr(other.calls, name) for name in CallKind._fields[:-1]]
    mine, theirs = plain.calls.kinds, Kinds.of_columns(texts, other.calls.is_self_hosted)
    kinds = Kinds(both(mine.of_row, theirs.of_row + len(mine.kinds)), [*mine.kinds, *theirs.kinds])
    numbers = {name: both(getattr(plain.calls, name), getattr(other.calls, name)) for name in NUMBERS}
    return Reading(
        calls=CallBatch.of_kinds(kinds, numbers),
        rows=both(plain.rows, other_rows),
        role=both(plain.role, other.role),
        response_id=both(plain.response_id, other.response_id),
        is_streaming=both(plain.is_streaming, other.is_streaming),
        is_continuation=both(plain.is_continuation, other.is_continuation),
        dialect=both(plain.dialect, other.dialect),
        problems=_moved(other.problems, rows),
    )


def _moved(problems: Iterable[Problem], rows: Ints) -> tuple[Problem, ...]:
    """The problems of a part of a table as problems of the table."""
    return tuple(replace(problem, span=int(rows[problem.span])) for problem in problems)
