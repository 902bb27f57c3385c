"""The shapes of OTLP files: one message, JSON lines, or length-prefixed frames; told apart by content."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePath

from wattspan.otlp.compression import (
    Compression,
    DamagedStreamError,
    compression_of,
    decompressed,
    is_zstd,
    unzstd_message,
    zstd_message,
)

MESSAGE_LIMIT_BYTES = 2**31 - 1
"""Largest single message: protobuf's own limit. Anything longer passes through untouched, with a problem."""

_RUN_BYTES = 1024 * 1024
"""Small top-level fields of a protobuf message are handed on together, about this many bytes at a time."""

_HEAD_BYTES = 64 * 1024
"""How much of a file is looked at to tell its shape."""

_FIRST_PROTO_TAG = 0x0A
"""`resource_spans`, field 1, length-delimited: how every TracesData begins."""

_TRACES_LINE = b'{"resourceSpans"'
_BOM = b"\xef\xbb\xbf"
_JSON_SPACE = b" \t\r\n"
_JSON_START = re.compile(rb'\{[ \t\r\n]*(?:["}]|\Z)|\[[ \t\r\n]*(?:[{\]]|\Z)')
_JSON_MARK = re.compile(rb'["{}\[\]]')
_JSON_STRING_REST = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)
_LINES_SUFFIXES = (".jsonl", ".ndjson")
_PROTO_SUFFIXES = (".binpb", ".pb", ".bin")


class Shape(enum.Enum):
    """How messages lie in a file, once it is decompressed."""

    PROTO = "OTLP protobuf"
    JSON = "OTLP JSON"
    JSON_LINES = "OTLP JSON lines"
    FRAMES = "length-prefixed OTLP messages"
    UNKNOWN = "unknown"


class Encoding(enum.Enum):
    """What the payload of a part is."""

    PROTO = "protobuf"
    JSON = "JSON"
    OPAQUE = "opaque"
    """Not a message: passes through as it is."""


