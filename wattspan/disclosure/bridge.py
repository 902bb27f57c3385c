"""The bridge from one figure to another: how much of the change each cause made. Additive LMDI-I.

research: disclosure 7.4; Ang (2005). A cell is one model, place and moment; its carbon is the product
volume x mix x tokens x coefficient x PUE x grid, hardware apart. The effect of a factor f is the sum over
cells of L(c1, c0) ln(f1 / f0), L the logarithmic mean: nothing is left over, and the order of causes does
not matter. Where a cell appears or vanishes, the analytical limit gives the whole change to the factor that
was or becomes nothing: to mix where there are no such calls, to the coefficient where one method has none for
the moment (a small constant in place of nothing would blame others; Wood and Lenzen 2006).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
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
            if not c0 or not c1:
                effects[_limit(old, new)] += c1 - c0
                continue
            assert old
            assert new
            mean = _logarithmic_mean(c1, c0)
            for name, f1, f0 in zip(FACTORS, new, old, strict=True):
                if f1 != f0:
                    effects[name] += mean * _ln_of_ratio(f1, f0)
        return Bridge(_total(before), _total(after), effects)


@lru_cache(65_536)
def _ln_of_ratio(f1: Decimal, f0: Decimal) -> Decimal:
    """ln(f1 / f0), under `CONTEXT`: cells have factors in common, and totals and thousands all of them."""
    return (f1 / f0).ln()


def _limit(old: Product | None, new: Product | None) -> str:
    """The factor whose going to nothing makes a cell vanish, or the way back."""
    nothing = [FACTORS[place] for side in (old, new) if side for place, f in enumerate(side) if not f]
    return nothing[0] if old and new and nothing else "mix"


def _total(cells: Mapping[Key, Product]) -> Decimal:
    return sum((product.value for product in cells.values()), Decimal(0))


def by_constants(cell: Cell) -> Key:
    """Model, place and coefficients: between figures of one method, no coefficient differs in a cell."""
    return cell.model, cell.provider, cell.region, cell.basis, cell.vector


def products(
    sealed: Sealed,
    figure: Figure,
    *,
    label: Callable[[Cell], Key] = by_constants,
    per_inferences: Decimal | None = None,
) -> dict[Key, Product]:
    """The cells of a figure.

    `label`: what tells the cells apart, beside moment and gap. `per_inferences`: for this many inferences
    instead of the period's, so that volume has no effect.
    """
    with exactly():
        volume = figure.completed if per_inferences is None else per_inferences
        gathered: dict[Key, _Gathered] = {}
        for part in figure.parts:
            cell, vector = part.cell, sealed.vectors[part.cell.vector]
            share = part.share
            base = (*label(cell), "gap" if part.is_gap else "")
            for name, constants, moment, kwh, kg in _by_moment(cell, vector):
                gpu_j = constants.gpu_j * moment
                found = gathered.setdefault((*base, name), _Gathered())
                found.constants.add(constants)
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
        it = exact.it_kwh if exact else self.it_kwh / self.moment
        pue = exact.pue if exact else self.kwh / self.it_kwh if self.kwh else one
        # no energy: the method has no coefficient for the moment, and its grid is nobody's
        grid = self.kg / self.kwh if self.kwh else one
        made["use", *key] = Product(*activity, it, pue, grid, one)
        gpu_j = exact.gpu_j if exact else self.gpu_j / self.moment
        kg_per_j = exact.kg_per_gpu_j if exact else self.embodied_kg / self.gpu_j if self.gpu_j else one
        made["embodied", *key] = Product(*activity, gpu_j, one, one, kg_per_j)
        return made


def _by_moment(cell: Cell, vector: Vector) -> Iterable[tuple[str, _Constants, Decimal, Decimal, Decimal]]:
    """For each moment: its name, constants, sum, facility kWh, and kg of use."""
    weight, to_kg = Decimal(WEIGHT_UNITS), Decimal(INTENSITY_UNITS_PER_G) * 1000
    pue, made = vector.facility_factor, vector.embodied_g_per_gpu_j / 1000
    is_reported, nothing = cell.basis in REPORTED, Decimal(0)
    for name, joules, moment, weighted in zip(
        Moments._fields, vector.joules, cell.moments, cell.weighted, strict=True
    ):
        if moment:
            # energy that was reported is on the row: its tokens burn none, and wear the hardware all the same
            it_kwh = nothing if is_reported else joules * vector.server_factor / J_PER_KWH
            kwh = it_kwh * pue / weight
            yield (
                name,
                _Constants(it_kwh, joules, pue, made),
                moment / weight,
                kwh * moment,
                kwh * weighted / to_kg,
            )
    if is_reported and cell.energy:
        kwh = Decimal(cell.energy) / ENERGY_UNITS_PER_KWH / weight
        kg = Decimal(cell.energy_weighted) / ENERGY_UNITS_PER_KWH / weight / to_kg
        # it is of the facility: what is left of it inside is 1 / PUE
        yield _REPORTED, _Constants(1 / pue, nothing, pue, made), kwh, kwh, kg


def _logarithmic_mean(a: Decimal, b: Decimal) -> Decimal:
    # Nearly equal values leave too few digits in their difference; their mean is L to delta^2 / 12.
    if abs(a / b - 1) < _NEAR:
        return (a + b) / 2
    return (a - b) / (a / b).ln()
