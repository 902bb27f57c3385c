"""Columns of maps, text to text, as ClickHouse exports them: as maps in Parquet, as text in CSV."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]

_TEXT: Final = rb"'([^'\\]*(?:\\.[^'\\]*)*)'"
_PAIR: Final = re.compile(_TEXT + b":" + _TEXT, re.DOTALL)
_AROUND_PAIR: Final = len(b"'':''")
_ESCAPE: Final = re.compile(rb"\\(x[0-9A-Fa-f]{2}|.)", re.DOTALL)
_ESCAPED: Final = {
    mark.encode(): meant.encode() for mark, meant in zip("ntrbf0av", "\n\t\r\b\f\0\a\v", strict=True)
}
_REMEMBERED: Final = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class MapPairs:
    """The pairs of n maps, one below the other."""

    n: int
    row: Ints
    """int64[m]: the map of each pair, ascending."""
    key: Codes
    """int32[m]: index into `key_names`."""
    key_names: tuple[str, ...]
    value: pa.Array
    """m texts, as strings or bytes."""
    bad: Flags
    """bool[n]: the cell is no map."""

    @classmethod
    def empty(cls, n: int) -> MapPairs:
        """n maps without a pair."""
        none = np.zeros(0, dtype=np.int64)
        return cls(n, none, none.astype(np.int32), (), pa.array([], pa.binary()), np.zeros(n, dtype=np.bool_))

    def take(self, rows: Ints) -> MapPairs:
        """The maps of the chosen rows, which ascend or not; each row is chosen once."""
        place = np.full(self.n, -1, dtype=np.int64)
        place[rows] = np.arange(len(rows))
        new = place[self.row]
        kept = np.flatnonzero(new >= 0)
        kept = kept[np.argsort(new[kept], kind="stable")]
        return MapPairs(
            len(rows),
            new[kept],
            self.key[kept],
            self.key_names,
            self.value.take(pa.array(kept)),
            self.bad[rows],
        )

    def has(self, wanted: Callable[[str], bool], n: int) -> Flags:
        """bool[n]: the map has a key that is `wanted`."""
        found = np.zeros(n, dtype=np.bool_)
        is_wanted = np.array([wanted(name) for name in self.key_names], dtype=np.bool_)
        if is_wanted.any():
            found[self.row[is_wanted[self.key]]] = True
        return found

    def with_missing(self, key: bytes, values: Sequence[bytes]) -> MapPairs:
        """These maps, with `key` and one of `values` in those that lack it; an empty value is none."""
        name = key.decode()
        has = self.has(lambda other: other == name, self.n)
        lacking = [row for row in np.flatnonzero(~has).tolist() if values[row]]
        if not lacking:
            return self
        added = pa.array([values[row] for row in lacking], pa.binary())
        return MapPairs(
            self.n,
            np.concatenate([self.row, np.array(lacking, dtype=np.int64)]),
            np.concatenate([self.key, np.full(len(lacking), len(self.key_names), dtype=np.int32)]),
            (*self.key_names, name),
            pa.concat_arrays([pc.cast(self.value, pa.binary()), added]),
            self.bad,
        )

    def signatures(self) -> npt.NDArray[np.uint64]:
        """uint64[n]: equal for maps with the same pairs, whatever their order."""
        coded = pc.dictionary_encode(self.value).indices
        pair = self.key.astype(np.uint64) << np.uint64(32)
        pair |= pc.fill_null(coded, 0).to_numpy(zero_copy_only=False).astype(np.uint64)
        for factor in (0x9E37_79B9_7F4A_7C15, 0xD6E8_FEB8_6659_FD93):
            pair *= np.uint64(factor)
            pair ^= pair >> np.uint64(29)
        found = np.zeros(self.n, dtype=np.uint64)
        np.add.at(found, self.row, pair)
        return found


def pairs_of(column: pa.Array) -> MapPairs:
    """The pairs of a column of maps: maps, lists of (key, value), or text in ClickHouse's form or JSON."""
    kind = column.type
    if pa.types.is_map(kind):
        return _nested(column, column.keys, column.items)
    is_pairs = (
        pa.types.is_list(kind) and pa.types.is_struct(kind.value_type) and kind.value_type.num_fields == 2
    )
    if is_pairs:
        return _nested(column, column.values.field(0), column.values.field(1))
    return _written(column)


