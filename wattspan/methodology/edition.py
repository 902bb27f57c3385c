"""Methodology editions: immutable, digested folders of data, and how they are opened and checked."""

from __future__ import annotations

import csv
import json
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from wattspan.methodology.digest import MANIFEST, SEPARATE_PARTS, combine, list_files, part_of
from wattspan.methodology.models import Registry
from wattspan.methodology.parameters import Form, Host

EDITIONS_FOLDER = Path(__file__).with_name("editions")
LATEST = "2026.11"


class EditionError(ValueError):
    """An edition, or a file in it, is not there or not readable; the message says which and what there is."""


class Edition:
    """One edition, read file by file as it is asked for.

    The parts under licences of their own ("odbl", "mpl") may have been deleted: the edition still loads, and
    its label says what is missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = folder.name

    @classmethod
    def load(cls, name: str = LATEST, root: Path = EDITIONS_FOLDER) -> Edition:
        """Open the edition `name`, once its files are found to be as the manifest says.

        Raises EditionError if there is none, naming those there are, or if a file was changed.
        """
        return _load(name, root)

    def __repr__(self) -> str:
        return f"Edition({self.label!r}, {self.status}, {self.digest[:12]})"

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """The parsed manifest: edition, status, digest, parts with the digest of each file."""
        return dict(self.read_json(MANIFEST))

    @property
    def status(self) -> str:
        """Draft or released; disclosures refuse drafts."""
        return str(self.manifest["status"])

    @cached_property
    def missing_parts(self) -> tuple[str, ...]:
        """Licence parts of the manifest whose folder was deleted."""
        return tuple(
            name
            for name, part in sorted(self.manifest["parts"].items())
            if name in SEPARATE_PARTS and not any((self.folder / path).exists() for path in part["files"])
        )

    @cached_property
    def label(self) -> str:
        """The name as it is printed beside a number: "2026.11", or "2026.11 without odbl"."""
        return " without ".join((self.name, " and ".join(self.missing_parts))).removesuffix(" without ")

    @cached_property
    def digest(self) -> str:
        """Sha256 over the parts that are present; with all of them, the digest of the manifest."""
        if not self.missing_parts:
            return str(self.manifest["digest"])
        parts = self.manifest["parts"]
        return combine(
            {name: part["digest"] for name, part in parts.items() if name not in self.missing_parts}
        )

    def has(self, path: str) -> bool:
        """Whether the edition holds the file `path` ("odbl/annual.csv")."""
        return (self.folder / path).is_file()

    def read_text(self, path: str) -> str:
        """The text of a file of the edition. Raises EditionError if it is not there."""
        try:
            return (self.folder / path).read_text(encoding="utf-8")
        except FileNotFoundError:
            part = part_of(path)
            is_deleted = part in SEPARATE_PARTS and not (self.folder / part).exists()
            reason = f"its part {part!r} was deleted" if is_deleted else "it is incomplete"
            raise EditionError(
                f"edition {self.name} has no file {path!r}: {reason}; reinstall wattspan to restore it"
            ) from None

    def read_json(self, path: str) -> Any:
        """A parsed JSON file of the edition. Raises EditionError if it is missing or not JSON."""
        text = self.read_text(path)
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            raise EditionError(f"edition {self.name}, {path}: not JSON: {error}") from error

    def read_csv(self, path: str) -> list[dict[str, str]]:
        """The rows of a CSV file of the edition, by column name. Raises EditionError if it is missing."""
        return list(csv.DictReader(self.read_text(path).splitlines()))

    @cached_property
    def form(self) -> Form:
        """The fitted numbers of the energy form, with the factors of each GPU and precision."""
        return Form.from_json(self.read_json("form.json"), self.read_json("gpus.json"))

    @cached_property
    def hosts(self) -> dict[str, Host]:
        """Assumed hosts where the user declares nothing: "open", "closed" and "self_hosted"."""
        return {
            name: Host(
                gpu=row["gpu"],
                batch=float(row["batch"]["value"]),
                gpus=int(row["gpus"]),
                precision=row["precision"],
                k_host=row["k_host"]["value"],
                k_idle=row["k_idle"]["value"],
            )
            for name, row in self.read_json("hosts.json").items()
        }

    @cached_property
    def registry(self) -> Registry:
        """The models of the edition; closed ones are of unknown size where the mpl part was deleted."""
        guesses = self.read_json("mpl/models.json") if self.has("mpl/models.json") else None
        return Registry.from_edition_files(self.read_json("models.json"), guesses)

    @cached_property
    def spreads(self) -> dict[str, Any]:
        """The parsed spreads.json: for each tier its total geometric spread and the factors that make it."""
        return dict(self.read_json("spreads.json"))


@lru_cache(maxsize=16)
def _load(name: str, root: Path) -> Edition:
    folder = root / name
    if not (folder / MANIFEST).is_file():
        known = ", ".join(editions(root)) or "none"
        raise EditionError(f"there is no edition {name!r}; installed editions: {known}")
    edition = Edition(folder)
    if problems := verify(edition):
        more = f" and {len(problems) - 1} more" if len(problems) > 1 else ""
        raise EditionError(
            f"edition {name} is damaged: {problems[0]}{more}; `wattspan edition verify {name}` lists all, "
            "reinstall wattspan to restore it"
        )
    return edition


def editions(root: Path = EDITIONS_FOLDER) -> tuple[str, ...]:
    """The names of the installed editions, oldest first."""
    if not root.is_dir():
        return ()
    names = [path.parent.name for path in root.glob(f"*/{MANIFEST}")]
    return tuple(
        sorted(names, key=lambda name: [(not part.isdigit(), part.zfill(8)) for part in name.split(".")])
    )


def verify(edition: Edition) -> list[str]:
    """What is wrong with the files of an edition, one line each; empty if every byte is as the manifest says.

    A deleted licence part is no fault.
    """
    manifest = edition.manifest
    found = list_files(edition.folder)
    problems = []
    if manifest["edition"] != edition.name:
        problems.append(f"{MANIFEST} is of edition {manifest['edition']!r}, the folder is {edition.name!r}")
    if manifest["status"] not in {"draft", "released"}:
        problems.append(f"{MANIFEST} has status {manifest['status']!r}; allowed: draft, released")
    listed: set[str] = set()
    for name, part in sorted(manifest["parts"].items()):
        listed.update(part["files"])
        if combine(part["files"]) != part["digest"]:
            problems.append(f"{MANIFEST}: the digest of part {name!r} is not that of its files")
        if name in edition.missing_parts:
            continue
        for path, digest in sorted(part["files"].items()):
            if path not in found:
                problems.append(f"{path} is missing")
            elif found[path] != digest:
                problems.append(f"{path} was changed: sha256 {found[path][:12]}, manifest {digest[:12]}")
    problems.extend(f"{path} is not in the manifest" for path in sorted(found.keys() - listed))
    if combine({name: part["digest"] for name, part in manifest["parts"].items()}) != manifest["digest"]:
        problems.append(f"{MANIFEST}: the digest of the edition is not that of its parts")
    return problems
