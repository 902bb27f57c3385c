"""What `scan` reads, asserted against bytes written by hand; both implementations."""

from __future__ import annotations

import struct
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from implementations import BOTH, KERNEL, everything, needs_kernel, values_of
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
from wire_bytes import (
    attribute,
    counted,
    double,
    fixed32,
    fixed64,
    group,
    int_value,
    number_field,
    request,
    span,
    text_value,
    varint,
)

from wattspan.otlp.wire import WireError
from wattspan.otlp.wire.limits import FAULTS, LENGTH_PAST

CAPTURES = Path(__file__).parents[2] / "captures"

pytestmark = pytest.mark.parametrize("wire", BOTH)


def test_an_empty_request_has_no_spans(wire: SimpleNamespace) -> None:
    table = wire.scan(b"", ["a"])
    assert (table.n, table.n_scopes, table.n_resources, len(table)) == (0, 0, 0, 0)
    assert table.trace_id.shape == (0, 16)
    assert table.first(["a"]).tolist() == []


def test_ids_times_kind_status_and_name_of_a_span(wire: SimpleNamespace) -> None:
    body = span(
        counted(1, bytes(range(16))),
        counted(2, bytes.fromhex("0102030405060708")),
        counted(3, b"ot=th:8,vendor=1"),
        counted(4, bytes.fromhex("ff00000000000001")),
        counted(5, b"chat gpt-4o"),
        number_field(6, 3),
        fixed64(7, 1_700_000_000_000_000_000),
        fixed64(8, 1_700_000_001_500_000_000),
        counted(15, counted(2, b"quota") + number_field(3, 2)),
    )
    table = wire.scan(request(body), ["a"])
    assert table.n == 1
    assert table.trace_id[0].tolist() == list(range(16))
    assert table.span_id.tolist() == [0x0102030405060708]
    assert table.parent_span_id.tolist() == [0xFF00000000000001]
    assert table.text(table.name_code[0]) == "chat gpt-4o"
    assert table.text(table.trace_state_code[0]) == "ot=th:8,vendor=1"
    assert (table.kind.tolist(), table.status.tolist()) == ([3], [2])
    assert table.start_unix_ns.tolist() == [1_700_000_000_000_000_000]
    assert table.end_unix_ns.tolist() == [1_700_000_001_500_000_000]


def test_bounds_enclose_the_body_of_each_span(wire: SimpleNamespace) -> None:
    bodies = [span(counted(5, b"one")), b"", span(counted(5, b"three" * 50))]
    data = request(*bodies) + request(bodies[0])
    table = wire.scan(data, ["a"])
    found = [data[start:end] for start, end in zip(table.start.tolist(), table.end.tolist(), strict=True)]
    assert found == [*bodies, bodies[0]]


def test_ids_of_a_wrong_length_are_none(wire: SimpleNamespace) -> None:
    body = span(counted(1, b"short"), counted(2, b"nine byte"), counted(4, b""))
    table = wire.scan(request(body), [])
    assert not table.trace_id.any()
    assert (table.span_id.tolist(), table.parent_span_id.tolist()) == ([0], [0])


def test_numbers_that_do_not_fit_their_column_are_unknown(wire: SimpleNamespace) -> None:
    body = span(
        number_field(6, 128),
        fixed64(7, 2**63),
        fixed64(8, 2**63 - 1),
        counted(15, number_field(3, 2**64 - 1)),
    )
    table = wire.scan(request(body), [])
    assert (table.kind.tolist(), table.status.tolist()) == ([0], [0])
    assert (table.start_unix_ns.tolist(), table.end_unix_ns.tolist()) == ([0], [2**63 - 1])


def test_enums_are_32_bits_wide(wire: SimpleNamespace) -> None:
    table = wire.scan(request(span(number_field(6, 2**32 + 3))), [])
    assert table.kind.tolist() == [3]


