"""Sums of rows are exact whole numbers, whatever the sizes, the blocks and the files they are read from."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from benchmarks.disclosure import rows_of_day
from wattspan.disclosure import row_sums
from wattspan.disclosure.cells import ENERGY_UNITS_PER_KWH
from wattspan.disclosure.row_sums import Kind, sums_of
from wattspan.estimator import Estimator
from wattspan.estimator.moments import moments
from wattspan.lake.manifest import Segment
from wattspan.lake.segments import read_segment, write_segment

DAY = (dt.date(2026, 7, 1) - dt.date(1970, 1, 1)).days
END = 2**62


def segment(folder: Path, number: int, table: pa.Table) -> Segment:
    return write_segment(folder, number, "2026-07-01", table, Estimator())


def changed(table: pa.Table, **columns: object) -> pa.Table:
    for name, values in columns.items():
        place = table.schema.get_field_index(name)
        table = table.set_column(
            place, table.schema.field(name), pa.array(values).cast(table.schema.field(name).type)
        )
    return table


def row_by_row(folder: Path, segments: list[Segment]) -> dict[Kind, list[int]]:
    """The same sums as plain Python makes them."""
    found: dict[Kind, list[int]] = defaultdict(lambda: [0] * 9)
    for one in segments:
        for row in read_segment(folder, one).to_pylist():
            if row["basis"] not in row_sums.BASES:
                continue
            grams = row["intensity_g_per_kwh"]
            kind = Kind(
                row["start_unix_ns"] // (86_400 * 10**9),
                int(np.floor(row["weight"] * 1e6 + 0.5)),
                row_sums.NO_CARBON if grams is None else int(np.floor(grams * 1e6 + 0.5)),
                tuple(row[name] for name in row_sums.TEXTS),
            )
            tokens = (
                row[f"owned_{name}"] if row[f"owned_{name}"] is not None else row[name] or 0
                for name in ("input_tokens", "cache_read_tokens", "output_tokens")
            )
            energy = row["energy_kwh"] if row["basis"] in ("measured", "reported", "compute") else 0
            sums = found[kind]
            for place, value in enumerate(
                (1, *moments(*tokens), round(energy * float(ENERGY_UNITS_PER_KWH)))
            ):
                sums[place] += value
    return found


def same(found: dict[Kind, row_sums.Sum], expected: dict[Kind, list[int]]) -> bool:
    return {k: [s.rows, *s.moments, s.energy] for k, s in found.items()} == expected


@pytest.fixture(scope="module")
def day() -> pa.Table:
    return rows_of_day(DAY, 4_000, Estimator())


def test_sums_are_those_of_plain_python(tmp_path: Path, day: pa.Table) -> None:
    n = day.num_rows
    random = np.random.default_rng(1)
    # weights of samples, hours of two intensities, tokens that only a copy knew
    table = changed(
        day,
        weight=random.choice([1.0, 4.0, 2.5], n),
        intensity_g_per_kwh=[
            None if v is None else float(g)
            for v, g in zip(
                day["intensity_g_per_kwh"].to_pylist(), random.choice([55.5, 410.25], n), strict=True
            )
        ],
        owned_output_tokens=[int(v) if v else None for v in random.integers(0, 3, n)],
    )
    segments = [segment(tmp_path, 1, table), segment(tmp_path, 2, day)]
    assert same(sums_of(tmp_path, segments, 0, END).kinds, row_by_row(tmp_path, segments))


def test_blocks_make_no_difference(tmp_path: Path, day: pa.Table, monkeypatch: pytest.MonkeyPatch) -> None:
    segments = [segment(tmp_path, 1, day)]
    whole = sums_of(tmp_path, segments, 0, END)
    monkeypatch.setattr("wattspan.lake.segments.ROW_GROUP_ROWS", 333)
    cut = [segment(tmp_path, 2, day)]
    assert sums_of(tmp_path, cut, 0, END) == whole


def test_the_largest_counts_do_not_overflow(tmp_path: Path, day: pa.Table) -> None:
    # 4e14 a square, in 40,000 rows: 1.6e19 is more than 64 bits hold
    most, n = 20_000_000, 40_000
    many = rows_of_day(DAY, n, Estimator())
    table = changed(many, input_tokens=[most] * many.num_rows, output_tokens=[most] * many.num_rows)
    found = sums_of(tmp_path, [segment(tmp_path, 1, table)], 0, END)
    calls = sum(s.rows for s in found.kinds.values())
    assert calls == n
    assert sum(s.moments.output_square for s in found.kinds.values()) == n * most**2 > 2**63


def test_reported_energy_of_any_size_is_summed_to_the_picojoule(tmp_path: Path, day: pa.Table) -> None:
    calls = [basis not in ("", "no_usage") for basis in day["basis"].to_pylist()]
    table = changed(
        day,
        basis=[
            "measured" if call else basis for call, basis in zip(calls, day["basis"].to_pylist(), strict=True)
        ],
        energy_kwh=[12.5 if call else None for call in calls],
    )
    found = sums_of(tmp_path, [segment(tmp_path, 1, table)], 0, END)
    # 4.5e19 picojoules a call: more than 64 bits hold
    assert sum(s.energy for s in found.kinds.values()) == sum(calls) * 125 * ENERGY_UNITS_PER_KWH // 10


def test_requests_below_which_a_call_is_silent_are_not_covered(tmp_path: Path, day: pa.Table) -> None:
    found = sums_of(tmp_path, [segment(tmp_path, 1, day)], 0, END).requests
    silent = np.array([basis == "no_usage" for basis in day["basis"].to_pylist()]).reshape(-1, 5)
    features = day["feature"].to_pylist()[::5]
    expected: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for feature, below in zip(features, silent, strict=True):
        expected[feature][0] += 1_000_000
        expected[feature][1] += 0 if below.any() else 1_000_000
    assert {feature: [r.completed, r.covered] for (_, feature), r in found.items()} == expected
    assert 0 < sum(below.any() for below in silent) < len(silent)
