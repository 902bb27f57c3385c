"""Attributes as protobuf bytes: KeyValue fields ready to be appended to a Span."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, overload

import numpy as np
import numpy.typing as npt

from wattspan.calls import Column

Scalar = str | bool | int | float


class AttributeColumn(NamedTuple):
    """One attribute of many spans: what `encode_columns` writes, one cell a row.

    `values`: a `Column` of texts, an array of doubles, integers or truth values, or one scalar for all rows.
    Empty texts and doubles that are not finite are left out, and so are the rows where `present` is False.
    """

    key: str
    values: Column | npt.NDArray[np.float64] | npt.NDArray[np.int64] | npt.NDArray[np.bool_] | Scalar
    present: npt.NDArray[np.bool_] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Additions(Sequence[bytes | None]):
    """What `splice` appends to each span: `blob[offsets[i]:offsets[i + 1]]` to span i if `edits[i]`."""

    blob: bytes
    """Encoded attributes of all spans, in span order."""
    offsets: npt.NDArray[np.int64]
    """int64[n + 1]: where each span's attributes begin in `blob`."""
    edits: npt.NDArray[np.bool_]
    """bool[n]: the span is edited: our old attributes are cut, the new ones (perhaps none) appended."""

    def __len__(self) -> int:
        return len(self.edits)

    @overload
    def __getitem__(self, row: int) -> bytes | None: ...

    @overload
    def __getitem__(self, row: slice) -> Sequence[bytes | None]: ...

    def __getitem__(self, row: int | slice) -> bytes | Sequence[bytes | None] | None:
        if isinstance(row, slice):
            return [self[place] for place in range(*row.indices(len(self)))]
        at = range(len(self))[row]
        return self.blob[int(self.offsets[at]) : int(self.offsets[at + 1])] if self.edits[at] else None

    def __iter__(self) -> Iterator[bytes | None]:
        return (self[row] for row in range(len(self)))


def encode_attributes(pairs: Iterable[tuple[str, Scalar]]) -> bytes:
    """Attributes as fields of a Span (number 9), in the given order.

    TypeError for a value that is no str, bool, int or float; OverflowError for an int beyond 64 bits.
    """
    return b"".join(encode_attribute(key, value) for key, value in pairs)


def encode_attribute(key: str, value: Scalar) -> bytes:
    """One attribute as a field of a Span; errors as in `encode_attributes`."""
    if type(value) is float:
        return before_double(key) + struct.pack("<d", value)
    if type(value) in (bool, int) or (type(value) is str and len(value) <= 200):
        return _remembered(key, value)
    return _encoded(key, value)


@lru_cache(maxsize=2048)
def before_double(key: str) -> bytes:
    """What comes before the 8 bytes of a double in the field of an attribute."""
    return _encoded(key, 0.0)[:-8]


def _encoded(key: str, value: Scalar) -> bytes:
    match value:
        case bool():
            any_value = b"\x10\x01" if value else b"\x10\x00"
        case int():
            if not -(2**63) <= value < 2**63:
                raise OverflowError(f"attribute {key}: {value} does not fit 64 bits")
            any_value = b"\x18" + encode_varint(value & (2**64 - 1))
        case float():
            any_value = b"\x21" + struct.pack("<d", value)
        case str():
            any_value = b"\x0a" + _counted(value.encode("utf-8", "replace"))
        case _:
            raise TypeError(f"attribute {key}: {value!r} is no str, bool, int or float")
    return b"\x4a" + _counted(
        b"\x0a" + _counted(key.encode("utf-8", "replace")) + b"\x12" + _counted(any_value)
    )


# The same keys, tiers, regions and models come with every batch. `typed`, because 1 == True; and no doubles,
# because 0.0 == -0.0.
_remembered = lru_cache(maxsize=2048, typed=True)(_encoded)


def encode_varint(number: int) -> bytes:
    """A number >= 0 in groups of seven bits, the lowest first."""
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    groups.append(number)
    return bytes(groups)


def _counted(body: bytes) -> bytes:
    return encode_varint(len(body)) + body
