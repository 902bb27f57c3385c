"""The attributes that Wattspan puts on spans: their names, when each is written, and their encoding.

design.md D10. Two profiles of names and two levels of detail; `docs/attributes.md` is this table for readers.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Sequence
from typing import Final, Literal, NamedTuple

import numpy as np

from wattspan.calls import Column, EstimateBatch
from wattspan.calls.batch import Flags, Floats, Ints
from wattspan.otlp.wire.keyset import OWN_PREFIX

Profile = Literal["genai", "wattspan", "both"]
Detail = Literal["standard", "full"]

PROFILES: Final[tuple[Profile, ...]] = ("genai", "wattspan", "both")
DETAILS: Final[tuple[Detail, ...]] = ("standard", "full")

DUPLICATE: Final = "duplicate"
"""`wattspan.basis` of a span that repeats a call which another span owns."""

BASIS: Final = "wattspan.basis"
EDITION: Final = "wattspan.edition"
DUPLICATE_OF: Final = "wattspan.duplicate_of"

Values = Floats | Column
"""One value a call: NaN, or "", where the attribute is not written."""


class Attribute(NamedTuple):
    """One attribute and where its values come from."""

    name: str
    type: Literal["double", "string"]
    unit: str
    profiles: tuple[Profile, ...]
    detail: Detail
    """The lowest level of detail that has it."""
    when: str
    example: str
    meaning: str
    values: Callable[[EstimateBatch], Values]


_ALL = PROFILES
_GENAI: Final[tuple[Profile, ...]] = ("genai", "both")
_OWN: Final[tuple[Profile, ...]] = ("wattspan", "both")
_FIGURE = "calls with a figure"
_CARBON = "calls with a carbon figure"

ATTRIBUTES: Final = (
    Attribute(
        "gen_ai.usage.energy_kwh", "double", "kWh", _GENAI, "standard", _FIGURE, "0.000312",
        "Energy of the call at the facility boundary: accelerator, host, idle share, building.",
        lambda e: e.energy_kwh,
    ),
    Attribute(
        "gen_ai.usage.co2e_g", "double", "gCO2e", _GENAI, "standard", _CARBON, "0.0175",
        "Operational carbon of the call: energy times the intensity of the grid.",
        lambda e: e.co2e_g,
    ),
    Attribute(
        "wattspan.energy_kwh", "double", "kWh", _OWN, "standard", _FIGURE, "0.000312",
        "As `gen_ai.usage.energy_kwh`, for back ends that take every `gen_ai.usage.*` for tokens.",
        lambda e: e.energy_kwh,
    ),
    Attribute(
        "wattspan.co2e_g", "double", "gCO2e", _OWN, "standard", _CARBON, "0.0175",
        "As `gen_ai.usage.co2e_g`.",
        lambda e: e.co2e_g,
    ),
    Attribute(
        "wattspan.energy_kwh_low", "double", "kWh", _ALL, "standard", _FIGURE, "0.0000515",
        "Lower end of the 90 % band of the energy.",
        lambda e: e.energy_kwh_low,
    ),
    Attribute(
        "wattspan.energy_kwh_high", "double", "kWh", _ALL, "standard", _FIGURE, "0.00189",
        "Upper end of the 90 % band of the energy.",
        lambda e: e.energy_kwh_high,
    ),
    Attribute(
        "wattspan.co2e_g_low", "double", "gCO2e", _ALL, "standard", _CARBON, "0.00285",
        "Lower end of the 90 % band of the carbon.",
        lambda e: e.co2e_g_low,
    ),
    Attribute(
        "wattspan.co2e_g_high", "double", "gCO2e", _ALL, "standard", _CARBON, "0.107",
        "Upper end of the 90 % band of the carbon.",
        lambda e: e.co2e_g_high,
    ),
    Attribute(
        BASIS, "string", "", _ALL, "standard", "every model call", "modelled",
        "What the figure rests on: `measured`, `reported`, `modelled`; or why there is none: `no_usage`, "
        "`failed`, `duplicate`.",
        lambda e: e.basis,
    ),
    Attribute(
        "wattspan.evidence", "string", "", _ALL, "standard", _FIGURE, "closed",
        "Evidence tier, which decides the width of the band: `metered_facility`, `metered_node`, "
        "`benchmarked`, `open_measured`, `open`, `closed`, `unknown`.",
        lambda e: e.tier,
    ),
    Attribute(
        EDITION, "string", "", _ALL, "standard", "every model call", "2026.11",
        "Methodology edition that made the figure.",
        lambda e: Column.constant(e.edition, len(e)),
    ),
    Attribute(
        "wattspan.model", "string", "", _ALL, "standard", "calls with a figure and a known model",
        "openai/gpt-4o", "Model as the registry resolved it; absent where the model is unknown.",
        lambda e: e.model,
    ),
    Attribute(
        "wattspan.region", "string", "", _ALL, "standard", _FIGURE, "aws/eu-west-3",
        "Cloud region or geography that the carbon was reckoned for.",
        lambda e: e.region,
    ),
    Attribute(
        "wattspan.region_source", "string", "", _ALL, "standard", _FIGURE, "host",
        "How the region is known: `rule`, `span`, `provider_reported`, `profile`, `deployment_type`, `host`, "
        "`resource`, `geography_mix`, `world`.",
        lambda e: e.region_source,
    ),
    Attribute(
        "wattspan.grid.zone", "string", "", _ALL, "standard", _FIGURE, "FR",
        "Grid zone, or mix of zones, behind the intensity.",
        lambda e: e.zone,
    ),
    Attribute(
        "wattspan.grid.reason", "string", "", _ALL, "standard", "calls with energy but no carbon figure",
        "no figure for this zone", "Why there is no carbon figure.",
        lambda e: e.grid_reason,
    ),
    Attribute(
        "wattspan.pue", "double", "1", _ALL, "full", "calls with a modelled figure", "1.15",
        "Power usage effectiveness of the facility.",
        lambda e: e.pue,
    ),
    Attribute(
        "wattspan.grid.signal", "string", "", _ALL, "full", _CARBON, "average",
        "`average` or `marginal`.",
        lambda e: Column.constant(e.signal, len(e)),
    ),
    Attribute(
        "wattspan.grid.factor_type", "string", "", _ALL, "full", _CARBON, "lifecycle",
        "`lifecycle` (with upstream emissions) or `direct`.",
        lambda e: Column.constant(e.factor_type, len(e)),
    ),
    Attribute(
        "wattspan.grid.accounting", "string", "", _ALL, "full", _CARBON, "generation",
        "`consumption` (with imports) or `generation`.",
        lambda e: e.grid_accounting,
    ),
    Attribute(
        "wattspan.grid.resolution", "string", "", _ALL, "full", _CARBON, "annual",
        "Resolution in time of the intensity.",
        lambda e: e.grid_resolution,
    ),
    Attribute(
        "wattspan.grid.source", "string", "", _ALL, "full", _CARBON, "ember/2025",
        "Data set behind the intensity, with its vintage.",
        lambda e: e.grid_source,
    ),
    Attribute(
        "wattspan.grid.g_per_kwh", "double", "gCO2e/kWh", _ALL, "full", _CARBON, "56.04",
        "Carbon intensity of the electricity.",
        lambda e: e.intensity_g_per_kwh,
    ),
    Attribute(
        "wattspan.embodied_g", "double", "gCO2e", _ALL, "full", "calls with a modelled figure", "0.0021",
        "Share of the hardware's manufacture; not part of `co2e_g`.",
        lambda e: e.embodied_g,
    ),
    Attribute(
        DUPLICATE_OF, "string", "", _ALL, "standard", "duplicates", "e214acbfa250b906",
        "Span id of the span that owns the call and carries its figures.",
        lambda e: Column.constant("", len(e)),
    ),
)  # fmt: skip
"""All attributes, in the order in which they are written."""

OWN_KEYS: Final = tuple(attribute.name for attribute in ATTRIBUTES)
"""Every key that this version writes under some profile; older versions' keys begin with `OWN_PREFIX` too."""

