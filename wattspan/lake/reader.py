"""`Snapshot`: one generation of a lake as readers see it, in any process, while a writer goes on."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from wattspan.lake.disk import LakeError
from wattspan.lake.manifest import Manifest, Segment, read_manifest
from wattspan.lake.schema import ESTIMATES, SEGMENT

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
        self,
        segments: list[Segment] | None = None,
        memory_limit: str | None = None,
        estimates: str | None = None,
    ) -> duckdb.DuckDBPyConnection:
        """A DuckDB connection with the view `spans` over `segments` (default: all).

        `estimates`: the name of a set whose columns take the place of the segments' own. Raises LakeError
        where there is no such set, or it lacks one of the segments.
        """
        connection = duckdb.connect(":memory:")
        if memory_limit is not None:
            connection.execute(f"SET memory_limit = '{memory_limit}'")
        chosen = self.manifest.segments if segments is None else segments
        others = [] if estimates is None else self.estimate_files(estimates, chosen)
        if not chosen:
            connection.register(VIEW, SEGMENT.empty_table())
        elif estimates is None:
            connection.from_parquet([str(self.folder / one.file) for one in chosen]).create_view(VIEW)
        else:
            theirs = ", ".join(ESTIMATES.names)
            own = _listed(self.folder / one.file for one in chosen)
            connection.execute(
                f"CREATE VIEW {VIEW} AS SELECT a.* EXCLUDE ({theirs}), b.* FROM read_parquet({own}) a "
                f"POSITIONAL JOIN read_parquet({_listed(others)}) b"
            )
        return connection

    def estimate_files(self, name: str, segments: Sequence[Segment]) -> list[Path]:
        """The files of the estimate set `name` for `segments`, one each. Raises LakeError."""
        if name not in {one.name for one in self.manifest.sets}:
            known = ", ".join(sorted(one.name for one in self.manifest.sets)) or "none"
            raise LakeError(f"{self.folder} has no estimates named {name!r}; there are: {known}")
        lacking = [one.file for one in segments if name not in one.estimates]
        if lacking:
            raise LakeError(
                f"estimates {name!r} lack {len(lacking)} of {len(segments)} segments, which came later; run "
                f"`wattspan lake estimate --as {name}` again"
            )
        return [self.folder / one.estimates[name] for one in segments]


def _listed(paths: Iterable[Path]) -> str:
    quoted = ("'" + str(path).replace("'", "''") + "'" for path in paths)
    return f"[{', '.join(quoted)}]"


def open_snapshot(folder: Path) -> Snapshot:
    """The newest generation of the lake in `folder`. Raises LakeError where there is none."""
    return Snapshot(folder, read_manifest(folder))


def _start_ns(day: dt.date) -> int:
    return (day - dt.date(1970, 1, 1)).days * 86_400 * 10**9
