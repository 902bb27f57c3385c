"""`Carbon`: a mass of CO2e that knows its kind, and adds up with its own kind only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic

from wattspan.grid.intensity import (
    FactorT,
    Intensity,
    Kind,
    MixedKindsError,
    OneFactorT,
    OneSignalT,
    SignalT,
    kind_text,
)


@dataclass(frozen=True, slots=True)
class Carbon(Generic[SignalT, FactorT]):
    """Grams CO2e of one kind.

    `Carbon[Average, Lifecycle] + Carbon[Marginal, Direct]` is an error for a type checker. Where only the
    configuration knows the kind (a bare `Carbon`), it is a MixedKindsError at run time.
    """

    g: float
    kind: Kind[SignalT, FactorT]

    def __add__(self, other: Carbon[SignalT, FactorT]) -> Carbon[SignalT, FactorT]:
        """The sum. Raises MixedKindsError."""
        refuse_mixed(self.kind, other.kind)
        return Carbon(self.g + other.g, self.kind)

    def __sub__(self, other: Carbon[SignalT, FactorT]) -> Carbon[SignalT, FactorT]:
        """The difference. Raises MixedKindsError."""
        refuse_mixed(self.kind, other.kind)
        return Carbon(self.g - other.g, self.kind)


def emitted(energy_kwh: float, intensity: Intensity[SignalT, FactorT]) -> Carbon[SignalT, FactorT]:
    """What `energy_kwh` of electricity emit at an intensity; NaN grams where it has no figure."""
    return Carbon(energy_kwh * intensity.g_per_kwh, intensity.kind)


def added(masses: Iterable[Carbon[OneSignalT, OneFactorT]]) -> Carbon[OneSignalT, OneFactorT]:
    """The sum of masses of one kind. Raises MixedKindsError, ValueError if there is none."""
    rest = iter(masses)
    total = next(rest, None)
    if total is None:
        raise ValueError("no mass given, so the sum would have no kind")
    for mass in rest:
        total = total + mass
    return total


def refuse_mixed(one: Kind, other: Kind) -> None:
    """Raise MixedKindsError where two kinds differ."""
    if one != other:
        raise MixedKindsError(
            f"{kind_text(one)} and {kind_text(other)} carbon cannot be put together; "
            "choose one kind in the configuration"
        )
