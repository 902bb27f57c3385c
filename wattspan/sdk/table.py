"""`SpanReader`: ended spans of the SDK as the `SpanTable` that the dialects read.

The same table as `SpanTableBuilder` makes row by row, made by column: spans of one instrumentation carry
the same keys in the same order, so that a few dozen distinct key lists describe a batch, and the values of
each go through operations that take a whole column.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import repeat
from operator import attrgetter, itemgetter
from typing import Any, Final, NamedTuple

import numpy as np
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanKind, StatusCode

from wattspan.calls.batch import Codes, Flags
from wattspan.otlp.wire import (
    ARRAY,
    BOOL,
    BYTES,
    DOUBLE,
    IMPLEMENTATION,
    INT,
    KVLIST,
    NONE,
    STRING,
    AttributeIndex,
    KeySet,
    SpanTable,
    is_own_key,
)

if IMPLEMENTATION == "cython":
    from wattspan.sdk._spans import scan_spans

MOST_SHAPES: Final = 4096
"""Distinct lists of keys remembered; an application that invents keys starts the store afresh."""

_KINDS: Final = {id(kind): kind.value + 1 for kind in SpanKind}
_UNSET, _ERROR = StatusCode.UNSET, StatusCode.ERROR
_KEPT: Final = {str: STRING, bool: BOOL, int: INT, float: DOUBLE}
_INT64_MAX: Final = 2**63 - 1

_FIELDS: Final = attrgetter(
    "name", "attributes", "resource", "instrumentation_scope", "kind", "status.status_code", "start_time",
    "end_time", "context", "parent",
)  # fmt: skip
_INNER_FIELDS: Final = attrgetter(
    "_name", "_attributes", "_resource", "_instrumentation_scope", "_kind", "_status._status_code",
    "_start_time", "_end_time", "_context", "_parent",
)  # fmt: skip
"""The same of spans as the SDK makes them: each of the others is a call of Python."""

_TRACE_ID, _SPAN_ID, _TRACE_STATE = 0, 1, 4
"""Places in a SpanContext, which is a tuple."""

Attributes = dict[str, Any]


class Taken(NamedTuple):
    """Spans as a table."""

    table: SpanTable
    rows: list[int]
    """For each row of the table, the span's index in what was given."""
    attributes: list[Attributes]
    """For each row, a copy of the span's attributes."""
    unreadable: list[tuple[int, Exception]]
    """Spans that are not in the table, and why."""


class _Shape(NamedTuple):
    positions: tuple[int, ...]
    """Positions in the key set of those keys that were asked for."""
    values: Callable[[Attributes], tuple[Any, ...]]
    """Their values, in the same order."""
    is_own: bool


