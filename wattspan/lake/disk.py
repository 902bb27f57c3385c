"""Files that are there whole or not at all, and that stay after a power cut."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


class LakeError(OSError):
    """The lake cannot be read or written: what, where, and what to do."""


def publish(path: Path, data: bytes) -> None:
    """Write `data` to `path` by way of a temporary name: readers see the old file or the new one."""
    building = path.with_name(f".{path.name}.building")
    with building.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    building.rename(path)
    sync_folder(path.parent)


def sync_file(path: Path) -> None:
    """Make the content of a written file durable."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def sha256(path: Path) -> str:
    """SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
