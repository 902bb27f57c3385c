import json
import math
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from wattspan.calls import Column, EstimateBatch, Factor, SpreadClass
from wattspan.otlp.attributes import (
    ATTRIBUTES,
    DETAILS,
    OWN_KEYS,
    PROFILES,
    as_json,
    written,
)
from wattspan.otlp.wire import encode_columns, is_own_key

PAGE = Path(__file__).parents[2] / "docs" / "attributes.md"
FIGURES = {
    "energy_kwh": 0.0003125,
    "energy_kwh_low": 0.0000515,
    "energy_kwh_high": 0.00189,
    "prefill_kwh": 0.0001,
    "decode_kwh": 0.0002,
    "host_kwh": 0.00001,
    "overhead_kwh": 0.0000025,
    "co2e_g": 0.0175,
    "co2e_g_low": 0.00285,
    "co2e_g_high": 0.107,
    "embodied_g": 0.0021,
    "water_ml": math.nan,
    "pue": 1.15,
    "intensity_g_per_kwh": 56.0,
}
TEXTS = {
    "basis": "modelled",
    "tier": "closed",
    "model": "openai/gpt-4o",
    "region": "aws/eu-west-3",
    "region_source": "host",
    "zone": "FR",
    "grid_source": "ember/2025",
    "grid_resolution": "annual",
    "grid_accounting": "generation",
    "grid_reason": "",
}


def batch(*rows: dict[str, Any]) -> EstimateBatch:
    n = len(rows)
    made: dict[str, Any] = {}
    for field in fields(EstimateBatch):
        if field.type == "Floats":
            made[field.name] = np.array([row.get(field.name, FIGURES[field.name]) for row in rows])
        elif field.type == "Column":
            made[field.name] = Column.of(row.get(field.name, TEXTS[field.name]) for row in rows)
    factors = (Factor("method", 0.5),)
    return EstimateBatch(
        **made,
        spread=np.zeros(n, dtype=np.int32),
        spreads=(SpreadClass(factors, factors),),
        signal="average",
        factor_type="lifecycle",
        edition="2026.11",
    )


NO_FIGURE = dict.fromkeys(FIGURES, math.nan)
STANDARD = {
    "gen_ai.usage.energy_kwh": 0.0003125,
    "gen_ai.usage.co2e_g": 0.0175,
    "wattspan.energy_kwh_low": 0.0000515,
    "wattspan.energy_kwh_high": 0.00189,
    "wattspan.co2e_g_low": 0.00285,
    "wattspan.co2e_g_high": 0.107,
    "wattspan.basis": "modelled",
    "wattspan.evidence": "closed",
    "wattspan.edition": "2026.11",
    "wattspan.model": "openai/gpt-4o",
    "wattspan.region": "aws/eu-west-3",
    "wattspan.region_source": "host",
    "wattspan.grid.zone": "FR",
}
FULL = {
    **STANDARD,
    "wattspan.pue": 1.15,
    "wattspan.grid.signal": "average",
    "wattspan.grid.factor_type": "lifecycle",
    "wattspan.grid.accounting": "generation",
    "wattspan.grid.resolution": "annual",
    "wattspan.grid.source": "ember/2025",
    "wattspan.grid.g_per_kwh": 56.0,
    "wattspan.embodied_g": 0.0021,
}


def from_json(text: str) -> dict[str, Any]:
    read = {}
    for attribute in json.loads(f"[{text}]"):
        ((kind, value),) = attribute["value"].items()
        assert kind == ("stringValue" if isinstance(value, str) else "doubleValue")
        read[attribute["key"]] = value
    return read


def from_protobuf(data: bytes) -> dict[str, Any]:
    span = Span.FromString(data)
    assert span.SerializeToString() == data
    return {a.key: getattr(a.value, str(a.value.WhichOneof("value"))) for a in span.attributes}


def both(
    estimates: EstimateBatch, profile: Any, detail: Any, owners: Sequence[int] = ()
) -> list[dict[str, Any]]:
    """The attributes of each row, which must be the same in protobuf and in JSON."""
    n = len(estimates) + len(owners)
    columns = written(estimates, owners, profile, detail)
    encoded = encode_columns(columns, np.arange(n), n)
    read = [from_protobuf(data or b"") for data in encoded]
    assert read == [from_json(text) for text in as_json(columns, n)]
    return read


