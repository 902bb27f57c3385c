"""The manifest: which files are the lake. Published by rename, with a generation number."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from wattspan.lake.disk import LakeError, publish

FILE: Final = "manifest.json"
LAYOUT: Final = 1
ROOMS: Final = ("segments", "estimates", "cells", "open", "retired")
"""Folders whose files belong to a generation, or to none."""


@dataclass(frozen=True, slots=True)
class CellFile:
    """Roll-up cells (`views.cells`): sums and bucket counts, to be added up again."""

    file: str
    """Path inside the lake."""
    sha256: str


@dataclass(frozen=True, slots=True)
class Segment:
    """One Parquet file of whole traces of one day."""

    file: str
    """Path inside the lake."""
    day: str
    """ISO day, UTC, of the traces' earliest spans."""
    rows: int
    traces: int
    calls: int
    """Model calls that own their energy."""
    size: int
    """Bytes."""
    sha256: str
    min_start_unix_ns: int
    max_end_unix_ns: int
    edition: str
    edition_digest: str
    signal: str
    factor_type: str
    grid_generation: int = 0
    """Of the grid cache when the rows were estimated: what came later may be better."""
    is_weighted: bool = True
    """Some row stands for more than itself. Like the next two: False spares roll-ups the looking."""
    has_compute: bool = True
    """Some row that is no call has an estimate."""
    has_copied_tokens: bool = True
    """Some owner has tokens that only its copies knew."""
    estimates: Mapping[str, str] = field(default_factory=dict)
    """Other estimates of the same rows: name of the set to file."""
    cells: CellFile | None = None
    """Sums of the rows, where they were made already."""

    @property
    def index(self) -> str:
        """The sorted trace keys of the segment: a .npy file beside it."""
        return self.file.removesuffix(".parquet") + ".traces.npy"

    @property
    def files(self) -> tuple[str, ...]:
        """All that belongs to it."""
        cells = () if self.cells is None else (self.cells.file,)
        return (self.file, self.index, *self.estimates.values(), *cells)


@dataclass(frozen=True, slots=True)
class RetiredDay:
    """What stays of segments whose spans went."""

    day: str
    cells: CellFile
    index: str
    """The sorted trace keys of what went: their spans, sent again, are known."""
    edition: str
    edition_digest: str
    signal: str
    factor_type: str

    @property
    def files(self) -> tuple[str, ...]:
        """All that belongs to it."""
        return (self.cells.file, self.index)


@dataclass(frozen=True, slots=True)
class EstimateSet:
    """A set of other estimates, complete or not: which rows it covers is told by the segments."""

    name: str
    edition: str
    edition_digest: str
    signal: str
    factor_type: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """One generation of the lake."""

    generation: int = 0
    segments: tuple[Segment, ...] = ()
    journals: tuple[str, ...] = ()
    """Files with the spans of traces that are open."""
    retired: tuple[RetiredDay, ...] = ()
    """Where the spans are gone."""
    sets: tuple[EstimateSet, ...] = ()
    trash: Mapping[str, float] = field(default_factory=dict)
    """Files that left the lake and when (Unix seconds): deleted after a grace time."""
    next_number: int = 1
    """Of the next file."""

    def to_json(self) -> bytes:
        """The bytes of the file."""
        return json.dumps({"layout": LAYOUT, **asdict(self)}, separators=(",", ":")).encode() + b"\n"

    @classmethod
    def from_json(cls, data: bytes, path: Path) -> Manifest:
        """Back from `to_json`. Raises LakeError where it is none, or of a newer layout."""
        try:
            content: dict[str, Any] = json.loads(data)
            layout = content.pop("layout")
            if layout != LAYOUT:
                raise LakeError(
                    f"{path}: layout {layout}; this version of Wattspan reads {LAYOUT}: install a newer one"
                )
            return cls(
                **{
                    **content,
                    "segments": tuple(
                        Segment(**{**entry, "cells": entry["cells"] and CellFile(**entry["cells"])})
                        for entry in content["segments"]
                    ),
                    "retired": tuple(
                        RetiredDay(**{**entry, "cells": CellFile(**entry["cells"])})
                        for entry in content["retired"]
                    ),
                    "sets": tuple(EstimateSet(**entry) for entry in content["sets"]),
                    "journals": tuple(content["journals"]),
                }
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise LakeError(
                f"{path}: not the manifest of a lake ({error}); `wattspan lake check --repair` writes it "
                "anew from the segments"
            ) from error

    @property
    def files(self) -> frozenset[str]:
        """Every file that this generation or a reader of an earlier one may need."""
        parts = [*(one.files for one in self.segments), *(day.files for day in self.retired)]
        return frozenset(name for files in parts for name in files) | {*self.journals, *self.trash}

    def next(self, **changes: Any) -> Manifest:
        """The next generation."""
        return replace(self, generation=self.generation + 1, **changes)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of the lake in `folder`. Raises LakeError where there is none."""
    path = folder / FILE
    try:
        return Manifest.from_json(path.read_bytes(), path)
    except (FileNotFoundError, NotADirectoryError):
        raise LakeError(
            f"{folder} is no lake: it has no {FILE}; `wattspan import` or `wattspan serve` makes one"
        ) from None


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Publish a generation. Raises LakeError where the disk refuses."""
    try:
        publish(folder / FILE, manifest.to_json())
    except OSError as error:
        raise LakeError(f"{folder / FILE} cannot be written: {error.strerror}") from error
