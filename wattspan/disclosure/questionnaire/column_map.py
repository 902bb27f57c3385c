"""`ColumnMap`: which column of a questionnaire gets which cell of a disclosure, in which unit, per what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import yaml

from wattspan.disclosure.answers import CELLS
from wattspan.disclosure.figure import PER
from wattspan.disclosure.units import of_same_kind

MATCHES: Final = ("any", "feature", "sku", "id")
"""What the column that names the rows holds: name or key of a feature, its SKU, a disclosure's id, or any."""
AMOUNTS: Final = (1, 1000, 1_000_000)
_KEYS: Final = (
    "reviewed",
    "sheet",
    "header_row",
    "match",
    "period",
    "names",
    "overwrite",
    "decimal_mark",
    "columns",
)
_COLUMN_KEYS: Final = ("cell", "unit", "per", "decimals", "values")


class QuestionnaireError(ValueError):
    """A questionnaire or its map cannot be used: file, place, what was found, what is allowed, next step."""


@dataclass(frozen=True, slots=True)
class Column:
    """What goes into one column."""

    cell: str
    """Key of `answers.CELLS`."""
    unit: str = ""
    """As the form asks for it; "" for the unit that is sealed."""
    per: int | str = PER
    """Inferences that the value is for: a number, or the header of the column with the row's own count."""
    decimals: int | None = None
    """Places behind the point that the cell holds; None: those of its number format, or as it is quoted."""
    values: Mapping[str, str] = field(default_factory=dict)
    """Our words, and those that the form wants for them."""


@dataclass(frozen=True, slots=True)
class ColumnMap:
    """A whole map."""

    match_column: str
    columns: Mapping[str, Column]
    """By the header of the customer's column, or "column E"."""
    match_by: str = "any"
    sheet: str = ""
    """"" for the first."""
    header_row: int = 1
    period: str = ""
    """"" for the newest of each feature."""
    names: Mapping[str, str] = field(default_factory=dict)
    """The customer's names of rows, and the feature, SKU or id that each means."""
    overwrite: bool = False
    """Whether what stands in a cell is replaced."""
    decimal_mark: str = "."
    """Of numbers in CSV."""


def read_map(text: str, name: str) -> ColumnMap:
    """The map of a YAML file. Raises QuestionnaireError naming the key."""
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise QuestionnaireError(f"{name}: not YAML: {error}") from error
    if not isinstance(content, Mapping):
        raise QuestionnaireError(
            f"{name}: must be a mapping with match and columns; `--suggest` writes one to begin with"
        )
    _known(content, _KEYS, name)
    if content.get("reviewed", True) is not True:
        raise QuestionnaireError(
            f"{name}, reviewed: this map was suggested and nobody has checked it; go through every line "
            "against the form, then set reviewed: true"
        )
    match = content.get("match")
    if not isinstance(match, Mapping) or not isinstance(match.get("column"), str):
        raise QuestionnaireError(f"{name}, match: needs column: the header of the column that names the rows")
    _known(match, ("column", "by"), f"{name}, match")
    columns = content.get("columns")
    if not isinstance(columns, Mapping) or not columns:
        raise QuestionnaireError(f"{name}, columns: needs at least one header and the cell that goes there")
    return ColumnMap(
        match_column=match["column"],
        match_by=_one_of(match.get("by", "any"), MATCHES, f"{name}, match.by"),
        columns={
            str(header): _column(spec, f"{name}, columns, {header!r}") for header, spec in columns.items()
        },
        sheet=str(content.get("sheet", "")),
        header_row=_whole(content.get("header_row", 1), 1, 1000, f"{name}, header_row"),
        period=str(content.get("period", "")),
        names=_names(content.get("names", {}), f"{name}, names"),
        overwrite=_truth(content.get("overwrite", False), f"{name}, overwrite"),
        decimal_mark=_one_of(content.get("decimal_mark", "."), (".", ","), f"{name}, decimal_mark"),
    )


def _column(spec: Any, where: str) -> Column:
    if isinstance(spec, str):
        spec = {"cell": spec}
    if not isinstance(spec, Mapping) or "cell" not in spec:
        raise QuestionnaireError(
            f"{where}: found {spec!r}; give a cell, or a mapping with cell, unit, per, decimals"
        )
    _known(spec, _COLUMN_KEYS, where)
    key = _one_of(spec["cell"], tuple(CELLS), f"{where}, cell")
    cell = CELLS[key]
    unit = str(spec.get("unit", ""))
    if unit and not cell.unit:
        raise QuestionnaireError(f"{where}, unit: {key} has no unit")
    if unit and cell.unit != "%" and unit not in of_same_kind(cell.unit):
        raise QuestionnaireError(
            f"{where}, unit: {key} cannot be told in {unit!r}; allowed: {', '.join(of_same_kind(cell.unit))}"
        )
    if unit and cell.unit == "%" and unit not in ("%", "share"):
        raise QuestionnaireError(f"{where}, unit: {key} cannot be told in {unit!r}; allowed: %, share")
    if "per" in spec and not cell.is_per_inference:
        raise QuestionnaireError(f"{where}, per: {key} is not a figure per inference")
    decimals = spec.get("decimals")
    return Column(
        cell=key,
        unit=unit,
        per=_per(spec.get("per", PER), f"{where}, per"),
        decimals=None if decimals is None else _whole(decimals, 0, 15, f"{where}, decimals"),
        values=_names(spec.get("values", {}), f"{where}, values"),
    )


def _per(found: Any, where: str) -> int | str:
    if isinstance(found, Mapping) and set(found) == {"column"} and isinstance(found["column"], str):
        return found["column"]
    if isinstance(found, int) and not isinstance(found, bool) and found in AMOUNTS:
        return found
    allowed = ", ".join(map(str, AMOUNTS))
    raise QuestionnaireError(
        f"{where}: found {found!r}; allowed: {allowed}, or {{column: HEADER}} with the row's own count"
    )


def _names(found: Any, where: str) -> dict[str, str]:
    if not isinstance(found, Mapping):
        raise QuestionnaireError(f"{where}: must be a mapping from one word to another")
    return {str(one): str(other) for one, other in found.items()}


def _known(content: Mapping[Any, Any], keys: tuple[str, ...], where: str) -> None:
    unknown = [str(key) for key in content if key not in keys]
    if unknown:
        raise QuestionnaireError(f"{where}: unknown key {', '.join(unknown)}; allowed: {', '.join(keys)}")


def _one_of(found: Any, allowed: tuple[str, ...], where: str) -> str:
    if found not in allowed:
        raise QuestionnaireError(f"{where}: found {found!r}; allowed: {', '.join(allowed)}")
    return str(found)


def _whole(found: Any, least: int, most: int, where: str) -> int:
    if not isinstance(found, int) or isinstance(found, bool) or not least <= found <= most:
        raise QuestionnaireError(f"{where}: found {found!r}; allowed: a whole number from {least} to {most}")
    return found


def _truth(found: Any, where: str) -> bool:
    if not isinstance(found, bool):
        raise QuestionnaireError(f"{where}: found {found!r}; allowed: true, false")
    return found


def counted(text: str) -> Decimal | None:
    """A count as a person writes it into a cell: "1,200,000", "1 200 000"; None where it is none."""
    try:
        number = Decimal("".join(text.split()).replace(",", "").replace("'", "").replace("\u2019", ""))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None
