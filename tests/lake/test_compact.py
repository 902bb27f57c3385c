"""Compaction changes no row, retention takes whole days, readers of earlier generations keep their files."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from benchmarks import lake_spans
from wattspan.estimator import Estimator
from wattspan.lake import segments
from wattspan.lake.compact import compact, retire
from wattspan.lake.features import FeatureRules
from wattspan.lake.reader import open_snapshot
from wattspan.lake.seal import Sealer
from wattspan.lake.segments import read_index, read_segment
from wattspan.lake.settings import LakeSettings
from wattspan.lake.writer import LakeWriter
from wattspan.views.cells import cells_of

SEALER = Sealer(Estimator(), FeatureRules(), 1.0)
NO_GRACE = LakeSettings(grace_s=0.0)


def content(folder: Path) -> list[tuple[object, ...]]:
    return open_snapshot(folder).connect().execute("SELECT * FROM spans ORDER BY trace_id, pre").fetchall()


def written(writer: LakeWriter, files: int, spans: int = 200, first_seed: int = 0, **shape: int) -> None:
    for seed in range(first_seed, first_seed + files):
        writer.ingest([lake_spans.rows(spans, seed=seed, **shape)])
        writer.seal_all()


def test_compaction_changes_no_row_and_keeps_the_order(tmp_path: Path) -> None:
    with LakeWriter(tmp_path, SEALER, NO_GRACE) as writer:
        written(writer, 9)
        before = content(tmp_path)
        assert len(writer.manifest.segments) == 9
        assert compact(writer, everything=True) == 9 + 1
        (segment,) = writer.manifest.segments
        writer.tick()
        assert len(list(tmp_path.rglob("*.parquet"))) == 1
    assert content(tmp_path) == before
    assert (segment.rows, segment.traces) == (1_800, 180)
    table = read_segment(tmp_path, segment)
    ids = [value.as_py() for value in table.column("trace_id")]
    assert ids == sorted(ids)
    assert len(read_index(tmp_path, segment)) == 180


def test_files_of_several_row_groups_are_merged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "ROW_GROUP_ROWS", 70)
    with LakeWriter(tmp_path, SEALER, NO_GRACE) as writer:
        written(writer, 2)
        files = [tmp_path / one.file for one in writer.manifest.segments]
        assert [pq.ParquetFile(file).num_row_groups for file in files] == [3, 3]
        before = content(tmp_path)
        assert compact(writer, everything=True) == 2
        # and those that were merged before, once more
        written(writer, 1, first_seed=2)
        compact(writer, everything=True)
        assert [one.rows for one in writer.manifest.segments] == [600]
    theirs = lake_spans.rows(200, seed=2).trace_id.tolist()
    assert [row for row in content(tmp_path) if list(row[0]) not in theirs] == before


def test_traces_longer_than_what_is_read_at_once_stay_whole(tmp_path: Path) -> None:
    with LakeWriter(tmp_path, SEALER, NO_GRACE) as writer:
        written(writer, 2, 40_000, spans_of_trace=40_000)
        written(writer, 1, 100, first_seed=2)
        before = content(tmp_path)
        compact(writer, everything=True)
        assert [segment.rows for segment in writer.manifest.segments] == [80_100]
    assert content(tmp_path) == before


def test_a_few_small_segments_are_left_until_there_are_eight(tmp_path: Path) -> None:
    with LakeWriter(tmp_path, SEALER, NO_GRACE) as writer:
        written(writer, 7)
        assert compact(writer) == 0
        written(writer, 1, 300, first_seed=7)
        assert compact(writer) == 8
        assert [segment.rows for segment in writer.manifest.segments] == [7 * 200 + 300]


def test_days_are_not_mixed_and_go_whole(tmp_path: Path) -> None:
    keep = LakeSettings(grace_s=100.0, retention_days=2)
    now = [1_000.0]
    with LakeWriter(tmp_path, SEALER, keep, clock=lambda: now[0]) as writer:
        writer.ingest([lake_spans.rows(3_000, days=4)])
        writer.seal_all()
        compact(writer, everything=True)
        days = [segment.day for segment in writer.manifest.segments]
        assert days == ["2026-11-24", "2026-11-25", "2026-11-26", "2026-11-27"]
        old = open_snapshot(tmp_path)
        assert retire(writer, dt.date(2026, 11, 28), cells_of) == ["2026-11-24", "2026-11-25"]
        assert [segment.day for segment in writer.manifest.segments] == days[2:]
        writer.tick()
        assert old.connect().execute("SELECT count(*) FROM spans").fetchone() == (3_000,)
        now[0] += 100
        writer.tick()
        assert sorted({path.parent.name for path in (tmp_path / "segments").rglob("*.parquet")}) == days[2:]
        assert [day.day for day in writer.manifest.retired] == days[:2]


def test_segments_of_other_editions_or_kinds_are_not_merged(tmp_path: Path) -> None:
    with LakeWriter(tmp_path, SEALER, NO_GRACE) as writer:
        written(writer, 1)
    other = Sealer(Estimator(factor_type="direct"), FeatureRules(), 1.0)
    with LakeWriter(tmp_path, other, NO_GRACE) as writer:
        writer.ingest([lake_spans.rows(200, seed=7)])
        writer.seal_all()
        assert compact(writer, everything=True) == 0
        assert [s.factor_type for s in writer.manifest.segments] == ["lifecycle", "direct"]


def test_what_is_left_of_a_segment_keeps_the_label_of_its_estimates(tmp_path: Path) -> None:
    rows = lake_spans.rows(200)
    late = rows.take(rows.trace_id[:, 0] == rows.trace_id[0, 0])
    with LakeWriter(tmp_path, SEALER, NO_GRACE) as writer:
        writer.ingest([rows.take(rows.span_id != late.span_id[-1])])
        writer.seal_all()
    with LakeWriter(tmp_path, Sealer(Estimator(factor_type="direct"), FeatureRules()), NO_GRACE) as writer:
        writer.ingest([late])
        writer.seal_all()
        found = {(s.factor_type, s.rows) for s in writer.manifest.segments}
    assert found == {("lifecycle", 200 - len(late)), ("direct", len(late))}


def test_a_full_disk_is_said_and_nothing_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from wattspan.lake import compact as module
    from wattspan.lake.disk import LakeError

    with LakeWriter(tmp_path, SEALER, NO_GRACE) as writer:
        written(writer, 2)
        before, segments = content(tmp_path), writer.manifest.segments

        def full(*_: object, **__: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(module, "write_segment", full)
        with pytest.raises(LakeError, match="cannot be compacted: No space left on device"):
            compact(writer, everything=True)
        assert writer.manifest.segments == segments
    assert content(tmp_path) == before
