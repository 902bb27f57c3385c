"""Compaction and retention: many small segments of a day become few large ones, and old days go."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from wattspan.lake.cells import Cells, write_cells
from wattspan.lake.disk import LakeError, publish
from wattspan.lake.manifest import RetiredDay, Segment
from wattspan.lake.segments import (
    ROW_GROUP_ROWS,
    estimate_file,
    npy,
    read_index,
    trace_ids,
    write_parquet,
    write_segment,
)
from wattspan.lake.writer import LakeWriter

FAN_IN: Final = 8
"""Segments merged at once, and as many of one size as compaction waits for: each row is written again a few
times in its life."""
_BATCH_ROWS: Final = 16_384
_UNDATED: Final = "1970-01-01"
_MARK: Final = "\0"
"""Between the name of an estimate set and its column, while rows of several files are merged."""


def compact(writer: LakeWriter, *, everything: bool = False) -> int:
    """Merge segments of the same day that were estimated alike; the number of files that were merged.

    Only where FAN_IN of about one size have come together; `everything`: all that fit into a file of
    `segment_bytes`. Rows are not changed. Raises LakeError.
    """
    merged = 0
    most_bytes = writer.settings.segment_bytes
    try:
        while runs := [
            r for g in _groups(writer.manifest.segments) for r in _runs(g, most_bytes, everything)
        ]:
            for run in runs:
                _merge(writer, run)
                merged += len(run)
    except OSError as error:
        if isinstance(error, LakeError):
            raise
        raise LakeError(f"{writer.folder} cannot be compacted: {error.strerror or error}") from error
    return merged


def retire(writer: LakeWriter, today: dt.date, cells: Cells) -> list[str]:
    """Let whole days go that are older than `retention_days`; the days that went.

    Their files are deleted after the grace time. Their roll-up cells and the keys of their traces stay,
    published in the generation in which the spans go. Segments without any time of their own are kept.
    Raises LakeError.
    """
    days = writer.settings.retention_days
    if days is None:
        return []
    first_kept = (today - dt.timedelta(days=days)).isoformat()
    gone = [s for s in writer.manifest.segments if _UNDATED != s.day < first_kept]
    if gone:
        try:
            retired = [_retired(writer, group, cells) for group in _groups(gone)]
        except OSError as error:
            if isinstance(error, LakeError):
                raise
            raise LakeError(f"{writer.folder}: cells cannot be written: {error.strerror or error}") from error
        writer.replace_segments(gone, [], retired=(*writer.manifest.retired, *retired))
    return sorted({segment.day for segment in gone})


def _retired(writer: LakeWriter, group: Sequence[Segment], cells: Cells) -> RetiredDay:
    first = group[0]
    name = f"retired/{first.day}/{writer.take_number():08d}"
    made = write_cells(writer.folder, f"{name}.parquet", cells, group)
    keys = np.sort(np.concatenate([read_index(writer.folder, segment) for segment in group]))
    publish(writer.folder / f"{name}.traces.npy", npy(keys))
    made_with = first.edition, first.edition_digest, first.signal, first.factor_type
    return RetiredDay(first.day, made, f"{name}.traces.npy", *made_with)


def _groups(segments: Sequence[Segment]) -> list[list[Segment]]:
    alike: dict[tuple[object, ...], list[Segment]] = defaultdict(list)
    for one in segments:
        made_with = (one.edition_digest, one.signal, one.factor_type, tuple(sorted(one.estimates)))
        alike[one.day, *made_with].append(one)
    return [sorted(group, key=lambda one: one.size) for group in alike.values()]


def _runs(group: list[Segment], most_bytes: int, everything: bool) -> Iterator[list[Segment]]:
    """Segments to merge, the smallest first."""
    run: list[Segment] = []
    for segment in group:
        fits = sum(one.size for one in run) + segment.size <= most_bytes
        is_alike = everything or not run or segment.size <= FAN_IN * run[0].size
        if run and not (fits and is_alike and len(run) < FAN_IN):
            if len(run) >= (2 if everything else FAN_IN):
                yield run
            run = []
        run.append(segment)
    if len(run) >= (2 if everything else FAN_IN):
        yield run


def _merge(writer: LakeWriter, run: Sequence[Segment]) -> None:
    first = run[0]
    position = min(segment.grid_generation for segment in run)
    names = sorted(first.estimates)
    number = writer.take_number()
    new = write_segment(
        writer.folder, number, first.day, (piece for piece, _ in _merged(writer.folder, run, names)), None,
        position, like=first,
    )  # fmt: skip
    files = {}
    for name in names:
        files[name] = estimate_file(name, first.day, number)
        write_parquet(
            writer.folder / files[name], (others[name] for _, others in _merged(writer.folder, run, names))
        )
    writer.replace_segments(run, [replace(new, estimates=files)])


def _merged(
    folder: Path, run: Sequence[Segment], names: Sequence[str]
) -> Iterator[tuple[pa.Table, dict[str, pa.Table]]]:
    """The rows of sorted files in one order, in pieces of whole traces; beside them those of other sets."""
    sources = [_Source(folder, segment, names) for segment in run]
    held: list[pa.Table] = []
    n_held = 0
    while sum(source.fill() for source in sources):
        open_ends = [source.last_trace() for source in sources if not source.is_read]
        border = min(open_ends) if open_ends else None
        taken = [source.take_before(border) for source in sources]
        taken = [table for table in taken if table.num_rows]
        if not taken:
            # One trace fills the buffer of its file.
            for source in sources:
                if not source.is_read and source.last_trace() == border:
                    source.read_on()
            continue
        held.append(_sorted(pa.concat_tables(taken)))
        n_held += held[-1].num_rows
        if n_held >= ROW_GROUP_ROWS:
            yield _split(held, names)
            held, n_held = [], 0
    if held:
        yield _split(held, names)


def _split(held: list[pa.Table], names: Sequence[str]) -> tuple[pa.Table, dict[str, pa.Table]]:
    table = pa.concat_tables(held).unify_dictionaries().combine_chunks()
    own = [name for name in table.column_names if _MARK not in name]
    others = {}
    for name in names:
        mine = [column for column in table.column_names if column.startswith(name + _MARK)]
        others[name] = table.select(mine).rename_columns([c.split(_MARK)[1] for c in mine])
    return table.select(own), others


def _sorted(table: pa.Table) -> pa.Table:
    """Whole traces by their ids; the rows of a trace stay in their order."""
    halves = np.ascontiguousarray(trace_ids(table)).view(">u8").reshape(-1, 2).astype(np.uint64)
    return table.take(pa.array(np.lexsort((halves[:, 1], halves[:, 0]))))


def _even(file: pq.ParquetFile) -> Iterator[pa.Table]:
    """The rows in pieces of the same size, whatever the row groups of the file are."""
    held: list[pa.Table] = []
    n = 0
    groups = range(file.num_row_groups)
    # Arrow cannot read a batch of nested texts that lies in two row groups.
    for batch in (b for g in groups for b in file.iter_batches(batch_size=_BATCH_ROWS, row_groups=[g])):
        held.append(pa.Table.from_batches([batch]))
        n += batch.num_rows
        if n >= _BATCH_ROWS:
            table = pa.concat_tables(held)
            yield table.slice(0, _BATCH_ROWS)
            held, n = [table.slice(_BATCH_ROWS)], n - _BATCH_ROWS
    if n:
        yield pa.concat_tables(held)


class _Source:
    """A file that is read on as its rows are taken."""

    def __init__(self, folder: Path, segment: Segment, names: Sequence[str]) -> None:
        paths = [folder / segment.file, *(folder / segment.estimates[name] for name in names)]
        self._files = [pq.ParquetFile(path, memory_map=True) for path in paths]
        self._streams = [_even(file) for file in self._files]
        self._names = names
        self._held: list[pa.Table] = []
        self._n = 0
        self.is_read = False

    def fill(self) -> bool:
        """Hold some rows, if there are any left; whether there are."""
        if not self._n and not self.is_read:
            self.read_on()
        return self._n > 0

    def read_on(self) -> None:
        """Hold more rows."""
        pieces = [piece for stream in self._streams if (piece := next(stream, None)) is not None]
        if not pieces:
            self.is_read = True
            return
        table = pieces[0].replace_schema_metadata(None)
        for name, piece in zip(self._names, pieces[1:], strict=True):
            for column in piece.column_names:
                table = table.append_column(name + _MARK + column, piece.column(column))
        self._held.append(table)
        self._n += table.num_rows

    def last_trace(self) -> bytes:
        """The trace of the last row held: more of it may follow."""
        if not self._n:
            return b"\xff" * 17
        last: bytes = trace_ids(self._held[-1].slice(self._held[-1].num_rows - 1))[0].tobytes()
        return last

    def take_before(self, border: bytes | None) -> pa.Table:
        """The rows held of traces before `border`; all where it is None."""
        if not self._held:
            return pa.table({})
        table = pa.concat_tables(self._held)
        n = table.num_rows
        if border is not None:
            ids = np.ascontiguousarray(trace_ids(table)).view("V16").reshape(-1)
            n = _before(ids, border)
        self._held = [table.slice(n)] if n < table.num_rows else []
        self._n = table.num_rows - n
        return table.slice(0, n)


def _before(ids: np.ndarray[tuple[int, ...], np.dtype[np.void]], border: bytes) -> int:
    """How many of the sorted `ids` come before `border`."""
    low, high = 0, len(ids)
    while low < high:
        middle = (low + high) // 2
        if ids[middle].tobytes() < border:
            low = middle + 1
        else:
            high = middle
    return low
