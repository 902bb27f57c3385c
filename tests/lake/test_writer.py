"""The lake as its readers find it: whole traces, each call once, the same file twice no change."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from wattspan.estimator import Estimator
from wattspan.lake import arrow
from wattspan.lake.disk import LakeError
from wattspan.lake.features import FeatureRules
from wattspan.lake.reader import open_snapshot
from wattspan.lake.seal import Sealer
from wattspan.lake.settings import LakeSettings
from wattspan.lake.spans import SpanSource
from wattspan.lake.writer import LakeWriter
from wattspan.otlp.enrich import Enricher

CAPTURES = Path(__file__).parent.parent / "captures"
SOURCE = SpanSource()
ESTIMATOR = Estimator()
SEALER = Sealer(ESTIMATOR, FeatureRules(), 1.0)


def test_every_capture_has_the_energy_and_calls_that_enriching_it_gives(tmp_path: Path) -> None:
    for path in sorted(CAPTURES.glob("**/*.binpb")):
        body = path.read_bytes()
        (window,) = Enricher(ESTIMATOR).protobuf([body])
        wanted = (
            window.table.n,
            len(window.owners),
            len(window.duplicates),
            int(window.calls.input_tokens.sum()),
            int(window.calls.output_tokens.sum()),
        )
        with LakeWriter(tmp_path / path.stem, SEALER) as writer:
            writer.ingest([SOURCE.request(body)])
            writer.seal_all()
        found = (
            open_snapshot(tmp_path / path.stem)
            .connect()
            .execute(
                "SELECT count(*), count(*) FILTER (is_owner), count(*) FILTER (basis = 'duplicate'), "
                "coalesce(sum(coalesce(owned_input_tokens, input_tokens)) FILTER (is_owner), 0), "
                "coalesce(sum(coalesce(owned_output_tokens, output_tokens)) FILTER (is_owner), 0), "
                "coalesce(sum(energy_kwh), 0), coalesce(sum(co2e_g), 0) FROM spans"
            )
            .fetchone()
        )
        assert found[:5] == wanted, path.stem
        energy, carbon = window.estimates.energy_kwh, window.estimates.co2e_g
        assert found[5] == pytest.approx(float(np.nansum(energy)), rel=1e-12), path.stem
        assert found[6] == pytest.approx(float(np.nansum(carbon)), rel=1e-12), path.stem


@pytest.fixture
def bodies() -> list[bytes]:
    return [path.read_bytes() for path in sorted(CAPTURES.glob("*.binpb"))]


def content(folder: Path) -> list[tuple[object, ...]]:
    columns = "trace_id, span_id, pre, subtree_size, depth, is_owner, energy_kwh, feature, request"
    return open_snapshot(folder).connect().execute(f"SELECT {columns} FROM spans ORDER BY ALL").fetchall()


def test_the_same_spans_twice_change_nothing(tmp_path: Path, bodies: list[bytes]) -> None:
    with LakeWriter(tmp_path, SEALER) as writer:
        writer.ingest([SOURCE.request(body) for body in bodies])
        writer.seal_all()
        before, segments = content(tmp_path), writer.manifest.segments
        writer.ingest([SOURCE.request(body) for body in bodies])
        writer.seal_all()
        assert writer.manifest.segments == segments
    assert content(tmp_path) == before
    assert len(before) == 143


def test_spans_that_come_late_join_their_trace(tmp_path: Path, bodies: list[bytes]) -> None:
    whole = tmp_path / "whole"
    with LakeWriter(whole, SEALER) as writer:
        writer.ingest([SOURCE.request(body) for body in bodies])
        writer.seal_all()
    late = tmp_path / "late"
    with LakeWriter(late, SEALER) as writer:
        for part in (0, 1, 2):
            for body in bodies:
                rows = SOURCE.request(body)
                chosen = np.flatnonzero(np.arange(len(rows)) % 3 == part)
                writer.ingest([_taken(rows, chosen)])
            writer.seal_all()
    assert content(late) == content(whole)


def _taken(rows, chosen):
    """Some of the rows, by way of Arrow."""
    return arrow.from_arrow(pa.Table.from_batches([arrow.to_arrow(rows).take(pa.array(chosen))]))


def test_open_traces_outlive_their_writer(tmp_path: Path, bodies: list[bytes]) -> None:
    with LakeWriter(tmp_path, SEALER) as writer:
        writer.ingest([SOURCE.request(body) for body in bodies])
        assert writer.open_spans == 143
    assert content(tmp_path) == []
    with LakeWriter(tmp_path, SEALER) as writer:
        assert writer.open_spans == 143
        writer.seal_all()
    assert len(content(tmp_path)) == 143


def test_traces_are_sealed_when_idle_and_when_open_too_long(tmp_path: Path, bodies: list[bytes]) -> None:
    now = [1000.0]
    settings = LakeSettings(seal_after_s=60, most_open_s=150)
    with LakeWriter(tmp_path, SEALER, settings, clock=lambda: now[0]) as writer:
        rows = SOURCE.request(bodies[0])
        writer.ingest([rows])
        now[0] = 1059.0
        writer.tick()
        assert writer.open_spans == len(rows)
        now[0] = 1060.0
        writer.tick()
        assert writer.open_spans == 0
        # heard of again and again, it is sealed at most_open_s after its first span
        other = SOURCE.request(bodies[1])
        for now[0] in (2000.0, 2050.0, 2100.0, 2149.0):
            writer.ingest([other])
            writer.tick()
            assert writer.open_spans > 0
        now[0] = 2150.0
        writer.tick()
        assert writer.open_spans == 0
    assert len(content(tmp_path)) == len(rows) + len(other)


def test_memory_forces_the_longest_idle_to_be_sealed(tmp_path: Path, bodies: list[bytes]) -> None:
    with LakeWriter(tmp_path, SEALER, LakeSettings(most_open_spans=40)) as writer:
        for body in bodies:
            writer.ingest([SOURCE.request(body)])
            assert writer.open_spans <= 40
        writer.seal_all()
    assert len(content(tmp_path)) == 143


def test_a_second_writer_is_refused_and_told_who_writes(tmp_path: Path) -> None:
    with LakeWriter(tmp_path, SEALER), pytest.raises(LakeError, match=r"process \d+ writes to this lake"):
        LakeWriter(tmp_path, SEALER)


def test_a_folder_that_is_no_lake_is_named(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match=r"is no lake: it has no manifest\.json"):
        open_snapshot(tmp_path)


def test_spans_that_were_enriched_before_are_kept_as_if_they_were_not(tmp_path: Path) -> None:
    for number, path in enumerate(sorted(CAPTURES.glob("**/*.binpb"))):
        body = path.read_bytes()
        (window,) = Enricher(ESTIMATOR, detail="full").protobuf([body])
        for name, one in (("plain", body), ("enriched", window.messages[0])):
            with LakeWriter(tmp_path / f"{number}-{name}", SEALER) as writer:
                writer.ingest([SOURCE.request(one)])
                writer.seal_all()
        assert content(tmp_path / f"{number}-enriched") == content(tmp_path / f"{number}-plain"), path.stem
