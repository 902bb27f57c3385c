"""`FileReader`: any file that can be imported as rows of the lake; what it is, is told by its content."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, Final, Literal, cast, get_args

import pyarrow as pa
import pyarrow.parquet as pq

from wattspan.lake.rows import SpanRows
from wattspan.lake.sources.call_log import CallLog
from wattspan.lake.sources.clickhouse import OtelTraces, is_otel_traces
from wattspan.lake.sources.column_map import ColumnMap, ColumnMapError
from wattspan.lake.sources.csv_blocks import CsvError, CsvReader
from wattspan.lake.sources.otlp import read_otlp
from wattspan.lake.spans import SpanSource
from wattspan.otlp.containers import Shape, Stream, is_json, shape_of
from wattspan.otlp.problems import Problem
from wattspan.otlp.wire import SpanTable

Format = Literal["otlp", "otel_traces", "calls"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)
"""OTLP files, ClickHouse's `otel_traces`, call logs by a column map."""

_PARQUET: Final = b"PAR1"
_HEAD_BYTES: Final = 64 * 1024
_TABLE_SUFFIXES: Final = frozenset({".csv", ".tsv", ".txt", ".parquet"})


class SourceError(ValueError):
    """A source cannot be imported as it was asked for; the message says what to do."""


@dataclass(frozen=True, slots=True)
class TableOptions:
    """How tables are read."""

    columns: ColumnMap = field(default_factory=ColumnMap)
    delimiter: str | None = None
    encoding: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Portion:
    """Some rows of a file."""

    spans: SpanRows
    left_out: int
    """Rows that could not be used; each is in a problem."""


def files_of(paths: Sequence[Path]) -> list[Path]:
    """The files among `paths`, and all files in the folders among them, in the order of their names.

    Hidden files and folders are passed over. Raises SourceError for a path that is not there.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(item for item in path.rglob("*") if item.is_file())
            visible = [item for item in inside if not _is_hidden(item.relative_to(path))]
            if not visible:
                raise SourceError(f"{path}: there are no files in this folder")
            found.extend(visible)
        elif path.exists():
            found.append(path)
        else:
            raise SourceError(f"{path}: there is no such file or folder")
    return list(dict.fromkeys(found))


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


class FileReader:
    """Reads files as rows; problems go to `report`, each with its file and place."""

    def __init__(
        self,
        source: SpanSource,
        options: TableOptions,
        report: Callable[[Problem], None],
        *,
        format: Format | None = None,
        on_bytes: Callable[[int], None] = lambda _: None,
    ) -> None:
        """`format`: what all files are; None tells it from each file. `on_bytes` is told of bytes read."""
        self._source = source
        self._options = options
        self._report = report
        self._format = format
        self._on_bytes = on_bytes

    def read(self, path: Path) -> Iterator[Portion]:
        """The rows of a file, in portions. Raises SourceError, ColumnMapError where the options do not fit.

        A file that cannot be opened or is of no known format is reported, and has no rows.
        """
        name = str(path)
        try:
            with path.open("rb") as file:
                yield from self._parquet(path, file) if self._is_parquet(file) else self._stream(name, file)
        except OSError as error:
            self._report(Problem(f"it cannot be read: {error.strerror or error}", name))
        except (CsvError, pa.ArrowException) as error:
            self._report(Problem(f"it cannot be read: {_first_line(error)}", name))

    @staticmethod
    def _is_parquet(file: BinaryIO) -> bool:
        magic = file.read(len(_PARQUET))
        file.seek(0)
        return magic == _PARQUET

    def _parquet(self, path: Path, file: BinaryIO) -> Iterator[Portion]:
        name = str(path)
        columns = pq.read_schema(file).names
        file.seek(0)
        counted = cast(BinaryIO, _Counted(file, self._on_bytes))
        if self._format == "otlp":
            raise SourceError(f"{name}: a Parquet file, not OTLP; leave --format out")
        if self._format != "calls" and is_otel_traces(columns):
            for portion in OtelTraces(self._source.keys, name, self._report).parquet(counted):
                yield Portion(self._spans(portion.table, name), portion.left_out)
            return
        log = self._call_log(name, columns)
        for rows in log.parquet(counted):
            yield Portion(rows.spans, rows.left_out)

    def _stream(self, name: str, file: BinaryIO) -> Iterator[Portion]:
        head = Stream(file.read).peek(_HEAD_BYTES)
        file.seek(0)
        found = self._format or self._told_by(head, name)

        def read(size: int) -> bytes:
            data = file.read(size)
            self._on_bytes(len(data))
            return data

        if found == "otlp":
            for table in read_otlp(read, name, self._source.keys, self._report):
                yield Portion(self._spans(table, name), 0)
            return
        stream = Stream(read)
        if found == "otel_traces":
            traces = OtelTraces(self._source.keys, name, self._report)
            for portion in traces.csv(stream, delimiter=self._options.delimiter):
                yield Portion(self._spans(portion.table, name), portion.left_out)
        else:
            options = self._options
            log = self._call_log(name, _header(head, options))
            for rows in log.csv(stream, delimiter=options.delimiter, encoding=options.encoding):
                yield Portion(rows.spans, rows.left_out)
        if stream.damage is not None:
            self._report(Problem(stream.damage.reason, name))

    def _spans(self, table: SpanTable, name: str) -> SpanRows:
        return self._source.rows(table, lambda problem: self._report(replace(problem, file=name)))

    def _told_by(self, head: bytes, name: str) -> Format:
        """The format of a file that begins with `head`."""
        shape = shape_of(head, name)
        is_table = (shape is Shape.UNKNOWN or not self._options.columns.is_empty) and not is_json(head)
        if not is_table or not head.strip():
            return "otlp"
        columns = _header(head, self._options)
        if is_otel_traces(columns):
            return "otel_traces"
        is_named_so = bool(_TABLE_SUFFIXES.intersection(Path(name).suffixes))
        if len(columns) > 1 and (is_named_so or not self._options.columns.is_empty):
            return "calls"
        return "otlp"

    def _call_log(self, name: str, columns: Sequence[str]) -> CallLog:
        chosen = self._options.columns
        if chosen.is_empty:
            shown = ", ".join(repr(column) for column in columns[:40])
            raise SourceError(
                f"{name}: a table; say what its columns are: --map start=COLUMN --map input_tokens=COLUMN "
                f"--map output_tokens=COLUMN --map model=COLUMN. It has {shown}"
            )
        try:
            return CallLog(chosen, name, chosen.label or _label_of(Path(name)), self._report)
        except ColumnMapError as error:
            raise ColumnMapError(f"{name}: {error}") from error


class _Counted:
    """A file that tells how much of it was read, for Arrow."""

    closed = False

    def __init__(self, file: BinaryIO, on_bytes: Callable[[int], None]) -> None:
        self._file = file
        self._on_bytes = on_bytes

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._on_bytes(len(data))
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def close(self) -> None:
        self.closed = True


def _header(head: bytes, options: TableOptions) -> list[str]:
    """The columns that a text table begins with; [] where it is none."""
    pieces = iter((head,))
    try:
        reader = CsvReader(
            Stream(lambda _: next(pieces, b"")), delimiter=options.delimiter, encoding=options.encoding
        )
    except CsvError:
        return []
    return reader.columns


def _label_of(path: Path) -> str:
    """The file's name without its folders and suffixes: a compressed copy is the same source."""
    return path.name.partition(".")[0] or path.name


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
