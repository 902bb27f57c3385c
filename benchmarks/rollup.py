"""Roll-up of 100 M calls by day, feature and model, beside hand-written DuckDB SQL on the same files.

The lake is made of 20 days of 1 M calls each, whose files (and their cells) stand five times in the manifest:
100 M calls, from a warm page cache. `rows`: the same question where no segment has cells yet, so that 100 M
rows are read. The rival's SQL adds up the same tokens, energy, carbon and cost from the rows, without bands,
evidence, coverage or sampling. Processor time is that of both cores together: half of it is what a quiet
machine takes. WATTSPAN_ROLLUP_DAYS changes how many days are made.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from benchmarks.memory import largest_mib
from wattspan.calls import CallBatch, Column
from wattspan.estimator import Estimator
from wattspan.lake import spread
from wattspan.lake.cells import file_of, write_cells
from wattspan.lake.manifest import Manifest, Segment, write_manifest
from wattspan.lake.reader import Snapshot, open_snapshot
from wattspan.lake.schema import SEGMENT, TEXT
from wattspan.lake.segments import write_segment
from wattspan.views.cells import cells_of
from wattspan.views.rollup import Question, roll_up

CALLS_OF_DAY = 1_000_000
DAYS = int(os.environ.get("WATTSPAN_ROLLUP_DAYS", 20))
TIMES = 5
BUDGET_S = 10
FEATURES = 40
DAY_NS = 86_400 * 10**9
FIRST_DAY = (dt.date(2026, 11, 1) - dt.date(1970, 1, 1)).days
MODELS = (
    ("openai", "gpt-4o"),
    ("openai", "gpt-4o-mini"),
    ("openai", "gpt-5"),
    ("openai", "o3"),
    ("anthropic", "claude-sonnet-4-5"),
    ("anthropic", "claude-haiku-4-5"),
    ("gcp.gemini", "gemini-2.5-pro"),
    ("gcp.gemini", "gemini-2.5-flash"),
    ("mistral_ai", "mistral-large-latest"),
    ("groq", "llama-3.3-70b-versatile"),
    ("deepseek", "deepseek-chat"),
    ("openai", "a-model-of-our-own"),
)
PLAIN = (
    f"SELECT start_unix_ns // {DAY_NS} AS day, feature, resolved_model, count(*), sum(input_tokens), "
    "sum(cache_read_tokens), sum(cache_write_tokens), sum(output_tokens), sum(reasoning_tokens), "
    "sum(energy_kwh), sum(co2e_g), sum(embodied_g), sum(cost_usd) "
    "FROM read_parquet($files) WHERE is_owner GROUP BY ALL"
)


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="wattspan-rollup-"))
    try:
        made(folder)
        calls = DAYS * TIMES * CALLS_OF_DAY
        print(
            f"{calls / 1e6:.0f} M calls, {DAYS} days x {FEATURES} features x {len(MODELS)} models, 2 threads"
        )
        rows: dict[str, tuple[float, float, float, int]] = {}
        for name in ("cells", "plain", "rows"):
            best = min((_apart(name, folder) for _ in range(2)), key=lambda found: found[1])
            rows[name] = best
        for name, what in (
            ("plain", "plain DuckDB, 9 sums, from the rows"),
            ("cells", "wattspan, bands and coverage, from cells"),
            ("rows", "wattspan, bands and coverage, from rows"),
        ):
            wall, processor, mib, groups = rows[name]
            print(
                f"{what:42} {wall:6.1f} s, {processor:6.1f} s of processor, {mib:6.0f} MiB at most, "
                f"{groups:,} groups"
            )
        for name in ("cells", "rows"):
            print(f"{name} / plain, processor: {rows[name][1] / rows['plain'][1]:.2f}")
        print(f"budget: {BUDGET_S} s on 2 cores")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _apart(name: str, folder: Path) -> tuple[float, float, float, int]:
    """Wall and processor seconds, peak MiB and groups of one run in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.rollup", name, str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    wall, processor, mib, groups = done.stdout.split()
    return float(wall), float(processor), float(mib), int(groups)


def once(name: str, folder: Path) -> None:
    snapshot = open_snapshot(folder)
    manifest = snapshot.manifest
    if name == "rows":
        bare = tuple(replace(one, cells=None) for one in manifest.segments)
        snapshot = Snapshot(folder, replace(manifest, segments=bare))
    began, before = time.perf_counter(), time.process_time()
    if name == "plain":
        files = [str(folder / segment.file) for segment in manifest.segments]
        with duckdb.connect(config={"threads": 2}) as connection:
            groups = len(connection.execute(PLAIN, {"files": files}).fetchall())
    else:
        groups = len(roll_up(snapshot, Question(("day", "feature", "model"))).groups)
    wall, processor = time.perf_counter() - began, time.process_time() - before
    peak = largest_mib()
    print(wall, processor, peak, groups)


