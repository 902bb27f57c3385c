"""`Column`: texts by code, and the names of the arrays that columns are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Column:
    """A dictionary-coded text column: `names[codes[i]]` is the text of row i, "" where there is none.

    `codes`: int32[n], indices into `names`. `names[0]` is always "".
    """

    codes: Codes
    names: tuple[str, ...]

    @classmethod
    def of(cls, texts: Iterable[str]) -> Column:
        """Code `texts`, in order of first appearance."""
        index: dict[str, int] = {"": 0}
        codes = [index.setdefault(text, len(index)) for text in texts]
        return cls(np.asarray(codes, dtype=np.int32), tuple(index))

    @classmethod
    def constant(cls, text: str, n: int) -> Column:
        """The same text in all `n` rows."""
        return cls(np.full(n, 1 if text else 0, dtype=np.int32), ("", text) if text else ("",))

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, row: int) -> str:
        return self.names[int(self.codes[row])]

    def take(self, rows: Ints | Flags) -> Column:
        """The column of the chosen rows, with the same dictionary."""
        return Column(self.codes[rows], self.names)

    def texts(self) -> list[str]:
        """One text a row."""
        names = self.names
        return [names[code] for code in self.codes.tolist()]

    @staticmethod
    def concatenate(columns: Sequence[Column]) -> Column:
        """Rows of all `columns` below one another, under one dictionary."""
        index: dict[str, int] = {"": 0}
        parts = []
        for column in columns:
            new = np.asarray([index.setdefault(name, len(index)) for name in column.names], dtype=np.int32)
            parts.append(new[column.codes])
        codes = np.concatenate(parts) if parts else np.empty(0, dtype=np.int32)
        return Column(codes, tuple(index))
