"""Cells: sums of a segment's rows, made once and kept beside it, so that roll-ups need not read the rows.

What is in them is the matter of `views.cells`; here they are written, named in the manifest, and made anew.
A segment never changes, so neither do its cells: a segment that is replaced takes them along.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import pyarrow as pa

from wattspan.lake.disk import LakeError, sha256
from wattspan.lake.manifest import CellFile, Segment
from wattspan.lake.segments import made_with, write_parquet
from wattspan.lake.writer import LakeWriter

Cells = Callable[[Path, Sequence[Segment]], Sequence[pa.Table]]
"""The cells of segments of one kind of figures: `views.cells.cells_of`."""

PART: Final = "part"
"""The column by which a reader skips what it does not ask for."""
FROM_ROWS: Final = 16_384
"""A smaller segment is read about as fast as its cells are."""


def add_cells(writer: LakeWriter, cells: Cells, from_rows: int = FROM_ROWS) -> int:
    """Make the cells of segments of `from_rows` or more that have none; how many they were.

    Raises LakeError.
    """
    lacking = [one for one in writer.manifest.segments if one.cells is None and one.rows >= from_rows]
    for segment in lacking:
        try:
            made = write_cells(writer.folder, file_of(segment), cells, [segment])
        except OSError as error:
            raise LakeError(f"cells of {segment.file} cannot be made: {error.strerror or error}") from error
        writer.publish(
            writer.manifest.next(
                segments=tuple(
                    replace(one, cells=made) if one.file == segment.file else one
                    for one in writer.manifest.segments
                )
            )
        )
    return len(lacking)


def file_of(segment: Segment) -> str:
    """Where the cells of a segment are."""
    return segment.file.replace("segments/", "cells/", 1)


def write_cells(folder: Path, file: str, cells: Cells, segments: Sequence[Segment]) -> CellFile:
    """Write the cells of segments of one kind durably, each part a row group of its own. Raises OSError."""
    path = folder / file
    about = made_with(None, segments[0], segments[0].day)
    parts = [part.replace_schema_metadata(about) for part in cells(folder, segments)]
    write_parquet(path, parts, statistics=(PART,))
    return CellFile(file, sha256(path))
