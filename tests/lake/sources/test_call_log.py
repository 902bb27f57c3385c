"""Call logs, CSV and Parquet, as spans."""

import datetime as dt
import gzip
import hashlib
import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from wattspan.lake.sources.call_log import CallLog
from wattspan.lake.sources.column_map import ColumnMap, ColumnMapError, read_column_map
from wattspan.lake.sources.csv_blocks import CsvError
from wattspan.otlp.containers import Stream

NS = 10**9
NOV_16 = int(dt.datetime(2023, 11, 16, tzinfo=dt.UTC).timestamp()) * NS
AZURE = ColumnMap(
    {"start": "TIMESTAMP", "input_tokens": "ContextTokens", "output_tokens": "GeneratedTokens"},
    {"model": "gpt-4o", "provider": "azure.openai", "region": "eastus"},
)
AZURE_HEAD = "TIMESTAMP,ContextTokens,GeneratedTokens\n"
WHOLE = "a whole number from 0 to 20,000,000"


class Read:
    """All spans of a file, in one."""

    def __init__(self, portions, problems):
        portions = list(portions)
        spans = [portion.spans for portion in portions]
        self.left_out = sum(portion.left_out for portion in portions)
        self.problems = [str(problem) for problem in problems]
        self.span_id = [id for span in spans for id in span.span_id.tolist()]
        self.trace_id = [id.tobytes().hex() for span in spans for id in span.trace_id]
        self.input = [n for span in spans for n in span.calls.input_tokens.tolist()]
        self.output = [n for span in spans for n in span.calls.output_tokens.tolist()]
        self.start = [n for span in spans for n in span.start_unix_ns.tolist()]
        self.spans = spans[0] if spans else None


def from_csv(data, columns=AZURE, label="azure", **options):
    problems = []
    log = CallLog(columns, "calls.csv", label, problems.append)
    content = data if isinstance(data, bytes) else data.encode()
    return Read(log.csv(Stream(io.BytesIO(content).read), **options), problems)


def from_parquet(table, columns=AZURE, label="azure"):
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    problems = []
    log = CallLog(columns, "calls.parquet", label, problems.append)
    return Read(log.parquet(buffer), problems)


def test_a_row_of_the_azure_trace_is_a_call_with_its_tokens_and_its_start():
    read = from_csv(AZURE_HEAD + "2023-11-16 18:17:03.9799600,4808,10\n")
    spans = read.spans
    assert (read.input, read.output) == ([4808], [10])
    assert read.start == [NOV_16 + (18 * 3600 + 17 * 60 + 3) * NS + 979_960_000]
    assert spans.calls.model.texts() == ["gpt-4o"]
    assert spans.calls.provider.texts() == ["azure.ai.openai"]
    assert spans.calls.span_region.texts() == ["eastus"]
    assert spans.name.texts() == ["chat gpt-4o"]
    assert spans.calls.has_usage.tolist() == [True]
    assert spans.parent_span_id.tolist() == [0]


def test_a_gzipped_file_is_read_as_it_is():
    read = from_csv(gzip.compress((AZURE_HEAD + "2023-11-16 18:17:03,1,2\n").encode()))
    assert (read.input, read.output, read.problems) == ([1], [2], [])


def test_the_same_rows_have_the_same_ids_in_every_import():
    rows = "2023-11-16 18:17:03,1,2\n2023-11-16 18:17:04,3,4\n"
    first, second = from_csv(AZURE_HEAD + rows), from_csv(AZURE_HEAD + rows)
    assert first.span_id == second.span_id
    assert first.trace_id == second.trace_id
    assert len(set(first.trace_id)) == 2


def stirred(word):
    """The mixing of docs/import.md, in whole numbers of Python."""
    word = word * 0x9E3779B97F4A7C15 % 2**64
    word = (word ^ word >> 32) * 0xD6E8FEB86659FD93 % 2**64
    return word ^ word >> 32