@dataclass(frozen=True, slots=True)
class Part:
    """A run of bytes of a file that is enriched on its own, or only passes through.

    `offset`: where `raw` begins in the decompressed file. `payload`: the message; `raw`: the bytes it came
    in, which differ from the payload only for a frame.
    """

    offset: int
    raw: bytes
    encoding: Encoding
    payload: bytes
    is_frame: bool = False
    is_zstd_frame: bool = False

    def packed(self, payload: bytes) -> bytes:
        """The bytes to write when the payload became `payload`: as it came in where nothing changed."""
        if payload == self.payload:
            return self.raw
        if not self.is_frame:
            return payload
        body = zstd_message(payload) if self.is_zstd_frame else payload
        return len(body).to_bytes(4, "big") + body


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes of an input that are not what they should be.

    `offset`: bytes from the start of the decompressed file, or of the file itself with `is_compressed`.
    """

    offset: int
    reason: str
    is_compressed: bool = False


class Stream:
    """Decompressed bytes of an input, read forward with a look ahead.

    When the compressed bytes are damaged the stream ends there and `damage` says where.
    """

    def __init__(self, read: Callable[[int], bytes]) -> None:
        head = _read_at_least(read, 4)
        self.compression = compression_of(head)
        self.damage: Damage | None = None
        self._pieces = decompressed(_with_head(head, read), self.compression)
        self._held = b""
        self._position = 0
        self._offset = 0

    @property
    def offset(self) -> int:
        """Position of the next byte in the decompressed input."""
        return self._offset + self._position

    def _more(self) -> bytes:
        try:
            return next(self._pieces, b"")
        except DamagedStreamError as error:
            self.damage = Damage(error.offset, str(error), is_compressed=True)
            self._pieces = iter(())
            return b""

    def has(self, size: int) -> bool:
        """Whether at least `size` bytes lie ahead."""
        missing = size - (len(self._held) - self._position)
        pieces = []
        while missing > 0 and (piece := self._more()):
            pieces.append(piece)
            missing -= len(piece)
        if pieces:
            self._append(pieces)
        return missing <= 0

    def _append(self, pieces: list[bytes]) -> None:
        self._offset += self._position
        self._held = b"".join((self._held[self._position :], *pieces))
        self._position = 0

    def peek(self, size: int) -> bytes:
        """The next `size` bytes, or fewer at the end, without taking them."""
        self.has(size)
        return self._held[self._position : self._position + size]

    def take(self, size: int) -> bytes:
        """The next `size` bytes, or fewer at the end."""
        taken = self.peek(size)
        self._position += len(taken)
        return taken

    def take_until(self, end_of: Callable[[bytes, int], int], limit: int) -> bytes:
        """Take bytes up to where `end_of(piece, start)` first gives an index >= 0; all if it never does.

        `end_of` sees each piece once, in order. Stops soon after `limit` bytes.
        """
        end = end_of(self._held, self._position)
        pieces: list[bytes] = []
        size = 0
        while end < 0 and size <= limit and (piece := self._more()):
            end = end_of(piece, 0)
            if end >= 0:
                end += len(self._held) + size
            pieces.append(piece)
            size += len(piece)
        if pieces:
            position = self._position
            self._append(pieces)
            end = end - position if end >= 0 else end
        taken = self._held[self._position : end if end >= 0 else None]
        self._position += len(taken)
        return taken

    def rest(self) -> Iterator[tuple[int, bytes]]:
        """Take everything that is left: (offset, bytes) piece by piece."""
        while piece := self.take(max(len(self._held) - self._position, 1)):
            yield self.offset - len(piece), piece


def _read_at_least(read: Callable[[int], bytes], size: int) -> bytes:
    head = b""
    while len(head) < size and (piece := read(size - len(head))):
        head += piece
    return head


def _with_head(head: bytes, read: Callable[[int], bytes]) -> Callable[[int], bytes]:
    def read_on(size: int) -> bytes:
        nonlocal head
        if head:
            first, head = head[:size], head[size:]
            return first
        return read(size)

    return read_on


def shape_of(head: bytes, name: str) -> Shape:
    """Tell a file's shape from its first bytes (decompressed); its name decides only where bytes do not.

    A frame's length is big-endian and below 128 MiB, so it begins with a byte below 8, which no protobuf
    message can: field numbers start at 1. A protobuf TracesData begins with 0x0A, which is also a line end,
    so JSON is recognised by what follows the white space.
    """
    suffixes = [suffix.lower() for suffix in PurePath(name).suffixes]
    is_lines = any(suffix in _LINES_SUFFIXES for suffix in suffixes)
    if not head.strip(_JSON_SPACE):
        return Shape.JSON_LINES if head or is_lines else Shape.PROTO
    if is_json(head):
        return Shape.JSON_LINES if is_lines or not _goes_on_after_line_end(head) else Shape.JSON
    if head[0] < 8:
        return Shape.FRAMES
    if head[0] == _FIRST_PROTO_TAG or any(suffix in _PROTO_SUFFIXES for suffix in suffixes):
        return Shape.PROTO
    if is_lines or b'\n{"' in head:
        return Shape.JSON_LINES
    return Shape.JSON if ".json" in suffixes else Shape.UNKNOWN


def is_json(head: bytes) -> bool:
    """Whether bytes begin as a JSON object, or as an array of objects, with or without a byte order mark."""
    return _JSON_START.match(head.removeprefix(_BOM).lstrip(_JSON_SPACE)) is not None


def _goes_on_after_line_end(head: bytes) -> bool:
    """Whether the first value is spread over lines: line one ends inside it, but not in a string."""
    first_line, newline, others = head.removeprefix(_BOM).lstrip(_JSON_SPACE).partition(b"\n")
    end = _JsonValueEnd()
    if not newline or others.startswith(_TRACES_LINE) or b"\n" + _TRACES_LINE in others:
        return False  # if line one is open, it is damaged
    return end(first_line, 0) < 0 and not end.is_in_string


class Container:
    """An input as a sequence of parts, with what was wrong on the way.

    `read(n)` gives at most n more bytes of the file, b"" at the end. Iterating yields every byte of the
    decompressed input in order, in `Part.raw`; `damages` fills while iterating.
    """

    def __init__(self, read: Callable[[int], bytes], name: str) -> None:
        self._stream = Stream(read)
        self.compression: Compression = self._stream.compression
        self.shape = shape_of(self._stream.peek(_HEAD_BYTES), name)
        self.damages: list[Damage] = []

    def __iter__(self) -> Iterator[Part]:
        stream = self._stream
        yield from {
            Shape.PROTO: self._proto_fields,
            Shape.JSON: self._json_values,
            Shape.JSON_LINES: self._lines,
            Shape.FRAMES: self._frames,
            Shape.UNKNOWN: self._unknown,
        }[self.shape]()
        for offset, piece in stream.rest():
            yield _opaque(offset, piece)
        if stream.damage:
            self.damages.append(stream.damage)

    def _damaged(self, offset: int, reason: str) -> None:
        # A compressed stream that broke off makes the framing end too early: one cause, reported once.
        if self._stream.damage is None:
            self.damages.append(Damage(offset, reason))

    def _unknown(self) -> Iterator[Part]:
        found = self._stream.peek(8)
        self._damaged(
            0,
            f"not OTLP: it begins with {found!r}; allowed: OTLP protobuf, OTLP JSON, JSON lines or the "
            "collector's length-prefixed frames, each plain, gzip or zstd",
        )
        return iter(())

    def _proto_fields(self) -> Iterator[Part]:
        """Runs of whole top-level fields: fields make up a message, so each run is a message too."""
        stream = self._stream
        run: list[bytes] = []
        begin, length = 0, 0
        while True:
            size = self._next_field_size()
            if size:
                run.append(stream.take(size))
                length += size
            if run and (not size or length >= _RUN_BYTES):
                raw = b"".join(run)
                yield Part(begin, raw, Encoding.PROTO, raw)
                run, begin, length = [], begin + length, 0
            if not size:
                return

    def _next_field_size(self) -> int:
        """Size of the field that comes next; 0 at the end, and where it is damaged."""
        stream = self._stream
        head = stream.peek(20)
        if not head:
            return 0
        try:
            size = field_size(head)
        except ValueError as error:
            self._damaged(stream.offset, f"not a protobuf field: {error}")
            return 0
        if size > MESSAGE_LIMIT_BYTES:
            self._damaged(stream.offset, f"a protobuf field of {size} bytes; allowed: {MESSAGE_LIMIT_BYTES}")
            return 0
        if not stream.has(size):
            self._damaged(stream.offset, f"it ends in the middle of a protobuf field of {size} bytes")
            return 0
        return size

    def _lines(self) -> Iterator[Part]:
        stream = self._stream

        def line_end(piece: bytes, start: int) -> int:
            return piece.find(b"\n", start) + 1 or -1

        while stream.peek(1):
            offset, line = stream.offset, stream.take_until(line_end, MESSAGE_LIMIT_BYTES)
            if len(line) > MESSAGE_LIMIT_BYTES:
                self._damaged(offset, f"a line longer than {MESSAGE_LIMIT_BYTES} bytes")
                yield _opaque(offset, line)
                return
            if line.strip(_JSON_SPACE):
                yield Part(offset, line, Encoding.JSON, line)
            else:
                yield _opaque(offset, line)

    def _json_values(self) -> Iterator[Part]:
        """JSON values over any number of lines, one after the other: one document, or several."""
        stream = self._stream
        while stream.peek(1):
            offset, value = stream.offset, stream.take_until(_JsonValueEnd(), MESSAGE_LIMIT_BYTES)
            if len(value) > MESSAGE_LIMIT_BYTES:
                self._damaged(offset, f"a JSON value longer than {MESSAGE_LIMIT_BYTES} bytes")
                yield _opaque(offset, value)
                return
            if value.strip(_JSON_SPACE):
                yield Part(offset, value, Encoding.JSON, value)
            else:
                yield _opaque(offset, value)

    def _frames(self) -> Iterator[Part]:
        """The collector's file exporter with `format: proto` or `compression: zstd`: length, message."""
        stream = self._stream
        while head := stream.peek(4):
            size = int.from_bytes(head, "big")
            if len(head) == 4 and size == 0:
                # Zeros are empty messages, and a hole or a bomb holds millions: not one by one.
                ahead = stream.peek(_RUN_BYTES)
                zeros = len(ahead) - len(ahead.lstrip(b"\0"))
                yield _opaque(stream.offset, stream.take(zeros - zeros % 4))
                continue
            if len(head) < 4:
                self._damaged(stream.offset, "it ends in the middle of a frame's length")
                return
            if size > MESSAGE_LIMIT_BYTES:
                self._damaged(stream.offset, f"a frame of {size} bytes; allowed: {MESSAGE_LIMIT_BYTES}")
                return
            if not stream.has(4 + size):
                self._damaged(stream.offset, f"it ends in the middle of a frame of {size} bytes")
                return
            offset, raw = stream.offset, stream.take(4 + size)
            yield self._frame(offset, raw)

    def _frame(self, offset: int, raw: bytes) -> Part:
        payload = raw[4:]
        is_compressed = is_zstd(payload)
        if is_compressed:
            try:
                payload = unzstd_message(payload, MESSAGE_LIMIT_BYTES)
            except DamagedStreamError as error:
                self._damaged(offset, f"this frame's {error}")
                return _opaque(offset, raw)
        return Part(
            offset,
            raw,
            Encoding.JSON if is_json(payload[:_HEAD_BYTES]) else Encoding.PROTO,
            payload,
            is_frame=True,
            is_zstd_frame=is_compressed,
        )


