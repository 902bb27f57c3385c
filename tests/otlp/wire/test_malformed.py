"""Broken bytes raise WireError at the byte where the broken field begins, and nothing else."""

from __future__ import annotations

import pickle
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from implementations import BOTH, FALLBACK, KERNEL, needs_kernel
from requests_at_random import requests
from wire_bytes import attribute, counted, fixed64, group, int_value, number_field, request, span, tag, varint

from wattspan.otlp.wire import SpanTableBuilder, WireError, limits, table
from wattspan.otlp.wire.walk import check

GOOD = request(span(counted(5, b"s"), attributes=(attribute("a", int_value(1)),)))

# What comes before it in the request; the broken bytes; offset in them; what is said.
BROKEN = {
    "varint cut off": (b"", b"\x08", 1, "varint is cut off"),
    "varint of eleven bytes": (b"", b"\x08" + b"\xff" * 11, 1, "more than 10 bytes"),
    "tag of six bytes": (b"", b"\x88\x80\x80\x80\x80\x00\x01", 0, "tag has more than 5 bytes"),
    "tag above 32 bits": (b"", varint(2**32), 0, "tag has more than 5 bytes"),
    "field number 0": (b"", b"\x00\x01", 0, "number 0"),
    "field number 0 with bytes": (b"", b"\x02\x00", 0, "number 0"),
    "wire type 6": (b"", b"\x0e", 0, "wire type 6 or 7"),
    "wire type 7": (b"", b"\x0f", 0, "wire type 6 or 7"),
    "wire type 7 in a group": (b"", tag(9, 3) + b"\x0f", 1, "wire type 6 or 7"),
    "length past the end": (GOOD, b"\x0a\x05abc", 1, "past the end"),
    "length of six bytes": (b"", b"\x0a" + varint(0, 6), 1, "length has more than 5 bytes"),
    "length of two gigabytes": (b"", b"\x0a" + varint(2**31), 1, "length has more than 5 bytes"),
    "length beyond 64 bits": (b"", b"\x0a" + b"\xff" * 9 + b"\x7f", 1, "length has more than 5 bytes"),
    "fixed64 cut off": (b"", b"\x09" + b"1234567", 1, "fixed-width"),
    "fixed32 cut off": (b"", b"\x0d" + b"123", 1, "fixed-width"),
    "fixed64 cut off in a group": (b"", tag(9, 3) + b"\x09" + b"1234567", 2, "fixed-width"),
    "fixed32 cut off in a group": (b"", tag(9, 3) + b"\x0d" + b"123", 2, "fixed-width"),
    "end of a group that was not begun": (GOOD, b"\x0c", 0, "group ends"),
    "end of another group": (b"", tag(9, 3) + tag(10, 3) + tag(9, 4), 2, "group ends"),
    "group that is not closed": (GOOD, tag(9, 3) + number_field(1, 1), 3, "not closed"),
    "groups too deep": (b"", tag(1, 3) * 101, 100, "nested"),
}
IN_SPAN = {
    "resource spans": lambda body: counted(1, body),
    "resource": lambda body: counted(1, counted(1, body)),
    "entity": lambda body: counted(1, counted(1, counted(3, body))),
    "scope spans": lambda body: counted(1, counted(2, body)),
    "scope": lambda body: counted(1, counted(2, counted(1, body))),
    "span": lambda body: request(body),
    "status": lambda body: request(counted(15, body)),
    "event": lambda body: request(counted(11, body)),
    "event attribute": lambda body: request(counted(11, counted(3, body))),
    "link": lambda body: request(counted(13, body)),
    "link attribute": lambda body: request(counted(13, counted(4, body))),
    "attribute": lambda body: request(counted(9, body)),
    "scope attribute": lambda body: counted(1, counted(2, counted(1, counted(3, body)))),
    "resource attribute": lambda body: counted(1, counted(1, counted(1, body))),
    "value": lambda body: request(counted(9, counted(2, body))),
    "array": lambda body: request(counted(9, counted(2, counted(5, body)))),
    "value in an array": lambda body: request(counted(9, counted(2, counted(5, counted(1, body))))),
    "list": lambda body: request(counted(9, counted(2, counted(6, body)))),
    "value in a list": lambda body: request(counted(9, counted(2, counted(6, counted(1, counted(2, body)))))),
}


@pytest.mark.parametrize("wire", BOTH)
@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_request_names_the_byte_and_what_is_wrong(wire: SimpleNamespace, case: str) -> None:
    before, broken, offset, what = BROKEN[case]
    with pytest.raises(WireError, match=what) as caught:
        wire.scan(before + broken, ["a"])
    assert caught.value.offset == len(before) + offset
    assert str(caught.value) == f"byte {len(before) + offset}: {caught.value.what}"


@pytest.mark.parametrize("wire", BOTH)
@pytest.mark.parametrize("place", IN_SPAN)
@pytest.mark.parametrize(
    "broken", [b"\x0a\x05abc", b"\x0f", b"\x80", b"\x39123", b"\x53", b"\x00"], ids=bytes.hex
)
def test_what_nobody_reads_is_checked_too(wire: SimpleNamespace, place: str, broken: bytes) -> None:
    data = IN_SPAN[place](fixed64(60, 1) + broken)
    at = data.index(fixed64(60, 1)) + len(fixed64(60, 1))
    offset = {b"\x0a": 1, b"\x39": 1, b"\x53": 1}.get(broken[:1], 0)
    with pytest.raises(WireError) as caught:
        wire.scan(data + GOOD, ["a"])
    assert caught.value.offset == at + offset


