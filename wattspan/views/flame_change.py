"""`Change`: two trees of frames on top of one another: what grew, what shrank, what is new, what is gone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wattspan.calls import Column
from wattspan.lake.rows import Floats, Ints
from wattspan.views.frames import AXES, Figures, Frames, subtree_ends

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """Both trees as one. A frame is as wide as the larger of its own values: what is gone is seen."""

    frames: Frames
    """The union; `own` is the larger of both, `figures` are those of the second tree."""
    before: Floats
    """float64[5, n]: by axis, the subtree in the first tree."""
    after: Floats
    """float64[5, n]: in the second."""

    @property
    def share(self) -> Floats:
        """float64[5, n]: (after - before) / the larger, from -1 (gone) to 1 (new); 0 where nothing is."""
        larger = np.maximum(self.before, self.after)
        with np.errstate(invalid="ignore", divide="ignore"):
            share: Floats = np.where(larger > 0, (self.after - self.before) / larger, 0.0)
        return share


def change(before: Frames, after: Frames) -> Change:
    """Put two trees on top of one another; frames with the same names from the root on are the same frame."""
    old, new = _by_path(before), _by_path(after)
    title = after.name[0]
    paths = _union([(title, *path[1:]) for path in old], [(title, *path[1:]) for path in new])
    place = {path: row for row, path in enumerate(paths)}
    values = []
    for frames, rows in ((before, old), (after, new)):
        own = np.zeros((len(AXES), len(paths)))
        for path, of in rows.items():
            own[:, place[(title, *path[1:])]] += frames.own[:, of].sum(axis=1)
        values.append(own)
    depth = np.array([len(path) - 1 for path in paths], dtype=np.int32)
    ends = subtree_ends(depth)
    at = np.zeros(len(after), dtype=np.int64)
    for path, of in new.items():
        at[of] = place[(title, *path[1:])]
    figures = after.figures
    union = Frames(
        name=Column.of([path[-1] for path in paths]),
        depth=depth,
        own=np.maximum(*values),
        figures=Figures(
            at[figures.frame],
            figures.energy_kwh,
            figures.co2e_g,
            figures.evidence,
            figures.region,
            figures.grid_source,
            figures.spread,
        ),
        span_id=np.zeros(len(paths), dtype=np.uint64),
    )
    return Change(union, *(np.stack([_sums(row, ends) for row in own]) for own in values))


def _sums(own: Floats, ends: Ints) -> Floats:
    running = np.concatenate([[0.0], np.cumsum(own)])
    sums: Floats = running[ends] - running[:-1]
    return sums


def _by_path(frames: Frames) -> dict[Path, list[int]]:
    """Rows by the names from the root on; brothers of one name are one frame."""
    rows: dict[Path, list[int]] = {}
    open_path: list[str] = []
    names = frames.name.texts()
    for row, depth in enumerate(frames.depth.tolist()):
        del open_path[depth:]
        open_path.append(names[row])
        rows.setdefault(tuple(open_path), []).append(row)
    return rows


def _union(old: list[Path], new: list[Path]) -> list[Path]:
    """All paths in pre-order: the second tree's order, what is gone after its brothers."""
    children: dict[Path, list[Path]] = {}
    for path in dict.fromkeys((*new, *old)):
        children.setdefault(path[:-1], []).append(path)
    order: list[Path] = []
    todo = children[()][::-1]
    while todo:
        path = todo.pop()
        order.append(path)
        todo += children.get(path, [])[::-1]
    return order
