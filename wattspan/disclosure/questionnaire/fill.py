"""`fill`: answers of disclosures into the cells of a questionnaire, each with a note of where it is from."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final, NamedTuple

from wattspan.disclosure.answers import Answer, answers
from wattspan.disclosure.figure import PER
from wattspan.disclosure.numbers import SHOWN_DIGITS, exactly, rounded, shown
from wattspan.disclosure.questionnaire.column_map import Column, ColumnMap, QuestionnaireError, counted
from wattspan.disclosure.questionnaire.sheet import Sheet
from wattspan.disclosure.render.document import Document
from wattspan.disclosure.units import converted

MILLION: Final = 1_000_000
LEAST_DIGITS: Final = 2
"""Significant digits that a cell must have room for: 0.03 for 0.0345 would be another figure."""
_BY: Final[Mapping[str, tuple[str, ...]]] = {
    "any": ("id", "sku", "feature", "key"),
    "feature": ("feature", "key"),
    "sku": ("sku",),
    "id": ("id",),
}


class Filled(NamedTuple):
    """One cell that was filled."""

    place: str
    header: str
    cell: str
    value: str
    disclosure: str
    note: str


class Left(NamedTuple):
    """A row or cell that was left as it was, and why."""

    place: str
    why: str


@dataclass(slots=True)
class Outcome:
    """What became of a questionnaire."""

    filled: list[Filled] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)
    unmapped: list[str] = field(default_factory=list)
    """Headers of columns that the map does not name: they stay as they were."""
    rows: int = 0
    """Rows that name something."""


def fill(sheet: Sheet, asked: ColumnMap, documents: Sequence[Document], name: str) -> Outcome:
    """Write what `documents` say into `sheet`. `name`: of the map, for errors.

    Only active disclosures count. Raises QuestionnaireError where a header of the map is not in the sheet.
    """
    return _Filler(sheet, asked, name).run(documents)


class _LeftError(Exception):
    """A cell cannot be filled; the message says why."""


class _Filler:
    def __init__(self, sheet: Sheet, asked: ColumnMap, name: str) -> None:
        self.sheet, self.asked = sheet, asked
        self.columns = {_find(sheet, header, name): column for header, column in asked.columns.items()}
        self.match = _find(sheet, asked.match_column, name)
        self.counts = {
            column.per: _find(sheet, column.per, name)
            for column in self.columns.values()
            if isinstance(column.per, str)
        }
        used = {self.match, *self.columns, *self.counts.values()}
        self.outcome = Outcome(
            unmapped=[header for at, header in enumerate(sheet.headers, 1) if header and at not in used]
        )

    def run(self, documents: Sequence[Document]) -> Outcome:
        known = _index(documents, self.asked)
        for row in range(self.sheet.first_row, self.sheet.last_row + 1):
            theirs = self.sheet.text(row, self.match)
            if not theirs:
                continue
            self.outcome.rows += 1
            found = known.get(_folded(self.asked.names.get(theirs, theirs)), ())
            if len(found) == 1:
                self._row(row, found[0])
            else:
                why = _why_not(theirs, found, self.asked)
                self.outcome.left.append(Left(self.sheet.place(row, self.match), why))
        return self.outcome

    def _row(self, row: int, document: Document) -> None:
        said = answers(document)
        for at, column in self.columns.items():
            place, answer = self.sheet.place(row, at), said[column.cell]
            try:
                self._is_free(row, at)
                if not answer.is_available:
                    raise _LeftError(self._told_missing(row, at, document, answer))
                amount = self._amount(row, column, document)
                value = self._fitted(row, at, column, answer, amount)
            except _LeftError as error:
                self.outcome.left.append(Left(place, str(error)))
                continue
            note = _note(document, answer, _told(answer, column, amount))
            self.sheet.write(row, at, value)
            self.sheet.note(row, at, note)
            text = format(value, "f") if isinstance(value, Decimal) else value
            header = self.sheet.headers[at - 1] if at <= len(self.sheet.headers) else ""
            self.outcome.filled.append(Filled(place, header, column.cell, text, document.id, note))

    def _is_free(self, row: int, at: int) -> None:
        if self.sheet.is_covered(row, at):
            raise _LeftError("is inside merged cells; write what belongs there into the first of them")
        if self.sheet.is_formula(row, at):
            raise _LeftError("holds a formula of the customer's")
        if (stands := self.sheet.text(row, at)) and not self.asked.overwrite:
            raise _LeftError(f"holds {stands[:40]!r} already; set overwrite: true to replace it")

    def _told_missing(self, row: int, at: int, document: Document, answer: Answer) -> str:
        if answer.reason:
            self.sheet.note(row, at, _note(document, answer, f"not available: {answer.reason}"))
        return f"{answer.key} is not available: {answer.reason or 'nothing is said'}"

    def _amount(self, row: int, column: Column, document: Document) -> Decimal:
        """Inferences that the cell is for."""
        if isinstance(column.per, int):
            return Decimal(column.per)
        at = self.counts[column.per]
        number = counted(self.sheet.text(row, at))
        if number is None or number <= 0:
            there = self.sheet.place(row, at)
            raise _LeftError(f"needs the number of inferences at {there}, a number above 0")
        # a share of more than there was is a count of another period, unit or product
        if number > (completed := Decimal(document.columns["volume"]["completed_inferences"])):
            raise _LeftError(
                f"asks for {number:,f} inferences, and all customers together had {completed:,.0f} in "
                f"{document.columns['reference_period']['label']}; ask which period and unit they count"
            )
        return number

    def _fitted(self, row: int, at: int, column: Column, answer: Answer, amount: Decimal) -> Decimal | str:
        """The value as the cell can hold it."""
        value = _value(answer, column, amount)
        if not isinstance(value, Decimal):
            return self._offered(row, at, column.values.get(value, value))
        decimals = self.sheet.decimals(row, at) if column.decimals is None else column.decimals
        if answer.cell.unit and decimals is not None and _is_too_coarse(value, decimals):
            offer = ""
            if answer.cell.is_per_inference and amount < MILLION:
                million = _value(answer, Column(column.cell, column.unit), Decimal(MILLION))
                offer = f"offer it per 1,000,000, which is {shown(Decimal(million))}, or "
            raise _LeftError(
                f"{decimals} decimals would print {_places(value, decimals)} for {shown(value)}; {offer}ask "
                "for more decimals"
            )
        return _written(value, answer, column.decimals)

    def _offered(self, row: int, at: int, text: str) -> str:
        """A text as the cell's drop-down spells it."""
        options = self.sheet.allowed(row, at)
        for option in options:
            if _folded(option) == _folded(text):
                return option
        if options:
            raise _LeftError(
                f"takes one of {', '.join(options)}, and ours is {text!r}; say which one under values:"
            )
        return text


