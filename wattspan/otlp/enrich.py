"""The one path: bytes to spans, spans to calls, calls to estimates, estimates onto the bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

import numpy as np

from wattspan.calls import CallBatch, Column, EstimateBatch
from wattspan.calls.batch import Flags, Floats, Ints
from wattspan.estimator import Estimator
from wattspan.otlp.attributes import OWN_KEYS, Detail, Profile, as_json, written
from wattspan.otlp.dialects import CALL, DIALECT_KEYS, KindReader, Reading
from wattspan.otlp.earlier import as_first_read, carries_foreign_report, is_there_already, stale
from wattspan.otlp.ignored import ignored
from wattspan.otlp.json_text import JsonText
from wattspan.otlp.owners import OwnerMemory, Ownership, decide
from wattspan.otlp.pieces import MessageProblem, Piece, readable, scanned
from wattspan.otlp.problems import Problem
from wattspan.otlp.templates import Templates
from wattspan.otlp.wire import (
    IMPLEMENTATION,
    OWN_PREFIX,
    Additions,
    AttributeColumn,
    KeySet,
    SpanTable,
    SpanTableBuilder,
    WireError,
    encode_columns,
    splice,
)

if IMPLEMENTATION == "cython":
    from wattspan.otlp.wire._splice import append

KEYS: Final = KeySet(tuple(dict.fromkeys((*DIALECT_KEYS, *OWN_KEYS))))
"""What is scanned for: what the dialects read, and our own keys, to see what is there already."""

JSON_WINDOW_SPANS: Final = 200_000
"""JSON messages with more spans than this are enriched in several windows: Python objects take their room."""

_PREFIXED_KEYS: Final = tuple(key for key in OWN_KEYS if key.startswith(OWN_PREFIX))
_PREFIXED_SET: Final = frozenset(_PREFIXED_KEYS)
_OWN_SET: Final = frozenset(OWN_KEYS)


@dataclass(frozen=True, slots=True, eq=False)
class Enriched:
    """Messages with energy and carbon on their calls, and what was found in them."""

    messages: list[bytes]
    """One for each message given, in order; the same object where nothing changed."""
    table: SpanTable
    reading: Reading
    ownership: Ownership
    owners: Ints
    """Rows of `reading` that own a call, ascending."""
    duplicates: Ints
    """Rows of `reading` that repeat a call another span owns."""
    calls: CallBatch
    """The owned calls, with the facts that their copies added."""
    estimates: EstimateBatch
    """One row for each of `calls`."""
    problems: list[MessageProblem]
    also: list[list[bytes]] = field(default_factory=list)
    """The messages once more under each of the other versions that the enricher writes."""


class _Version:
    """Names and detail of the attributes that are written."""

    def __init__(self, profile: Profile, detail: Detail) -> None:
        self.profile, self.detail = profile, detail
        self.templates = Templates(profile, detail)


class Enricher:
    """Puts energy and carbon on the model calls in OTLP messages.

    One enricher sees one stream of spans: it remembers the calls of recent messages, so that a copy that
    comes later is known as one.
    """

    def __init__(
        self,
        estimator: Estimator,
        *,
        profile: Profile = "genai",
        detail: Detail = "standard",
        memory: OwnerMemory | None = None,
        also: Sequence[tuple[Profile, Detail]] = (),
    ) -> None:
        """`also`: other versions of the attributes, under which protobuf messages are written once more."""
        self.estimator = estimator
        self.profile = profile
        self.detail = detail
        self.memory = OwnerMemory() if memory is None else memory
        self._reader = KindReader()
        self._version = _Version(profile, detail)
        self._also = [_Version(*version) for version in also]

    def protobuf(self, messages: Sequence[bytes], table: SpanTable | None = None) -> Iterator[Enriched]:
        """Enrich protobuf messages (TracesData, ExportTraceServiceRequest); all together form one window.

        Yields one window, or several where the messages are too much for one. Fields that are not valid
        protobuf stay as they are and are reported; the others are enriched. `table`: what `scan_messages`
        made of them with `KEYS`, where somebody has asked already.
        """
        pieces = [Piece(index, message, True) for index, message in enumerate(messages)]
        problems: list[MessageProblem] = []
        try:
            if table is None:
                table = scanned(pieces, KEYS)
        except WireError:
            pieces = [
                piece
                for index, message in enumerate(messages)
                for piece in readable(index, message, problems)
            ]
            yield from self._windows(pieces, 0, len(messages), problems)
        else:
            yield self._protobuf(table, pieces, len(messages), problems)

    def _windows(
        self, pieces: list[Piece], first: int, last: int, problems: list[MessageProblem]
    ) -> Iterator[Enriched]:
        """Messages `first` to `last` - 1 as one window, or as halves where that is more than a scan reads."""
        mine = [p._replace(message=p.message - first) for p in pieces if first <= p.message < last]
        faults = [(at - first, problem) for at, problem in problems if first <= at < last]
        try:
            table = scanned(mine, KEYS)
        except WireError as error:
            if last - first > 1:
                middle = (first + last) // 2
                yield from self._windows(pieces, first, middle, problems)
                yield from self._windows(pieces, middle, last, problems)
                return
            faults.append((0, Problem(error.what, offset=error.offset)))
            mine = [piece._replace(is_good=False) for piece in mine]
            table = scanned(mine, KEYS)
        yield self._protobuf(table, mine, last - first, faults)

    def _protobuf(
        self, table: SpanTable, pieces: list[Piece], n: int, problems: list[MessageProblem]
    ) -> Enriched:
        result = self._estimated(table, problems)
        result.messages.extend(self._messages(result, pieces, n, self._version))
        for version in self._also:
            result.also.append(self._messages(result, pieces, n, version))
        return result

    def _messages(self, found: Enriched, pieces: list[Piece], n: int, version: _Version) -> list[bytes]:
        """The `n` messages of a window under one version of the attributes."""
        table = found.table
        edit = self._appending(found, version) or self._edits(found, version).protobuf
        outputs: list[list[bytes]] = [[] for _ in range(n)]
        first = begin = 0
        for piece in pieces:
            data = piece.data
            if piece.is_good:
                begin += len(data)
                last = table.rows_until(begin)
                try:
                    data = edit(data, first, last)
                except WireError as error:
                    # All was scanned before, so this is the length: 2 GiB with our attributes.
                    found.problems.append((piece.message, Problem(f"not enriched: {error.what}", offset=0)))
                first = last
            outputs[piece.message].append(data)
        return [parts[0] if len(parts) == 1 else b"".join(parts) for parts in outputs]

    def _appending(self, found: Enriched, version: _Version) -> _Edit | None:
        """The usual case: the kernel scanned the spans, and they carry nothing of ours."""
        table = found.table
        if table.scanned is None or table.carries_own:
            return None
        rows = found.reading.rows
        duplicates = found.duplicates
        additions = version.templates.additions(
            found.estimates,
            rows if len(found.owners) == len(rows) else rows[found.owners],
            rows[duplicates] if len(duplicates) else duplicates,
            found.ownership.owner_span_id[duplicates].tolist() if len(duplicates) else [],
            table.n,
        )
        if additions is None:
            return None
        return lambda data, first, last: append(data, additions, first, last - first)

    def json(self, messages: Sequence[bytes]) -> Iterator[Enriched]:
        """Enrich OTLP JSON texts; all together form one window, or several where they have many spans.

        What is not OTLP JSON stays as it is and is reported; spans before the fault are enriched.
        """
        texts: list[JsonText] = []
        builder, n_spans, first = SpanTableBuilder(KEYS), 0, 0
        for index, message in enumerate(messages):
            texts.append(JsonText(message, builder, KEYS.position))
            n_spans += len(texts[-1].spans)
            if n_spans >= JSON_WINDOW_SPANS:
                yield self._json(builder.build(), texts, messages[first : index + 1])
                texts, builder, n_spans, first = [], SpanTableBuilder(KEYS), 0, index + 1
        if texts or not messages:
            yield self._json(builder.build(), texts, messages[first:])

    def _json(self, table: SpanTable, texts: Sequence[JsonText], messages: Sequence[bytes]) -> Enriched:
        faults = [(index, problem) for index, text in enumerate(texts) for problem in text.problems]
        result = self._estimated(table, faults)
        edits = self._edits(result, self._version)
        first = 0
        for text, message in zip(texts, messages, strict=True):
            rows = slice(first, first + len(text.spans))
            result.messages.append(edits.json(text, message, rows))
            first = rows.stop
        return result

    def _estimated(self, table: SpanTable, problems: list[MessageProblem]) -> Enriched:
        reading = self._reader.read(as_first_read(table) if table.carries_own else table)
        ownership = decide(table, reading, self.memory)
        owners = np.flatnonzero(ownership.is_owner)
        if len(owners) == len(reading):
            duplicates, calls = owners[:0], ownership.calls
        else:
            duplicates = np.flatnonzero(~ownership.is_owner & (reading.role == CALL))
            calls = ownership.calls.take(owners)
        problems.extend((-1, problem) for problem in ignored(table, reading))
        return Enriched(
            [], table, reading, ownership, owners, duplicates, calls, self.estimator.estimate(calls), problems
        )

    def _edits(self, found: Enriched, version: _Version) -> _Edits:
        table, reading = found.table, found.reading
        columns = written(
            found.estimates,
            found.ownership.owner_span_id[found.duplicates].tolist(),
            version.profile,
            version.detail,
        )
        rows = np.concatenate([reading.rows[found.owners], reading.rows[found.duplicates]])
        keeps_foreign = carries_foreign_report(table)
        if version.profile != "wattspan":
            # Our figure takes the place of the report that it was made from.
            has_figure = np.isfinite(found.estimates.energy_kwh)
            keeps_foreign[reading.rows[found.owners[has_figure]]] = False
        changed = ~is_there_already(table, rows, columns, keeps_foreign)
        return _Edits(
            table,
            [AttributeColumn(key, _take(values, changed)) for key, values, _ in columns],
            rows[changed],
            stale(table, rows),
            keeps_foreign,
        )


class _Edits:
    """The attributes to add to a window's spans, and those to take out."""

    def __init__(
        self,
        table: SpanTable,
        columns: Sequence[AttributeColumn],
        rows: Ints,
        stale_rows: Ints,
        keeps_foreign: Flags,
    ) -> None:
        self._table = table
        self._columns = columns
        self._rows = rows
        self._keeps_foreign = keeps_foreign
        self._stale = stale_rows
        self._is_edited = np.zeros(table.n, dtype=np.bool_)
        self._is_edited[rows] = True
        self._is_edited[stale_rows] = True

    @cached_property
    def _protobuf(self) -> Additions:
        additions = encode_columns(self._columns, self._rows, self._table.n)
        return replace(additions, edits=self._is_edited)

    @cached_property
    def _json(self) -> list[str | None]:
        additions: list[str | None] = [None] * self._table.n
        for row, text in zip(self._rows.tolist(), as_json(self._columns, len(self._rows)), strict=True):
            additions[row] = text
        for row in self._stale.tolist():
            additions[row] = ""
        return additions

    def protobuf(self, data: bytes, first: int, last: int) -> bytes:
        """`data`, whose spans are rows `first` to `last` - 1 of the table, edited."""
        rows = slice(first, last)
        is_edited = self._is_edited[rows]
        if not is_edited.any():
            return data
        table = replace(self._table, n=rows.stop - rows.start, own_attr=self._table.own_attr[rows])
        offsets = self._protobuf.offsets[rows.start : rows.stop + 1]
        keeps = self._keeps_foreign[rows]
        for keys, chosen in ((OWN_KEYS, is_edited & ~keeps), (_PREFIXED_KEYS, is_edited & keeps)):
            if chosen.any():
                data = splice(data, table, Additions(self._protobuf.blob, offsets, chosen), keys)
        return data

    def json(self, text: JsonText, data: bytes, rows: slice) -> bytes:
        """`text`, read from `data`, whose spans are `rows` of the table, edited."""
        if not self._is_edited[rows].any():
            return data
        keeps, carries = self._keeps_foreign[rows], self._table.own_attr[rows]

        def cut_from(span: int) -> frozenset[str]:
            if not carries[span]:
                return frozenset()
            return _PREFIXED_SET if keeps[span] else _OWN_SET

        return text.spliced(self._json[rows], cut_from)


_Edit = Callable[[bytes, int, int], bytes]
"""Edits a message whose spans are some rows of a table: from the first to before the last."""


def _take(values: object, rows: Flags) -> Column | Floats:
    if isinstance(values, Column):
        return values.take(rows)
    return np.asarray(values, dtype=np.float64)[rows]
