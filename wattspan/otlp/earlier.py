"""What an earlier run of ours, or somebody else's report of energy, has left on spans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from wattspan.calls import Column
from wattspan.calls.batch import Codes, Flags, Floats, Ints
from wattspan.otlp.attributes import BASIS, DUPLICATE, EDITION, GENAI_KEYS, OWN_KEYS
from wattspan.otlp.wire import DOUBLE, STRING, AttributeColumn, AttributeIndex, SpanTable

_NOT_OURS: Final = ("reported", "no_usage", "failed", DUPLICATE)
"""Under these bases a figure outside our prefix is somebody else's, even where we copied it.

Under `measured` it is ours: the sender had it under another key.
"""
_SAME: Final = 1e-9
"""Relative difference below which a number on the span is the number that we would write."""


def as_first_read(table: SpanTable) -> SpanTable:
    """The table as dialects are to read it: they find on an enriched span what they found the first time.

    On a span with our label they take no figure for somebody's report, as most are ours; where the figure is
    not, the label is hidden.
    """
    label = table.keyset.position[EDITION]
    line = int(table.span_index.line[label])
    if line < 0:
        return table
    rows = np.flatnonzero(table.span_index.values[line] >= 0)
    rows = rows[np.isin(_texts(table, BASIS, rows), _NOT_OURS)]
    if not len(rows):
        return table
    values = table.span_index.values.copy()
    values[line, rows] = -1
    return replace(table, span_index=AttributeIndex(table.span_index.line, values))


def carries_foreign_report(table: SpanTable) -> Flags:
    """bool[n]: the span's `gen_ai.usage.energy_kwh` or `co2e_g` is somebody else's."""
    carries = (table.first(GENAI_KEYS) >= 0) & table.own_attr
    if carries.any():
        rows = np.flatnonzero(carries)
        is_ours = _carries(table, EDITION, rows) & ~np.isin(_texts(table, BASIS, rows), _NOT_OURS)
        carries[rows[is_ours]] = False
    return carries


def is_there_already(
    table: SpanTable, rows: Ints, columns: Sequence[AttributeColumn], keeps_foreign: Flags
) -> Flags:
    """bool[k]: span `rows[i]` carries the keys and values of row i of `columns` and no other key of ours.

    `keeps_foreign`: bool[n], the span's keys outside our prefix are somebody else's and do not matter.
    """
    same = table.own_attr[rows].copy()
    wanted = {column.key: column.values for column in columns}
    for key in OWN_KEYS:
        left = np.flatnonzero(same)
        if not len(left):
            break
        at = table.first((key,), rows[left])
        values = wanted.get(key)
        if isinstance(values, Column):
            fits = _same_texts(table, at, values.codes[left], values.names)
        elif values is not None:
            fits = _same_numbers(table, at, np.asarray(values, dtype=np.float64)[left])
        else:
            fits = at < 0
            if key in GENAI_KEYS:
                fits |= keeps_foreign[rows[left]]
        same[left] = fits
    return same


def stale(table: SpanTable, rows: Ints) -> Ints:
    """Rows of spans that an earlier run took for calls, and that are not among `rows`."""
    carries = _carries(table, EDITION)
    carries[rows] = False
    return np.flatnonzero(carries)


def _carries(table: SpanTable, key: str, rows: Ints | slice = slice(None)) -> Flags:
    carries: Flags = table.first((key,), rows) >= 0
    return carries


def _texts(table: SpanTable, key: str, rows: Ints) -> npt.NDArray[np.str_]:
    """The text of `key` on each of `rows`, "" where there is none. For keys with few distinct texts."""
    codes, place = np.unique(table.codes((key,), rows), return_inverse=True)
    # An array of texts is as wide as its longest: a hostile one must not make it so.
    return np.array([table.text(code)[:64] for code in codes.tolist()], dtype=np.str_)[place]


def _same_texts(table: SpanTable, at: Codes, codes: Codes, names: Sequence[str]) -> Flags:
    if not len(table.value_type):
        return np.equal(codes, 0)
    index = {name: code for code, name in enumerate(names)}
    distinct, place = np.unique(np.where(at >= 0, table.value_text[at], -1), return_inverse=True)
    known = [index.get(table.text(code), -1) if code >= 0 else 0 for code in distinct.tolist()]
    same: Flags = np.equal(np.array(known, dtype=np.int32)[place], codes)
    same &= (at < 0) | (table.value_type[at] == STRING)
    return same


def _same_numbers(table: SpanTable, at: Codes, numbers: Floats) -> Flags:
    if not len(table.value_type):
        return np.isnan(numbers)
    is_number = (at >= 0) & (table.value_type[at] == DOUBLE)
    found = np.where(is_number, table.value_double[at], np.nan)
    same: Flags = np.abs(found - numbers) <= _SAME * np.abs(numbers)
    is_absent: Flags = (at < 0) & np.isnan(numbers)
    return same | is_absent
