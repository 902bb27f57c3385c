"""Fuzz of the wire kernel against the fallback on opentelemetry-proto: same bytes refused, same values read.

By hand: `python tests/fuzz/fuzz_wire.py --minutes 5`. With atheris the changes are guided by the coverage of
the plain-Python walk, which sees the grammar that the kernel sees; without it, or with `--random`, by chance.
What is checked:

- nothing but WireError is raised, and the kernel never crashes (more is seen where it was built with
  `-fsanitize=address,undefined`);
- kernel, fallback and walk refuse the same bytes, for the same reason, at the same offset;
- what is read is the same to the last value;
- splice then parse is parse then edit, and splicing twice is splicing once.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from pathlib import Path

try:
    import atheris
except ImportError:
    atheris = None

if atheris:
    with atheris.instrument_imports(include=["wattspan.otlp.wire.walk", "wattspan.otlp.wire.fallback"]):
        from wattspan.otlp.wire import fallback, walk
else:
    from wattspan.otlp.wire import fallback, walk

sys.path.insert(0, str(Path(__file__).parents[1] / "otlp" / "wire"))
from google.protobuf.message import DecodeError
from implementations import everything

from wattspan.otlp.wire import WireError, _kernel, _splice, encode_attributes
from wattspan.otlp.wire.messages import raw_messages

CORPUS = Path(__file__).parent / "corpus_wire"
KEYS = ("gen_ai.request.model", "gen_ai.usage.input_tokens", "a", "wattspan.edition")
TRACES, _ = raw_messages()
OWN = ["wattspan.edition", "gen_ai.usage.energy_kwh"]
ADDITION = encode_attributes([("wattspan.edition", "2026.11"), ("gen_ai.usage.energy_kwh", 0.5)])
TOKENS = (
    *(key.encode() for key in (*KEYS, *OWN)),
    *(
        bytes([byte])
        for byte in (0x00, 0x0A, 0x10, 0x12, 0x18, 0x21, 0x2A, 0x32, 0x4A, 0x5A, 0x6A, 0x7A, 0x80, 0xFF)
    ),
    b"\x80\x80\x80\x80\x00",
    b"\xff\xff\xff\xff\x07",
    b"\xff" * 9 + b"\x01",
    b"\x0b\x0c",
    b"\x4b\x4c",
    b"\x0a\x00",
    b"\x12\x00",
    b"\x4a\x00",
    ADDITION,
)
seen: Counter[str] = Counter()


def check(data: bytes) -> None:
    """One input; AssertionError where the implementations differ."""
    try:
        table = _kernel.scan(data, KEYS)
    except WireError as error:
        seen["refused"] += 1
        refused(data, error)
        return
    seen["read"] += 1
    seen["spans"] += table.n > 0
    walk.check(data)
    assert everything(table) == everything(fallback.scan(data, KEYS)), "another table"
    if table.n:
        spliced(data, table)


def agree(data: bytes) -> None:
    """The quick part of `check`: both read the input, or both refuse it."""
    try:
        _kernel.scan(data, KEYS)
        is_read = True
    except WireError:
        is_read = False
    try:
        TRACES.FromString(data)
    except DecodeError:
        assert not is_read, "the kernel reads what the fallback refuses"
    else:
        assert is_read, "the kernel refuses what the fallback reads"


def refused(data: bytes, error: WireError) -> None:
    for judge in (walk.check, lambda raw: fallback.scan(raw, KEYS)):
        answer = None
        try:
            judge(data)
        except WireError as other:
            answer = other
        assert answer is not None, f"the kernel refuses what the fallback reads: {error}"
        assert (error.offset, error.what) == (answer.offset, answer.what), f"{error} / {answer}"


def spliced(data: bytes, table: object) -> None:
    additions = [(None, ADDITION, b"", ADDITION)[(row + len(data)) % 4] for row in range(table.n)]
    out = _splice.splice(data, table, additions, OWN)
    expected = fallback.splice(data, fallback.scan(data, KEYS), additions, OWN)
    parsed = (TRACES.FromString(raw).SerializeToString(deterministic=True) for raw in (out, expected))
    assert len(set(parsed)) == 1, "another splice"
    again = _kernel.scan(out, KEYS)
    assert again.n == table.n
    assert _splice.splice(out, again, additions, OWN) == out, "splicing twice is not splicing once"
    seen["spliced"] += out is not data


def seeds() -> list[bytes]:
    return [path.read_bytes() for path in sorted(CORPUS.iterdir())]


def mutated(data: bytes, chance: random.Random, others: list[bytes]) -> bytes:
    """The input with a few changes of the kinds that break parsers."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 6))):
        at = chance.randrange(len(changed) + 1)
        size = chance.choice((1, 1, 2, 4, 16))
        match chance.randrange(8):
            case 0 if at < len(changed):
                changed[at] ^= 1 << chance.randrange(8)
            case 1 if at < len(changed):
                changed[at] = (changed[at] + chance.choice((1, 2, 255, 254))) % 256
            case 2:
                changed[at : at + size] = chance.randbytes(size)
            case 3:
                changed[at : at + size] = b""
            case 4:
                changed[at:at] = chance.choice(TOKENS)
            case 5:
                other = chance.choice(others)
                begin = chance.randrange(len(other) + 1)
                changed[at:at] = other[begin : begin + chance.choice((4, 16, 64))]
            case 6:
                changed = nested(changed, chance)
            case _:
                del changed[at:]
    return bytes(changed)


