"""CSV of any size as Arrow tables, a block at a time, with the line that each row stands on."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa
from pyarrow import csv as arrow_csv

from wattspan.otlp.containers import Stream

BLOCK_BYTES: Final = 4 * 1024 * 1024
LONGEST_ROW_BYTES: Final = 64 * 1024 * 1024
DELIMITERS: Final = ",;\t|"

_BOMS: Final = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_LONGEST_HEADER_BYTES: Final = 1024 * 1024


class CsvError(ValueError):
    """A file that cannot be read as CSV at all."""


@dataclass(frozen=True, slots=True)
class Misfit:
    """A row that has more or fewer cells than the header."""

    record: int
    """Index of the row in its block, those before it that fit counted too."""
    found: int
    expected: int


@dataclass(slots=True)
class Block:
    """Some rows of a file."""

    table: pa.Table
    """The columns asked for, as bytes; misfits are not in it."""
    first_line: int
    """Line of the file, from 1, on which the block begins."""
    raw: bytes
    delimiter: str
    misfits: list[Misfit] = field(default_factory=list)

    def lines(self) -> list[int]:
        """The line on which each row of `table` begins."""
        left_out = {misfit.record for misfit in self.misfits}
        return [line for record, line in enumerate(self.record_lines()) if record not in left_out]

    def record_lines(self) -> list[int]:
        """The line on which each record begins, misfits counted. Slow: a row may span lines."""
        text = self.raw.decode("utf-8", "replace")
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=self.delimiter)
        lines, before = [], 0
        old_limit = csv.field_size_limit(LONGEST_ROW_BYTES)
        try:
            for record in reader:
                if record:
                    lines.append(self.first_line + before)
                before = reader.line_num
        except csv.Error:
            pass
        finally:
            csv.field_size_limit(old_limit)
        rows = self.table.num_rows + len(self.misfits)
        return lines + [self.first_line + before] * (rows - len(lines))


class CsvReader:
    """Reads CSV from a stream of plain bytes.

    Comma, semicolon, tab or bar between cells: the one that the header line has most of, unless `delimiter`
    says. A byte order mark tells UTF-16; `encoding` names another one. Raises CsvError if there is no header,
    or it names a column twice.
    """

    def __init__(self, stream: Stream, *, delimiter: str | None = None, encoding: str | None = None) -> None:
        self._stream = stream
        self._decoder = self._decoder_for(encoding)
        self._pending = b""
        self._line = 1
        self.broken = ""
        """Why reading stopped before the end; "" if it did not."""
        head = self._head()
        self.delimiter = delimiter or _delimiter_of(head)
        self.columns = self._header(head)

    def _decoder_for(self, encoding: str | None) -> codecs.IncrementalDecoder | None:
        for mark, name in _BOMS:
            if self._stream.peek(len(mark)) == mark:
                self._stream.take(len(mark))
                encoding = encoding or name
                break
        if encoding is None:
            return None
        try:
            found = codecs.lookup(encoding)
        except LookupError as error:
            raise CsvError(
                f"encoding {encoding!r} is not known; allowed: utf-8, latin-1, cp1252, ..."
            ) from error
        return None if found.name == "utf-8" else codecs.getincrementaldecoder(encoding)("replace")

    def _read(self) -> bytes:
        data = self._stream.take(BLOCK_BYTES)
        if self._decoder is None:
            return data
        text = self._decoder.decode(data, final=not data)
        while data and not text:
            data = self._stream.take(BLOCK_BYTES)
            text = self._decoder.decode(data, final=not data)
        return text.encode("utf-8")

    def _head(self) -> bytes:
        while self._cut(self._pending) == 0 and len(self._pending) < _LONGEST_HEADER_BYTES:
            data = self._read()
            if not data:
                break
            self._pending += data
        return self._pending[:_LONGEST_HEADER_BYTES]

    def _header(self, head: bytes) -> list[str]:
        text = head.decode("utf-8", "surrogateescape")
        if "\0" in text[:1024]:
            raise CsvError("it is not text: it has zero bytes")
        taken: list[str] = []

        def lines() -> Iterator[str]:
            for line in io.StringIO(text, newline=""):
                taken.append(line)
                yield line

        try:
            cells = next((row for row in csv.reader(lines(), delimiter=self.delimiter) if row), [])
        except csv.Error as error:
            raise CsvError(f"its first line is no CSV header: {error}") from error
        columns = [_readable(name.strip()) for name in cells]
        if not any(columns):
            raise CsvError("there is no header line with the names of the columns")
        if repeated := sorted({name for name in columns if name and columns.count(name) > 1}):
            raise CsvError(f"its header names {repeated[0]!r} twice; give each column a name of its own")
        self._pending = self._pending[len("".join(taken).encode("utf-8", "surrogateescape")) :]
        self._line += len(taken)
        return columns

    def blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        """All rows in order, the named columns of each as bytes."""
        while True:
            data = self._read()
            pending = self._pending + data
            cut = self._cut(pending) if data else len(pending)
            if data and not cut and len(pending) > LONGEST_ROW_BYTES:
                self.broken = (
                    f"line {self._line} goes on for more than {LONGEST_ROW_BYTES // 2**20} MiB; "
                    "is a quotation mark not closed?"
                )
                return
            raw, self._pending = pending[:cut], pending[cut:]
            if raw.strip():
                yield self._block(raw, columns)
            self._line += raw.count(b"\n")
            if not data:
                return

    @staticmethod
    def _cut(data: bytes) -> int:
        """After the last line end that is not inside quotation marks; 0 where there is none."""
        end = data.rfind(b"\n") + 1
        is_inside = data.count(b'"', 0, end) % 2 == 1
        while end and is_inside:
            quote = data.rfind(b'"', 0, end)
            end = data.rfind(b"\n", 0, quote) + 1
            is_inside = data.count(b'"', 0, end) % 2 == 1
        return end

    def _block(self, raw: bytes, columns: Sequence[str]) -> Block:
        misfits: list[Misfit] = []

        def on_misfit(row: arrow_csv.InvalidRow) -> str:
            # Arrow numbers the rows of a block from 1.
            misfits.append(Misfit(row.number - 1, row.actual_columns, row.expected_columns))
            return "skip"

        table = arrow_csv.read_csv(
            pa.BufferReader(raw),
            read_options=arrow_csv.ReadOptions(
                use_threads=False, block_size=max(len(raw), 1), column_names=self.columns
            ),
            parse_options=arrow_csv.ParseOptions(
                delimiter=self.delimiter, newlines_in_values=True, invalid_row_handler=on_misfit
            ),
            convert_options=arrow_csv.ConvertOptions(
                include_columns=list(columns), column_types=dict.fromkeys(columns, pa.binary())
            ),
        )
        return Block(table.combine_chunks(), self._line, raw, self.delimiter, misfits)


def _readable(name: str) -> str:
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _delimiter_of(head: bytes) -> str:
    text = head.decode("utf-8", "replace")
    counts = []
    for mark in DELIMITERS:
        try:
            cells = len(next(csv.reader(io.StringIO(text, newline=""), delimiter=mark), []))
        except csv.Error:
            cells = 0
        counts.append(cells)
    return DELIMITERS[counts.index(max(counts))]