def _value(answer: Answer, column: Column, amount: Decimal) -> Decimal | str:
    """What goes into the cell, before it is rounded."""
    if answer.exact is None:
        return answer.text
    cell = answer.cell
    with exactly():
        if cell.unit == "%":
            return answer.exact / 100 if column.unit == "share" else answer.exact
        value = converted(answer.exact, cell.unit, column.unit or cell.unit) if cell.unit else answer.exact
        return value * amount / PER if cell.is_per_inference else value


def _written(value: Decimal, answer: Answer, decimals: int | None) -> Decimal:
    """As it is quoted, or to the decimals that were asked for; counts whole."""
    if decimals is not None:
        return _places(value, decimals)
    return (
        value.normalize() + 0
        if not answer.cell.unit and answer.key != "sci"
        else rounded(value, SHOWN_DIGITS)
    )


def _is_too_coarse(value: Decimal, decimals: int) -> bool:
    return value != 0 and abs(_places(value, decimals)) < Decimal(1).scaleb(LEAST_DIGITS - 1 - decimals)


def _places(value: Decimal, decimals: int) -> Decimal:
    with exactly():
        return value.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_EVEN)


def _told(answer: Answer, column: Column, amount: Decimal) -> str:
    cell = answer.cell
    if not cell.unit or cell.unit == "%":
        return ""
    unit = column.unit or cell.unit
    carbon = "CO2e" if cell.unit == "kg" else ""
    if not cell.is_per_inference:
        return f"here in {unit}{carbon}"
    assert answer.exact is not None
    with exactly():
        million = shown(answer.exact * MILLION / PER)
    return f"here in {unit}{carbon} for {amount:,f} inferences; {million} {cell.unit}{carbon} per 1,000,000"


