"""The bridge from one figure to another: how much of the change each cause made. Additive LMDI-I.

research: disclosure 7.4; Ang (2005). A cell is one model, place and moment; its carbon is the product
volume x mix x tokens x coefficient x PUE x grid, hardware apart. The effect of a factor f is the sum over
cells of L(c1, c0) ln(f1 / f0), L the logarithmic mean: nothing is left over, and the order of causes does not
matter. A cell that appears or vanishes is a change of mix (the analytical limit).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, NamedTuple

from wattspan.disclosure.cells import (
    ENERGY_UNITS_PER_KWH,
    INTENSITY_UNITS_PER_G,
    REPORTED,
    WEIGHT_UNITS,
    Cell,
)
from wattspan.disclosure.coefficients import J_PER_KWH, Vector
from wattspan.disclosure.figure import Figure, Sealed
from wattspan.disclosure.numbers import exactly, written
from wattspan.estimator.moments import Moments

FACTORS: Final = ("volume", "mix", "tokens", "coefficient", "pue", "grid", "embodied")
RESIDUAL: Final = Decimal("1e-9")
"""Largest residual, as a share of the change or of the figures."""

_NEAR: Final = Decimal("1e-15")
_REPORTED: Final = "energy"
"""Stands for the moment where the energy was not modelled."""

Key = tuple[str, ...]


class Product(NamedTuple):
    """The factors of one cell's carbon in kg, in the order of FACTORS; 1 where one does not apply."""

    volume: Decimal
    """Completed inferences."""
    mix: Decimal
    """Calls of the cell per inference."""
    tokens: Decimal
    """The moment per call."""
    coefficient: Decimal
    """kWh of IT energy per unit of the moment, or GPU joules for manufacture."""
    pue: Decimal
    grid: Decimal
    """kg per kWh."""
    embodied: Decimal
    """kg of manufacture per GPU joule."""

    @property
    def value(self) -> Decimal:
        """The cell's carbon, kg."""
        made = Decimal(1)
        for factor in self:
            made *= factor
        return made


@dataclass(frozen=True, slots=True)
class Bridge:
    """A change and its causes, kg."""

    before: Decimal
    after: Decimal
    effects: Mapping[str, Decimal]

    @property
    def residual(self) -> Decimal:
        """What the effects leave unexplained."""
        return self.after - self.before - sum(self.effects.values(), Decimal(0))

    def to_json(self) -> dict[str, Any]:
        """As it is sealed."""
        return {
            "before": written(self.before),
            "after": written(self.after),
            "effects": {name: written(self.effects[name]) for name in FACTORS},
        }


def bridge(before: Mapping[Key, Product], after: Mapping[Key, Product]) -> Bridge:
    """The bridge between two sets of cells."""
    with exactly():
        effects = dict.fromkeys(FACTORS, Decimal(0))
        for key in sorted(before.keys() | after.keys()):
            old, new = before.get(key), after.get(key)
            c0 = old.value if old else Decimal(0)
            c1 = new.value if new else Decimal(0)
            if not old or not new or not c0 or not c1:
                effects["mix"] += c1 - c0
                continue
            mean = _logarithmic_mean(c1, c0)
            for name, f1, f0 in zip(FACTORS, new, old, strict=True):
                if f1 != f0:
                    effects[name] += mean * (f1 / f0).ln()
        return Bridge(_total(before), _total(after), effects)


def _total(cells: Mapping[Key, Product]) -> Decimal:
    return sum((product.value for product in cells.values()), Decimal(0))


def products(
    sealed: Sealed, figure: Figure, *, same_method: bool, per_inferences: Decimal | None = None
) -> dict[Key, Product]:
    """The cells of a figure.

    `same_method`: cells are told apart by their coefficients too, so that between two figures of one method
    the effects of coefficient and PUE are exactly 0. `per_inferences`: for this many inferences instead of
    the period's, so that volume has no effect.
    """
    with exactly():
        volume = figure.completed if per_inferences is None else per_inferences
        gathered: dict[Key, _Gathered] = {}
        for part in figure.parts:
            cell, vector = part.cell, sealed.vectors[part.cell.vector]
            share = part.share
            method = (cell.vector,) if same_method else ()
            base = (cell.model, cell.provider, cell.region, "gap" if part.is_gap else cell.basis, *method)
            for name, joules, moment, kwh, kg, gpu_j in _by_moment(cell, vector):
                found = gathered.setdefault((*base, name), _Gathered())
                found.constants.add(_constants(joules, vector))
                found.calls += Decimal(cell.calls) * share / WEIGHT_UNITS
                found.moment += moment * share
                found.it_kwh += kwh / vector.facility_factor * share
                found.kwh += kwh * share
                found.kg += kg * share
                found.gpu_j += gpu_j * share
                found.embodied_kg += gpu_j * vector.embodied_g_per_gpu_j * share / 1000
        made: dict[Key, Product] = {}
        for key, sums in gathered.items():
            made |= sums.products(key, volume, figure.completed)
        return made


