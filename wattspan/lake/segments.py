"""Segments on disk: sealed rows as Parquet, and beside each its trace keys."""

from __future__ import annotations

import contextlib
import datetime as dt
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from wattspan.estimator import Estimator
from wattspan.estimator.compute import COMPUTE
from wattspan.lake.arrow import text_column
from wattspan.lake.disk import publish, sha256, sync_file, sync_folder
from wattspan.lake.manifest import Segment
from wattspan.lake.rows import Bytes, Hashes, Ints
from wattspan.lake.schema import SEGMENT, TEXT, TOKENS
from wattspan.lake.tree import trace_keys

ROW_GROUP_ROWS: Final = 122_880
STATISTICS: Final = ("trace_id", "start_unix_ns")
_LEVEL: Final = 1
PIECE_ROWS: Final = 4 * ROW_GROUP_ROWS
"""Read at once where a query needs whole traces."""
DAY_NS: Final = 86_400 * 10**9
_FIRST_DAY: Final = dt.date(1970, 1, 1)
_DICTIONARY: Final = [
    *(field.name for field in SEGMENT if field.type == TEXT),
    "attributes.key_value.key",
    "attributes.key_value.value",
]
"""Columns written as dictionaries: those that are coded already. Numbers are left to zstd, for a fifth less
processor time."""


def trace_ids(table: pa.Table) -> Bytes:
    """uint8[n, 16]."""
    column = table.column("trace_id").combine_chunks()
    array = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
    raw = np.frombuffer(array.buffers()[1], dtype=np.uint8)
    return raw[array.offset * 16 : (array.offset + len(array)) * 16].reshape(-1, 16)


