"""Units of energy, mass and volume as questionnaires ask for them: converted in decimals, never guessed."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from wattspan.disclosure.numbers import exactly

ENERGY: Final[Mapping[str, Decimal]] = {
    "mWh": Decimal(1_000_000),
    "Wh": Decimal(1000),
    "kWh": Decimal(1),
    "MWh": Decimal("0.001"),
    "kJ": Decimal(3600),
    "MJ": Decimal("3.6"),
}
"""How many of each make a kWh."""
MASS: Final[Mapping[str, Decimal]] = {
    "mg": Decimal(1_000_000),
    "g": Decimal(1000),
    "kg": Decimal(1),
    "t": Decimal("0.001"),
}
"""How many of each make a kilogram; of carbon: CO2e."""
VOLUME: Final[Mapping[str, Decimal]] = {"mL": Decimal(1000), "L": Decimal(1), "m3": Decimal("0.001")}
"""How many of each make a litre."""
_KINDS: Final = (ENERGY, MASS, VOLUME)


class UnitError(ValueError):
    """A unit that is unknown, or of another kind than the value: what was found and what is allowed."""


def of_same_kind(unit: str) -> tuple[str, ...]:
    """Every unit that a value in `unit` can be told in. Raises UnitError for an unknown one."""
    return tuple(_kind(unit))


def converted(value: Decimal, unit: str, to: str) -> Decimal:
    """`value` in another unit of its kind: 0.25 kWh is 250 Wh. Raises UnitError."""
    kind = _kind(unit)
    if to not in kind:
        raise UnitError(f"{unit} cannot be told in {to!r}; allowed: {', '.join(kind)}")
    with exactly():
        return value * kind[to] / kind[unit]


def rate(value: Decimal, unit: str, amount: Decimal, *, to: str, per: Decimal) -> Decimal:
    """`value` for `amount` of something, as `to` for `per` of it: 130 kg for 10^9 is 130 g for 10^6."""
    with exactly():
        return converted(value, unit, to) * per / amount


def _kind(unit: str) -> Mapping[str, Decimal]:
    for kind in _KINDS:
        if unit in kind:
            return kind
    known = ", ".join(name for kind in _KINDS for name in kind)
    raise UnitError(f"{unit!r} is no unit; allowed: {known}")