GENAI_KEYS: Final = tuple(key for key in OWN_KEYS if not key.startswith(OWN_PREFIX))
"""The keys outside our prefix; without `wattspan.edition` beside them they are somebody else's report."""

_ALWAYS = (BASIS, EDITION)


def written(estimates: EstimateBatch, profile: Profile, detail: Detail) -> list[tuple[str, Values]]:
    """The attributes of estimated calls as (name, one value a call), in the order in which they are written.

    Calls without a figure keep `wattspan.basis` and `wattspan.edition` only; calls without a carbon figure
    have nothing of the grid but the reason.
    """
    has_energy = np.isfinite(estimates.energy_kwh)
    has_carbon = np.isfinite(estimates.co2e_g)
    chosen: list[tuple[str, Values]] = []
    for attribute in ATTRIBUTES:
        if profile not in attribute.profiles or (attribute.detail == "full" and detail != "full"):
            continue
        values = attribute.values(estimates)
        if attribute.name not in _ALWAYS:
            if attribute.name == "wattspan.grid.reason":
                keep = has_energy & ~has_carbon
            else:
                keep = has_carbon if attribute.when == _CARBON else has_energy
            values = _where(keep, values)
        chosen.append((attribute.name, values))
    return chosen


def duplicates(owner_span_ids: Sequence[int], edition: str) -> list[tuple[str, Values]]:
    """The attributes of spans that repeat a call owned by another span: no figure, so that sums stay right.

    `owner_span_ids`: big-endian values; 0 where the owner's id is not known.
    """
    n = len(owner_span_ids)
    return [
        (BASIS, Column.constant(DUPLICATE, n)),
        (EDITION, Column.constant(edition, n)),
        (DUPLICATE_OF, Column.of(f"{owner:016x}" if owner else "" for owner in owner_span_ids)),
    ]