def _opaque(offset: int, raw: bytes) -> Part:
    return Part(offset, raw, Encoding.OPAQUE, raw)


def field_size(head: bytes) -> int:
    """Size of the protobuf field that begins at `head`, tag included. Raises ValueError if it is none."""
    tag, position = _varint(head, 0)
    if tag >> 3 == 0:
        raise ValueError(f"field number 0 (tag {tag})")
    match tag & 7:
        case 0:
            return _varint(head, position)[1]
        case 1:
            return position + 8
        case 2:
            length, position = _varint(head, position)
            return position + length
        case 5:
            return position + 4
        case wire_type:
            raise ValueError(f"wire type {wire_type} in tag {tag}; allowed: 0, 1, 2, 5")


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    for index in range(position, min(position + 10, len(data))):
        byte = data[index]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, index + 1
        shift += 7
    raise ValueError("a varint that does not end")


class _JsonValueEnd:
    """Finds where a JSON object or array ends, in a text that comes piece by piece."""

    def __init__(self) -> None:
        self.is_in_string = False
        self._depth = 0
        self._is_escaped = False

    def __call__(self, piece: bytes, start: int) -> int:
        """Index in `piece` just after the value that goes on at `start`; -1 if it goes on after `piece`."""
        position = start
        while position < len(piece):
            if self.is_in_string:
                if self._is_escaped:
                    position, self._is_escaped = position + 1, False
                rest = _JSON_STRING_REST.match(piece, position)
                position = rest.end() if rest else position
                if position == len(piece):
                    return -1
                if piece[position] == 0x5C:
                    self._is_escaped = True  # a backslash is the last byte of this piece
                    return -1
                position, self.is_in_string = position + 1, False
            mark = _JSON_MARK.search(piece, position)
            if mark is None:
                return -1
            position = mark.end()
            if mark.group() == b'"':
                self.is_in_string = True
                continue
            self._depth += 1 if mark.group() in b"{[" else -1
            if self._depth <= 0:
                return position
        return -1
