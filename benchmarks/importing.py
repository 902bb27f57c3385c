"""A Parquet log of calls: backfilled, read as spans, into a sealed lake; DuckDB copying the same file beside.

One core: processor seconds of the process, best of RUNS.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.memory import largest_mib
from wattspan.config import load_config
from wattspan.lake.ownership import own
from wattspan.lake.sources.backfill import backfill
from wattspan.lake.sources.call_log import CallLog
from wattspan.lake.sources.column_map import ColumnMap
from wattspan.lake.sources.files import FileReader, TableOptions
from wattspan.lake.spans import SpanSource
from wattspan.lake.writer import LakeWriter

ROWS = 1_000_000
RUNS = 3
COLUMNS = ColumnMap(
    {
        "start": "ts",
        "input_tokens": "input",
        "output_tokens": "output",
        "model": "model",
        "region": "region",
        "duration_ms": "latency_ms",
    },
    {"provider": "azure.ai.openai"},
)


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        log = folder / "calls.parquet"
        _write_log(log)
        print(f"{ROWS:,} calls, {log.stat().st_size / 1e6:.0f} MB of Parquet; calls a processor second")
        settings = load_config(None)
        estimator = settings.estimator()

        def read() -> None:
            for _ in _portions(log):
                pass

        def estimate() -> None:
            for portion in _portions(log):
                calls, is_owner, _ = own(portion.spans)
                estimator.estimate(calls.take(np.flatnonzero(is_owner)))

        def seal() -> None:
            shutil.rmtree(folder / "lake", ignore_errors=True)
            with LakeWriter(folder / "lake", settings.sealer(estimator)) as writer:
                for portion in _portions(log):
                    writer.ingest([portion.spans])
                writer.seal_all()

        def copy() -> None:
            connection = duckdb.connect()
            connection.execute("SET threads = 1")
            connection.execute(f"COPY (FROM '{log}') TO '{folder / 'copy.parquet'}' (FORMAT parquet)")

        def fill() -> None:
            backfill(CallLog(COLUMNS, "", "", _refuse), log, folder / "filled.parquet", estimator)

        rival = _rate(copy)
        for name, run in (
            ("backfill to Parquet", fill),
            ("read as spans", read),
            ("read, owned, estimated", estimate),
            ("sealed lake", seal),
        ):
            rate = _rate(run)
            print(f"{name:24} {rate / 1e6:6.2f} M/s   DuckDB's copy is {rival / rate:5.1f} x as fast")
        print(f"{'DuckDB copies the file':24} {rival / 1e6:6.2f} M/s")
        print(f"most memory {largest_mib():.0f} MB")


def _portions(log: Path):
    return FileReader(SpanSource(), TableOptions(COLUMNS), _refuse).read(log)


def _refuse(problem: object) -> None:
    raise AssertionError(problem)


def _rate(run: Callable[[], None]) -> float:
    seconds = []
    for _ in range(RUNS):
        begin = time.process_time()
        run()
        seconds.append(time.process_time() - begin)
    return ROWS / min(seconds)


def _write_log(path: Path) -> None:
    rng = np.random.default_rng(1)
    start = 1_760_000_000 * 10**9 + np.sort(rng.integers(0, 20 * 86_400 * 10**9, ROWS))
    models = np.array(["gpt-4o", "gpt-4o-mini", "gpt-5-mini", "gpt-4.1"])
    regions = np.array(["eastus", "westeurope", "swedencentral"])
    table = pa.table(
        {
            "ts": pa.array(start).cast(pa.timestamp("ns")),
            "input": rng.integers(1, 8000, ROWS),
            "output": rng.integers(1, 800, ROWS),
            "model": models[rng.integers(0, len(models), ROWS)],
            "region": regions[rng.integers(0, len(regions), ROWS)],
            "latency_ms": rng.random(ROWS) * 5000,
        }
    )
    pq.write_table(table, path)


if __name__ == "__main__":
    main()
