"""The 23 columns as CSV: one line a column, for import."""

from __future__ import annotations

import csv
import io
from typing import Final

from wattspan.disclosure.render.document import Document

HEADER: Final = ("number", "key", "title", "value", "unit", "note")
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")


def written(document: Document) -> bytes:
    """UTF-8 CSV. Texts that a spreadsheet would run as formulas are quoted with an apostrophe."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(HEADER)
    for line in document.lines():
        writer.writerow([line.number, *(inert(cell) for cell in line[1:])])
    for name, value in document.sci_lines():
        writer.writerow(["", "sci", *map(inert, (name, value)), "", ""])
    return text.getvalue().encode()


def inert(text: str) -> str:
    """`text` as a cell that no spreadsheet runs: numbers stay numbers, "=1+1" becomes "'=1+1"."""
    if text.startswith(_FORMULA_STARTS) and not _is_number(text):
        return f"'{text}"
    return text


def _is_number(text: str) -> bool:
    return text.removeprefix("-").replace(".", "", 1).isdecimal()