class SpanReader:
    """Makes tables with the keys of `keyset`."""

    def __init__(self, keyset: KeySet) -> None:
        self._keyset = keyset
        self._shapes: dict[tuple[str, ...], _Shape] = {}

    def read(self, spans: Sequence[ReadableSpan]) -> Taken:
        """The table of `spans`, in their order. A span that cannot be read is left out and named."""
        if IMPLEMENTATION == "cython":
            try:
                table, copies = scan_spans(spans, self._keyset, _copied, _KINDS)
                return Taken(table, list(range(len(copies))), copies, [])
            except Exception:
                pass  # there is something odd among the spans: they are for the reader in Python
        try:
            return Taken(*self._read(spans), [])
        except Exception:
            # One span is odd; which one is worth knowing only now.
            kept: list[int] = []
            unreadable: list[tuple[int, Exception]] = []
            for index, span in enumerate(spans):
                try:
                    self._read([span])
                except Exception as error:
                    unreadable.append((index, error))
                else:
                    kept.append(index)
            table, _, attributes = self._read([spans[index] for index in kept])
            return Taken(table, kept, attributes, unreadable)

    def _read(self, spans: Sequence[ReadableSpan]) -> tuple[SpanTable, list[int], list[Attributes]]:
        n = len(spans)
        fields = list(zip(*_fields(spans), strict=True)) or [()] * 10
        names, attributes, resources_of, scopes_of, kinds, statuses, starts, ends, contexts, parents = fields
        copies = [_copied(one) for one in attributes]
        values = _Values()
        resource, scope, resources, scopes = _homes(resources_of, scopes_of)
        own_attr, span_cells = self._cells(copies, values)
        resource_cells = self._plain_cells([one.attributes for one in resources], values)
        scope_attributes = [one.attributes or {} if one else {} for _, one in scopes]
        scope_cells = self._plain_cells(scope_attributes, values)
        code = values.texts.__getitem__
        states = [one[_TRACE_STATE] for one in contexts]
        state_code = [code(state.to_header()) if state else 0 for state in states]
        name_code = np.array(list(map(code, names)), dtype=np.int32)
        scope_names = [code(one.name if one else "") for _, one in scopes]
        scope_versions = [code((one.version if one else None) or "") for _, one in scopes]
        place_of_kind, columns = values.columns()
        table = SpanTable(
            n=n,
            keyset=self._keyset,
            start=np.full(n, -1, dtype=np.int64),
            end=np.full(n, -1, dtype=np.int64),
            resource=resource,
            scope=scope,
            trace_id=np.frombuffer(
                b"".join([one[_TRACE_ID].to_bytes(16, "big") for one in contexts]), dtype=np.uint8
            ).reshape(-1, 16),
            span_id=np.array(array("Q", [one[_SPAN_ID] for one in contexts]), dtype=np.uint64),
            parent_span_id=np.array(
                array("Q", [one[_SPAN_ID] if one else 0 for one in parents]), dtype=np.uint64
            ),
            start_unix_ns=_times(starts),
            end_unix_ns=_times(ends),
            kind=np.array(array("b", map(_KINDS.get, map(id, kinds), repeat(0))), dtype=np.int8),
            status=np.array(
                array("b", [0 if one is _UNSET else 2 if one is _ERROR else 1 for one in statuses]),
                dtype=np.int8,
            ),
            name_code=name_code,
            trace_state_code=np.array(array("i", state_code), dtype=np.int32),
            own_attr=own_attr,
            span_index=self._index(span_cells, place_of_kind, n),
            resource_index=self._index(resource_cells, place_of_kind, len(resources)),
            scope_index=self._index(scope_cells, place_of_kind, len(scopes)),
            **columns,
            texts=values.texts.encoded(),
            resource_of_scope=np.array([index for index, _ in scopes], dtype=np.int32),
            scope_name_code=np.array(scope_names, dtype=np.int32),
            scope_version_code=np.array(scope_versions, dtype=np.int32),
        )
        return table, list(range(n)), copies

    def _cells(self, copies: Sequence[Attributes], values: _Values) -> tuple[Flags, _Cells]:
        groups: dict[tuple[str, ...], list[int]] = {}
        for row, attributes in enumerate(copies):
            keys = tuple(attributes)
            rows = groups.get(keys)
            if rows is None:
                groups[keys] = [row]
            else:
                rows.append(row)
        cells = _Cells()
        own_attr = np.zeros(len(copies), dtype=np.bool_)
        for keys, rows in groups.items():
            shape = self._shapes.get(keys) or self._shape(keys)
            if shape.is_own:
                own_attr[rows] = True
            if shape.positions:
                taken = zip(*[shape.values(copies[row]) for row in rows], strict=True)
                for position, column in zip(shape.positions, taken, strict=True):
                    values.add(cells, position, rows, column)
        return own_attr, cells

    def _shape(self, keys: tuple[str, ...]) -> _Shape:
        position = self._keyset.position
        asked = [key for key in keys if key in position]
        getter: Callable[[Attributes], tuple[Any, ...]]
        if len(asked) == 1:
            only = asked[0]

            def getter(attributes: Attributes) -> tuple[Any, ...]:
                return (attributes[only],)
        else:
            getter = itemgetter(*asked) if asked else _nothing
        is_own = any(is_own_key(key) for key in keys if isinstance(key, str))
        if len(self._shapes) >= MOST_SHAPES:
            self._shapes.clear()
        shape = self._shapes[keys] = _Shape(tuple(position[key] for key in asked), getter, is_own)
        return shape

    def _plain_cells(self, holders: Iterable[Mapping[str, Any]], values: _Values) -> _Cells:
        cells = _Cells()
        for row, attributes in enumerate(holders):
            for key, value in attributes.items():
                position = self._keyset.position.get(key)
                if position is not None:
                    values.add(cells, position, [row], (value,))
        return cells

    def _index(self, cells: _Cells, place_of_kind: Mapping[int, int], rows: int) -> AttributeIndex:
        line = np.full(len(self._keyset), -1, dtype=np.int32)
        carried = sorted({position for position, _, _, _ in cells.runs})
        line[carried] = np.arange(len(carried), dtype=np.int32)
        values = np.full((len(carried), rows), -1, dtype=np.int32)
        if cells.runs:
            positions, kinds, starts, counts = zip(*cells.runs, strict=True)
            ends = np.cumsum(counts)
            first = np.array([place_of_kind[kind] for kind in kinds]) + starts - ends + counts
            known = {id(of_run): of_run for of_run in cells.rows}
            row = {name: np.array(of_run, dtype=np.int32) for name, of_run in known.items()}
            values[
                np.repeat(line[list(positions)], counts),
                np.concatenate([row[id(of_run)] for of_run in cells.rows]),
            ] = np.repeat(first, counts) + np.arange(ends[-1])
        return AttributeIndex(line, values)


