"""Exact whole-number sums over the rows of segments, by kind of row: what daily rows are made of.

Rows are read a group at a time with their texts as codes, so that a hundred million are grouped by whole
numbers, in the processor's cache; SQL hashes sixteen texts of each row for the same.
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
from wattspan.lake.rows import Flags, Floats, Ints

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
    "is_owner",
    "request",
    "subtree_size",
)
_SUMS: Final = 9
"""Rows, seven moments, reported energy."""
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
    asked, tally = _Asked(), _Tally()
    with pq.ParquetFile(path, memory_map=True) as file:
        for group in range(file.num_row_groups):
            # the columns of one group of rows stay in the processor's cache
            block = file.read_row_group(group, columns=list(_COLUMNS), use_threads=False)
            start = _ints(block, "start_unix_ns")
            is_inside = (start >= first_ns) & (start < end_ns)
            basis = text_column(block.column("basis"))
            asked.add(block, start, is_inside, basis.codes == _place(basis.names, "no_usage"))
            if not is_inside.all():
                block, start = block.filter(pa.array(is_inside)), start[is_inside]
            if not len(start):
                continue
            kwh = None
            if np.array([name in REPORTED for name in basis.names])[basis.codes].any():
                column = file.read_row_group(group, columns=["energy_kwh"], use_threads=False)
                kwh = whole(column.column("energy_kwh")).to_numpy(zero_copy_only=False)[is_inside]
            tally.add(block, start, kwh)
    return RowSums(tally.kinds(), asked.requests())


class _Tally:
    """Sums of a segment by kind, gathered a block at a time; kinds are rows of codes until the end."""

    def __init__(self) -> None:
        self._names: list[dict[str, int]] = [{} for _ in TEXTS]
        self._ids: dict[bytes, int] = {}
        self._high = np.zeros((0, _SUMS), dtype=np.int64)
        self._low = np.zeros((0, _SUMS), dtype=np.int64)

    def add(self, block: pa.Table, start: Ints, kwh: Floats | None) -> None:
        """Add rows, all of the period. `kwh`: energy of those that report it; None where none does."""
        texts = [text_column(block.column(name)) for name in TEXTS]
        weight_codes, weights = _coded(whole(block.column("weight")), WEIGHT_UNITS, 0)
        # a row that has energy and no intensity has no carbon
        grams_codes, grams = _coded(
            whole(block.column("intensity_g_per_kwh")), INTENSITY_UNITS_PER_G, NO_CARBON
        )
        day = start // _DAY_NS
        first_day, last_day = int(day.min()), int(day.max())
        first, group = _grouped(
            [
                *((column.codes, len(column.names)) for column in texts),
                ((day - first_day).astype(np.int32), last_day - first_day + 1),
                (weight_codes, len(weights)),
                (grams_codes, len(grams)),
            ]
        )
        basis = texts[TEXTS.index("basis")]
        counts = np.array([name in BASES for name in basis.names])[basis.codes[first]]
        if not counts.any():
            return
        sizes = np.bincount(group, minlength=len(first))
        order = np.argsort(group.astype(np.uint16) if len(first) < 1 << 16 else group, kind="stable")
        starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        kept = first[counts]
        keys = np.stack(
            [
                day[kept],
                weights[weight_codes[kept]],
                grams[grams_codes[kept]],
                *(
                    self._lookup(place, column.names)[column.codes[kept]]
                    for place, column in enumerate(texts)
                ),
            ],
            axis=1,
        )
        places = self._places(keys)
        np.add.at(self._low[:, 0], places, sizes[counts])
        is_reported = np.array([name in REPORTED for name in basis.names])[basis.codes]
        for column, values in enumerate(_values(block, order, is_reported, kwh), start=1):
            high, low = _whole_sums(values, starts)
            np.add.at(self._high[:, column], places, high[counts])
            np.add.at(self._low[:, column], places, low[counts])

    def kinds(self) -> dict[Kind, Sum]:
        """What was gathered."""
        names = [list(known) for known in self._names]
        made = {}
        for key, place in self._ids.items():
            day, weight, intensity, *codes = np.frombuffer(key, dtype=np.int64).tolist()
            texts = tuple(known[code] for known, code in zip(names, codes, strict=True))
            high, low = self._high[place].tolist(), self._low[place].tolist()
            rows, *of_moments, energy = ((a << _HALF) + b for a, b in zip(high, low, strict=True))
            made[Kind(day, weight, intensity, texts)] = Sum(rows, Moments(*of_moments), energy)
        return made

    def _lookup(self, place: int, names: Sequence[str]) -> Ints:
        """The segment's code of each of a block's names."""
        known = self._names[place]
        return np.array([known.setdefault(name, len(known)) for name in names], dtype=np.int64)

    def _places(self, keys: Ints) -> Ints:
        """Where the sums of kinds are; new ones begin at nothing."""
        data, width, ids = keys.tobytes(), keys.shape[1] * keys.itemsize, self._ids
        rows = (data[begin : begin + width] for begin in range(0, len(data), width))
        places = np.array([ids.setdefault(row, len(ids)) for row in rows], dtype=np.int64)
        if len(ids) > len(self._high):
            room = ((0, 2 * len(ids) - len(self._high)), (0, 0))
            self._high, self._low = np.pad(self._high, room), np.pad(self._low, room)
        return places


def _values(block: pa.Table, order: Ints, is_reported: Flags, kwh: Floats | None) -> Iterator[Ints | Halves]:
    """The seven moments of rows in an `order`, and the picojoules of those whose energy is not modelled."""
    n_in, n_cached, n_out = (_owned(block, name)[order] for name in _TOKENS)
    yield from moments(n_in, n_cached, n_out)
    if kwh is None:
        return
    reported = np.where(is_reported, np.nan_to_num(kwh, nan=0.0), 0.0)[order]
    units = np.rint(reported * float(ENERGY_UNITS_PER_KWH))
    high = np.floor(units / 2.0**_HALF)
    yield high.astype(np.int64), (units - high * 2.0**_HALF).astype(np.int64)


def _owned(block: pa.Table, name: str) -> Ints:
    """Tokens of calls, of their copies where only those knew."""
    own = whole(block.column(f"owned_{name}"))
    raw = whole(block.column(name))
    found = raw if own.null_count == len(own) else pc.coalesce(own, raw)
    return _filled(found)


def _whole_sums(values: Ints | Halves, starts: Ints) -> Halves:
    """Exact sums of runs that begin at `starts`."""
    if isinstance(values, tuple):
        high, low = values
    elif int(np.abs(values).max(initial=0)) < (1 << 62) // max(len(values), 1):
        sums = np.add.reduceat(values, starts)
        return sums >> _HALF, sums & _MASK
    else:
        high, low = values >> _HALF, values & _MASK
    return np.add.reduceat(high, starts), np.add.reduceat(low, starts)


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


def _coded(values: pa.Array, units: int, without: int) -> tuple[npt.NDArray[np.int32], Ints]:
    """Codes of numbers, and the numbers in whole `units`; null is `without`."""
    encoded = values.dictionary_encode()
    indices = encoded.indices
    if indices.null_count:
        indices = indices.fill_null(len(encoded.dictionary))
    found = np.floor(encoded.dictionary.to_numpy(zero_copy_only=False) * units + 0.5).astype(np.int64)
    codes: npt.NDArray[np.int32] = indices.to_numpy(zero_copy_only=False)
    return codes, np.append(found, without)


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
