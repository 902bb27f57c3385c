"""Small lakes for tests of the views: real writer, real files."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq

from wattspan.estimator import Estimator
from wattspan.lake.features import FeatureRules
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
    rollups = {}
    for day in chosen:
        file = f"rollups/{day}.parquet"
        (snapshot.folder / "rollups").mkdir(exist_ok=True)
        cells = cells_of(snapshot.folder, [one for one in manifest.segments if one.day == day])
        pq.write_table(cells, snapshot.folder / file)
        rollups[day] = file
    kept = tuple(one for one in manifest.segments if one.day not in chosen)
    return Snapshot(snapshot.folder, replace(manifest, segments=kept, rollups=rollups))
