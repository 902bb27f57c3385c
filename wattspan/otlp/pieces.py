"""Protobuf messages as pieces: fields that can be read, and fields that are damaged and pass through."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from wattspan.otlp.containers import field_size
from wattspan.otlp.problems import Problem
from wattspan.otlp.wire import KeySet, SpanTable, WireError, scan

MessageProblem = tuple[int, Problem]
"""A problem and the index of its message, where `offset` counts from; -1 where a span is named instead."""


class Piece(NamedTuple):
    """Bytes of a message: fields that can be read, or others that stay as they are."""

    message: int
    data: bytes
    is_good: bool


def scanned(pieces: Sequence[Piece], keys: KeySet) -> SpanTable:
    """The spans of the good pieces, as one table.

    Raises WireError where one of them is not valid, or they are too much for one table.
    """
    return scan_messages([piece.data for piece in pieces if piece.is_good], keys)


def scan_messages(messages: Sequence[bytes], keys: KeySet) -> SpanTable:
    """The spans of protobuf messages, as one table.

    Raises WireError where one of them is not valid by itself, or they are too much for one table.
    """
    if len(messages) == 1:
        return scan(messages[0], keys)
    return scan(b"".join(messages), keys, list(accumulate(map(len, messages[:-1]))))


def readable(index: int, message: bytes, problems: list[MessageProblem]) -> Iterator[Piece]:
    """The fields of a message; those that are not valid protobuf are reported and not good."""
    if fault_of(message) is None:
        yield Piece(index, message, True)
        return
    at = 0
    while at < len(message):
        try:
            size = field_size(message[at : at + 20])
        except ValueError as error:
            problems.append((index, Problem(f"not a protobuf field: {error}", offset=at)))
            size = len(message) - at
            yield Piece(index, message[at:], False)
        else:
            data = message[at : at + size]
            fault = fault_of(data)
            if fault is not None:
                problems.append((index, Problem(fault.what, offset=at + fault.offset)))
            yield Piece(index, data, fault is None)
        at += size


def fault_of(data: bytes) -> WireError | None:
    """What makes `data` no valid protobuf; None where it is."""
    try:
        scan(data, ())
    except WireError as error:
        return error
    return None


def read_messages(
    messages: Sequence[bytes], keys: KeySet
) -> Iterator[tuple[SpanTable, list[MessageProblem]]]:
    """The spans of protobuf messages: one table, or several where they are too much for one.

    Fields that are not valid protobuf are reported with the index of their message; the others are read.
    """
    problems: list[MessageProblem] = []
    pieces = [Piece(index, message, True) for index, message in enumerate(messages)]
    try:
        yield scanned(pieces, keys), problems
    except WireError:
        pieces = [
            piece for index, message in enumerate(messages) for piece in readable(index, message, problems)
        ]
        yield from _halves(pieces, keys, problems)


def _halves(
    pieces: Sequence[Piece], keys: KeySet, problems: list[MessageProblem]
) -> Iterator[tuple[SpanTable, list[MessageProblem]]]:
    try:
        yield scanned(pieces, keys), problems
    except WireError as error:
        if len(pieces) > 1:
            yield from _halves(pieces[: len(pieces) // 2], keys, problems)
            yield from _halves(pieces[len(pieces) // 2 :], keys, [])
            return
        problems.append((pieces[0].message, Problem(error.what, offset=error.offset)))
        yield scanned([], keys), problems
