"""`Pages`: the values of a signal in memory, for look-ups of millions of calls at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from wattspan.grid.cache import Cache, Fetch, Rows
from wattspan.grid.intensity import Accounting, Codes, Floats, Ints, Resolution
from wattspan.grid.step import NS_PER_S, Step

CHUNK_ROWS = 16_384
"""Rows looked up at a time: their columns stay in the processor's cache."""

# What a look-up fetches lies together, 16 bytes that numpy moves as one: the memory is asked once a call.
_CELL = np.dtype([("g_per_kwh", "f8"), ("label", "i4"), ("fetch", "i4")])
_EMPTY_CELL = np.array([(np.nan, -1, 0)], dtype=_CELL)

_BITS = 10
_CELLS = 1 << _BITS
_FIRST_YEAR, _END_YEAR = 2000, 2100
"""Calls outside these years have no hour: their clocks are wrong."""
_MAX_PAGES = 16_384
"""About 270 MB; past this the store starts afresh."""
CARRIED_YEARS = 3
"""So many years a yearly value stands in for the next ones, which nobody has published yet."""
_UNKNOWN, _EMPTY = -1, 0


class Label(NamedTuple):
    """What is the same for many values."""

    resolution: Resolution
    accounting: Accounting
    source: str
    vintage: int
    """Year that the value is of."""
    is_estimated: bool
    carried_years: int = 0
    """How many years after its own it stands in for."""


class Found(NamedTuple):
    """What a look-up gives, arrays of length n; NaN, -1 and 0 where there is no value."""

    g_per_kwh: Floats
    label: Codes
    """Index into `Pages.labels`."""
    fetch: Codes
    """Number of the fetch in the cache."""


