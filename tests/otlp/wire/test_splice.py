"""`splice` appends attributes and touches nothing else: by hand, and against parse, edit and serialise."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from implementations import BOTH, FALLBACK, KERNEL, everything, needs_kernel, values_of
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
from requests_at_random import KEYS, OTHER_KEYS, requests
from wire_bytes import attribute, counted, group, int_value, number_field, request, span, text_value, varint

from wattspan.otlp.wire import Additions, KeySet, WireError, encode_attributes
from wattspan.otlp.wire.messages import raw_messages

CAPTURES = sorted((Path(__file__).parents[2] / "captures").glob("*.binpb"))
OWN = ["gen_ai.usage.energy_kwh", "wattspan.edition", "wattspan.basis"]
ADDITION = encode_attributes([("gen_ai.usage.energy_kwh", 0.0003), ("wattspan.edition", "2026.11")])


def attributes_of(data: bytes) -> list[list[tuple[str, str]]]:
    """Keys and values of each span as opentelemetry-proto reads them."""
    return [
        [(attribute.key, str(attribute.value).strip()) for attribute in span.attributes]
        for resource_spans in TracesData.FromString(data).resource_spans
        for scope_spans in resource_spans.scope_spans
        for span in scope_spans.spans
    ]


@pytest.mark.parametrize("wire", BOTH)
def test_an_addition_is_appended_to_its_span_only(wire: SimpleNamespace) -> None:
    body = span(counted(5, b"s"), attributes=(attribute("a", int_value(1)),))
    data = request(body, body, body)
    spliced = wire.splice(data, wire.scan(data, []), [None, ADDITION, None], OWN)
    assert attributes_of(spliced) == [
        [("a", "int_value: 1")],
        [
            ("a", "int_value: 1"),
            ("gen_ai.usage.energy_kwh", "double_value: 0.0003"),
            ("wattspan.edition", 'string_value: "2026.11"'),
        ],
        [("a", "int_value: 1")],
    ]


@needs_kernel
def test_the_kernel_writes_exactly_the_old_bytes_the_addition_and_three_lengths() -> None:
    head = counted(5, b"s") + number_field(100, 1) + group(101, b"")
    tail = counted(3, b"schema")
    data = counted(1, tail + counted(2, counted(2, head) + tail) + tail) + counted(1, b"")
    spliced = KERNEL.splice(data, KERNEL.scan(data, []), [ADDITION], [])
    assert spliced == counted(1, tail + counted(2, counted(2, head + ADDITION) + tail) + tail) + counted(
        1, b""
    )


@needs_kernel
@pytest.mark.parametrize(
    "size", [0, 1, 126, 127, 128, 129, 16_382, 16_383, 16_384, 2_097_150, 2_097_151, 2_097_152]
)
def test_lengths_that_grow_by_a_byte_are_mended(size: int) -> None:
    # The span's length, then the scope's, then the resource's passes the edge where a varint grows.
    for before in range(0, 12, 3):
        body = counted(3, b"x" * max(0, size - before))
        data = request(body)
        spliced = KERNEL.splice(data, KERNEL.scan(data, []), [b"\x50\x01"], [])
        assert spliced == request(body + b"\x50\x01")


@needs_kernel
@pytest.mark.parametrize("width", [2, 3, 4, 5])
def test_lengths_longer_than_needed_are_mended_where_they_change_and_kept_elsewhere(width: int) -> None:
    body = span(counted(5, b"s"))
    spans = counted(2, body, width) + counted(2, body, width)
    kept = counted(1, counted(2, counted(2, body, width), width), width)
    data = counted(1, counted(2, spans, width), width) + kept
    spliced = KERNEL.splice(data, KERNEL.scan(data, []), [None, ADDITION, None], [])
    assert spliced == counted(1, counted(2, counted(2, body, width) + counted(2, body + ADDITION))) + kept


@needs_kernel
def test_where_the_new_attributes_are_as_long_as_the_old_no_length_is_touched() -> None:
    old, new = (
        counted(9, attribute("wattspan.edition", text_value(edition))) for edition in ("2026.11", "2027.02")
    )
    data = counted(1, counted(2, counted(2, counted(5, b"s") + old, 5), 4), 3)
    spliced = KERNEL.splice(data, KERNEL.scan(data, []), [new], OWN)
    assert spliced == data.replace(b"2026.11", b"2027.02")


@pytest.mark.parametrize("wire", BOTH)
@pytest.mark.parametrize("additions", [[None, None], [b"", b""], [None, b""]])
def test_where_nothing_changes_the_same_bytes_come_back(
    wire: SimpleNamespace, additions: list[bytes | None]
) -> None:
    body = span(attributes=(attribute("a", int_value(1)),))
    data = request(body, body)
    assert wire.splice(data, wire.scan(data, []), additions, OWN) is data


@pytest.mark.parametrize("wire", BOTH)
def test_old_keys_of_ours_are_cut_from_edited_spans_wherever_and_however_often_they_are(
    wire: SimpleNamespace,
) -> None:
    old = tuple(attribute(key, int_value(1)) for key in (*OWN, "wattspan.edition"))
    body = span(counted(9, old[0]), counted(5, b"s"), attributes=(attribute("a", int_value(1)), *old[1:]))
    data = request(body, body, body)
    table = wire.scan(data, [])
    assert table.own_attr.tolist() == [True, True, True]
    spliced = wire.splice(data, table, [None, b"", ADDITION], OWN)
    kept = [("a", "int_value: 1")]
    old_keys = [OWN[0], "a", *OWN[1:], "wattspan.edition"]
    assert attributes_of(spliced) == [
        [(key, "int_value: 1") for key in old_keys],
        kept,
        [
            *kept,
            ("gen_ai.usage.energy_kwh", "double_value: 0.0003"),
            ("wattspan.edition", 'string_value: "2026.11"'),
        ],
    ]


@pytest.mark.parametrize("wire", BOTH)
def test_only_the_listed_keys_are_cut(wire: SimpleNamespace) -> None:
    keys = ("wattspan.edition", "wattspan.edition2", "wattspan.editio", "mine")
    data = request(span(attributes=tuple(attribute(key, int_value(1)) for key in keys)))
    for cut in (["wattspan.edition"], ("wattspan.edition",), KeySet(["wattspan.edition"])):
        spliced = wire.splice(data, wire.scan(data, []), [b""], cut)
        assert [key for key, _ in attributes_of(spliced)[0]] == [
            "wattspan.edition2",
            "wattspan.editio",
            "mine",
        ]


@pytest.mark.parametrize("wire", BOTH)
def test_keys_that_are_not_ours_can_be_cut_too(wire: SimpleNamespace) -> None:
    data = request(span(attributes=(attribute("secret", int_value(1)), attribute("a", int_value(1)))))
    spliced = wire.splice(data, wire.scan(data, []), [b""], ["secret"])
    assert attributes_of(spliced) == [[("a", "int_value: 1")]]


@pytest.mark.parametrize("wire", BOTH)
def test_a_key_is_cut_by_its_last_name(wire: SimpleNamespace) -> None:
    renamed = counted(1, b"wattspan.edition") + counted(2, int_value(1)) + counted(1, b"a")
    named = counted(2, int_value(2)) + counted(1, b"a") + counted(1, b"wattspan.edition")
    data = request(span(attributes=(renamed, named)))
    spliced = wire.splice(data, wire.scan(data, []), [b""], OWN)
    assert attributes_of(spliced) == [[("a", "int_value: 1")]]


@needs_kernel
def test_what_was_appended_can_be_cut_again_to_the_byte() -> None:
    for path in CAPTURES:
        data = path.read_bytes()
        table = KERNEL.scan(data, [])
        spliced = KERNEL.splice(data, table, [ADDITION] * table.n, OWN)
        again = KERNEL.scan(spliced, [])
        assert again.own_attr.all()
        assert KERNEL.splice(spliced, again, [ADDITION] * table.n, OWN) == spliced
        assert KERNEL.splice(spliced, again, [b""] * table.n, OWN) == data


@pytest.mark.parametrize("wire", BOTH)
@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_splice_then_parse_is_parse_then_edit(wire: SimpleNamespace, path: Path) -> None:
    data = path.read_bytes()
    table = wire.scan(data, [])
    chosen = [row % 3 != 1 for row in range(table.n)]
    spliced = wire.splice(data, table, [ADDITION if edit else None for edit in chosen], OWN)
    expected = TracesData.FromString(data)
    spans = [s for r in expected.resource_spans for ss in r.scope_spans for s in ss.spans]
    for edited, is_chosen in zip(spans, chosen, strict=True):
        if is_chosen:
            edited.attributes.add(key="gen_ai.usage.energy_kwh").value.double_value = 0.0003
            edited.attributes.add(key="wattspan.edition").value.string_value = "2026.11"
    assert TracesData.FromString(spliced) == expected


def edited(data: bytes, additions: list[bytes | None], cut: list[str]) -> Any:
    """Parse, then edit: the request as a message."""
    traces, _ = raw_messages()
    expected = traces.FromString(data)
    spans = [s for r in expected.resource_spans for ss in r.scope_spans for s in ss.spans]
    for edit, addition in zip(spans, additions, strict=True):
        if addition is not None:
            for place in reversed(range(len(edit.attributes))):
                if edit.attributes[place].key in {key.encode() for key in cut}:
                    del edit.attributes[place]
            edit.MergeFromString(addition)
    return expected


additions_at_random = st.one_of(
    st.none(),
    st.just(b""),
    st.just(ADDITION),
    st.integers(0, 20_000).map(lambda n: encode_attributes([("wattspan.basis", "x" * n)])),
)


@settings(max_examples=250, deadline=None)
@given(requests(), st.data(), st.lists(st.sampled_from([*KEYS, *OTHER_KEYS[:4]]), unique=True))
def test_any_request_spliced_then_parsed_is_parsed_then_edited(
    data: bytes, draw: st.DataObject, cut: list[str]
) -> None:
    reference = FALLBACK.scan(data, KEYS)
    additions = [draw.draw(additions_at_random) for _ in range(reference.n)]
    expected = edited(data, additions, cut)
    event(f"spans: {min(reference.n, 5)}")
    event(f"cuts: {any(reference.own_attr)}")
    traces, _ = raw_messages()
    for wire in (KERNEL, FALLBACK):
        if wire is None:
            continue
        table = wire.scan(data, KEYS)
        assert everything(table) == everything(reference)
        spliced = wire.splice(data, table, additions, cut)
        # Compared as bytes: a message with a NaN does not equal itself.
        assert _canonical(traces.FromString(spliced)) == _canonical(expected)
        again = wire.scan(spliced, KEYS)
        for row, addition in enumerate(additions):
            old = {k: v for k, v in values_of(table)[row].items() if addition is None or k not in cut}
            if addition == ADDITION:
                old |= {
                    "gen_ai.usage.energy_kwh": np.float64(0.0003).tobytes(),
                    "wattspan.edition": b"2026.11",
                }
            assert values_of(again)[row] == old


def _canonical(message: Any) -> bytes:
    return message.SerializeToString(deterministic=True)


@needs_kernel
@settings(max_examples=150, deadline=None)
@given(requests(), st.data())
def test_spans_that_are_not_edited_and_all_between_spans_stay_to_the_byte(
    data: bytes, draw: st.DataObject
) -> None:
    table = KERNEL.scan(data, [])
    additions = [draw.draw(additions_at_random) for _ in range(table.n)]
    spliced = KERNEL.splice(data, table, additions, [])
    again = KERNEL.scan(spliced, [])
    for row, addition in enumerate(additions):
        old = data[table.start[row] : table.end[row]]
        assert spliced[again.start[row] : again.end[row]] == old + (addition or b"")
    # Without the bodies of spans, only lengths may differ, and those in the size of their varints alone.
    assert abs(len(_without_spans(data, table)) - len(_without_spans(spliced, again))) <= 15 * max(1, table.n)
    if not any(additions):
        assert spliced is data


def _without_spans(data: bytes, table: Any) -> bytes:
    ends = [0, *table.end.tolist()]
    starts = [*table.start.tolist(), len(data)]
    return b"".join(data[end:start] for end, start in zip(ends, starts, strict=True))


@pytest.mark.parametrize("wire", BOTH)
def test_additions_may_come_as_one_blob(wire: SimpleNamespace) -> None:
    body = span(attributes=(attribute("wattspan.basis", text_value("old")),))
    data = request(*[body] * 4)
    blob = Additions(
        ADDITION * 2,
        np.array([0, len(ADDITION), len(ADDITION), len(ADDITION), 2 * len(ADDITION)]),
        np.array([True, False, True, True]),
    )
    assert list(blob) == [ADDITION, None, b"", ADDITION]
    assert blob[1:3] == [None, b""]
    assert blob[-1] == ADDITION
    table = wire.scan(data, [])
    assert wire.splice(data, table, blob, OWN) == wire.splice(data, table, list(blob), OWN)


@needs_kernel
@pytest.mark.parametrize("offsets", [[0, 5, 3], [-1, 0, 3], [0, 1, 4], [0, 3]])
def test_additions_outside_their_blob_are_refused(offsets: list[int]) -> None:
    data = request(b"", b"")
    additions = Additions(b"abc", np.array(offsets), np.array([True, True]))
    with pytest.raises(ValueError, match=r"outside their blob|offsets"):
        KERNEL.splice(data, KERNEL.scan(data, []), additions, [])


@pytest.mark.parametrize("wire", BOTH)
def test_another_number_of_additions_or_spans_is_refused(wire: SimpleNamespace) -> None:
    one, two = request(b""), request(b"", b"")
    with pytest.raises(ValueError, match="1 additions for 2 spans"):
        wire.splice(two, wire.scan(two, []), [None], [])
    with pytest.raises(ValueError, match="another number of them"):
        wire.splice(one, wire.scan(two, []), [b"", b""], [])
    with pytest.raises(ValueError, match="another number of them"):
        wire.splice(two, wire.scan(one, []), [b""], [])


@needs_kernel
def test_additions_that_are_no_bytes_are_refused() -> None:
    data = request(b"")
    with pytest.raises(TypeError, match="addition of span 0 is str"):
        KERNEL.splice(data, KERNEL.scan(data, []), ["text"], [])


@needs_kernel
def test_a_request_that_would_grow_beyond_two_gigabytes_is_refused() -> None:
    data = request(*[b""] * 300)
    with pytest.raises(WireError, match=r"2\^31 - 1 bytes"):
        KERNEL.splice(data, KERNEL.scan(data, []), [bytes(8_000_000)] * 300, [])


@pytest.mark.parametrize("wire", BOTH)
def test_hundred_thousand_spans_are_spliced(wire: SimpleNamespace) -> None:
    count = 100_000 if wire is KERNEL else 5_000
    data = request(*[span(counted(5, b"s"))] * count)
    spliced = wire.splice(data, wire.scan(data, []), [ADDITION] * count, OWN)
    assert spliced == request(*[span(counted(5, b"s")) + ADDITION] * count)


@pytest.mark.parametrize("wire", BOTH)
def test_an_addition_of_ten_megabytes(wire: SimpleNamespace) -> None:
    big = encode_attributes([("wattspan.basis", "x" * 10_000_000)])
    data = request(span(counted(5, b"s")))
    spliced = wire.splice(data, wire.scan(data, []), [big], OWN)
    assert spliced == request(span(counted(5, b"s")) + big)
    assert spliced.endswith(b"x" * 100)
    assert varint(len(big) + 3) in spliced[:30]
