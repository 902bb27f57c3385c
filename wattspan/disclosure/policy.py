"""What happens to a published figure when a better one comes: the classes of change and their rules.

research: disclosure 7.3. A later, better coefficient changes an estimate: what used properly what was known
then was not wrong, and stands. Only misuse of what was there (a wrong unit, lost calls, a wrong region) is an
error, and withdraws; small ones are noted and add up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final

from wattspan.disclosure.figure import Sealed
from wattspan.disclosure.numbers import exactly
from wattspan.disclosure.subject import ChangeClass, Method

RESTATE_FROM: Final = Decimal("0.05")
"""An error of this share of the figure, alone or with those noted before, is restated: the share from which a
base year is usually recalculated (GHG Protocol)."""

BECOMES: Final[Mapping[ChangeClass, str]] = {
    "first": "",
    "new-period": "active",
    "method-change": "active",
    "dataset-vintage": "active",
    "boundary-change": "active",
    "estimate-revision": "superseded",
    "error-correction": "withdrawn",
}
"""What the figure before becomes, by the class of the change. All of them resolve, verify and reproduce."""

_DATA: Final = ("annex/", "grid/", "odbl/", "facilities.csv", "regions.csv")
"""Values of feeds, and files of an edition that are data of a year: a newer vintage is no other method."""


def change_class(old: Method, old_rows: Sealed, new: Method, new_rows: Sealed) -> ChangeClass:
    """The class of the change from the figure of an earlier period."""
    if _counts_compute(old_rows) != _counts_compute(new_rows):
        return "boundary-change"
    if is_same(old, new):
        return "new-period"
    if _ways(old) != _ways(new):
        return "method-change"
    changed = set(_digests(old).items()) ^ set(_digests(new).items())
    if not changed:
        return "new-period"
    return "dataset-vintage" if all(name.startswith(_DATA) for name, _ in changed) else "method-change"


def is_same(old: Method, new: Method) -> bool:
    """Whether two figures were made by one methodology, data sets and all."""
    return (old.edition_digest, _ways(old)) == (new.edition_digest, _ways(new))


def reason_of(kind: ChangeClass, old: Method, new: Method) -> str:
    """What a change of that class is, in words; "" where the class says all."""
    said = {
        "method-change": f"methodology {old.id} to {new.id}",
        "dataset-vintage": f"data sets of {old.id} to those of {new.id}",
        "boundary-change": "the application's own compute is counted in one of the two periods",
    }.get(kind, "")
    if kind == "boundary-change" and not is_same(old, new):
        said += f"; methodology {old.id} to {new.id}"
    return said


def is_restated(published: Decimal, corrected: Decimal, noted: Iterable[Decimal]) -> bool:
    """Whether an error is too large for a note.

    `published`, `corrected`: the figure as it stands and as it is right; `noted`: the corrected figures of
    the notes before, in their order. Errors add up by size, also where they cancel each other.
    """
    with exactly():
        steps = [published, *noted, corrected]
        together = sum((abs(b - a) for a, b in pairwise(steps)), Decimal(0))
        return max(together, abs(corrected - published)) >= RESTATE_FROM * published


def _counts_compute(rows: Sealed) -> bool:
    return any(cell.basis == "compute" for cell in rows.cells)


def _ways(method: Method) -> tuple[str, ...]:
    return method.signal, method.factor_type, method.gap_rule, method.rules_version


def _digests(method: Method) -> dict[str, Any]:
    return {dataset["name"]: dataset["sha256"] for dataset in method.datasets}
