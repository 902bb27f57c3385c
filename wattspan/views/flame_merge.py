"""`merged`: the spans of a period as one tree: feature, agent, tool, model.

Spans of no feature are split by service: so the first look at a lake without feature rules says something.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from wattspan.calls import Column
from wattspan.lake.arrow import text_column
from wattspan.lake.inherit import nearest, parent_rows
from wattspan.lake.manifest import Segment
from wattspan.lake.reader import Snapshot
from wattspan.lake.rows import Flags, Floats, Integers, Ints
from wattspan.lake.schema import ESTIMATES
from wattspan.lake.segments import read_segment
from wattspan.views.dimensions import UNMAPPED, QueryError
from wattspan.views.frames import AXES, COLUMNS, Figures, Frames, flags, numbers, tokens
from wattspan.views.kinds import Kind, MixedKindsError, kind_of

UNKNOWN_MODEL: Final = "(no model named)"
_PATH: Final = ("feature", "service", "agent", "tool", "model")
_OF_FIGURE: Final = ("evidence", "region", "grid_source", "spread")
_NEEDED: Final = tuple(
    dict.fromkeys(
        (
            *COLUMNS,
            "feature",
            "service",
            "agent",
            "tool",
            "model",
            "request_model",
            "resolved_model",
            "weight",
            "start_unix_ns",
        )
    )
)


class Period(NamedTuple):
    """Spans that start at or after `start_unix_ns` and before `end_unix_ns`; None: without a bound."""

    start_unix_ns: int | None = None
    end_unix_ns: int | None = None


ALWAYS: Final = Period()
Path = tuple[str, ...]
Cells = dict[Path, Floats]


def merged(
    snapshot: Snapshot,
    period: Period = ALWAYS,
    estimate_set: str | None = None,
    title: str = "all spans",
    kind: Kind | None = None,
) -> Frames:
    """All spans of a period, sampled ones scaled to what they stand for, below a root called `title`.

    `estimate_set`: name of another set of estimates than the resident one. Raises QueryError where it does
    not cover the period, MixedKindsError where the resident figures are of several kinds and `kind` names
    none of them: those are never added up.
    """
    segments = in_period(snapshot, period)
    if kind is not None and estimate_set is None:
        segments = [segment for segment in segments if kind_of(segment) == kind]
    kinds = {kind_of(segment) for segment in segments}
    if estimate_set is None and len(kinds) > 1:
        raise MixedKindsError(sorted(kinds))
    cells: Cells = {}
    for segment in segments:
        _add(cells, _rows(snapshot, segment, estimate_set), period)
    return _tree(cells, title)


def in_period(snapshot: Snapshot, period: Period) -> list[Segment]:
    """The segments that may hold spans of the period."""
    first, last = (
        None if moment is None else dt.datetime.fromtimestamp(moment // 10**9, dt.UTC).date()
        for moment in period
    )
    return snapshot.segments(first, last)


def _rows(snapshot: Snapshot, segment: Segment, estimate_set: str | None) -> pa.Table:
    rows = read_segment(snapshot.folder, segment, list(_NEEDED))
    if estimate_set is None:
        return rows
    file = segment.estimates.get(estimate_set)
    if file is None:
        there = ", ".join(known.name for known in snapshot.manifest.sets) or "none"
        raise QueryError(
            f"the estimates {estimate_set!r} do not cover {segment.file}; sets in this lake: {there}"
        )
    wanted = [name for name in ESTIMATES.names if name in rows.schema.names]
    other = pq.read_table(snapshot.folder / file, columns=wanted, memory_map=True)
    for name in wanted:
        rows = rows.set_column(rows.schema.get_field_index(name), name, other.column(name))
    return rows


def _add(cells: Cells, spans: pa.Table, period: Period) -> None:
    """Take in the rows of whole traces."""
    parent = parent_rows(spans.column("depth").to_numpy())
    is_owner = flags(spans, "is_owner")
    names = [text_column(spans.column("feature")), text_column(spans.column("service"))]
    for level in ("agent", "tool"):
        column = text_column(spans.column(level))
        source = nearest(column.codes > 0, parent)
        names.append(Column(np.where(source >= 0, column.codes[source], 0).astype(np.int32), column.names))
    names.append(_models(spans, is_owner))
    of_figure = [text_column(spans.column(name)) for name in _OF_FIGURE]
    own = np.stack(
        [
            numbers(spans, "energy_kwh"),
            numbers(spans, "co2e_g"),
            numbers(spans, "cost_usd"),
            np.where(is_owner, tokens(spans), 0.0),
            numbers(spans, "own_ns"),
        ]
    ) * numbers(spans, "weight")
    chosen = _within(spans.column("start_unix_ns").to_numpy(), period)
    group, first = _groups([column.codes[chosen] for column in (*names, *of_figure)])
    sums = np.stack([np.bincount(group, values[chosen], minlength=len(first)) for values in own], axis=1)
    rows = np.flatnonzero(chosen)[first]
    for row, values in zip(rows.tolist(), sums, strict=True):
        path = tuple(column[row] for column in (*names, *of_figure))
        there = cells.get(path)
        cells[path] = values if there is None else there + values


def _models(spans: pa.Table, is_owner: Flags) -> Column:
    """The model of each call, as it was resolved, else as the span named it; "" where there is no call."""
    texts = [
        pc.cast(spans.column(name), pa.string()) for name in ("resolved_model", "model", "request_model")
    ]
    said = [pc.if_else(pc.equal(pc.fill_null(text, ""), ""), None, text) for text in texts]
    found = pc.coalesce(*said, pa.scalar(UNKNOWN_MODEL))
    column = text_column(pc.dictionary_encode(found))
    return Column(np.where(is_owner, column.codes, 0).astype(np.int32), column.names)


def _within(start_unix_ns: Ints, period: Period) -> Flags:
    chosen = np.ones(len(start_unix_ns), dtype=np.bool_)
    if period.start_unix_ns is not None:
        chosen &= start_unix_ns >= period.start_unix_ns
    if period.end_unix_ns is not None:
        chosen &= start_unix_ns < period.end_unix_ns
    return chosen


def _groups(codes: Iterable[Integers]) -> tuple[Ints, Ints]:
    """Rows with the same codes are one group: int64[n] the group of each, and the first row of each."""
    group: Ints | None = None
    for column in codes:
        wide = column.astype(np.int64)
        if group is not None:
            wide = group * (int(wide.max(initial=0)) + 1) + wide
        _, group = np.unique(wide, return_inverse=True)
    assert group is not None
    _, first = np.unique(group, return_index=True)
    return group, first


def _tree(cells: Mapping[Path, Floats], title: str) -> Frames:
    """The frames of the sums, widest first among brothers."""
    tree: dict[Path, Floats] = {}
    for key, values in cells.items():
        path = frame_path(key)
        for length in range(len(path) + 1):
            total = tree.setdefault(path[:length], np.zeros(len(AXES)))
            total += values
    order = _pre_order(tree)
    place = {path: row for row, path in enumerate(order)}
    own = np.zeros((len(AXES), len(order)))
    figures: list[tuple[int, Floats, Path]] = []
    for key, values in cells.items():
        row = place[frame_path(key)]
        own[:, row] += values
        if values[0] > 0:
            figures.append((row, values, key[len(_PATH) :]))
    texts = {name: Column.of([of[number] for *_, of in figures]) for number, name in enumerate(_OF_FIGURE)}
    return Frames(
        name=Column.of([path[-1] if path else title for path in order]),
        depth=np.array([len(path) for path in order], dtype=np.int32),
        own=own,
        figures=Figures(
            np.array([row for row, *_ in figures], dtype=np.int64),
            np.array([values[0] for _, values, _ in figures]),
            np.array([values[1] for _, values, _ in figures]),
            **texts,
        ),
        span_id=np.zeros(len(order), dtype=np.uint64),
    )


def frame_path(key: Path) -> Path:
    """Feature (or that there is none, and the service), then agent, tool and model where there is one."""
    feature, service, *rest = key[: len(_PATH)]
    return tuple(text for text in ((feature,) if feature else (UNMAPPED, service)) + tuple(rest) if text)


def _pre_order(tree: Mapping[Path, Floats]) -> list[Path]:
    children: dict[Path, list[Path]] = {}
    for path in tree:
        if path:
            children.setdefault(path[:-1], []).append(path)
    order: list[Path] = []
    todo: list[Path] = [()]
    while todo:
        path = todo.pop()
        order.append(path)
        todo += sorted(children.get(path, ()), key=lambda child: (tree[child][0], tree[child][4], child))
    return order
