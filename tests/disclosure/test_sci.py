"""The SCI score from a sealed disclosure, and the units that its own published examples slipped on."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from tests.disclosure.sealed_rows import SMALL, cell, contract, sealed, subject
from tests.disclosure.test_render import document
from wattspan.disclosure import sci
from wattspan.disclosure.columns import statement
from wattspan.disclosure.figure import reckon
from wattspan.disclosure.units import UnitError, converted, of_same_kind, rate


def columns(*cells, **given):
    rows = sealed(*(cells or (cell(),)), **given)
    return statement(subject(), reckon(rows, "ticket summary"))["columns"]


def test_the_score_is_energy_times_intensity_and_manufacture_over_inferences() -> None:
    # 100 calls of 1,000 in and 100 out: 0.36 kWh at 200 g/kWh is 72 g; GPU joules 720,000 x 0.00001 = 7.2 g;
    # over 50 inferences
    found = sci.score(columns())
    assert found.energy_kwh == Decimal("7.2")
    assert found.intensity_g_per_kwh == 200
    assert found.embodied_g == 144
    assert found.g_per_inference == Decimal("1.584")


def test_it_is_the_headline_in_grams_for_one_inference() -> None:
    made = columns(cell(), cell(model="openai/small", vector=SMALL.id, spread="small", g_per_kwh=37))
    headline_kg = Decimal(made["ghg_location"]["exact"])
    assert sci.score(made).g_per_inference == pytest.approx(headline_kg, rel=Decimal("1e-14"))


def test_contracts_do_not_lower_it() -> None:
    bought = columns(contracts=(contract(),))
    assert bought["ghg_market"]["value"] == "0.216"
    assert sci.score(bought) == sci.score(columns())


def test_the_four_things_that_must_be_told_are() -> None:
    made = columns()
    told = sci.report(made, sci.Tokens(Decimal(2000), Decimal(200)))
    assert told["score"] == {"value": "1.58", "exact": "1.58400000000000", "unit": "gCO2e / inference"}
    assert told["functional_unit"] == "one completed inference"
    assert set(told["boundary"]["in"]) | set(told["boundary"]["out"]) == {r["code"] for r in made["boundary"]}
    assert "training" in told["boundary"]["out"]
    assert told["methodology"]["intensity"] == "average, lifecycle factors, location-based"
    assert len(told["unit_conversions"]) == 3
    assert told["tokens_per_inference"] == {"input": "2000", "output": "200"}


def test_tokens_of_an_inference_come_from_the_sealed_rows() -> None:
    rows = sealed(cell(tokens=(1000, 400, 100)))
    found = sci.tokens_per_inference(rows.cells, rows.requests)
    # 100 calls over 50 inferences
    assert found == sci.Tokens(Decimal(2000), Decimal(200))


def test_renderings_tell_it_only_where_it_is_asked_for() -> None:
    from dataclasses import replace

    from wattspan.disclosure.render import csv_file, page, pdf, workbook

    plain = document()
    asked = replace(plain, sci=sci.report(plain.columns))
    assert b"SCI score" not in csv_file.written(plain)
    assert b",sci,SCI score,1.88 gCO2e / inference" in csv_file.written(asked)
    assert "<h2>SCI score</h2>" not in page.written(plain).decode()
    assert "<h2>SCI score</h2>" in page.written(asked).decode()
    for render in (csv_file, page, pdf, workbook):
        assert render.written(asked) == render.written(asked)
        assert render.written(asked) != render.written(plain)
    assert json.dumps(asked.sci)


@pytest.mark.parametrize(
    ("value", "unit", "amount", "to", "per", "right"),
    [
        # the examples of SCI for AI, draft of 2026-01: printed as 0.13 g, and as 3000 and 30
        ("130", "kg", "1e9", "g", "1e6", "130"),
        ("75000", "kg", "2.5e9", "g", "1e6", "30000"),
        ("1.88496", "kg", "1000", "g", "1", "1.88496"),
        ("1.88496", "kg", "1000", "kg", "1000000", "1884.96"),
        ("1.88496", "kg", "1000", "t", "1000000", "1.88496"),
        ("0.25", "kWh", "1000", "Wh", "1", "0.25"),
        ("0.25", "kWh", "1000", "MWh", "1000000", "0.25"),
        ("1", "kWh", "1", "MJ", "1", "3.6"),
        ("7200", "kJ", "1", "kWh", "1", "2"),
        ("1.5", "L", "1000", "mL", "1", "1.5"),
    ],
)
def test_units_are_carried(value: str, unit: str, amount: str, to: str, per: str, right: str) -> None:
    found = rate(Decimal(value), unit, Decimal(amount), to=to, per=Decimal(per))
    assert found == Decimal(right)


def test_there_and_back_is_the_same_to_the_last_digit() -> None:
    value = Decimal("0.000123456789012345")
    for unit in ("kWh", "kg", "L"):
        for other in of_same_kind(unit):
            assert converted(converted(value, unit, other), other, unit) == value


@pytest.mark.parametrize(
    ("unit", "to", "said"),
    [("kg", "kWh", "allowed: mg, g, kg, t"), ("stone", "kg", "'stone' is no unit; allowed: mWh, Wh, kWh")],
)
def test_what_cannot_be_converted_says_what_can(unit: str, to: str, said: str) -> None:
    with pytest.raises(UnitError, match=said):
        converted(Decimal(1), unit, to)
