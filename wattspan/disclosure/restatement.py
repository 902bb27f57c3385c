"""`Restatement`: what kinds of sealed rows become under another methodology, as sealed data.

Made once, by `restating`, when a figure is published; applied whenever one is reckoned, so that a folder can
be reproduced without the edition and without the lake.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from wattspan.disclosure.cells import TEXTS, Cell
from wattspan.disclosure.coefficients import Vector
from wattspan.disclosure.figure import GapRule, Sealed, Spread
from wattspan.disclosure.rules import Rules
from wattspan.estimator.moments import Moments

OF_THE_CALLS: Final = ("day", "feature", "sampling")
"""Texts of a row that no methodology decides."""
KIND: Final = ("year", *(name for name in TEXTS if name not in OF_THE_CALLS))
"""What tells kinds of rows apart: rows of one kind have the same constants."""
CHANGED: Final = (
    "model",
    "region",
    "zone",
    "evidence",
    "grid_source",
    "grid_resolution",
    "grid_accounting",
    "direct",
    "vector",
    "spread",
)
"""Texts of a row that a methodology decides."""

Kind = tuple[str, ...]


class Intensity(NamedTuple):
    """What weights of a kind are multiplied by: `new / old`, micrograms CO2e per kWh."""

    old: int
    new: int


@dataclass(frozen=True, slots=True)
class Restated:
    """What one kind of rows becomes."""

    texts: tuple[str, ...]
    """In the order of CHANGED."""
    intensity: Intensity | None
    """None where the weights stay: the hours' figures came from a feed and not from the edition."""


@dataclass(frozen=True, slots=True)
class Restatement:
    """What kinds of rows become under one other methodology; kinds that are not in it stay as they are."""

    changes: Mapping[Kind, Restated]
    vectors: Mapping[str, Vector]
    spreads: Mapping[str, Spread]
    rules: Rules
    gap_rule: GapRule

    def apply(self, sealed: Sealed) -> Sealed:
        """The rows under the other methodology, in their order; contracts are the same."""
        return Sealed(
            cells=tuple(self._cell(cell) for cell in sealed.cells),
            requests=sealed.requests,
            vectors={**sealed.vectors, **self.vectors},
            spreads={**sealed.spreads, **self.spreads},
            rules=self.rules,
            gap_rule=self.gap_rule,
            contracts=sealed.contracts,
        )

    def stays(self, cells: Iterable[Cell]) -> set[Kind]:
        """Kinds with a figure that the other methodology says nothing of."""
        return {kind for cell in cells if cell.vector and (kind := kind_of(cell)) not in self.changes}

    def kind_after(self, cell: Cell) -> Kind:
        """The kind that a row will be of."""
        change = self.changes.get(kind := kind_of(cell))
        if change is None:
            return kind
        return tuple({**dict(zip(KIND, kind, strict=True)), **_named(change)}.values())

    def _cell(self, cell: Cell) -> Cell:
        change = self.changes.get(kind_of(cell))
        if change is None:
            return cell
        weighted, energy_weighted = cell.weighted, cell.energy_weighted
        if change.intensity is not None:
            pairs = zip(cell.weighted, cell.moments, strict=True)
            weighted = Moments(*(_scaled(value, plain, change.intensity) for value, plain in pairs))
            energy_weighted = _scaled(cell.energy_weighted, cell.energy, change.intensity)
        return replace(cell, **_named(change), weighted=weighted, energy_weighted=energy_weighted)

    def to_json(self) -> dict[str, Any]:
        """As it is sealed: numbers as texts."""
        return {
            "kinds": [
                {
                    "from": dict(zip(KIND, kind, strict=True)),
                    "to": _named(change),
                    "micrograms_per_kwh": None
                    if change.intensity is None
                    else {name: str(value) for name, value in change.intensity._asdict().items()},
                }
                for kind, change in sorted(self.changes.items())
            ]
        }

    @classmethod
    def from_json(
        cls,
        content: Mapping[str, Any],
        vectors: Mapping[str, Vector],
        spreads: Mapping[str, Spread],
        rules: Rules,
        gap_rule: GapRule,
    ) -> Restatement:
        """Back from `to_json`. Raises KeyError, TypeError or ValueError for anything else."""
        changes = {}
        for entry in content["kinds"]:
            factor = entry["micrograms_per_kwh"]
            changes[tuple(entry["from"][name] for name in KIND)] = Restated(
                tuple(entry["to"][name] for name in CHANGED),
                None if factor is None else Intensity(int(factor["old"]), int(factor["new"])),
            )
        return cls(changes, vectors, spreads, rules, gap_rule)


def kind_of(cell: Cell) -> Kind:
    """The kind of a row, in the order of KIND."""
    return (cell.day[:4], *(getattr(cell, name) for name in KIND[1:]))


def _named(change: Restated) -> dict[str, Any]:
    return dict(zip(CHANGED, change.texts, strict=True))


def _scaled(weighted: int, plain: int, intensity: Intensity) -> int:
    """`weighted` times new / old, to the nearest whole number; exact where it was made with `old` alone."""
    old, new = intensity
    return (2 * weighted * new + old) // (2 * old) if old else plain * new
