"""Reading the CSV tables of an edition."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path


class EditionTableError(ValueError):
    """A table of an edition is missing, or has a row that cannot be read."""


def read_rows(path: Path, columns: Sequence[str]) -> Iterator[list[str]]:
    """Rows of a table as texts, in the order of `columns`.

    Texts are never interpreted: the zone `NA` is Namibia, not a missing value. Raises EditionTableError,
    naming
    the file and line, where the file or a column is missing or a row has another number of cells.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.reader(file)
            header = next(reader, [])
            if missing := [name for name in columns if name not in header]:
                raise EditionTableError(
                    f"{path}: no column {missing[0]!r}; found {', '.join(header)}. "
                    "Build the edition again: make edition"
                )
            wanted = [header.index(name) for name in columns]
            for row in reader:
                if len(row) != len(header):
                    raise EditionTableError(
                        f"{path} line {reader.line_num}: {len(row)} cells, the header has {len(header)}"
                    )
                yield [row[i] for i in wanted]
    except FileNotFoundError as error:
        raise EditionTableError(
            f"{path}: no such table in this edition; build it with make edition"
        ) from error


def read_header(path: Path) -> list[str]:
    """Column names of a table. Raises EditionTableError where the file is missing."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return next(csv.reader(file), [])
    except FileNotFoundError as error:
        raise EditionTableError(
            f"{path}: no such table in this edition; build it with make edition"
        ) from error


def number(text: str, path: Path, what: str) -> float:
    """A figure of a table. Raises EditionTableError naming the file and `what` where it is not a number."""
    try:
        return float(text)
    except ValueError as error:
        raise EditionTableError(f"{path}: {what} is {text!r}, not a number") from error
