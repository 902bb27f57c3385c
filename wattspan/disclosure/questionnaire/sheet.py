"""`Sheet`: a table of a customer's file as cells that can be read, written to and saved beside the rest.

A workbook keeps its formats, formulas and other sheets (openpyxl); what openpyxl cannot keep is told.
"""

from __future__ import annotations

import csv
import io
import re
import warnings
import zipfile
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Protocol

import openpyxl
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE, MergedCell
from openpyxl.comments import Comment
from openpyxl.utils import get_column_letter
from openpyxl.utils.exceptions import InvalidFileException

from wattspan.disclosure.questionnaire.column_map import ColumnMap, QuestionnaireError
from wattspan.disclosure.render.csv_file import inert

MOST_BYTES: Final = 100 * 2**20
MOST_UNPACKED_BYTES: Final = 500 * 2**20
MOST_ROWS: Final = 100_000
_AUTHOR: Final = "Wattspan"
_NOTE_SIZE: Final = (430, 190)
_HARMLESS: Final = (
    "calcChain",
    "printerSettings",
    "sharedStrings",
    "app",
    "core",
    "sheet",
    "comments",
    "vmlDrawing",
)
"""Kinds of parts that are written anew, or not needed."""
_ASIDE: Final = re.compile(r'"[^"]*"|\[[^\]]*\]|\\.|_.|\*.')
"""What a number format holds besides the number: texts, colours, padding."""
_DIGITS: Final = re.compile(r"[0#?](?:[0#?,]*[0#?])?(?:\.([0#?]+))?(?![0#?,])")
_NOT_FIXED: Final = re.compile(r"general|[@ymdhse/]|[0#?],+(?![0#?,])", re.IGNORECASE)
"""Dates, texts, powers of ten, fractions, thousands: nothing of a place behind the point."""
_SHAPE: Final = re.compile(rb"<xdr:(sp|cxnSp|grpSp)[ >]")


class Sheet(Protocol):
    """One table. Rows and columns count from 1."""

    name: str
    first_row: int
    """The first below the header."""
    last_row: int
    headers: list[str]
    """Of each column, "" for none; white space in them is one space."""
    can_note: bool
    """A note can stand on a cell; else notes go into a file beside it."""

    def place(self, row: int, column: int) -> str:
        """A cell as a person finds it: "Products!E7"."""

    def text(self, row: int, column: int) -> str:
        """What a cell shows; formulas as they were last reckoned."""

    def is_formula(self, row: int, column: int) -> bool:
        """The cell is reckoned by the customer's own formula."""

    def is_covered(self, row: int, column: int) -> bool:
        """The cell is part of merged ones, and not the first of them: nothing shows in it."""

    def decimals(self, row: int, column: int) -> int | None:
        """How many decimals the cell shows; None where its format does not say."""

    def allowed(self, row: int, column: int) -> tuple[str, ...]:
        """What a drop-down of the cell offers; () where it has none."""

    def write(self, row: int, column: int, value: Decimal | str) -> None:
        """Set a cell; its format stays. A text never runs as a formula."""

    def note(self, row: int, column: int, text: str) -> None:
        """Leave a note on a cell, below what stands there."""

    def saved(self) -> bytes:
        """The file with what was written."""

    def lost(self) -> list[str]:
        """What of the customer's file the saved one cannot have."""


def open_sheet(path: Path, asked: ColumnMap) -> Sheet:
    """The table of a questionnaire. Raises QuestionnaireError."""
    try:
        size = path.stat().st_size
        data = path.read_bytes() if size <= MOST_BYTES else b""
    except OSError as error:
        raise QuestionnaireError(f"{path} cannot be read: {error.strerror}") from error
    if size > MOST_BYTES:
        raise QuestionnaireError(f"{path} has {size:,} bytes; allowed: up to {MOST_BYTES:,}")
    kind = path.suffix.lower()
    if kind == ".xlsx":
        return _Workbook(data, path.name, asked)
    if kind == ".csv":
        return _Csv(data, path.name, asked)
    raise QuestionnaireError(
        f"{path.name}: a questionnaire is .xlsx or .csv; open it and save it as one of them"
    )


