"""Attributes as bytes: golden ones, what opentelemetry-proto reads from them, and rows by columns."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from implementations import BOTH, FALLBACK, KERNEL, needs_kernel
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from wattspan.calls import Column
from wattspan.otlp.wire import AttributeColumn, encode_attributes


@pytest.mark.parametrize(
    ("value", "golden"),
    [
        ("hi", "4a090a016b12040a026869"),
        ("", "4a070a016b12020a00"),
        (0, "4a070a016b12021800"),
        (300, "4a080a016b120318ac02"),
        (-1, "4a100a016b120b18ffffffffffffffffff01"),
        (True, "4a070a016b12021001"),
        (False, "4a070a016b12021000"),
        (1.0, "4a0e0a016b120921000000000000f03f"),
    ],
)
def test_one_attribute_to_the_byte(value: object, golden: str) -> None:
    assert encode_attributes([("k", value)]).hex() == golden  # type: ignore[list-item]


def test_opentelemetry_proto_reads_the_attributes_in_order() -> None:
    pairs = [
        ("text", "gpt-4o"),
        ("é", "日本"),
        ("long", "x" * 20_000),
        ("int", 2**63 - 1),
        ("negative", -(2**63)),
        ("double", 0.1 + 0.2),
        ("tiny", 5e-324),
        ("yes", True),
        ("one", 1),
        ("one again", 1.0),
    ]
    read = Span.FromString(encode_attributes(pairs))
    found = [(a.key, getattr(a.value, a.value.WhichOneof("value"))) for a in read.attributes]
    assert found == pairs
    assert [type(value) for _, value in found] == [type(value) for _, value in pairs]


def test_text_with_half_a_surrogate_pair_stays_valid_utf8() -> None:
    read = Span.FromString(encode_attributes([("k", "a\ud800b")]))
    assert read.attributes[0].value.string_value == "a?b"


@pytest.mark.parametrize(
    ("value", "error"), [(None, TypeError), ([1], TypeError), (b"x", TypeError), (2**63, OverflowError)]
)
def test_values_that_no_attribute_can_hold_are_refused(value: object, error: type[Exception]) -> None:
    with pytest.raises(error, match="attribute k"):
        encode_attributes([("k", value)])  # type: ignore[list-item]


@pytest.mark.parametrize("wire", BOTH)
def test_values_that_equal_one_another_are_written_as_they_are(wire: SimpleNamespace) -> None:
    for values in ([0.0, -0.0], [-0.0, 0.0], [True, 1, 1.0], [1.0, 1, True]):
        read = Span.FromString(encode_attributes([("equal", value) for value in values]))
        found = [getattr(a.value, a.value.WhichOneof("value")) for a in read.attributes]
        assert [repr(value) for value in found] == [repr(value) for value in values]
    made = wire.encode_columns([AttributeColumn("equal", np.array([0.0, -0.0]))], np.arange(2), 2)
    assert list(made) == [encode_attributes([("equal", 0.0)]), encode_attributes([("equal", -0.0)])]
    assert made[0] != made[1]


@pytest.mark.parametrize("wire", BOTH)
def test_columns_are_written_row_by_row(wire: SimpleNamespace) -> None:
    columns = [
        AttributeColumn("energy", np.array([0.5, math.nan, -math.inf])),
        AttributeColumn("model", Column.of(["gpt", "", "gpt"])),
        AttributeColumn("tokens", np.array([1, 128, -5])),
        AttributeColumn("hidden", np.array([1, 2, 3]), np.array([False, True, False])),
        AttributeColumn("is_error", np.array([True, False, True])),
        AttributeColumn("edition", "2026.11"),
        AttributeColumn("pue", 1.2),
        AttributeColumn("streams", True),
        AttributeColumn("count", 7),
        AttributeColumn("nothing", ""),
        AttributeColumn("nan", math.nan),
    ]
    same = [("edition", "2026.11"), ("pue", 1.2), ("streams", True), ("count", 7)]
    made = wire.encode_columns(columns, np.array([4, 0, 2]), 5)
    assert list(made) == [
        encode_attributes([("tokens", 128), ("hidden", 2), ("is_error", False), *same]),
        None,
        encode_attributes([("model", "gpt"), ("tokens", -5), ("is_error", True), *same]),
        None,
        encode_attributes([("energy", 0.5), ("model", "gpt"), ("tokens", 1), ("is_error", True), *same]),
    ]


@pytest.mark.parametrize("wire", BOTH)
def test_rows_without_any_attribute_are_edited_all_the_same(wire: SimpleNamespace) -> None:
    assert list(wire.encode_columns([], np.array([1]), 3)) == [None, b"", None]
    assert list(wire.encode_columns([AttributeColumn("a", math.nan)], np.array([1]), 3)) == [None, b"", None]
    assert list(wire.encode_columns([AttributeColumn("a", 1)], np.array([], dtype=np.int64), 2)) == [
        None,
        None,
    ]
    assert list(wire.encode_columns([], np.array([], dtype=np.int64), 0)) == []


@pytest.mark.parametrize("wire", BOTH)
def test_wrong_rows_and_columns_are_refused(wire: SimpleNamespace) -> None:
    numbers = np.array([1.0, 2.0])
    for column in (
        AttributeColumn("k", np.array([1.0])),
        AttributeColumn("k", Column.of(["a"])),
        AttributeColumn("k", numbers, np.array([True])),
    ):
        with pytest.raises(ValueError, match="attribute k has an array of shape"):
            wire.encode_columns([column], np.array([0, 1]), 2)
    with pytest.raises(ValueError, match="row 1 goes to span 2"):
        wire.encode_columns([AttributeColumn("k", numbers)], np.array([0, 2]), 2)
    with pytest.raises(ValueError, match="row 0 goes to span -1"):
        wire.encode_columns([AttributeColumn("k", numbers)], np.array([-1, 0]), 2)
    with pytest.raises(ValueError, match="span 1 is named twice"):
        wire.encode_columns([AttributeColumn("k", numbers)], np.array([1, 1]), 2)
    with pytest.raises(TypeError, match="attribute k: an array of complex128"):
        wire.encode_columns([AttributeColumn("k", np.array([1j, 2j]))], np.array([0, 1]), 2)  # type: ignore[arg-type]


@needs_kernel
def test_codes_outside_their_names_are_refused() -> None:
    for code in (-1, 2):
        column = Column(np.array([code], dtype=np.int32), ("", "a"))
        with pytest.raises(ValueError, match=f"attribute k: code {code} in row 0, but 2 names"):
            KERNEL.encode_columns([AttributeColumn("k", column)], np.array([0]), 1)


@pytest.mark.parametrize("wire", BOTH)
def test_every_width_of_integer(wire: SimpleNamespace) -> None:
    numbers = [
        0,
        1,
        127,
        *(n for bits in range(7, 63, 7) for n in (2**bits - 1, 2**bits)),
        2**63 - 1,
        -1,
        -(2**63),
    ]
    made = wire.encode_columns(
        [AttributeColumn("k", np.array(numbers))], np.arange(len(numbers)), len(numbers)
    )
    assert list(made) == [encode_attributes([("k", number)]) for number in numbers]


_columns_at_random = st.one_of(
    st.lists(st.floats(), min_size=3, max_size=3).map(lambda v: np.array(v, dtype=np.float64)),
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=3, max_size=3).map(
        lambda v: np.array(v, dtype=np.int64)
    ),
    st.lists(st.booleans(), min_size=3, max_size=3).map(lambda v: np.array(v, dtype=np.bool_)),
    st.lists(st.text(max_size=40), min_size=3, max_size=3).map(Column.of),
    st.text(max_size=300),
    st.booleans(),
    st.floats(),
)
_present = st.one_of(st.none(), st.lists(st.booleans(), min_size=3, max_size=3).map(np.array))


@needs_kernel
@settings(deadline=None)
@given(
    st.lists(st.builds(AttributeColumn, st.text(max_size=30), _columns_at_random, _present), max_size=5),
    st.permutations(range(6)),
)
def test_both_write_the_same_bytes(columns: list[AttributeColumn], places: list[int]) -> None:
    rows = np.array(places[:3])
    ours, theirs = KERNEL.encode_columns(columns, rows, 6), FALLBACK.encode_columns(columns, rows, 6)
    assert ours.blob == theirs.blob
    assert ours.offsets.tolist() == theirs.offsets.tolist()
    assert ours.edits.tolist() == theirs.edits.tolist()
