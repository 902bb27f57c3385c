"""`Comparison`: a figure beside the one before it: what the change is made of, and the revised comparative.

research: disclosure 7.4. Where period and method both change, two steps that are never put into one bar:
activity first, by the old method on the data of both periods, then method, on the new data. The period before
is shown under both methods (IFRS S1 B50: the revised comparative, the difference, the reason).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final, NamedTuple

from wattspan.disclosure.bridge import Key, bridge, by_constants, products
from wattspan.disclosure.cells import Cell
from wattspan.disclosure.figure import Figure, Sealed, reckon
from wattspan.disclosure.numbers import exactly, percent, shown, written
from wattspan.disclosure.restatement import Kind, Restatement, kind_of
from wattspan.disclosure.subject import Subject

PER_1000: Final = Decimal(1000)
PER_1000_TEXT: Final = "per 1,000 inferences"
REVISED: Final = "revised comparative"
"""Label of the period before under the new methodology."""
_UNITS: Final[tuple[tuple[str, str, Decimal | None], ...]] = (
    ("total of the period", "kgCO2e", None),
    (PER_1000_TEXT, "kgCO2e / 1,000", PER_1000),
)


@dataclass(frozen=True, slots=True)
class Crossing:
    """Between two methodologies: what rows of the one become under the other."""

    forward: Restatement
    """Rows of the figure before, under the new methodology."""
    backward: Restatement
    """Rows of the new figure, under the old one."""


@dataclass(frozen=True, slots=True)
class Previous:
    """The figure before, as it was sealed."""

    subject: Subject
    sealed: Sealed
    crossing: Crossing | None
    """None where the methodology is the same."""


class _Side(NamedTuple):
    sealed: Sealed
    figure: Figure


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is sealed of it."""

    bridge: Mapping[str, Any]
    """`bridge.json`."""
    comparative: Mapping[str, Any] | None
    """`comparative.json`; None where methodology and boundary are the same."""


def compared(subject: Subject, sealed: Sealed, figure: Figure, previous: Previous) -> Comparison:
    """The comparison of a figure with the one before. Raises NoFigureError where that has none."""
    old_key, key = previous.subject.feature.key, subject.feature.key
    crossing = previous.crossing
    before = _side(previous.sealed, old_key)
    after = _Side(sealed, figure)
    # what only one of the two counts is taken off it first, and put back in a step of its own
    is_wider, is_narrower = _widens(previous.sealed, sealed), _widens(sealed, previous.sealed)
    first = _side(_within(previous.sealed), old_key) if is_narrower else before
    last = _side(_within(sealed), key) if is_wider else after
    middle = last if crossing is None else _side(crossing.backward.apply(last.sealed), key)
    steps = [] if first is before else _boundary_steps(before, first)
    name = "Activity" if crossing is None else "Activity, by the old method"
    steps += _steps("activity", name, first, middle, by_constants, by_constants)
    if crossing is not None:
        after_kind = crossing.backward.kind_after
        steps += _steps("method", "Method, on the new data", middle, last, kind_of, after_kind)
    if last is not after:
        steps += _boundary_steps(last, after)
    bridge_content = _bridge(previous, subject, steps)
    if crossing is None and not is_wider and not is_narrower:
        return Comparison(bridge_content, None)
    rows = [_row("as published", previous.subject, previous.subject, before, set())]
    if crossing is not None:
        revised = _side(crossing.forward.apply(previous.sealed), old_key)
        kept = crossing.forward.stays(previous.sealed.cells)
        rows.append(_row(REVISED, previous.subject, subject, revised, kept))
        kept = crossing.backward.stays(last.sealed.cells)
        rows.append(_row("new figure by the old method", subject, previous.subject, middle, kept))
    if last is not after:
        rows.append(_row("new figure within the old boundary", subject, subject, last, set()))
    rows.append(_row("new figure", subject, subject, after, set()))
    comparative = {
        "previous_id": previous.subject.id,
        "id": subject.id,
        "rows": rows,
        **_difference(rows),
        "reason": subject.change.reason,
    }
    return Comparison(bridge_content, comparative)


