import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from wattspan.otlp.json_text import JsonText
from wattspan.otlp.wire import BOOL, BYTES, DOUBLE, INT, KVLIST, NONE, STRING, SpanTable, SpanTableBuilder

CAPTURES = Path(__file__).parents[1] / "captures"
OURS = frozenset(
    (
        "wattspan.basis",
        "wattspan.edition",
        "wattspan.pue",
        "wattspan.x",
        "gen_ai.usage.co2e_g",
        "gen_ai.usage.energy_kwh",
    )
)
MARK = '{"key":"wattspan.basis","value":{"stringValue":"modelled"}}'


def read(text: str | bytes, *keys: str) -> tuple[JsonText, SpanTable]:
    builder = SpanTableBuilder(keys or ("a",))
    data = text.encode() if isinstance(text, str) else text
    message = JsonText(data, builder, dict.fromkeys(keys or ("a",)))
    return message, builder.build()


def spliced(text: str | bytes, additions: Sequence[str | None]) -> str:
    message, _ = read(text)
    return message.spliced(additions, lambda _: OURS).decode("utf-8", "surrogateescape")


def document(*spans: str) -> str:
    return f'{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{",".join(spans)}]}}]}}]}}'


def attribute(key: str, value: str) -> str:
    return f'{{"key":"{key}","value":{value}}}'


def value_of(table: SpanTable, key: str, row: int = 0) -> tuple[int, Any]:
    index = int(table.first([key])[row])
    if index < 0:
        return -1, None
    kind = int(table.value_type[index])
    return kind, {
        STRING: table.text(int(table.value_text[index])),
        INT: int(table.value_int[index]),
        BOOL: int(table.value_int[index]),
        DOUBLE: float(table.value_double[index]),
    }.get(kind)


@pytest.mark.parametrize(
    ("written", "kind", "meant"),
    [
        ('{"stringValue":"x"}', STRING, "x"),
        ('{"stringValue":""}', STRING, ""),
        ('{"intValue":"318"}', INT, 318),
        ('{"intValue":318}', INT, 318),
        ('{"intValue":318.0}', INT, 318),
        ('{"intValue":"-9223372036854775808"}', INT, -(2**63)),
        ('{"intValue":"9223372036854775808"}', STRING, "9223372036854775808"),
        ('{"intValue":9223372036854775808}', DOUBLE, 2.0**63),
        ('{"intValue":"many"}', STRING, "many"),
        ('{"intValue":1.5}', DOUBLE, 1.5),
        ('{"intValue":true}', BOOL, 1),
        ('{"intValue":' + "9" * 5000 + "}", DOUBLE, float("inf")),
        ('{"doubleValue":0.25}', DOUBLE, 0.25),
        ('{"doubleValue":3}', DOUBLE, 3.0),
        ('{"doubleValue":"Infinity"}', DOUBLE, float("inf")),
        ('{"doubleValue":"0.25"}', STRING, "0.25"),
        ('{"boolValue":false}', BOOL, 0),
        ('{"arrayValue":{"values":[{"intValue":1}]}}', 5, None),
        ('{"kvlistValue":{"values":[]}}', KVLIST, None),
        ('{"bytesValue":"AAEC"}', BYTES, None),
        ("{}", NONE, None),
        ("null", NONE, None),
        ('{"string_value":"snake"}', NONE, None),
    ],
)
def test_values_are_read_in_every_form_senders_write(written: str, kind: int, meant: Any) -> None:
    message, table = read(document(f'{{"attributes":[{attribute("a", written)}]}}'))
    assert value_of(table, "a") == (kind, meant)
    assert message.problems == []


def test_nan_is_read_and_left_to_the_reader_of_the_column() -> None:
    _, table = read(document(f'{{"attributes":[{attribute("a", """{"doubleValue":"NaN"}""")}]}}'))
    kind, number = value_of(table, "a")
    assert kind == DOUBLE
    assert number != number


def test_span_fields_are_read_as_strings_or_numbers_and_hex_in_any_case() -> None:
    text = document(
        '{"traceId":"81CD80C1ccd77ced7e9cec67c301fce2","spanId":"E214acbfa250b906","parentSpanId":"00000000000000ff",'
        '"startTimeUnixNano":"1795451994116000001","endTimeUnixNano":1795451994158439446,"kind":3,'
        '"status":{"code":2,"message":"no"},"name":"chat gpt","traceState":"ot=th:8","extra":{"a":[1]}}',
        '{"kind":"SPAN_KIND_SERVER","status":{"code":"STATUS_CODE_ERROR"},"startTimeUnixNano":"soon"}',
    )
    message, table = read(text)
    assert message.problems == []
    assert table.trace_id[0].tobytes().hex() == "81cd80c1ccd77ced7e9cec67c301fce2"
    assert int(table.span_id[0]) == 0xE214ACBFA250B906
    assert table.parent_span_id.tolist() == [255, 0]
    assert table.start_unix_ns.tolist() == [1795451994116000001, 0]
    assert table.end_unix_ns.tolist() == [1795451994158439446, 0]
    assert table.kind.tolist() == [3, 2]
    assert table.status.tolist() == [2, 2]
    assert table.text(int(table.name_code[0])) == "chat gpt"
    assert [table.text(int(code)) for code in table.trace_state_code] == ["ot=th:8", ""]
    assert table.start.tolist() == [-1, -1]


