"""Digests of an edition: one for each file, each licence part and the whole, so that a changed byte shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"
CORE = "core"
SEPARATE_PARTS = ("mpl", "odbl")
"""Folders whose data carries a licence of its own; a user may delete them."""


def _sha256() -> Callable[[bytes], str]:
    """Hashing, loaded when it is needed: OpenSSL takes 3 ms that opening an edition has no use for."""
    import hashlib

    return lambda data: hashlib.sha256(data).hexdigest()


def part_of(path: str) -> str:
    """The licence part that a file of an edition belongs to, from its path inside the edition."""
    top = path.partition("/")[0]
    return top if top in SEPARATE_PARTS and "/" in path else CORE


def list_files(folder: Path) -> dict[str, str]:
    """Path inside the edition (with /) -> sha256 in hex, of every file but the manifest, sorted by path."""
    sha256 = _sha256()
    paths = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.name != MANIFEST
    )
    return {path: sha256((folder / path).read_bytes()) for path in paths}


def combine(digests: Mapping[str, str]) -> str:
    """One sha256 over named digests: of the lines "digest  name" sorted by name."""
    lines = "".join(f"{digests[name]}  {name}\n" for name in sorted(digests))
    return _sha256()(lines.encode())


def make_manifest(folder: Path, edition: str, status: str) -> dict[str, Any]:
    """The manifest of the files that are in `folder` now; `status` is draft or released."""
    by_part: dict[str, dict[str, str]] = {}
    for path, digest in list_files(folder).items():
        by_part.setdefault(part_of(path), {})[path] = digest
    parts = {name: {"digest": combine(files), "files": files} for name, files in sorted(by_part.items())}
    return {
        "digest": combine({name: str(part["digest"]) for name, part in parts.items()}),
        "edition": edition,
        "parts": parts,
        "status": status,
    }
