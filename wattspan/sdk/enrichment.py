"""`Enrichment`: the one path for spans in memory: table, calls, owners, estimates, attributes.

It is the enricher of `wattspan.otlp.enrich` with other ends: there they are bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from typing import Any, Final, NamedTuple

import numpy as np

from wattspan.calls import CallBatch, Column, EstimateBatch
from wattspan.calls.combinations import combinations
from wattspan.otlp.attributes import GENAI_KEYS, OWN_KEYS, written
from wattspan.otlp.earlier import carries_foreign_report, is_there_already, stale
from wattspan.otlp.enrich import Enricher
from wattspan.otlp.owners import OwnerMemory
from wattspan.otlp.wire import AttributeColumn, SpanTable
from wattspan.otlp.wire.table import SpanIds
from wattspan.sdk.settings import Ready

_PREFIXED_KEYS: Final = tuple(key for key in OWN_KEYS if key not in GENAI_KEYS)


class Found(NamedTuple):
    """What there is to say about the spans of a table. `rows`, `texts` and `numbers` are of equal length."""

    rows: list[int]
    """Rows of the table whose spans get other attributes."""
    texts: list[dict[str, Any]]
    """The attributes that each gets; rows share them."""
    numbers: list[Sequence[float]]
    """And the values of `number_keys`, or of none of them."""
    number_keys: tuple[str, ...]
    cut: dict[int, tuple[str, ...]]
    """Keys to take out first, by row, where they are there."""
    calls: CallBatch
    """The calls that their spans own."""
    estimates: EstimateBatch
    """One row for each of `calls`."""
    span_keys: SpanIds
    """uint64, one for each of `calls`: tells its span from others."""


class Enrichment(Enricher):
    """Estimates calls of one stream of spans, and remembers whose they were. Not for two threads at once."""

    def __init__(self, ready: Ready) -> None:
        super().__init__(ready.estimator, profile=ready.profile, detail=ready.detail)

    def forget(self) -> None:
        """Start with an empty memory: the old one may be torn (an error in its midst, a fork)."""
        self.memory = OwnerMemory()

    def find(self, table: SpanTable) -> Found:
        """The calls of `table`, and the attributes they get."""
        found = self._estimated(table, [])
        calls, estimates, reading = found.calls, found.estimates, found.reading
        owner_rows = reading.rows[found.owners]
        rows = np.concatenate([owner_rows, reading.rows[found.duplicates]])
        of_duplicates: list[int] = found.ownership.owner_span_id[found.duplicates].tolist()
        columns = written(estimates, of_duplicates, self.profile, self.detail)
        changed = rows.tolist()
        texts, numbers, number_keys = _values(columns, len(rows))
        cut: dict[int, tuple[str, ...]] = {}
        if table.own_attr.any():
            keeps_foreign = carries_foreign_report(table)
            if self.profile != "wattspan":
                # Our figure takes the place of the report that it was made from.
                keeps_foreign[owner_rows[np.isfinite(estimates.energy_kwh)]] = False
            is_changed = (~is_there_already(table, rows, columns, keeps_foreign)).tolist()
            stale_rows = stale(table, rows).tolist()
            changed = [*compress(changed, is_changed), *stale_rows]
            texts = [*compress(texts, is_changed), *({} for _ in stale_rows)]
            numbers = [*compress(numbers, is_changed), *(() for _ in stale_rows)]
            cut = {
                row: _PREFIXED_KEYS if keeps_foreign[row] else OWN_KEYS
                for row in changed
                if table.own_attr[row]
            }
        span_keys = _span_keys(table)[owner_rows]
        return Found(changed, texts, numbers, number_keys, cut, calls, estimates, span_keys)


def _values(
    columns: Sequence[AttributeColumn], n: int
) -> tuple[list[dict[str, Any]], list[Sequence[float]], tuple[str, ...]]:
    """Texts and numbers of n rows, and the keys of the numbers; where some are missing all are with the
    texts."""
    text_columns = {key: values for key, values, _ in columns if isinstance(values, Column)}
    arrays = {key: np.asarray(values) for key, values, _ in columns if not isinstance(values, Column)}
    index, combined = combinations(list(text_columns.values()), n)
    made = [{key: text for key, text in zip(text_columns, one, strict=True) if text} for one in combined]
    texts: list[dict[str, Any]] = [made[place] for place in index.tolist()]
    table = np.array(list(arrays.values()), dtype=np.float64).reshape(len(arrays), n)
    numbers: list[Sequence[float]] = list(table.T.tolist())
    is_there = np.isfinite(table)
    for row in np.flatnonzero(~is_there.all(axis=0)).tolist():
        there = zip(compress(arrays, is_there[:, row]), compress(numbers[row], is_there[:, row]), strict=True)
        texts[row] = {**texts[row], **dict(there)}
        numbers[row] = ()
    return texts, numbers, tuple(arrays)


def _span_keys(table: SpanTable) -> SpanIds:
    halves = np.ascontiguousarray(table.trace_id).view(np.uint64)
    keys: SpanIds = halves[:, 0] ^ halves[:, 1] * np.uint64(0x9E3779B97F4A7C15) ^ table.span_id
    return keys
