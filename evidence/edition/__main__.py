"""Build a methodology edition: `python -m evidence.edition`.

Every part is derived from the tables under evidence/ into a fresh folder, which then takes the place of the
old one. The same evidence gives the same bytes.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from evidence.edition import compute, energy, grid, models
from evidence.edition.canonical import write_json
from evidence.edition.document import write_document
from wattspan.methodology import LATEST, Edition
from wattspan.methodology.digest import MANIFEST, list_files, make_manifest
from wattspan.methodology.edition import EDITIONS_FOLDER

PINS = Path(__file__).parents[2] / "tests" / "methodology" / "edition_digests.json"


class ReleasedEditionError(RuntimeError):
    """What was built differs from an edition that was released; released editions are never changed."""


def build_into(folder: Path, edition: str, status: str) -> None:
    """Write all files of an edition into the empty folder `folder`."""
    for part in (compute, energy, grid, models):
        part.build(folder)
    write_document(folder, edition)
    write_json(folder / MANIFEST, make_manifest(folder, edition, status))


def publish(built: Path, target: Path) -> None:
    """Put the edition in `built` in place of `target`.

    Raises ReleasedEditionError where `target` was released and differs, naming the files that do.
    """
    if (target / MANIFEST).is_file() and Edition(target).status == "released":
        old, new = list_files(target), list_files(built)
        changed = sorted(path for path in old.keys() | new.keys() if old.get(path) != new.get(path))
        if not changed:
            return
        raise ReleasedEditionError(
            f"edition {target.name} was released and is never changed, but these files would differ: "
            f"{', '.join(changed)}. Undo the change of the evidence, or build a new edition with --name."
        )
    if target.exists():
        shutil.rmtree(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(built, target)


def pin(edition: Edition, path: Path = PINS) -> None:
    """Write the digests of an edition to the file that the tests hold every shipped edition to."""
    pins = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    parts = {name: part["digest"] for name, part in edition.manifest["parts"].items()}
    pins[edition.name] = {"digest": edition.manifest["digest"], "parts": parts}
    write_json(path, pins)


def main(arguments: Sequence[str] | None = None) -> int:
    """Build the edition and say what was written; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m evidence.edition", description=__doc__)
    parser.add_argument("--name", default=LATEST, help="name of the edition (default: %(default)s)")
    parser.add_argument("--release", action="store_true", help="mark the edition as released, for good")
    parser.add_argument("--pin", action="store_true", help=f"write its digests to {PINS.name} for the tests")
    options = parser.parse_args(arguments)
    target = EDITIONS_FOLDER / options.name
    energy.write_residuals()
    with tempfile.TemporaryDirectory() as scratch:
        built = Path(scratch) / options.name
        built.mkdir()
        build_into(built, options.name, "released" if options.release else _status_of(target))
        try:
            publish(built, target)
        except ReleasedEditionError as error:
            print(error, file=sys.stderr)
            return 1
    edition = Edition(target)
    if options.pin:
        pin(edition)
    print(f"edition {edition.name} ({edition.status}) {edition.digest}")
    for name, part in edition.manifest["parts"].items():
        print(f"  {name:5} {len(part['files']):4} files  {part['digest']}")
    return 0


def _status_of(target: Path) -> str:
    return Edition(target).status if (target / MANIFEST).is_file() else "draft"


if __name__ == "__main__":
    sys.exit(main())
