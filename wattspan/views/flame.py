"""`Flame`: frames with everything a flame graph shows: sums of subtrees, bands, where and how known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np

from wattspan.calls import Column, Factor
from wattspan.estimator import totals
from wattspan.lake import spread
from wattspan.lake.rows import Flags, Floats, Ints
from wattspan.views.frames import AXES, CARBON, Figures, Frames, subtree_ends

MOST_FRAMES: Final = 50_000
"""More than this and small subtrees are folded."""
SMALL_SHARE: Final = 0.0005
"""Of the root, on every axis: below it a subtree is folded into "other"."""
OTHER: Final = "other"
_CELLS_AT_ONCE: Final = 4_000_000


class Bounds(NamedTuple):
    """90 % bounds of each frame's subtree."""

    low: Floats
    high: Floats


class Most(NamedTuple):
    """For each subtree the text that has the most of its energy, and whether it is the only one."""

    text: Column
    is_only: Flags


@dataclass(frozen=True, slots=True, eq=False)
class Flame:
    """Frames, and what their subtrees come to."""

    frames: Frames
    total: Floats
    """float64[5, n]: by axis, the subtree with the frame itself."""
    energy: Bounds
    carbon: Bounds
    evidence: Most
    region: Most
    grid_source: Most
    intensity_g_per_kwh: Floats
    """Carbon over the energy of the subtree that has carbon; NaN where none has."""
    folded: int = 0
    """Frames that are not drawn by themselves."""


def flame(frames: Frames) -> Flame:
    """Sum up the subtrees of `frames`."""
    folded = len(frames)
    frames = _folded(frames)
    folded -= len(frames)
    ends = subtree_ends(frames.depth)
    total = np.stack([_range_sums(frames.own[axis], ends) for axis in range(len(AXES))])
    figures = frames.figures
    with_carbon = np.where(figures.co2e_g > 0, figures.energy_kwh, 0.0)
    known = _range_sums(
        np.bincount(figures.frame, with_carbon, minlength=len(frames)).astype(np.float64), ends
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        intensity = np.where(known > 0, total[CARBON] / known, np.nan)
    return Flame(
        frames=frames,
        total=total,
        energy=_bounds(frames, ends, of_carbon=False),
        carbon=_bounds(frames, ends, of_carbon=True),
        evidence=_most(figures.evidence, frames, ends),
        region=_most(figures.region, frames, ends),
        grid_source=_most(figures.grid_source, frames, ends),
        intensity_g_per_kwh=intensity,
        folded=folded,
    )


def _range_sums(values: Floats, ends: Ints) -> Floats:
    """Sums over rows i .. ends[i]; exactly 0 where all of them are."""
    running = np.concatenate([[0.0], np.cumsum(values)])
    counts = np.concatenate([[0], np.cumsum(values > 0)])
    starts = np.arange(len(ends))
    sums: Floats = np.where(
        counts[ends] == counts[starts], 0.0, np.maximum(running[ends] - running[starts], 0.0)
    )
    return sums


def _bounds(frames: Frames, ends: Ints, *, of_carbon: bool) -> Bounds:
    """The estimator's bounds of every subtree: errors with the same key are one error."""
    n, figures = len(frames), frames.figures
    values = figures.co2e_g if of_carbon else figures.energy_kwh
    classes: dict[tuple[Factor, ...], int] = {}
    class_of_text = np.zeros(len(figures.spread.names), dtype=np.int64)
    for code in np.unique(figures.spread.codes).tolist():
        factors = spread.read(figures.spread.names[code])[of_carbon]
        class_of_text[code] = classes.setdefault(factors, len(classes))
    if not classes:
        return Bounds(np.zeros(n), np.zeros(n))
    low, high = np.zeros(n), np.zeros(n)
    of_figure = class_of_text[figures.spread.codes]
    sums = np.zeros((n + 1, len(classes)))
    np.add.at(sums, (figures.frame + 1, of_figure), values)
    np.cumsum(sums, axis=0, out=sums)
    counts = np.concatenate([[0], np.cumsum(np.bincount(figures.frame, values > 0, minlength=n))])
    starts = np.arange(n)
    some = np.flatnonzero(counts[ends] > counts[starts])
    step = max(1, _CELLS_AT_ONCE // len(classes))
    for begin in range(0, len(some), step):
        rows = some[begin : begin + step]
        low[rows], high[rows] = totals(sums[ends[rows]] - sums[rows], list(classes))
    return Bounds(low, high)


def _most(texts: Column, frames: Frames, ends: Ints) -> Most:
    """What has the most energy in each subtree; "" where there is no energy."""
    n, figures = len(frames), frames.figures
    best, whole, code = np.zeros(n), np.zeros(n), np.zeros(n, dtype=np.int32)
    for found in np.unique(texts.codes).tolist():
        at = texts.codes == found
        own = np.bincount(figures.frame[at], figures.energy_kwh[at], minlength=n).astype(np.float64)
        sums = _range_sums(own, ends)
        code[sums > best] = found
        best = np.maximum(best, sums)
        whole += sums
    is_only: Flags = best >= whole * (1 - 1e-9)
    return Most(Column(code, texts.names), is_only)


def _folded(frames: Frames) -> Frames:
    """Large trees with what is small on every axis folded into one "other" under each parent."""
    n = len(frames)
    if n <= MOST_FRAMES:
        return frames
    ends = subtree_ends(frames.depth)
    is_small = np.ones(n, dtype=np.bool_)
    for own in frames.own:
        sums = _range_sums(own, ends)
        is_small &= sums <= SMALL_SHARE * sums[0]
    parent = frames.parent
    top = np.flatnonzero(is_small & ~is_small[np.maximum(parent, 0)] & (parent >= 0))
    # The first small child of a parent stands for all of them.
    _, first, of_top = np.unique(parent[top], return_index=True, return_inverse=True)
    stands = top[first]
    target = np.arange(n)
    last_top = np.maximum.accumulate(np.where(np.isin(np.arange(n), top), np.arange(n), -1))
    small = np.flatnonzero(is_small)
    target[small] = stands[of_top[np.searchsorted(top, last_top[small])]]
    keeps = ~is_small
    keeps[stands] = True
    place = np.cumsum(keeps) - 1
    of = place[target]
    kept = int(keeps.sum())
    own = np.stack([np.bincount(of, values, minlength=kept) for values in frames.own])
    name = Column.concatenate([frames.name, Column.constant(OTHER, 1)])
    codes = name.codes[:-1].copy()
    codes[stands] = name.codes[-1]
    span_id = frames.span_id.copy()
    span_id[stands] = 0
    figures: Figures = replace(frames.figures, frame=of[frames.figures.frame])
    return Frames(Column(codes[keeps], name.names), frames.depth[keeps], own, figures, span_id[keeps])