def blake(text):
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def test_ids_are_made_as_the_documents_say():
    # Another hash would count every row of every imported log again.
    high, low = blake("wattspan row, high, azure"), blake("wattspan row, low, azure")
    start = NOV_16 + (18 * 3600 + 17 * 60 + 3) * NS + 979_960_000
    for field, bits in (("start", start), ("input_tokens", 4808), ("output_tokens", 10)):
        high = stirred(((high ^ bits) + blake(field)) % 2**64)
        low = stirred(((low ^ bits) + blake(field)) % 2**64)
    row = "2023-11-16 18:17:03.9799600,4808,10\n"
    read = from_csv(AZURE_HEAD + row + row)
    for occurrence in (0, 1):
        last = stirred((low + occurrence) % 2**64)
        first = stirred(high ^ last)
        assert read.trace_id[occurrence] == f"{first:016x}{last:016x}"
        assert read.span_id[occurrence] == stirred((first + 0x9E3779B97F4A7C15) % 2**64)


def test_a_file_that_grew_keeps_the_ids_of_the_rows_it_had():
    before = from_csv(AZURE_HEAD + "2023-11-16 18:17:04,3,4\n2023-11-16 18:17:05,5,6\n")
    after = from_csv(
        AZURE_HEAD + "2023-11-16 18:17:03,1,2\n2023-11-16 18:17:04,3,4\n2023-11-16 18:17:05,5,6\n"
    )
    assert after.span_id[1:] == before.span_id


def test_equal_rows_are_calls_of_their_own_and_numbered():
    rows = "2023-11-16 18:17:03,1,2\n" * 3
    three = from_csv(AZURE_HEAD + rows)
    four = from_csv(AZURE_HEAD + rows + "2023-11-16 18:17:03,1,2\n")
    assert len(set(four.span_id)) == 4
    assert four.span_id[:3] == three.span_id


def test_equal_rows_are_numbered_across_portions():
    # 262,144 rows of one content come in two portions.
    n = 262_144
    table = pa.table(
        {
            "TIMESTAMP": pa.array([NOV_16] * n).cast(pa.timestamp("ns")),
            "ContextTokens": [1] * n,
            "GeneratedTokens": [2] * n,
        }
    )
    assert len(set(from_parquet(table).span_id)) == n


def test_equal_rows_are_found_again_in_an_unsorted_log():
    n = 300_000
    start = np.random.default_rng(5).permutation(n)
    columns = {
        "TIMESTAMP": pa.array(np.concatenate([start, start]) * 1000 + NOV_16).cast(pa.timestamp("ns")),
        "ContextTokens": np.ones(2 * n, dtype=np.int64),
        "GeneratedTokens": np.ones(2 * n, dtype=np.int64),
    }
    assert len(set(from_parquet(pa.table(columns)).span_id)) == 2 * n


def test_two_sources_with_the_same_rows_are_two_sources():
    row = AZURE_HEAD + "2023-11-16 18:17:03,1,2\n"
    assert from_csv(row, label="a").span_id != from_csv(row, label="b").span_id


def test_csv_and_parquet_of_the_same_log_give_the_same_ids():
    table = pa.table(
        {
            "TIMESTAMP": pa.array([NOV_16 + 3 * NS]).cast(pa.timestamp("ns")),
            "ContextTokens": [1],
            "GeneratedTokens": [2],
        }
    )
    assert from_parquet(table).span_id == from_csv(AZURE_HEAD + "2023-11-16 00:00:03,1,2\n").span_id


@pytest.mark.parametrize(
    ("cell", "allowed"),
    [
        ("2023-11-16 18:17:04,many,4", WHOLE),
        ("2023-11-16 18:17:04,-3,4", WHOLE),
        ("2023-11-16 18:17:04,3.5,4", WHOLE),
        ("2023-11-16 18:17:04,99999999999999999999,4", WHOLE),
        ("yesterday,3,4", "a time of 1990 to 2199"),
        (",3,4", "a time of 1990 to 2199"),
        ("1969-07-20 20:17:40,3,4", "a time of 1990 to 2199"),
    ],
)
def test_a_wrong_cell_names_its_line_and_what_is_allowed_and_the_rest_goes_on(cell, allowed):
    read = from_csv(f"{AZURE_HEAD}2023-11-16 18:17:03,1,2\n{cell}\n2023-11-16 18:17:05,5,6\n")
    assert (read.input, read.left_out) == ([1, 5], 1)
    (problem,) = read.problems
    assert problem.startswith("calls.csv, line 3, ")
    assert f"allowed: {allowed}" in problem
    assert problem.endswith("the row is left out")


