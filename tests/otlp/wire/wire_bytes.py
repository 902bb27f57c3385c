"""Protobuf fields written by hand, so that tests can send what no library would."""

from __future__ import annotations

import struct


def varint(number: int, width: int = 0) -> bytes:
    """A varint of at least `width` bytes: longer than needed where `width` says so."""
    out = bytearray()
    while number > 0x7F or len(out) + 1 < width:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def tag(number: int, wire_type: int, width: int = 0) -> bytes:
    return varint(number << 3 | wire_type, width)


def counted(number: int, body: bytes, width: int = 0) -> bytes:
    """A field of wire type 2: text, bytes or submessage; `width` bytes of length at least."""
    return tag(number, 2) + varint(len(body), width) + body


def number_field(number: int, value: int) -> bytes:
    """A field of wire type 0."""
    return tag(number, 0) + varint(value & 2**64 - 1)


def fixed64(number: int, value: int) -> bytes:
    return tag(number, 1) + struct.pack("<Q", value)


def fixed32(number: int, value: int) -> bytes:
    return tag(number, 5) + struct.pack("<I", value)


def double(number: int, value: float) -> bytes:
    return tag(number, 1) + struct.pack("<d", value)


def group(number: int, body: bytes = b"") -> bytes:
    return tag(number, 3) + body + tag(number, 4)


def text_value(text: str) -> bytes:
    """The body of an AnyValue with a text."""
    return counted(1, text.encode())


def int_value(value: int) -> bytes:
    """The body of an AnyValue with an integer."""
    return number_field(3, value)


def attribute(key: str, any_value: bytes) -> bytes:
    """The body of a KeyValue."""
    return counted(1, key.encode()) + counted(2, any_value)


def span(*fields: bytes, attributes: tuple[bytes, ...] = ()) -> bytes:
    """The body of a Span: `fields`, then the attributes (bodies of KeyValues)."""
    return b"".join(fields) + b"".join(counted(9, body) for body in attributes)


def request(*spans: bytes, scope: bytes = b"", resource: bytes = b"") -> bytes:
    """A request of one resource and one scope with the spans whose bodies are given."""
    scope_spans = counted(1, scope) + b"".join(counted(2, body) for body in spans)
    return counted(1, counted(1, resource) + counted(2, scope_spans))
