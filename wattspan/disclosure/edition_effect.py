"""What a change of edition does: to a call of a known size, and to the calls of a lake."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final, NamedTuple

from wattspan.disclosure.band import Interval, interval
from wattspan.disclosure.cells import WITHOUT_FIGURE
from wattspan.disclosure.figure import G_PER_KG, Part, Sealed, over_days, parts_of, terms_of
from wattspan.disclosure.numbers import exactly
from wattspan.disclosure.restatement import Kind, kind_of
from wattspan.disclosure.restating import Methodology, Restater
from wattspan.estimator import Estimator
from wattspan.methodology import Edition

INPUT_TOKENS: Final = 1000
OUTPUT_TOKENS: Final = 300
"""Of the call by which editions are compared."""

TOTAL: Final = ""
"""In place of a feature and of a model: all of them."""
UNKNOWN: Final = "unknown"
"""In place of a model that the registry does not know."""


class Reference(NamedTuple):
    """One call of a model under two editions."""

    model: str
    old_wh: float
    new_wh: float
    old_g: float
    """gCO2e of use, where the model's provider runs it."""
    new_g: float


class Under(NamedTuple):
    """Calls under one edition."""

    energy_kwh: Decimal
    band: Interval
    """Use and hardware, kgCO2e, with its 95 % interval."""


@dataclass(frozen=True, slots=True)
class Effect:
    """Calls of one feature and model under two editions."""

    feature: str
    model: str
    old: Under
    new: Under
    as_declared_kg: Decimal
    """Part of `new` that no edition decides: it stays as the lake has it."""

    @property
    def percent(self) -> Decimal:
        """Change of the carbon."""
        with exactly():
            old = self.old.band.central
            return (self.new.band.central / old - 1) * 100 if old else Decimal(0)


def reference_calls(old: Edition, new: Edition) -> tuple[Reference, ...]:
    """A call of 1,000 input and 300 output tokens to each model that both editions know, and that differs."""
    before, after = Estimator(old), Estimator(new)
    found = []
    for model in sorted(set(old.registry.models) & set(new.registry.models)):
        one, other = (
            estimator.estimate_call(
                model=model,
                provider=old.registry.models[model].provider,
                input_tokens=INPUT_TOKENS,
                output_tokens=OUTPUT_TOKENS,
            )
            for estimator in (before, after)
        )
        made = Reference(model, one.energy_kwh * 1000, other.energy_kwh * 1000, one.co2e_g, other.co2e_g)
        if (made.old_wh, made.old_g) != (made.new_wh, made.new_g):
            found.append(made)
    return tuple(found)


def effects(sealed: Sealed, own: Methodology, old: Methodology, new: Methodology) -> tuple[Effect, ...]:
    """By feature and model, the most carbon first; the first is all of it.

    `own`: the methodology that made the rows. Calls without usage are left out: no edition has a figure for
    them.
    """
    with exactly():
        cells = [cell for cell in over_days(sealed.cells) if cell.basis not in WITHOUT_FIGURE]
        rows = replace(sealed, cells=cells)
        sides = [_restated(rows, own, methodology) for methodology in (old, new)]
        # rows keep their order, so the same place is the same calls on both sides
        parts = [parts_of(side.sealed) for side in sides]
        places: dict[tuple[str, str], list[int]] = {(TOTAL, TOTAL): list(range(len(cells)))}
        for place, cell in enumerate(cells):
            places.setdefault((cell.feature, cell.model or UNKNOWN), []).append(place)
        found = []
        for (feature, model), here in places.items():
            before, after = (
                _under(side.sealed, [of_side[place] for place in here])
                for side, of_side in zip(sides, parts, strict=True)
            )
            stayed = (parts[1][p].co2e_g for p in here if kind_of(cells[p]) in sides[1].stays)
            declared_kg = sum(stayed, Decimal(0)) / G_PER_KG
            found.append(Effect(feature, model, before, after, declared_kg))
    whole, *others = found
    return (whole, *sorted(others, key=lambda e: (-e.old.band.central, e.feature, e.model)))


class _Side(NamedTuple):
    sealed: Sealed
    stays: set[Kind]


def _restated(sealed: Sealed, own: Methodology, other: Methodology) -> _Side:
    """The rows under another methodology, and the kinds that it says nothing of."""
    if other.edition.digest == own.edition.digest:
        return _Side(sealed, set())
    made = Restater(own, other).restatement(sealed, sealed.rules, sealed.gap_rule)
    return _Side(made.apply(sealed), made.stays(sealed.cells))


def _under(sealed: Sealed, parts: list[Part]) -> Under:
    energy = sum((part.energy_kwh for part in parts), Decimal(0))
    return Under(energy, interval(terms_of(sealed, parts)))