def test_a_wrong_cell_says_what_was_found_in_which_column():
    (problem,) = from_csv(AZURE_HEAD + "2023-11-16 18:17:04,many,4\n").problems
    assert problem == (
        f"calls.csv, line 2, ContextTokens: found 'many'; allowed: {WHOLE}; the row is left out"
    )


def test_lines_are_counted_through_cells_with_line_ends_and_empty_lines():
    columns = ColumnMap({"start": "t", "input_tokens": "n"})
    text = 't,note,n\n2023-11-16,"two\nlines, ""quoted""",1\n\n2023-11-16,x,oops\n2023-11-16,x,3\n'
    read = from_csv(text, columns)
    assert read.input == [1, 3]
    assert read.problems[0].startswith("calls.csv, line 5, n: found 'oops'")


def test_a_row_with_too_many_or_too_few_cells_is_named_and_left_out():
    read = from_csv(AZURE_HEAD + "2023-11-16,1,2\n2023-11-16,1\n2023-11-16,1,2,3\n2023-11-16,7,8\n")
    assert (read.input, read.left_out) == ([1, 7], 2)
    assert read.problems == [
        "calls.csv, line 3: it has 2 cells, the header has 3; the row is left out",
        "calls.csv, line 4: it has 4 cells, the header has 3; the row is left out",
    ]


def test_missing_tokens_are_a_call_without_usage_and_not_a_wrong_cell():
    read = from_csv(AZURE_HEAD + "2023-11-16 18:17:03,,\n2023-11-16 18:17:03,NULL,\\N\n")
    assert read.problems == []
    assert read.spans.calls.has_usage.tolist() == [False, False]


def test_a_gzip_file_that_breaks_off_gives_its_rows_and_says_where(tmp_path):
    whole = gzip.compress((AZURE_HEAD + "2023-11-16 18:17:03,1,2\n" * 5000).encode())
    stream = Stream(io.BytesIO(whole[:-8]).read)
    problems = []
    portions = list(CallLog(AZURE, "calls.csv.gz", "azure", problems.append).csv(stream))
    assert sum(len(portion.spans) for portion in portions) == 5000
    assert stream.damage.is_compressed
    assert "ends in the middle of a member" in stream.damage.reason


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_tells_the_encoding(encoding):
    columns = ColumnMap({"start": "t", "input_tokens": "n", "service": "Dienst"})
    read = from_csv("t,n,Dienst\n2023-11-16,1,Käse\n".encode(encoding), columns)
    assert read.spans.service.texts() == ["Käse"]


def test_text_in_another_encoding_is_named_and_read_once_the_encoding_is_given():
    columns = ColumnMap({"start": "t", "input_tokens": "n", "service": "s"})
    data = "t,n,s\n2023-11-16,1,Käse\n".encode("latin-1")
    read = from_csv(data, columns)
    assert read.left_out == 1
    assert "found b'K\\xe4se'; allowed: text in UTF-8" in read.problems[0]
    assert from_csv(data, columns, encoding="latin-1").spans.service.texts() == ["Käse"]


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_the_mark_between_cells_is_told_from_the_header(mark):
    columns = ColumnMap({"start": "the time", "input_tokens": "tokens in"})
    read = from_csv(
        mark.join(["the time", "tokens in", "x"]) + "\n" + mark.join(["2023-11-16", "5", "y"]), columns
    )
    assert read.input == [5]


def test_a_column_that_is_not_there_is_an_error_with_what_the_file_has():
    columns = ColumnMap({"start": "time", "input_tokens": "ContextTokens"})
    with pytest.raises(
        ColumnMapError, match="no column 'time'; the file has 'TIMESTAMP', 'ContextTokens', 'Gen"
    ):
        from_csv(AZURE_HEAD, columns)


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\x00\x01\x02\x03,\n"])
def test_what_is_no_csv_is_said_to_be_none(content):
    with pytest.raises(CsvError):
        from_csv(content)