def test_ids_in_base64_are_read_and_reported_once() -> None:
    trace, span = bytes(range(16)), bytes(range(8))
    one = f'{{"traceId":"{base64.b64encode(trace).decode()}","spanId":"{base64.b64encode(span).decode()}"}}'
    message, table = read(document(one, one))
    assert table.trace_id[1].tobytes() == trace
    assert int(table.span_id[1]) == int.from_bytes(span, "big")
    assert [(p.offset, p.reason) for p in message.problems] == [
        (43, "traceId is base64; OTLP JSON has ids in hexadecimal")
    ]


def test_ids_that_are_neither_are_none_and_reported() -> None:
    message, table = read(document('{"traceId":"xyz","spanId":"zz14acbfa250b906"}'))
    assert not table.trace_id.any()
    assert table.span_id.tolist() == [0]
    assert [p.reason for p in message.problems] == [
        "traceId is 'xyz'; allowed: 32 hex digits",
        "spanId is 'zz14acbfa250b906'; allowed: 16 hex digits",
    ]


@pytest.mark.parametrize("order", [1, -1])
def test_resource_and_scope_belong_to_their_spans_whichever_comes_first(order: int) -> None:
    def either(first: str, second: str) -> str:
        return ",".join((first, second)[::order])

    scopes = ",".join(
        "{" + either(f'"scope":{{"name":"s{n}","version":"{n}"}}', f'"spans":[{{"name":"{n}"}}]') + "}"
        for n in (1, 2)
    )
    resource = '"resource":{"attributes":[' + attribute("a", '{"stringValue":"r"}') + "]}"
    text = '{"resourceSpans":[{' + either(resource, f'"scopeSpans":[{scopes}]') + "}]}"
    _, table = read(text)
    assert [table.text(int(table.scope_name_code[s])) for s in table.scope] == ["s1", "s2"]
    assert [table.text(int(table.scope_version_code[s])) for s in table.scope] == ["1", "2"]
    assert [table.text(int(code)) for code in table.resource_codes(["a"])] == ["r", "r"]


def test_other_signals_and_empty_requests_have_no_spans_and_no_problem() -> None:
    for text in (
        '{"resourceMetrics":[{"x":1}]}',
        '{"resourceLogs":[]}',
        "{}",
        "",
        " \n",
        '{"resourceSpans":null}',
        '{"resourceSpans":[]}',
        "[]",
    ):
        message, table = read(text)
        assert (table.n, message.problems) == (0, [])