def _nested(column: pa.Array, keys: pa.Array, values: pa.Array) -> MapPairs:
    n = len(column)
    offsets = column.offsets.to_numpy()
    sizes = pc.fill_null(pc.list_value_length(column), 0) if not pa.types.is_map(column.type) else None
    length = np.diff(offsets) if sizes is None else sizes.to_numpy(zero_copy_only=False)
    first, last = int(offsets[0]), int(offsets[-1])
    keys, values = keys.slice(first, last - first), values.slice(first, last - first)
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if not (pa.types.is_string(values.type) or pa.types.is_binary(values.type)):
        values = pc.cast(values, pa.string())
    coded = keys if pa.types.is_dictionary(keys.type) else pc.dictionary_encode(keys)
    names = tuple(_text(name) for name in coded.dictionary.to_pylist())
    return MapPairs(
        n,
        np.repeat(np.arange(n), length),
        coded.indices.to_numpy(zero_copy_only=False).astype(np.int32),
        names,
        values,
        np.zeros(n, dtype=np.bool_),
    )


def _written(column: pa.Array) -> MapPairs:
    """Maps that are written out; a map that comes again is read once."""
    index: dict[str, int] = {}
    rows: list[int] = []
    keys: list[int] = []
    values: list[bytes] = []
    bad = np.zeros(len(column), dtype=np.bool_)
    remembered: dict[bytes, list[tuple[int, bytes]] | None] = {}
    for row, text in enumerate(pc.cast(column, pa.binary()).to_pylist()):
        text = text or b"{}"
        if text in remembered:
            pairs = remembered[text]
        else:
            found = _read(text)
            pairs = (
                None
                if found is None
                else [(index.setdefault(key, len(index)), value) for key, value in found]
            )
            if len(remembered) < _REMEMBERED:
                remembered[text] = pairs
        if pairs is None:
            bad[row] = True
            continue
        for key, value in pairs:
            rows.append(row)
            keys.append(key)
            values.append(value)
    return MapPairs(
        len(column),
        np.array(rows, dtype=np.int64),
        np.array(keys, dtype=np.int32),
        tuple(index),
        pa.array(values, pa.binary()),
        bad,
    )


def _read(text: bytes) -> list[tuple[str, bytes]] | None:
    """The pairs of one written map; None if it is none."""
    pairs = _PAIR.findall(text)
    # What is not in a pair must be the braces and the commas between pairs.
    size = sum(len(key) + len(value) for key, value in pairs) + len(pairs) * (_AROUND_PAIR + 1) - 1 + 2
    is_whole = pairs and size == len(text) and text.count(b"','") >= len(pairs) - 1
    if text == b"{}" or (is_whole and text[:1] == b"{" and text[-1:] == b"}"):
        return [(_text(_unescaped(key)), _unescaped(value)) for key, value in pairs]
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return list(_flat("", found)) if isinstance(found, dict) else None


def _flat(prefix: str, found: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    for key, value in found.items():
        if isinstance(value, dict):
            yield from _flat(f"{prefix}{key}.", value)
        elif value is not None:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            yield prefix + key, text.encode("utf-8", "surrogatepass")


def _unescaped(text: bytes) -> bytes:
    if b"\\" not in text:
        return text
    return _ESCAPE.sub(_escaped, text)


def _escaped(match: re.Match[bytes]) -> bytes:
    mark = match[1]
    if len(mark) == 3:
        return bytes.fromhex(mark[1:].decode())
    return _ESCAPED.get(mark, mark)


def _text(name: object) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)