def by_day(sealed: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """Sealed rows by the UTC day of their trace's earliest span; spans without a time belong to 1970."""
    if not sealed.num_rows:
        return
    start = sealed.column("start_unix_ns").to_numpy()
    first = np.flatnonzero(_is_first(trace_ids(sealed)))
    known = np.where(start > 0, start, np.iinfo(np.int64).max)
    earliest = np.minimum.reduceat(known, first)
    earliest = np.where(earliest == np.iinfo(np.int64).max, 0, earliest)
    day = np.repeat(earliest // DAY_NS, np.diff(np.append(first, len(start))))
    days = np.unique(day)
    for number in days.tolist():
        name = (_FIRST_DAY + dt.timedelta(days=number)).isoformat()
        yield name, sealed if len(days) == 1 else sealed.filter(pa.array(day == number))


def day_number(day: str) -> int:
    """Days from 1970-01-01 to an ISO day."""
    return (dt.date.fromisoformat(day) - _FIRST_DAY).days


def write_segment(
    folder: Path,
    number: int,
    day: str,
    sealed: pa.Table | Iterable[pa.Table],
    estimator: Estimator | None,
    grid_generation: int = 0,
    like: Segment | None = None,
) -> Segment:
    """Write rows of one day, durably, under a name that no manifest knows yet. Raises OSError.

    There must be at least one row; pieces hold whole traces. Their estimates were made by `estimator`, or as
    those of the segment `like` were.
    """
    name = f"segments/{day}/{number:08d}.parquet"
    path = folder / name
    pieces = [sealed] if isinstance(sealed, pa.Table) else sealed
    about = made_with(estimator, like, day, grid_generation)
    counted = Counted()
    write_parquet(path, (counted.of(piece).replace_schema_metadata(about) for piece in pieces))
    keys = np.sort(np.concatenate(counted.keys))
    segment = counted.segment(name, path, about, keys)
    publish(folder / segment.index, npy(keys))
    sync_folder(path.parent.parent)
    return segment


def made_with(
    estimator: Estimator | None, like: Segment | None, day: str, grid_generation: int = 0
) -> dict[str, str]:
    """What a file says of its figures: they are of `estimator`, or as those of the segment `like`."""
    if like is not None:
        method = (like.edition, like.edition_digest, like.signal, like.factor_type)
    elif estimator is not None:
        edition, kind = estimator.edition, estimator.grid.kind
        method = (edition.label, edition.digest, kind.signal, kind.factor_type)
    else:
        raise ValueError("what made the estimates: an estimator, or those of another segment?")
    names = ("edition", "edition_digest", "signal", "factor_type", "day", "grid_generation")
    values = (*method, day, str(grid_generation))
    return {f"wattspan.{name}": value for name, value in zip(names, values, strict=True)}


class Counted:
    """What the manifest says of a file, told piece by piece."""

    def __init__(self) -> None:
        self.keys: list[Hashes] = []
        """Trace keys of each piece."""
        self.rows = self._calls = 0
        self._least, self._most = np.iinfo(np.int64).max, 0
        self._is_weighted = self._has_compute = self._has_copied_tokens = False

    def of(self, piece: pa.Table) -> pa.Table:
        """Count `piece`, which is handed back."""
        ids = trace_ids(piece)
        self.keys.append(trace_keys(ids[_is_first(ids)]))
        start, duration = (piece.column(c).to_numpy() for c in ("start_unix_ns", "duration_ns"))
        self.rows += piece.num_rows
        self._calls += pc.sum(piece.column("is_owner")).as_py() or 0
        self._least = min(self._least, int(start.min()))
        self._most = max(self._most, int((start + duration).max()))
        self._is_weighted |= bool(pc.any(pc.not_equal(piece.column("weight"), 1.0)).as_py())
        self._has_compute |= COMPUTE in text_column(piece.column("basis")).names
        self._has_copied_tokens |= any(
            piece.column(f"owned_{name}").null_count < piece.num_rows for name in TOKENS
        )
        return piece

    def segment(self, name: str, path: Path, about: Mapping[str, str], keys: Hashes) -> Segment:
        """The manifest's entry for the file at `path`. Raises OSError."""
        return Segment(
            file=name,
            day=about["wattspan.day"],
            rows=self.rows,
            traces=len(keys),
            calls=self._calls,
            size=path.stat().st_size,
            sha256=sha256(path),
            min_start_unix_ns=self._least,
            max_end_unix_ns=self._most,
            edition=about["wattspan.edition"],
            edition_digest=about["wattspan.edition_digest"],
            signal=about["wattspan.signal"],
            factor_type=about["wattspan.factor_type"],
            grid_generation=int(about["wattspan.grid_generation"]),
            is_weighted=self._is_weighted,
            has_compute=self._has_compute,
            has_copied_tokens=self._has_copied_tokens,
        )


def estimate_file(name: str, day: str, number: int) -> str:
    """Where other estimates are: those of the set `name` for a segment of `day`."""
    return f"estimates/{name}/{day}/{number:08d}.parquet"


def write_parquet(path: Path, pieces: Iterable[pa.Table], statistics: Sequence[str] = STATISTICS) -> None:
    """Write a file durably: whole under its name, or not there. Raises OSError.

    Each piece begins a row group. `statistics`: columns whose bounds are told for each of them.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    building = path.with_name(f".{path.name}.building")
    writer: pq.ParquetWriter | None = None
    try:
        for piece in pieces:
            if writer is None:
                writer = pq.ParquetWriter(
                    building,
                    piece.schema,
                    compression="zstd",
                    compression_level=_LEVEL,
                    use_dictionary=_DICTIONARY,
                    write_statistics=[*statistics],
                )
            writer.write_table(piece, row_group_size=ROW_GROUP_ROWS)
        if writer is not None:
            writer.close()
        sync_file(building)
        building.rename(path)
    except BaseException:
        with contextlib.suppress(OSError):
            building.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def read_segment(folder: Path, segment: Segment, columns: list[str] | None = None) -> pa.Table:
    """The rows of a segment. Raises OSError."""
    return pq.read_table(folder / segment.file, columns=columns, memory_map=True)


def whole_traces(folder: Path, segment: Segment, columns: Sequence[str]) -> Iterator[pa.Table]:
    """The rows of a segment in pieces of some PIECE_ROWS, each of whole traces. Raises OSError.

    `columns` has `pre`, by which a trace is told from the one before.
    """
    held: list[pa.Table] = []
    n = 0
    with pq.ParquetFile(folder / segment.file, memory_map=True) as file:
        for group in range(file.num_row_groups):
            held.append(file.read_row_group(group, columns=[*columns]))
            n += held[-1].num_rows
            if n >= PIECE_ROWS:
                table = pa.concat_tables(held)
                begin = int(np.flatnonzero(table.column("pre").to_numpy() == 0)[-1])
                if begin:
                    yield table.slice(0, begin)
                held, n = [table.slice(begin)], n - begin
    if n:
        yield pa.concat_tables(held)


def read_index(folder: Path, segment: Segment) -> Hashes:
    """uint64[traces]: the sorted trace keys of a segment."""
    keys: Hashes = np.load(folder / segment.index, mmap_mode="r")
    return keys


def _is_first(ids: Bytes) -> Any:
    is_first = np.ones(len(ids), dtype=np.bool_)
    is_first[1:] = (ids[1:] != ids[:-1]).any(axis=1)
    return is_first


def npy(keys: Hashes) -> bytes:
    """The file of a trace index."""
    out = io.BytesIO()
    np.save(out, keys)
    return out.getvalue()


def rows_of_keys(keys: Hashes, wanted: Hashes) -> Ints:
    """Rows whose key is among the sorted `wanted`."""
    place = np.minimum(np.searchsorted(wanted, keys), max(len(wanted) - 1, 0))
    return np.flatnonzero(wanted[place] == keys) if len(wanted) else np.empty(0, np.int64)
