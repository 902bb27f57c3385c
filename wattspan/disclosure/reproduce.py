"""`reproduce`: a sealed folder reckoned again, from itself alone, and compared to the last digit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from wattspan.disclosure import canonical
from wattspan.disclosure.columns import statement
from wattspan.disclosure.comparison import compared
from wattspan.disclosure.figure import reckon
from wattspan.disclosure.folder import (
    BRIDGE,
    COMPARATIVE,
    INTERPRETER,
    STATEMENT,
    Content,
    FolderError,
    read_content,
)

RECKONED: Final = (STATEMENT, BRIDGE, COMPARATIVE)
"""The files that arithmetic makes of the others."""


def _first(content: Content) -> dict[str, Any]:
    """The reckoned files, by path."""
    figure = reckon(content.sealed, content.subject.feature.key)
    if content.previous is None:
        return {STATEMENT: statement(content.subject, figure)}
    comparison = compared(content.subject, content.sealed, figure, content.previous)
    made: dict[str, Any] = {
        STATEMENT: statement(content.subject, figure, comparison),
        BRIDGE: comparison.bridge,
    }
    if comparison.comparative is not None:
        made[COMPARATIVE] = comparison.comparative
    return made


INTERPRETERS: Final[Mapping[int, Callable[[Content], dict[str, Any]]]] = {1: _first}
"""Every arithmetic that ever sealed a disclosure, by its number. Old ones never change: golden disclosures
hold them."""


def reckoned_files(content: Content, interpreter: int = INTERPRETER) -> dict[str, bytes]:
    """The reckoned files as they are sealed. Raises FolderError for an interpreter that is not here."""
    made = INTERPRETERS.get(interpreter)
    if made is None:
        raise FolderError(
            f"sealed by interpreter {interpreter}; this Wattspan has {sorted(INTERPRETERS)}: install a newer "
            "one"
        )
    return {name: canonical.written(found) for name, found in made(content).items()}


def differences(files: Mapping[str, bytes]) -> list[str]:
    """What differs between the sealed files and the recomputed ones, a line each.

    Raises FolderError, CellsError or CanonicalError where the folder cannot be reckoned.
    """
    if STATEMENT not in files:
        raise FolderError(f"{STATEMENT} is missing")
    again = reckoned_files(*read_content(files))
    found: list[str] = []
    for name in RECKONED:
        sealed, made = files.get(name), again.get(name)
        if sealed == made:
            continue
        if sealed is None or made is None:
            found.append(f"{name}: {'not sealed' if sealed is None else 'nothing in the folder makes it'}")
            continue
        before = len(found)
        prefix = "" if name == STATEMENT else f"{name}: "
        _compare(prefix, "", canonical.read(sealed, name), canonical.read(made, name), found)
        if len(found) == before:
            found.append(f"{name}: the bytes differ")
    return found


def _compare(file: str, place: str, sealed: Any, again: Any, found: list[str]) -> None:
    if isinstance(sealed, dict) and isinstance(again, dict):
        for key in sorted(sealed.keys() | again.keys()):
            _compare(file, f"{place}.{key}".lstrip("."), sealed.get(key), again.get(key), found)
    elif isinstance(sealed, list) and isinstance(again, list) and len(sealed) == len(again):
        for index, (one, other) in enumerate(zip(sealed, again, strict=True)):
            _compare(file, f"{place}[{index}]", one, other, found)
    elif sealed != again:
        found.append(f"{file}{place}: sealed {sealed!r}, recomputed {again!r}")
