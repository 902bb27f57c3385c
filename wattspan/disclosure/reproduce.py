"""`reproduce`: a sealed folder reckoned again, from itself alone, and compared to the last digit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from wattspan.disclosure import canonical
from wattspan.disclosure.columns import statement
from wattspan.disclosure.figure import Sealed, reckon
from wattspan.disclosure.folder import STATEMENT, FolderError, read_sealed
from wattspan.disclosure.subject import Subject


def _first(subject: Subject, sealed: Sealed) -> dict[str, Any]:
    return statement(subject, reckon(sealed, subject.feature.key))


INTERPRETERS: Final[Mapping[int, Callable[[Subject, Sealed], dict[str, Any]]]] = {1: _first}
"""Every arithmetic that ever sealed a disclosure, by its number. Old ones never change: golden disclosures
hold them."""


def recomputed(files: Mapping[str, bytes]) -> bytes:
    """`disclosure.json` as the sealed inputs give it. Raises FolderError, CellsError or CanonicalError."""
    subject, sealed, number = read_sealed(files)
    interpreter = INTERPRETERS.get(number)
    if interpreter is None:
        raise FolderError(
            f"sealed by interpreter {number}; this Wattspan has {sorted(INTERPRETERS)}: install a newer one"
        )
    return canonical.written(interpreter(subject, sealed))


def differences(files: Mapping[str, bytes]) -> list[str]:
    """What differs between the sealed statement and the recomputed one, a line each."""
    sealed = files.get(STATEMENT)
    if sealed is None:
        raise FolderError(f"{STATEMENT} is missing")
    again = recomputed(files)
    if again == sealed:
        return []
    found: list[str] = []
    _compare("", canonical.read(sealed, STATEMENT), canonical.read(again, "the recomputed one"), found)
    return found or [f"{STATEMENT}: the bytes differ"]


def _compare(place: str, sealed: Any, again: Any, found: list[str]) -> None:
    if isinstance(sealed, dict) and isinstance(again, dict):
        for key in sorted(sealed.keys() | again.keys()):
            _compare(f"{place}.{key}".lstrip("."), sealed.get(key), again.get(key), found)
    elif isinstance(sealed, list) and isinstance(again, list) and len(sealed) == len(again):
        for index, (one, other) in enumerate(zip(sealed, again, strict=True)):
            _compare(f"{place}[{index}]", one, other, found)
    elif sealed != again:
        found.append(f"{place}: sealed {sealed!r}, recomputed {again!r}")
