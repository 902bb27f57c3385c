"""`FeatureRules`: which product feature each span belongs to, and which spans are one inference of it.

What the customer buys is found from the top: the topmost span that a rule matches is one request, and all
below it belongs to its feature, whatever deeper spans match. A trace in which nothing matches is one request
of the unmapped feature "". `docs/features.md` has the rules in words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

import numpy as np

from wattspan.calls import Column
from wattspan.lake.rows import Flags, Ints, Small, SpanRows, Tree
from wattspan.lake.rules import ROUTE_KEY, FeatureRule, Patterns
from wattspan.otlp.dialects import CALL

UNMAPPED: Final = ""
COMPLETED: Final = 1
FAILED: Final = 2
STATUS_ERROR: Final = 2
"""OTLP's STATUS_CODE_ERROR."""
_NONE: Final = -1


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """Columns `feature` and `request` of n spans (`schema.RULES`)."""

    feature: Column
    request: Small


class FeatureRules:
    """The rules in their order; of those that match a span the first counts."""

    def __init__(self, rules: Sequence[FeatureRule] = ()) -> None:
        self.rules = tuple(rules)
        self.keys = tuple(dict.fromkeys(key for rule in self.rules for key in rule.keys))
        """Attributes that the rules read: they must be kept with the spans."""

    def assign(self, rows: SpanRows, tree: Tree) -> Features:
        """Feature and request of each span; `rows` are whole traces in the order of `tree`."""
        n = len(rows)
        matched, names = self._matches(rows, tree)
        is_root = tree.parent_row < 0
        root = np.maximum.accumulate(np.where(is_root, np.arange(n), 0))
        first_root = _first_root(rows, tree, is_root)
        # Every span of a trace descends from its true root, also one whose parent got lost.
        has_true_root = rows.parent_span_id[first_root] == 0
        adopted = has_true_root & (matched[first_root] >= 0) & (rows.parent_span_id[root] != 0)
        top = np.flatnonzero((matched >= 0) & ~adopted)
        ends = top + tree.subtree_size[top]
        is_topmost = np.ones(len(top), dtype=np.bool_)
        is_topmost[1:] = top[1:] >= np.maximum.accumulate(ends)[:-1]
        top = top[is_topmost]
        of = np.full(n, _NONE, dtype=np.int64)
        if len(top):
            last = np.searchsorted(top, np.arange(n), side="right") - 1
            candidate = top[np.maximum(last, 0)]
            within = (last >= 0) & (np.arange(n) < candidate + tree.subtree_size[candidate])
            of[within] = candidate[within]
        of[adopted] = first_root[adopted]
        feature = np.where(of >= 0, matched[of], 0).astype(np.int32)
        return Features(Column(feature, names), _requests(rows, tree, of, top, first_root))

    def _matches(self, rows: SpanRows, tree: Tree) -> tuple[Ints, tuple[str, ...]]:
        """int64[n]: the feature that the first matching rule gives, or -1; and the names of the features."""
        n = len(rows)
        index: dict[str, int] = {UNMAPPED: 0}
        matched = np.full(n, _NONE, dtype=np.int64)
        root_name = _root_names(rows, tree) if any(rule.root_span for rule in self.rules) else None
        for rule in self.rules:
            open_rows = matched < 0
            for column, patterns in self._conditions(rule, rows, root_name):
                open_rows &= _holds(column(), patterns)
                if not open_rows.any():
                    break
            if rule.feature is not None:
                matched[open_rows] = index.setdefault(rule.feature, len(index))
            elif rule.feature_from is not None:
                value = rows.attributes.column(rule.feature_from)
                open_rows &= value.codes != 0
                used = np.unique(value.codes[open_rows]).tolist()
                code_of = np.zeros(len(value.names), dtype=np.int64)
                code_of[used] = [index.setdefault(value.names[code], len(index)) for code in used]
                matched[open_rows] = code_of[value.codes[open_rows]]
        return matched, tuple(index)

    def _conditions(
        self, rule: FeatureRule, rows: SpanRows, root_name: Column | None
    ) -> list[tuple[Callable[[], Column], Patterns]]:
        found: list[tuple[Callable[[], Column], Patterns]] = []
        if rule.service is not None:
            found.append((lambda: rows.service, rule.service))
        if rule.root_span is not None:
            assert root_name is not None
            found.append((lambda: root_name, rule.root_span))
        if rule.span is not None:
            found.append((lambda: rows.name, rule.span))
        if rule.route is not None:
            found.append((lambda: rows.attributes.column(ROUTE_KEY), rule.route))
        for key, patterns in rule.attributes.items():
            found.append((lambda key=key: rows.attributes.column(key), patterns))  # type: ignore[misc]
        return found


def _holds(column: Column, patterns: Patterns) -> Flags:
    """bool[n]: the text matches; "" matches nothing: what is not there cannot be a feature."""
    allowed = (patterns,) if isinstance(patterns, str) else patterns
    of_name = np.array(
        [name != "" and any(fnmatchcase(name, pattern) for pattern in allowed) for name in column.names],
        dtype=np.bool_,
    )
    held: Flags = of_name[column.codes]
    return held


def _first_root(rows: SpanRows, tree: Tree, is_root: Flags) -> Ints:
    """int64[n]: the row that stands for each span's trace: its first span without a parent, else its first
    span whose parent is missing."""
    n = len(rows)
    if not n:
        return np.zeros(0, dtype=np.int64)
    starts = np.flatnonzero(tree.pre == 0)
    trace = np.cumsum(tree.pre == 0) - 1
    chosen = starts.copy()
    true = np.flatnonzero(is_root & (rows.parent_span_id == 0))[::-1]
    # written from the last to the first, so that the first of a trace stays
    chosen[trace[true]] = true
    of_span: Ints = chosen[trace]
    return of_span


def _root_names(rows: SpanRows, tree: Tree) -> Column:
    """The name of the first span of each span's trace."""
    return rows.name.take(_first_root(rows, tree, tree.parent_row < 0))


def _requests(rows: SpanRows, tree: Tree, of: Ints, top: Ints, first_root: Ints) -> Small:
    """`request`: on each topmost match, and on the root of each trace without one, if a model was called."""
    n = len(rows)
    request = np.zeros(n, dtype=np.int8)
    if not n:
        return request
    is_call = np.zeros(n, dtype=np.bool_)
    is_call[rows.call_rows] = (rows.role == CALL) | rows.calls.has_usage
    has_match = np.zeros(n, dtype=np.bool_)
    has_match[first_root[top]] = True
    stands_for = np.where(of >= 0, of, np.where(has_match[first_root], _NONE, first_root))
    called = stands_for[is_call]
    request[called[called >= 0]] = COMPLETED
    failed = rows.status == STATUS_ERROR
    failed[rows.call_rows] |= rows.calls.is_error
    request[(request == COMPLETED) & failed] = FAILED
    return request
