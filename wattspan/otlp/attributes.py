"""The attributes that Wattspan puts on spans: their names, and when each is written.

design.md D10. Two profiles of names and two levels of detail; `docs/attributes.md` is this table for readers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from math import isfinite
from typing import Final, Literal, NamedTuple

import numpy as np

from wattspan.calls import Column, EstimateBatch
from wattspan.calls.batch import Flags, Floats
from wattspan.otlp.wire.encode import AttributeColumn, encode_attributes
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
REASON: Final = "wattspan.grid.reason"

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
        "gen_ai.usage.energy_kwh", "double", "kWh", _GENAI, "standard", _FIGURE, "0.000329",
        "Energy of the call at the facility boundary: accelerator, host, idle share, building.",
        lambda e: e.energy_kwh,
    ),
    Attribute(
        "gen_ai.usage.co2e_g", "double", "gCO2e", _GENAI, "standard", _CARBON, "0.00658",
        "Operational carbon of the call: energy times the intensity of the grid.",
        lambda e: e.co2e_g,
    ),
    Attribute(
        "wattspan.energy_kwh", "double", "kWh", _OWN, "standard", _FIGURE, "0.000329",
        "As `gen_ai.usage.energy_kwh`, for back ends that take every `gen_ai.usage.*` for tokens.",
        lambda e: e.energy_kwh,
    ),
    Attribute(
        "wattspan.co2e_g", "double", "gCO2e", _OWN, "standard", _CARBON, "0.00658",
        "As `gen_ai.usage.co2e_g`.",
        lambda e: e.co2e_g,
    ),
    Attribute(
        "wattspan.energy_kwh_low", "double", "kWh", _ALL, "standard", _FIGURE, "0.0000543",
        "Lower end of the 90 % band of the energy.",
        lambda e: e.energy_kwh_low,
    ),
    Attribute(
        "wattspan.energy_kwh_high", "double", "kWh", _ALL, "standard", _FIGURE, "0.00199",
        "Upper end of the 90 % band of the energy.",
        lambda e: e.energy_kwh_high,
    ),
    Attribute(
        "wattspan.co2e_g_low", "double", "gCO2e", _ALL, "standard", _CARBON, "0.000971",
        "Lower end of the 90 % band of the carbon.",
        lambda e: e.co2e_g_low,
    ),
    Attribute(
        "wattspan.co2e_g_high", "double", "gCO2e", _ALL, "standard", _CARBON, "0.0446",
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
        "wattspan.region", "string", "", _ALL, "standard", _FIGURE, "azure/swedencentral",
        "Cloud region, geography or grid zone of the carbon figure; `world` where nothing is known.",
        lambda e: e.region,
    ),
    Attribute(
        "wattspan.region_source", "string", "", _ALL, "standard", _FIGURE, "host",
        "How the region is known: `rule`, `span`, `provider_reported`, `profile`, `deployment_type`, `host`, "
        "`resource`, `geography_mix`, `world`.",
        lambda e: e.region_source,
    ),
    Attribute(
        "wattspan.grid.zone", "string", "", _ALL, "standard", _FIGURE, "SE-SE3",
        "Grid zone, or mix of zones, behind the intensity.",
        lambda e: e.zone,
    ),
    Attribute(
        REASON, "string", "", _ALL, "standard", "calls with energy but no carbon figure",
        "no figure for this zone", "Why there is no carbon figure.",
        lambda e: e.grid_reason,
    ),
    Attribute(
        "wattspan.pue", "double", "1", _ALL, "full", "calls with a modelled figure", "1.16",
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
        "wattspan.grid.accounting", "string", "", _ALL, "full", _CARBON, "consumption",
        "`consumption` (with imports) or `generation`.",
        lambda e: e.grid_accounting,
    ),
    Attribute(
        "wattspan.grid.resolution", "string", "", _ALL, "full", _CARBON, "annual",
        "Resolution in time of the intensity.",
        lambda e: e.grid_resolution,
    ),
    Attribute(
        "wattspan.grid.source", "string", "", _ALL, "full", _CARBON, "Electricity Maps",
        "Data set behind the intensity.",
        lambda e: e.grid_source,
    ),
    Attribute(
        "wattspan.grid.g_per_kwh", "double", "gCO2e/kWh", _ALL, "full", _CARBON, "20.0",
        "Carbon intensity of the electricity.",
        lambda e: e.intensity_g_per_kwh,
    ),
    Attribute(
        "wattspan.embodied_g", "double", "gCO2e", _ALL, "full", "calls with a modelled figure", "0.00733",
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


def written(
    estimates: EstimateBatch, owners_of_duplicates: Sequence[int], profile: Profile, detail: Detail
) -> list[AttributeColumn]:
    """The attributes of calls, one column a key, in the order in which they are written.

    Rows: first the estimated calls, then the duplicates. `owners_of_duplicates`: the owning span's id
    (big-endian value; 0 where it is not known) of each duplicate. Calls without a figure keep basis and
    edition only, duplicates those and `wattspan.duplicate_of`; calls without a carbon figure have nothing of
    the grid but the reason.
    """
    n_duplicates = len(owners_of_duplicates)
    has_energy = np.isfinite(estimates.energy_kwh)
    has_carbon = has_energy & np.isfinite(estimates.co2e_g)
    columns = []
    for attribute in ATTRIBUTES:
        if profile not in attribute.profiles or (attribute.detail == "full" and detail != "full"):
            continue
        values = attribute.values(estimates)
        if attribute.name == REASON:
            values = _where(has_energy & ~has_carbon, values)
        elif attribute.name not in (BASIS, EDITION):
            values = _where(has_carbon if attribute.when == _CARBON else has_energy, values)
        if isinstance(values, Column):
            texts = _duplicate_texts(attribute.name, owners_of_duplicates, estimates.edition)
            columns.append(AttributeColumn(attribute.name, Column.concatenate([values, texts])))
        else:
            padded = np.concatenate([values, np.full(n_duplicates, np.nan)])
            columns.append(AttributeColumn(attribute.name, padded))
    return columns


def _duplicate_texts(key: str, owners: Sequence[int], edition: str) -> Column:
    if key == DUPLICATE_OF:
        return Column.of(f"{owner:016x}" if owner else "" for owner in owners)
    return Column.constant({BASIS: DUPLICATE, EDITION: edition}.get(key, ""), len(owners))


def of_duplicate(owner: int, edition: str) -> bytes:
    """The attributes of a duplicate as `written` has them; `owner`: span id of its owner, 0 = unknown."""
    said = {BASIS: DUPLICATE, EDITION: edition, DUPLICATE_OF: f"{owner:016x}" if owner else ""}
    return encode_attributes((key, said[key]) for key in OWN_KEYS if said.get(key))


def _where(keep: Flags, values: Values) -> Values:
    if isinstance(values, Column):
        return Column(np.where(keep, values.codes, 0).astype(np.int32), values.names)
    return np.where(keep & np.isfinite(values), values, np.nan)


def as_json(columns: Sequence[AttributeColumn], n: int) -> list[str]:
    """The attributes of each of `n` rows as JSON KeyValue objects, separated by commas."""
    pieces: list[list[str]] = [[] for _ in range(n)]
    for key, values, _ in columns:
        if isinstance(values, Column):
            made = [_json_string(key, name) if name else "" for name in values.names]
            for piece, code in zip(pieces, values.codes.tolist(), strict=True):
                if made[code]:
                    piece.append(made[code])
        elif isinstance(values, np.ndarray):
            head = f'{{"key":"{key}","value":{{"doubleValue":'
            for piece, number in zip(pieces, values.tolist(), strict=True):
                if isfinite(number):
                    piece.append(f"{head}{number!r}}}}}")
    return [",".join(piece) for piece in pieces]


def _json_string(key: str, text: str) -> str:
    clean = text.encode("utf-8", "replace").decode()
    return f'{{"key":"{key}","value":{{"stringValue":{json.dumps(clean, ensure_ascii=False)}}}}}'
