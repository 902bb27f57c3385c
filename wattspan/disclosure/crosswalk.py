"""The crosswalk: which cell of a disclosure answers which point of which standard or form, as data.

`data/crosswalk.json` holds pointers, never the text of a form: CDP's and others' questions are theirs. Each
row says how sure it is and where that comes from.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache
from importlib.resources import files
from typing import Final, NamedTuple

from wattspan.disclosure.answers import CELLS, answers
from wattspan.disclosure.render.document import Document

FORMS: Final = {
    "per_1000": "as it is, for 1,000 inferences",
    "per_1000000": "the value for 1,000,000: a cell of two decimals would print 0.00 otherwise",
    "buyer_total": "times the buyer's own inferences / 1,000: its total",
    "total": "the period's total of all customers",
    "text": "as it is",
}
"""How a cell goes into a point."""
STATUSES: Final = {
    "read": "read in the source named",
    "secondary": "from a secondary source",
    "unverified": "UNVERIFIED: check the number before you quote it",
    "reading": "our own reading",
}


class Target(NamedTuple):
    """A standard or form."""

    key: str
    name: str
    note: str


class Row(NamedTuple):
    """One cell at one point."""

    target: Target
    point: str
    about: str
    cell: str
    form: str
    status: str
    source: str


class Placed(NamedTuple):
    """A row with what a disclosure says there."""

    row: Row
    value: str


@lru_cache(1)
def crosswalk() -> tuple[Row, ...]:
    """Every row, in the order of the file."""
    text = files("wattspan.disclosure").joinpath("data/crosswalk.json").read_text(encoding="utf-8")
    content = json.loads(text)
    targets = {entry["key"]: Target(**entry) for entry in content["targets"]}
    sources = content["sources"]
    return tuple(
        Row(
            targets[entry["target"]],
            entry["point"],
            entry["about"],
            entry["cell"],
            entry["form"],
            entry["status"],
            sources[entry["source"]],
        )
        for entry in content["rows"]
    )


def placed(document: Document, rows: Iterable[Row] | None = None) -> list[Placed]:
    """What a disclosure says at each point."""
    found = answers(document)
    return [
        Placed(row, _value(document, row, found[row.cell].quoted))
        for row in (crosswalk() if rows is None else rows)
    ]


def markdown() -> str:
    """The crosswalk as a table of the documents (`docs/generated/crosswalk.md`)."""
    made: list[str] = []
    known = ""
    for row in crosswalk():
        if row.target.key != known:
            known = row.target.key
            made += ["", f"### {row.target.name}", "", *([row.target.note, ""] if row.target.note else [])]
            made += ["| point | about | our cell | column | how | how sure |", "|---|---|---|---|---|---|"]
        cell = CELLS[row.cell]
        ours, sure = f"{cell.title} (`{row.cell}`)", f"{STATUSES[row.status]}; {row.source}"
        parts = (row.point, row.about, ours, str(cell.column), FORMS[row.form], sure)
        made.append(f"| {' | '.join(parts)} |")
    return "\n".join(made).lstrip("\n") + "\n"


def _value(document: Document, row: Row, quoted: str) -> str:
    if row.form != "per_1000000":
        return quoted
    column = {"energy": "energy_kwh"}.get(row.cell, row.cell)
    sealed = document.columns[column]
    unit = CELLS[row.cell].unit
    unit = f"{unit}CO2e" if unit == "kg" else unit
    return f"{sealed['per_1000000']} {unit} / 1,000,000" if "per_1000000" in sealed else quoted