def _side(sealed: Sealed, feature: str) -> _Side:
    return _Side(sealed, reckon(sealed, feature))


def _widens(one: Sealed, other: Sealed) -> bool:
    """Whether `other` counts the application's own compute and `one` does not."""
    return _has_compute(other) and not _has_compute(one)


def _has_compute(sealed: Sealed) -> bool:
    return any(cell.basis == "compute" for cell in sealed.cells)


def _within(sealed: Sealed) -> Sealed:
    """The rows of model calls alone."""
    return replace(sealed, cells=tuple(cell for cell in sealed.cells if cell.basis != "compute"))


def _difference(rows: list[dict[str, str]]) -> dict[str, str]:
    """Of the period before, between the two methodologies."""
    published, *others = rows
    revised = next((row for row in others if row["label"] == REVISED), published)
    with exactly():
        old, new = (Decimal(row["exact_kg_per_1000"]) for row in (published, revised))
        return {
            "difference_kg_per_1000": written(new - old),
            "difference_percent": percent((new - old) / old) if old else percent(Decimal(0)),
        }


def _boundary_steps(before: _Side, after: _Side) -> list[dict[str, Any]]:
    made = []
    for of, unit, per in _UNITS:
        with exactly():
            values = [
                side.figure.co2e_kg if per is None else side.figure.co2e_per_1000_kg
                for side in (before, after)
            ]
            made.append(
                {
                    "name": f"Boundary, {of}",
                    "step": "boundary",
                    "of": of,
                    "unit": unit,
                    "before": written(values[0]),
                    "after": written(values[1]),
                    "effects": {"boundary": written(values[1] - values[0])},
                }
            )
    return made


def _steps(
    kind: str,
    name: str,
    before: _Side,
    after: _Side,
    label_before: Callable[[Cell], Key],
    label_after: Callable[[Cell], Key],
) -> list[dict[str, Any]]:
    made = []
    for of, unit, per in _UNITS:
        sides = (
            products(side.sealed, side.figure, label=label, per_inferences=per)
            for side, label in ((before, label_before), (after, label_after))
        )
        found = bridge(*sides)
        made.append({"name": f"{name}, {of}", "step": kind, "of": of, "unit": unit, **found.to_json()})
    return made


def _bridge(previous: Previous, subject: Subject, steps: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "from": previous.subject.id,
        "to": subject.id,
        "steps": steps,
        "sums": [_sum(of, unit, [step for step in steps if step["of"] == of]) for of, unit, _ in _UNITS],
    }


def _sum(of: str, unit: str, steps: list[dict[str, Any]]) -> dict[str, str]:
    """From the first figure to the last by way of each step, and what is left over."""
    with exactly():
        effects = {s["step"]: sum(map(Decimal, s["effects"].values()), Decimal(0)) for s in steps}
        before, after = Decimal(steps[0]["before"]), Decimal(steps[-1]["after"])
        left = after - before - sum(effects.values(), Decimal(0))
        return {
            "of": of,
            "unit": unit,
            "before": steps[0]["before"],
            **{step: written(value) for step, value in effects.items()},
            "after": steps[-1]["after"],
            "residual": written(left),
        }


def _row(label: str, period: Subject, method: Subject, side: _Side, kept: set[Kind]) -> dict[str, str]:
    """A period under a methodology; `kept`: kinds of rows that the methodology says nothing of."""
    figure = side.figure
    with exactly():
        values = {
            "kwh_per_1000": figure.per_1000(figure.energy_kwh),
            "kg_per_1000": figure.co2e_per_1000_kg,
            "kg_per_1000_low95": figure.per_1000(figure.band.low),
            "kg_per_1000_high95": figure.per_1000(figure.band.high),
            "kg_total": figure.co2e_kg,
        }
        stayed_g = sum((p.co2e_g for p in figure.parts if kind_of(p.cell) in kept), Decimal(0))
        return {
            "label": label,
            "period": period.period.label,
            "methodology": method.method.id,
            **{name: shown(value) for name, value in values.items()},
            "exact_kg_per_1000": written(values["kg_per_1000"]),
            "as_declared_percent": percent(stayed_g / (figure.co2e_kg * 1000)),
        }
