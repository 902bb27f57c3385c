"""What a roll-up can be split by and narrowed to: the names, and where each is found in the lake."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final


class QueryError(ValueError):
    """A question that the lake cannot answer: what was asked, what is allowed, what to do."""


DAY_NS: Final = 86_400 * 10**9
HOUR_NS: Final = 3_600 * 10**9
ATTRIBUTE: Final = "attribute:"
UNMAPPED: Final = "(unmapped)"
NOTHING: Final = "(none)"

START: Final = "coalesce(call_start_unix_ns, start_unix_ns)"
"""A figure belongs to the hour in which its call started."""

_COLUMNS: Final = {
    "day": f"{START} // {DAY_NS}",
    "hour": f"{START} // {HOUR_NS}",
    "feature": "feature",
    "service": "service",
    "agent": "inherited_agent",
    "tool": "inherited_tool",
    "model": "CASE WHEN resolved_model <> '' THEN resolved_model WHEN model <> '' THEN model "
    "ELSE coalesce(request_model, '') END",
    "effort": "coalesce(reasoning_effort, '')",
    "provider": "coalesce(provider, '')",
    "region": "coalesce(region, '')",
    "tier": "evidence",
}
NAMES: Final = tuple(_COLUMNS)
TIMES: Final = ("day", "hour")
INHERITED: Final = ("agent", "tool")
"""A call belongs to the agent and the tool at or above it, the nearest of each."""
OF_REQUESTS: Final = ("day", "hour", "feature")
"""Requests are counted by these: a request has one start and one feature, and any number of models."""
OF_CELLS: Final = tuple(name for name in NAMES if name != "hour")
"""What is kept of a day whose spans are gone."""


@dataclass(frozen=True, slots=True)
class Dimension:
    """One way to split calls."""

    name: str
    """As a person writes it: feature, model, attribute:app.plan."""
    sql: str
    """Expression over the rows of `rows.Source`."""

    @property
    def key(self) -> str | None:
        """The attribute's key; None for the other dimensions."""
        return self.name.removeprefix(ATTRIBUTE) if self.name.startswith(ATTRIBUTE) else None

    def text(self, value: object) -> str:
        """A value of the expression as text: times as ISO 8601 in UTC, the rest as it is."""
        if self.name in TIMES and isinstance(value, int):
            if value <= 0:
                return ""
            seconds = value * (86_400 if self.name == "day" else 3_600)
            moment = dt.datetime.fromtimestamp(seconds, dt.UTC)
            return moment.date().isoformat() if self.name == "day" else moment.strftime("%Y-%m-%dT%H:00Z")
        return "" if value is None else str(value)


@dataclass(frozen=True, slots=True)
class Filter:
    """Rows whose dimension matches the glob `pattern`, or with `is_not` those that do not."""

    name: str
    pattern: str
    is_not: bool = False

    def __str__(self) -> str:
        return f"{self.name}{'!=' if self.is_not else '='}{self.pattern}"


def dimensions(names: Iterable[str]) -> tuple[Dimension, ...]:
    """The dimensions called `names`, each once. Raises QueryError for one that is none."""
    found: dict[str, Dimension] = {}
    keys = 0
    for name in names:
        if name in found:
            continue
        if name.startswith(ATTRIBUTE) and len(name) > len(ATTRIBUTE):
            # the key itself never gets near the SQL: its column has a number for a name
            found[name] = Dimension(name, f"attribute_{keys}")
            keys += 1
        elif name in _COLUMNS:
            found[name] = Dimension(name, _COLUMNS[name])
        else:
            raise QueryError(
                f"{name!r} is nothing to split by; allowed: {', '.join(NAMES)}, attribute:KEY "
                "(such as attribute:app.plan)"
            )
    return tuple(found.values())


def parse_filter(text: str) -> Filter:
    """`feature=Invoice*`, `model!=gpt-4o`, `attribute:app.plan=gold`. Raises QueryError."""
    name, sign, pattern = text.partition("=")
    is_not = name.endswith("!")
    name = name.removesuffix("!").strip()
    if not sign:
        raise QueryError(f"{text!r} is no condition; write it as feature=Invoice* or model!=gpt-4o")
    if name in TIMES:
        raise QueryError(f"{text!r}: narrow the time by --from and --to")
    dimensions([name])
    pattern = pattern.strip()
    return Filter(name, "" if pattern in {UNMAPPED, NOTHING} else pattern, is_not)


def moment_unix_ns(text: str) -> int:
    """Nanoseconds of an ISO 8601 day or time (UTC unless it says). Raises QueryError."""
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise QueryError(
            f"{text!r} is not a day or time; write it as 2026-11-23 or 2026-11-23T14:00Z"
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return int(moment.timestamp()) * 10**9


def label(dimension: str, value: str) -> str:
    """A value as a person reads it: what is empty says what that means."""
    if value:
        return value
    return UNMAPPED if dimension == "feature" else "(no time)" if dimension in TIMES else NOTHING


def attribute_keys(chosen: Sequence[Dimension]) -> tuple[str, ...]:
    """The attribute keys among `chosen`, in the order of their columns attribute_0, attribute_1, …"""
    return tuple(dimension.key for dimension in chosen if dimension.key is not None)
