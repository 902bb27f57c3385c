"""`Frames`: what a flame graph is drawn from: a tree in pre-order, each frame with values of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from wattspan.calls import Column
from wattspan.lake.arrow import text_column
from wattspan.lake.inherit import parent_rows
from wattspan.lake.rows import Counts, Flags, Floats, Hashes, Ints

AXES: Final = ("energy", "carbon", "cost", "tokens", "time")
"""kWh, grams CO2e (operational), US dollars, tokens, nanoseconds of own time."""
ENERGY, CARBON, COST, TOKENS, TIME = range(len(AXES))

TOKEN_COUNTS: Final = ("input_tokens", "output_tokens")
"""Cache reads and reasoning are parts of these."""
COLUMNS: Final = (
    "span_id",
    "name",
    "depth",
    "own_ns",
    "is_owner",
    "energy_kwh",
    "co2e_g",
    "cost_usd",
    *TOKEN_COUNTS,
    *(f"owned_{name}" for name in TOKEN_COUNTS),
    "evidence",
    "region",
    "grid_source",
    "spread",
)
"""Of a segment, what the frames of a trace need."""


@dataclass(frozen=True, slots=True, eq=False)
class Figures:
    """The figures behind the frames, of length m: one frame may have several, of other evidence or place."""

    frame: Ints
    """int64[m]: row of the frame."""
    energy_kwh: Floats
    co2e_g: Floats
    evidence: Column
    region: Column
    grid_source: Column
    spread: Column
    """As `lake.spread` writes it."""

    def __len__(self) -> int:
        return len(self.frame)


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """A tree of n frames; row 0 is the only root, children follow their parent."""

    name: Column
    depth: Counts
    own: Floats
    """float64[5, n]: by axis, what the frame has itself, without its children."""
    figures: Figures
    span_id: Hashes
    """uint64[n]: 0 where the frame is no single span."""

    def __len__(self) -> int:
        return len(self.depth)

    @property
    def parent(self) -> Ints:
        """int64[n]: row of the parent, -1 for the root."""
        return parent_rows(self.depth)


def subtree_ends(depth: Counts) -> Ints:
    """int64[n]: the row after the last of each frame's subtree."""
    n = len(depth)
    size, parent = np.ones(n, dtype=np.int64), parent_rows(depth)
    order = np.argsort(depth, kind="stable")
    levels = np.split(order, np.cumsum(np.bincount(depth))[:-1]) if n else []
    for at in levels[:0:-1]:
        np.add.at(size, parent[at], size[at])
    ends: Ints = np.arange(n) + size
    return ends


def of_trace(spans: pa.Table, title: str) -> Frames:
    """The frames of one trace, below a root called `title`; `spans`: `COLUMNS` of its rows in their order."""
    n = spans.num_rows
    is_owner = flags(spans, "is_owner")
    own = np.zeros((len(AXES), n + 1))
    own[ENERGY, 1:], own[CARBON, 1:] = numbers(spans, "energy_kwh"), numbers(spans, "co2e_g")
    own[COST, 1:] = numbers(spans, "cost_usd")
    own[TOKENS, 1:] = np.where(is_owner, tokens(spans), 0.0)
    own[TIME, 1:] = numbers(spans, "own_ns")
    name = text_column(spans.column("name"))
    span_id = np.zeros(n + 1, dtype=np.uint64)
    span_id[1:] = spans.column("span_id").to_numpy()
    rows = np.flatnonzero(own[ENERGY] > 0)
    texts = {
        column: text_column(spans.column(column)).take(rows - 1)
        for column in ("evidence", "region", "grid_source", "spread")
    }
    return Frames(
        name=Column.concatenate([Column.constant(title, 1), name]),
        depth=np.concatenate([[0], spans.column("depth").to_numpy() + 1]).astype(np.int32),
        own=own,
        figures=Figures(rows, own[ENERGY, rows], own[CARBON, rows], **texts),
        span_id=span_id,
    )


def numbers(spans: pa.Table, name: str) -> Floats:
    """float64[n]: a column, 0 where it is null."""
    found: Floats = spans.column(name).fill_null(0).to_numpy().astype(np.float64)
    return found


def flags(spans: pa.Table, name: str) -> Flags:
    """bool[n]: a column, false where it is null."""
    found: Flags = spans.column(name).fill_null(False).to_numpy().astype(np.bool_)
    return found


def tokens(spans: pa.Table) -> Floats:
    """float64[n]: input and output tokens as they were estimated: what copies of the call knew is known."""
    total = np.zeros(spans.num_rows)
    for name in TOKEN_COUNTS:
        owned: Any = spans.column(f"owned_{name}")
        total += np.where(owned.is_valid().to_numpy(), numbers(spans, f"owned_{name}"), numbers(spans, name))
    return total
