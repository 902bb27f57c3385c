"""The folder of one disclosure: its files, the manifest over them, and how they are read and written.

    disclosure.json           the 23 columns, canonical
    inputs/aggregates.csv     daily sums, no prompts, no user ids
    inputs/requests.csv       daily inferences
    methodology/method.json   subject, coefficients, errors, rules, contracts
    environment.lock          what computed it
    methodology/tables.json   the lines of the edition's tables behind the coefficients
    methodology/crossing.json what rows become under the methodology of the predecessor, and its under ours
    previous/                 inputs and method of the predecessor, as it was sealed
    bridge.json               the change from the predecessor by cause
    comparative.json          the predecessor's period under both methodologies, where they differ
    manifest.json             path, sha256 and size of the above
    manifest.dsse.json        the signature over the manifest

Renderings are made from `disclosure.json` and are not sealed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from wattspan.disclosure import canonical
from wattspan.disclosure.cells import CellsError, read_cells, read_requests, write_cells, write_requests
from wattspan.disclosure.coefficients import Vector
from wattspan.disclosure.comparison import Crossing, Previous
from wattspan.disclosure.contracts import read_contracts
from wattspan.disclosure.figure import Sealed, Spread
from wattspan.disclosure.numbers import written
from wattspan.disclosure.restatement import Restatement
from wattspan.disclosure.rules import Rules
from wattspan.disclosure.subject import Subject
from wattspan.lake.disk import sync_folder

STATEMENT: Final = "disclosure.json"
AGGREGATES: Final = "inputs/aggregates.csv"
REQUESTS: Final = "inputs/requests.csv"
METHOD: Final = "methodology/method.json"
TABLES: Final = "methodology/tables.json"
CROSSING: Final = "methodology/crossing.json"
PREVIOUS: Final[Mapping[str, str]] = {
    AGGREGATES: "previous/aggregates.csv",
    REQUESTS: "previous/requests.csv",
    METHOD: "previous/method.json",
}
"""Where the files of the predecessor stand in a folder."""
ENVIRONMENT: Final = "environment.lock"
BRIDGE: Final = "bridge.json"
COMPARATIVE: Final = "comparative.json"
MANIFEST: Final = "manifest.json"
SIGNATURE: Final = "manifest.dsse.json"
RENDERINGS: Final = "renderings"
INTERPRETER: Final = 1
"""Version of the arithmetic that reads the folder; older ones stay beside it (`reproduce.INTERPRETERS`)."""


class FolderError(ValueError):
    """A disclosure folder cannot be read or written: which file, what is wrong, what to do."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a folder is reckoned from."""

    subject: Subject
    sealed: Sealed
    previous: Previous | None = None
    """The figure before, where there is one."""


def input_files(content: Content) -> dict[str, bytes]:
    """The sealed files that figures are reckoned from, by path."""
    files = _inputs(content.subject, content.sealed)
    previous = content.previous
    if previous is not None:
        old = _inputs(previous.subject, previous.sealed)
        files |= {PREVIOUS[name]: data for name, data in old.items()}
        if previous.crossing is not None:
            files[CROSSING] = canonical.written(_crossing(previous.crossing))
    return files


def _inputs(subject: Subject, sealed: Sealed) -> dict[str, bytes]:
    return {
        AGGREGATES: write_cells(sealed.cells),
        REQUESTS: write_requests(sealed.requests),
        METHOD: canonical.written(_method(subject, sealed)),
    }


def manifest_of(files: Mapping[str, bytes]) -> bytes:
    """The canonical manifest of files."""
    return canonical.written(
        {
            "schema": "wattspan-manifest/1",
            "files": [
                {"path": path, "sha256": canonical.sha256(data), "size": len(data)}
                for path, data in sorted(files.items())
            ],
        }
    )


def read_content(files: Mapping[str, bytes]) -> tuple[Content, int]:
    """Content and interpreter of a folder's files. Raises FolderError or CellsError."""
    try:
        subject, sealed, interpreter = _read_sealed(files, {name: name for name in PREVIOUS})
        previous = None
        if PREVIOUS[METHOD] in files:
            old_subject, old_sealed, _ = _read_sealed(files, PREVIOUS)
            crossing = None
            if CROSSING in files:
                found = canonical.read(files[CROSSING], CROSSING)
                crossing = Crossing(
                    _restatement(found["forward"], sealed), _restatement(found["backward"], old_sealed)
                )
            previous = Previous(old_subject, old_sealed, crossing)
        return Content(subject, sealed, previous), interpreter
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        if isinstance(error, (FolderError, CellsError, canonical.CanonicalError)):
            raise
        raise FolderError(f"not a whole disclosure: {type(error).__name__} {error}") from error


