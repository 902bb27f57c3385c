"""The bars of a waterfall: where each begins and ends, for whatever draws them."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from wattspan.disclosure.render.document import CAUSE_NAMES

_CHART_HEIGHT: Final = 150
_CHART_TOP: Final = 18
_BAR_WIDTH: Final = 84


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
    # a sealed file has its keys in the order of their letters
    for cause in CAUSE_NAMES:
        change = float(step["effects"].get(cause, 0))
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


def waterfall(bridge: Mapping[str, Any], of: str) -> list[Bar]:
    """The whole way from the figure before to the new one, step after step, for one of the bridge's units.

    `of`: what the figures are of, as the steps say it. Where one step ends and the next begins is a total.
    """
    made: list[Bar] = []
    steps = [step for step in bridge["steps"] if step["of"] == of]
    for step in steps:
        first, *causes, last = bars(step)
        if not made:
            made.append(first._replace(label=edition_of(bridge["from"])))
        made += causes
        made.append(last._replace(label=_BETWEEN[step["step"]]))
    if any(step["step"] == "method" for step in steps):
        made = [bar._replace(label=_OLD_METHOD) if bar.label == _BETWEEN["activity"] else bar for bar in made]
    made[-1] = made[-1]._replace(label=edition_of(bridge["to"]))
    return made


def drawing(shapes: Sequence[Bar]) -> dict[str, Any]:
    """Coordinates of an SVG drawing `width` by `height`, for a template; kinds: total, up, down."""
    low = min(0.0, *(min(bar.start, bar.end) for bar in shapes))
    high = max(max(bar.start, bar.end) for bar in shapes) or 1.0
    scale = _CHART_HEIGHT / (high - low)
    drawn = []
    for place, bar in enumerate(shapes):
        top, bottom = (
            _CHART_TOP + (high - value) * scale
            for value in (max(bar.start, bar.end), min(bar.start, bar.end))
        )
        drawn.append(
            {
                "label": bar.label,
                "text": bar.text,
                "kind": "total" if bar.is_total else "up" if bar.end > bar.start else "down",
                "x": place * _BAR_WIDTH + 8,
                "middle": place * _BAR_WIDTH + _BAR_WIDTH / 2,
                "y": f"{top:.2f}",
                "height": f"{max(bottom - top, 0.8):.2f}",
                "text_y": f"{top - 5:.2f}",
                "line_y": f"{_CHART_TOP + (high - bar.end) * scale:.2f}",
                "lines": textwrap.wrap(bar.label, 14),
            }
        )
    return {
        "drawn": drawn,
        "width": len(shapes) * _BAR_WIDTH,
        "height": _CHART_TOP + _CHART_HEIGHT + 50,
        "foot": _CHART_TOP + _CHART_HEIGHT + 14,
        "bar_width": _BAR_WIDTH - 16,
    }


def edition_of(disclosure_id: str) -> str:
    """Period and edition of an id: "2026Q3 @1"."""
    _, period, name = disclosure_id.split("/")
    return f"{period} @{name.rpartition('@')[2]}"


_BETWEEN: Final[Mapping[str, str]] = {
    "activity": "new data",
    "method": "new method",
    "boundary": "old boundary",
}
"""Where a step has led, when another follows."""
_OLD_METHOD: Final = "new data, old method"


def _short(value: float) -> str:
    return (
        f"{value:.3g}"
        if 1e-4 <= abs(value) < 1e5 or not value
        else f"{value:,.0f}"
        if abs(value) >= 1
        else f"{value:.6f}"
    )
