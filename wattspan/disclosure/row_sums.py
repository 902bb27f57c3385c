"""Exact whole-number sums over the rows of segments, by kind of row: what daily rows are made of.

Rows are read a block at a time with their texts as codes, so that a hundred million are grouped by whole
numbers: hashing sixteen texts of each row, as SQL does, takes most of a minute for what takes seconds here.
Sums are of 64-bit halves where a whole one might not hold, so nothing is ever rounded.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from wattspan.disclosure.cells import (
    ENERGY_UNITS_PER_KWH,
    INTENSITY_UNITS_PER_G,
    REPORTED,
    WEIGHT_UNITS,
)
from wattspan.estimator.kinds import distinct
from wattspan.estimator.moments import Moments, moments
from wattspan.lake.arrow import text_column, whole
from wattspan.lake.manifest import Segment
from wattspan.lake.rows import Flags, Ints

TEXTS: Final = (
    "plan",
    "spread",
    "resolved_model",
    "provider",
    "region",
    "region_source",
    "zone",
    "evidence",
    "grid_source",
    "grid_resolution",
    "grid_accounting",
    "grid_reason",
    "basis",
    "sampling",
    "feature",
)
"""What kinds of rows are told apart by, beside day, weight and intensity; those that go together come first,
so that few of their combinations are met while rows are grouped."""
BASES: Final = frozenset(("measured", "reported", "modelled", "no_usage", "failed", "compute"))
"""Rows that count; others are no calls, or copies of one."""
NO_CARBON: Final = -1
"""In place of an intensity, where a row has no carbon figure."""

_TOKENS: Final = ("input_tokens", "cache_read_tokens", "output_tokens")
_COLUMNS: Final = (
    *TEXTS,
    *_TOKENS,
    *(f"owned_{name}" for name in _TOKENS),
    "start_unix_ns",
    "weight",
    "intensity_g_per_kwh",
    "energy_kwh",
    "is_owner",
    "request",
    "subtree_size",
)
_BLOCK_ROWS: Final = 1_000_000
_DAY_NS: Final = 86_400 * 10**9
_HALF: Final = 32
_MASK: Final = (1 << _HALF) - 1
_TABLE: Final = 1 << 16
_MOST_CODES: Final = 1 << 31

Halves = tuple[Ints, Ints]
"""Whole numbers as high and low 32 bits, int64 each, so that sums of many hold."""


class Kind(NamedTuple):
    """What rows of one sum share."""

    day: int
    """Days since 1970, UTC."""
    weight: int
    """Micro-weights of each row."""
    intensity: int
    """Micrograms CO2e per kWh, or NO_CARBON."""
    texts: tuple[str, ...]
    """In the order of TEXTS."""


class Sum(NamedTuple):
    """Unweighted sums over the rows of one kind."""

    rows: int
    moments: Moments
    energy: int
    """Picojoules of energy that was not modelled."""


class Requests(NamedTuple):
    """Inferences of one day and feature, in micro-weights."""

    completed: int
    failed: int
    covered: int


class RowSums(NamedTuple):
    """What one or more segments hold of a period."""

    kinds: dict[Kind, Sum]
    requests: dict[tuple[int, str], Requests]
    """By day and feature."""


def sums_of(folder: Path, segments: Sequence[Segment], first_ns: int, end_ns: int) -> RowSums:
    """Sums over rows that start from `first_ns` to before `end_ns` (Unix). Raises OSError."""
    kinds: dict[Kind, Sum] = {}
    requests: dict[tuple[int, str], Requests] = {}
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        # in the order of the segments, though sums of whole numbers do not hang on it
        for found in pool.map(lambda one: _of_segment(folder / one.file, first_ns, end_ns), segments):
            for kind, new in found.kinds.items():
                old = kinds.get(kind)
                kinds[kind] = new if old is None else _added(old, new)
            for key, counts in found.requests.items():
                requests[key] = Requests(*map(sum, zip(requests.get(key, (0, 0, 0)), counts, strict=True)))
    return RowSums(kinds, requests)


def _added(old: Sum, new: Sum) -> Sum:
    return Sum(
        old.rows + new.rows,
        Moments(*(a + b for a, b in zip(old.moments, new.moments, strict=True))),
        old.energy + new.energy,
    )


def _of_segment(path: Path, first_ns: int, end_ns: int) -> RowSums:
    kinds: dict[Kind, Sum] = {}
    asked = _Asked()
    for block in _blocks(path):
        start = _ints(block, "start_unix_ns")
        is_inside = (start >= first_ns) & (start < end_ns)
        basis = text_column(block.column("basis"))
        asked.add(block, start, is_inside, basis.codes == _place(basis.names, "no_usage"))
        counts = np.array([name in BASES for name in basis.names])
        rows = np.flatnonzero(is_inside & counts[basis.codes])
        if not len(rows):
            continue
        for kind, new in _of_block(block, start, rows):
            old = kinds.get(kind)
            kinds[kind] = new if old is None else _added(old, new)
    return RowSums(kinds, asked.requests())


def _blocks(path: Path) -> Iterator[pa.Table]:
    with pq.ParquetFile(path, memory_map=True) as file:
        groups, held = list(range(file.num_row_groups)), 0
        taken: list[int] = []
        for group in groups:
            taken.append(group)
            held += file.metadata.row_group(group).num_rows
            if held >= _BLOCK_ROWS or group == groups[-1]:
                yield file.read_row_groups(taken, columns=list(_COLUMNS), use_threads=False)
                taken, held = [], 0


def _of_block(block: pa.Table, start: Ints, rows: Ints) -> Iterator[tuple[Kind, Sum]]:
    """Kinds of rows of a block; one may come several times, under names of one value."""
    texts = [text_column(block.column(name)) for name in TEXTS]
    weight_codes, weights = _coded(whole(block.column("weight")))
    # a row that has energy and no intensity has no carbon
    grams_codes, grams = _coded(whole(block.column("intensity_g_per_kwh")))
    day = start[rows] // _DAY_NS
    first_day = int(day.min())
    coded: list[tuple[Any, int]] = [
        *((column.codes[rows], len(column.names)) for column in texts),
        ((day - first_day).astype(np.int32), int(day.max()) - first_day + 1),
        (weight_codes[rows], len(weights)),
        (grams_codes[rows], len(grams)),
    ]
    first, group = _grouped(coded)
    order = np.argsort(group.astype(np.uint16) if len(first) < 1 << 16 else group, kind="stable")
    sizes = np.bincount(group, minlength=len(first))
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    sums = [_whole_sums(values, starts) for values in _values(block, rows[order], texts)]
    keys = [values[first].tolist() for values, _ in coded]
    for place, (*codes, day_of, weight, gram) in enumerate(zip(*keys, strict=True)):
        kind = Kind(
            day_of + first_day,
            _micro(weights[weight], WEIGHT_UNITS) if weights[weight] is not None else 0,
            NO_CARBON if grams[gram] is None else _micro(grams[gram], INTENSITY_UNITS_PER_G),
            tuple(column.names[code] for column, code in zip(texts, codes, strict=True)),
        )
        *of_moments, energy = (values[place] for values in sums)
        yield kind, Sum(int(sizes[place]), Moments(*of_moments), energy)


def _values(block: pa.Table, rows: Ints, texts: Sequence[Any]) -> Iterator[Ints | Halves]:
    """The seven moments of `rows`, and the picojoules of those whose energy is not modelled."""
    n_in, n_cached, n_out = (_owned(block, name)[rows] for name in _TOKENS)
    yield from moments(n_in, n_cached, n_out)
    basis = texts[TEXTS.index("basis")]
    is_reported = np.array([name in REPORTED for name in basis.names])[basis.codes[rows]]
    if not is_reported.any():
        yield np.zeros(len(rows), dtype=np.int64)
        return
    kwh = whole(block.column("energy_kwh")).to_numpy(zero_copy_only=False)[rows]
    units = np.rint(np.where(is_reported, np.nan_to_num(kwh, nan=0.0), 0.0) * float(ENERGY_UNITS_PER_KWH))
    high = np.floor(units / 2.0**_HALF)
    yield high.astype(np.int64), (units - high * 2.0**_HALF).astype(np.int64)


def _owned(block: pa.Table, name: str) -> Ints:
    """Tokens of calls, of their copies where only those knew."""
    own = whole(block.column(f"owned_{name}"))
    raw = whole(block.column(name))
    found = raw if own.null_count == len(own) else pc.coalesce(own, raw)
    return _filled(found)


def _whole_sums(values: Ints | Halves, starts: Ints) -> list[int]:
    """Exact sums of runs that begin at `starts`, as whole numbers without a bound."""
    if isinstance(values, tuple):
        high, low = values
    elif not len(values) or int(np.abs(values).max()) < (1 << 62) // len(values):
        return list(map(int, np.add.reduceat(values, starts).tolist()))
    else:
        high, low = values >> _HALF, values & _MASK
    highs, lows = (np.add.reduceat(part, starts).tolist() for part in (high, low))
    return [(a << _HALF) + b for a, b in zip(highs, lows, strict=True)]


def _grouped(coded: Sequence[tuple[Any, int]]) -> tuple[Ints, Ints]:
    """The first row of each distinct combination of codes, and the combination of each row."""
    key: Any = np.zeros(len(coded[0][0]), dtype=np.int32)
    size = 1
    for codes, many in coded:
        if many == 1:
            continue
        if size * many > _TABLE:
            # combinations that are met are few: a table of them stays in the processor's cache
            first, key = distinct(key, size)
            key, size = key.astype(np.int32), len(first)
        if size * many > _MOST_CODES:
            key = key.astype(np.int64)
        key = key * many + codes
        size *= many
    return distinct(key, size)


def _coded(values: pa.Array) -> tuple[npt.NDArray[np.int32], list[float | None]]:
    """Codes of numbers, and the numbers; null has a code of its own."""
    encoded = values.dictionary_encode()
    indices = encoded.indices.fill_null(len(encoded.dictionary)).to_numpy(zero_copy_only=False)
    return indices.astype(np.int32), [*encoded.dictionary.to_pylist(), None]


def _micro(value: float, units: int) -> int:
    return int(np.floor(value * units + 0.5))


def _place(names: Sequence[str], name: str) -> int:
    return names.index(name) if name in names else -1


def _ints(block: pa.Table, name: str) -> Ints:
    return _filled(whole(block.column(name)))


def _filled(values: pa.Array) -> Ints:
    filled = values.fill_null(0) if values.null_count else values
    found: Ints = filled.to_numpy(zero_copy_only=False).astype(np.int64, copy=False)
    return found


class _Asked:
    """Requests of a segment. A span's subtree is a run of rows, so what lies below one is a difference."""

    def __init__(self) -> None:
        self._before = 0
        self._silent: list[Flags] = []
        self._found: list[_Found] = []

    def add(self, block: pa.Table, start: Ints, is_inside: Flags, is_silent: Flags) -> None:
        """Note the requests of a block, and the owners of calls without usage."""
        is_owner = whole(block.column("is_owner")).fill_null(False).to_numpy(zero_copy_only=False)
        self._silent.append(is_silent & is_owner)
        request = _ints(block, "request")
        rows = np.flatnonzero(is_inside & (request > 0))
        feature = text_column(block.column("feature"))
        weight = whole(block.column("weight")).to_numpy(zero_copy_only=False)[rows]
        found = _Found(
            rows + self._before,
            _ints(block, "subtree_size")[rows],
            request[rows],
            start[rows] // _DAY_NS,
            feature.codes[rows],
            feature.names,
            np.floor(weight * WEIGHT_UNITS + 0.5).astype(np.int64),
        )
        if len(rows):
            self._found.append(found)
        self._before += block.num_rows

    def requests(self) -> dict[tuple[int, str], Requests]:
        """By day and feature."""
        silent = np.cumsum(np.concatenate([np.zeros(1, dtype=np.int64), *self._silent]))
        made: dict[tuple[int, str], Requests] = {}
        for found in self._found:
            is_covered = silent[found.rows + found.size] == silent[found.rows]
            first_day = int(found.day.min())
            key = (found.day - first_day) * len(found.names) + found.feature
            counts = np.zeros((3, int(key.max()) + 1), dtype=np.int64)
            for row, which in enumerate(
                (found.request == 1, found.request == 2, (found.request == 1) & is_covered)
            ):
                np.add.at(counts[row], key[which], found.weight[which])
            for place in np.unique(key).tolist():
                day, code = divmod(place, len(found.names))
                name = day + first_day, found.names[code]
                new = counts[:, place].tolist()
                made[name] = Requests(*map(sum, zip(made.get(name, (0, 0, 0)), new, strict=True)))
        return made


class _Found(NamedTuple):
    """Requests of a block."""

    rows: Ints
    size: Ints
    request: Ints
    day: Ints
    feature: npt.NDArray[np.int32]
    names: tuple[str, ...]
    weight: Ints
