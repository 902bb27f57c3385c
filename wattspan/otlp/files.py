"""Files through the enricher, a window at a time: paths, standard input and output."""

from __future__ import annotations

import os
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Final, cast

from wattspan.otlp.compression import CompressedWriter
from wattspan.otlp.containers import Container, Encoding, Part
from wattspan.otlp.enrich import Enriched, Enricher
from wattspan.otlp.problems import Problem
from wattspan.otlp.summary import Summary

STANDARD: Final = "-"
"""As IN standard input, as OUT standard output."""

WINDOW_BYTES: Final = 32 * 1024 * 1024
"""Messages are gathered up to this size and enriched together, so that copies of a call meet."""


_PART_BYTES: Final = 256
"""What a message takes up beside its bytes, so that a window of tiny messages is bounded too."""


class FileError(ValueError):
    """A path that cannot be read from or written to; the message says which, why, and what to do."""


class UnreadableRestError(FileError):
    """A file that was to be enriched in place was left alone: the rest of it cannot be decompressed."""


def enrich_file(
    source: str,
    target: str,
    enricher: Enricher,
    *,
    on_bytes: Callable[[int], None] = lambda _: None,
    on_window: Callable[[Enriched], None] = lambda _: None,
    window_bytes: int = WINDOW_BYTES,
) -> Summary:
    """Enrich the file `source` into `target`, in the same format and compression.

    "-" is standard input or output. `target` appears whole or not at all: it is written beside its place and
    renamed; it may be `source`. `on_bytes` is told how many bytes were read since the last call, `on_window`
    each enriched window. What cannot be read passes through as it is and is in the summary's problems, named
    by file and byte. Raises FileError.
    """
    with _reading(source) as incoming, _writing(target) as outgoing:
        return enrich_stream(
            incoming,
            outgoing,
            enricher,
            name="standard input" if source == STANDARD else source,
            is_in_place=_is_same(source, target),
            on_bytes=on_bytes,
            on_window=on_window,
            window_bytes=window_bytes,
        )


def enrich_stream(
    incoming: BinaryIO,
    outgoing: BinaryIO,
    enricher: Enricher,
    *,
    name: str = "",
    is_in_place: bool = False,
    on_bytes: Callable[[int], None] = lambda _: None,
    on_window: Callable[[Enriched], None] = lambda _: None,
    window_bytes: int = WINDOW_BYTES,
) -> Summary:
    """As `enrich_file`, between open files. `name` is what problems call the input, and a hint to its format.

    Raises UnreadableRestError if the output would lack bytes of the input and `is_in_place`.
    """
    summary = Summary()

    def read(size: int) -> bytes:
        data = incoming.read(size)
        on_bytes(len(data))
        return data

    container = Container(read, name)
    writer = CompressedWriter(outgoing, container.compression)
    for parts in windows(container, window_bytes):
        _enrich_window(parts, name, enricher, writer, summary, on_window)
    writer.finish()
    for damage in container.damages:
        if damage.is_compressed and is_in_place:
            raise UnreadableRestError(
                f"{name}: {damage.reason}; it was left as it is, because the bytes after that would be lost. "
                "Give another OUT to get what can be read"
            )
        # The offset of a damaged stream is one of the compressed file, and in its reason.
        summary.add_problem(Problem(damage.reason, name, None if damage.is_compressed else damage.offset))
    return summary


def windows(container: Container, window_bytes: int) -> Iterator[list[Part]]:
    """Runs of parts of one encoding, each up to `window_bytes` or a single larger part."""
    parts: list[Part] = []
    size = 0
    encoding = Encoding.OPAQUE
    for part in container:
        is_other = part.encoding not in (encoding, Encoding.OPAQUE) and encoding is not Encoding.OPAQUE
        if parts and (is_other or size + len(part.payload) > window_bytes):
            yield parts
            parts, size, encoding = [], 0, Encoding.OPAQUE
        parts.append(part)
        size += len(part.payload) + _PART_BYTES
        if part.encoding is not Encoding.OPAQUE:
            encoding = part.encoding
    if parts:
        yield parts


def _enrich_window(
    parts: list[Part],
    name: str,
    enricher: Enricher,
    writer: CompressedWriter,
    summary: Summary,
    on_window: Callable[[Enriched], None],
) -> None:
    messages = [part for part in parts if part.encoding is not Encoding.OPAQUE]
    payloads: list[bytes] = []
    if messages:
        is_json = messages[0].encoding is Encoding.JSON
        enrich = enricher.json if is_json else enricher.protobuf
        for window in enrich([part.payload for part in messages]):
            for index, problem in window.problems:
                origin = messages[len(payloads) + index] if index >= 0 else None
                summary.add_problem(placed(problem, name, origin))
            summary.add_window(window)
            on_window(window)
            payloads.extend(window.messages)
    enriched = iter(payloads)
    for part in parts:
        writer.write(part.raw if part.encoding is Encoding.OPAQUE else part.packed(next(enriched)))


def placed(problem: Problem, file: str, part: Part | None) -> Problem:
    """The problem of a message as one of the file that the message lies in."""
    if part is None or problem.offset is None:
        return replace(problem, file=file)
    if part.is_zstd_frame:
        reason = f"{problem.reason} (byte {problem.offset} of what this frame holds)"
        return replace(problem, file=file, offset=part.offset, reason=reason)
    begin = part.offset + len(part.raw) - len(part.payload)
    return replace(problem, file=file, offset=begin + problem.offset)


@contextmanager
def _reading(source: str) -> Iterator[BinaryIO]:
    if source == STANDARD:
        yield sys.stdin.buffer
        return
    if Path(source).is_dir():
        raise FileError(
            f"{source} is a directory; IN is one file. To enrich all: "
            f'for f in {source.rstrip("/")}/*; do wattspan enrich "$f" "$f"; done'
        )
    with _opened(source, "rb", f"{source} cannot be read") as file:
        yield file


@contextmanager
def _writing(target: str) -> Iterator[BinaryIO]:
    if target == STANDARD:
        yield sys.stdout.buffer
        return
    path = Path(os.path.realpath(target))
    if path.is_dir():
        raise FileError(f"{target} is a directory; OUT is one file: name the file in it")
    if path.exists() and not path.is_file():
        # A device or a pipe cannot be replaced, only written to.
        with _opened(path, "wb", f"{target} cannot be written") as file:
            yield file
        return
    part = path.with_name(f".wattspan-{secrets.token_hex(4)}.part")
    try:
        with _opened(part, "xb", f"{target} cannot be written to {path.parent}") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, part)
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _opened(path: str | Path, mode: str, complaint: str) -> BinaryIO:
    try:
        return cast(BinaryIO, open(path, mode))
    except OSError as error:
        raise FileError(f"{complaint}: {error.strerror}") from error


def _is_same(source: str, target: str) -> bool:
    if STANDARD in (source, target) or not Path(target).exists():
        return False
    return os.path.samefile(source, target)
