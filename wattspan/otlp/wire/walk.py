"""A walk over protobuf bytes in plain Python, for what the fallback's parser keeps to itself: offsets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from wattspan.otlp.wire import limits
from wattspan.otlp.wire.errors import WireError

# Message -> tag of a field that holds a message -> that message.
_SUBMESSAGES: Final[dict[str, dict[int, str]]] = {
    "request": {0x0A: "resource spans"},
    "resource spans": {0x0A: "resource", 0x12: "scope spans"},
    "resource": {0x0A: "key value", 0x1A: "entity"},
    "entity": {},
    "scope spans": {0x0A: "scope", 0x12: "span"},
    "scope": {0x1A: "key value"},
    "span": {0x4A: "key value", 0x5A: "event", 0x6A: "link", 0x7A: "status"},
    "status": {},
    "event": {0x1A: "key value"},
    "link": {0x22: "key value"},
    "key value": {0x12: "any value"},
    "any value": {0x2A: "array", 0x32: "key value list"},
    "array": {0x0A: "any value"},
    "key value list": {0x0A: "key value"},
}


def check(data: bytes) -> None:
    """Raise WireError at the first malformed field of an OTLP trace request; nothing if there is none."""
    _message(data, 0, len(data), "request", limits.MOST_DEPTH)


def span_bounds(data: bytes) -> Iterator[tuple[int, int]]:
    """Where each Span's body begins and ends, in wire order; `data` is well formed."""
    for start, end in _fields(data, 0, len(data), 0x0A):
        for inner, inner_end in _fields(data, start, end, 0x12):
            yield from _fields(data, inner, inner_end, 0x12)


def _fields(data: bytes, at: int, end: int, wanted: int) -> Iterator[tuple[int, int]]:
    while at < end:
        start = at
        tag, at = _tag(data, at, end)
        if tag == wanted:
            length, at = _length(data, at, end)
            yield at, at + length
            at += length
        else:
            at = _value(data, start, at, end, tag, limits.MOST_DEPTH)


def _message(data: bytes, at: int, end: int, message: str, depth: int) -> None:
    known = _SUBMESSAGES[message]
    while at < end:
        start = at
        tag, at = _tag(data, at, end)
        inner = known.get(tag)
        if tag < 8:
            raise _fault(start, limits.FIELD_ZERO)
        if inner is None:
            at = _value(data, start, at, end, tag, depth)
            continue
        length, at = _length(data, at, end)
        if depth <= 0:
            raise _fault(start, limits.TOO_DEEP)
        _message(data, at, at + length, inner, depth - 1)
        at += length


def _value(data: bytes, start: int, at: int, end: int, tag: int, depth: int) -> int:
    match tag & 7:
        case 0:
            return _varint(data, at, end)[1]
        case 1 | 5:
            width = 8 if tag & 7 == 1 else 4
            if end - at < width:
                raise _fault(at, limits.FIXED_CUT)
            return at + width
        case 2:
            length, at = _length(data, at, end)
            return at + length
        case 3:
            if depth <= 0:
                raise _fault(start, limits.TOO_DEEP)
            return _group(data, at, end, tag >> 3, depth - 1)
        case wire_type:
            raise _fault(start, limits.GROUP_END if wire_type == 4 else limits.WIRE_TYPE)


def _group(data: bytes, at: int, end: int, number: int, depth: int) -> int:
    while at < end:
        start = at
        tag, at = _tag(data, at, end)
        if tag & 7 == 4:
            if tag >> 3 != number:
                raise _fault(start, limits.GROUP_END)
            return at
        at = _value(data, start, at, end, tag, depth)
    raise _fault(end, limits.GROUP_OPEN)


def _tag(data: bytes, at: int, end: int) -> tuple[int, int]:
    tag, after = _varint(data, at, end)
    if after - at > 5 or tag > 0xFFFFFFFF:
        raise _fault(at, limits.TAG_LONG)
    return tag, after


def _length(data: bytes, at: int, end: int) -> tuple[int, int]:
    length, after = _varint(data, at, end)
    if after - at > 5 or length > 0x7FFFFFFF:
        raise _fault(at, limits.LENGTH_LONG)
    if length > end - after:
        raise _fault(at, limits.LENGTH_PAST)
    return length, after


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    number = 0
    for place in range(10):
        if at + place >= end:
            raise _fault(at, limits.VARINT_CUT)
        byte = data[at + place]
        number |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return number & 2**64 - 1, at + place + 1
    raise _fault(at, limits.VARINT_LONG)


def _fault(at: int, problem: int) -> WireError:
    return WireError(at, limits.FAULTS[problem])