def _where(keep: Flags, values: Values) -> Values:
    if isinstance(values, Column):
        return Column(np.where(keep, values.codes, 0).astype(np.int32), values.names)
    return np.where(keep & np.isfinite(values), values, np.nan)


def as_protobuf(columns: Sequence[tuple[str, Values]], n: int) -> list[bytes]:
    """The attributes of each of `n` rows as the bytes of `Span.attributes` fields, tags included.

    Rows that carry the same texts and the same set of numbers have the same bytes but for the numbers, so
    each such group is one template and its numbers are written as columns.
    """
    group, order = _groups(columns, n)
    encoded: list[bytes] = [b""] * n
    starts = np.flatnonzero(np.r_[True, group[1:] != group[:-1]]) if n else np.empty(0, dtype=np.int64)
    for begin, end in zip(starts.tolist(), [*starts[1:].tolist(), n], strict=True):
        rows = order[begin:end]
        template = bytearray()
        places: list[tuple[int, Floats]] = []
        for key, values in columns:
            if isinstance(values, Column):
                if text := values.names[values.codes[rows[0]]]:
                    template += _proto_string(key, text)
            elif not np.isnan(values[rows[0]]):
                template += _proto_double(key)
                places.append((len(template) - 8, values[rows]))
        size = len(template)
        matrix = np.empty((len(rows), size), dtype=np.uint8)
        matrix[:] = np.frombuffer(bytes(template), dtype=np.uint8)
        for place, values in places:
            matrix[:, place : place + 8] = values.astype("<f8").view(np.uint8).reshape(-1, 8)
        packed = matrix.tobytes()
        for index, row in enumerate(rows.tolist()):
            encoded[row] = packed[index * size : (index + 1) * size]
    return encoded


def _groups(columns: Sequence[tuple[str, Values]], n: int) -> tuple[Ints, Ints]:
    """Group of each row by its texts and its set of numbers, sorted, and the rows in that order."""
    key = np.zeros(n, dtype=np.int64)
    size = 1
    for _, values in columns:
        if isinstance(values, Column):
            codes, count = values.codes, len(values.names)
        else:
            codes, count = np.isnan(values).astype(np.int32), 2
        if size > 2**62 // count:
            distinct, key = np.unique(key, return_inverse=True)
            size = len(distinct)
        key = key * count + codes
        size *= count
    order = np.argsort(key, kind="stable")
    return key[order], order


def as_json(columns: Sequence[tuple[str, Values]], n: int) -> list[str]:
    """The attributes of each of `n` rows as JSON KeyValue objects, separated by commas."""
    pieces: list[list[str]] = [[] for _ in range(n)]
    for key, values in columns:
        if isinstance(values, Column):
            made = [_json_string(key, name) if name else "" for name in values.names]
            for piece, code in zip(pieces, values.codes.tolist(), strict=True):
                if made[code]:
                    piece.append(made[code])
        else:
            head = f'{{"key":"{key}","value":{{"doubleValue":'
            for piece, number in zip(pieces, values.tolist(), strict=True):
                if number == number:
                    piece.append(f"{head}{number!r}}}}}")
    return [",".join(piece) for piece in pieces]


def _proto_string(key: str, text: str) -> bytes:
    value = text.encode("utf-8", "replace")
    return _key_value(key, b"\x0a" + _varint(len(value)) + value)


def _proto_double(key: str) -> bytes:
    return _key_value(key, b"\x21" + struct.pack("<d", 0.0))


def _key_value(key: str, any_value: bytes) -> bytes:
    """Field 9 of Span (attributes) with KeyValue{1: key, 2: AnyValue} (opentelemetry-proto, trace.proto)."""
    name = key.encode()
    body = b"\x0a" + _varint(len(name)) + name + b"\x12" + _varint(len(any_value)) + any_value
    return b"\x4a" + _varint(len(body)) + body


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _json_string(key: str, text: str) -> str:
    return f'{{"key":"{key}","value":{{"stringValue":{json.dumps(text, ensure_ascii=False)}}}}}'
