"""Where the frames of a flame graph come from: a trace, a period, or spans that are in no lake."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from wattspan.lake import arrow
from wattspan.lake.manifest import Segment
from wattspan.lake.reader import Snapshot
from wattspan.lake.rows import SpanRows
from wattspan.lake.seal import Sealer
from wattspan.views.dimensions import QueryError
from wattspan.views.flame_merge import Period, in_period, merged
from wattspan.views.frames import Frames, of_trace
from wattspan.views.kinds import Kind, kind_of
from wattspan.views.traces import trace_rows


@dataclass(frozen=True, slots=True)
class Drawn:
    """Frames with the words that go above and below them."""

    frames: Frames
    title: str
    subtitle: str
    method: str
    """Edition and kind of grid signal behind the figures."""


def draw_trace(snapshot: Snapshot, trace_id: str) -> Drawn:
    """One trace. Raises QueryError where the lake has it not."""
    found = trace_rows(snapshot, trace_id)
    if found is None:
        raise QueryError(
            f"the lake has no trace {trace_id}; a trace is written some minutes after its last span came"
        )
    segment, rows = found
    name = rows.column("name")[0].as_py() or "trace"
    return Drawn(
        of_trace(rows, f"trace {trace_id[:8]}"),
        f"{name}",
        f"trace {trace_id}, {rows.num_rows:,} spans",
        _method([segment]),
    )


def draw_period(
    snapshot: Snapshot,
    period: Period,
    words: str,
    estimate_set: str | None = None,
    kind: Kind | None = None,
) -> Drawn:
    """All spans of a period, merged by feature, agent, tool and model. Raises QueryError as `merged` does."""
    frames = merged(snapshot, period, estimate_set, kind=kind)
    used = next((known for known in snapshot.manifest.sets if known.name == estimate_set), None)
    method = f"Edition {used.edition}, {used.signal}, {used.factor_type}." if used else ""
    method = method or (f"{str(kind).capitalize()}." if kind else "")
    return Drawn(
        frames,
        "Where the energy goes",
        f"{words}: feature, agent, tool, model",
        method or _method(in_period(snapshot, period)),
    )


def draw_spans(portions: Sequence[SpanRows], sealer: Sealer, title: str) -> Drawn:
    """Spans as they were read, each trace below the root."""
    raw = pa.Table.from_batches([arrow.to_arrow(rows) for rows in portions], schema=arrow.RAW)
    rows = sealer.seal(raw)
    kind = sealer.estimator.grid.kind
    traces = rows.column("pre").to_numpy()
    return Drawn(
        of_trace(rows, title),
        title,
        f"{rows.num_rows:,} spans of {int((traces == 0).sum()):,} traces",
        f"Edition {sealer.estimator.edition.label}, {kind.signal}, {kind.factor_type}.",
    )


def _method(segments: Sequence[Segment]) -> str:
    kinds = sorted({kind_of(segment) for segment in segments})
    return " ".join(f"{str(kind).capitalize()}." for kind in kinds)
