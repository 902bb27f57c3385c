"""`reckon`: the figures of one feature and period from sealed daily rows, in decimals, in a fixed order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property
from typing import Final, Literal, NamedTuple, TypedDict

from wattspan.disclosure.band import Errors, Interval, Term, interval
from wattspan.disclosure.cells import (
    ENERGY_UNITS_PER_KWH,
    INTENSITY_UNITS_PER_G,
    REPORTED,
    WEIGHT_UNITS,
    WITHOUT_FIGURE,
    Cell,
    RequestCount,
    summed,
)
from wattspan.disclosure.coefficients import Vector
from wattspan.disclosure.contracts import Contract
from wattspan.disclosure.numbers import exactly
from wattspan.disclosure.rules import MIXES, Rules

PER: Final = 1000
"""Completed inferences of the functional unit."""
G_PER_KG: Final = 1000

GapRule = Literal["mean_of_model", "none"]
"""How calls without usage are filled: with the mean of those of their feature and model (else of their
feature), or not at all."""


class Spread(NamedTuple):
    """The errors of cells that name it."""

    energy: Errors
    carbon: Errors


class NoFigureError(ValueError):
    """The rows have no figure to disclose; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """Everything a figure is reckoned from, and nothing else."""

    cells: Sequence[Cell]
    requests: Sequence[RequestCount]
    vectors: Mapping[str, Vector]
    spreads: Mapping[str, Spread]
    rules: Rules
    gap_rule: GapRule
    contracts: Sequence[Contract] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """What one cell adds to the period, or what fills the gap of one model."""

    cell: Cell
    energy_kwh: Decimal
    use_g: Decimal
    embodied_g: Decimal
    water_l: Decimal | None
    direct_g: Decimal | None
    """Use by direct factors; None where the place has none."""
    is_gap: bool = False
    share: Decimal = Decimal(1)
    """How much of its cell it is: 1, or what fills a gap."""

    @property
    def co2e_g(self) -> Decimal:
        """Use and manufacture."""
        return self.use_g + self.embodied_g

    def times(self, share: Decimal) -> Part:
        """The part that stands for `share` as many calls, filling a gap."""
        return Part(
            self.cell,
            self.energy_kwh * share,
            self.use_g * share,
            self.embodied_g * share,
            None if self.water_l is None else self.water_l * share,
            None if self.direct_g is None else self.direct_g * share,
            is_gap=True,
            share=share,
        )


@dataclass(frozen=True)
class Figure:
    """The figures of one feature over one period; totals of the period unless the name says otherwise."""

    completed: Decimal
    failed: Decimal
    calls: Decimal
    """Calls that did not fail, with and without usage."""
    calls_without_usage: Decimal
    request_coverage: Decimal
    """Share of completed inferences all of whose calls have usage."""
    parts: tuple[Part, ...]
    energy_kwh: Decimal
    use_kg: Decimal
    embodied_kg: Decimal
    gap_kg: Decimal
    """Part of use and embodied that fills gaps."""
    market_kg: Decimal | None
    """Use by the contracts' factors; None where they do not cover all the energy."""
    market_share: Decimal
    """Share of the energy that contracts cover."""
    contracts: tuple[Contract, ...]
    """Those that were used."""
    direct_kg: Decimal | None
    """Use by direct factors; None where some place has none."""
    water_on_site_l: Decimal | None
    water_known_share: Decimal
    """Share of the energy whose site publishes its water use."""
    terms: tuple[Term, ...]
    """Use and embodied with their errors, kg."""
    mix: Mapping[str, Decimal]
    """Share of the carbon by measured, provider_disclosed, modelled, proxy; they add up to 1."""
    technology: Decimal
    geography: Decimal
    time: Decimal

    @cached_property
    def band(self) -> Interval:
        """Of use and embodied together, kg; a figure that is only compared needs none."""
        return interval(self.terms)

    @property
    def co2e_kg(self) -> Decimal:
        """Location-based, use and embodied."""
        with exactly():
            return self.use_kg + self.embodied_kg

    @property
    def co2e_per_1000_kg(self) -> Decimal:
        """The headline."""
        return self.per_1000(self.co2e_kg)

    def per_1000(self, value: Decimal) -> Decimal:
        """A total of the period for 1,000 completed inferences."""
        with exactly():
            return value * PER / self.completed


def reckon(sealed: Sealed, feature: str) -> Figure:
    """The figures of `feature`. Raises NoFigureError where nothing completed, or nothing has a figure."""
    with exactly():
        return _reckon(sealed, feature)


