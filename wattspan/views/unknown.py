"""`unknowns`: what is not known of the calls in a roll-up, how much hangs on it, and how to mend it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from wattspan.lake.reader import Snapshot
from wattspan.views.dimensions import NOTHING
from wattspan.views.kinds import Kind
from wattspan.views.question import Question
from wattspan.views.rollup import asked

_NAMED: Final = 4
_VAGUE_PLACES: Final = ("geography_mix", "world")
"""Sources of a region that say no more than a continent."""
_BY: Final = ("service", "model", "feature")
_CLASSES: Final = ("evidence", "basis", "sampling", "region_source")


@dataclass(frozen=True, slots=True)
class Unknown:
    """One thing that is not known."""

    what: str
    """usage | model | region | carbon | feature | price | sampling."""
    calls: float
    energy_kwh: float
    """Of the calls it concerns; 0 where they have no figure."""
    examples: tuple[str, ...]
    """Names, the one with the most calls first."""

    @property
    def finding(self) -> str:
        """What is so of the calls, after their number: "of no feature"."""
        return _WORDS[self.what][0]

    @property
    def remedy(self) -> str:
        """What to do, as a clause; names of settings stand between backticks."""
        return _WORDS[self.what][1]

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "what": self.what,
            "calls": self.calls,
            "energy_kwh": self.energy_kwh,
            "examples": list(self.examples),
            "remedy": self.remedy,
        }


_WORDS: Final = {
    "usage": (
        "without tokens: no figure, and none is made up",
        "have the calls report their tokens (streams of OpenAI: `stream_options include_usage`); "
        "until then they have no figure",
    ),
    "model": (
        "of models of which nothing is published",
        "declare what serves them under `deployments:` in the configuration (`wattspan models show NAME` "
        "has near names); until then their band is wide",
    ),
    "region": (
        "whose place is known no closer than a continent",
        "name the region under `regions:` in the configuration, or set `cloud.region` on the client span",
    ),
    "carbon": (
        "with energy and without carbon",
        "their grid zone has no figure of the chosen kind: `wattspan grid status` shows what there is",
    ),
    "feature": ("of no feature", "add a rule for it under `features:` in the configuration"),
    "price": (
        "without a price",
        "not on the list of genai-prices; put the cost on the span (`gen_ai.usage.cost`)",
    ),
    "sampling": (
        "of traces of which nothing says whether they were sampled",
        "say what share of traces is kept: `sampling_rate` under `lake:` (1 if all are)",
    ),
}


def unknowns(snapshot: Snapshot, question: Question, kind: Kind | None = None) -> tuple[Unknown, ...]:
    """What is not known of the calls that `question` is about, the most calls first. Raises as `roll_up`
    does."""
    by = replace(question, by=_BY, percentiles=False)
    calls: defaultdict[str, float] = defaultdict(float)
    energy: defaultdict[str, float] = defaultdict(float)
    names: dict[str, defaultdict[str, float]] = {what: defaultdict(float) for what in _WORDS}
    with asked(snapshot, by, kind) as asking:
        for row in asking.call_rows(_CLASSES):
            for what, (name, count, kwh) in _of_row(row).items():
                calls[what] += count
                energy[what] += kwh
                names[what][name] += count
    return tuple(
        Unknown(what, count, energy[what], _first(names[what]))
        for what, count in sorted(calls.items(), key=lambda item: -item[1])
    )


def _of_row(row: Mapping[str, Any]) -> dict[str, tuple[str, float, float]]:
    """What is unknown of the calls of one group: a name, their number, their energy in kWh."""
    service, model, feature = (row[f"key_{number}"] for number in range(len(_BY)))
    count, kwh = row["calls"] or 0.0, row["energy_kwh"] or 0.0
    with_energy, with_carbon = row["with_energy"] or 0.0, row["with_carbon"] or 0.0
    if not count:
        return {}  # compute spans: no calls
    found: dict[str, tuple[str, float, float]] = {}
    if row["basis"] == "no_usage":
        found["usage"] = (f"service {service or NOTHING}", count, 0.0)
    if row["evidence"] == "unknown":
        found["model"] = (model or NOTHING, count, kwh)
    if row["region_source"] in _VAGUE_PLACES and kwh:
        found["region"] = (row["region_source"], count, kwh)
    if with_energy > with_carbon:
        # energy is not told apart by what has carbon: its share by calls
        found["carbon"] = ("", with_energy - with_carbon, kwh * (1 - with_carbon / with_energy))
    if not feature:
        found["feature"] = ("", count, kwh)
    if with_energy > (with_cost := row["with_cost"] or 0.0):
        found["price"] = (model or NOTHING, with_energy - with_cost, kwh * (1 - with_cost / with_energy))
    if row["sampling"] == "unknown":
        found["sampling"] = ("", count, kwh)
    return found


def _first(named: Mapping[str, float]) -> tuple[str, ...]:
    return tuple(name for name in sorted(named, key=lambda name: (-named[name], name)) if name)[:_NAMED]
