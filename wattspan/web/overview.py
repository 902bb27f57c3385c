"""What the overview says: totals, parts, how well they are known, what is unknown and the way out."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

from wattspan.lake.reader import Snapshot
from wattspan.views.dimensions import label
from wattspan.views.flame_merge import Period
from wattspan.views.kinds import Kind, chosen
from wattspan.views.rollup import Group, Question, RollUp, kinds, roll_up
from wattspan.views.unknown import Unknown, unknowns

SHOWN: Final = 8
SERIES: Final = 6
"""Series of the time line; what is smaller is one more, "other"."""
HOURLY_UP_TO_DAYS: Final = 3


@dataclass(frozen=True, slots=True)
class Overview:
    """Roll-ups of one period."""

    kind: Kind | None
    kinds: tuple[Kind, ...]
    by_feature: RollUp
    by_model: RollUp
    by_region: RollUp
    unknown: tuple[Unknown, ...]

    @property
    def total(self) -> Group:
        """All calls of the period."""
        return self.by_feature.total


def chosen_kind(snapshot: Snapshot, period: Period, key: str | None) -> tuple[Kind | None, tuple[Kind, ...]]:
    """The kind of figures that is shown, the newest where `key` names none, and all there are."""
    there = kinds(snapshot, _question((), period))
    return chosen(there, key), there


def overview(snapshot: Snapshot, period: Period, key: str | None = None) -> Overview:
    """Roll up a period's figures of one kind. Raises QueryError where it has none of that key."""
    kind, there = chosen_kind(snapshot, period, key)
    by_feature, by_model, by_region = (
        roll_up(snapshot, _question((name,), period), kind) for name in ("feature", "model", "region")
    )
    unknown = unknowns(snapshot, _question((), period), kind)
    return Overview(kind, there, by_feature, by_model, by_region, unknown)


def timeline(snapshot: Snapshot, period: Period, key: str | None = None) -> dict[str, Any]:
    """Energy and carbon by feature over hours (short periods) or days, as the chart takes them."""
    kind, _ = chosen_kind(snapshot, period, key)
    days = roll_up(snapshot, _question(("day",), period), kind).groups
    dated = [group.key[0] for group in days if group.key[0]]
    name, step_s = ("hour", 3600) if len(dated) <= HOURLY_UP_TO_DAYS else ("day", 86_400)
    found = roll_up(snapshot, _question((name, "feature"), period), kind)
    sums: dict[str, float] = {}
    for group in found.groups:
        sums[group.key[1]] = sums.get(group.key[1], 0.0) + group.energy_kwh.central
    largest = sorted(sums, key=lambda feature: -sums[feature])[:SERIES]
    moments = sorted({_seconds(group.key[0]) for group in found.groups if group.key[0]})
    place = {moment: number for number, moment in enumerate(moments)}
    names = [*largest, *([None] if len(sums) > len(largest) else [])]
    energy = {feature: [0.0] * len(moments) for feature in names}
    carbon = {feature: [0.0] * len(moments) for feature in names}
    for group in found.groups:
        if not group.key[0]:
            continue
        feature = group.key[1] if group.key[1] in energy else None
        energy[feature][place[_seconds(group.key[0])]] += group.energy_kwh.central
        carbon[feature][place[_seconds(group.key[0])]] += group.co2e_g.central
    return {
        "step_s": step_s,
        "times": moments,
        "series": [
            {
                "name": "other" if feature is None else label("feature", feature),
                "energy": energy[feature],
                "carbon": carbon[feature],
            }
            for feature in names
        ],
    }


def _question(by: tuple[str, ...], period: Period) -> Question:
    return Question(by=by, start_unix_ns=period.start_unix_ns, end_unix_ns=period.end_unix_ns)


def _seconds(text: str) -> int:
    moment = dt.datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp())
