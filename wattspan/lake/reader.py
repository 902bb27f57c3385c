"""`Snapshot`: one generation of a lake as readers see it, in any process, while a writer goes on."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import duckdb

from wattspan.lake.manifest import Manifest, Segment, read_manifest
from wattspan.lake.schema import SEGMENT

VIEW = "spans"
"""Name of the view that `connect` makes: the columns of `schema.SEGMENT`."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The files of one generation; they stay for the writer's grace time, whatever it does meanwhile."""

    folder: Path
    manifest: Manifest

    @property
    def generation(self) -> int:
        """Number of the generation."""
        return self.manifest.generation

    def segments(self, first: dt.date | None = None, last: dt.date | None = None) -> list[Segment]:
        """Segments that may hold spans which start on the days `first` to `last` (UTC, both included).

        A trace belongs to the day of its earliest span, so the files of earlier days are told by their times.
        """
        low = None if first is None else _start_ns(first)
        high = None if last is None else _start_ns(last + dt.timedelta(days=1))
        return [
            segment
            for segment in self.manifest.segments
            if (low is None or segment.max_end_unix_ns >= low)
            and (high is None or segment.min_start_unix_ns < high)
        ]

    def connect(
        self, segments: list[Segment] | None = None, memory_limit: str | None = None
    ) -> duckdb.DuckDBPyConnection:
        """A DuckDB connection with the view `spans` over `segments` (default: all)."""
        connection = duckdb.connect(":memory:")
        if memory_limit is not None:
            connection.execute(f"SET memory_limit = '{memory_limit}'")
        chosen = self.manifest.segments if segments is None else segments
        if chosen:
            paths = [str(self.folder / segment.file) for segment in chosen]
            connection.from_parquet(paths).create_view(VIEW)
        else:
            connection.register(VIEW, SEGMENT.empty_table())
        return connection


def open_snapshot(folder: Path) -> Snapshot:
    """The newest generation of the lake in `folder`. Raises LakeError where there is none."""
    return Snapshot(folder, read_manifest(folder))


def _start_ns(day: dt.date) -> int:
    return (day - dt.date(1970, 1, 1)).days * 86_400 * 10**9
