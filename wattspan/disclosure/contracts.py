"""Contracts: the evidence a market-based figure rests on; where they do not cover all, there is none."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fnmatch import fnmatchcase
from typing import Any, Final

import yaml

from wattspan.disclosure.cells import Cell
from wattspan.disclosure.numbers import written

GRANULARITIES: Final = ("annual", "monthly", "hourly")
_KEYS: Final = ("provider", "region", "start", "end", "g_per_kwh", "granularity", "evidence")


class ContractError(ValueError):
    """A contract file cannot be used: which entry, which key, what was found, what is allowed."""


@dataclass(frozen=True, slots=True)
class Contract:
    """One contractual emission factor."""

    provider: str
    """Glob over `gen_ai.provider.name`."""
    region: str
    """Glob over the region of the figure, such as aws/eu-west-3 or azure/*."""
    start: dt.date
    end: dt.date
    """Exclusive."""
    g_per_kwh: Decimal
    granularity: str
    """How generation and use were matched: annual | monthly | hourly."""
    evidence: str
    """The document, as a reader would ask for it."""

    def covers(self, cell: Cell) -> bool:
        """Whether it gives the factor of a cell's energy."""
        return (
            fnmatchcase(cell.provider, self.provider)
            and fnmatchcase(cell.region, self.region)
            and self.start.isoformat() <= cell.day < self.end.isoformat()
        )

    def to_json(self) -> dict[str, str]:
        """As it is sealed."""
        return {
            "provider": self.provider,
            "region": self.region,
            "start": self.start.isoformat(),
            "end": self.end.isoformat(),
            "g_per_kwh": written(self.g_per_kwh),
            "granularity": self.granularity,
            "evidence": self.evidence,
        }


def read_contracts(text: str, name: str) -> tuple[Contract, ...]:
    """The contracts of a YAML (or JSON) file: a list of mappings. Raises ContractError."""
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ContractError(f"{name}: not YAML: {error}") from error
    if not isinstance(content, list):
        raise ContractError(f"{name}: must be a list of contracts with {', '.join(_KEYS)}")
    return tuple(_contract(entry, f"{name}, contract {number}") for number, entry in enumerate(content, 1))


def _contract(entry: Any, where: str) -> Contract:
    if not isinstance(entry, Mapping) or set(entry) != set(_KEYS):
        found = ", ".join(map(str, entry)) if isinstance(entry, Mapping) else repr(entry)
        raise ContractError(f"{where}: found {found}; every contract has {', '.join(_KEYS)}")
    try:
        start, end = (dt.date.fromisoformat(str(entry[key])) for key in ("start", "end"))
        factor = Decimal(str(entry["g_per_kwh"]))
    except (ValueError, InvalidOperation) as error:
        raise ContractError(f"{where}: start and end are ISO days, g_per_kwh a number: {error}") from error
    if not (factor.is_finite() and 0 <= factor <= 5000) or end <= start:
        raise ContractError(f"{where}: g_per_kwh is from 0 to 5000, and end after start")
    if entry["granularity"] not in GRANULARITIES:
        raise ContractError(
            f"{where}: granularity {entry['granularity']!r}; allowed: {', '.join(GRANULARITIES)}"
        )
    if not str(entry["evidence"]).strip():
        raise ContractError(f"{where}: evidence is empty; name the document that states the factor")
    return Contract(
        str(entry["provider"]),
        str(entry["region"]),
        start,
        end,
        factor,
        entry["granularity"],
        str(entry["evidence"]),
    )
