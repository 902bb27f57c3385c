"""A quarter of 100 M calls over 40 features and 30 models: aggregate, publish, verify, reproduce.

`WATTSPAN_BENCH_CALLS=2000000` makes it smaller. The lake has one row a call and one for each inference of
four calls, a day a segment; one call in fifty carries no usage. The period before is published first (a tenth
of the calls), so that every disclosure has a bridge. Processor seconds are those of all threads together.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa

from wattspan.calls import CallBatch, Column
from wattspan.disclosure.aggregate import aggregate
from wattspan.disclosure.book import Book
from wattspan.disclosure.keys import SigningKey
from wattspan.disclosure.prepare import (
    compared_with,
    content_of,
    environment,
    method_of,
    sealed_of,
    subject_of,
)
from wattspan.disclosure.restating import Methodology
from wattspan.disclosure.subject import Feature, Issuer, Period
from wattspan.disclosure.tables import FactorTables
from wattspan.estimator import Estimator
from wattspan.lake import spread
from wattspan.lake.manifest import Manifest, write_manifest
from wattspan.lake.plans import PlanTexts
from wattspan.lake.reader import open_snapshot
from wattspan.lake.schema import SEGMENT, TEXT
from wattspan.lake.segments import write_segment

CALLS = int(os.environ.get("WATTSPAN_BENCH_CALLS", "100_000_000"))
CALLS_OF_AN_INFERENCE = 4
FEATURES = 40
QUARTERS = (("2026Q2", 0.1), ("2026Q3", 1.0))
DAY_NS = 86_400 * 10**9
NOW = dt.datetime(2026, 11, 2, tzinfo=dt.UTC)
ISSUER = Issuer("saas.example", "Example SaaS GmbH")
MODELS = tuple(
    (provider, model, region)
    for provider, region, models in (
        (
            "openai",
            "",
            ("gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-4.1-mini", "gpt-5", "gpt-5-mini", "o3", "o4-mini"),
        ),
        (
            "anthropic",
            "",
            (
                "claude-sonnet-4-5",
                "claude-haiku-4-5",
                "claude-opus-4-1",
                "claude-sonnet-4",
                "claude-3-5-haiku",
            ),
        ),
        (
            "aws.bedrock",
            "eu-west-3",
            ("anthropic.claude-sonnet-4-5-20250929-v1:0", "amazon.nova-pro-v1:0", "amazon.nova-lite-v1:0"),
        ),
        ("gcp.vertex_ai", "europe-west4", ("gemini-2.5-pro", "gemini-2.5-flash", "gemini-2.5-flash-lite")),
        ("azure.ai.openai", "swedencentral", ("gpt-4o", "gpt-4.1", "gpt-5", "text-embedding-3-small")),
        ("mistral_ai", "", ("mistral-large-latest", "mistral-small-latest")),
        ("groq", "", ("llama-3.3-70b-versatile", "llama-3.1-8b-instant")),
        ("deepseek", "", ("deepseek-chat",)),
        ("acme", "", ("a-model-of-our-own", "another-of-our-own")),
    )
    for model in models
)


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="wattspan-disclosure-"))
    try:
        with _told(f"made the lake: {CALLS / 1e6:g} M calls"):
            made(folder / "lake")
        size = sum(path.stat().st_size for path in (folder / "lake").rglob("*.parquet"))
        print(f"{size / 1e9:.1f} GB; {FEATURES} features x {len(MODELS)} models")
        key, book = SigningKey.new(folder / "key.pem"), Book(folder / "disclosures")
        for quarter, _ in QUARTERS:
            publish(folder / "lake", book, key, quarter)
        ids = [published.id for published in book.published() if "/2026Q3/" in published.id]
        with _told(f"verify, all {len(ids)}"):
            assert not any(book.verify(one) for one in ids)
        with _told("verify, one"):
            book.verify(ids[0])
        with _told(f"reproduce, all {len(ids)}"):
            assert not any(book.reproduce(one) for one in ids)
        with _told("reproduce, one"):
            book.reproduce(ids[0])
        sealed = sum(path.stat().st_size for path in book.root.rglob("*") if path.is_file())
        print(f"{sealed / 1e6:.0f} MB of folders")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def publish(lake: Path, book: Book, key: SigningKey, quarter: str) -> None:
    """Aggregate the quarter, and publish a disclosure a feature."""
    estimator, period = Estimator(), Period.of(quarter)
    with _told(f"{quarter} aggregate"):
        found = aggregate(
            open_snapshot(lake), period, {estimator.edition.label: "released"}, NOW, "mean_of_model"
        )
    print(f"{len(found.cells):,} daily rows")
    method = method_of(estimator.edition, "average", "lifecycle", "mean_of_model")
    tables = FactorTables(estimator.edition)
    methodology = Methodology(estimator.edition, "lifecycle")
    with _told(f"{quarter} publish, all {len(found.features)}"):
        for place, name in enumerate(found.features):
            began = time.process_time()
            sealed = sealed_of(found, name, "mean_of_model")
            subject, before = subject_of(book, ISSUER, Feature(name), period, method, sealed)
            previous = None
            if before is not None:
                previous = compared_with(content_of(book, before), sealed, method, lambda _: methodology)
            book.publish(
                subject,
                sealed,
                key,
                NOW,
                environment=environment(),
                previous=previous,
                extra={"methodology/tables.json": tables.of(sealed)},
            )
            if place == 1:
                print(f"{quarter} publish, one: {time.process_time() - began:.2f} s of processor")


@contextmanager
def _told(what: str) -> Iterator[None]:
    wall, processor = time.perf_counter(), time.process_time()
    yield
    took = time.perf_counter() - wall, time.process_time() - processor
    print(f"{what:34} {took[0]:7.2f} s, {took[1]:7.2f} s of processor", flush=True)


def made(folder: Path) -> None:
    """A lake of whole quarters, a segment a day."""
    estimator = Estimator()
    segments = []
    for quarter, share in QUARTERS:
        period = Period.of(quarter)
        days = (period.end - period.start).days
        for number in range(days):
            day = period.start + dt.timedelta(days=number)
            calls = max(400, int(CALLS * share / days))
            table = rows_of_day((day - dt.date(1970, 1, 1)).days, calls, estimator)
            segments.append(write_segment(folder, len(segments) + 1, day.isoformat(), table, estimator))
    write_manifest(folder, Manifest(1, tuple(segments), next_number=len(segments) + 1))


def rows_of_day(day: int, calls: int, estimator: Estimator) -> pa.Table:
    """Traces of an inference and its calls."""
    random = np.random.default_rng(day)
    traces = calls // CALLS_OF_AN_INFERENCE
    n = traces * (CALLS_OF_AN_INFERENCE + 1)
    is_root = np.arange(n) % (CALLS_OF_AN_INFERENCE + 1) == 0
    trace = np.arange(n) // (CALLS_OF_AN_INFERENCE + 1)
    start = day * DAY_NS + random.integers(0, DAY_NS - 10**10, traces)[trace] + np.where(is_root, 0, 10**6)
    which = np.where(is_root, 0, random.integers(1, len(MODELS) + 1, n)).astype(np.int32)
    has_usage = ~is_root & (random.random(n) >= 0.02)
    at = np.flatnonzero(~is_root)
    batch = CallBatch.of(
        len(at),
        model=Column(which[at], ("", *(model for _, model, _ in MODELS))),
        provider=Column(which[at], ("", *(provider for provider, _, _ in MODELS))),
        span_region=Column(which[at], ("", *(region for _, _, region in MODELS))),
        input_tokens=np.where(has_usage[at], random.lognormal(7, 1.2, len(at)).astype(np.int64) + 1, 0),
        output_tokens=np.where(has_usage[at], random.lognormal(5.5, 1, len(at)).astype(np.int64) + 1, 0),
        has_usage=has_usage[at],
        start_unix_ns=start[at],
    )
    estimate = estimator.estimate(batch)
    plan_of_row, plans = estimator.plans(batch)
    texts = PlanTexts(estimator)
    plan = Column.of([texts.of(one) for one in plans])
    errors = Column.of([spread.written(one) for one in estimate.spreads])
    has_figure = np.isfinite(estimate.energy_kwh)
    feature = random.integers(1, FEATURES + 1, traces).astype(np.int32)[trace]
    ids = np.zeros((n, 2), dtype=">u8")
    ids[:, 0], ids[:, 1] = trace, day
    given: dict[str, pa.Array] = {
        "trace_id": pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(16), n, [None, pa.py_buffer(ids.tobytes())]
        ),
        "span_id": pa.array(np.arange(1, n + 1, dtype=np.uint64)),
        "parent_span_id": pa.array(np.where(is_root, 0, trace * 5 + 1).astype(np.uint64)),
        "start_unix_ns": pa.array(start),
        "duration_ns": pa.array(random.integers(10**8, 10**10, n)),
        "feature": _text(Column(feature, ("", *(f"feature {item}" for item in range(1, FEATURES + 1))))),
        "sampling": _text(Column.constant("all", n)),
        "weight": pa.array(np.ones(n)),
        "request": pa.array(is_root.astype(np.int8)),
        "pre": pa.array((np.arange(n) % (CALLS_OF_AN_INFERENCE + 1)).astype(np.int32)),
        "subtree_size": pa.array(np.where(is_root, CALLS_OF_AN_INFERENCE + 1, 1).astype(np.int32)),
        "depth": pa.array((~is_root).astype(np.int32)),
        "is_owner": pa.array(~is_root, mask=is_root),
        "role": pa.array(np.zeros(n, dtype=np.int8), mask=is_root),
        "spread": _placed(
            Column(np.where(has_figure, errors.codes[estimate.spread], -1), errors.names), at, n
        ),
        "plan": _placed(Column(np.where(has_figure, plan.codes[plan_of_row], -1), plan.names), at, n),
        "evidence": _placed(estimate.tier, at, n),
        "resolved_model": _placed(estimate.model, at, n),
    }
    columns = []
    for field in SEGMENT:
        value = given.get(field.name)
        if value is None:
            found = getattr(estimate, field.name, None)
            found = getattr(batch, field.name, None) if found is None else found
            if isinstance(found, Column):
                value = _placed(found, at, n)
            elif isinstance(found, np.ndarray):
                full = np.zeros(n, dtype=found.dtype)
                full[at] = found
                is_null = is_root | ~np.isfinite(full) if found.dtype == np.float64 else is_root
                value = pa.array(full, mask=is_null)
            elif field.type == TEXT:
                value = _text(Column.constant("", n))
            else:
                value = pa.nulls(n, field.type)
        columns.append(value.cast(field.type))
    return pa.table(columns, schema=SEGMENT)


def _placed(column: Column, at: np.ndarray, n: int) -> pa.DictionaryArray:
    """A column of calls among the rows; "" elsewhere, and where its code is -1."""
    places = {"": 0}
    new = np.array([*(places.setdefault(name, len(places)) for name in column.names), 0], dtype=np.int32)
    codes = np.zeros(n, dtype=np.int32)
    codes[at] = new[column.codes]
    return _text(Column(codes, tuple(places)))


def _text(column: Column) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(column.codes), pa.array(column.names, pa.string()))


if __name__ == "__main__":
    main()
