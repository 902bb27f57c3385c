"""OTLP JSON: spans are read into a `SpanTable`, and attributes are spliced into the text as it stands.

Only the structure around the spans is walked; everything that is not ours keeps its bytes: white space, the
spelling of numbers, key order, unknown fields. The rules are those of the OTLP specification, "JSON Protobuf
Encoding": lowerCamelCase names only, ids in hexadecimal, 64-bit integers as strings or numbers.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

from wattspan.otlp.problems import Problem
from wattspan.otlp.wire import (
    ARRAY,
    BOOL,
    BYTES,
    DOUBLE,
    INT,
    KVLIST,
    NONE,
    OWN_PREFIX,
    STRING,
    SpanTableBuilder,
)
from wattspan.otlp.wire.limits import MOST_ROWS
from wattspan.otlp.wire.table import Attribute

_SPACE = re.compile(r"[ \t\r\n]*")
_MEMBER = re.compile(r'[ \t\r\n]*"([^"\\]*)"[ \t\r\n]*:[ \t\r\n]*')
_SCALAR = re.compile(r'(?:"[^"\\]*"|-?[0-9]+|true|false|null)[ \t\r\n]*([,}])')
"""Most members of a span are short: one match passes over each. What these do not match is read with care."""
_MARK = re.compile(r'["{}\[\]]')
_STRING_REST = re.compile(r'[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_OTHER_SIGNALS: Final = ("resourceMetrics", "resourceLogs", "resourceProfiles")
_KINDS: Final = {
    f"SPAN_KIND_{name}": number
    for number, name in enumerate(("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"))
}
_STATUS_CODES: Final = {"STATUS_CODE_UNSET": 0, "STATUS_CODE_OK": 1, "STATUS_CODE_ERROR": 2}
_INT64: Final = range(-(2**63), 2**63)


def _integer(digits: str) -> int | float:
    # Python refuses integers of more than 4,300 digits; such a number must not lose the whole message.
    return int(digits) if len(digits) <= 40 else float(digits)


_decode = json.JSONDecoder(parse_int=_integer, strict=False).raw_decode


class JsonText:
    """One OTLP JSON text whose spans were added to a builder, in the order of `spans`."""

    def __init__(self, data: bytes, builder: SpanTableBuilder, wanted: Mapping[str, object]) -> None:
        """Read `data`; attributes whose key is in `wanted` or begins with our prefix go into the builder.

        Nothing raises: what cannot be read is in `problems`, and the spans before it are there.
        """
        self._builder = builder
        self._wanted = wanted
        self._doubtful: dict[str, tuple[int, str]] = {}
        self.spans: list[tuple[int, int]] = []
        """Where each span's object begins and ends in the text."""
        self.problems: list[Problem] = []
        """`offset` is in bytes from the start of the text."""
        try:
            self._text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            # Such bytes become lone surrogates, which turn into the same bytes again when written.
            self._text = data.decode("utf-8", "surrogateescape")
            self.problems.append(
                Problem("not UTF-8 here; the bytes are kept as they are", offset=error.start)
            )
        try:
            self._document()
        except json.JSONDecodeError as error:
            self._problem(error.pos, f"not JSON: {error.msg}")
        except _TooManySpansError as error:
            self._problem(error.at, f"more than {MOST_ROWS} spans in one request; the others pass through")
        for at, reason in self._doubtful.values():
            self._problem(at, reason)

    def _document(self) -> None:
        at = self._space(1 if self._text.startswith("\ufeff") else 0)
        while at < len(self._text):
            is_list = self._text[at] == "["
            at = self._elements(at, self._traces) if is_list else self._traces(at)
            at = self._space(at)

    def _traces(self, at: int) -> int:
        found: list[str] = []
        end = self._members(at, {"resourceSpans": lambda a: self._elements(a, self._resource_spans)}, found)
        if found and "resourceSpans" not in found and not any(key in found for key in _OTHER_SIGNALS):
            self._problem(at, f"no spans: the object has {found[:5]}; allowed: resourceSpans")
        return end

    def _resource_spans(self, at: int) -> int:
        def opened(resource: Any) -> None:
            inner = resource.get("attributes") if isinstance(resource, dict) else None
            self._builder.resource(self._attributes(inner))

        return self._parent(
            at, "resource", opened, "scopeSpans", lambda a: self._elements(a, self._scope_spans)
        )

    def _scope_spans(self, at: int) -> int:
        def opened(scope: Any) -> None:
            fields = scope if isinstance(scope, dict) else {}
            name, version = fields.get("name"), fields.get("version")
            self._builder.scope(
                name if isinstance(name, str) else "",
                version if isinstance(version, str) else "",
                self._attributes(fields.get("attributes")),
            )

        return self._parent(at, "scope", opened, "spans", lambda a: self._elements(a, self._span))

    def _parent(
        self,
        at: int,
        head: str,
        opened: Callable[[Any], None],
        body: str,
        walk: Callable[[int], int],
    ) -> int:
        """Walk an object with a `head` (resource, scope) that its `body` needs, whichever comes first."""
        heads: list[Any] = []
        waiting: list[int] = []

        def on_head(start: int) -> int:
            value, end = self._value(start)
            heads.append(value)
            opened(value)
            return end

        def on_body(start: int) -> int:
            if heads:
                return walk(start)
            waiting.append(start)
            return self._skipped(start)

        try:
            return self._members(at, {head: on_head, body: on_body})
        finally:
            # Also when the text breaks off: the spans before the fault are there to be read.
            if waiting and not heads:
                opened(None)
            for start in waiting:
                walk(start)

    def _span(self, at: int) -> int:
        if len(self.spans) >= MOST_ROWS:
            raise _TooManySpansError(at)
        value, end = self._value(at)
        if not isinstance(value, dict):
            if value is not _UNREAD:
                self._problem(at, f"a span must be an object, found {_shown(value)}")
            return end
        attributes = value.get("attributes")
        if not isinstance(attributes, list | None):
            self._problem(at, f"a span's attributes must be an array, found {_shown(attributes)}")
        status = value.get("status")
        name, trace_state = value.get("name"), value.get("traceState")
        self._builder.span(
            trace_id=self._id(at, "traceId", value.get("traceId"), 16),
            span_id=self._id(at, "spanId", value.get("spanId"), 8),
            parent_span_id=self._id(at, "parentSpanId", value.get("parentSpanId"), 8),
            start_unix_ns=_int64(value.get("startTimeUnixNano")) or 0,
            end_unix_ns=_int64(value.get("endTimeUnixNano")) or 0,
            kind=_enum(value.get("kind"), _KINDS),
            status=_enum(status.get("code"), _STATUS_CODES) if isinstance(status, dict) else 0,
            name=name if isinstance(name, str) else "",
            trace_state=trace_state if isinstance(trace_state, str) else "",
            attributes=self._attributes(attributes),
        )
        self.spans.append((at, end))
        return end

    def _attributes(self, attributes: Any) -> list[Attribute]:
        wanted = self._wanted
        read: list[Attribute] = []
        for attribute in attributes if isinstance(attributes, list) else ():
            if isinstance(attribute, dict):
                key = attribute.get("key")
                if isinstance(key, str) and (key in wanted or key.startswith(OWN_PREFIX)):
                    read.append((key, *_any_value(attribute.get("value"))))
        return read

    def _id(self, at: int, key: str, value: Any, size: int) -> bytes:
        if not isinstance(value, str) or not value:
            return b""
        if len(value) == 2 * size:
            try:
                return bytes.fromhex(value)
            except ValueError:
                pass
        try:
            raw = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        if len(raw) == size:
            self._doubtful.setdefault("base64", (at, f"{key} is base64; OTLP JSON has ids in hexadecimal"))
            return raw
        self._doubtful.setdefault(key, (at, f"{key} is {_shown(value)}; allowed: {2 * size} hex digits"))
        return b""

    def _members(
        self, at: int, take: Mapping[str, Callable[[int], int]], found: list[str] | None = None
    ) -> int:
        """Walk the object at `at`: values of the keys in `take` are handed over, others skipped."""
        text = self._text
        if text[at : at + 1] != "{":
            return self._not_as_expected(at, "an object")
        at = self._space(at + 1)
        if text[at : at + 1] == "}":
            return at + 1
        while True:
            member = _MEMBER.match(text, at)
            key, at = (member[1], member.end()) if member else self._key(at)
            if found is not None:
                found.append(key)
            if key not in take and (scalar := _SCALAR.match(text, at)):
                at, mark = scalar.end() - 1, scalar[1]
            else:
                at = self._space(take[key](at) if key in take else self._skipped(at))
                mark = text[at : at + 1]
            if mark == "}":
                return at + 1
            if mark != ",":
                raise json.JSONDecodeError("expected ',' or '}'", text, at)
            at = self._space(at + 1)

    def _key(self, at: int) -> tuple[str, int]:
        """The key at `at`, and where its value begins."""
        at = self._space(at)
        if self._text[at : at + 1] != '"':
            raise json.JSONDecodeError("expected a key in double quotes", self._text, at)
        key, at = _decode(self._text, at)
        at = self._space(at)
        if self._text[at : at + 1] != ":":
            raise json.JSONDecodeError("expected ':'", self._text, at)
        return str(key), self._space(at + 1)

    def _elements(self, at: int, take: Callable[[int], int]) -> int:
        """Walk the array at `at`; null counts as an empty one."""
        text = self._text
        if text[at : at + 1] != "[":
            return at + 4 if text.startswith("null", at) else self._not_as_expected(at, "an array")
        at = self._space(at + 1)
        if text[at : at + 1] == "]":
            return at + 1
        while True:
            at = self._space(take(at))
            mark = text[at : at + 1]
            if mark == "]":
                return at + 1
            if mark != ",":
                raise json.JSONDecodeError("expected ',' or ']'", text, at)
            at = self._space(at + 1)

    def _not_as_expected(self, at: int, expected: str) -> int:
        value, end = self._value(at)
        if value is not _UNREAD:
            self._problem(at, f"expected {expected}, found {_shown(value)}")
        return end

    def _value(self, at: int) -> tuple[Any, int]:
        """The value at `at` and where it ends; `_UNREAD` where it is nested too deeply to be read."""
        try:
            return _decode(self._text, at)
        except RecursionError:
            self._problem(at, "nested too deeply to be read; passed through")
            return _UNREAD, self._end_of_nested(at)

    def _skipped(self, at: int) -> int:
        """Where the value at `at` ends, however deeply nested it is."""
        try:
            return _decode(self._text, at)[1]
        except RecursionError:
            return self._end_of_nested(at)

    def _end_of_nested(self, at: int) -> int:
        depth, start = 0, at
        while mark := _MARK.search(self._text, at):
            at = mark.end()
            if mark.group() == '"':
                rest = _STRING_REST.match(self._text, at)
                if rest is None:
                    break
                at = rest.end()
                continue
            depth += 1 if mark.group() in "{[" else -1
            if depth == 0:
                return at
        raise json.JSONDecodeError("a value that does not end", self._text, start)

    def _space(self, at: int) -> int:
        if self._text[at : at + 1] > " ":
            return at
        space = _SPACE.match(self._text, at)
        return space.end() if space else at

    def _problem(self, at: int, reason: str) -> None:
        offset = len(self._text[:at].encode("utf-8", "surrogateescape"))
        self.problems.append(Problem(reason, offset=offset))

    def spliced(self, additions: Sequence[str | None], cut_from: Callable[[int], Collection[str]]) -> bytes:
        """The text with attributes added, as bytes.

        `additions[i]`: JSON objects, separated by commas, to append to the attributes of span i (in the order
        of `spans`); "" appends none; None leaves the span as it is. Where there is an addition, attributes of
        span i whose keys are in `cut_from(i)` are taken out.
        """
        text = self._text
        pieces: list[str] = []
        done = 0
        for index in sorted(range(len(self.spans)), key=self.spans.__getitem__):
            addition = additions[index]
            if addition is None:
                continue
            start, end = self.spans[index]
            pieces.append(text[done:start])
            pieces.append(self._span_with(start, end, addition, cut_from(index)))
            done = end
        pieces.append(text[done:])
        return "".join(pieces).encode("utf-8", "surrogateescape")

    def _span_with(self, start: int, end: int, addition: str, cut: Collection[str]) -> str:
        text = self._text
        arrays: list[tuple[int, int]] = []

        def on_attributes(at: int) -> int:
            arrays.append((at, self._skipped(at)))
            return arrays[-1][1]

        self._members(start, {"attributes": on_attributes})
        if arrays:
            at, array_end = arrays[-1]  # of repeated members the last one counts
            if text.startswith("null", at):
                array = f"[{addition}]"
            elif text[at] != "[":
                return text[start:end]
            elif cut:
                array = self._array_with(at, array_end, addition, cut)
            else:
                body = text[at : array_end - 1].rstrip(" \t\r\n")
                comma = "," if addition and body != "[" else ""
                array = f"{body}{comma}{addition}{text[at + len(body) : array_end]}"
            return text[start:at] + array + text[array_end:end]
        if not addition:
            return text[start:end]
        body = text[start : end - 1].rstrip(" \t\r\n")
        comma = "" if body == "{" else ","
        return f'{body}{comma}"attributes":[{addition}]{text[start + len(body) : end]}'

    def _array_with(self, at: int, end: int, addition: str, cut: Collection[str]) -> str:
        """The attribute array at `at`, without what is cut, the addition after the last that stays."""
        text = self._text
        kept: list[str] = []
        first_gap = ""
        last = at + 1

        def element(start: int) -> int:
            nonlocal first_gap, last
            attribute, element_end = self._value(start)
            gap = text[last:start]
            if last == at + 1:
                first_gap = gap
            key = attribute.get("key") if isinstance(attribute, dict) else None
            if not (isinstance(key, str) and key in cut):
                kept.append((gap if kept else first_gap) + text[start:element_end])
            last = element_end
            return element_end

        self._elements(at, element)
        if addition:
            kept.append(f",{addition}" if kept else addition)
        return "[" + "".join(kept) + text[last:end]