def nested(data: bytearray, chance: random.Random) -> bytearray:
    """The input, or a part of it, as a well-formed field of another message, so that lengths stay right."""
    begin = chance.randrange(len(data) + 1)
    end = chance.randrange(begin, len(data) + 1)
    tag = chance.choice(
        (b"\x0a", b"\x12", b"\x1a", b"\x2a", b"\x32", b"\x4a", b"\x5a", b"\x6a", b"\x7a", b"\x82\x06")
    )
    size = end - begin
    length = bytes([size]) if size < 128 else bytes([size & 127 | 128, size >> 7 & 127 | 128, size >> 14])
    if chance.random() < 0.5:
        return data[:begin] + tag + length + data[begin:end] + data[end:]
    return bytearray(data + tag + length + data[begin:end])


def by_chance(minutes: float, seed: int) -> int:
    """Random changes of the corpus and of what they led to, until the time is over."""
    chance, inputs, runs = random.Random(seed), seeds(), 0
    end = time.monotonic() + minutes * 60
    while time.monotonic() < end:
        for turn in range(1600):
            data = mutated(chance.choice(inputs), chance, inputs)
            spliced_before = seen["spliced"]
            try:
                # Most of the time goes into the plain-Python parts: they see one input of sixteen.
                (agree if turn % 16 else check)(data)
            except BaseException:
                Path("fuzz_wire_failure.bin").write_bytes(data)
                print(f"failed after {runs} inputs; the input is in fuzz_wire_failure.bin")
                raise
            runs += 1
            if seen["spliced"] > spliced_before and len(data) < 2000 and chance.random() < 0.05:
                if len(inputs) < 2000:
                    inputs.append(data)
                else:
                    inputs[chance.randrange(len(inputs) // 2, len(inputs))] = data
    return runs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--random", action="store_true", help="random changes even if atheris is there")
    parser.add_argument("--grow", type=Path, help="folder where atheris keeps what leads to new coverage")
    parser.add_argument("input", nargs="*", type=Path, help="inputs to check once, instead")
    options, rest = parser.parse_known_args()
    for path in options.input:
        check(path.read_bytes())
    if options.input:
        return
    if atheris and not options.random:
        folders = [str(folder) for folder in (options.grow, CORPUS) if folder]
        atheris.Setup(
            [sys.argv[0], *folders, f"-max_total_time={int(options.minutes * 60)}", "-max_len=4096", *rest],
            check,
        )
        atheris.Fuzz()
    print(f"{by_chance(options.minutes, options.seed)} inputs, {dict(seen)}")


if __name__ == "__main__":
    main()
