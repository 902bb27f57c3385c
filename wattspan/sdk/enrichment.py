"""`Enrichment`: the one path for spans in memory: table, calls, owners, estimates, attributes.

The steps and their order are those of `wattspan.otlp.enrich`; only the two ends differ:
there they are bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import compress
from typing import Any, Final, NamedTuple

import numpy as np

from wattspan.calls import CallBatch, Column, EstimateBatch
from wattspan.calls.batch import Floats
from wattspan.otlp.attributes import GENAI_KEYS, OWN_KEYS, written
from wattspan.otlp.dialects import CALL, DIALECT_KEYS, read
from wattspan.otlp.earlier import carries_foreign_report, is_there_already, stale, with_earlier_reports
from wattspan.otlp.owners import OwnerMemory, decide
from wattspan.otlp.wire import AttributeColumn, KeySet, SpanTable
from wattspan.otlp.wire.table import SpanIds
from wattspan.sdk.settings import Ready

KEYS: Final = KeySet(tuple(dict.fromkeys((*DIALECT_KEYS, *OWN_KEYS))))
"""What is read of a span: what the dialects ask for, and our own keys, to see what is there already."""

_MOST_TEXTS: Final = 4096


class Change(NamedTuple):
    """What becomes of the attributes of one row of a table."""

    row: int
    cut: tuple[str, ...]
    """Keys to take out, where they are there."""
    added: dict[str, Any]


class Found(NamedTuple):
    """What there is to say about the spans of a table."""

    changes: list[Change]
    calls: CallBatch
    """The calls that their spans own."""
    estimates: EstimateBatch
    """One row for each of `calls`."""
    span_keys: SpanIds
    """uint64, one for each of `calls`: tells its span from others."""


class Enrichment:
    """Estimates calls of one stream of spans, and remembers whose they were. Not for two threads at once."""

    def __init__(self, ready: Ready) -> None:
        self._estimator, self._profile, self._detail = ready
        self._memory = OwnerMemory()
        self._texts: dict[tuple[str, ...], dict[str, str]] = {}

    def forget(self) -> None:
        """Start with an empty memory: the old one may be torn (an error in its midst, a fork)."""
        self._memory = OwnerMemory()

    def find(self, table: SpanTable) -> Found:
        """The calls of `table`, and the attributes they get."""
        reading = read(table)
        reading = replace(reading, calls=with_earlier_reports(table, reading))
        ownership = decide(table, reading, self._memory)
        owners = np.flatnonzero(ownership.is_owner)
        duplicates = np.flatnonzero(~ownership.is_owner & (reading.role == CALL))
        calls = ownership.calls.take(owners)
        estimates = self._estimator.estimate(calls)
        owner_rows = reading.rows[owners]
        rows = np.concatenate([owner_rows, reading.rows[duplicates]])
        of_duplicates: list[int] = ownership.owner_span_id[duplicates].tolist()
        columns = written(estimates, of_duplicates, self._profile, self._detail)
        added = self._rows(columns, len(rows))
        if table.own_attr.any():
            keeps_foreign = carries_foreign_report(table)
            if self._profile != "wattspan":
                # Our figure takes the place of the report that it was made from.
                keeps_foreign[owner_rows[np.isfinite(estimates.energy_kwh)]] = False
            is_kept = is_there_already(table, rows, columns, keeps_foreign).tolist()
            changes = [
                Change(row, _cut(bool(table.own_attr[row]), bool(keeps_foreign[row])), more)
                for row, more, same in zip(rows.tolist(), added, is_kept, strict=True)
                if not same
            ]
            changes += [
                Change(row, _cut(True, bool(keeps_foreign[row])), {}) for row in stale(table, rows).tolist()
            ]
        else:
            changes = [Change(row, (), more) for row, more in zip(rows.tolist(), added, strict=True)]
        return Found(changes, calls, estimates, _span_keys(table)[owner_rows])

    def _rows(self, columns: Sequence[AttributeColumn], n: int) -> list[dict[str, Any]]:
        """The attributes of each row; texts first, then numbers."""
        text_keys, texts = [], []
        number_keys, numbers = [], []
        for key, values, _ in columns:
            if isinstance(values, Column):
                text_keys.append(key)
                texts.append(values.texts())
            else:
                number_keys.append(key)
                numbers.append(np.asarray(values, dtype=np.float64))
        rows = []
        for combination in zip(*texts, strict=True):
            known = self._texts.get(combination)
            if known is None:
                # Most rows of an application differ in numbers only.
                if len(self._texts) >= _MOST_TEXTS:
                    self._texts.clear()
                known = {key: text for key, text in zip(text_keys, combination, strict=True) if text}
                self._texts[combination] = known
            rows.append(known.copy())
        _add_numbers(rows, number_keys, np.array(numbers).reshape(len(numbers), n))
        return rows


def _add_numbers(rows: list[dict[str, Any]], keys: list[str], numbers: Floats) -> None:
    is_there = np.isfinite(numbers)
    is_whole = np.logical_and.reduce(is_there, axis=0).tolist()
    for at, (row, values) in enumerate(zip(rows, numbers.T.tolist(), strict=True)):
        if is_whole[at]:
            row.update(zip(keys, values, strict=True))
        else:
            there = is_there[:, at].tolist()
            row.update(compress(zip(keys, values, strict=True), there))


def _cut(carries_ours: bool, keeps_foreign: bool) -> tuple[str, ...]:
    if not carries_ours:
        return ()
    return tuple(key for key in OWN_KEYS if key not in GENAI_KEYS) if keeps_foreign else OWN_KEYS


def _span_keys(table: SpanTable) -> SpanIds:
    halves = np.ascontiguousarray(table.trace_id).view(np.uint64)
    keys: SpanIds = halves[:, 0] ^ halves[:, 1] * np.uint64(0x9E3779B97F4A7C15) ^ table.span_id
    return keys