class _Workbook:
    can_note = True

    def __init__(self, data: bytes, name: str, asked: ColumnMap) -> None:
        self._before, self._name = data, name
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            self._book, shown = self._load(), self._load(values=True)
        self._warned = sorted({str(warning.message) for warning in said})
        sheets = [sheet.title for sheet in self._book.worksheets]
        self.name = asked.sheet or sheets[0]
        if self.name not in sheets:
            raise QuestionnaireError(
                f"{name}: there is no sheet {self.name!r}; there are: {', '.join(sheets)}"
            )
        self._sheet, self._shown = self._book[self.name], shown[self.name]
        self.first_row, self.last_row = asked.header_row + 1, self._sheet.max_row
        if self.last_row > MOST_ROWS:
            raise QuestionnaireError(
                f"{name}, {self.name}: {self.last_row:,} rows; allowed: up to {MOST_ROWS:,}"
            )
        columns = range(1, self._sheet.max_column + 1)
        self.headers = [" ".join(self.text(asked.header_row, column).split()) for column in columns]

    def _load(self, *, values: bool = False) -> Any:
        try:
            with zipfile.ZipFile(io.BytesIO(self._before)) as archive:
                if sum(info.file_size for info in archive.infolist()) > MOST_UNPACKED_BYTES:
                    raise QuestionnaireError(
                        f"{self._name}: unpacks to more than {MOST_UNPACKED_BYTES:,} bytes: no workbook does"
                    )
            return openpyxl.load_workbook(io.BytesIO(self._before), data_only=values, rich_text=not values)
        except QuestionnaireError:
            raise
        # What openpyxl raises for a file that is damaged or hostile is as varied as such files.
        except (
            InvalidFileException,
            zipfile.BadZipFile,
            LookupError,
            ValueError,
            TypeError,
            SyntaxError,
            AttributeError,
        ) as error:
            raise QuestionnaireError(
                f"{self._name}: not a workbook that can be read ({type(error).__name__}: {error}); open it "
                "in a spreadsheet program and save it as .xlsx"
            ) from error

    def place(self, row: int, column: int) -> str:
        return f"{self.name}!{get_column_letter(column)}{row}"

    def text(self, row: int, column: int) -> str:
        value = self._shown.cell(row, column).value
        return "" if value is None else str(value).strip()

    def is_formula(self, row: int, column: int) -> bool:
        return bool(self._sheet.cell(row, column).data_type == "f")

    def is_covered(self, row: int, column: int) -> bool:
        return isinstance(self._sheet.cell(row, column), MergedCell)

    def decimals(self, row: int, column: int) -> int | None:
        return decimals_of(str(self._sheet.cell(row, column).number_format or ""))

    def allowed(self, row: int, column: int) -> tuple[str, ...]:
        place = f"{get_column_letter(column)}{row}"
        for rule in self._sheet.data_validations.dataValidation:
            if rule.type == "list" and place in rule.sqref:
                return self._options(str(rule.formula1 or "").removeprefix("="))
        return ()

    def _options(self, source: str) -> tuple[str, ...]:
        """Of a drop-down: listed in the rule, or in cells of this workbook."""
        if source.startswith('"'):
            return tuple(option.strip() for option in source.strip('"').split(","))
        name, _, area = source.rpartition("!")
        sheet = name.strip("'") or self.name
        try:
            cells = self._book[sheet][area.replace("$", "")]
        except (KeyError, ValueError, TypeError):
            return ()
        rows = cells if isinstance(cells, tuple) else ((cells,),)
        flat = [cell for row in rows for cell in (row if isinstance(row, tuple) else (row,))]
        return tuple(str(cell.value).strip() for cell in flat if cell.value is not None)

    def write(self, row: int, column: int, value: Decimal | str) -> None:
        cell = self._sheet.cell(row, column)
        if isinstance(value, Decimal):
            cell.value = float(value)
            return
        cell.value = ILLEGAL_CHARACTERS_RE.sub(" ", value)
        if inert(value) != value:
            # As a spreadsheet keeps '=1+1 that was typed with an apostrophe: a text, also after an edit.
            cell.data_type = "s"
            cell.quotePrefix = True

    def note(self, row: int, column: int, text: str) -> None:
        cell = self._sheet.cell(row, column)
        before = f"{cell.comment.text}\n\n" if cell.comment else ""
        comment = Comment(ILLEGAL_CHARACTERS_RE.sub(" ", before + text), _AUTHOR)
        comment.width, comment.height = _NOTE_SIZE
        cell.comment = comment

    def saved(self) -> bytes:
        # The customer's formulas have no cached results any more: they are reckoned when it is opened.
        self._book.calculation.fullCalcOnLoad = True
        out = io.BytesIO()
        self._book.save(out)
        return out.getvalue()

    def lost(self) -> list[str]:
        before, after = (_parts(data) for data in (self._before, self.saved()))
        found = [kind for kind in sorted(before) if before[kind] > after[kind] and kind not in _HARMLESS]
        return [*self._warned, *(f"parts of kind {kind!r}" for kind in found)]


