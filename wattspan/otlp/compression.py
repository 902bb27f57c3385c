"""gzip and zstd streams that deliver every readable byte before they report damage, and say where it is."""

from __future__ import annotations

import enum
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, Protocol

import zstandard

CHUNK_BYTES = 256 * 1024
"""How much is read from a file at a time."""

_ZSTD_STEP_BYTES = 4096
"""zstandard throws away what one call decoded before it met an error, so it is fed in small steps."""

_ZSTD_WINDOW_BYTES = 2**31
"""Largest zstd window accepted: frames written with `--long=31` need it."""


_SIZED_FRAME_BYTES = 32 * 1024 * 1024
"""Up to this much content is written as a zstd frame that tells its size."""

_GZIP_HEADER_BYTES = 10


class Compression(enum.Enum):
    """How a whole file is compressed."""

    NONE = "none"
    GZIP = "gzip"
    ZSTD = "zstd"


class DamagedStreamError(ValueError):
    """Compressed bytes that cannot be read any further.

    `offset`: position in the compressed input, bytes from its start.
    """

    def __init__(self, compression: Compression, offset: int, reason: str) -> None:
        self.offset = offset
        super().__init__(f"{compression.value} stream is damaged at byte {offset}: {reason}")


def compression_of(head: bytes) -> Compression:
    """The compression that the first bytes of a file show (RFC 1952; RFC 8878, skippable frames included)."""
    if head[:2] == b"\x1f\x8b":
        return Compression.GZIP
    if is_zstd(head):
        return Compression.ZSTD
    return Compression.NONE


def is_zstd(head: bytes) -> bool:
    """Whether bytes begin with a zstd frame or a skippable frame."""
    skippable = len(head) >= 4 and head[1:4] == b"\x2a\x4d\x18" and 0x50 <= head[0] <= 0x5F
    return head[:4] == b"\x28\xb5\x2f\xfd" or skippable


def decompressed(read: Callable[[int], bytes], compression: Compression) -> Iterator[bytes]:
    """Yield the plain bytes of a stream piece by piece; `read(n)` gives at most n more bytes, b"" at the end.

    All gzip members and all zstd frames are read. Raises DamagedStreamError after everything that could be
    decoded has been yielded.
    """
    if compression is Compression.GZIP:
        return _gunzipped(read)
    if compression is Compression.ZSTD:
        return _unzstd(read)
    return iter(lambda: read(CHUNK_BYTES), b"")


def _gunzipped(read: Callable[[int], bytes]) -> Iterator[bytes]:
    member = zlib.decompressobj(wbits=31)
    is_fresh = True
    position = 0
    while data := read(CHUNK_BYTES):
        while data:
            if is_fresh:
                # Tape and block tools pad a finished file with zeros; gzip itself skips them.
                padding = len(data) - len(data.lstrip(b"\0")) if position else 0
                data, position = data[padding:], position + padding
                if not data:
                    break
            checkpoint = member.copy()
            try:
                plain = member.decompress(data, CHUNK_BYTES * 4)
            except zlib.error as error:
                salvaged, readable = _salvage(checkpoint, data)
                if salvaged:
                    yield salvaged
                elif is_fresh and readable < _GZIP_HEADER_BYTES:
                    readable = 0
                raise DamagedStreamError(Compression.GZIP, position + readable, str(error)) from error
            is_fresh = False
            if plain:
                yield plain
            rest = member.unused_data if member.eof else member.unconsumed_tail
            position += len(data) - len(rest)
            data = rest
            if member.eof:
                member, is_fresh = zlib.decompressobj(wbits=31), True
    while not is_fresh and (plain := member.decompress(b"", CHUNK_BYTES * 4)):
        yield plain
    if not is_fresh and not member.eof:
        raise DamagedStreamError(Compression.GZIP, position, "it ends in the middle of a member")


def _salvage(member: zlib._Decompress, data: bytes) -> tuple[bytes, int]:
    """Decode `data` byte by byte: what comes out before the error, and how many bytes were good."""
    pieces = []
    for index in range(len(data)):
        try:
            pieces.append(member.decompress(data[index : index + 1]))
        except zlib.error:
            return b"".join(pieces), index
    return b"".join(pieces), len(data)


def _unzstd(read: Callable[[int], bytes]) -> Iterator[bytes]:
    decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES)
    frame = decompressor.decompressobj()
    is_fresh = True
    position = 0
    while chunk := read(CHUNK_BYTES):
        for start in range(0, len(chunk), _ZSTD_STEP_BYTES):
            data = chunk[start : start + _ZSTD_STEP_BYTES]
            while data:
                try:
                    plain = frame.decompress(data)
                except zstandard.ZstdError as error:
                    raise DamagedStreamError(Compression.ZSTD, position, str(error)) from error
                is_fresh = False
                if plain:
                    yield plain
                rest = frame.unused_data if frame.eof else b""
                position += len(data) - len(rest)
                data = rest
                if frame.eof:
                    frame, is_fresh = decompressor.decompressobj(), True
    if not is_fresh:
        raise DamagedStreamError(Compression.ZSTD, position, "it ends in the middle of a frame")


def unzstd_message(data: bytes, limit: int) -> bytes:
    """Decompress one zstd message held in memory.

    Raises DamagedStreamError for damage, or when it holds more than `limit` bytes.
    """
    pieces, size, position = [], 0, 0

    def read(n: int) -> bytes:
        nonlocal position
        piece = data[position : position + n]
        position += len(piece)
        return piece

    for piece in _unzstd(read):
        size += len(piece)
        if size > limit:
            raise DamagedStreamError(Compression.ZSTD, position, f"it holds more than {limit} bytes")
        pieces.append(piece)
    return b"".join(pieces)


def zstd_message(data: bytes) -> bytes:
    """Compress one message as one zstd frame."""
    return zstandard.ZstdCompressor().compress(data)


class _Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


class CompressedWriter:
    """Writes bytes to `raw`, compressed as asked; no time stamps, so the same bytes give the same bytes."""

    def __init__(self, raw: BinaryIO, compression: Compression) -> None:
        self._raw = raw
        self._compression = compression
        self._compressor: _Compressor | None = None
        self._held: list[bytes] = []
        self._held_bytes = 0
        if compression is Compression.GZIP:
            self._compressor = zlib.compressobj(wbits=31)

    def write(self, data: bytes) -> None:
        """Add bytes to the stream."""
        if self._compression is Compression.ZSTD and self._compressor is None:
            # A zstd frame tells its size if that is known at the start, and readers that decompress in one go
            # ask for it; so the beginning is held back in case it is all.
            self._held.append(data)
            self._held_bytes += len(data)
            if self._held_bytes <= _SIZED_FRAME_BYTES:
                return
            self._compressor = zstandard.ZstdCompressor(write_checksum=True).compressobj()
            data, self._held = b"".join(self._held), []
        packed = self._compressor.compress(data) if self._compressor else data
        if packed:
            self._raw.write(packed)

    def finish(self) -> None:
        """Write what is still held back; `raw` stays open."""
        if self._compressor:
            self._raw.write(self._compressor.flush())
        elif self._compression is Compression.ZSTD:
            self._raw.write(zstandard.ZstdCompressor(write_checksum=True).compress(b"".join(self._held)))
        self._raw.flush()