class _Constants(NamedTuple):
    """What a method alone decides, for one moment."""

    it_kwh: Decimal
    gpu_j: Decimal
    pue: Decimal
    kg_per_gpu_j: Decimal


def _constants(joules: Decimal, vector: Vector) -> _Constants:
    # Energy that was reported is of the facility: what is left of it inside is 1 / PUE.
    it_kwh = joules * vector.server_factor / J_PER_KWH if joules else 1 / vector.facility_factor
    return _Constants(
        it_kwh,
        joules,
        vector.facility_factor,
        vector.embodied_g_per_gpu_j / 1000,
    )


@dataclass(slots=True)
class _Gathered:
    constants: set[_Constants] = field(default_factory=set)
    calls: Decimal = Decimal(0)
    moment: Decimal = Decimal(0)
    it_kwh: Decimal = Decimal(0)
    kwh: Decimal = Decimal(0)
    kg: Decimal = Decimal(0)
    gpu_j: Decimal = Decimal(0)
    embodied_kg: Decimal = Decimal(0)

    def products(self, key: Key, volume: Decimal, completed: Decimal) -> dict[Key, Product]:
        one = Decimal(1)
        activity = (volume, self.calls / completed, self.moment / self.calls)
        made: dict[Key, Product] = {}
        # The constants as they are where there is one set of them, so that one method has no effect at all;
        # else their means.
        exact = next(iter(self.constants)) if len(self.constants) == 1 else None
        if self.kwh:
            it = exact.it_kwh if exact else self.it_kwh / self.moment
            pue = exact.pue if exact else self.kwh / self.it_kwh
            made["use", *key] = Product(*activity, it, pue, self.kg / self.kwh, one)
        if self.embodied_kg:
            gpu_j = exact.gpu_j if exact else self.gpu_j / self.moment
            kg_per_j = exact.kg_per_gpu_j if exact else self.embodied_kg / self.gpu_j
            made["embodied", *key] = Product(*activity, gpu_j, one, one, kg_per_j)
        return made


def _by_moment(
    cell: Cell, vector: Vector
) -> Iterable[tuple[str, Decimal, Decimal, Decimal, Decimal, Decimal]]:
    """For each moment: its name, joules per unit, sum, facility kWh, kg of use, and GPU joules."""
    weight, to_kg = Decimal(WEIGHT_UNITS), Decimal(INTENSITY_UNITS_PER_G) * 1000
    to_kwh = vector.server_factor * vector.facility_factor / J_PER_KWH / weight
    is_reported = cell.basis in REPORTED
    for name, joules, moment, weighted in zip(
        Moments._fields, vector.joules, cell.moments, cell.weighted, strict=True
    ):
        if moment and joules:
            kwh = Decimal(0) if is_reported else joules * moment * to_kwh
            kg = Decimal(0) if is_reported else joules * weighted * to_kwh / to_kg
            yield name, joules, moment / weight, kwh, kg, joules * moment / weight
    if is_reported and cell.energy:
        kwh = Decimal(cell.energy) / ENERGY_UNITS_PER_KWH / weight
        kg = Decimal(cell.energy_weighted) / ENERGY_UNITS_PER_KWH / weight / to_kg
        yield _REPORTED, Decimal(0), kwh, kwh, kg, Decimal(0)


def _logarithmic_mean(a: Decimal, b: Decimal) -> Decimal:
    # Nearly equal values leave too few digits in their difference; their mean is L to delta^2 / 12.
    if abs(a / b - 1) < _NEAR:
        return (a + b) / 2
    return (a - b) / (a / b).ln()