def test_every_type_of_value(wire: SimpleNamespace) -> None:
    values = {
        "text": text_value("318"),
        "empty": text_value(""),
        "true": number_field(2, 1),
        "false": number_field(2, 0),
        "true by another number": number_field(2, 2**40),
        "int": int_value(318),
        "negative": int_value(-(2**63)),
        "double": double(4, 318.0),
        "array": counted(5, counted(1, text_value("stop"))),
        "kvlist": counted(6, counted(1, attribute("k", int_value(1)))),
        "bytes": counted(7, b"\x00\xff"),
        "none": b"",
    }
    body = span(attributes=tuple(attribute(key, value) for key, value in values.items()))
    table = wire.scan(request(body), [*values, "absent"])
    assert values_of(table) == [
        {
            "text": b"318",
            "empty": b"",
            "true": True,
            "false": False,
            "true by another number": True,
            "int": 318,
            "negative": -(2**63),
            "double": struct.pack("<d", 318.0),
            "array": "array",
            "kvlist": "kvlist",
            "bytes": "bytes",
            "none": "none",
        }
    ]


def test_only_keys_asked_for_are_kept(wire: SimpleNamespace) -> None:
    body = span(
        attributes=(attribute("a", int_value(1)), attribute("b", int_value(2)), attribute("ab", int_value(3)))
    )
    table = wire.scan(request(body), ["b", "c"])
    assert values_of(table) == [{"b": 2}]
    assert len(table.value_type) == 1
    assert table.span_index.of(1) is None


def test_attributes_of_span_scope_and_resource_are_apart(wire: SimpleNamespace) -> None:
    data = request(
        span(attributes=(attribute("k", text_value("span")),)),
        span(),
        scope=counted(1, b"scope name")
        + counted(2, b"1.2")
        + counted(3, attribute("k", text_value("scope"))),
        resource=counted(1, attribute("k", text_value("resource"))),
    )
    table = wire.scan(data + data, ["k"])
    assert values_of(table) == [{"k": b"span"}, {}, {"k": b"span"}, {}]
    assert values_of(table, "scope") == [{"k": b"scope"}] * 2
    assert values_of(table, "resource") == [{"k": b"resource"}] * 2
    assert (table.resource.tolist(), table.scope.tolist()) == ([0, 0, 1, 1], [0, 0, 1, 1])
    assert table.resource_of_scope.tolist() == [0, 1]
    assert [table.text(code) for code in table.scope_name_code] == ["scope name"] * 2
    assert [table.text(code) for code in table.scope_version_code] == ["1.2"] * 2


def test_each_text_is_there_once_and_the_first_is_empty(wire: SimpleNamespace) -> None:
    body = span(
        counted(5, b"x"), attributes=(attribute("a", text_value("x")), attribute("b", text_value("y")))
    )
    table = wire.scan(request(body, body, scope=counted(1, b"y")), ["a", "b"])
    assert sorted(table.texts) == [b"", b"x", b"y"]
    assert table.texts[0] == b""


