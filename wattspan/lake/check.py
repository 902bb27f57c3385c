"""`check`: every file of a lake against its manifest; `repair`: what can be mended, and what is lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from wattspan.lake.cells import Cells, write_cells
from wattspan.lake.disk import LakeError, publish, sha256
from wattspan.lake.journal import torn_bytes
from wattspan.lake.manifest import (
    FILE,
    ROOMS,
    CellFile,
    Manifest,
    RetiredDay,
    Segment,
    read_manifest,
    write_manifest,
)
from wattspan.lake.segments import Counted, npy, read_index, trace_ids
from wattspan.lake.writer import locked


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be."""

    file: str
    what: str
    lost_rows: int = 0
    """Spans that are gone for good, as far as the manifest tells."""
    mended: str = ""
    """What `repair` did; "" where it did nothing."""

    def __str__(self) -> str:
        lost = f"; {self.lost_rows:,} spans are lost" if self.lost_rows else ""
        return f"{self.file}: {self.what}{lost}{f' ({self.mended})' if self.mended else ''}"


@dataclass(slots=True)
class Report:
    """What was looked at and what was found."""

    segments: int = 0
    rows: int = 0
    size: int = 0
    findings: list[Finding] = field(default_factory=list)


def check(folder: Path, *, repair: bool = False, cells: Cells | None = None) -> Report:
    """Read every file of the lake in `folder`: sizes, digests, rows, order, trace indexes, cells, strays.

    With `repair` (nobody may be writing): segments that cannot be read leave the manifest, indexes and a
    missing manifest are made anew, so are cells by `cells` (else they leave, and the rows are read), strays
    are deleted. Raises LakeError for a folder that is no lake, and where another process writes to it while
    it is to be mended.
    """
    if not repair:
        return _Check(folder, read_manifest(folder), False, cells).report()
    if not (folder / FILE).exists() and not any((folder / "segments").rglob("*.parquet")):
        read_manifest(folder)
    with locked(folder):
        made_anew: list[Finding] = []
        try:
            manifest = read_manifest(folder)
        except LakeError as error:
            if "layout" in str(error):
                raise
            manifest, made_anew = _made_from_segments(folder, str(error))
        found = _Check(folder, manifest, True, cells)
        report = found.report()
        report.findings[:0] = made_anew
        if made_anew or found.manifest != manifest:
            write_manifest(folder, found.manifest.next())
        return report