class _Csv:
    can_note = False

    def __init__(self, data: bytes, name: str, asked: ColumnMap) -> None:
        self._has_mark = data.startswith(b"\xef\xbb\xbf")
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise QuestionnaireError(f'{name}: not UTF-8: save it as "CSV UTF-8"') from error
        self._line_end = "\r\n" if "\r\n" in text else "\n"
        self._delimiter = _delimiter(text)
        try:
            self._rows = list(
                csv.reader(io.StringIO(text, newline=""), delimiter=self._delimiter, strict=True)
            )
        except csv.Error as error:
            raise QuestionnaireError(f"{name}: not CSV: {error}") from error
        if asked.sheet:
            raise QuestionnaireError(f"{name}: a CSV file has no sheets; leave out sheet: {asked.sheet!r}")
        if len(self._rows) < asked.header_row:
            raise QuestionnaireError(
                f"{name}: has {len(self._rows)} rows, and header_row is {asked.header_row}"
            )
        if len(self._rows) > MOST_ROWS:
            raise QuestionnaireError(f"{name}: {len(self._rows):,} rows; allowed: up to {MOST_ROWS:,}")
        self.name = name
        self._mark = asked.decimal_mark
        self.first_row, self.last_row = asked.header_row + 1, len(self._rows)
        self.headers = [" ".join(header.split()) for header in self._rows[asked.header_row - 1]]
        self._notes: list[tuple[str, str]] = []

    def place(self, row: int, column: int) -> str:
        return f"{self.name}, line {row}, column {get_column_letter(column)}"

    def text(self, row: int, column: int) -> str:
        cells = self._rows[row - 1]
        return cells[column - 1].strip() if column <= len(cells) else ""

    def is_formula(self, row: int, column: int) -> bool:
        return self.text(row, column).startswith("=")

    def is_covered(self, row: int, column: int) -> bool:
        return False

    def decimals(self, row: int, column: int) -> int | None:
        return None

    def allowed(self, row: int, column: int) -> tuple[str, ...]:
        return ()

    def write(self, row: int, column: int, value: Decimal | str) -> None:
        cells = self._rows[row - 1]
        cells.extend([""] * (column - len(cells)))
        number = format(value, "f").replace(".", self._mark) if isinstance(value, Decimal) else ""
        cells[column - 1] = number or inert(str(value))

    def note(self, row: int, column: int, text: str) -> None:
        self._notes.append((f"{get_column_letter(column)}{row}", text))

    def saved(self) -> bytes:
        out = io.StringIO()
        csv.writer(out, delimiter=self._delimiter, lineterminator=self._line_end).writerows(self._rows)
        return out.getvalue().encode("utf-8-sig" if self._has_mark else "utf-8")

    def lost(self) -> list[str]:
        return []


def decimals_of(number_format: str) -> int | None:
    """How many places behind the point a number format shows; None where it does not say."""
    shown = _ASIDE.sub("", number_format.partition(";")[0])
    digits = _DIGITS.search(shown)
    if _NOT_FIXED.search(shown) or digits is None:
        return None
    # 0.05 is shown as 5 %: two more places of the value.
    return len(digits[1] or "") + 2 * shown.count("%")


def _delimiter(text: str) -> str:
    """The one that the first lines have most of."""
    head = "\n".join(text.splitlines()[:5])
    return max((",", ";", "\t"), key=head.count)


def _parts(data: bytes) -> Counter[str]:
    """How many parts of each kind a workbook has, and how many shapes are drawn in it."""
    found: Counter[str] = Counter()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for name in archive.namelist():
            stem, _, ending = name.rpartition("/")[2].partition(".")
            if ending == "rels" or name.startswith("_rels/") or name.endswith("/"):
                continue
            found[re.sub(r"\d+$", "", stem)] += 1
            if "drawings/drawing" in name:
                found["shapes"] += len(_SHAPE.findall(archive.read(name)))
    return found
