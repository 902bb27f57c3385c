"""`suggest`: a map to begin with, from the headers of a questionnaire against data. A person checks it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

import yaml

from wattspan.disclosure.answers import CELLS
from wattspan.disclosure.figure import PER
from wattspan.disclosure.questionnaire.column_map import QuestionnaireError
from wattspan.disclosure.questionnaire.sheet import Sheet
from wattspan.disclosure.units import of_same_kind

_WORD: Final = re.compile(r"[^\W_]+(?:-[^\W_]+)*")
_TOP: Final = (
    "Suggested from headers alone: check every line against the form, then set reviewed: true.",
    "Units and per: as far as the headers say; a wrong one is a wrong figure.",
)


@lru_cache(1)
def _data() -> Mapping[str, Any]:
    text = files("wattspan.disclosure").joinpath("data/headers.json").read_text(encoding="utf-8")
    found: Mapping[str, Any] = json.loads(text)
    return found


def suggest(sheet: Sheet) -> str:
    """The map as YAML, which `fill` refuses until somebody reviewed it.

    Raises QuestionnaireError without headers.
    """
    headers = [header for header in sheet.headers if header]
    if not headers:
        raise QuestionnaireError(
            f"{sheet.name}: row {sheet.first_row - 1} is empty; say where the headers are with --header-row"
        )
    match = _match(headers)
    columns: dict[str, Any] = {}
    unknown = []
    for header in headers:
        cell = _cell(header) if header != match else None
        if cell is None:
            unknown += [header] if header != match else []
        else:
            columns[header] = _column(header, cell)
    content: dict[str, Any] = {"reviewed": False}
    if not sheet.name.endswith(".csv"):
        content["sheet"] = sheet.name
    content["header_row"] = sheet.first_row - 1
    content["match"] = {"column": match, "by": "any"}
    content["columns"] = columns
    lines = [f"# {line}" for line in _TOP]
    lines += [f"# nothing is suggested for: {header}" for header in unknown]
    return "\n".join(lines) + "\n" + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)


def _match(headers: Iterable[str]) -> str:
    known = list(headers)
    for word in _data()["match"]:
        for header in known:
            if word in header.casefold():
                return header
    return known[0]


def _cell(header: str) -> str | None:
    text = header.casefold()
    for rule in _data()["rules"]:
        if all(any(word in text for word in group) for group in rule["all"]) and not any(
            word in text for word in rule["none"]
        ):
            return str(rule["cell"])
    return None


def _column(header: str, key: str) -> Any:
    cell = CELLS[key]
    made: dict[str, Any] = {"cell": key}
    if cell.unit and cell.unit != "%":
        made["unit"] = _unit(header, cell.unit)
        if cell.is_per_inference:
            made["per"] = _amount(header)
    return made if len(made) > 1 else key


def _unit(header: str, sealed: str) -> str:
    words = set(_WORD.findall(header.casefold()))
    allowed = of_same_kind(sealed)
    for entry in _data()["units"]:
        if entry["unit"] in allowed and words & set(entry["words"]):
            return str(entry["unit"])
    return sealed


def _amount(header: str) -> int:
    text = header.casefold()
    for entry in _data()["amounts"]:
        if any(word in text for word in entry["words"]):
            return int(entry["per"])
    return PER
