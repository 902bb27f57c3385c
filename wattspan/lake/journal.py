"""`Journal`: the spans of open traces on disk: records of length, CRC-32 and an Arrow stream."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from struct import Struct
from typing import BinaryIO, Final

import pyarrow as pa
from isal import isal_zlib

from wattspan.lake.arrow import RAW, from_arrow, to_arrow
from wattspan.lake.disk import sync_folder
from wattspan.lake.rows import SpanRows

_HEAD: Final = Struct("<QI")
_OPTIONS: Final = pa.ipc.IpcWriteOptions()
"""Not compressed: LZ4 takes five times the processor time to write a fifth of the bytes."""


class Journal:
    """One journal file, open for appending."""

    def __init__(self, path: Path) -> None:
        """Make the file. Raises OSError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file: BinaryIO = path.open("xb", buffering=0)
        sync_folder(path.parent)

    def append(self, portions: Sequence[SpanRows]) -> None:
        """Make spans durable, all of them or (after a crash) the first few.

        Raises OSError where the disk refuses; then nothing of them counts.
        """
        at = self._file.tell()
        try:
            for rows in portions:
                payload = _payload(rows)
                self._write([_HEAD.pack(len(payload), isal_zlib.crc32(payload)), payload])
            os.fsync(self._file.fileno())
        except OSError:
            self._file.seek(at)
            self._file.truncate()
            raise

    def _write(self, parts: Sequence[bytes | pa.Buffer]) -> None:
        left = [memoryview(part) for part in parts]
        while left:
            # A disk that is full takes what it can, and refuses the rest the next time.
            done = os.writev(self._file.fileno(), left)
            while left and done >= len(left[0]):
                done -= len(left.pop(0))
            if left:
                left[0] = left[0][done:]

    @property
    def size(self) -> int:
        """Bytes."""
        return self._file.tell()

    def close(self) -> None:
        """Let the file go."""
        self._file.close()


def read_journal(path: Path) -> Iterator[SpanRows]:
    """The spans of a journal, as they were appended.

    What follows a record that is torn or damaged was never acknowledged.
    """
    with path.open("rb") as file:
        while len(head := file.read(_HEAD.size)) == _HEAD.size:
            size, crc = _HEAD.unpack(head)
            payload = file.read(size) if size < 1 << 40 else b""
            if len(payload) < size or isal_zlib.crc32(payload) != crc:
                return
            with pa.ipc.open_stream(payload) as stream:
                for batch in stream:
                    yield from_arrow(batch)


def torn_bytes(path: Path) -> int:
    """Bytes at the end of a journal that `read_journal` does not read. Raises OSError."""
    size = path.stat().st_size
    at = 0
    with path.open("rb") as file:
        while len(head := file.read(_HEAD.size)) == _HEAD.size:
            length, crc = _HEAD.unpack(head)
            payload = file.read(length) if length <= size - at else b""
            if len(payload) < length or isal_zlib.crc32(payload) != crc:
                break
            at += _HEAD.size + length
    return size - at


def _payload(rows: SpanRows) -> pa.Buffer:
    out = pa.BufferOutputStream()
    with pa.ipc.new_stream(out, RAW, options=_OPTIONS) as stream:
        stream.write_batch(to_arrow(rows))
    return out.getvalue()
