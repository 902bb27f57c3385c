"""Estimates at rest follow the grid: hours that come late or are revised; of one kind, raw rows untouched."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.decisions.decision_spans import chat, message
from wattspan.estimator import Estimator
from wattspan.grid import Embedded, Kind
from wattspan.grid.cache import Cache
from wattspan.grid.feeds.file import FileFeed
from wattspan.grid.live import LiveSignal
from wattspan.grid.prefetch import Prefetcher
from wattspan.lake.cells import add_cells
from wattspan.lake.check import check
from wattspan.lake.estimate_sets import estimate_as
from wattspan.lake.features import FeatureRules
from wattspan.lake.reader import open_snapshot
from wattspan.lake.refresh import refresh
from wattspan.lake.schema import ESTIMATE, SEGMENT
from wattspan.lake.seal import Sealer
from wattspan.lake.spans import SpanSource
from wattspan.lake.writer import LakeWriter
from wattspan.methodology import Edition
from wattspan.views.cells import cells_of
from wattspan.views.rollup import Question, roll_up

MARCH = 1_772_532_000
"""2026-03-03T10:00Z."""
LIFECYCLE = Kind("average", "lifecycle")


@pytest.fixture
def hours(tmp_path: Path) -> Path:
    """A file of the user's own that has one hour of France only, at first."""
    path = tmp_path / "hours.csv"
    path.write_text("zone,time,value\nFR,2020-01-01T00:00Z,40\n", encoding="utf-8")
    return path


@pytest.fixture
def signal(hours: Path) -> Iterator[LiveSignal]:
    cache = Cache(":memory:")
    yield LiveSignal(FileFeed(hours, kind=LIFECYCLE), cache, Embedded(Edition.load().folder))
    cache.close()


def writer_of(folder: Path, signal: LiveSignal | None) -> LakeWriter:
    return LakeWriter(folder, Sealer(Estimator(grid=signal), FeatureRules(), 1.0))


def calls(*regions: str, start: int = MARCH) -> bytes:
    spans = []
    for number, region in enumerate(regions, start=1):
        span = chat(number, {"cloud.region": region})
        span.trace_id = (start * 100 + number).to_bytes(16, "big")
        span.start_time_unix_nano, span.end_time_unix_nano = start * 10**9, (start + 1) * 10**9
        spans.append(span)
    return message(spans)


def arrive(signal: LiveSignal, hours: Path, *lines: str) -> None:
    """Hours come into the file, and the prefetch reads those that calls wanted."""
    hours.write_text(hours.read_text(encoding="utf-8") + "".join(f"{line}\n" for line in lines), "utf-8")
    done = Prefetcher(signal).round()
    assert done.new + done.revised == len(lines)


def estimates(folder: Path) -> list[tuple[str, str, float]]:
    query = "SELECT zone, grid_resolution, intensity_g_per_kwh FROM spans WHERE is_owner ORDER BY zone"
    return open_snapshot(folder).connect().execute(query).fetchall()


def test_rows_estimated_before_their_hour_came_get_it(
    tmp_path: Path, signal: LiveSignal, hours: Path
) -> None:
    with writer_of(tmp_path / "lake", signal) as writer:
        writer.ingest([SpanSource().request(calls("eu-central-1", "us-east-1"))])
        writer.seal_all()
        assert [row[:2] for row in estimates(tmp_path / "lake")] == [
            ("DE", "annual"),
            ("US-MIDA-PJM", "annual"),
        ]
        before = open_snapshot(tmp_path / "lake").connect().sql("SELECT * FROM spans").to_arrow_table()
        arrive(signal, hours, "DE,2026-03-03T10:00Z,301.5")
        done = refresh(writer)
        assert (done.segments, done.calls, done.looked_into) == (1, 1, 1)
        germany, pjm = estimates(tmp_path / "lake")
        assert germany == ("DE", "hour", 301.5)
        assert pjm[:2] == ("US-MIDA-PJM", "annual")
        after = open_snapshot(tmp_path / "lake").connect().sql("SELECT * FROM spans").to_arrow_table()
    derived = {field.name for field in ESTIMATE}
    for field in SEGMENT:
        if field.name not in derived and field.name in before.column_names:
            assert before.column(field.name) == after.column(field.name), field.name
    energy = [table.column("energy_kwh").to_numpy() for table in (before, after)]
    assert np.array_equal(*energy)


def test_other_estimates_of_rows_that_got_their_hour_stay(
    tmp_path: Path, signal: LiveSignal, hours: Path
) -> None:
    direct = Sealer(Estimator(factor_type="direct"), FeatureRules(), 1.0)
    grams = "SELECT span_id, co2e_g FROM spans WHERE is_owner ORDER BY span_id"
    with writer_of(tmp_path / "lake", signal) as writer:
        writer.ingest([SpanSource().request(calls("fr-par", "europe-west9", "eu-west-3"))])
        writer.seal_all()
        estimate_as("direct", writer, direct)
        before = open_snapshot(tmp_path / "lake").connect(estimates="direct").execute(grams).fetchall()
        arrive(signal, hours, "FR,2026-03-03T10:00Z,25")
        assert refresh(writer).segments == 1
        after = open_snapshot(tmp_path / "lake").connect(estimates="direct").execute(grams).fetchall()
    assert after == before
    assert len(after) == 3
    assert check(tmp_path / "lake").findings == []