class _Cells:
    """Which value is where."""

    def __init__(self) -> None:
        self.rows: list[Sequence[int]] = []
        """The rows of each run of cells; the same object for the keys of spans with the same keys."""
        self.runs: list[tuple[int, int, int, int]] = []
        """Of cells that follow one another: position of their key, kind of their values, index of the first
        among the values of that kind, how many."""


class _Values:
    """Attribute values by type, in the order in which they were added."""

    def __init__(self) -> None:
        self.texts = _Texts()
        self._of_kind: dict[int, array[Any]] = {
            NONE: array("b"), STRING: array("i"), BOOL: array("b"), INT: array("q"), DOUBLE: array("d"),
            ARRAY: array("b"), KVLIST: array("b"), BYTES: array("b"),
        }  # fmt: skip

    def add(self, cells: _Cells, position: int, rows: Sequence[int], column: Sequence[Any]) -> None:
        """Add the values of one key, one for each of `rows`."""
        types = set(map(type, column))
        kind = _KEPT.get(types.pop()) if len(types) == 1 else None
        if kind is not None and self._put(cells, position, rows, kind, column):
            return
        for row, value in zip(rows, column, strict=True):
            found = _typed(value)
            if found is not None:
                self._put(cells, position, (row,), *found)

    def _put(
        self, cells: _Cells, position: int, rows: Sequence[int], kind: int, column: Sequence[Any]
    ) -> bool:
        store = self._of_kind[kind]
        start = len(store)
        try:
            store.extend(map(self.texts.__getitem__, column) if kind == STRING else column)
        except OverflowError:
            # Integers beyond 64 bits, which no exporter can send either.
            del store[start:]
            return False
        cells.rows.append(rows)
        cells.runs.append((position, kind, start, len(rows)))
        return True

    def columns(self) -> tuple[dict[int, int], dict[str, Any]]:
        """Where the values of each kind begin, and the value columns of a table."""
        counts = [len(store) for store in self._of_kind.values()]
        place = dict(zip(self._of_kind, np.cumsum((0, *counts[:-1])).tolist(), strict=True))
        m = sum(counts)
        value_int, value_double = np.zeros(m, dtype=np.int64), np.zeros(m)
        value_text = np.full(m, -1, dtype=np.int32)
        for kind, column in (
            (STRING, value_text), (BOOL, value_int), (INT, value_int), (INT, value_double),
            (DOUBLE, value_double),
        ):  # fmt: skip
            store = self._of_kind[kind]
            if store:
                column[place[kind] : place[kind] + len(store)] = store
        return place, {
            "value_type": np.repeat(np.array(list(self._of_kind), dtype=np.int8), counts),
            "value_int": value_int,
            "value_double": value_double,
            "value_text": value_text,
        }


