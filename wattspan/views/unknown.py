"""`unknowns`: what is not known of the calls in a roll-up, how much hangs on it, and how to mend it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from wattspan.lake.reader import Snapshot
from wattspan.views.dimensions import NOTHING
from wattspan.views.kinds import Kind
from wattspan.views.question import Question
from wattspan.views.rollup import asked

_NAMED: Final = 4
_VAGUE_PLACES: Final = ("geography_mix", "world")
"""Sources of a region that say no more than a continent."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """One thing that is not known."""

    what: str
    """usage | model | region | feature | price | sampling."""
    calls: float
    energy_kwh: float
    """Of the calls it concerns; 0 where they have no figure."""
    examples: tuple[str, ...]
    """Names, the one with the most calls first."""
    remedy: str

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "what": self.what,
            "calls": self.calls,
            "energy_kwh": self.energy_kwh,
            "examples": list(self.examples),
            "remedy": self.remedy,
        }


_REMEDIES: Final = {
    "usage": "have the calls report their tokens (streams of OpenAI: stream_options include_usage); "
    "until then they have no figure",
    "model": "declare what serves it under deployments: in the configuration; until then its band is wide",
    "region": "name the region under regions: in the configuration, or set cloud.region on the client span",
    "feature": "add a rule for it under features: in the configuration",
    "price": "not on the list of genai-prices; put the cost on the span (gen_ai.usage.cost)",
    "sampling": "say what share of traces is kept: sampling_rate under lake: (1 if all are)",
}


def unknowns(snapshot: Snapshot, question: Question, kind: Kind | None = None) -> tuple[Unknown, ...]:
    """What is not known of the calls that `question` is about, the most calls first. Raises as `roll_up`
    does."""
    with asked(snapshot, question, kind, from_cells=False) as asking:
        rows = asking.unknown()
    calls: Counter[str] = Counter()
    energy: Counter[str] = Counter()
    names: dict[str, Counter[str]] = {what: Counter() for what in _REMEDIES}
    for (
        basis,
        service,
        model,
        is_unknown_model,
        source,
        sampling,
        is_unmapped,
        no_price,
        priced,
        count,
        kwh,
    ) in rows:
        found: dict[str, str] = {}
        if basis == "no_usage":
            found["usage"] = f"service {service or NOTHING}"
        if is_unknown_model:
            found["model"] = model or NOTHING
        if source in _VAGUE_PLACES and kwh:
            found["region"] = source
        if is_unmapped:
            found["feature"] = ""
        if no_price and kwh:
            found["price"] = priced
        if sampling == "unknown":
            found["sampling"] = ""
        for what, name in found.items():
            calls[what] += count
            energy[what] += kwh
            names[what][name] += count
    return tuple(
        Unknown(what, calls[what], energy[what], _first(names[what].most_common()), _REMEDIES[what])
        for what, _ in calls.most_common()
    )


def _first(named: Iterable[tuple[str, int]]) -> tuple[str, ...]:
    return tuple(name for name, _ in named if name)[:_NAMED]