def test_a_quotation_mark_that_is_never_closed_does_not_fill_the_memory():
    text = AZURE_HEAD + '2023-11-16,1,2\n2023-11-16,"3,4\n' + "2023-11-16,1,2\n" * 5_000_000
    read = from_csv(text)
    assert "is a quotation mark not closed?" in read.problems[-1]


@pytest.mark.parametrize(
    ("cell", "start"),
    [
        ("2023-11-16T02:00:00+02:00", NOV_16),
        ("2023-11-16T00:00:00.000000001Z", NOV_16 + 1),
        ("1700092800", NOV_16),
        ("1700092800000", NOV_16),
        ("1700092800.5", NOV_16 + NS // 2),
        ("1700092800000000", NOV_16),
        ("1700092800000000000", NOV_16),
    ],
)
def test_times_with_zones_and_numbers_since_1970_are_read(cell, start):
    assert from_csv(f"{AZURE_HEAD}{cell},1,2\n").start == [start]


def test_parquet_times_of_any_unit_zone_and_kind_are_read():
    for column in (
        pa.array([NOV_16 // NS], pa.timestamp("s")),
        pa.array([NOV_16 // 1000], pa.timestamp("us", "America/New_York")),
        pa.array([NOV_16 // 10**6]),
        pa.array([dt.date(2023, 11, 16)]),
        pa.array([NOV_16]),
    ):
        table = pa.table({"TIMESTAMP": column, "ContextTokens": [1], "GeneratedTokens": pa.array([2.0])})
        assert from_parquet(table).start == [NOV_16], column.type


def test_a_dot_leads_into_a_structure_and_a_list_is_refused_with_its_type():
    table = pa.table({"t": [NOV_16], "usage": [{"in": 7, "more": {"out": 8}}], "tags": [["a"]]})
    columns = ColumnMap({"start": "t", "input_tokens": "usage.in", "output_tokens": "usage.more.out"})
    read = from_parquet(table, columns)
    assert (read.input, read.output) == ([7], [8])
    with pytest.raises(ColumnMapError, match=r"--map output_tokens=tags: the column holds list<"):
        from_parquet(table, ColumnMap({"start": "t", "output_tokens": "tags"}))


def test_a_wrong_cell_of_a_parquet_file_names_its_row():
    table = pa.table({"TIMESTAMP": [NOV_16] * 2, "ContextTokens": [1, -1], "GeneratedTokens": ["2", "2"]})
    read = from_parquet(table)
    assert read.problems == [
        f"calls.parquet, row 2, ContextTokens: found -1; allowed: {WHOLE}; the row is left out"
    ]


def test_input_counted_without_the_cache_gets_the_cache_added():
    columns = ColumnMap(
        {"start": "t", "uncached_input_tokens": "i", "cache_read_tokens": "r", "cache_write_tokens": "w"}
    )
    assert from_csv("t,i,r,w\n2023-11-16,100,900,50\n", columns).input == [1050]


def test_a_part_that_exceeds_its_whole_is_left_out_with_the_way_to_mend_it():
    columns = ColumnMap({"start": "t", "input_tokens": "i", "cache_read_tokens": "r"})
    read = from_csv("t,i,r\n2023-11-16,100,900\n", columns)
    assert read.input == []
    assert "900 cache_read_tokens of 100 input_tokens" in read.problems[0]
    assert "map uncached_input_tokens" in read.problems[0]


def test_ids_of_the_log_are_kept_and_other_texts_make_ids():
    columns = ColumnMap(
        {"start": "t", "input_tokens": "n", "trace_id": "trace", "span_id": "span", "parent_span_id": "up"}
    )
    trace = "0af7651916cd43dd8448eb211c80319c"
    read = from_csv(
        f"t,n,trace,span,up\n2023-11-16,1,{trace},00f067aa0ba902b7,\n"
        f"2023-11-16,1,{trace},step 2,00f067aa0ba902b7\n"
        "2023-11-16,1,session-9,step 3,step 2\n",
        columns,
    )
    assert read.trace_id[:2] == [trace, trace]
    assert len(read.trace_id[2]) == 32
    assert read.span_id[0] == 0x00F067AA0BA902B7
    assert read.spans.parent_span_id.tolist() == [0, 0x00F067AA0BA902B7, read.span_id[1]]


def test_errors_durations_and_cost_of_a_log_are_read():
    columns = ColumnMap(
        {"start": "t", "input_tokens": "n", "duration_ms": "ms", "is_error": "status", "cost_usd": "usd"}
    )
    spans = from_csv("t,n,ms,status,usd\n2023-11-16,1,12.5,ok,0.25\n2023-11-16,0,1,error,\n", columns).spans
    assert spans.duration_ns.tolist() == [12_500_000, 1_000_000]
    assert spans.calls.is_error.tolist() == [False, True]
    assert spans.status.tolist() == [0, 2]
    assert spans.reported_cost_usd[0] == 0.25
    assert np.isnan(spans.reported_cost_usd[1])


def test_attributes_of_a_log_become_span_attributes():
    columns = ColumnMap({"start": "t", "input_tokens": "n", "attribute.team": "Team", "attribute.env": "e"})
    spans = from_csv("t,n,Team,e\n2023-11-16,1,search,\n2023-11-16,1,ads,prod\n", columns).spans
    assert spans.attributes.column("team").texts() == ["search", "ads"]
    assert spans.attributes.column("env").texts() == ["", "prod"]


def test_a_map_in_a_file_is_read_and_the_command_line_goes_before_it(tmp_path):
    path = tmp_path / "map.yaml"
    path.write_text("label: day\nmap:\n  start: TIMESTAMP\n  output_tokens: G\nset:\n  model: gpt-4o\n")
    found = read_column_map(path).with_options(
        ["input_tokens=a=b", "output_tokens=Out"], ["model=gpt-5"], None
    )
    assert found.columns == {"start": "TIMESTAMP", "output_tokens": "Out", "input_tokens": "a=b"}
    assert found.constants == {"model": "gpt-5"}
    assert found.label == "day"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("map: [1]", "map: must be FIELD: NAME pairs"),
        ("maps: {}", "allowed keys: map, set, label"),
        ("map: {speed: x}", "no field 'speed'; allowed: start, end"),
        ("map: {input_tokens: a, uncached_input_tokens: b}", "say the same: give one"),
        ("map: {model: a}\nset: {model: b}", "model is both mapped to a column and set"),
        ("a: b: c", "cannot be read as YAML"),
    ],
)
def test_a_map_that_makes_no_sense_is_refused_with_what_is_allowed(tmp_path, content, reason):
    path = tmp_path / "map.yaml"
    path.write_text(content)
    with pytest.raises(ColumnMapError, match=reason):
        read_column_map(path)


def test_a_constant_that_cannot_be_is_refused():
    with pytest.raises(ColumnMapError, match="--set output_tokens=lots: allowed: a whole number"):
        CallLog(ColumnMap({"start": "t"}, {"output_tokens": "lots"}), "f", "l", print)


def test_a_file_of_many_blocks_is_read_whole():
    rows = 400_000
    text = AZURE_HEAD + "".join(f"2023-11-16 18:17:03.{i:07d},{i},1\n" for i in range(rows))
    read = from_csv(text + "x,1,1\n")
    assert sum(read.input) == rows * (rows - 1) // 2
    assert read.problems[0].startswith(f"calls.csv, line {rows + 2}, TIMESTAMP: found 'x'")


@pytest.mark.parametrize("key", ["user.id", "enduser.id", "gen_ai.conversation.id", "gen_ai.input.messages"])
def test_a_column_of_people_or_of_what_they_wrote_cannot_be_mapped(key: str) -> None:
    with pytest.raises(ColumnMapError, match=f"attribute '{key}' cannot be kept in the lake"):
        ColumnMap({"start": "t", "input_tokens": "n", f"attribute.{key}": "c"})
    with pytest.raises(ColumnMapError, match="cannot be kept"):
        ColumnMap({"start": "t", "input_tokens": "n"}, {f"attribute.{key}": "x"})
