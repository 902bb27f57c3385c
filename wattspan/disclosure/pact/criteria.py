"""What a recipient asks for: values of one criterion are alternatives, criteria hold together (PACT 3.0).

The same for `GET /3/footprints` and for a RequestCreatedEvent. Texts are compared without regard to case.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from wattspan.disclosure.pact.grammar import time_of, years_later
from wattspan.disclosure.pact.regions import around
from wattspan.disclosure.pact.rules import MOST_VALIDITY_YEARS
from wattspan.disclosure.pact.schema import GEOGRAPHY

TEXTS: Final = ("productId", "companyId", "geography", "classification", "status")
TIMES: Final = ("validOn", "validAfter", "validBefore")
MOST_VALUES: Final = 1000
_OTHER_FORMS: Final = {"urn:pact:productclassification:un-cpc:": "urn:cpc:"}
"""Classes that PACT's documents write in two forms."""


class CriteriaError(ValueError):
    """A criterion that does not exist, or whose value cannot be one: which, and what is allowed."""


@dataclass(frozen=True, slots=True)
class Criteria:
    """Criteria without values are not asked."""

    texts: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """By name, folded."""
    times: Mapping[str, dt.datetime] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.texts or self.times)

    def holds(self, footprint: Mapping[str, Any]) -> bool:
        """Whether a footprint is asked for."""
        return all(
            not wanted.isdisjoint(_stated(name, footprint)) for name, wanted in self.texts.items()
        ) and self._is_valid_then(footprint)

    def _is_valid_then(self, footprint: Mapping[str, Any]) -> bool:
        if not self.times:
            return True
        start, end = validity(footprint)
        at, after, before = (self.times.get(name) for name in TIMES)
        return (
            (at is None or start <= at <= end)
            and (after is None or start > after)
            and (before is None or end < before)
        )


def criteria(given: Iterable[tuple[str, str]]) -> Criteria:
    """Criteria from names and values; a name may come several times, and in any case. Raises CriteriaError.

    Empty values are no values. A criterion that is not known is refused: to skip it would answer another
    question.
    """
    known = {name.lower(): name for name in (*TEXTS, *TIMES)}
    texts: dict[str, set[str]] = {}
    times: dict[str, dt.datetime] = {}
    for count, (as_given, value) in enumerate(given):
        name = known.get(as_given.lower())
        if name is None:
            raise CriteriaError(
                f"{as_given[:60]!r} is not a criterion; allowed: {', '.join(known.values())}, limit"
            )
        if count >= MOST_VALUES:
            raise CriteriaError(f"more than {MOST_VALUES} values of criteria; ask several times")
        if not value:
            continue
        if name in TEXTS:
            texts.setdefault(name, set()).add(_folded(name, value))
            continue
        moment = time_of(value)
        if moment is None or (name in times and times[name] != moment):
            raise CriteriaError(f"{name} is {value[:60]!r}; allowed: one time such as 2026-07-01T00:00:00Z")
        times[name] = moment
    return Criteria({name: frozenset(values) for name, values in texts.items()}, times)


def validity(footprint: Mapping[str, Any]) -> tuple[dt.datetime, dt.datetime]:
    """When a footprint is valid: as it says, else for three years from the end of its reference period."""
    reference_end = _moment(footprint["pcf"]["referencePeriodEnd"])
    start, end = footprint.get("validityPeriodStart"), footprint.get("validityPeriodEnd")
    return (
        reference_end if start is None else _moment(start),
        years_later(reference_end, MOST_VALIDITY_YEARS) if end is None else _moment(end),
    )


def _moment(text: str) -> dt.datetime:
    found = time_of(text)
    assert found is not None, "only footprints without a fault are handed out"
    return found


def _stated(name: str, footprint: Mapping[str, Any]) -> set[str]:
    """What a footprint says where a criterion asks, folded."""
    if name == "status":
        values: Iterable[str] = (footprint["status"],)
    elif name == "geography":
        levels = [footprint["pcf"][level] for level in GEOGRAPHY if level in footprint["pcf"]]
        values = (*levels, *(place for level in levels for place in around(level)))
    else:
        values = footprint.get(
            {
                "productId": "productIds",
                "companyId": "companyIds",
                "classification": "productClassifications",
            }[name],
            (),
        )
    return {_folded(name, value) for value in values}


def _folded(name: str, value: str) -> str:
    folded = value.casefold()
    if name == "classification":
        for other, form in _OTHER_FORMS.items():
            if folded.startswith(other):
                return form + folded.removeprefix(other)
    return folded
