"""Readers of `SpanTable`, and the builder that makes one from Python values."""

from __future__ import annotations

import math

import numpy as np
import pytest

from wattspan.otlp.wire import (
    ARRAY,
    BOOL,
    BYTES,
    DOUBLE,
    INT,
    KVLIST,
    NONE,
    STRING,
    KeySet,
    SpanTable,
    SpanTableBuilder,
    is_own_key,
)


def table_of(*spans: list[tuple[str, int, object]], keys: tuple[str, ...] = ("a", "b", "c")) -> SpanTable:
    builder = SpanTableBuilder(keys)
    builder.resource([("c", STRING, "resource")])
    builder.scope("scope", "1.0")
    for attributes in spans:
        builder.span(attributes=attributes)
    return builder.build()


def test_numbers_are_read_from_integers_doubles_and_texts() -> None:
    table = table_of(
        [("a", INT, 318)],
        [("a", DOUBLE, 318.5)],
        [("a", STRING, "318")],
        [("a", STRING, "2.5e-4")],
        [("b", INT, 1)],
    )
    read = table.numbers(["a"])
    assert read.values.tolist() == [318.0, 318.5, 318.0, 0.00025, 0.0]
    assert read.present.tolist() == [True, True, True, True, False]
    assert read.rejected.tolist() == [False] * 5


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (DOUBLE, math.nan),
        (DOUBLE, math.inf),
        (INT, -1),
        (DOUBLE, 1e12),
        (STRING, "many"),
        (STRING, ""),
        (STRING, "1_000"),
        (STRING, "nan"),
        (STRING, "٣"),
        (STRING, "1" * 41),
        (BOOL, True),
        (ARRAY, None),
        (NONE, None),
    ],
)
def test_what_is_no_acceptable_number_is_rejected(kind: int, value: object) -> None:
    read = table_of([("a", kind, value)]).numbers(["a"], most=1e9)
    assert (read.values.tolist(), read.present.tolist(), read.rejected.tolist()) == ([0.0], [False], [True])


def test_the_next_key_is_tried_where_the_first_holds_no_number() -> None:
    table = table_of(
        [("a", STRING, "?"), ("b", INT, 2)], [("a", INT, 1), ("b", INT, 2)], [("b", STRING, "?")]
    )
    read = table.numbers(["a", "b"])
    assert (read.values.tolist(), read.present.tolist()) == ([2.0, 1.0, 0.0], [True, True, False])
    assert read.rejected.tolist() == [False, False, True]


def test_texts_are_taken_from_the_first_key_that_has_one() -> None:
    table = table_of([("a", STRING, ""), ("b", STRING, "second")], [("a", STRING, "first")], [("a", INT, 5)])
    assert [table.text(code) for code in table.codes(["a", "b"])] == ["second", "first", ""]
    assert table.codes(["a", "b"])[2] == -1
    assert [table.text(code) for code in table.resource_codes(["c"])] == ["resource"] * 3
    assert table.resource_codes(["a"]).tolist() == [-1] * 3


def test_first_names_the_value_and_readers_take_some_rows_only() -> None:
    table = table_of([("a", INT, 10)], [("b", INT, 20)], [("a", INT, 30), ("b", INT, 31)])
    at = table.first(["b", "a"])
    assert table.value_int[at].tolist() == [10, 20, 31]
    for rows in (np.array([2, 1]), np.array([False, True, True])):
        assert table.first(["a"], rows).tolist() == table.first(["a"])[rows].tolist()
        assert table.numbers(["b"], rows).values.tolist() == table.numbers(["b"]).values[rows].tolist()
        assert table.codes(["a"], rows).tolist() == [-1, -1]
        assert table.resource_codes(["c"], rows).tolist() == table.resource_codes(["c"])[rows].tolist()
    assert table.first(["c"]).tolist() == [-1, -1, -1]


def test_a_key_that_was_not_asked_for_cannot_be_read() -> None:
    table = table_of([])
    for read in (table.first, table.codes, table.numbers, table.resource_codes):
        with pytest.raises(KeyError):
            read(["z"])


def test_a_builder_makes_the_rows_it_is_given() -> None:
    builder = SpanTableBuilder(["a", "wattspan.edition"])
    assert (builder.resource(), builder.scope("one"), builder.resource([("a", INT, 1)]), builder.scope()) == (
        0,
        0,
        1,
        1,
    )
    row = builder.span(
        trace_id=bytes(range(16)),
        span_id=bytes.fromhex("00000000000000ff"),
        parent_span_id=bytes(3),
        start_unix_ns=5,
        end_unix_ns=2**63,
        kind=3,
        status=-1,
        name="name",
        trace_state="ot=th:8",
        attributes=[("a", BYTES, None), ("b", INT, 1), ("wattspan.edition", KVLIST, None)],
    )
    table = builder.build()
    assert (row, table.n, table.n_scopes, table.n_resources) == (0, 1, 2, 2)
    assert (table.resource.tolist(), table.scope.tolist(), table.resource_of_scope.tolist()) == (
        [1],
        [1],
        [0, 1],
    )
    assert (table.span_id.tolist(), table.parent_span_id.tolist()) == ([255], [0])
    assert (table.start_unix_ns.tolist(), table.end_unix_ns.tolist()) == ([5], [0])
    assert (table.kind.tolist(), table.status.tolist(), table.own_attr.tolist()) == ([3], [0], [True])
    assert (table.start.tolist(), table.end.tolist()) == ([-1], [-1])
    assert table.value_type.tolist() == [INT, BYTES, KVLIST]
    assert table.text(table.name_code[0]) == "name"
    assert table.text(table.trace_state_code[0]) == "ot=th:8"


def test_an_empty_builder_makes_an_empty_table() -> None:
    table = SpanTableBuilder(KeySet(["a"])).build()
    assert (len(table), table.n_scopes, table.n_resources, list(table.texts)) == (0, 0, 0, [b""])
    assert table.numbers(["a"]).values.tolist() == []


@pytest.mark.parametrize(
    ("kind", "value"), [(INT, "1"), (INT, 2**63), (STRING, 1), (DOUBLE, "1"), (BOOL, 1.5), (9, 1)]
)
def test_a_builder_refuses_values_that_are_not_of_their_type(kind: int, value: object) -> None:
    builder = SpanTableBuilder(["a"])
    with pytest.raises(ValueError, match="cannot hold"):
        builder.resource([("a", kind, value)])


def test_a_key_set_is_made_once_for_the_same_keys() -> None:
    assert table_of([], keys=("a", "b")).keyset is table_of([], keys=("a", "b")).keyset
    keys = KeySet(["x", "y"])
    assert SpanTableBuilder(keys).build().keyset is keys
    assert (len(keys), keys.position, repr(keys)) == (2, {"x": 0, "y": 1}, "KeySet(2 keys)")


def test_own_keys_are_told_by_prefix_or_name() -> None:
    own = ["wattspan.pue", "gen_ai.usage.energy_kwh", "gen_ai.usage.co2e_g"]
    assert [is_own_key(key) for key in [*own, "wattspan", "gen_ai.usage.input_tokens"]] == [True] * 3 + [
        False
    ] * 2