def _note(document: Document, answer: Answer, told: str) -> str:
    columns, cell = document.columns, answer.cell
    lines = [f"{columns['feature']['issuer']}: {cell.title} (column {cell.column} of 23), {answer.quoted}"]
    if told:
        lines.append(told)
    if answer.key in ("ghg_location", "ghg_use", "ghg_embodied", "ghg_total"):
        low, high = columns["ghg_low95"]["value"], columns["ghg_high95"]["value"]
        lines.append(f"95 % interval of column 8: {low} to {high} kgCO2e / 1,000; location-based")
    lines.append(f"{document.id}, {columns['methodology']['id']}")
    lines.append(f"sha256:{document.manifest_sha256}")
    return "\n".join(lines)


def _index(documents: Sequence[Document], asked: ColumnMap) -> dict[str, tuple[Document, ...]]:
    """Active disclosures by what names them; the newest period of a feature, or the one that is asked for."""
    newest: dict[str, Document] = {}
    for document in documents:
        period = document.columns["reference_period"]
        if document.status != "active" or (asked.period and period["label"] != asked.period):
            continue
        slug = document.id.rpartition("/")[2].rpartition("@")[0]
        other = newest.get(slug)
        if other is None or period["end"] > other.columns["reference_period"]["end"]:
            newest[slug] = document
    found: dict[str, tuple[Document, ...]] = {}
    for document in newest.values():
        feature = document.columns["feature"]
        names = {"id": document.id, "sku": feature["sku"], "feature": feature["name"], "key": feature["key"]}
        for name in dict.fromkeys(_folded(names[kind]) for kind in _BY[asked.match_by] if names[kind]):
            found[name] = (*found.get(name, ()), document)
    return found


def _why_not(theirs: str, found: Sequence[Document], asked: ColumnMap) -> str:
    if found:
        return (
            f"{theirs!r} names several: {', '.join(document.id for document in found)}; name one under names:"
        )
    period = f" of {asked.period}" if asked.period else ""
    return (
        f"{theirs!r} is the {' or '.join(_BY[asked.match_by])} of no active disclosure{period}; "
        "name it under names:, or publish it"
    )


def _find(sheet: Sheet, header: str, name: str) -> int:
    """The column with a header, or that of "column E"."""
    wanted = " ".join(header.split())
    places = [at for at, found in enumerate(sheet.headers, 1) if found == wanted]
    if len(places) == 1:
        return places[0]
    word, _, letter = wanted.partition(" ")
    if not places and word == "column" and letter.isalpha() and letter.isupper():
        at = 0
        for character in letter:
            at = at * 26 + ord(character) - 64
        if at <= max(len(sheet.headers), 1) + 50:
            return at
    there = ", ".join(repr(found) for found in sheet.headers if found) or "none"
    if places:
        raise QuestionnaireError(
            f"{name}: {sheet.name} has {len(places)} columns {wanted!r}; name one by its letter, such as "
            f"'column E'"
        )
    raise QuestionnaireError(
        f"{name}: {sheet.name} has no column {wanted!r} in row {sheet.first_row - 1}; there are: {there}; "
        "see header_row"
    )


def _folded(text: str) -> str:
    """Names that differ in case, width or white space alone are one name; nothing else is."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