def parts_of_days(sealed: Sealed, feature: str) -> tuple[Part, ...]:
    """The parts of a figure with each day apart: they add up to those of `reckon`."""
    with exactly():
        return tuple(_parts(sealed, _cells(sealed, feature)))


def _cells(sealed: Sealed, feature: str) -> list[Cell]:
    return sorted((c for c in sealed.cells if c.feature == feature), key=lambda cell: cell.key)


def _parts(sealed: Sealed, cells: Sequence[Cell]) -> list[Part]:
    parts = parts_of(replace(sealed, cells=cells))
    if parts and sealed.gap_rule == "mean_of_model":
        parts += _gaps(parts, [cell for cell in cells if cell.basis == "no_usage"])
    return parts


def _reckon(sealed: Sealed, feature: str) -> Figure:
    counts = [r for r in sealed.requests if r.feature == feature]
    completed, failed, covered = (
        Decimal(sum(getattr(r, name) for r in counts)) / WEIGHT_UNITS
        for name in ("completed", "failed", "covered")
    )
    if not completed:
        raise NoFigureError(
            f"feature {feature!r} has no completed inference in the period: nothing can be stated per 1,000; "
            "look at `wattspan report --by feature`"
        )
    cells = over_days(_cells(sealed, feature), sealed.contracts)
    parts = _parts(sealed, cells)
    if not parts:
        raise NoFigureError(
            f"feature {feature!r} has no call with a figure in the period: its spans carry no usage"
        )
    without = [cell for cell in cells if cell.basis == "no_usage"]
    gap_calls = Decimal(sum(cell.calls for cell in without)) / WEIGHT_UNITS
    with_calls = Decimal(sum(p.cell.calls for p in parts if not p.is_gap and p.cell.basis != "compute"))
    use_g, embodied_g = _sum(p.use_g for p in parts), _sum(p.embodied_g for p in parts)
    total_g = use_g + embodied_g
    energy_kwh = _sum(p.energy_kwh for p in parts)
    watered = [p for p in parts if p.water_l is not None]
    mix = dict.fromkeys(MIXES, Decimal(0))
    for part in parts:
        kind = "proxy" if part.is_gap else sealed.rules.mix(part.cell.basis, part.cell.evidence)
        mix[kind] += part.co2e_g
    return Figure(
        completed=completed,
        failed=failed,
        calls=with_calls / WEIGHT_UNITS + gap_calls,
        calls_without_usage=gap_calls,
        request_coverage=covered / completed,
        parts=tuple(parts),
        energy_kwh=energy_kwh,
        use_kg=use_g / G_PER_KG,
        embodied_kg=embodied_g / G_PER_KG,
        gap_kg=_sum(p.co2e_g for p in parts if p.is_gap) / G_PER_KG,
        **_market(sealed.contracts, parts, energy_kwh),
        direct_kg=_all([part.direct_g for part in parts], G_PER_KG),
        water_on_site_l=_all([part.water_l for part in parts]),
        water_known_share=_sum(p.energy_kwh for p in watered) / energy_kwh,
        terms=tuple(terms_of(sealed, parts)),
        mix={kind: value / total_g for kind, value in mix.items()},
        technology=_rating(parts, lambda p: 5 if p.is_gap else sealed.rules.technology(p.cell.evidence)),
        geography=_rating(parts, lambda p: sealed.rules.geography(p.cell.region_source)),
        time=_rating(parts, lambda p: _time(sealed.rules, p.cell)),
    )


def over_days(cells: Iterable[Cell], contracts: Sequence[Contract] = ()) -> list[Cell]:
    """Rows that differ by their day alone as one, of the first day: whole numbers lose nothing.

    Rows of another year, or under another contract, stay apart: both are looked at by day.
    """
    alike: dict[tuple[object, ...], list[Cell]] = {}
    for cell in cells:
        contract = next((place for place, one in enumerate(contracts) if one.covers(cell)), -1)
        alike.setdefault((*cell.key[1:], cell.day[:4], contract), []).append(cell)
    return [summed(same) for same in alike.values()]


def parts_of(sealed: Sealed) -> list[Part]:
    """What each row with a figure adds, in the order of the rows; under `numbers.exactly`."""
    return [_part(sealed, cell) for cell in sealed.cells if cell.basis not in WITHOUT_FIGURE]


