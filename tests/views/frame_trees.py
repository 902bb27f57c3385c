"""Trees of frames made by hand, for tests."""

from __future__ import annotations

import json
import math
from typing import NamedTuple

import numpy as np

from wattspan.calls import Column
from wattspan.views.frames import Figures, Frames


class F(NamedTuple):
    """A frame: name, own values, children."""

    name: str
    energy_kwh: float = 0.0
    co2e_g: float = 0.0
    cost_usd: float = 0.0
    tokens: float = 0.0
    own_ns: float = 0.0
    evidence: str = "closed"
    region: str = "eu-west-3"
    errors: tuple[tuple[str, float], ...] = (("method", 2.0),)
    """Key and geometric standard deviation of what its energy may be off by."""
    children: tuple[F, ...] = ()


def frames_of(root: F) -> Frames:
    rows: list[tuple[int, F]] = []

    def walk(depth: int, frame: F) -> None:
        rows.append((depth, frame))
        for child in frame.children:
            walk(depth + 1, child)

    walk(0, root)
    with_energy = [(row, frame) for row, (_, frame) in enumerate(rows) if frame.energy_kwh]
    return Frames(
        name=Column.of([frame.name for _, frame in rows]),
        depth=np.array([depth for depth, _ in rows], dtype=np.int32),
        own=np.array([list(map(float, frame[1:6])) for _, frame in rows]).T,
        figures=Figures(
            np.array([row for row, _ in with_energy], dtype=np.int64),
            np.array([frame.energy_kwh for _, frame in with_energy]),
            np.array([frame.co2e_g for _, frame in with_energy]),
            Column.of([frame.evidence for _, frame in with_energy]),
            Column.of([frame.region for _, frame in with_energy]),
            Column.of(["Ember 2025"] * len(with_energy)),
            Column.of([_spread(frame) for _, frame in with_energy]),
        ),
        span_id=np.zeros(len(rows), dtype=np.uint64),
    )


def _spread(frame: F) -> str:
    energy = [[key, math.log(g)] for key, g in frame.errors]
    return json.dumps({"energy": energy, "grid": []}, separators=(",", ":"))
