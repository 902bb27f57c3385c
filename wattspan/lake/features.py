"""Features: what a customer buys, found in traces by rules, and the requests that are one inference each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache
from re import Pattern
from re import compile as compiled
from typing import Any, Final

import numpy as np

from wattspan.calls import Column
from wattspan.lake.rows import Flags, Integers, Small, SpanRows, Tree

COMPLETED: Final = 1
FAILED: Final = 2
_ERROR_STATUS: Final = 2
_CONDITIONS: Final = ("service", "root_span", "span", "route", "attributes")
ROUTE_KEY: Final = "http.route"


class FeatureRuleError(ValueError):
    """A feature rule cannot be used: which, what was found, what is allowed."""


@dataclass(frozen=True, slots=True)
class Features:
    """The feature of each span, and which spans are requests."""

    feature: Column
    """"" where no rule matched: unmapped, and counted as such."""
    request: Small
    """1 on the span that is one completed inference, 2 on one that failed, 0 elsewhere."""


@dataclass(frozen=True, slots=True)
class FeatureRule:
    """One rule: every condition that is given must hold. Texts are globs (* and ?)."""

    feature: str
    service: str | None = None
    root_span: str | None = None
    """Name of the trace's root span."""
    span: str | None = None
    """Name of the span itself."""
    route: str | None = None
    """`http.route` of the span."""
    attributes: tuple[tuple[str, str], ...] = ()
    """Attributes of the span or its resource, baggage copied to it among them."""


class FeatureRules:
    """An ordered table of rules; the first that matches a span names its feature."""

    def __init__(self, rules: Sequence[Mapping[str, Any]] = ()) -> None:
        """`rules`: mappings with `feature` and at least one condition. Raises FeatureRuleError."""
        self.rules = tuple(_rule(number, rule) for number, rule in enumerate(rules, start=1))

    @property
    def keys(self) -> tuple[str, ...]:
        """Attribute keys that the rules look at: the lake must keep them."""
        return tuple(
            dict.fromkeys(
                key
                for rule in self.rules
                for key in (*([ROUTE_KEY] if rule.route else []), *(key for key, _ in rule.attributes))
            )
        )

    def assign(self, rows: SpanRows, tree: Tree) -> Features:
        """The feature of each span: that of the topmost span at or above it that a rule matches.

        A span that matches below one that matches already stays with the upper one: a feature is what the
        user asked for, and what happens inside belongs to it. The request is the topmost matching span, or
        the root of a trace in which nothing matches; without a single model call in it, it is no inference.
        """
        matched = self._matches(rows, tree)
        names = ("", *dict.fromkeys(rule.feature for rule in self.rules))
        code_of_rule = np.array([0, *(names.index(rule.feature) for rule in self.rules)], dtype=np.int32)
        is_top = (matched > 0) & (_covering(tree, matched > 0) < 0)
        owner = _covering_or_self(tree, is_top)
        feature = np.where(owner >= 0, code_of_rule[matched[np.maximum(owner, 0)]], 0).astype(np.int32)
        is_request = is_top.copy()
        with_match = np.zeros(int(tree.trace[-1]) + 1 if len(tree) else 0, dtype=np.bool_)
        with_match[tree.trace[is_top]] = True
        is_request |= (tree.pre == 0) & ~with_match[tree.trace]
        is_request &= _calls_inside(rows, tree) > 0
        request = np.where(is_request, np.where(rows.status == _ERROR_STATUS, FAILED, COMPLETED), 0)
        return Features(Column(feature, names), request.astype(np.int8))

    def _matches(self, rows: SpanRows, tree: Tree) -> Integers:
        """Number of the first rule that matches each span, from 1; 0 for none."""
        matched = np.zeros(len(rows), dtype=np.int32)
        for number, rule in reversed(list(enumerate(self.rules, start=1))):
            holds = np.ones(len(rows), dtype=np.bool_)
            if rule.service is not None:
                holds &= _glob(rows.service, rule.service)
            if rule.span is not None:
                holds &= _glob(rows.name, rule.span)
            if rule.root_span is not None:
                root = np.flatnonzero(tree.pre == 0)
                holds &= _glob(rows.name, rule.root_span)[
                    root[tree.trace - (tree.trace[0] if len(tree) else 0)]
                ]
            if rule.route is not None:
                holds &= _glob(rows.attributes.column(ROUTE_KEY), rule.route)
            for key, pattern in rule.attributes:
                holds &= _glob(rows.attributes.column(key), pattern)
            matched[holds] = number
        return matched


def _calls_inside(rows: SpanRows, tree: Tree) -> Integers:
    """Model calls and aggregates in the subtree of each span."""
    is_call = np.zeros(len(rows) + 1, dtype=np.int64)
    is_call[1:][rows.call_rows] = 1
    sums = np.cumsum(is_call)
    here = np.arange(len(rows))
    inside: Integers = sums[here + tree.subtree_size] - sums[here]
    return inside


def _covering(tree: Tree, chosen: Flags) -> Integers:
    """The topmost chosen span above each span, -1 for none; spans are in pre-order."""
    owner = _covering_or_self(tree, chosen)
    return np.where(owner == np.arange(len(tree)), -1, owner)


def _covering_or_self(tree: Tree, chosen: Flags) -> Integers:
    """The topmost chosen span at or above each span, -1 for none.

    In pre-order the subtree of row r is r .. r + size - 1, so the topmost ones are intervals that do not
    overlap: a running maximum of their ends finds them.
    """
    n = len(tree)
    here = np.arange(n)
    ends = np.where(chosen, here + tree.subtree_size, 0)
    reached = np.maximum.accumulate(np.concatenate([[0], ends[:-1]])) if n else ends
    is_top = chosen & (here >= reached)
    top = np.maximum.accumulate(np.where(is_top, here, -1)) if n else here
    inside = (top >= 0) & (here < top + tree.subtree_size[np.maximum(top, 0)])
    return np.where(inside, top, -1)


def _glob(column: Column, pattern: str) -> Flags:
    matcher = _matcher(pattern)
    holds = np.array(
        [bool(name) and matcher.match(name) is not None for name in column.names], dtype=np.bool_
    )
    found: Flags = holds[column.codes]
    return found


@lru_cache(1024)
def _matcher(pattern: str) -> Pattern[str]:
    return compiled(translate(pattern))


def _rule(number: int, rule: Mapping[str, Any]) -> FeatureRule:
    unknown = set(rule) - {"feature", *_CONDITIONS}
    if unknown:
        raise FeatureRuleError(
            f"features, rule {number}: {sorted(unknown)}; allowed keys: feature, {', '.join(_CONDITIONS)}"
        )
    feature, attributes = rule.get("feature"), rule.get("attributes") or {}
    if not isinstance(feature, str) or not feature.strip():
        raise FeatureRuleError(f"features, rule {number}: feature is {feature!r}; give it a name")
    conditions = {name: rule.get(name) for name in _CONDITIONS[:-1]}
    if not any(conditions.values()) and not attributes:
        raise FeatureRuleError(
            f"features, rule {number} ({feature}): give at least one of {', '.join(_CONDITIONS)}"
        )
    if not isinstance(attributes, Mapping):
        raise FeatureRuleError(f"features, rule {number} ({feature}): attributes is a mapping of key to glob")
    return FeatureRule(
        feature=feature,
        **{name: None if value is None else str(value) for name, value in conditions.items()},
        attributes=tuple((str(key), str(value)) for key, value in attributes.items()),
    )
