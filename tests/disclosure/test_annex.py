"""Series that a feed's licence keeps private stay with the issuer; the folder names them by their digest."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from pathlib import Path

import pytest

from tests.disclosure.test_aggregate import DAY_NS, JULY_NS, RULES, call, request
from tests.disclosure.test_disclosure_command import CONFIG, run
from tests.otlp.otlp_spans import traces
from wattspan.estimator import Estimator
from wattspan.grid import Embedded, Kind
from wattspan.grid.cache import Cache
from wattspan.grid.feeds.file import FileFeed
from wattspan.grid.live import LiveSignal
from wattspan.grid.prefetch import Prefetcher
from wattspan.lake.refresh import refresh
from wattspan.lake.seal import Sealer
from wattspan.lake.spans import SpanSource
from wattspan.lake.writer import LakeWriter
from wattspan.methodology import Edition

HOUR_NS = 3600 * 10**9
VALUES = {hour: 41.000137 + 3 * hour for hour in range(8)}
"""g/kWh of the hours from 2026-07-01 10:00 UTC in France."""


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lake whose calls ran in Paris, in hours that a feed has values of."""
    monkeypatch.chdir(tmp_path)
    Path("wattspan.yaml").write_text(CONFIG)
    assert run("key", "new", "key.pem", config="").exit_code == 0
    lines = "".join(f"FR,2026-07-01T{10 + hour}:00Z,{value}\n" for hour, value in VALUES.items())
    Path("hours.csv").write_text("zone,time,value\nFR,2020-01-01T00:00Z,40\n")
    cache = Cache(":memory:")
    signal = LiveSignal(
        FileFeed(Path("hours.csv"), kind=Kind("average", "lifecycle")), cache, Embedded(Edition.load().folder)
    )
    spans = []
    for hour in VALUES:
        start = JULY_NS + hour * HOUR_NS
        spans += request(
            hour + 1, "/summaries", [call(2, hour + 1, start, cloud__region="eu-west-3")], start=start
        )
    with LakeWriter(tmp_path / "lake", Sealer(Estimator(grid=signal), RULES, 1.0)) as writer:
        writer.ingest([SpanSource(RULES.keys).request(traces(spans).SerializeToString())])
        writer.seal_all()
        Path("hours.csv").write_text(Path("hours.csv").read_text() + lines)
        assert Prefetcher(signal).round().new == len(VALUES)
        assert refresh(writer).calls == len(VALUES)
    cache.close()
    made = run("disclosure", "publish", "--period", "2026Q3", "--lake", "lake")
    assert made.exit_code == 0, made.output
    assert DAY_NS == 24 * HOUR_NS
    return tmp_path


def test_the_folder_holds_no_value_of_the_feed_and_names_the_annex(desk: Path) -> None:
    (kept,) = (desk / "disclosures-private").iterdir()
    assert kept.stat().st_mode & 0o777 == 0o600
    assert kept.parent.stat().st_mode & 0o777 == 0o700
    assert kept.stem == hashlib.sha256(kept.read_bytes()).hexdigest()
    rows = list(csv.DictReader(kept.read_text().splitlines()))
    assert [(row["zone"], row["resolution"], row["starts"]) for row in rows] == [
        ("FR", "hour", f"2026-07-01T{10 + hour}:00Z") for hour in VALUES
    ]
    grams = [round(value * 1_000_000) for value in VALUES.values()]
    assert [int(row["micrograms_per_kwh"]) for row in rows] == grams
    folder = desk / "disclosures/2026Q3/summary@1"
    sources = json.loads((folder / "disclosure.json").read_bytes())["columns"]["factor_sources"]
    (annex,) = (source for source in sources if source["name"] == "annex/hourly-grid.csv")
    assert annex["sha256"] == kept.stem
    assert "kept by the issuer" in annex["licence"]
    everything = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    for value, micrograms in zip(VALUES.values(), grams, strict=True):
        assert str(micrograms).encode() not in everything
        assert str(value).encode() not in everything


def test_without_the_annex_the_folder_verifies_and_reproduces(desk: Path) -> None:
    shutil.rmtree(desk / "disclosures-private")
    assert run("disclosure", "verify", "summary@1").exit_code == 0
    assert run("disclosure", "reproduce", "summary@1").exit_code == 0


def test_a_lake_of_annual_figures_has_no_annex(tmp_path: Path, desk: Path) -> None:
    shutil.rmtree(desk / "disclosures-private")
    spans = request(1, "/summaries", [call(2, 1)])
    with LakeWriter(tmp_path / "annual", Sealer(Estimator(), RULES, 1.0)) as writer:
        writer.ingest([SpanSource(RULES.keys).request(traces(spans).SerializeToString())])
        writer.seal_all()
    made = run("disclosure", "publish", "--period", "2026Q3", "--lake", "annual", "--book", "another")
    assert made.exit_code == 0, made.output
    assert not (desk / "disclosures-private").exists()
