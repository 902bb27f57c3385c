"""Other estimates of the same rows: raw rows stay to the byte, each set is read on its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks import lake_spans
from wattspan.cli.main import app
from wattspan.estimator import Estimator
from wattspan.lake.check import check
from wattspan.lake.compact import compact
from wattspan.lake.disk import LakeError
from wattspan.lake.estimate_sets import estimate_as
from wattspan.lake.features import FeatureRules
from wattspan.lake.reader import open_snapshot
from wattspan.lake.seal import Sealer
from wattspan.lake.settings import LakeSettings
from wattspan.lake.writer import LakeWriter

LIFECYCLE = Sealer(Estimator(), FeatureRules(), 1.0)
DIRECT = Sealer(Estimator(factor_type="direct"), FeatureRules(), 1.0)
SUMS = "SELECT count(*), sum(energy_kwh), sum(co2e_g) FROM spans"


def sums(lake: Path, estimates: str | None = None) -> tuple[int, float, float]:
    return open_snapshot(lake).connect(estimates=estimates).execute(SUMS).fetchone()


def files(lake: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (lake / "segments").rglob("*") if path.is_file()}


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    with LakeWriter(tmp_path, LIFECYCLE) as writer:
        for seed in range(3):
            writer.ingest([lake_spans.rows(500, seed=seed)])
            writer.seal_all()
    return tmp_path


def direct_grams() -> float:
    made = [DIRECT.estimator.estimate(lake_spans.rows(500, seed=seed).calls) for seed in range(3)]
    return float(np.nansum([one.co2e_g.sum() for one in made]))


def test_a_set_has_other_carbon_and_the_segments_stay_to_the_byte(lake: Path) -> None:
    before, own = files(lake), sums(lake)
    with LakeWriter(lake, LIFECYCLE) as writer:
        assert estimate_as("direct", writer, DIRECT) == 3
        assert estimate_as("direct", writer, DIRECT) == 0
    assert files(lake) == before
    # files are summed side by side, so the last digit is not the same every time
    assert sums(lake) == pytest.approx(own, rel=1e-12)
    spans, energy, carbon = sums(lake, "direct")
    assert (spans, energy) == (own[0], pytest.approx(own[1], rel=1e-12))
    assert carbon == pytest.approx(direct_grams(), rel=1e-12)
    assert check(lake).findings == []


def test_sets_follow_compaction(lake: Path) -> None:
    with LakeWriter(lake, LIFECYCLE, LakeSettings(grace_s=0)) as writer:
        estimate_as("direct", writer, DIRECT)
        before = sums(lake), sums(lake, "direct")
        by_span = "SELECT trace_id, span_id, co2e_g FROM spans ORDER BY ALL"
        rows = open_snapshot(lake).connect(estimates="direct").execute(by_span).fetchall()
        assert compact(writer, everything=True) == 3
        writer.tick()
    assert len(list(lake.rglob("*.parquet"))) == 2
    assert open_snapshot(lake).connect(estimates="direct").execute(by_span).fetchall() == rows
    for found, wanted in zip((sums(lake), sums(lake, "direct")), before, strict=True):
        assert found == pytest.approx(wanted, rel=1e-12)


def test_a_set_that_lacks_newer_segments_says_so_and_is_completed(lake: Path) -> None:
    with LakeWriter(lake, LIFECYCLE) as writer:
        estimate_as("direct", writer, DIRECT)
        writer.ingest([lake_spans.rows(100, seed=9)])
        writer.seal_all()
        with pytest.raises(LakeError, match="'direct' lack 1 of 4 segments"):
            sums(lake, "direct")
        assert estimate_as("direct", writer, DIRECT) == 1
    assert sums(lake, "direct")[0] == 1_600


def test_late_spans_leave_the_sets_of_all_other_traces(lake: Path) -> None:
    late = lake_spans.rows(500, seed=1)
    first = late.trace_id[:1]
    late = late.take((late.trace_id == first).all(axis=1))
    late = replace(late, span_id=late.span_id + np.uint64(1))
    by_span = "SELECT trace_id, span_id, co2e_g FROM spans ORDER BY ALL"
    with LakeWriter(lake, LIFECYCLE) as writer:
        estimate_as("direct", writer, DIRECT)
        before = open_snapshot(lake).connect(estimates="direct").execute(by_span).fetchall()
        writer.ingest([late])
        writer.seal_all()
        # only the trace that was sealed again lacks the set
        assert [one.rows for one in writer.manifest.segments if "direct" not in one.estimates] == [20]
        assert estimate_as("direct", writer, DIRECT) == 1
        after = open_snapshot(lake).connect(estimates="direct").execute(by_span).fetchall()
    others = [row for row in before if row[0] != first.tobytes()]
    assert len(others) == 1_490
    assert [row for row in after if row[0] != first.tobytes()] == others
    assert len(after) == 1_510
    assert check(lake).findings == []


def test_a_name_means_one_edition_and_kind(lake: Path) -> None:
    with LakeWriter(lake, LIFECYCLE) as writer:
        estimate_as("mine", writer, DIRECT)
        with pytest.raises(LakeError, match=r"made with edition 2026\.11, average direct; give another name"):
            estimate_as("mine", writer, LIFECYCLE)
        with pytest.raises(LakeError, match="is no name for estimates"):
            estimate_as("../elsewhere", writer, DIRECT)
    with pytest.raises(LakeError, match="no estimates named 'other'; there are: mine"):
        sums(lake, "other")


def test_the_command_makes_a_set(lake: Path) -> None:
    result = CliRunner().invoke(
        app, ["lake", "estimate", str(lake), "--as", "direct", "--factor-type", "direct"]
    )
    assert result.exit_code == 0
    assert "3 segments estimated as direct: 2026.11, average direct" in result.stdout
    assert sums(lake, "direct")[2] == pytest.approx(direct_grams(), rel=1e-12)
