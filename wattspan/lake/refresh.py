"""`refresh`: calls whose hour has come, or was revised, since they were estimated are estimated anew."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from wattspan.grid.hourly import HourlySignal
from wattspan.lake import arrow
from wattspan.lake.disk import LakeError
from wattspan.lake.manifest import Segment
from wattspan.lake.ownership import own
from wattspan.lake.segments import read_segment, write_segment
from wattspan.lake.writer import LakeWriter


@dataclass(slots=True)
class Refreshed:
    """What a refresh did."""

    segments: int = 0
    """Segments written anew."""
    calls: int = 0
    """Calls that had another value of their hour."""
    looked_into: int = 0
    """Segments read because something had come for their time."""
    other_kind: int = 0
    """Segments left alone: their carbon is of another kind than the configured one, or of another edition."""


COARSE: Final = ("annual", "typical-hour", "forecast", "")
"""Resolutions of calls that did not get the measured value of their hour."""


def want(writer: LakeWriter) -> None:
    """Look up again, in the live grid, the calls that have no hour yet: their hours are noted as wanted."""
    estimator = writer.sealer.estimator
    if not isinstance(estimator.grid, HourlySignal):
        return
    for segment in writer.manifest.segments:
        if not _is_alike(segment, writer):
            continue
        resolutions = read_segment(writer.folder, segment, ["is_owner", "grid_resolution"])
        is_coarse = pc.is_in(resolutions.column("grid_resolution"), pa.array(COARSE))
        if not pc.any(pc.and_(is_coarse, resolutions.column("is_owner"))).as_py():
            continue
        rows = arrow.from_arrow(read_segment(writer.folder, segment))
        calls, is_owner, _ = own(rows)
        owned = calls.take(np.flatnonzero(is_owner))
        plan_of_row, plans = estimator.plans(owned)
        estimator.grid.hourly([plan.place for plan in plans], plan_of_row, owned.start_unix_ns)


def refresh(writer: LakeWriter) -> Refreshed:
    """Estimate anew, of the same kind, what was estimated before its hour was there.

    Segments without such calls are not written, and those of times for which nothing came are not even read.
    The raw columns stay as they are. Raises LakeError where the disk refuses.
    """
    done = Refreshed()
    estimator = writer.sealer.estimator
    if not isinstance(estimator.grid, HourlySignal):
        return done
    for segment in writer.manifest.segments:
        if not _is_alike(segment, writer):
            done.other_kind += 1
        elif _may_hold(segment, estimator.grid):
            done.looked_into += 1
            try:
                _refresh_one(segment, writer, done)
            except OSError as error:
                raise LakeError(
                    f"{segment.file} cannot be estimated anew: {error.strerror or error}"
                ) from error
    return done


def _is_alike(segment: Segment, writer: LakeWriter) -> bool:
    estimator = writer.sealer.estimator
    mine = (*estimator.grid.kind, estimator.edition.digest)
    return mine == (segment.signal, segment.factor_type, segment.edition_digest)


def _may_hold(segment: Segment, grid: HourlySignal) -> bool:
    """Something came, since the segment was estimated, for a time that lies in it."""
    first_s, last_s = segment.min_start_unix_ns // 10**9, segment.max_end_unix_ns // 10**9
    return any(
        start <= last_s and end > first_s for start, end in grid.changed(segment.grid_generation).values()
    )


def _refresh_one(segment: Segment, writer: LakeWriter, done: Refreshed) -> None:
    sealer = writer.sealer
    position = sealer.estimator.grid_position
    table = read_segment(writer.folder, segment)
    rows = arrow.from_arrow(table)
    calls, is_owner, _ = own(rows)
    is_newer = sealer.estimator.newer(calls.take(np.flatnonzero(is_owner)), segment.grid_generation)
    if is_newer.any():
        made: dict[str, Any] = sealer.estimates(rows, calls, is_owner)
        columns = [made.get(name, table.column(name)) for name in table.column_names]
        new = write_segment(
            writer.folder,
            writer.take_number(),
            segment.day,
            pa.table(columns, schema=table.schema),
            sealer.estimator,
            position,
        )
        # The rows and their order are the same, so are their other estimates.
        writer.replace_segments([segment], [replace(new, estimates=segment.estimates)])
        done.segments += 1
        done.calls += int(is_newer.sum())
    else:
        # Nothing of it is newer up to here, so the next refresh need not read it again for the same.
        seen = replace(segment, grid_generation=position)
        kept = tuple(seen if one.file == segment.file else one for one in writer.manifest.segments)
        writer.publish(writer.manifest.next(segments=kept))
