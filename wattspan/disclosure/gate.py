"""The gate: why a set of estimates must not be disclosed. Pure; nothing is published around it.

The headline of a disclosure is location-based (disclosure.md 5.2, column 8). GHG Protocol, Scope 2 Guidance
(2015): "Companies shall not use marginal emission factors [...] for a location-based scope 2 calculation".
SCI 1.1 (ISO/IEC 21031:2024) takes location-based intensities too. Everything else here keeps a figure from
being wrong in a way its reader cannot see.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, cast

from wattspan.grid import Kind
from wattspan.grid.intensity import Average, FactorType, kind_text

RELEASED = "released"


class Reason(StrEnum):
    """What stands in the way."""

    NO_FIGURE = "no-figure"
    MARGINAL = "marginal"
    MIXED_SIGNALS = "mixed-signals"
    MIXED_FACTOR_TYPES = "mixed-factor-types"
    UNRELEASED_EDITION = "unreleased-edition"
    SEVERAL_EDITIONS = "several-editions"
    LOW_COVERAGE = "low-coverage"
    UNMAPPED = "unmapped-features"
    OPEN_PERIOD = "open-period"


class Refusal(NamedTuple):
    """One reason, what was found, and what to do."""

    reason: Reason
    found: str
    next_step: str

    def __str__(self) -> str:
        return f"{self.reason}: {self.found}; {self.next_step}"


class RefusedError(ValueError):
    """Estimates that must not be disclosed; `refusals` says why."""

    def __init__(self, refusals: Iterable[Refusal]) -> None:
        self.refusals = tuple(refusals)
        super().__init__("\n".join(map(str, self.refusals)))


class Limits(NamedTuple):
    """Where a gap is too wide."""

    least_coverage: float = 0.95
    """Share of the calls that did not fail with a figure, where no rule for filling the gap is stated."""
    most_unmapped: float = 0.01
    """Share of the energy that belongs to no feature."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is to be known of a set of estimates before any of it is disclosed."""

    kinds: frozenset[Kind]
    """Of every carbon figure in the set."""
    editions: Mapping[str, str]
    """Status (draft, released) by the label of every edition in the set."""
    coverage: float
    """Share of the calls that did not fail with an energy and a carbon figure, 0 to 1."""
    unmapped_share: float
    """Share of the energy that belongs to no feature, 0 to 1."""
    is_period_over: bool
    """The period has ended and is sealed: no span of it can come any more."""
    gap_rule: str = ""
    """How calls without a figure are filled; "" where they are left out."""


def refusals(facts: Facts, limits: Limits | None = None) -> tuple[Refusal, ...]:
    """Every reason why the estimates must not be disclosed; none where they may be."""
    limits = limits or Limits()
    return (*_of_kinds(facts.kinds), *_of_editions(facts.editions), *_of_gaps(facts, limits))


def location_based_kind(kinds: Iterable[Kind]) -> Kind[Average, FactorType]:
    """The one average kind of estimates, as the type of a location-based figure.

    Raises RefusedError where there is none, several, or a marginal one.
    """
    found = frozenset(kinds)
    if refused := _of_kinds(found):
        raise RefusedError(refused)
    (kind,) = found
    return cast(Kind[Average, FactorType], kind)


def _of_kinds(kinds: frozenset[Kind]) -> list[Refusal]:
    found = []
    if not kinds:
        found.append(Refusal(Reason.NO_FIGURE, "no call has a carbon figure", "there is nothing to disclose"))
    named = ", ".join(sorted(map(kind_text, kinds)))
    if any(kind.signal == "marginal" for kind in kinds):
        found.append(
            Refusal(
                Reason.MARGINAL,
                f"carbon is {named}; a location-based inventory must not use marginal factors "
                "(GHG Protocol, Scope 2 Guidance 2015)",
                "estimate anew with grid.signal: average",
            )
        )
    if len({kind.signal for kind in kinds}) > 1:
        found.append(
            Refusal(
                Reason.MIXED_SIGNALS,
                f"carbon is of several kinds: {named}",
                "estimate all of it anew with one configuration",
            )
        )
    if len({kind.factor_type for kind in kinds}) > 1:
        found.append(
            Refusal(
                Reason.MIXED_FACTOR_TYPES,
                f"carbon is of several factor types: {named}; a sum of both is neither",
                "estimate all of it anew with one grid.factor_type",
            )
        )
    return found


def _of_editions(editions: Mapping[str, str]) -> list[Refusal]:
    found = [
        Refusal(
            Reason.UNRELEASED_EDITION,
            f"edition {label} is {status}: its figures may still change",
            "estimate with a released edition",
        )
        for label, status in sorted(editions.items())
        if status != RELEASED
    ]
    if len(editions) > 1:
        found.append(
            Refusal(
                Reason.SEVERAL_EDITIONS,
                f"estimates are of several editions: {', '.join(sorted(editions))}",
                "estimate all of it anew with one edition",
            )
        )
    return found


def _of_gaps(facts: Facts, limits: Limits) -> list[Refusal]:
    found = []
    if facts.coverage < limits.least_coverage and not facts.gap_rule:
        found.append(
            Refusal(
                Reason.LOW_COVERAGE,
                f"{facts.coverage:.1%} of the calls have a figure, {limits.least_coverage:.0%} are needed "
                "where no rule for the rest is stated",
                "state the rule that fills the gap, or find out why spans have no token counts",
            )
        )
    if facts.unmapped_share > limits.most_unmapped:
        found.append(
            Refusal(
                Reason.UNMAPPED,
                f"{facts.unmapped_share:.1%} of the energy belongs to no feature, at most "
                f"{limits.most_unmapped:.0%} may",
                "map it to features",
            )
        )
    if not facts.is_period_over:
        found.append(
            Refusal(
                Reason.OPEN_PERIOD,
                "the period is open: calls of it may still come",
                "wait until its last day is sealed",
            )
        )
    return found
