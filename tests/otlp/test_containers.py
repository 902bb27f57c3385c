import gzip
import io
import json
import random

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from wattspan.otlp.compression import CompressedWriter, Compression
from wattspan.otlp.containers import Container, Encoding, Part, Shape, shape_of

FIELD = b"\x0a\x03\x12\x01\x00"
FIELDS = FIELD * 3
DOCUMENT = b'{"resourceSpans":[{"scopeSpans":[]}]}'
PRETTY = json.dumps(json.loads(DOCUMENT), indent=2).encode()


def opened(data: bytes, name: str = "", step: int | None = None) -> Container:
    source = io.BytesIO(data)
    return Container(lambda n: source.read(min(n, step) if step else n), name)


def parts_of(data: bytes, name: str = "", step: int | None = None) -> tuple[Container, list[Part]]:
    container = opened(data, name, step)
    return container, list(container)


def frame(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body


@pytest.mark.parametrize(
    ("head", "name", "shape"),
    [
        (FIELDS, "", Shape.PROTO),
        (b"", "empty.binpb", Shape.PROTO),
        (b"", "empty.jsonl", Shape.JSON_LINES),
        (DOCUMENT, "", Shape.JSON_LINES),
        (DOCUMENT + b"\n" + DOCUMENT, "", Shape.JSON_LINES),
        (PRETTY, "", Shape.JSON),
        (b"[\n" + PRETTY + b"]", "", Shape.JSON),
        (b"\xef\xbb\xbf" + PRETTY, "", Shape.JSON),
        (b"\xef\xbb\xbf" + DOCUMENT, "", Shape.JSON_LINES),
        (b"\r\n\r\n" + DOCUMENT, "", Shape.JSON_LINES),
        (b"\n" + PRETTY, "", Shape.JSON),
        (b"{}", "", Shape.JSON_LINES),
        (b"{", "", Shape.JSON_LINES),
        (b'{"a":"cut in a string\n' + DOCUMENT, "", Shape.JSON_LINES),
        (frame(FIELD), "", Shape.FRAMES),
        (frame(b"x" * 70_000)[:60_000], "", Shape.FRAMES),
        (b'half a line"}]}\n' + DOCUMENT, "", Shape.JSON_LINES),
        (DOCUMENT[:-2] + b"\n" + DOCUMENT + b"\n", "", Shape.JSON_LINES),
        (DOCUMENT[:-2] + b"\n\n" + DOCUMENT + b"\n", "", Shape.JSON_LINES),
        (b"half a line", "spans.jsonl", Shape.JSON_LINES),
        (b"half a line", "spans.json", Shape.JSON),
        (b"half a line", "", Shape.UNKNOWN),
        (b"\x12\x01\x00" + FIELD, "request.binpb", Shape.PROTO),
        (b"\x12\x01\x00" + FIELD, "request.pb.gz", Shape.PROTO),
    ],
)
def test_shape_is_told_by_content_and_the_name_is_a_hint(head: bytes, name: str, shape: Shape) -> None:
    assert shape_of(head, name) is shape


def test_protobuf_whose_first_length_looks_like_a_brace_is_still_protobuf() -> None:
    resource_spans = b"\x0a\x0a" + b"\x0a\x08" + b"\x0a\x01k\x12\x03\x0a\x01v" + b"\x12\x6d" + b"\x00" * 0x6D
    message = b"\x0a" + bytes([len(resource_spans)]) + resource_spans
    assert message[:2] == b"\n{"
    assert shape_of(message, "") is Shape.PROTO


COMPRESS = {
    Compression.NONE: lambda data: data,
    Compression.GZIP: gzip.compress,
    Compression.ZSTD: zstandard.ZstdCompressor().compress,
}
CONTENTS = {
    "protobuf": (FIELDS, Shape.PROTO, [FIELDS]),
    "document": (PRETTY + b"\n", Shape.JSON, [PRETTY]),
    "two documents": (PRETTY + b"\n" + PRETTY, Shape.JSON, [PRETTY, b"\n" + PRETTY]),
    "lines": (DOCUMENT + b"\r\n\r\n" + DOCUMENT, Shape.JSON_LINES, [DOCUMENT + b"\r\n", DOCUMENT]),
    "frames": (frame(FIELD) + frame(b"") * 3 + frame(FIELDS), Shape.FRAMES, [FIELD, FIELDS]),
    "zstd frames": (
        frame(zstandard.compress(DOCUMENT)) + frame(zstandard.compress(FIELDS)),
        Shape.FRAMES,
        [DOCUMENT, FIELDS],
    ),
}


@pytest.mark.parametrize("step", [None, 1, 7])
@pytest.mark.parametrize("compression", list(Compression))
@pytest.mark.parametrize("content", CONTENTS)
def test_every_container_in_every_compression_gives_its_messages_and_all_its_bytes(
    content: str, compression: Compression, step: int | None
) -> None:
    data, shape, payloads = CONTENTS[content]
    container, parts = parts_of(COMPRESS[compression](data), step=step)
    assert (container.shape, container.compression, container.damages) == (shape, compression, [])
    assert [part.payload for part in parts if part.encoding is not Encoding.OPAQUE] == payloads
    assert b"".join(part.raw for part in parts) == data
    offset = 0
    for part in parts:
        assert part.offset == offset
        offset += len(part.raw)


def test_a_long_protobuf_message_comes_in_runs_of_whole_fields() -> None:
    field = b"\x0a\x83\x80\x10" + bytes(0x40003)
    container, parts = parts_of(field * 9 + field[:-1])
    assert [len(part.payload) // len(field) for part in parts[:3]] == [4, 4, 1]
    assert b"".join(part.raw for part in parts) == field * 9 + field[:-1]
    assert [damage.offset for damage in container.damages] == [9 * len(field)]


def test_a_hole_of_zeros_is_not_read_message_by_message() -> None:
    container, parts = parts_of(bytes(3_000_002) + frame(FIELD)[2:])
    assert (len(parts), parts[-1].payload, container.damages) == (4, FIELD, [])


def test_gzip_members_zstd_frames_and_zero_padding_are_read_on() -> None:
    for data in (
        gzip.compress(DOCUMENT + b"\n") + gzip.compress(DOCUMENT),
        gzip.compress(DOCUMENT + b"\n") + gzip.compress(DOCUMENT) + b"\0" * 700,
        zstandard.compress(DOCUMENT + b"\n") + zstandard.compress(DOCUMENT),
        b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd" + zstandard.compress(DOCUMENT + b"\n" + DOCUMENT),
    ):
        container, parts = parts_of(data)
        assert [part.payload for part in parts] == [DOCUMENT + b"\n", DOCUMENT]
        assert container.damages == []


@pytest.mark.parametrize(
    ("data", "good", "offset", "reason"),
    [
        (FIELD + FIELD[:3], [FIELD], 5, "it ends in the middle of a protobuf field of 5 bytes"),
        (FIELD + b"\x0b\x00", [FIELD], 5, "not a protobuf field: wire type 3"),
        (FIELD + b"\x00\x00", [FIELD], 5, "not a protobuf field: field number 0"),
        (FIELD + b"\x0a" + b"\xff" * 11, [FIELD], 5, "not a protobuf field: a varint that does not end"),
        (FIELD + b"\x0a\xff\xff\xff\xff\x7f", [FIELD], 5, "a protobuf field of 34359738373 bytes; allowed"),
        (frame(FIELD) + b"\0\0", [FIELD], 9, "it ends in the middle of a frame's length"),
        (frame(FIELD) + frame(FIELD)[:-1], [FIELD], 9, "it ends in the middle of a frame of 5 bytes"),
        (frame(FIELD) + b"\xff\xff\xff\xff", [FIELD], 9, "a frame of 4294967295 bytes; allowed"),
        (b"what is this", [], 0, "not OTLP: it begins with b'what is '"),
    ],
)
def test_broken_framing_names_the_byte_and_passes_the_rest_through(
    data: bytes, good: list[bytes], offset: int, reason: str
) -> None:
    container, parts = parts_of(data)
    assert [part.payload for part in parts if part.encoding is not Encoding.OPAQUE] == good
    assert b"".join(part.raw for part in parts) == data
    assert [damage.offset for damage in container.damages] == [offset]
    assert container.damages[0].reason.startswith(reason)


def test_a_damaged_zstd_frame_passes_through_and_the_next_frame_is_read() -> None:
    good = frame(zstandard.compress(FIELD))
    bad = frame(zstandard.compress(bytes(1000))[:-3])
    container, parts = parts_of(good + bad + good)
    assert [part.encoding for part in parts] == [Encoding.PROTO, Encoding.OPAQUE, Encoding.PROTO]
    assert b"".join(part.raw for part in parts) == good + bad + good
    assert [damage.offset for damage in container.damages] == [len(good)]


LINES = b"".join(b'{"resourceSpans":[],"n":%d}\n' % random.Random(n).getrandbits(64) for n in range(20_000))


@pytest.mark.parametrize("compression", [Compression.GZIP, Compression.ZSTD])
def test_a_truncated_stream_gives_every_byte_before_the_cut(compression: Compression) -> None:
    packed = COMPRESS[compression](LINES)
    container, parts = parts_of(packed[: len(packed) * 2 // 3])
    read = b"".join(part.raw for part in parts)
    assert LINES.startswith(read)
    assert len(read) > len(LINES) // 2
    (damage,) = container.damages
    assert (damage.offset, damage.is_compressed) == (len(packed) * 2 // 3, True)
    assert "it ends in the middle of a" in damage.reason


@pytest.mark.parametrize("compression", [Compression.GZIP, Compression.ZSTD])
def test_a_flipped_byte_gives_what_lies_before_it_and_its_place(compression: Compression) -> None:
    packed = bytearray(COMPRESS[compression](LINES))
    place = len(packed) * 2 // 3
    packed[place : place + 64] = b"\xff" * 64
    container, parts = parts_of(bytes(packed))
    read = b"".join(part.raw for part in parts)
    # A deflate block is not checked before its end: bytes next to the fault may differ.
    assert read[: len(LINES) // 2] == LINES[: len(LINES) // 2]
    (damage,) = container.damages
    assert damage.is_compressed
    assert damage.offset <= len(packed)
    assert damage.offset >= (place if compression is Compression.GZIP else 0)


def test_gzip_bytes_before_a_fault_are_not_lost() -> None:
    packed = gzip.compress(DOCUMENT + b"\n")
    container, parts = parts_of(packed + b"not gzip at all")
    assert [part.payload for part in parts] == [DOCUMENT + b"\n"]
    assert [(d.offset, d.is_compressed) for d in container.damages] == [(len(packed), True)]


@pytest.mark.parametrize("compression", list(Compression))
def test_the_writer_gives_back_what_it_was_given_and_the_same_bytes_each_time(
    compression: Compression,
) -> None:
    results = []
    for _ in range(2):
        raw = io.BytesIO()
        writer = CompressedWriter(raw, compression)
        writer.write(LINES)
        writer.write(b"")
        writer.write(DOCUMENT)
        writer.finish()
        results.append(raw.getvalue())
    assert results[0] == results[1]
    container, parts = parts_of(results[0])
    assert container.compression is compression
    assert b"".join(part.raw for part in parts) == LINES + DOCUMENT


@given(
    st.lists(st.binary(max_size=300)),
    st.sampled_from(["", "x.jsonl", "x.binpb", "x.json"]),
    st.integers(1, 64),
    st.booleans(),
)
def test_any_bytes_come_out_as_they_went_in(
    pieces: list[bytes], name: str, step: int, as_lines: bool
) -> None:
    data = (b"\n" if as_lines else b"").join(pieces)
    container, parts = parts_of(data, name, step)
    if container.compression is Compression.NONE:
        assert b"".join(part.raw for part in parts) == data
    assert all(part.packed(part.payload) == part.raw for part in parts)


@given(
    st.recursive(
        st.none() | st.text() | st.integers(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    ),
    st.integers(1, 9),
)
def test_json_values_are_cut_apart_where_they_end_however_the_bytes_arrive(value: object, step: int) -> None:
    document = json.dumps({"": value, "b": 1}, indent=1).encode()
    _, parts = parts_of(document * 3, "x.json", step)
    assert [part.raw for part in parts] == [document] * 3


def test_a_changed_frame_gets_a_new_length_and_its_compression_back() -> None:
    _, (part,) = parts_of(frame(zstandard.compress(FIELD)))
    packed = part.packed(FIELDS)
    assert int.from_bytes(packed[:4], "big") == len(packed) - 4
    assert zstandard.decompress(packed[4:]) == FIELDS