class _Check:
    def __init__(self, folder: Path, manifest: Manifest, repair: bool, cells: Cells | None) -> None:
        self.folder, self.manifest, self._repair, self._cells = folder, manifest, repair, cells
        self._report = Report()
        self._keys: list[np.ndarray[tuple[int, ...], np.dtype[np.uint64]]] = []

    def report(self) -> Report:
        kept = [segment for segment in self.manifest.segments if self._is_sound(segment)]
        kept = [self._with_cells(self._with_estimates(segment)) for segment in kept]
        retired = [day for day in self.manifest.retired if self._is_there(day)]
        if self._repair:
            self.manifest = replace(self.manifest, segments=tuple(kept), retired=tuple(retired))
        self._traces_twice()
        self._journals()
        self._strays()
        return self._report

    def _find(self, file: str, what: str, lost_rows: int = 0, mended: str = "") -> None:
        self._report.findings.append(Finding(file, what, lost_rows, mended if self._repair else ""))

    def _is_sound(self, segment: Segment) -> bool:
        path = self.folder / segment.file
        self._report.segments += 1
        try:
            size = path.stat().st_size
            if (size, sha256(path)) == (segment.size, segment.sha256):
                return self._content(segment)
            what = f"{size:,} bytes that are not the {segment.size:,} that were written"
        except (OSError, pa.ArrowInvalid) as error:
            what = f"cannot be read: {getattr(error, 'strerror', None) or error}"
        self._find(segment.file, what, segment.rows, "left out of the manifest, moved to damaged/")
        if self._repair:
            # Out of the writer's way, which deletes what no manifest names; somebody may get something out.
            (self.folder / "damaged").mkdir(exist_ok=True)
            (self.folder / segment.index).unlink(missing_ok=True)
            if path.exists():
                path.rename(self.folder / "damaged" / f"{segment.day}-{path.name}")
        return False

    def _content(self, segment: Segment) -> bool:
        counted, is_sorted, last = Counted(), True, b""
        for piece in _row_groups(self.folder / segment.file):
            ids = np.ascontiguousarray(trace_ids(piece)).view("V16").reshape(-1)
            is_sorted &= last <= ids[0].tobytes() and _in_order(piece)
            last = ids[-1].tobytes()
            counted.of(piece)
        keys = np.unique(np.concatenate(counted.keys))
        self._report.rows += counted.rows
        self._report.size += segment.size
        if (counted.rows, len(keys)) != (segment.rows, segment.traces):
            self._find(
                segment.file,
                f"{counted.rows:,} rows in {len(keys):,} traces; the manifest says {segment.rows:,} in "
                f"{segment.traces:,}",
            )
        if not is_sorted:
            self._find(segment.file, "rows are not in the order of traces and trees")
        self._keys.append(keys)
        try:
            is_index_good = np.array_equal(np.asarray(read_index(self.folder, segment)), keys)
        except (OSError, ValueError):
            is_index_good = False
        if not is_index_good:
            if self._repair:
                publish(self.folder / segment.index, npy(keys))
            self._find(segment.index, "not the traces of its segment, or missing", mended="made anew")
        return True

    def _with_estimates(self, segment: Segment) -> Segment:
        good = {}
        for name, file in segment.estimates.items():
            try:
                rows = pq.read_metadata(self.folder / file).num_rows
            except (OSError, pa.ArrowInvalid):
                rows = -1
            if rows == segment.rows:
                good[name] = file
            else:
                again = f"left out; `wattspan lake estimate --as {name}` makes it anew"
                self._find(file, "estimates are missing or not one for each row", mended=again)
        return replace(segment, estimates=good) if self._repair else segment

    def _with_cells(self, segment: Segment) -> Segment:
        if segment.cells is None or self._fault(segment.cells) is None:
            return segment
        file = segment.cells.file
        mended = "left out: the rows are read" if self._cells is None else "made anew"
        self._find(file, f"cells of a segment: {self._fault(segment.cells)}", mended=mended)
        if not self._repair:
            return segment
        (self.folder / file).unlink(missing_ok=True)
        if self._cells is None:
            return replace(segment, cells=None)
        return replace(segment, cells=write_cells(self.folder, file, self._cells, [segment]))

    def _is_there(self, day: RetiredDay) -> bool:
        what = self._fault(day.cells)
        if what is None:
            try:
                np.load(self.folder / day.index)
            except (OSError, ValueError):
                # The sums are right all the same, but nobody can tell which of its spans are known.
                what = "spans of this day that are sent again would count twice"
                self._find(day.index, f"the traces of a day whose spans are gone cannot be read: {what}")
            return True
        kept = "left out of the manifest, moved to damaged/"
        self._find(day.cells.file, f"sums of a day whose spans are gone: {what}", mended=kept)
        if self._repair and (path := self.folder / day.cells.file).exists():
            (self.folder / "damaged").mkdir(exist_ok=True)
            path.rename(self.folder / "damaged" / f"retired-{day.day}-{path.name}")
        return False

    def _fault(self, cells: CellFile) -> str | None:
        """What is wrong with a file of cells."""
        try:
            is_good = sha256(self.folder / cells.file) == cells.sha256
        except OSError as error:
            return f"cannot be read: {error.strerror or error}"
        return None if is_good else "not the bytes that were written"

    def _traces_twice(self) -> None:
        if self._keys:
            keys = np.sort(np.concatenate(self._keys))
            twice = int((keys[1:] == keys[:-1]).sum())
            if twice:
                self._find("segments", f"{twice:,} traces are in two segments")

    def _journals(self) -> None:
        for name in self.manifest.journals:
            path = self.folder / name
            if not path.exists():
                self._find(name, "the journal of open traces is missing: its spans are lost")
            elif torn := torn_bytes(path):
                what = f"{torn:,} bytes at its end cannot be read: a write that was cut off, or damage"
                self._find(name, what)

    def _strays(self) -> None:
        known = self.manifest.files
        for room in ROOMS:
            for path in sorted((self.folder / room).rglob("*")):
                name = path.relative_to(self.folder).as_posix()
                if path.is_file() and name not in known:
                    if self._repair:
                        path.unlink()
                    self._find(name, "belongs to no generation: a crash left it", mended="deleted")


