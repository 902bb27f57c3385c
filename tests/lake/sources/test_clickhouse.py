"""Exports of `otel_traces`, written by ClickHouse itself (tests/capture_tools/clickhouse_export.py)."""

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from wattspan.lake.sources.clickhouse import OtelTraces, is_otel_traces
from wattspan.lake.sources.clickhouse_maps import pairs_of
from wattspan.otlp.containers import Stream
from wattspan.otlp.dialects import read
from wattspan.otlp.enrich import KEYS
from wattspan.otlp.owners import OwnerMemory, decide
from wattspan.otlp.wire import KeySet, scan

CAPTURES = Path(__file__).parents[2] / "captures"
EXPORT = CAPTURES / "clickhouse"
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "00f067aa0ba902b7"
HEAD = '"Timestamp","TraceId","SpanId","SpanName","ResourceAttributes","SpanAttributes","Duration"\n'


def from_parquet(path=EXPORT / "otel_traces.parquet", keys=KEYS):
    problems = []
    return list(OtelTraces(keys, "spans.parquet", problems.append).parquet(path)), problems


def from_csv(data, keys=KEYS):
    problems = []
    content = data if isinstance(data, bytes) else data.encode()
    portions = list(OtelTraces(keys, "spans.csv", problems.append).csv(Stream(io.BytesIO(content).read)))
    return portions, [str(problem) for problem in problems]


def exported(form):
    if form == "parquet":
        return from_parquet()
    return from_csv((EXPORT / "otel_traces.csv.gz").read_bytes())


def spans_of(tables):
    """What is known of every span, by its ids."""
    found = {}
    for table in tables:
        for row in range(table.n):
            found[table.trace_id[row].tobytes().hex(), int(table.span_id[row])] = (
                int(table.parent_span_id[row]),
                int(table.start_unix_ns[row]),
                int(table.end_unix_ns[row]),
                int(table.kind[row]),
                int(table.status[row]),
                table.text(int(table.name_code[row])),
                table.text(int(table.scope_name_code[table.scope[row]])),
                table.text(int(table.scope_version_code[table.scope[row]])),
            )
    return found


def calls_of(tables):
    """What every owned call is, by its span; and which spans repeat whose call."""
    found = {}
    for table in tables:
        reading = read(table)
        ownership = decide(table, reading, OwnerMemory())
        calls = ownership.calls
        for at, row in enumerate(reading.rows.tolist()):
            found[int(table.span_id[row])] = (
                int(reading.role[at]),
                bool(ownership.is_owner[at]),
                int(ownership.owner_span_id[at]),
                *(calls.operation[at], calls.model[at], calls.request_model[at], calls.provider[at]),
                *(calls.host[at], calls.service[at], calls.resource_region[at], calls.resource_cloud[at]),
                *(int(calls.input_tokens[at]), int(calls.output_tokens[at])),
                *(int(calls.cache_read_tokens[at]), int(calls.cache_write_tokens[at])),
                *(int(calls.reasoning_tokens[at]), bool(calls.has_usage[at]), bool(calls.is_error[at])),
                *(int(calls.start_unix_ns[at]), int(calls.duration_ns[at]), bool(calls.is_self_hosted[at])),
            )
    return found


@pytest.fixture(scope="module")
def captured():
    return [scan(path.read_bytes(), KEYS) for path in sorted(CAPTURES.glob("*.binpb"))]


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_every_span_of_an_export_is_the_span_that_was_sent(form, captured):
    portions, problems = exported(form)
    assert problems == []
    assert sum(portion.table.n for portion in portions) == sum(table.n for table in captured)
    assert spans_of(portion.table for portion in portions) == spans_of(captured)


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_every_call_of_an_export_is_the_call_that_was_sent(form, captured):
    portions, _ = exported(form)
    found, sent = calls_of(portion.table for portion in portions), calls_of(captured)
    assert len(sent) > 60
    assert found == sent


def test_a_layout_is_known_by_its_columns():
    assert is_otel_traces(pq.read_schema(EXPORT / "otel_traces.parquet").names)
    assert not is_otel_traces(["TIMESTAMP", "ContextTokens"])