def test_hundred_thousand_distinct_texts_keep_their_codes(wire: SimpleNamespace) -> None:
    count = 100_000 if wire is KERNEL else 2_000
    body = [span(attributes=(attribute("id", text_value(f"id-{i % (count // 2)}")),)) for i in range(count)]
    table = wire.scan(request(*body), ["id"])
    codes = table.codes(["id"])
    assert [table.text(code) for code in codes[:: count // 20]] == [
        f"id-{i % (count // 2)}" for i in range(0, count, count // 20)
    ]
    assert len(table.texts) == count // 2 + 1
    assert (codes[: count // 2] == codes[count // 2 :]).all()


def test_the_last_of_repeated_attributes_wins(wire: SimpleNamespace) -> None:
    body = span(
        attributes=(
            attribute("a", int_value(1)),
            attribute("b", int_value(2)),
            attribute("a", text_value("last")),
            attribute("b", b""),
        )
    )
    assert values_of(wire.scan(request(body), ["a", "b"])) == [{"a": b"last", "b": "none"}]


def test_the_last_of_repeated_scalar_fields_wins(wire: SimpleNamespace) -> None:
    body = span(counted(5, b"first"), number_field(6, 1), counted(5, b"second"), number_field(6, 2))
    repeated_key = counted(1, b"x") + counted(2, int_value(5)) + counted(1, b"a")
    table = wire.scan(request(body + counted(9, repeated_key)), ["a", "x"])
    assert (table.text(table.name_code[0]), table.kind[0]) == ("second", 2)
    assert values_of(table) == [{"a": 5}]


def test_a_value_may_come_before_its_key(wire: SimpleNamespace) -> None:
    body = counted(2, int_value(7)) + counted(1, b"a")
    assert values_of(wire.scan(request(span(attributes=(body,))), ["a"])) == [{"a": 7}]


def test_repeated_submessages_merge(wire: SimpleNamespace) -> None:
    value_then_empty = counted(1, b"a") + counted(2, int_value(7)) + counted(2, b"")
    replaced = counted(1, b"b") + counted(2, int_value(7)) + counted(2, text_value("new"))
    status = counted(15, number_field(3, 2)) + counted(15, counted(2, b"message"))
    scope_spans = (
        counted(2, span(status, attributes=(value_then_empty, replaced)))
        + counted(1, counted(1, b"name") + counted(3, attribute("a", int_value(1))))
        + counted(1, counted(2, b"version") + counted(3, attribute("a", int_value(2))))
    )
    resource_spans = (
        counted(2, scope_spans)
        + counted(1, counted(1, attribute("b", int_value(1))))
        + counted(1, counted(1, attribute("a", int_value(3))))
    )
    table = wire.scan(counted(1, resource_spans), ["a", "b"])
    assert values_of(table) == [{"a": 7, "b": b"new"}]
    assert table.status.tolist() == [2]
    assert (table.text(table.scope_name_code[0]), table.text(table.scope_version_code[0])) == (
        "name",
        "version",
    )
    assert values_of(table, "scope") == [{"a": 2}]
    assert values_of(table, "resource") == [{"a": 3, "b": 1}]


def test_unknown_fields_and_groups_are_passed_over(wire: SimpleNamespace) -> None:
    unknown = (
        number_field(100, 2**64 - 1)
        + counted(2**29 - 1, b"\xff" * 300)
        + fixed32(101, 1)
        + fixed64(102, 1)
        + group(103, group(9, counted(9, attribute("a", int_value(1)))) + fixed32(1, 1) + fixed64(1, 1))
    )
    body = unknown + span(attributes=(attribute("a", int_value(5)) + unknown,)) + unknown
    data = unknown + counted(1, unknown + counted(2, unknown + counted(2, body) + unknown)) + unknown
    assert values_of(wire.scan(data, ["a"])) == [{"a": 5}]


def test_a_known_number_with_another_wire_type_is_an_unknown_field(wire: SimpleNamespace) -> None:
    body = (
        number_field(1, 5)
        + fixed64(5, 1)
        + counted(6, varint(1) + varint(2))
        + counted(7, b"12345678")
        + fixed32(8, 1)
        + number_field(9, 1)
        + group(9, counted(1, b"a"))
        + number_field(15, 2)
        + counted(9, attribute("a", fixed64(3, 1) + number_field(1, 1) + counted(4, b"")))
    )
    table = wire.scan(request(body) + number_field(1, 1) + group(1), ["a"])
    assert (table.n, table.kind[0], table.status[0], table.start_unix_ns[0], table.end_unix_ns[0]) == (
        1,
        0,
        0,
        0,
        0,
    )
    assert table.text(table.name_code[0]) == ""
    assert values_of(table) == [{"a": "none"}]


def test_varints_longer_than_needed_are_read(wire: SimpleNamespace) -> None:
    body = b"\x4a" + varint(8, 5) + b"\x8a\x80\x00" + b"\x81\x00" + b"a" + b"\x12\x00"
    long_int = counted(9, counted(1, b"b") + counted(2, b"\x18" + varint(300, 10)))
    data = (
        b"\x8a\x80\x80\x80\x00"
        + varint(len(counted(2, counted(2, body + long_int))), 4)
        + counted(2, counted(2, body + long_int))
    )
    assert values_of(wire.scan(data, ["a", "b"])) == [{"a": "none", "b": 300}]


def test_a_varint_of_ten_bytes_loses_the_bits_above_64(wire: SimpleNamespace) -> None:
    value = b"\x18" + b"\xff" * 9 + b"\x7f"
    assert values_of(wire.scan(request(span(attributes=(attribute("a", value),))), ["a"])) == [{"a": -1}]


def test_text_that_is_not_utf8_is_passed_on_as_it_is(wire: SimpleNamespace) -> None:
    body = span(counted(5, b"\xff\xfe"), attributes=(counted(1, b"a") + counted(2, counted(1, b"caf\xe9")),))
    table = wire.scan(request(body + counted(9, counted(1, b"\xff") + counted(2, int_value(1)))), ["a"])
    assert values_of(table) == [{"a": b"caf\xe9"}]
    assert table.text(table.codes(["a"])[0]) == "caf�"
    assert table.texts[table.name_code[0]] == b"\xff\xfe"


@pytest.mark.parametrize(
    ("key", "is_own"),
    [
        ("wattspan.edition", True),
        ("wattspan.", True),
        ("gen_ai.usage.energy_kwh", True),
        ("gen_ai.usage.co2e_g", True),
        ("wattspan", False),
        ("wattspanx.edition", False),
        ("gen_ai.usage.energy_kwj", False),
        ("gen_ai.usage.energy_kwh2", False),
        ("gen_ai.usage.co2e_kg", False),
    ],
)
def test_spans_that_carry_a_key_of_ours_are_marked(wire: SimpleNamespace, key: str, is_own: bool) -> None:
    marked = span(attributes=(attribute("a", int_value(1)), attribute(key, int_value(1))))
    other = span(attributes=(attribute("a", text_value(key)),))
    of_scope = counted(3, attribute("wattspan.edition", int_value(1)))
    table = wire.scan(request(other, marked, scope=of_scope), ["a"])
    assert table.own_attr.tolist() == [False, is_own]


def test_keys_that_look_alike_are_told_apart(wire: SimpleNamespace) -> None:
    keys = [f"gen_ai.usage.{a}{b}_tokens" for a in "abcdefghij" for b in "klmnopqrst"]
    keys += ["k" * length for length in range(1, 70)] + [("k" * length)[:-1] + "j" for length in range(2, 70)]
    body = span(attributes=tuple(attribute(key, int_value(i)) for i, key in enumerate(keys)))
    assert values_of(wire.scan(request(body), keys)) == [{key: i for i, key in enumerate(keys)}]


def test_texts_that_differ_in_one_byte_are_told_apart(wire: SimpleNamespace) -> None:
    for length in (*range(1, 40), 63, 64, 65, 200):
        texts = ["x" * place + "y" + "x" * (length - place - 1) for place in range(length)] + ["x" * length]
        data = request(*[span(attributes=(attribute("a", text_value(text)),)) for text in texts])
        table = wire.scan(data, ["a"])
        assert [table.text(code) for code in table.codes(["a"])] == texts


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (text_value("t") + int_value(3), 3),
        (int_value(3) + text_value("t"), b"t"),
        (text_value("t") + text_value("u"), b"u"),
        (double(4, 0.5) + number_field(2, 1), True),
        (number_field(2, 1) + double(4, 0.5), struct.pack("<d", 0.5)),
        (text_value("t") + counted(5, b""), "array"),
        (counted(6, b"") + counted(7, b"x"), "bytes"),
        (text_value("t") + number_field(8, 1), "none"),
        (text_value("t") + number_field(99, 1), b"t"),
        (int_value(300) + fixed32(99, 1), 300),
        (double(4, 0.5) + fixed64(3, 1), struct.pack("<d", 0.5)),
    ],
)
def test_the_last_of_the_fields_of_a_value_wins(wire: SimpleNamespace, body: bytes, value: object) -> None:
    table = wire.scan(request(span(attributes=(attribute("a", body),))), ["a"])
    assert values_of(table) == [{"a": value}]


def test_hundred_thousand_spans(wire: SimpleNamespace) -> None:
    body = span(counted(5, b"s"), attributes=(attribute("a", int_value(1)),))
    table = wire.scan(request(*[body] * 100_000), ["a"])
    assert table.n == 100_000
    assert table.numbers(["a"]).values.sum() == 100_000


def test_an_attribute_of_ten_megabytes(wire: SimpleNamespace) -> None:
    long = "x" * 10_000_000
    body = span(attributes=(attribute("long", text_value(long)), attribute("a", int_value(1))))
    table = wire.scan(request(body), ["a", "long"])
    assert values_of(table) == [{"a": 1, "long": long.encode()}]


def test_nesting_up_to_protobufs_own_bound(wire: SimpleNamespace) -> None:
    value = b""
    for _ in range(47):
        value = counted(1, counted(5, value))
    body = span(attributes=(attribute("a", counted(5, value)),))
    assert values_of(wire.scan(request(body), ["a"])) == [{"a": "array"}]
    groups = b""
    for _ in range(97):
        groups = group(50, groups)
    assert wire.scan(request(groups), ["a"]).n == 1


def test_other_buffers_than_bytes_are_read(wire: SimpleNamespace) -> None:
    data = request(span(attributes=(attribute("a", int_value(1)),)))
    for buffer in (bytearray(data), memoryview(data), memoryview(bytearray(data))):
        assert values_of(wire.scan(buffer, ["a"])) == [{"a": 1}]


@pytest.mark.parametrize("keys", [["a", "a"], [""], ["a"] * 40_000])
def test_a_wrong_key_list_is_refused(wire: SimpleNamespace, keys: list[str]) -> None:
    with pytest.raises(ValueError, match="attribute key"):
        wire.scan(b"", keys)


@pytest.mark.parametrize("path", sorted(CAPTURES.glob("*.binpb")), ids=lambda path: path.stem)
def test_captures_are_read_as_opentelemetry_proto_reads_them(wire: SimpleNamespace, path: Path) -> None:
    data = path.read_bytes()
    spans = [
        (resource_spans, scope_spans, one)
        for resource_spans in TracesData.FromString(data).resource_spans
        for scope_spans in resource_spans.scope_spans
        for one in scope_spans.spans
    ]
    keys = sorted({found.key for _, _, one in spans for found in one.attributes} | {"service.name"})
    table = wire.scan(data, keys)
    assert table.n == len(spans)
    values, resources = values_of(table), values_of(table, "resource")
    for row, (resource_spans, scope_spans, one) in enumerate(spans):
        assert table.trace_id[row].tobytes() == one.trace_id
        assert int(table.span_id[row]).to_bytes(8, "big") == one.span_id
        assert int(table.parent_span_id[row]).to_bytes(8, "big") == (one.parent_span_id or bytes(8))
        assert (table.start_unix_ns[row], table.end_unix_ns[row]) == (
            one.start_time_unix_nano,
            one.end_time_unix_nano,
        )
        assert (table.kind[row], table.status[row]) == (one.kind, one.status.code)
        assert table.text(table.name_code[row]) == one.name
        assert table.text(table.trace_state_code[row]) == one.trace_state
        assert table.text(table.scope_name_code[table.scope[row]]) == scope_spans.scope.name
        assert values[row] == {found.key: _plain(found.value) for found in one.attributes}
        service = [
            a.value.string_value for a in resource_spans.resource.attributes if a.key == "service.name"
        ]
        assert (
            resources[table.resource[row]].get("service.name", b"")
            == (service[-1] if service else "").encode()
        )


def _plain(value: object) -> object:
    match value.WhichOneof("value"):  # type: ignore[attr-defined]
        case "string_value":
            return value.string_value.encode()  # type: ignore[attr-defined]
        case "bool_value":
            return value.bool_value  # type: ignore[attr-defined]
        case "int_value":
            return value.int_value  # type: ignore[attr-defined]
        case "double_value":
            return struct.pack("<d", value.double_value)  # type: ignore[attr-defined]
        case other:
            return str(other).removesuffix("_value")


@needs_kernel
def test_the_kernel_lets_other_threads_run_meanwhile(wire: SimpleNamespace) -> None:
    if wire is not KERNEL:
        pytest.skip("the fallback holds the lock")
    body = span(
        counted(5, b"s"), attributes=tuple(attribute(f"k{i}", text_value("v" * 50)) for i in range(10))
    )
    data = request(*[body] * 50_000)
    interval = sys.getswitchinterval()
    # With so long an interval no thread must give the lock up: the other runs only if the scan lets go.
    sys.setswitchinterval(60)
    try:
        for _ in range(50):
            has_run: list[bool] = []
            gate = threading.Event()
            thread = threading.Thread(target=lambda gate=gate, ran=has_run: (gate.wait(), ran.append(True)))
            thread.start()
            gate.set()
            wire.scan(data, ["k1"])
            ran_meanwhile = bool(has_run)
            thread.join()
            if ran_meanwhile:
                return
    finally:
        sys.setswitchinterval(interval)
    pytest.fail("no other thread ran during 50 scans")


def test_scans_in_many_threads_do_not_disturb_one_another(wire: SimpleNamespace) -> None:
    requests = [
        request(*[span(attributes=(attribute("id", text_value(f"{thread}-{i}")),)) for i in range(300)])
        for thread in range(4)
    ]
    wrong: list[int] = []

    def work(thread: int) -> None:
        for _ in range(30 if wire is KERNEL else 2):
            table = wire.scan(requests[thread], ["id"])
            if [table.text(code) for code in table.codes(["id"])] != [f"{thread}-{i}" for i in range(300)]:
                wrong.append(thread)

    threads = [threading.Thread(target=work, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_table_outlives_the_bytes_it_was_read_from(wire: SimpleNamespace) -> None:
    table = wire.scan(bytearray(request(span(attributes=(attribute("a", text_value("kept")),)))), ["a"])
    for _ in range(100):
        wire.scan(request(span(attributes=(attribute("a", text_value("other")),))), ["a"])
    assert table.text(table.codes(["a"])[0]) == "kept"
    assert isinstance(table.span_id, np.ndarray)


def test_messages_end_where_they_are_said_to(wire: SimpleNamespace) -> None:
    one, two = request(span(), span()), request(span())
    table = wire.scan(one + two, [], [len(one)])
    assert everything(table) == everything(wire.scan(one + two, []))
    assert [table.rows_until(end) for end in (0, len(one), len(one + two))] == [0, 2, 3]
    assert wire.scan(b"", [], [0, 0]).n == 0


def test_a_message_that_the_next_one_completes_is_not_whole(wire: SimpleNamespace) -> None:
    one = counted(4, bytes(20))
    two = request(span())
    assert wire.scan(one[:9] + two + bytes(len(one) - 9 - len(two)), []).n == 0
    with pytest.raises(WireError, match="length reaches past the end") as caught:
        wire.scan(two + one[:9] + two, [], [len(two), len(two) + 9])
    assert caught.value.offset == len(two) + 1
    assert caught.value.what == FAULTS[LENGTH_PAST]


@pytest.mark.parametrize("ends", [[-1], [9], [3, 2]])
def test_messages_that_end_outside_the_bytes_are_refused(wire: SimpleNamespace, ends: list[int]) -> None:
    with pytest.raises(ValueError, match=r"message \d ends at -?\d, outside \d to 8"):
        wire.scan(counted(4, bytes(6)), [], ends)