class _Texts(dict[str, int]):
    """The code of each distinct text, given when it is first asked for; 0 is the empty one."""

    def __init__(self) -> None:
        super().__init__({"": 0})

    def __missing__(self, text: str) -> int:
        code = self[text] = len(self)
        return code

    def encoded(self) -> list[bytes]:
        return [text.encode("utf-8", "surrogatepass") for text in self]


def _typed(value: Any) -> tuple[int, tuple[Any]] | None:
    """Kind and value as the OTLP exporters would write it (0 where the table keeps none); None for what they
    leave out."""
    match value:
        case bool():
            return BOOL, (value,)
        case str():
            return STRING, (str.__str__(value),)
        case int():
            return (INT, (int(value),)) if -_INT64_MAX - 1 <= value <= _INT64_MAX else None
        case float():
            return DOUBLE, (float(value),)
        case None:
            return NONE, (0,)
        case bytes():
            return BYTES, (0,)
        case Sequence():
            return ARRAY, (0,)
        case Mapping():
            return KVLIST, (0,)
    return None


def _fields(spans: Sequence[ReadableSpan]) -> list[tuple[Any, ...]]:
    if set(map(type, spans)) == {ReadableSpan}:
        try:
            return list(map(_INNER_FIELDS, spans))
        except AttributeError:
            pass  # another version of the SDK
    return list(map(_FIELDS, spans))


def _copied(attributes: Any) -> Attributes:
    try:
        # A mapping proxy passes this on to what it is for, which copies at the speed of C.
        copied = attributes.copy()
    except AttributeError:
        copied = None
    return copied if type(copied) is dict else dict(attributes or {})


def _nothing(_: Attributes) -> tuple[Any, ...]:
    return ()


def _times(times: Sequence[int | None]) -> Any:
    known = [time if time and 0 < time <= _INT64_MAX else 0 for time in times]
    return np.array(array("q", known), dtype=np.int64)


_Scopes = list[tuple[int, InstrumentationScope | None]]


def _homes(
    resources_of: Sequence[Resource], scopes_of: Sequence[InstrumentationScope | None]
) -> tuple[Codes, Codes, list[Resource], _Scopes]:
    """Resource and scope of each span as indices, the resources, and each scope with its resource's index."""
    resources: list[Resource] = []
    scopes: _Scopes = []
    index_of_resource: dict[int, int] = {}
    index_of_scope: dict[tuple[int, int], int] = {}
    scope_of_span = []
    index = -1
    last_resource: object = None
    last_scope: object = None
    for resource, scope in zip(resources_of, scopes_of, strict=True):
        if index < 0 or resource is not last_resource or scope is not last_scope:
            last_resource, last_scope = resource, scope
            found = index_of_scope.get((id(resource), id(scope)))
            if found is None:
                at = index_of_resource.setdefault(id(resource), len(resources))
                if at == len(resources):
                    resources.append(resource)
                found = index_of_scope[id(resource), id(scope)] = len(scopes)
                scopes.append((at, scope))
            index = found
        scope_of_span.append(index)
    scope_codes = np.array(scope_of_span, dtype=np.int32)
    resource_of_scope = np.array([index for index, _ in scopes], dtype=np.int32)
    resource_codes = resource_of_scope[scope_codes] if scopes else np.zeros(0, dtype=np.int32)
    return resource_codes, scope_codes, resources, scopes
