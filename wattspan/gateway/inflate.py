"""Content encodings of requests, undone within a bound: a bomb is refused while it is being inflated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, cast

import zstandard
from isal import isal_zlib

ENCODINGS: Final = ("identity", "gzip", "zstd", "deflate")
"""What `Content-Encoding` may be, beside being absent."""

_PIECE_BYTES: Final = 1024 * 1024
_ZSTD_STEP_BYTES: Final = 256
"""Input of one step: four bytes can stand for a block of 128 KiB, so a step yields 8 MiB at most."""
_ZSTD_WINDOW_BYTES: Final = 8 * 1024 * 1024
"""Largest window of zstd as a content coding: RFC 9659."""

# The type stubs of isal call its exception class an exception.
_DamagedMember = cast(type[Exception], isal_zlib.IsalError)


class TooLargeError(ValueError):
    """The content is longer than allowed once inflated."""


class DamagedError(ValueError):
    """The content is not what its encoding says."""


def inflate(encoding: str, body: bytes, most_bytes: int, reserve: Callable[[int], None]) -> bytes:
    """The plain content of `body`.

    `reserve` is called with each further number of bytes before they are kept, and may raise. Raises
    TooLargeError above `most_bytes`, DamagedError where the content is damaged or cut off.
    """
    pieces: list[bytes] = []
    total = 0

    def keep(piece: bytes) -> None:
        nonlocal total
        total += len(piece)
        if total > most_bytes:
            raise TooLargeError(f"more than {most_bytes} bytes once inflated")
        reserve(len(piece))
        pieces.append(piece)

    if encoding == "zstd":
        _zstd(body, most_bytes, keep)
    elif encoding == "gzip":
        _deflate(body, 31, keep)
    else:
        # HTTP's deflate is the zlib format, but some clients send it without the zlib header.
        has_header = len(body) > 1 and body[0] & 0x0F == 8 and (body[0] << 8 | body[1]) % 31 == 0
        _deflate(body, 15 if has_header else -15, keep)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _deflate(body: bytes, wbits: int, keep: Callable[[bytes], None]) -> None:
    rest = body
    while rest:
        member = isal_zlib.decompressobj(wbits=wbits)
        try:
            while not member.eof:
                piece = member.decompress(rest, _PIECE_BYTES)
                rest = member.unconsumed_tail
                if piece:
                    keep(piece)
                elif not rest and not member.eof:
                    raise DamagedError("the compressed body is cut off")
        except _DamagedMember as error:
            raise DamagedError(f"the compressed body is damaged: {error}") from error
        rest = member.unused_data
        if wbits != 31 and rest:
            raise DamagedError(f"{len(rest)} bytes follow the end of the compressed body")


def _zstd(body: bytes, most_bytes: int, keep: Callable[[bytes], None]) -> None:
    rest = memoryview(body)
    while rest:
        try:
            size = zstandard.frame_content_size(rest)
            if size > most_bytes:
                raise TooLargeError(f"{size} bytes once inflated; allowed are {most_bytes}")
            decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES)
            frame = decompressor.decompressobj()
            step = len(rest) if size >= 0 else _ZSTD_STEP_BYTES
            at = 0
            while at < len(rest) and not frame.eof:
                keep(frame.decompress(rest[at : at + step]))
                at += step
        except zstandard.ZstdError as error:
            raise DamagedError(f"the compressed body is damaged: {error}") from error
        if not frame.eof:
            raise DamagedError("the compressed body is cut off")
        rest = rest[min(at, len(rest)) - len(frame.unused_data) :]
