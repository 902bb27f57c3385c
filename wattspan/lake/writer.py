"""`LakeWriter`: the one writer of a lake: takes spans in durably, seals traces, keeps the files in order."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from wattspan.lake import arrow
from wattspan.lake.disk import LakeError
from wattspan.lake.journal import Journal, read_journal
from wattspan.lake.manifest import FILE, ROOMS, Manifest, Segment, read_manifest, write_manifest
from wattspan.lake.open_traces import OpenTraces, Portion
from wattspan.lake.rows import Flags, Hashes, SpanRows
from wattspan.lake.seal import Sealer
from wattspan.lake.segments import (
    DAY_NS,
    by_day,
    day_number,
    estimate_file,
    read_index,
    read_segment,
    rows_of_keys,
    trace_ids,
    write_parquet,
    write_segment,
)
from wattspan.lake.settings import LakeSettings
from wattspan.lake.tree import span_keys, trace_keys


class LakeWriter:
    """Used by one thread. `with` it, or `close` it."""

    def __init__(
        self,
        folder: Path,
        sealer: Sealer,
        settings: LakeSettings = LakeSettings(),  # noqa: B008 (frozen)
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Open or make the lake in `folder`, and take up the open traces that an earlier writer left.

        Raises LakeError where another process writes to it, or it cannot be used.
        """
        self.folder, self.sealer, self.settings = folder, sealer, settings
        self._clock = clock
        self._lock_file = _locked(folder)
        try:
            self.manifest = self._opened()
            self._open = OpenTraces()
            self._indexes: dict[str, Hashes] = {}
            self._journal = self._recovered()
        except BaseException:
            os.close(self._lock_file)
            raise
        self._sealed_since_rewrite = 0
        self.sealed_spans = 0
        """Spans sealed by this writer."""
        self.retired_spans = 0
        """Spans left out by it: their trace is in the sums of a day whose spans are gone."""

    def __enter__(self) -> LakeWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def open_traces(self) -> int:
        """Traces that are not sealed yet."""
        return len(self._open)

    @property
    def open_spans(self) -> int:
        """Their spans."""
        return self._open.spans

    def ingest(self, portions: Sequence[SpanRows]) -> None:
        """Take spans in; they are durable when this returns. Raises LakeError where the disk refuses."""
        portions = [rows for rows in portions if len(rows)]
        if not portions:
            return
        try:
            self._journal.append(portions)
        except OSError as error:
            raise LakeError(f"{self._journal.path} cannot be written: {error.strerror}") from error
        now = self._clock()
        for rows in portions:
            self._open.add(rows, now)
        surplus = self._open.spans - self.settings.most_open_spans
        if surplus > 0:
            self._seal(self._open.longest_idle(surplus + self.settings.most_open_spans // 2))

    def tick(self) -> None:
        """Seal what is due, and delete what left the lake long enough ago. Call it every second or so."""
        now = self._clock()
        self._seal(self._open.due(now, self.settings.seal_after_s, self.settings.most_open_s))
        self._sweep(now)

    def seal_all(self) -> None:
        """Seal every open trace: at the end of an import."""
        self._seal(self._open.keys())

    def close(self) -> None:
        """Let the lake go; open traces stay in the journal."""
        self._journal.close()
        os.close(self._lock_file)

    def publish(self, manifest: Manifest) -> None:
        """Make `manifest` the generation that readers see."""
        write_manifest(self.folder, manifest)
        self.manifest = manifest
        files = {segment.file for segment in manifest.segments}
        self._indexes = {file: index for file, index in self._indexes.items() if file in files}

    def replace_segments(self, old: Sequence[Segment], new: Sequence[Segment], **changes: object) -> None:
        """Publish a generation with `new` in the place of `old`, whose files go after the grace time."""
        gone = {segment.file for segment in old}
        stays = {name for segment in new for name in segment.files}
        now = self._clock()
        trash = dict(self.manifest.trash)
        trash |= {name: now for segment in old for name in segment.files if name not in stays}
        kept = [segment for segment in self.manifest.segments if segment.file not in gone]
        segments = tuple(sorted((*kept, *new), key=lambda segment: segment.file))
        self.publish(self.manifest.next(segments=segments, trash=trash, **changes))

    def take_number(self) -> int:
        """A number for a file that no other has."""
        number = self.manifest.next_number
        self.manifest = replace(self.manifest, next_number=number + 1)
        return number

    def _seal(self, keys: Hashes) -> None:
        if not len(keys):
            return
        try:
            for portion in self._open.portions(keys, self.settings.portion_spans):
                self._seal_portion(portion)
            self._rewrite_journal()
        except OSError as error:
            if isinstance(error, LakeError):
                raise
            raise LakeError(f"{self.folder}: traces cannot be sealed: {error.strerror or error}") from error

    def _seal_portion(self, portion: Portion) -> None:
        rows = self._open.rows(portion)
        arrived = len(rows)
        rows = self._without_retired(rows)
        old, stays, rows = self._rejoined(rows, portion.keys)
        # Read first: what comes meanwhile is then newer than what was used.
        generation = self.sealer.estimator.grid_position
        sealed = self.sealer.seal_rows(rows) if len(rows) else None
        new = [] if sealed is None else self._written(sealed, generation)
        new += [self._part_of(segment, rows) for segment, rows in zip(old, stays, strict=True) if rows.any()]
        if old or new:
            self.replace_segments(old, new)
        self._sealed_since_rewrite += arrived
        self.sealed_spans += arrived
        self._open.forget(portion)

    def _without_retired(self, rows: SpanRows) -> SpanRows:
        """The rows without those of traces whose spans went: they are in the sums of their day already."""
        retired = {day.index: day_number(day.day) for day in self.manifest.retired}
        if (
            not retired
            or rows.start_unix_ns.min(initial=np.iinfo(np.int64).max) // DAY_NS > max(retired.values()) + 1
        ):
            return rows
        # What is sent again may be the end of a trace that began the day before.
        days = {
            number - back for number in np.unique(rows.start_unix_ns // DAY_NS).tolist() for back in (0, 1)
        }
        keys = trace_keys(rows.trace_id)
        is_known = np.zeros(len(rows), dtype=np.bool_)
        for index, day in retired.items():
            if day in days:
                is_known[rows_of_keys(keys, np.load(self.folder / index, mmap_mode="r"))] = True
        self.retired_spans += int(is_known.sum())
        return rows.take(~is_known) if is_known.any() else rows

    def _written(self, sealed: pa.Table, generation: int) -> list[Segment]:
        return [
            write_segment(self.folder, self.take_number(), day, rows, self.sealer.estimator, generation)
            for day, rows in by_day(sealed)
        ]

    def _part_of(self, segment: Segment, stays: Flags) -> Segment:
        """A new segment with some of the rows of an old one, their estimates of every set as they are."""
        number, chosen = self.take_number(), pa.array(stays)
        rows = read_segment(self.folder, segment).filter(chosen)
        new = write_segment(
            self.folder, number, segment.day, rows, None, segment.grid_generation, like=segment
        )
        estimates = {}
        for name, file in segment.estimates.items():
            estimates[name] = estimate_file(name, segment.day, number)
            others = pq.read_table(self.folder / file, memory_map=True).filter(chosen)
            write_parquet(self.folder / estimates[name], [others])
        return replace(new, estimates=estimates)

    def _rejoined(self, rows: SpanRows, keys: Hashes) -> tuple[list[Segment], list[Flags], SpanRows]:
        """Traces that older segments hold: those segments, which of their rows stay, and all spans of the
        traces.

        Spans that are there already change nothing: traces of which nothing is new are left out.
        """
        found: list[tuple[Segment, Hashes]] = []
        for segment in self.manifest.segments:
            index = self._index(segment)
            hits = keys[rows_of_keys(keys, index)]
            if len(hits):
                found.append((segment, hits))
        if not found:
            return [], [], rows
        came_again = np.unique(np.concatenate([hits for _, hits in found]))
        before = [
            (segment, table, trace_keys(trace_ids(table)), hits)
            for segment, hits in found
            for table in [read_segment(self.folder, segment)]
        ]
        there = SpanRows.concatenate(
            [
                arrow.from_arrow(table.take(pa.array(rows_of_keys(of_rows, hits))))
                for _, table, of_rows, hits in before
            ]
        )
        changed = _changed(rows, there, came_again)
        of_rows = trace_keys(rows.trace_id)
        is_wanted = np.ones(len(rows), dtype=np.bool_)
        is_wanted[rows_of_keys(of_rows, came_again)] = False
        is_wanted[rows_of_keys(of_rows, changed)] = True
        rows = rows.take(is_wanted)
        if not len(changed):
            return [], [], rows
        old: list[Segment] = []
        left: list[Flags] = []
        for segment, table, keys_of_rows, _ in before:
            at = rows_of_keys(keys_of_rows, changed)
            if len(at):
                stays = np.ones(table.num_rows, dtype=np.bool_)
                stays[at] = False
                old.append(segment)
                left.append(stays)
        # What was there comes first: of two spans with the same ids the earlier one stays.
        known = there.take(rows_of_keys(trace_keys(there.trace_id), changed))
        return old, left, SpanRows.concatenate([known, rows])

    def _index(self, segment: Segment) -> Hashes:
        if segment.file not in self._indexes:
            self._indexes[segment.file] = np.asarray(read_index(self.folder, segment))
        return self._indexes[segment.file]

    def _rewrite_journal(self) -> None:
        """Cut what is sealed out of the journal, once that is more than what is still open."""
        if self._sealed_since_rewrite < self._open.spans:
            return
        old = self._journal
        number = self.take_number()
        journal = Journal(self.folder / f"open/{number:08d}.journal")
        journal.append(self._open.portions_for_journal())
        self.publish(self.manifest.next(journals=(f"open/{number:08d}.journal",)))
        self._journal = journal
        self._sealed_since_rewrite = 0
        old.close()
        old.path.unlink(missing_ok=True)

    def _sweep(self, now: float) -> None:
        due = [name for name, since in self.manifest.trash.items() if now - since >= self.settings.grace_s]
        if not due:
            return
        for name in due:
            with contextlib.suppress(OSError):
                (self.folder / name).unlink(missing_ok=True)
        trash = {name: since for name, since in self.manifest.trash.items() if name not in due}
        self.publish(self.manifest.next(trash=trash))

    def _opened(self) -> Manifest:
        if (self.folder / FILE).exists():
            return read_manifest(self.folder)
        if any((self.folder / "segments").rglob("*.parquet")):
            raise LakeError(
                f"{self.folder} has segments and no {FILE}; `wattspan lake check --repair` writes it anew"
            )
        manifest = Manifest(generation=1)
        write_manifest(self.folder, manifest)
        return manifest

    def _recovered(self) -> Journal:
        """The open traces of an earlier writer, in memory and in a new journal; leftovers of a crash go."""
        now = self._clock()
        for name in self.manifest.journals:
            if (self.folder / name).exists():
                for rows in read_journal(self.folder / name):
                    self._open.add(rows, now)
        self._delete_leftovers()
        number = self.take_number()
        name = f"open/{number:08d}.journal"
        try:
            (self.folder / name).unlink(missing_ok=True)
            journal = Journal(self.folder / name)
            journal.append(self._open.portions_for_journal())
            old = self.manifest.journals
            self.publish(self.manifest.next(journals=(name,)))
        except OSError as error:
            raise LakeError(f"{self.folder} cannot be written: {error.strerror or error}") from error
        for other in old:
            (self.folder / other).unlink(missing_ok=True)
        return journal

    def _delete_leftovers(self) -> None:
        """Files that a crash left before a manifest named them."""
        known = self.manifest.files
        for room in ROOMS:
            for path in (self.folder / room).rglob("*"):
                if path.is_file() and path.relative_to(self.folder).as_posix() not in known:
                    path.unlink(missing_ok=True)


def _changed(rows: SpanRows, there: SpanRows, known: Hashes) -> Hashes:
    """Sorted keys of the known traces to which `rows` add a span, or figures to a span that had none."""
    of_rows, of_there = _span_keys(rows), _span_keys(there)
    order = np.argsort(of_there)
    ordered = of_there[order]
    place = np.minimum(np.searchsorted(ordered, of_rows), len(ordered) - 1)
    is_there = ordered[place] == of_rows
    adds = ~is_there | (rows.carries & ~there.carries[order][place])
    traces = trace_keys(rows.trace_id)
    at = rows_of_keys(traces, known)
    return np.unique(traces[at[adds[at]]])


def _span_keys(rows: SpanRows) -> Hashes:
    return span_keys(rows.trace_id, rows.span_id, rows.start_unix_ns, rows.duration_ns)


def _locked(folder: Path) -> int:
    """The writer's lock. Raises LakeError where another process has it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = os.open(folder / "writer.lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise LakeError(f"{folder} cannot be written: {error.strerror}") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        pid = os.read(file, 32).decode(errors="replace").strip() or "unknown"
        os.close(file)
        raise LakeError(
            f"{folder}: process {pid} writes to this lake; a lake has one writer at a time (and any readers)"
        ) from error
    os.ftruncate(file, 0)
    os.write(file, str(os.getpid()).encode())
    return file


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Nobody else writes to the lake meanwhile. Raises LakeError where another process has the lock."""
    file = _locked(folder)
    try:
        yield
    finally:
        os.close(file)