def _read_sealed(files: Mapping[str, bytes], names: Mapping[str, str]) -> tuple[Subject, Sealed, int]:
    method = canonical.read(files[names[METHOD]], names[METHOD])
    sealed = Sealed(
        cells=read_cells(files[names[AGGREGATES]], names[AGGREGATES]),
        requests=read_requests(files[names[REQUESTS]], names[REQUESTS]),
        vectors=_read_vectors(method["coefficients"]),
        spreads=_read_spreads(method["errors"]),
        rules=Rules(method["rules"]),
        gap_rule=method["gap_rule"],
        contracts=read_contracts(canonical.written(method["contracts"]).decode(), names[METHOD]),
    )
    return Subject.from_json(method["subject"]), sealed, int(method["interpreter"])


def _read_vectors(content: Mapping[str, Any]) -> dict[str, Vector]:
    return {name: Vector.from_json(one) for name, one in content.items()}


def _read_spreads(content: Mapping[str, Any]) -> dict[str, Spread]:
    return {name: Spread(*(_errors(one[kind]) for kind in Spread._fields)) for name, one in content.items()}


def _restatement(content: Mapping[str, Any], like: Sealed) -> Restatement:
    """A restatement to the methodology that made `like`."""
    vectors, spreads = _read_vectors(content["coefficients"]), _read_spreads(content["errors"])
    return Restatement.from_json(content, vectors, spreads, like.rules, like.gap_rule)


def read_files(folder: Path) -> dict[str, bytes]:
    """Every file of a folder but its renderings, by path. Raises FolderError."""
    if not folder.is_dir():
        raise FolderError(f"{folder} is not there; `wattspan disclosure list` names those there are")
    found = {}
    try:
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            if path.is_symlink():
                raise FolderError(f"{name} is a link: a sealed folder holds files alone")
            if path.is_file() and not name.startswith(f"{RENDERINGS}/"):
                found[name] = path.read_bytes()
    except OSError as error:
        raise FolderError(f"{folder.name} cannot be read: {error.strerror}") from error
    return found


def write_folder(target: Path, files: Mapping[str, bytes]) -> None:
    """Write files so that `target` is there whole, or not at all. Raises FolderError where it is there."""
    building = target.with_name(f".{target.name}.building")
    if target.exists():
        raise FolderError(f"{target.name} is there already: a published folder is never written again")
    try:
        shutil.rmtree(building, ignore_errors=True)
        for name, data in sorted(files.items()):
            path = building / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        for folder in sorted({path.parent for path in building.rglob("*")} | {building}):
            sync_folder(folder)
        building.rename(target)
        sync_folder(target.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            shutil.rmtree(building)
        raise FolderError(
            f"{target.name} cannot be written: {error.strerror}; nothing was published"
        ) from error


def _method(subject: Subject, sealed: Sealed) -> dict[str, Any]:
    used = {cell.vector for cell in sealed.cells if cell.vector}
    spreads = {cell.spread for cell in sealed.cells if cell.spread}
    return {
        "schema": "wattspan-method/1",
        "interpreter": str(INTERPRETER),
        "subject": subject.to_json(),
        "gap_rule": sealed.gap_rule,
        "rules": dict(sealed.rules.content),
        "coefficients": _vectors({name: sealed.vectors[name] for name in used}),
        "errors": _spreads({name: sealed.spreads[name] for name in spreads}),
        "contracts": [contract.to_json() for contract in sealed.contracts],
    }


def _crossing(crossing: Crossing) -> dict[str, Any]:
    return {
        "schema": "wattspan-crossing/1",
        **{
            name: {**one.to_json(), "coefficients": _vectors(one.vectors), "errors": _spreads(one.spreads)}
            for name, one in (("forward", crossing.forward), ("backward", crossing.backward))
        },
    }


def _vectors(vectors: Mapping[str, Vector]) -> dict[str, Any]:
    return {name: vector.to_json() for name, vector in sorted(vectors.items())}


def _spreads(spreads: Mapping[str, Spread]) -> dict[str, Any]:
    return {
        name: {
            kind: [{"key": key, "ln_g": written(value)} for key, value in errors]
            for kind, errors in zip(Spread._fields, spread, strict=True)
        }
        for name, spread in sorted(spreads.items())
    }


def _errors(content: Iterable[Mapping[str, str]]) -> tuple[tuple[str, Decimal], ...]:
    return tuple((str(entry["key"]), Decimal(entry["ln_g"])) for entry in content)