@pytest.mark.parametrize(
    ("text", "offset", "reason"),
    [
        ('{"resource_spans":[]}', 0, "no spans: the object has ['resource_spans']; allowed: resourceSpans"),
        (
            ' {"level":"info","msg":"é"}',
            1,
            "no spans: the object has ['level', 'msg']; allowed: resourceSpans",
        ),
        ('{"é":1,"resourceSpans":5}', 24, "expected an array, found 5"),
        ('{"resourceSpans":[3]}', 18, "expected an object, found 3"),
        ('"text"', 0, "expected an object, found 'text'"),
        ("nonsense", 0, "not JSON: Expecting value"),
        ('{"resourceSpans":[{}}', 20, "not JSON: expected ',' or ']'"),
        ('{"resourceSpans":[{}] "x"', 22, "not JSON: expected ',' or '}'"),
        ("{,}", 1, "not JSON: expected a key in double quotes"),
        ('{"resourceSpans" []}', 17, "not JSON: expected ':'"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_byte(text: str, offset: int, reason: str) -> None:
    message, table = read(text)
    assert [(p.offset, p.reason) for p in message.problems] == [(offset, reason)]
    assert message.spliced([None] * table.n, lambda _: OURS).decode() == text


def test_spans_before_a_cut_are_read_and_enriched_and_the_rest_stays() -> None:
    text = document('{"name":"1","attributes":[]}', '{"name":"2","attributes":[]}', '{"name":"3"')[:-9]
    message, table = read(text)
    assert table.n == 2
    assert [p.reason[:9] for p in message.problems] == ["not JSON:"]
    assert spliced(text, [MARK, None]) == text.replace('"1","attributes":[', f'"1","attributes":[{MARK}')


def test_a_span_nested_too_deeply_passes_through_and_its_neighbours_are_read() -> None:
    deep = '{"arrayValue":{"values":[' * 3000 + "]}}" * 3000
    text = document(
        '{"name":"1"}', f'{{"name":"deep","attributes":[{attribute("a", deep)}]}}', '{"name":"3"}'
    )
    message, table = read(text)
    assert [table.text(int(code)) for code in table.name_code] == ["1", "3"]
    assert [p.reason for p in message.problems] == ["nested too deeply to be read; passed through"]
    assert spliced(text, [None, MARK]) == text.replace('"name":"3"', f'"name":"3","attributes":[{MARK}]')


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        ("{}", f'{{"attributes":[{MARK}]}}'),
        ("{ }", f'{{"attributes":[{MARK}] }}'),
        ('{"name":"x" \n}', f'{{"name":"x","attributes":[{MARK}] \n}}'),
        ('{"attributes":[]}', f'{{"attributes":[{MARK}]}}'),
        ('{"attributes":[ ]}', f'{{"attributes":[{MARK} ]}}'),
        ('{"attributes":null}', f'{{"attributes":[{MARK}]}}'),
        ('{"attributes" : [ {"key":"b"}\n ] , "z":1.50e+0}',
         f'{{"attributes" : [ {{"key":"b"}},{MARK}\n ] , "z":1.50e+0}}'),
        ('{"attributes":[{"key":"b","value":{"stringValue":"]}\\""}}]}',
         f'{{"attributes":[{{"key":"b","value":{{"stringValue":"]}}\\""}}}},{MARK}]}}'),
        ('{"events":[{"attributes":[]}],"attributes":[]}',
         f'{{"events":[{{"attributes":[]}}],"attributes":[{MARK}]}}'),
        ('{"attributes":[{"key":"b"}],"attributes":[{"key":"c"}]}',
         f'{{"attributes":[{{"key":"b"}}],"attributes":[{{"key":"c"}},{MARK}]}}'),
        ('{"attributes":[{"key":"wattspan.edition","value":{"stringValue":"old"}},\n  {"key":"b"} ]}',
         f'{{"attributes":[{{"key":"b"}},{MARK} ]}}'),
        ('{"attributes":[ {"key":"b"}, {"key":"gen_ai.usage.co2e_g"} , {"key":"c"}, {"key":"wattspan.x"} ]}',
         f'{{"attributes":[ {{"key":"b"}} , {{"key":"c"}},{MARK} ]}}'),
    ],
)  # fmt: skip
def test_an_addition_lands_at_the_end_of_the_attributes_and_nothing_else_moves(
    span: str, expected: str
) -> None:
    assert spliced(document(span), [MARK]) == document(expected)
    assert spliced(document(expected), [MARK]) == document(expected)
    other = MARK.replace("modelled", "no_usage")
    assert spliced(document(expected), [other]) == document(expected.replace("modelled", "no_usage"))


def test_attributes_that_are_no_array_are_left_as_they_are() -> None:
    text = document('{"name":"x","attributes":[],"attributes":5}')
    assert spliced(text, [MARK]) == text


def test_an_empty_addition_only_takes_ours_out() -> None:
    assert spliced(document(f'{{"attributes":[{{"key":"b"}},{MARK}]}}'), [""]) == document(
        '{"attributes":[{"key":"b"}]}'
    )
    assert spliced(document('{"name":"x"}'), [""]) == document('{"name":"x"}')


def test_bytes_that_are_not_utf8_and_a_byte_order_mark_stay_as_they_are() -> None:
    text = b"\xef\xbb\xbf" + document('{"name":"\xff\xfe","attributes":[]}').encode("latin-1")
    message, table = read(text)
    assert table.n == 1
    assert [(p.offset, p.reason) for p in message.problems] == [
        (text.index(b"\xff"), "not UTF-8 here; the bytes are kept as they are")
    ]
    out = message.spliced([MARK], lambda _: OURS)
    assert out == text.replace(b'"attributes":[', b'"attributes":[' + MARK.encode())


def test_an_escaped_lone_surrogate_does_not_stop_anything() -> None:
    message, table = read(document('{"attributes":[' + attribute("a", r'{"stringValue":"\ud800"}') + "]}"))
    assert (table.n, message.problems) == (1, [])


def test_the_vercel_capture_reads_the_same_as_its_protobuf_twin() -> None:
    keys = (
        "ai.usage.inputTokens",
        "ai.response.id",
        "ai.response.msToFirstChunk",
        "service.name",
        "ai.model.id",
    )
    builder = SpanTableBuilder(keys)
    for line in (CAPTURES / "vercel_ai_v6.jsonl").read_bytes().splitlines(keepends=True):
        assert JsonText(line, builder, dict.fromkeys(keys)).problems == []
    table = builder.build()
    spans = [
        (span.name, {a.key: a.value for a in span.attributes})
        for line in (CAPTURES / "vercel_ai_v6.jsonl").read_text().splitlines()
        for resource in TracesData.FromString(_protobuf(line)).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    assert table.n == len(spans)
    for row, (name, attributes) in enumerate(spans):
        assert table.text(int(table.name_code[row])) == name
        for key in keys:
            kind, value = value_of(table, key, row)
            if key in attributes:
                assert value == getattr(attributes[key], attributes[key].WhichOneof("value"))
            else:
                assert kind == -1


def _protobuf(line: str) -> bytes:
    content = json.loads(line)
    for resource in content["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                for key in ("traceId", "spanId", "parentSpanId"):
                    if key in span:
                        span[key] = base64.b64encode(bytes.fromhex(span[key])).decode()
                for link in span.get("links", []):
                    for key in ("traceId", "spanId"):
                        link[key] = base64.b64encode(bytes.fromhex(link[key])).decode()
    return json_format.ParseDict(content, TracesData(), ignore_unknown_fields=True).SerializeToString()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
ATTRIBUTES = st.lists(
    st.fixed_dictionaries(
        {"key": st.sampled_from(["a", "b", "wattspan.basis", "wattspan.pue", "gen_ai.usage.energy_kwh"])},
        optional={"value": JSON},
    )
    | JSON,
    max_size=4,
)
SPANS = st.lists(
    st.dictionaries(st.text(max_size=3), JSON, max_size=2).flatmap(
        lambda extra: st.fixed_dictionaries({}, optional={"name": st.text(), "attributes": ATTRIBUTES}).map(
            lambda span: {**extra, **span}
        )
    ),
    max_size=4,
)
DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "other": JSON,
        "resourceSpans": st.lists(
            st.fixed_dictionaries(
                {},
                optional={
                    "x": JSON,
                    "scopeSpans": st.lists(
                        st.fixed_dictionaries({}, optional={"scope": JSON, "spans": SPANS}), max_size=2
                    ),
                    "resource": JSON,
                },
            ),
            max_size=2,
        ),
    },
)


@given(DOCUMENTS, st.data(), st.sampled_from([None, 1, "\t"]), st.booleans())
def test_splice_then_parse_equals_parse_then_edit(
    content: Any, data: st.DataObject, indent: Any, ascii_: bool
) -> None:
    text = json.dumps(content, indent=indent, ensure_ascii=ascii_)
    message, table = read(text.encode("utf-8", "surrogatepass"))
    choices = data.draw(st.lists(st.sampled_from([None, "", MARK]), min_size=table.n, max_size=table.n))
    out = message.spliced(choices, lambda _: OURS)
    spans = [
        span
        for resource in content.get("resourceSpans", [])
        for scope in resource.get("scopeSpans", [])
        for span in scope.get("spans", [])
    ]
    for span, choice in zip(spans, choices, strict=True):
        if choice is None:
            continue
        kept = [
            a
            for a in span.get("attributes", [])
            if not (isinstance(a, dict) and isinstance(a.get("key"), str) and a["key"] in OURS)
        ]
        if choice:
            kept.append(json.loads(choice))
        if kept or "attributes" in span:
            span["attributes"] = kept
    assert json.loads(out) == content
    again, _ = read(out)
    assert again.spliced(choices, lambda _: OURS) == out


@given(DOCUMENTS, st.data())
def test_where_nothing_is_cut_the_same_comes_out_as_where_nothing_matches_the_cut(
    content: Any, data: st.DataObject
) -> None:
    text = json.dumps(content, indent=data.draw(st.sampled_from([None, 1]))).encode()
    message, table = read(text)
    choices = data.draw(st.lists(st.sampled_from([None, "", MARK]), min_size=table.n, max_size=table.n))
    assert message.spliced(choices, lambda _: ()) == message.spliced(choices, lambda _: ("no such key",))


@given(st.text() | st.binary(), st.integers(0, 400), st.integers(0, 400))
def test_damaged_text_never_raises_and_never_changes(noise: Any, begin: int, end: int) -> None:
    text = document(f'{{"name":"x","attributes":[{MARK}],"kind":3}}', '{"traceId":"00"}').encode()
    noise = noise.encode("utf-8", "surrogatepass") if isinstance(noise, str) else noise
    broken = text[:begin] + noise + text[end:]
    message, table = read(broken)
    assert message.spliced([None] * table.n, lambda _: OURS) == broken