class Pages:
    """Pages of 1,024 steps of a zone, read from the cache when first needed; all at one position of it."""

    def __init__(self, cache: Cache, signal: int, step: Step, as_of: int | None = None) -> None:
        """`as_of`: a position of the cache to stay at; None follows it (`advance`)."""
        self._cache, self._signal, self._step = cache, signal, step
        self._is_frozen = as_of is not None
        self.position = cache.position() if as_of is None else as_of
        self._first_step = step.number_at(_year_start(_FIRST_YEAR))
        self._steps = step.number_at(_year_start(_END_YEAR)) - self._first_step
        # The page past the last one stands for every moment that has none.
        self._pages = (self._steps >> _BITS) + 2
        self._zones: list[str] = [""]
        self._row_of_zone: dict[str, int] = {"": 0}
        self._index = np.zeros((1, self._pages), dtype=np.int64)
        self.labels: list[Label] = []
        self._label_codes: dict[Label, int] = {}
        self._fetches: dict[int, Fetch] = {}
        self._reset()

    def zone_row(self, zone: str) -> int:
        """Row of a zone for `look`; 0 for "", which has no values."""
        row = self._row_of_zone.get(zone)
        if row is None:
            row = self._row_of_zone[zone] = len(self._zones)
            self._zones.append(zone)
            self._index = np.vstack([self._index, np.zeros((1, self._pages), dtype=np.int64)])
            self._forget(row)
        return row

    def zone(self, row: int) -> str:
        """The zone of a row."""
        return self._zones[row]

    def advance(self) -> bool:
        """Take in what came into the cache since, from whatever process; whether there was anything."""
        if self._is_frozen:
            return False
        position = self._cache.position()
        if position == self.position:
            return False
        changed = self._cache.changes(self._signal, self.position, position)
        self.position = position
        for zone, _, _ in changed:
            if zone in self._row_of_zone:
                self._forget(self._row_of_zone[zone])
        return True

    def look(self, zone_rows: Codes | Ints, start_unix_ns: Ints) -> Found:
        """Values that hold at the start of each call.

        `zone_rows`: int[n], rows of zones; `start_unix_ns`: int64[n], 0 where unknown.
        """
        n = len(start_unix_ns)
        found = Found(np.empty(n), np.empty(n, dtype=np.int32), np.empty(n, dtype=np.int32))
        for begin in range(0, n, CHUNK_ROWS):
            rows = slice(begin, min(begin + CHUNK_ROWS, n))
            cells = self._cells(zone_rows[rows], start_unix_ns[rows])
            here = self._table.view(np.complex128).take(cells, mode="clip").view(_CELL)
            found.g_per_kwh[rows] = here["g_per_kwh"]
            found.label[rows] = here["label"]
            found.fetch[rows] = here["fetch"]
        return found

    def steps(self, start_unix_ns: Ints) -> Ints:
        """Number of the step of each call, counted from 1970."""
        return self._step.number(start_unix_ns)

    def _cells(self, zone_rows: Codes | Ints, start_unix_ns: Ints) -> Ints:
        steps = self._step.number(start_unix_ns) - self._first_step
        outside = (steps < 0) | (steps >= self._steps)
        if outside.any():
            steps[outside] = (self._pages - 1) << _BITS
        where = zone_rows * np.int64(self._pages) + (steps >> _BITS)
        pages = self._index.reshape(-1).take(where)
        if pages.min(initial=_EMPTY) == _UNKNOWN:
            self._load(np.unique(where[pages == _UNKNOWN]))
            pages = self._index.reshape(-1).take(where)
        cells: Ints = (pages << _BITS) | (steps & (_CELLS - 1))
        return cells

    def _reset(self) -> None:
        self._used = 1
        self._free: list[int] = []
        self._table = np.repeat(_EMPTY_CELL, _CELLS)
        for row in range(1, len(self._zones)):
            self._index[row] = _EMPTY
            self._forget(row)

    def _forget(self, row: int) -> None:
        """Drop the pages of a zone; within its extent they are read again, elsewhere they are empty."""
        pages = self._index[row]
        self._free.extend(pages[pages > _EMPTY].tolist())
        pages[:] = _EMPTY
        extent = self._cache.extent(self._signal, self._zones[row], self.position)
        if extent is not None:
            first, last = (self._step.number_at(moment) - self._first_step for moment in extent)
            if self._step.is_year:
                last += CARRIED_YEARS
            pages[max(0, first) >> _BITS : (min(last, self._steps - 1) >> _BITS) + 1] = _UNKNOWN

    def _load(self, wanted: Ints) -> None:
        if self._used - len(self._free) + len(wanted) > _MAX_PAGES:
            self._reset()
        for where in wanted.tolist():
            row, page = divmod(where, self._pages)
            self._index[row, page] = self._load_page(self._zones[row], page)

    def _load_page(self, zone: str, page: int) -> int:
        """Read a page; the row of an empty one is shared."""
        first = self._first_step + (page << _BITS)
        start, end = self._step.start_unix_s(first), self._step.start_unix_s(first + _CELLS)
        if self._step.is_year:
            # What was published before the page is carried into it.
            start = self._step.start_unix_s(first - CARRIED_YEARS)
        rows = self._cache.rows(self._signal, zone, start, end, self.position)
        if not len(rows.start_unix_s):
            return _EMPTY
        target = self._new_page()
        cells = self._table[target << _BITS : (target + 1) << _BITS]
        g_per_kwh, label, fetch = cells["g_per_kwh"], cells["label"], cells["fetch"]
        codes, many = self._codes(rows)
        steps = np.repeat(self._steps_of(rows.start_unix_s) - first, many)
        # A value longer than a step fills all the steps it holds for.
        steps += np.arange(len(steps)) - np.repeat(np.cumsum(many) - many, many)
        is_here = (steps >= 0) & (steps < _CELLS)
        steps = steps[is_here]
        # Where a step occurs again, the last assignment remains: the latest fetch, measured before forecast.
        g_per_kwh[steps] = np.repeat(rows.g_per_kwh, many)[is_here]
        label[steps] = np.repeat(codes, many)[is_here]
        fetch[steps] = np.repeat(rows.fetch_id, many)[is_here]
        if self._step.is_year:
            self._carry(g_per_kwh, label, fetch)
        return target

    def _carry(self, g_per_kwh: Floats, label: Codes, fetch: Codes) -> None:
        """Let each yearly value stand in for the next years that have none."""
        known = np.flatnonzero(~np.isnan(g_per_kwh)).tolist()
        for begin, following in zip(known, [*known[1:], _CELLS], strict=True):
            for cell in range(begin + 1, min(begin + 1 + CARRIED_YEARS, following)):
                own = self.labels[label[begin]]
                g_per_kwh[cell], fetch[cell] = g_per_kwh[begin], fetch[begin]
                label[cell] = self.intern(own._replace(carried_years=cell - begin))

    def _new_page(self) -> int:
        if self._free:
            target = self._free.pop()
        else:
            target, self._used = self._used, self._used + 1
            if self._used << _BITS > len(self._table):
                self._table = np.concatenate([self._table, np.repeat(_EMPTY_CELL, len(self._table))])
        self._table[target << _BITS : (target + 1) << _BITS] = _EMPTY_CELL
        return target

    def _provenance(self, fetch_id: int) -> Fetch:
        found = self._fetches.get(fetch_id)
        if found is None:
            found = self._fetches[fetch_id] = self._cache.fetch(fetch_id)
        return found

    def _steps_of(self, moment_unix_s: Ints) -> Ints:
        return self._step.number(moment_unix_s * NS_PER_S)

    def _codes(self, rows: Rows) -> tuple[Codes, Ints]:
        """Label of each row, and the number of steps it holds for."""
        years = rows.start_unix_s.view("datetime64[s]").astype("datetime64[Y]").view(np.int64) + 1970
        keys = ((rows.fetch_id * np.int64(_END_YEAR) + years) * 2 + rows.is_estimated) * 2 + rows.is_forecast
        _, firsts, inverse = np.unique(keys, return_index=True, return_inverse=True)
        codes = np.empty(len(firsts), dtype=np.int32)
        many = np.ones(len(firsts), dtype=np.int64)
        for i, row in enumerate(firsts.tolist()):
            fetch = self._provenance(int(rows.fetch_id[row]))
            resolution: Resolution = "forecast" if rows.is_forecast[row] else fetch.resolution
            codes[i] = self.intern(
                Label(
                    resolution, fetch.accounting, fetch.source, int(years[row]), bool(rows.is_estimated[row])
                )
            )
            if self._step.seconds:
                many[i] = max(1, fetch.period_s // self._step.seconds)
        return codes[inverse], many[inverse]

    def intern(self, label: Label) -> int:
        """Code of a label; it is made where it is new."""
        code = self._label_codes.get(label)
        if code is None:
            code = self._label_codes[label] = len(self.labels)
            self.labels.append(label)
        return code


def _year_start(year: int) -> int:
    return int(np.datetime64(f"{year}-01-01", "s").astype(np.int64))
