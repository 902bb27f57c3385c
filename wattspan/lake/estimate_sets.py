"""Estimate sets: the same rows estimated with another edition or kind of carbon, beside the segments."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

import pyarrow as pa

from wattspan.lake import arrow
from wattspan.lake.disk import LakeError
from wattspan.lake.manifest import EstimateSet, Segment
from wattspan.lake.ownership import own
from wattspan.lake.schema import ESTIMATES
from wattspan.lake.seal import Sealer
from wattspan.lake.segments import estimate_file, read_segment, write_parquet
from wattspan.lake.writer import LakeWriter

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def estimate_as(name: str, writer: LakeWriter, sealer: Sealer) -> int:
    """Estimate every segment that the set `name` lacks with `sealer`; the number of segments written.

    The segments stay as they are, to the byte. Raises LakeError for a name that cannot be a folder's, for a
    set that was made otherwise, and where the disk refuses.
    """
    if not _NAME.fullmatch(name):
        raise LakeError(f"{name!r} is no name for estimates: use a-z, 0-9, '.', '_' and '-', at most 64")
    estimator = sealer.estimator
    made = EstimateSet(name, estimator.edition.label, estimator.edition.digest, *estimator.grid.kind)
    known = next((one for one in writer.manifest.sets if one.name == name), None)
    if known is not None and known != made:
        raise LakeError(
            f"estimates {name!r} were made with edition {known.edition}, {known.signal} {known.factor_type}; "
            "give another name"
        )
    lacking = [segment for segment in writer.manifest.segments if name not in segment.estimates]
    for segment in lacking:
        try:
            file = _written(name, segment, writer, sealer)
        except OSError as error:
            raise LakeError(f"{segment.file} cannot be estimated: {error.strerror or error}") from error
        kept = tuple(
            replace(one, estimates={**one.estimates, name: file}) if one.file == segment.file else one
            for one in writer.manifest.segments
        )
        sets = tuple(one for one in writer.manifest.sets if one.name != name)
        writer.publish(writer.manifest.next(segments=kept, sets=(*sets, made)))
    return len(lacking)


def _written(name: str, segment: Segment, writer: LakeWriter, sealer: Sealer) -> str:
    rows = arrow.from_arrow(read_segment(writer.folder, segment))
    calls, is_owner, _ = own(rows)
    columns = sealer.estimates(rows, calls, is_owner)
    table = pa.table([columns[field.name] for field in ESTIMATES], schema=ESTIMATES)
    file = estimate_file(name, segment.day, writer.take_number())
    write_parquet(writer.folder / file, [table])
    return file
