"""OTLP requests into the lake until they are sealed Parquet, beside DuckDB writing the same columns.

Processor time of the whole process, all threads. The second part seals 5 million spans in a process of its
own (WATTSPAN_LAKE_SPANS changes how many) and prints its largest resident memory.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

from benchmarks import lake_spans
from benchmarks.memory import largest_mib
from wattspan.estimator import Estimator
from wattspan.lake.features import FeatureRules
from wattspan.lake.seal import Sealer
from wattspan.lake.spans import SpanSource
from wattspan.lake.writer import LakeWriter

SPANS = 500_000
RUNS = 3
AT_ONCE = 8
"""Requests of 500 spans that are taken in with one fsync, as the gateway's reader does."""
MANY = int(os.environ.get("WATTSPAN_LAKE_SPANS", 5_000_000))
BUDGET_SPANS_PER_S, BUDGET_MIB = 200_000, 1_500


def into_lake(folder: Path, requests: list[bytes]) -> tuple[float, float]:
    """Processor seconds of taking in and of sealing."""
    source, sealer = SpanSource(), Sealer(Estimator(), FeatureRules(), 1.0)
    sealer.seal_rows(lake_spans.rows(1_000))
    with LakeWriter(folder, sealer) as writer:
        begin = time.process_time()
        for first in range(0, len(requests), AT_ONCE):
            writer.ingest([source.request(b"".join(requests[first : first + AT_ONCE]))])
        taken = time.process_time()
        writer.seal_all()
        return taken - begin, time.process_time() - taken


def duckdb_copy(files: list[Path], out: Path) -> float:
    """Processor seconds of DuckDB for the same rows from memory to sorted Parquet: no OTLP, no journal, no
    trees, no estimates."""
    with duckdb.connect() as connection:
        names = ", ".join(f"'{file}'" for file in files)
        connection.execute(f"CREATE TABLE spans AS SELECT * FROM read_parquet([{names}])")
        begin = time.process_time()
        connection.execute(
            f"COPY (SELECT * FROM spans ORDER BY trace_id, pre) TO '{out}' (FORMAT parquet, CODEC 'zstd')"
        )
        return time.process_time() - begin


def memory_of(spans: int) -> tuple[float, float]:
    """Resident memory and processor seconds of a process that seals `spans` spans."""
    code = f"from benchmarks.lake import many; many({spans})"
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    mib, seconds = map(float, told.split())
    return mib, seconds


def many(spans: int) -> None:
    """What that process does."""
    sealer = Sealer(Estimator(), FeatureRules(), 1.0)
    with tempfile.TemporaryDirectory() as folder, LakeWriter(Path(folder), sealer) as writer:
        begin = time.process_time()
        for seed, _ in enumerate(range(0, spans, 100_000)):
            writer.ingest([lake_spans.rows(100_000, seed=seed)])
        writer.seal_all()
        assert sum(segment.rows for segment in writer.manifest.segments) == spans
        seconds = time.process_time() - begin
    print(largest_mib(), seconds)


def main() -> None:
    requests = list(lake_spans.requests(SPANS))
    best: tuple[float, float] = (1e9, 1e9)
    rival = 1e9
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory() as folder:
            lake = Path(folder) / "lake"
            best = min(best, into_lake(lake, requests), key=sum)
            files = sorted(lake.rglob("*.parquet"))
            rival = min(rival, duckdb_copy(files, Path(folder) / "rival.parquet"))
            size = sum(file.stat().st_size for file in files)
    spans_per_s = SPANS / sum(best)
    print(f"taken in, durable   {best[0] / SPANS * 1e6:6.2f} us a span (OTLP to journal)")
    print(f"sealed              {best[1] / SPANS * 1e6:6.2f} us a span (trees, owners, estimates, Parquet)")
    print(f"both                {spans_per_s:10,.0f} spans a processor second; budget {BUDGET_SPANS_PER_S:,}")
    print(f"size                {size / SPANS:6.1f} bytes a span")
    ratio = sum(best) / rival
    print(f"DuckDB, COPY alone  {rival / SPANS * 1e6:6.2f} us a span: the lake takes {ratio:.1f} times that")
    mib, seconds = memory_of(MANY)
    print(
        f"{MANY:,} spans sealed: {mib:,.0f} MiB at most (budget {BUDGET_MIB:,}), {seconds:.0f} s of processor"
    )


if __name__ == "__main__":
    main()