def test_sums_follow_the_hours(tmp_path: Path, signal: LiveSignal, hours: Path) -> None:
    folder = tmp_path / "lake"

    def grams() -> tuple[int, float]:
        rolled = roll_up(open_snapshot(folder), Question(("day", "region"))).total
        return rolled.recorded, rolled.co2e_g.central

    def of_rows() -> tuple[int, float]:
        query = "SELECT count(*) FILTER (is_owner), sum(co2e_g) FROM spans"
        found: tuple[int, float] = open_snapshot(folder).connect().execute(query).fetchone()
        return found

    with writer_of(folder, signal) as writer:
        writer.ingest([SpanSource().request(calls("eu-central-1", "us-east-1"))])
        writer.seal_all()
        assert add_cells(writer, cells_of, from_rows=1) == 1
        before = grams()
        assert before == pytest.approx(of_rows(), rel=1e-12)
        arrive(signal, hours, "DE,2026-03-03T10:00Z,301.5")
        refresh(writer)
        # the cells of the segment went with it
        assert [one.cells for one in writer.manifest.segments] == [None]
        assert grams() == pytest.approx(of_rows(), rel=1e-12)
        assert add_cells(writer, cells_of, from_rows=1) == 1
        after = grams()
    assert after == pytest.approx(of_rows(), rel=1e-12)
    assert after[1] != before[1]
    assert check(folder).findings == []


def test_second_refresh_has_nothing_to_do_and_reads_nothing(
    tmp_path: Path, signal: LiveSignal, hours: Path
) -> None:
    with writer_of(tmp_path / "lake", signal) as writer:
        writer.ingest([SpanSource().request(calls("eu-central-1"))])
        writer.seal_all()
        arrive(signal, hours, "DE,2026-03-03T10:00Z,301.5")
        refresh(writer)
        segments = writer.manifest.segments
        done = refresh(writer)
        assert (done.segments, done.looked_into) == (0, 0)
        assert writer.manifest.segments == segments


def test_revised_hour_is_taken_over(tmp_path: Path, signal: LiveSignal, hours: Path) -> None:
    with writer_of(tmp_path / "lake", signal) as writer:
        writer.ingest([SpanSource().request(calls("eu-central-1"))])
        writer.seal_all()
        arrive(signal, hours, "DE,2026-03-03T10:00Z,301.5")
        refresh(writer)
        hours.write_text("zone,time,value\nDE,2026-03-03T10:00Z,310\n", encoding="utf-8")
        for series in signal.feed.everything():  # type: ignore[attr-defined]
            signal.cache.add(signal.signal_id, series)
        assert refresh(writer).calls == 1
        assert estimates(tmp_path / "lake") == [("DE", "hour", 310.0)]


def test_segment_of_another_time_is_not_read_and_one_of_the_same_time_only_once(
    tmp_path: Path, signal: LiveSignal, hours: Path
) -> None:
    day_s = 86_400
    with writer_of(tmp_path / "lake", signal) as writer:
        writer.ingest([SpanSource().request(calls("us-east-1"))])
        writer.ingest([SpanSource().request(calls("us-east-1", start=MARCH + 5 * day_s))])
        writer.seal_all()
        assert len(writer.manifest.segments) == 2
        # Nobody here runs in Germany, but its hour is of the time of one segment.
        hours.write_text("zone,time,value\nDE,2026-03-03T10:00Z,300\n", encoding="utf-8")
        for series in signal.feed.everything():  # type: ignore[attr-defined]
            signal.cache.add(signal.signal_id, series)
        done = refresh(writer)
        assert (done.segments, done.calls, done.looked_into) == (0, 0, 1)
        assert refresh(writer).looked_into == 0


def test_carbon_of_another_kind_or_edition_is_left_alone(
    tmp_path: Path, signal: LiveSignal, hours: Path
) -> None:
    direct = LakeWriter(tmp_path / "lake", Sealer(Estimator(factor_type="direct"), FeatureRules(), 1.0))
    with direct as writer:
        writer.ingest([SpanSource().request(calls("eu-central-1"))])
        writer.seal_all()
    with writer_of(tmp_path / "lake", signal) as writer:
        arrive(signal, hours)
        hours.write_text("zone,time,value\nDE,2026-03-03T10:00Z,300\n", encoding="utf-8")
        for series in signal.feed.everything():  # type: ignore[attr-defined]
            signal.cache.add(signal.signal_id, series)
        done = refresh(writer)
        assert (done.other_kind, done.looked_into, done.segments) == (1, 0, 0)
    assert [row[1] for row in estimates(tmp_path / "lake")] == ["annual"]


def test_lake_without_a_live_feed_has_nothing_to_refresh(tmp_path: Path) -> None:
    with writer_of(tmp_path / "lake", None) as writer:
        writer.ingest([SpanSource().request(calls("eu-central-1"))])
        writer.seal_all()
        generation = writer.manifest.generation
        done = refresh(writer)
        assert (done.segments, done.looked_into, done.other_kind) == (0, 0, 0)
        assert writer.manifest.generation == generation
