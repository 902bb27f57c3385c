"""The folder of one disclosure: its files, the manifest over them, and how they are read and written.

    disclosure.json           the 23 columns, canonical
    inputs/aggregates.csv     daily sums, no prompts, no user ids
    inputs/requests.csv       daily inferences
    methodology/method.json   subject, coefficients, errors, rules, contracts
    environment.lock          what computed it
    bridge.json               where there is a predecessor
    manifest.json             path, sha256 and size of the above
    manifest.dsse.json        the signature over the manifest

Renderings are made from `disclosure.json` and are not sealed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from wattspan.disclosure import canonical
from wattspan.disclosure.cells import read_cells, read_requests, write_cells, write_requests
from wattspan.disclosure.coefficients import Vector
from wattspan.disclosure.contracts import read_contracts
from wattspan.disclosure.figure import Sealed, Spread
from wattspan.disclosure.numbers import written
from wattspan.disclosure.rules import Rules
from wattspan.disclosure.subject import Subject
from wattspan.lake.disk import sync_folder

STATEMENT: Final = "disclosure.json"
AGGREGATES: Final = "inputs/aggregates.csv"
REQUESTS: Final = "inputs/requests.csv"
METHOD: Final = "methodology/method.json"
ENVIRONMENT: Final = "environment.lock"
BRIDGE: Final = "bridge.json"
MANIFEST: Final = "manifest.json"
SIGNATURE: Final = "manifest.dsse.json"
RENDERINGS: Final = "renderings"
INTERPRETER: Final = 1
"""Version of the arithmetic that reads the folder; older ones stay beside it (`reproduce.INTERPRETERS`)."""


class FolderError(ValueError):
    """A disclosure folder cannot be read or written: which file, what is wrong, what to do."""


def files_of(
    subject: Subject, sealed: Sealed, statement: Mapping[str, Any], environment: str
) -> dict[str, bytes]:
    """The sealed files of a disclosure, by path."""
    return {
        STATEMENT: canonical.written(statement),
        AGGREGATES: write_cells(sealed.cells),
        REQUESTS: write_requests(sealed.requests),
        METHOD: canonical.written(_method(subject, sealed)),
        ENVIRONMENT: environment.encode(),
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


def read_sealed(files: Mapping[str, bytes]) -> tuple[Subject, Sealed, int]:
    """Subject, inputs and interpreter of a folder's files. Raises FolderError or CellsError."""
    try:
        method = canonical.read(files[METHOD], METHOD)
        sealed = Sealed(
            cells=read_cells(files[AGGREGATES], AGGREGATES),
            requests=read_requests(files[REQUESTS], REQUESTS),
            vectors={name: Vector.from_json(content) for name, content in method["coefficients"].items()},
            spreads={
                name: Spread(*(_errors(content[kind]) for kind in Spread._fields))
                for name, content in method["errors"].items()
            },
            rules=Rules(method["rules"]),
            gap_rule=method["gap_rule"],
            contracts=read_contracts(canonical.written(method["contracts"]).decode(), METHOD),
        )
        return Subject.from_json(method["subject"]), sealed, int(method["interpreter"])
    except (KeyError, TypeError, ArithmeticError) as error:
        raise FolderError(f"not a whole disclosure: {type(error).__name__} {error}") from error


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
        "coefficients": {name: sealed.vectors[name].to_json() for name in sorted(used)},
        "errors": {
            name: {
                kind: [{"key": key, "ln_g": written(value)} for key, value in errors]
                for kind, errors in zip(Spread._fields, sealed.spreads[name], strict=True)
            }
            for name in sorted(spreads)
        },
        "contracts": [contract.to_json() for contract in sealed.contracts],
    }


def _errors(content: Iterable[Mapping[str, str]]) -> tuple[tuple[str, Decimal], ...]:
    return tuple((str(entry["key"]), Decimal(entry["ln_g"])) for entry in content)
