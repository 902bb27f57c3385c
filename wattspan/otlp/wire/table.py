"""`SpanTable`: the spans of one OTLP request as columns, and the builder that makes one row by row."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from wattspan.otlp.wire.errors import WireError
from wattspan.otlp.wire.keyset import KeySet, is_own_key, key_set
from wattspan.otlp.wire.limits import FAULTS, MOST_CELLS, TOO_MANY_CELLS

NONE: Final = 0
STRING: Final = 1
BOOL: Final = 2
INT: Final = 3
DOUBLE: Final = 4
ARRAY: Final = 5
KVLIST: Final = 6
BYTES: Final = 7
"""Types of an attribute value, as `value_type` has them: the numbers are OTLP's fields of AnyValue."""

Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Small = npt.NDArray[np.int8]
Bytes = npt.NDArray[np.uint8]
SpanIds = npt.NDArray[np.uint64]
Rows = Ints | Flags | slice
"""Some of the rows of a table: indices, a mask, or a slice."""

ALL_ROWS: Final = slice(None)

Attribute = tuple[str, int, object]
"""One attribute for the builder: key, type (STRING, INT, ...) and value: str or bytes, bool, int, float; None
for the types whose value is not kept (ARRAY, KVLIST, BYTES, NONE)."""


class Numbers(NamedTuple):
    """Numbers read from attributes, one a row."""

    values: Floats
    """The number; 0 where there is none."""
    present: Flags
    """There was an acceptable number."""
    rejected: Flags
    """A key was there but held no acceptable number (text, NaN, negative, absurd)."""


@dataclass(frozen=True, slots=True, eq=False)
class AttributeIndex:
    """Where the values of attributes are, for the rows of one kind (spans, scopes or resources).

    Only keys that at least one row carries have a line in `values`: most batches carry a few of the many keys
    that all dialects together ask for.
    """

    line: Codes
    """int32[number of keys]: the key's line in `values`, -1 where no row carries the key."""
    values: Codes
    """int32[lines, rows]: index of the key's last value on that row in the table's value columns, or -1."""

    def of(self, position: int) -> Codes | None:
        """int32[rows] of the key at `position` in the key set; None where no row carries it."""
        line = int(self.line[position])
        return None if line < 0 else self.values[line]


class _Scanned:
    """What a table has beside its columns."""

    __slots__ = ("scanned",)

    scanned: Any
    """What the kernel's scan left in memory, where the table shows that and nothing else; None otherwise."""

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            # A slot that is empty: of a column that the kernel has not been asked for, or of no kernel.
            if name == "scanned":
                return None
            if self.scanned is None or name not in SpanTable.__slots__:
                raise AttributeError(f"a span table has no {name!r}")
            self.scanned.fill(self, name)
            return object.__getattribute__(self, name)