class _Unread:
    """Stands for a value that is nested too deeply."""


_UNREAD: Final = _Unread()


class _TooManySpansError(Exception):
    def __init__(self, at: int) -> None:
        self.at = at


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _any_value(value: Any) -> tuple[int, object]:
    """Type and value of an AnyValue object; what cannot be an integer stays a text, to be reported."""
    if isinstance(value, dict) and len(value) == 1:
        ((name, inner),) = value.items()
        if name == "stringValue" and isinstance(inner, str):
            return STRING, inner
    match value:
        case {"stringValue": str(text)}:
            return STRING, text
        case {"intValue": bool(truth)} | {"boolValue": bool(truth)}:
            return BOOL, truth
        case {"intValue": int() | float() | str() as number}:
            whole = _int64(number)
            if whole is not None:
                return INT, whole
            return (STRING, number) if isinstance(number, str) else (DOUBLE, float(number))
        case {"doubleValue": int() | float() as number} if not isinstance(number, bool):
            return DOUBLE, float(number)
        case {"doubleValue": "NaN" | "Infinity" | "-Infinity" as word}:
            return DOUBLE, float(word)
        case {"doubleValue": str(text)}:
            return STRING, text
        case {"arrayValue": dict()}:
            return ARRAY, None
        case {"kvlistValue": dict()}:
            return KVLIST, None
        case {"bytesValue": str()}:
            return BYTES, None
    return NONE, None


def _int64(value: Any) -> int | None:
    """A 64-bit integer from a number or a string of digits; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        if not re.fullmatch(r"[+-]?[0-9]{1,20}", value):
            return None
        value = int(value)
    if isinstance(value, float):
        if not math.isfinite(value) or value != math.floor(value):
            return None
        value = int(value)
    return value if isinstance(value, int) and value in _INT64 else None


def _enum(value: Any, names: Mapping[str, int]) -> int:
    """An enum's number. The specification has numbers only; older exporters wrote names."""
    return names.get(value, 0) if isinstance(value, str) else _int64(value) or 0