def _in_order(piece: pa.Table) -> bool:
    """Traces ascend, and `pre` counts from 0 in each (a piece may begin within a trace)."""
    halves = np.ascontiguousarray(trace_ids(piece)).view(">u8").reshape(-1, 2).astype(np.uint64)
    high, low = halves[:, 0], halves[:, 1]
    follows = (high[1:] > high[:-1]) | ((high[1:] == high[:-1]) & (low[1:] > low[:-1]))
    is_same = (high[1:] == high[:-1]) & (low[1:] == low[:-1])
    pre = piece.column("pre").to_numpy()
    is_good = (is_same & (pre[1:] == pre[:-1] + 1)) | (follows & (pre[1:] == 0))
    return bool(is_good.all())


def _row_groups(path: Path) -> Iterator[pa.Table]:
    with pq.ParquetFile(path, memory_map=True) as file:
        for group in range(file.num_row_groups):
            yield file.read_row_group(group)


def _made_from_segments(folder: Path, why: str) -> tuple[Manifest, list[Finding]]:
    """A manifest of all segments that can be read; of files that hold the same trace the later one is it."""
    found: list[Finding] = [Finding(FILE, why, mended="made anew from the segments")]
    segments: list[Segment] = []
    seen: set[int] = set()
    numbers = [0]
    retired: list[RetiredDay] = []
    for path in sorted((folder / "retired").rglob("*.parquet")):
        numbers.append(int(path.stem) if path.stem.isdigit() else 0)
        try:
            retired.append(_retired_day(folder, path))
            # Its segments may still be there, for readers of the generation before.
            seen.update(np.load(folder / retired[-1].index).tolist())
        except (OSError, ValueError, KeyError, pa.ArrowInvalid) as error:
            name = path.relative_to(folder).as_posix()
            found.append(Finding(name, f"cannot be read: {error}", mended="left out"))
    for path in sorted((folder / "segments").rglob("*.parquet"), key=lambda p: p.name, reverse=True):
        name = path.relative_to(folder).as_posix()
        try:
            about = {k.decode(): v.decode() for k, v in (pq.read_schema(path).metadata or {}).items()}
            counted = Counted()
            for piece in _row_groups(path):
                counted.of(piece)
            keys = np.unique(np.concatenate(counted.keys))
            segment = counted.segment(name, path, about, keys)
        except (OSError, ValueError, KeyError, pa.ArrowInvalid) as error:
            found.append(Finding(name, f"cannot be read: {error}", mended="left out"))
            continue
        numbers.append(int(path.stem) if path.stem.isdigit() else 0)
        if seen.isdisjoint(keys.tolist()):
            seen.update(keys.tolist())
            segments.append(segment)
        else:
            what = "an earlier file of traces that a later one holds"
            found.append(Finding(name, what, mended="left out"))
    journals = sorted((folder / "open").glob("*.journal"))
    numbers += [int(path.stem) for path in journals if path.stem.isdigit()]
    return (
        Manifest(
            segments=tuple(sorted(segments, key=lambda one: one.file)),
            journals=tuple(path.relative_to(folder).as_posix() for path in journals),
            retired=tuple(retired),
            next_number=max(numbers) + 1,
        ),
        found,
    )


def _retired_day(folder: Path, path: Path) -> RetiredDay:
    about = pq.read_schema(path).metadata or {}
    names = ("edition", "edition_digest", "signal", "factor_type")
    made_with = (about[f"wattspan.{name}".encode()].decode() for name in names)
    file = path.relative_to(folder).as_posix()
    index = file.removesuffix(".parquet") + ".traces.npy"
    return RetiredDay(path.parent.name, CellFile(file, sha256(path)), index, *made_with)


def as_json(report: Report) -> str:
    """The report for programs."""
    content = {
        "segments": report.segments,
        "rows": report.rows,
        "bytes": report.size,
        "lost_rows": sum(finding.lost_rows for finding in report.findings),
        "findings": [
            {"file": f.file, "what": f.what, "lost_rows": f.lost_rows, "mended": f.mended}
            for f in report.findings
        ],
    }
    return json.dumps(content, indent=2, ensure_ascii=False)