def made(folder: Path) -> None:
    """A lake: segments of one day each and their cells, named several times in the manifest."""
    estimator = Estimator()
    segments: list[Segment] = []
    for number in range(DAYS):
        day = (dt.date(1970, 1, 1) + dt.timedelta(days=FIRST_DAY + number)).isoformat()
        one = write_segment(folder, number + 1, day, rows_of_day(number, estimator), estimator)
        segments.append(replace(one, cells=write_cells(folder, file_of(one), cells_of, [one])))
    again = []
    for copy in range(1, TIMES):
        for one in segments:
            assert one.cells is not None
            file, cells = (
                name.replace(".parquet", f"-{copy}.parquet") for name in (one.file, one.cells.file)
            )
            os.link(folder / one.file, folder / file)
            os.link(folder / one.cells.file, folder / cells)
            again.append(replace(one, file=file, cells=replace(one.cells, file=cells)))
    write_manifest(folder, Manifest(1, tuple(segments + again)))


def rows_of_day(number: int, estimator: Estimator) -> pa.Table:
    n = CALLS_OF_DAY
    random = np.random.default_rng(number)
    which = random.integers(0, len(MODELS), n).astype(np.int32) + 1
    start = (FIRST_DAY + number) * DAY_NS + np.sort(random.integers(0, DAY_NS, n))
    calls = CallBatch.of(
        n,
        model=Column(which, ("", *(model for _, model in MODELS))),
        provider=Column(which, ("", *(provider for provider, _ in MODELS))),
        input_tokens=random.lognormal(7, 1.2, n).astype(np.int64) + 1,
        output_tokens=random.lognormal(5.5, 1, n).astype(np.int64) + 1,
        start_unix_ns=start,
    )
    made = estimator.estimate(calls)
    texts = Column.of([spread.written(item) for item in made.spreads])
    feature = random.integers(0, FEATURES, n).astype(np.int32)
    given: dict[str, object] = {
        "trace_id": pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(16), n, [None, pa.py_buffer(np.sort(random.integers(0, 2**63, 2 * n)).tobytes())]
        ),
        "span_id": pa.array(np.arange(1, n + 1, dtype=np.uint64)),
        "parent_span_id": pa.array(np.zeros(n, dtype=np.uint64)),
        "start_unix_ns": pa.array(start),
        "duration_ns": pa.array(random.integers(10**8, 10**10, n)),
        "feature": _text(Column(feature, ("", *(f"feature {item}" for item in range(1, FEATURES))))),
        "service": _text(Column.constant("order-desk", n)),
        "sampling": _text(Column.constant("all", n)),
        "weight": pa.array(np.ones(n)),
        "request": pa.array(np.ones(n, dtype=np.int8)),
        "role": pa.array(np.zeros(n, dtype=np.int8)),
        "is_owner": pa.array(np.ones(n, dtype=np.bool_)),
        "pre": pa.array(np.zeros(n, dtype=np.int32)),
        "subtree_size": pa.array(np.ones(n, dtype=np.int32)),
        "depth": pa.array(np.zeros(n, dtype=np.int32)),
        "spread": _text(Column(texts.codes[made.spread], texts.names)),
        "evidence": _text(made.tier),
        "resolved_model": _text(made.model),
        "cost_usd": pa.array(random.lognormal(-5, 1, n)),
    }
    columns = []
    for field in SEGMENT:
        if field.name in given:
            columns.append(given[field.name])
            continue
        value = getattr(made, field.name, None)
        value = getattr(calls, field.name, None) if value is None else value
        if isinstance(value, Column):
            columns.append(_text(value))
        elif isinstance(value, np.ndarray):
            columns.append(pa.array(value, mask=np.isnan(value) if value.dtype == np.float64 else None))
        elif field.type == TEXT:
            columns.append(_text(Column.constant("", n)))
        else:
            columns.append(pa.nulls(n, field.type))
    return pa.table([c.cast(f.type) for c, f in zip(columns, SEGMENT, strict=True)], schema=SEGMENT)


def _text(column: Column) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(column.codes), pa.array(column.names, pa.string()))


if __name__ == "__main__":
    once(sys.argv[1], Path(sys.argv[2])) if len(sys.argv) == 3 else main()
