"""What the overview says: totals, parts, how well they are known, what is unknown and the way out."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from wattspan import quantities
from wattspan.lake.reader import Snapshot
from wattspan.views.dimensions import label
from wattspan.views.flame_merge import Period
from wattspan.views.kinds import Kind
from wattspan.views.rollup import Group, Question, RollUp, kinds, roll_up

SHOWN: Final = 8
SERIES: Final = 6
"""Series of the time line; what is smaller is one more, "other"."""
HOURLY_UP_TO_DAYS: Final = 3


class Unknown(NamedTuple):
    """One thing that is not known."""

    what: str
    way_out: str


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


def newest_kind(snapshot: Snapshot, period: Period) -> tuple[Kind | None, tuple[Kind, ...]]:
    """The kind of figures that is shown, and all there are."""
    there = kinds(snapshot, _question((), period))
    return (there[-1] if there else None), there


def overview(snapshot: Snapshot, period: Period) -> Overview:
    """Roll up a period."""
    kind, there = newest_kind(snapshot, period)
    by_feature, by_model, by_region = (
        roll_up(snapshot, _question((name,), period), kind) for name in ("feature", "model", "region")
    )
    unknown = tuple(_unknowns(by_feature, by_model, by_region))
    return Overview(kind, there, by_feature, by_model, by_region, unknown)


def timeline(snapshot: Snapshot, period: Period) -> dict[str, Any]:
    """Energy and carbon by feature over hours (short periods) or days, as the chart takes them."""
    kind, _ = newest_kind(snapshot, period)
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


def _unknowns(by_feature: RollUp, by_model: RollUp, by_region: RollUp) -> list[Unknown]:
    whole = by_feature.total
    found: list[Unknown] = []
    silent = whole.calls - whole.failed - whole.with_energy
    if silent >= 1:
        found.append(
            Unknown(
                f"{silent:,.0f} calls told no tokens: they have no figure, and none is made up",
                "Have streams report usage (OpenAI: stream_options={'include_usage': true}), or let the "
                "gateway see the provider's own spans.",
            )
        )
    if (dark := whole.with_energy - whole.with_carbon) >= 1:
        found.append(
            Unknown(
                f"{dark:,.0f} calls have energy and no carbon",
                "Their grid zone has no figure of the chosen signal: `wattspan grid` shows which.",
            )
        )
    if (vague := whole.energy_by_tier.get("unknown", 0.0)) > 0:
        models = [group.key[0] for group in by_model.groups if "unknown" in group.energy_by_tier][:4]
        found.append(
            Unknown(
                f"{quantities.share(vague / whole.energy_kwh.central)} of the energy is of unknown models: "
                + ", ".join(label("model", model) for model in models),
                "Declare what serves them under `deployments:`; `wattspan models show NAME` has near names.",
            )
        )
    world = [
        group for group in by_region.groups if group.key[0] in {"", "world"} and group.energy_kwh.central
    ]
    if world:
        share = sum(group.energy_kwh.central for group in world) / whole.energy_kwh.central
        found.append(
            Unknown(
                f"{quantities.share(share)} of the energy has no known region and takes the "
                "world's mean grid",
                "Set cloud.region on the client span, or write a rule under `regions:`.",
            )
        )
    unmapped = [group for group in by_feature.groups if not group.key[0]]
    if unmapped and whole.calls:
        found.append(
            Unknown(
                f"{quantities.share(unmapped[0].calls / whole.calls)} of the calls belong to no feature",
                "Write rules under `features:`: by service, route, root span or an attribute.",
            )
        )
    if sampled := whole.calls_by_sampling.get("unknown", 0.0):
        found.append(
            Unknown(
                f"{sampled:,.0f} calls come from traces of which nothing says whether they were sampled",
                "Set the sampling rate in the configuration if your collector samples; say 1 if it does not.",
            )
        )
    return found
