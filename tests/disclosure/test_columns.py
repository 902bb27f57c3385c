"""The 23 columns: what must hold between them, whatever the rows."""

import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.disclosure.sealed_rows import SMALL, cell, contract, sealed, subject, without_figure
from wattspan.disclosure.canonical import CanonicalError, read, written
from wattspan.disclosure.columns import definitions, percents, statement
from wattspan.disclosure.contracts import ContractError, read_contracts
from wattspan.disclosure.figure import reckon
from wattspan.disclosure.subject import Period, PeriodError, slug


def columns(*cells, **given):
    rows = sealed(*cells, **given)
    return statement(subject(), reckon(rows, rows.cells[0].feature))["columns"]


def test_there_are_23_and_each_is_defined() -> None:
    made = columns(cell())
    assert list(made) == [definition["key"] for definition in definitions()]
    assert [definition["no"] for definition in definitions()] == list(range(1, 24))


@settings(deadline=None, max_examples=40)
@given(
    st.integers(1, 10**7),
    st.tuples(st.integers(1, 10**5), st.just(0), st.integers(1, 10**4)),
    st.integers(0, 50),
    st.integers(1, 900),
)
def test_what_must_hold_between_columns_holds(completed, tokens, gap, grid) -> None:
    made = columns(
        cell(tokens=tokens, g_per_kwh=grid),
        cell(model="openai/small", vector=SMALL.id, spread="small", evidence="unknown"),
        *([without_figure("no_usage", gap)] if gap else []),
        completed=completed,
        covered=completed,
    )
    exact = {name: Decimal(made[name]["exact"]) for name in ("ghg_location", "ghg_use", "ghg_embodied")}
    total = exact["ghg_use"] + exact["ghg_embodied"]
    assert abs(exact["ghg_location"] - total) <= total * Decimal("1e-14")
    low, high = Decimal(made["ghg_low95"]["exact"]), Decimal(made["ghg_high95"]["exact"])
    assert low <= exact["ghg_location"] <= high
    period = Decimal(made["ghg_total"]["period"]["exact"])
    assert abs(period - exact["ghg_location"] * completed / 1000) <= period * Decimal("1e-14")
    assert sum(Decimal(share) for share in made["evidence_tier"].values()) == 100
    assert all(1 <= Decimal(rating) <= 5 for rating in made["dqr"].values())


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=9).filter(any))
def test_shares_of_a_whole_add_up_to_100(parts) -> None:
    shares = {str(i): Decimal(part) / sum(parts) for i, part in enumerate(parts)}
    made = percents(shares)
    assert sum(map(Decimal, made.values())) == 100
    assert all(abs(Decimal(made[name]) - share * 100) < Decimal("0.1") for name, share in shares.items())


def test_a_contract_makes_a_market_based_figure_beside_the_headline() -> None:
    made = columns(cell(), contracts=[contract()])
    # (0.36 kWh x 10 g + 7.2 g) / 50 x 1,000
    assert made["ghg_market"]["value"] == "0.216"
    assert made["ghg_market"]["contracts"][0]["evidence"] == "supply contract 17"
    assert made["ghg_location"]["value"] == "1.58"


def test_a_region_that_is_only_a_geography_is_undisclosed() -> None:
    made = columns(cell(region="aws+azure/global", region_source="geography_mix"))
    assert made["models_regions"] == [
        {
            "model": "openai/big",
            "provider": "openai",
            "region": "undisclosed (aws+azure/global)",
            "share_percent": "100.0",
        }
    ]


def test_boundary_says_whether_application_compute_is_in() -> None:
    (out,) = [b for b in columns(cell())["boundary"] if b["code"] == "application_compute"]
    assert not out["is_in"]


@pytest.mark.parametrize(
    ("text", "label", "start", "end"),
    [
        ("2026Q3", "2026Q3", "2026-07-01", "2026-10-01"),
        ("2026-Q4", "2026Q4", "2026-10-01", "2027-01-01"),
        ("2026H1", "2026H1", "2026-01-01", "2026-07-01"),
        ("2026-12", "2026-12", "2026-12-01", "2027-01-01"),
        ("2026", "2026", "2026-01-01", "2027-01-01"),
    ],
)
def test_periods_are_whole_months(text: str, label: str, start: str, end: str) -> None:
    period = Period.of(text)
    assert (period.label, str(period.start), str(period.end)) == (label, start, end)


@pytest.mark.parametrize(
    "text", ["", "2026Q5", "26Q1", "2026-13", "2026-00", "Q3", "2026-07-01", "0000", "9999"]
)
def test_other_periods_are_refused(text: str) -> None:
    with pytest.raises(PeriodError, match="allowed: 2026Q3"):
        Period.of(text)


def test_a_feature_is_named_by_a_safe_slug() -> None:
    assert slug("Ticket summary (EU)") == "ticket-summary-eu"
    assert slug("../../etc/passwd") == "etc-passwd"
    with pytest.raises(ValueError, match="no letter or digit"):
        slug("…")


CONTRACT = {
    "provider": "openai",
    "region": "azure/*",
    "start": "2026-01-01",
    "end": "2027-01-01",
    "g_per_kwh": 12,
    "granularity": "annual",
    "evidence": "certificate 9",
}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"end": "2025-01-01"}, "end after start"),
        ({"end": "soon"}, "ISO days"),
        ({"g_per_kwh": "nan"}, "from 0 to 5000"),
        ({"g_per_kwh": -1}, "from 0 to 5000"),
        ({"g_per_kwh": "little"}, "a number"),
        ({"granularity": "weekly"}, "allowed: annual, monthly, hourly"),
        ({"evidence": ""}, "evidence is empty"),
        ({"factor": 3}, "every contract has provider"),
    ],
)
def test_a_wrong_contract_is_named(changed: dict[str, object], message: str) -> None:
    text = json.dumps([CONTRACT, {**CONTRACT, **changed}])
    with pytest.raises(ContractError, match=f"contract 2: .*{message}"):
        read_contracts(text, "contracts.yaml")


def test_a_contract_file_is_a_list_of_contracts() -> None:
    (found,) = read_contracts(json.dumps([CONTRACT]), "contracts.yaml")
    assert found.to_json()["g_per_kwh"] == "12.0000000000000"
    for text, message in (("{", "not YAML"), ("a: 1", "must be a list")):
        with pytest.raises(ContractError, match=message):
            read_contracts(text, "contracts.yaml")


def test_floats_are_never_sealed() -> None:
    with pytest.raises(CanonicalError, match=r"\.a\[1\]: 0\.5 is a binary float"):
        written({"a": ["1", 0.5]})
    with pytest.raises(CanonicalError, match="not in canonical form"):
        read(b'{"b":"1","a":"2"}', "x.json")
    assert written({"b": "1", "a": "2"}) == b'{"a":"2","b":"1"}'