@pytest.mark.parametrize("wire", BOTH)
def test_a_message_nested_too_deep_is_refused(wire: SimpleNamespace) -> None:
    value = b""
    for _ in range(48):
        value = counted(1, counted(5, value))
    with pytest.raises(WireError, match="more than 100 messages"):
        wire.scan(request(span(attributes=(attribute("a", counted(5, value)),))), ["a"])
    groups = b""
    for _ in range(98):
        groups = group(50, groups)
    with pytest.raises(WireError, match="more than 100 messages"):
        wire.scan(request(groups), ["a"])


@pytest.mark.parametrize("wire", BOTH)
def test_every_truncation_of_a_request_is_refused_or_read(wire: SimpleNamespace) -> None:
    event = counted(11, counted(2, b"e") + counted(3, attribute("b", counted(5, counted(1, int_value(300))))))
    data = request(
        span(event, number_field(100, 2**40), counted(16, group(9)), attributes=(attribute("a", b""),))
    )
    for length in range(1, len(data)):
        with pytest.raises(WireError) as caught:
            wire.scan(data[:length], ["a"])
        assert 0 <= caught.value.offset <= length


@needs_kernel
@settings(max_examples=250, deadline=None)
@given(requests(), st.data())
def test_both_refuse_the_same_bytes_for_the_same_reason(data: bytes, draw: st.DataObject) -> None:
    mutable = bytearray(data)
    for _ in range(draw.draw(st.integers(1, 4))):
        at = draw.draw(st.integers(0, len(mutable)))
        match draw.draw(st.sampled_from(["flip", "insert", "delete", "cut"])):
            case "flip" if at < len(mutable):
                mutable[at] = draw.draw(st.integers(0, 255))
            case "insert":
                mutable[at:at] = draw.draw(st.binary(max_size=4))
            case "delete":
                del mutable[at : at + draw.draw(st.integers(1, 4))]
            case "cut":
                del mutable[at:]
    broken = bytes(mutable)
    answers = []
    for wire in (KERNEL, FALLBACK):
        try:
            answers.append(wire.scan(broken, ["a"]).n)
        except WireError as error:
            answers.append((error.offset, error.what))
    assert answers[0] == answers[1]
    if isinstance(answers[0], int):
        check(broken)
    else:
        with pytest.raises(WireError) as caught:
            check(broken)
        assert answers[0] == (caught.value.offset, caught.value.what)


@pytest.mark.parametrize("wire", BOTH)
def test_splice_refuses_broken_bytes_with_their_offset(wire: SimpleNamespace) -> None:
    with pytest.raises(WireError) as caught:
        wire.splice(GOOD + b"\x0f", wire.scan(GOOD, ["a"]), [b""], [])
    assert caught.value.offset == len(GOOD)


@needs_kernel
def test_more_rows_than_a_request_may_have_are_refused() -> None:
    for message in (
        counted(1, counted(2, counted(2, b"") * (limits.MOST_ROWS + 1))),
        counted(1, counted(2, b"") * (limits.MOST_ROWS + 1)),
        counted(1, b"") * (limits.MOST_ROWS + 1),
    ):
        with pytest.raises(WireError, match="more than 2097152 spans, scopes or resources"):
            KERNEL.scan(message, ["a"])


def test_the_fallback_has_the_same_bound_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wattspan.otlp.wire.fallback.MOST_ROWS", 2)
    assert FALLBACK.scan(request(b"", b""), []).n == 2
    for message in (request(b"", b"", b""), counted(1, counted(2, b"") * 3), counted(1, b"") * 3):
        with pytest.raises(WireError, match="spans, scopes or resources"):
            FALLBACK.scan(message, [])


def test_a_few_bytes_cannot_ask_for_gigabytes_of_index() -> None:
    keys = [f"k{i}" for i in range(1000)]
    carries_all = span(attributes=tuple(attribute(key, int_value(1)) for key in keys))
    rows = limits.MOST_CELLS // len(keys) + 1
    data = request(carries_all, *[b""] * rows)
    assert len(data) < 200_000
    for wire in (KERNEL, FALLBACK):
        if wire is not None:
            with pytest.raises(WireError, match="attribute keys times spans"):
                wire.scan(data, keys)


def test_a_builder_refuses_too_large_an_index(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "MOST_CELLS", 3)
    builder = SpanTableBuilder(["a", "b"])
    builder.resource()
    builder.scope()
    for _ in range(2):
        builder.span(attributes=[("a", 3, 1), ("b", 3, 1)])
    with pytest.raises(WireError, match="attribute keys times spans"):
        builder.build()


def test_errors_travel_between_processes() -> None:
    error = pickle.loads(pickle.dumps(WireError(7, "something")))
    assert (error.offset, error.what, str(error)) == (7, "something", "byte 7: something")


@pytest.mark.parametrize("wire", BOTH)
def test_random_bytes_raise_nothing_but_wire_errors(wire: SimpleNamespace) -> None:
    rng = np.random.default_rng(7)
    refused = 0
    for _ in range(3000):
        data = rng.integers(0, 256, rng.integers(1, 60), dtype=np.uint8).tobytes()
        try:
            wire.scan(data, ["a"])
        except WireError:
            refused += 1
    assert refused > 2500
