"""Small lakes for tests of the views: real writer, real files."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from wattspan.estimator import Estimator
from wattspan.lake.cells import file_of, write_cells
from wattspan.lake.features import FeatureRules
from wattspan.lake.manifest import RetiredDay
from wattspan.lake.reader import Snapshot, open_snapshot
from wattspan.lake.rules import FeatureRule
from wattspan.lake.seal import Sealer
from wattspan.lake.spans import SpanSource
from wattspan.lake.writer import LakeWriter
from wattspan.views.cells import cells_of

sys.path.append(str(Path(__file__).parent.parent / "lake"))
from span_trees import Span, rows_of

CAPTURES = Path(__file__).parent.parent / "captures"
ESTIMATOR = Estimator()
HOUR = 3_600 * 10**9
DAY = 24 * HOUR
MONDAY = int(dt.datetime(2026, 11, 23, tzinfo=dt.UTC).timestamp()) * 10**9


def bodies() -> list[bytes]:
    """Every capture as an OTLP request."""
    return [path.read_bytes() for path in sorted(CAPTURES.glob("**/*.binpb"))]


def lake_of_captures(folder: Path, rules: Sequence[FeatureRule] = ()) -> Snapshot:
    with LakeWriter(folder, Sealer(ESTIMATOR, FeatureRules(rules), 1.0)) as writer:
        writer.ingest([SpanSource().request(body) for body in bodies()])
        writer.seal_all()
    return open_snapshot(folder)


def lake_of(
    folder: Path,
    *traces: list[Span],
    rules: Sequence[FeatureRule] = (),
    rate: float | None = 1.0,
    estimator: Estimator = ESTIMATOR,
) -> Snapshot:
    rows, _ = rows_of(*traces)
    with LakeWriter(folder, Sealer(estimator, FeatureRules(rules), rate)) as writer:
        writer.ingest([rows])
        writer.seal_all()
    return open_snapshot(folder)


def with_spans_dropped(snapshot: Snapshot, days: Sequence[str] | None = None) -> Snapshot:
    """The same lake after retention: cells in the place of the spans of `days` (default: all)."""
    manifest = snapshot.manifest
    chosen = sorted({segment.day for segment in manifest.segments} if days is None else days)
    retired = []
    for day in chosen:
        gone = [one for one in manifest.segments if one.day == day]
        cells = write_cells(snapshot.folder, f"retired/{day}.parquet", cells_of, gone)
        one = gone[0]
        retired.append(
            RetiredDay(day, cells, "", one.edition, one.edition_digest, one.signal, one.factor_type)
        )
    kept = tuple(one for one in manifest.segments if one.day not in chosen)
    return Snapshot(snapshot.folder, replace(manifest, segments=kept, retired=tuple(retired)))


def with_cells(snapshot: Snapshot) -> Snapshot:
    """The same lake with the cells of every segment beside it, however small."""
    segments = tuple(
        replace(one, cells=write_cells(snapshot.folder, file_of(one), cells_of, [one]))
        for one in snapshot.manifest.segments
    )
    return Snapshot(snapshot.folder, replace(snapshot.manifest, segments=segments))