@dataclass(frozen=True, slots=True, eq=False)
class SpanTable(_Scanned):
    """The spans of one request, one row a span in wire order, and the values of the keys asked for.

    A table that the kernel scanned has its columns made when one is first asked for: spans of known kinds
    (`dialects.kinds`) are enriched without most of them, and making them took longer than the scan.
    """

    n: int
    """Number of spans."""
    keyset: KeySet
    """The keys that were asked for."""
    start: Ints
    """Offset of the first byte of the Span message's body; -1 where the input was not protobuf."""
    end: Ints
    """Offset after the last byte of the body; -1 where the input was not protobuf."""
    resource: Codes
    """Index of the span's resource."""
    scope: Codes
    """Index of the span's scope."""
    trace_id: Bytes
    """uint8[n, 16]; zeros where the id has another length than 16 bytes."""
    span_id: SpanIds
    """Big-endian value of the 8 bytes; 0 = none, or another length."""
    parent_span_id: SpanIds
    """Big-endian value of the 8 bytes; 0 = none, or another length."""
    start_unix_ns: Ints
    """Nanoseconds since 1970 UTC; 0 = unknown, or beyond int64."""
    end_unix_ns: Ints
    """Nanoseconds since 1970 UTC; 0 = unknown, or beyond int64."""
    kind: Small
    """SpanKind; 0 = unspecified, or no value that fits int8."""
    status: Small
    """Status code: 0 unset, 1 ok, 2 error; 0 too where the value does not fit int8."""
    name_code: Codes
    """Text code of the span's name."""
    trace_state_code: Codes
    """Text code of the span's W3C tracestate, 0 where it has none."""
    own_attr: Flags
    """The span carries a key of ours (`keyset.is_own_key`)."""
    span_index: AttributeIndex
    """Attributes of spans."""
    resource_index: AttributeIndex
    """Attributes of resources."""
    scope_index: AttributeIndex
    """Attributes of scopes."""
    value_type: Small
    """int8[m]: NONE, STRING, BOOL, INT, DOUBLE, ARRAY, KVLIST or BYTES."""
    value_int: Ints
    """int64[m]: the value of BOOL (0, 1) and INT; 0 otherwise."""
    value_double: Floats
    """float64[m]: the value of DOUBLE, and of INT as a double; 0 otherwise."""
    value_text: Codes
    """int32[m]: text code of STRING; -1 otherwise."""
    texts: Sequence[bytes]
    """Each distinct text once, as it came (UTF-8 if the sender kept the rules); the first is empty."""
    resource_of_scope: Codes
    """int32[n_scopes]: index of the scope's resource."""
    scope_name_code: Codes
    """int32[n_scopes]: text code of the scope's name."""
    scope_version_code: Codes
    """int32[n_scopes]: text code of the scope's version."""

    def __len__(self) -> int:
        return self.n

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that were asked for, in order."""
        return self.keyset.keys

    @property
    def carries_own(self) -> bool:
        """Whether a span carries a key of ours (`keyset.is_own_key`)."""
        return bool(self.own_attr.any() if self.scanned is None else self.scanned.carries_own)

    def rows_until(self, offset: int) -> int:
        """How many spans end at or before `offset` in the bytes that were scanned."""
        if self.scanned is not None:
            return int(self.scanned.rows_until(offset))
        return int(np.searchsorted(self.end, offset, side="right"))

    @property
    def n_resources(self) -> int:
        """Number of resources (ResourceSpans messages)."""
        return int(self.resource_index.values.shape[1])

    @property
    def n_scopes(self) -> int:
        """Number of scopes (ScopeSpans messages)."""
        return len(self.resource_of_scope)

    def text(self, code: int) -> str:
        """The text of a code, "" for -1; bytes that are not UTF-8 become U+FFFD."""
        return "" if code <= 0 else self.texts[code].decode("utf-8", "replace")

    def take(self, rows: Ints) -> SpanTable:
        """The table of some of the spans, with all resources, scopes and values."""
        index = self.span_index
        columns = {name: getattr(self, name)[rows] for name in _SPAN_COLUMNS}
        return replace(
            self, n=len(rows), span_index=AttributeIndex(index.line, index.values[:, rows]), **columns
        )

    def first(self, keys: Sequence[str], rows: Rows = ALL_ROWS) -> Codes:
        """Value index of the first of `keys` (in priority order) that each of the span `rows` carries, or -1.

        KeyError for a key that was not asked for.
        """
        found: Codes | None = None
        for key in keys:
            line = self.span_index.of(self.keyset.position[key])
            if line is not None:
                taken = line[rows]
                found = taken if found is None else np.where(found >= 0, found, taken)
        return np.full(len(self.resource[rows]), -1, dtype=np.int32) if found is None else found

    def codes(self, keys: Sequence[str], rows: Rows = ALL_ROWS) -> Codes:
        """Text code of the first of `keys` with a text that is not empty, or -1; one a span of `rows`."""
        return self._codes(self.span_index, keys, rows, len(self.resource[rows]))

    def resource_codes(self, keys: Sequence[str], rows: Rows = ALL_ROWS) -> Codes:
        """As `codes`, from the resource of each of the span `rows`."""
        resources = self.resource[rows]
        return self._codes(self.resource_index, keys, resources, len(resources))

    def _codes(self, index: AttributeIndex, keys: Sequence[str], rows: Rows | Codes, size: int) -> Codes:
        found = np.full(size, -1, dtype=np.int32)
        for key in keys:
            line = index.of(self.keyset.position[key])
            if line is None:
                continue
            at = line[rows]
            code = self.value_text[at]
            found = np.where((found < 0) & (at >= 0) & (code > 0), code, found)
        return found

    def numbers(
        self, keys: Sequence[str], rows: Rows = ALL_ROWS, least: float = 0.0, most: float = math.inf
    ) -> Numbers:
        """The first of `keys` that holds a number in [least, most], for each of the span `rows`.

        Integers, doubles and texts that are numbers ("318", "0.25") count; NaN, infinities, truth values,
        other texts and numbers outside the range are rejected, and the next key is tried.
        """
        size = len(self.resource[rows])
        values = np.zeros(size)
        present = np.zeros(size, dtype=np.bool_)
        rejected = np.zeros(size, dtype=np.bool_)
        for key in keys:
            line = self.span_index.of(self.keyset.position[key])
            if line is None:
                continue
            at = line[rows]
            carried = at >= 0
            number = np.where(carried, self.value_double[at], np.nan)
            kind = self.value_type[at]
            textual = np.flatnonzero(carried & (kind == STRING))
            if len(textual):
                number[textual] = self._parsed(self.value_text[at[textual]])
            number[carried & (kind != INT) & (kind != DOUBLE) & (kind != STRING)] = np.nan
            good = (number >= least) & (number <= most) & np.isfinite(number)
            rejected |= carried & ~good
            good &= ~present
            values[good] = number[good]
            present |= good
        return Numbers(values, present, rejected & ~present)

    def _parsed(self, codes: Codes) -> Floats:
        """float64 of texts that are decimal numbers, NaN for others; each distinct text is read once."""
        distinct, place = np.unique(codes, return_inverse=True)
        read = np.array([_decimal(self.texts[code]) for code in distinct.tolist()], dtype=np.float64)
        return read[place]


_SPAN_COLUMNS: Final = (
    "start", "end", "resource", "scope", "trace_id", "span_id", "parent_span_id", "start_unix_ns",
    "end_unix_ns", "kind", "status", "name_code", "trace_state_code", "own_attr",
)  # fmt: skip


def _decimal(text: bytes) -> float:
    # Python reads more than a sender can have meant: "1_000", "nan", "infinity", digits of other scripts.
    if len(text) > 40 or not text.isascii() or b"_" in text:
        return math.nan
    try:
        return float(text)
    except ValueError:
        return math.nan


class SpanTableBuilder:
    """Makes a `SpanTable` row by row: for JSON input, and for the fallback of the kernel.

    Scopes belong to the resource opened last, spans to the scope opened last.
    """

    def __init__(self, keys: KeySet | Sequence[str]) -> None:
        self._keyset = key_set(keys)
        self._text_code: dict[bytes, int] = {b"": 0}
        self._values: list[tuple[int, int, float, int]] = []
        self._cells: tuple[list[_Cell], list[_Cell], list[_Cell]] = ([], [], [])
        self._resources = 0
        self._scopes: list[tuple[int, int, int]] = []
        self._spans: list[tuple[int, int, int, int, int, int, int, int, int, int, int, int, bool]] = []
        self._trace_ids: list[bytes] = []

    def resource(self, attributes: Iterable[Attribute] = ()) -> int:
        """Open a resource; returns its index."""
        self._resources += 1
        self._add(_RESOURCE, self._resources - 1, attributes)
        return self._resources - 1

    def scope(
        self, name: str | bytes = "", version: str | bytes = "", attributes: Iterable[Attribute] = ()
    ) -> int:
        """Open a scope under the resource opened last; returns its index."""
        self._scopes.append((self._resources - 1, self._code(name), self._code(version)))
        self._add(_SCOPE, len(self._scopes) - 1, attributes)
        return len(self._scopes) - 1

    def span(
        self,
        *,
        trace_id: bytes = b"",
        span_id: bytes = b"",
        parent_span_id: bytes = b"",
        start_unix_ns: int = 0,
        end_unix_ns: int = 0,
        kind: int = 0,
        status: int = 0,
        name: str | bytes = "",
        trace_state: str | bytes = "",
        attributes: Iterable[Attribute] = (),
        start: int = -1,
        end: int = -1,
    ) -> int:
        """Add a span to the scope opened last; returns its row. Ids of a wrong length count as none."""
        row = len(self._spans)
        is_own = self._add(_SPAN, row, attributes)
        self._trace_ids.append(trace_id if len(trace_id) == 16 else bytes(16))
        self._spans.append(
            (
                start,
                end,
                self._resources - 1,
                len(self._scopes) - 1,
                _id64(span_id),
                _id64(parent_span_id),
                start_unix_ns if 0 <= start_unix_ns <= _INT64_MAX else 0,
                end_unix_ns if 0 <= end_unix_ns <= _INT64_MAX else 0,
                kind if 0 <= kind <= 127 else 0,
                status if 0 <= status <= 127 else 0,
                self._code(name),
                self._code(trace_state),
                is_own,
            )
        )
        return row

    def build(self) -> SpanTable:
        """The table of all that was added."""
        spans = list(zip(*self._spans, strict=True)) if self._spans else [()] * 13
        scopes = list(zip(*self._scopes, strict=True)) if self._scopes else [()] * 3
        values = list(zip(*self._values, strict=True)) if self._values else [()] * 4
        return SpanTable(
            n=len(self._spans),
            keyset=self._keyset,
            start=np.array(spans[0], dtype=np.int64),
            end=np.array(spans[1], dtype=np.int64),
            resource=np.array(spans[2], dtype=np.int32),
            scope=np.array(spans[3], dtype=np.int32),
            trace_id=np.frombuffer(b"".join(self._trace_ids), dtype=np.uint8).reshape(-1, 16),
            span_id=np.array(spans[4], dtype=np.uint64),
            parent_span_id=np.array(spans[5], dtype=np.uint64),
            start_unix_ns=np.array(spans[6], dtype=np.int64),
            end_unix_ns=np.array(spans[7], dtype=np.int64),
            kind=np.array(spans[8], dtype=np.int8),
            status=np.array(spans[9], dtype=np.int8),
            name_code=np.array(spans[10], dtype=np.int32),
            trace_state_code=np.array(spans[11], dtype=np.int32),
            own_attr=np.array(spans[12], dtype=np.bool_),
            span_index=self._index(_SPAN, len(self._spans)),
            resource_index=self._index(_RESOURCE, self._resources),
            scope_index=self._index(_SCOPE, len(self._scopes)),
            value_type=np.array(values[0], dtype=np.int8),
            value_int=np.array(values[1], dtype=np.int64),
            value_double=np.array(values[2], dtype=np.float64),
            value_text=np.array(values[3], dtype=np.int32),
            texts=list(self._text_code),
            resource_of_scope=np.array(scopes[0], dtype=np.int32),
            scope_name_code=np.array(scopes[1], dtype=np.int32),
            scope_version_code=np.array(scopes[2], dtype=np.int32),
        )

    def _code(self, text: str | bytes) -> int:
        raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
        return self._text_code.setdefault(raw, len(self._text_code))

    def _add(self, level: int, row: int, attributes: Iterable[Attribute]) -> bool:
        is_own = False
        for key, kind, value in attributes:
            is_own = is_own or is_own_key(key)
            position = self._keyset.position.get(key)
            if position is None:
                continue
            self._cells[level].append((position, row, len(self._values)))
            self._values.append(self._value(kind, value))
        return is_own

    def _value(self, kind: int, value: object) -> tuple[int, int, float, int]:
        match kind, value:
            case (1, str() | bytes()):
                return STRING, 0, 0.0, self._code(value)
            case (2 | 3, int()) if -_INT64_MAX - 1 <= value <= _INT64_MAX:
                return kind, int(value), float(value) if kind == INT else 0.0, -1
            case (4, float() | int()):
                return DOUBLE, 0, float(value), -1
            case (0 | 5 | 6 | 7, _):
                return kind, 0, 0.0, -1
        raise ValueError(f"an attribute of type {kind} cannot hold {value!r}")

    def _index(self, level: int, rows: int) -> AttributeIndex:
        line = np.full(len(self._keyset), -1, dtype=np.int32)
        carried = sorted({position for position, _, _ in self._cells[level]})
        line[carried] = np.arange(len(carried), dtype=np.int32)
        if len(carried) * rows > MOST_CELLS:
            raise WireError(0, FAULTS[TOO_MANY_CELLS])
        values = np.full((len(carried), rows), -1, dtype=np.int32)
        for position, row, value in self._cells[level]:
            values[line[position], row] = value
        return AttributeIndex(line, values)


_Cell = tuple[int, int, int]
_SPAN, _RESOURCE, _SCOPE = 0, 1, 2
_INT64_MAX = 2**63 - 1


def _id64(raw: bytes) -> int:
    return int.from_bytes(raw, "big") if len(raw) == 8 else 0