def test_the_service_is_its_column_where_the_resource_lacks_it():
    text = (
        '"Timestamp","TraceId","SpanId","ServiceName","ResourceAttributes","SpanAttributes"\n'
        f'"2026-11-23 16:38:53","{TRACE}","{SPAN}","shop","{{}}","{{}}"\n'
    )
    portions, _ = from_csv(text)
    table = portions[0].table
    assert table.text(int(table.resource_codes(("service.name",))[0])) == "shop"


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (
            f'"yesterday","{TRACE}","{SPAN}","x","{{}}","{{}}",1',
            "spans.csv, line 2, Timestamp: found 'yesterday'; allowed: a time of 1990 to 2199",
        ),
        (
            f'"2026-11-23 16:38:53","{TRACE[1:]}","{SPAN}","x","{{}}","{{}}",1',
            f"spans.csv, line 2, TraceId: found '{TRACE[1:]}'; allowed: 32 hex digits; the row is left out",
        ),
        (
            f'"2026-11-23 16:38:53","{TRACE}","{"0" * 16}","x","{{}}","{{}}",1',
            f"spans.csv, line 2, SpanId: found '{'0' * 16}'; allowed: 16 hex digits; the row is left out",
        ),
        (
            f'"2026-11-23 16:38:53","{TRACE}","{SPAN}","x","{{}}","{{\'a\':\'b\'",1',
            "spans.csv, line 2, SpanAttributes: found \"{'a':'b'\"; allowed: a map: {'key':'value'}",
        ),
        (
            f'"2026-11-23 16:38:53","{TRACE}","{SPAN}","x","{{}}","{{}}",-5',
            "spans.csv, line 2, Duration: found '-5'; allowed: nanoseconds, a whole number",
        ),
        (f'"2026-11-23 16:38:53","{TRACE}"', "spans.csv, line 2: it has 2 cells, the header has 7"),
    ],
)
def test_a_row_that_cannot_be_read_is_named_and_the_rest_goes_on(row, problem):
    good = f'"2026-11-23 16:38:53","{TRACE}","{SPAN}","good","{{}}","{{}}",1'
    portions, problems = from_csv(f"{HEAD}{row}\n{good}\n")
    assert [portion.table.n for portion in portions] == [1]
    assert portions[0].left_out == 1
    assert len(problems) == 1
    assert problems[0].startswith(problem)


@pytest.mark.parametrize(
    ("written", "pairs"),
    [
        (rb"{}", []),
        (rb"{'a':'1','b':'2'}", [("a", b"1"), ("b", b"2")]),
        (rb"{'it\'s':'a \\ b\n','x':'\x41'}", [("it's", b"a \\ b\n"), ("x", b"A")]),
        (b"{'k':'{\\'in\\':\\'ner\\'},,'}", [("k", b"{'in':'ner'},,")]),
        (b'{"a": {"b": 1.5, "c": ["x"]}, "d": true}', [("a.b", b"1.5"), ("a.c", b'["x"]'), ("d", b"true")]),
    ],
)
def test_written_maps_are_read_with_their_escapes(written, pairs):
    found = pairs_of(pa.array([written]))
    assert [
        (found.key_names[key], value) for key, value in zip(found.key, found.value.to_pylist(), strict=True)
    ] == pairs
    assert found.bad.tolist() == [False]


@pytest.mark.parametrize("written", [b"{'a':'1'", b"{'a':'1' 'b':'2'}", b"['a']", b"x", b"{'a':1}"])
def test_what_is_no_map_is_said_to_be_none(written):
    assert pairs_of(pa.array([written])).bad.tolist() == [True]


def test_resources_are_told_apart_and_rows_left_out_do_not_shift_the_others(tmp_path):
    table = pa.table(
        {
            "Timestamp": pa.array([1_700_000_000_000_000_000] * 4, pa.timestamp("ns")),
            "TraceId": [TRACE, "bad", TRACE, TRACE],
            "SpanId": [f"{n:016x}" for n in (1, 2, 3, 4)],
            "ResourceAttributes": pa.array(
                [[("service.name", name), ("cloud.region", "eu-west-3")] for name in ("a", "x", "b", "a")],
                pa.map_(pa.string(), pa.string()),
            ),
            "SpanAttributes": pa.array(
                [[("wattspan.edition", "2026.11")], [], [("k", "1"), ("k", "2")], None],
                pa.map_(pa.string(), pa.string()),
            ),
        }
    )
    pq.write_table(table, tmp_path / "t.parquet")
    (portion,), problems = from_parquet(tmp_path / "t.parquet", KeySet(("service.name", "k", "cloud.region")))
    assert [str(problem) for problem in problems] == [
        "spans.parquet, row 2, TraceId: found 'bad'; allowed: 32 hex digits; the row is left out"
    ]
    spans = portion.table
    services = [spans.text(code) for code in spans.resource_codes(("service.name",)).tolist()]
    assert services == ["a", "b", "a"]
    assert spans.n_resources == 2
    assert [spans.text(code) for code in spans.codes(("k",)).tolist()] == ["", "2", ""]
    assert spans.own_attr.tolist() == [True, False, False]


def test_the_tracestate_of_a_span_is_read():
    text = (
        '"Timestamp","TraceId","SpanId","TraceState","SpanAttributes"\n'
        f'"2026-11-23 16:38:53","{TRACE}","{SPAN}","ot=th:8","{{}}"\n'
    )
    (portion,), _ = from_csv(text)
    assert portion.table.text(int(portion.table.trace_state_code[0])) == "ot=th:8"
