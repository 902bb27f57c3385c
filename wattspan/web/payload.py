"""What the script of a flame graph is given: columns of plain values. It adds up and draws, no more."""

from __future__ import annotations

import json
from typing import Any, Final

import numpy as np

from wattspan.calls import Column
from wattspan.lake.rows import Floats
from wattspan.views.flame import Flame, Most
from wattspan.views.flame_change import Change
from wattspan.views.frames import AXES

SIGNIFICANT: Final = 7
"""Digits that are kept of a value: more than a person reads, few enough to keep the page small."""


def payload(flame: Flame, change: Change | None = None) -> dict[str, Any]:
    """The columns; `flame` is that of `change.frames` where there is a change."""
    frames = flame.frames
    found: dict[str, Any] = {
        "names": list(frames.name.names),
        "name": frames.name.codes.tolist(),
        "depth": frames.depth.tolist(),
        "span": [f"{span:016x}" if span else "" for span in frames.span_id.tolist()],
        "own": {axis: rounded(frames.own[row]) for row, axis in enumerate(AXES)},
        "bounds": {
            "energy": {"low": rounded(flame.energy.low), "high": rounded(flame.energy.high)},
            "carbon": {"low": rounded(flame.carbon.low), "high": rounded(flame.carbon.high)},
        },
        "evidence": _most(flame.evidence),
        "region": _most(flame.region),
        "grid": _most(flame.grid_source),
        "intensity": [
            None if value != value else round(value, 1) for value in flame.intensity_g_per_kwh.tolist()
        ],
        "folded": flame.folded,
        "change": None,
    }
    if change is not None:
        found["change"] = {
            "before": {axis: rounded(change.before[row]) for row, axis in enumerate(AXES)},
            "after": {axis: rounded(change.after[row]) for row, axis in enumerate(AXES)},
            "share": {axis: rounded(change.share[row]) for row, axis in enumerate(AXES)},
        }
    return found


def rounded(values: Floats) -> list[float]:
    """Values with `SIGNIFICANT` digits, whole numbers without a point."""
    size = np.where(values == 0, 1.0, np.abs(values))
    places = np.clip(SIGNIFICANT - 1 - np.floor(np.log10(size)), -15, 300)
    with np.errstate(over="ignore", invalid="ignore"):
        scale = 10.0**places
        short = np.where(np.isfinite(scale), np.rint(values * scale) / scale, values)
    return [int(value) if value == int(value) else value for value in short.tolist()]


def as_script_data(content: dict[str, Any]) -> str:
    """JSON that may stand inside a <script> element: nothing in it can end the element."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return (
        text.replace("&", "\\u0026")
        .replace("<", "\\u003c")
        .replace(">", "\\u003e")
        .replace("\u2028", "\\u2028")
        .replace("\u2029", "\\u2029")
    )


def _most(most: Most) -> dict[str, Any]:
    used, codes = np.unique(most.text.codes, return_inverse=True)
    text = Column(codes.astype(np.int32), tuple(most.text.names[code] for code in used.tolist()))
    return {"names": list(text.names), "code": codes.tolist(), "only": most.is_only.astype(np.int8).tolist()}
