"""The bars of a waterfall: where each begins and ends, for whatever draws them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from wattspan.disclosure.render.document import CAUSE_NAMES


class Bar(NamedTuple):
    """One bar, in the unit of the step."""

    label: str
    start: float
    end: float
    is_total: bool
    text: str


def bars(step: Mapping[str, Any]) -> list[Bar]:
    """From before to after by way of each cause that had an effect."""
    level = float(step["before"])
    made = [Bar("before", 0.0, level, True, _short(level))]
    for cause, effect in step["effects"].items():
        change = float(effect)
        if change:
            made.append(
                Bar(
                    CAUSE_NAMES[cause],
                    level,
                    level + change,
                    False,
                    f"{'+' if change > 0 else '−'}{_short(abs(change))}",
                )
            )
            level += change
    after = float(step["after"])
    made.append(Bar("after", 0.0, after, True, _short(after)))
    return made


def _short(value: float) -> str:
    return (
        f"{value:.3g}"
        if 1e-4 <= abs(value) < 1e5 or not value
        else f"{value:,.0f}"
        if abs(value) >= 1
        else f"{value:.6f}"
    )
