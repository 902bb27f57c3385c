"""Ids written as hex digits, a column at a time."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

_NO_DIGIT: Final = 255
_DIGIT: Final = np.full(256, _NO_DIGIT, dtype=np.uint8)
for _value, _letters in enumerate(zip("0123456789abcdef", "0123456789ABCDEF", strict=True)):
    for _letter in _letters:
        _DIGIT[ord(_letter)] = _value


def hex_bytes(column: pa.Array, size: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """uint8[n, size] of texts with 2 x `size` hex digits, and which rows are none (zeros there).

    Ids that are all zeros count as none, as OTLP has it.
    """
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    raw = pc.cast(column, pa.binary())
    n = len(raw)
    length = pc.fill_null(pc.binary_length(raw), 0).to_numpy(zero_copy_only=False)
    fits = length == 2 * size
    found = np.zeros((n, size), dtype=np.uint8)
    if fits.any():
        chosen = raw if fits.all() else raw.filter(pa.array(fits))
        digits = np.frombuffer(b"".join(chosen.to_pylist()), dtype=np.uint8).reshape(-1, 2 * size)
        values = _DIGIT[digits]
        is_hex = (values != _NO_DIGIT).all(axis=1)
        read = (values[:, ::2] << 4) | (values[:, 1::2] & 15)
        read[~is_hex] = 0
        found[fits] = read
    return found, np.equal(found.max(axis=1, initial=0), 0)
