"""`combinations`: which texts of several columns come together. A batch has few of them, and many rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from wattspan.calls.column import Column, Ints

_MOST: Final = 2**62


def combinations(columns: Sequence[Column], n: int) -> tuple[Ints, list[tuple[str, ...]]]:
    """int64[n], the index of each row's combination, and the combinations that occur, one text a column."""
    key, size = np.zeros(n, dtype=np.int64), 1
    for column in columns:
        if len(column.names) == 1:
            continue
        if size > _MOST // len(column.names):
            distinct, key = np.unique(key, return_inverse=True)
            size = len(distinct)
        key = key * len(column.names) + column.codes
        size *= len(column.names)
    _, first, index = np.unique(key, return_index=True, return_inverse=True)
    rows = first.tolist()
    return index, [tuple(column[row] for column in columns) for row in rows]
