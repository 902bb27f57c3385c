"""Flame graphs as the files of others: pprof, speedscope and collapsed stacks."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np

from wattspan.lake.rows import Ints
from wattspan.views.frames import AXES, CARBON, COST, ENERGY, TIME, TOKENS, Frames

SPEEDSCOPE_SCHEMA: Final = "https://www.speedscope.app/file-format-schema.json"
J_PER_KWH: Final = 3.6e6


class SampleType(NamedTuple):
    """An axis in whole numbers of a unit small enough for one call."""

    axis: int
    name: str
    unit: str
    scale: float
    """Units for one of the axis's own."""


SAMPLE_TYPES: Final = (
    SampleType(TIME, "self_time", "nanoseconds", 1.0),
    SampleType(TOKENS, "tokens", "count", 1.0),
    SampleType(COST, "cost", "micro-USD", 1e6),
    SampleType(ENERGY, "energy", "millijoules", J_PER_KWH * 1e3),
    SampleType(CARBON, "co2e", "micrograms", 1e6),
)


def whole(frames: Frames, kind: SampleType) -> Ints:
    """int64[n]: own values of an axis in units of `kind`, rounded."""
    values: Ints = np.rint(frames.own[kind.axis] * kind.scale).astype(np.int64)
    return values


def stacks(frames: Frames) -> Iterator[tuple[int, list[int]]]:
    """Each row with the rows from the root down to it; the list is used again."""
    path: list[int] = []
    for row, depth in enumerate(frames.depth.tolist()):
        del path[depth:]
        path.append(row)
        yield row, path


def collapsed(frames: Frames, axis: str) -> str:
    """Collapsed stacks of one axis, as flamegraph.pl takes them: `a;b;c 123`, same stacks added up.

    Values are whole numbers in the units of `SAMPLE_TYPES`. Raises ValueError for an axis that is none.
    """
    kind = next((kind for kind in SAMPLE_TYPES if AXES[kind.axis] == axis), None)
    if kind is None:
        raise ValueError(f"axis {axis!r}; allowed: {', '.join(AXES)}")
    names = [name.replace(";", ":").replace("\n", " ") or "?" for name in frames.name.texts()]
    sums: dict[str, int] = {}
    values = whole(frames, kind).tolist()
    for row, path in stacks(frames):
        if values[row]:
            stack = ";".join(names[at] for at in path)
            sums[stack] = sums.get(stack, 0) + values[row]
    return "".join(f"{stack} {value}\n" for stack, value in sums.items())


def speedscope(frames: Frames, title: str) -> str:
    """A speedscope file with one profile an axis."""
    codes = frames.name.codes.tolist()
    shared = [{"name": name or "?"} for name in frames.name.names]
    profiles: list[dict[str, Any]] = []
    for axis in (ENERGY, CARBON, COST, TOKENS, TIME):
        kind = next(kind for kind in SAMPLE_TYPES if kind.axis == axis)
        values = whole(frames, kind).tolist()
        samples, weights = [], []
        for row, path in stacks(frames):
            if values[row]:
                samples.append([codes[at] for at in path])
                weights.append(values[row])
        is_time = kind.axis == TIME
        profiles.append(
            {
                "type": "sampled",
                "name": f"{AXES[axis]} ({kind.unit})",
                "unit": "nanoseconds" if is_time else "none",
                "startValue": 0,
                "endValue": sum(weights),
                "samples": samples,
                "weights": weights,
            }
        )
    content = {
        "$schema": SPEEDSCOPE_SCHEMA,
        "name": title,
        "exporter": "wattspan",
        "activeProfileIndex": 0,
        "shared": {"frames": shared},
        "profiles": profiles,
    }
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def pprof(frames: Frames, title: str) -> bytes:
    """A gzip-compressed pprof profile with five sample types; `go tool pprof -sample_index=energy` reads it.

    One sample a frame with values of its own, the root outermost. The fields are those of
    google/pprof's profile.proto: Profile{1 sample_type, 2 sample, 4 location, 5 function, 6 string_table,
    13 comment, 14 default_sample_type}.
    """
    strings: dict[str, int] = {"": 0}

    def text(value: str) -> int:
        return strings.setdefault(value, len(strings))

    out = bytearray()
    for kind in SAMPLE_TYPES:
        out += _message(1, _number(1, text(kind.name)) + _number(2, text(kind.unit)))
    codes = (frames.name.codes + 1).tolist()
    values = np.stack([whole(frames, kind) for kind in SAMPLE_TYPES], axis=1)
    some = (values.sum(axis=1) > 0).tolist()
    rows = values.tolist()
    for row, path in stacks(frames):
        if some[row]:
            locations = b"".join(_varint(codes[at]) for at in reversed(path))
            out += _message(
                2, _message(1, locations) + _message(2, b"".join(_varint(value) for value in rows[row]))
            )
    for number, name in enumerate(frames.name.names, start=1):
        out += _message(4, _number(1, number) + _message(4, _number(1, number)))
        out += _message(5, _number(1, number) + _number(2, text(name or "?")))
    comment, default = text(title), text("energy")
    for value in strings:
        out += _message(6, value.encode("utf-8", "replace"))
    out += _number(13, comment) + _number(14, default)
    return gzip.compress(bytes(out), 6, mtime=0)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _message(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content