@pytest.mark.parametrize(("detail", "expected"), [("standard", STANDARD), ("full", FULL)])
def test_genai_profile_writes_the_names_of_design_d10(detail: Any, expected: dict[str, Any]) -> None:
    (read,) = both(batch({}), "genai", detail)
    assert read == expected
    assert list(read) == list(expected)


def test_wattspan_profile_has_own_names_only_and_both_has_both() -> None:
    (own,) = both(batch({}), "wattspan", "standard")
    assert (own["wattspan.energy_kwh"], own["wattspan.co2e_g"]) == (0.0003125, 0.0175)
    assert all(key.startswith("wattspan.") for key in own)
    (everything,) = both(batch({}), "both", "standard")
    assert everything == STANDARD | own


@pytest.mark.parametrize("basis", ["no_usage", "failed"])
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("detail", DETAILS)
def test_a_call_without_a_figure_says_why_and_carries_no_number(
    basis: str, profile: Any, detail: Any
) -> None:
    (read,) = both(batch({**NO_FIGURE, "basis": basis, "tier": ""}), profile, detail)
    assert read == {"wattspan.basis": basis, "wattspan.edition": "2026.11"}


def test_energy_without_carbon_gives_the_reason_and_nothing_else_of_the_grid() -> None:
    row = {
        "co2e_g": math.nan,
        "co2e_g_low": math.nan,
        "co2e_g_high": math.nan,
        "grid_reason": "no direct factor",
    }
    (read,) = both(batch(row), "genai", "full")
    assert read["wattspan.grid.reason"] == "no direct factor"
    assert read["gen_ai.usage.energy_kwh"] == 0.0003125
    assert not {
        "gen_ai.usage.co2e_g",
        "wattspan.co2e_g_low",
        "wattspan.grid.source",
        "wattspan.grid.signal",
    } & set(read)


def test_an_unknown_model_is_absent_and_its_tier_is_not() -> None:
    (read,) = both(batch({"model": "", "tier": "unknown"}), "genai", "standard")
    assert "wattspan.model" not in read
    assert read["wattspan.evidence"] == "unknown"


def test_duplicates_point_to_the_owner_and_carry_no_figure() -> None:
    duplicate = {"wattspan.basis": "duplicate", "wattspan.edition": "2026.11"}
    assert both(batch(), "genai", "full", [0xE214ACBFA250B906, 255, 0]) == [
        {**duplicate, "wattspan.duplicate_of": "e214acbfa250b906"},
        {**duplicate, "wattspan.duplicate_of": "00000000000000ff"},
        duplicate,
    ]


def test_text_with_quotes_and_other_scripts_survives_both_encodings() -> None:
    name = 'a"b\\c\n\x00 été 模型 🦙'
    (read,) = both(batch({"model": name}), "genai", "standard")
    assert read["wattspan.model"] == name


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "energy_kwh": st.floats(),
                "co2e_g": st.floats(),
                "pue": st.floats(),
                "model": st.text(max_size=200),
                "tier": st.sampled_from(["", "open", "closed"]),
            }
        ),
        max_size=12,
    ),
    st.sampled_from(PROFILES),
    st.sampled_from(DETAILS),
)
def test_json_and_protobuf_say_the_same_of_any_batch_and_never_nan(
    rows: list[dict[str, Any]], profile: Any, detail: Any
) -> None:
    for row, read in zip(rows, both(batch(*rows), profile, detail), strict=True):
        assert all(isinstance(value, str) or math.isfinite(value) for value in read.values())
        key = "wattspan.energy_kwh" if profile == "wattspan" else "gen_ai.usage.energy_kwh"
        assert read.get(key) == (row["energy_kwh"] if math.isfinite(row["energy_kwh"]) else None)


def test_every_key_is_cut_when_it_is_replaced() -> None:
    assert all(is_own_key(key) for key in OWN_KEYS)
    assert len(set(OWN_KEYS)) == len(OWN_KEYS)


def test_the_reference_page_has_every_attribute_as_the_code_has_it() -> None:
    rows = [
        f"| `{a.name}` | {a.type} | {a.unit} | {', '.join(a.profiles)} | {a.detail} | {a.when} | "
        f"`{a.example}` | {a.meaning} |"
        for a in ATTRIBUTES
    ]
    page = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert page[: len(rows)] == rows