def _part(sealed: Sealed, cell: Cell) -> Part:
    vector = sealed.vectors[cell.vector]
    carbon_units = Decimal(WEIGHT_UNITS) * INTENSITY_UNITS_PER_G
    embodied_g = vector.embodied_g(cell.moments) / WEIGHT_UNITS
    if cell.basis in REPORTED:
        energy_kwh = Decimal(cell.energy) / ENERGY_UNITS_PER_KWH / WEIGHT_UNITS
        use_g = Decimal(cell.energy_weighted) / ENERGY_UNITS_PER_KWH / carbon_units
    else:
        energy_kwh = vector.energy_kwh(cell.moments) / WEIGHT_UNITS
        use_g = vector.energy_kwh(cell.weighted) / carbon_units
    direct_g = energy_kwh * int(cell.direct) / INTENSITY_UNITS_PER_G if cell.direct else None
    return Part(cell, energy_kwh, use_g, embodied_g, vector.water_l(energy_kwh), direct_g)


def _gaps(parts: Sequence[Part], without: Sequence[Cell]) -> list[Part]:
    """Parts that stand for the calls without usage: as the calls of their model, else of the feature."""
    missing: dict[tuple[str, str], int] = {}
    for cell in without:
        key = cell.model, cell.provider
        missing[key] = missing.get(key, 0) + cell.calls
    filled = []
    called = [part for part in parts if part.cell.basis != "compute"]
    for (model, provider), calls in sorted(missing.items()):
        like = [p for p in called if (p.cell.model, p.cell.provider) == (model, provider)] or called
        if not like:
            continue
        share = Decimal(calls) / sum(part.cell.calls for part in like)
        filled += [part.times(share) for part in like]
    return filled


def terms_of(sealed: Sealed, parts: Sequence[Part]) -> list[Term]:
    """Kilograms with their errors, one term for each part's use and manufacture."""
    rows: dict[str, int] = {}
    for part in parts:
        if not part.is_gap and part.cell.sampling != "all":
            rows[part.cell.feature] = rows.get(part.cell.feature, 0) + part.cell.rows
    terms = []
    for part in parts:
        spread = sealed.spreads[part.cell.spread]
        extra: list[tuple[str, Decimal]] = []
        if part.is_gap:
            extra.append((f"coverage:{part.cell.feature}", sealed.rules.ln_g("coverage")))
        if part.cell.sampling != "all":
            n = rows[part.cell.feature]
            extra.append((f"sampling:{part.cell.feature}", sealed.rules.sampling_ln_g(n)))
        hardware = ("hardware", sealed.rules.ln_g("hardware"))
        terms.append(Term(part.use_g / G_PER_KG, tuple(sorted((*spread.carbon, *extra)))))
        terms.append(Term(part.embodied_g / G_PER_KG, tuple(sorted((*spread.energy, *extra, hardware)))))
    return terms


class _Market(TypedDict):
    market_kg: Decimal | None
    market_share: Decimal
    contracts: tuple[Contract, ...]


def _market(contracts: Sequence[Contract], parts: Sequence[Part], energy_kwh: Decimal) -> _Market:
    """Use by contract: the first contract that covers a part gives its factor."""
    used: list[Contract] = []
    kg = covered_kwh = Decimal(0)
    for part in parts:
        contract = next((c for c in contracts if c.covers(part.cell)), None)
        if contract is None:
            continue
        if contract not in used:
            used.append(contract)
        kg += part.energy_kwh * contract.g_per_kwh / G_PER_KG
        covered_kwh += part.energy_kwh
    is_all = covered_kwh == energy_kwh
    return {
        "market_kg": kg if is_all else None,
        "market_share": covered_kwh / energy_kwh,
        "contracts": tuple(used),
    }


def _rating(parts: Sequence[Part], rating: Callable[[Part], int]) -> Decimal:
    total = _sum(part.co2e_g for part in parts)
    return _sum(part.co2e_g * rating(part) for part in parts) / total


def _time(rules: Rules, cell: Cell) -> int:
    return rules.time(cell.grid_resolution, cell.grid_source, int(cell.day[:4]))


def _all(values: Sequence[Decimal | None], per: int = 1) -> Decimal | None:
    """The sum in units of `per`; None where one is missing."""
    known = [value for value in values if value is not None]
    return _sum(known) / per if len(known) == len(values) else None


def _sum(values: Iterable[Decimal]) -> Decimal:
    return sum(values, Decimal(0))
