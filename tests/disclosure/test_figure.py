"""Figures of sealed rows against sums done by hand."""

from dataclasses import replace
from decimal import Decimal

import pytest

from tests.disclosure.sealed_rows import BIG, CALL, SMALL, UG_PER_G, cell, contract, sealed, without_figure
from wattspan.disclosure.cells import ENERGY_UNITS_PER_KWH
from wattspan.disclosure.figure import NoFigureError, reckon
from wattspan.estimator.moments import Moments

NOTHING = Moments(0, 0, 0, 0, 0, 0, 0)


def test_energy_and_carbon_of_plain_calls() -> None:
    # 100 calls x (1,000 x 1.8e-6 + 100 x 1.8e-5) kWh = 0.36 kWh; at 200 g/kWh 72 g;
    # hardware 100 x (3,600 + 3,600) J x 1e-5 g = 7.2 g
    found = reckon(sealed(cell()), "ticket summary")
    assert found.energy_kwh == Decimal("0.36")
    assert found.use_kg == Decimal("0.072")
    assert found.embodied_kg == Decimal("0.0072")
    assert found.co2e_kg == Decimal("0.0792")
    # 50 completed inferences: 0.0792 kg / 50 x 1,000
    assert found.per_1000(found.co2e_kg) == Decimal("1.584")
    assert found.calls / found.completed == 2


def test_cached_tokens_cost_their_share() -> None:
    # 100 x (200 x 1.8e-6 + 800 x 1.8e-7 + 100 x 1.8e-5) = 0.2304 kWh
    found = reckon(sealed(cell(tokens=(1000, 800, 100))), "ticket summary")
    assert found.energy_kwh == Decimal("0.2304")


def test_direct_factors_and_water_stand_beside() -> None:
    found = reckon(sealed(cell()), "ticket summary")
    assert found.direct_kg == Decimal("0.054")  # 0.36 kWh x 150 g
    assert found.water_on_site_l == Decimal("0.15")  # 0.36 / 1.2 kWh of IT x 0.5 L
    unknown = replace(BIG, water_ml_per_it_kwh=None)
    dry = sealed(cell(vector=unknown.id, direct=""), vectors={unknown.id: unknown})
    found = reckon(dry, "ticket summary")
    assert found.direct_kg is None
    assert found.water_on_site_l is None


def test_failed_calls_count_in_the_energy_and_not_in_the_number() -> None:
    found = reckon(sealed(cell(), without_figure("failed", 7), completed=40, failed=10), "ticket summary")
    assert found.energy_kwh == Decimal("0.36")
    assert (found.completed, found.failed, found.calls) == (40, 10, 100)


def test_calls_without_usage_are_filled_with_the_mean_of_their_model() -> None:
    rows = (
        cell(),
        cell(model="openai/small", vector=SMALL.id, spread="small"),
        without_figure("no_usage", 25, model="openai/small"),
    )
    found = reckon(sealed(*rows, covered=40), "ticket summary")
    # small: 0.036 kWh for 100 calls, so 0.009 for the 25
    assert found.energy_kwh == Decimal("0.36") + Decimal("0.036") + Decimal("0.009")
    assert found.request_coverage == Decimal("0.8")
    # 0.009 kWh x 200 g + 25 x 720 J x 1e-5 g = 1.8 + 0.18 g
    assert found.gap_kg == Decimal("0.00198")
    assert found.mix["proxy"] == pytest.approx(Decimal(2) / 90)  # of 0.0891 kg
    none = reckon(sealed(*rows, gap_rule="none"), "ticket summary")
    assert none.energy_kwh == Decimal("0.396")
    assert none.gap_kg == 0


def test_a_model_without_any_usage_is_filled_with_the_mean_of_the_feature() -> None:
    found = reckon(sealed(cell(), without_figure("no_usage", 50, model="x/new")), "ticket summary")
    assert found.energy_kwh == Decimal("0.54")


def test_measured_energy_is_taken_as_it_is() -> None:
    kwh = Decimal("0.5")
    energy = int(kwh * ENERGY_UNITS_PER_KWH) * CALL
    measured = cell(
        basis="measured",
        evidence="metered_node",
        energy=energy,
        energy_weighted=energy * 100 * UG_PER_G,
    )
    found = reckon(sealed(measured), "ticket summary")
    assert found.energy_kwh == kwh
    assert found.use_kg == Decimal("0.05")
    assert found.embodied_kg == Decimal("0.0072")
    assert found.mix == {"measured": 1, "provider_disclosed": 0, "modelled": 0, "proxy": 0}


def test_market_based_only_where_contracts_cover_everything() -> None:
    rows = cell(), cell(region="aws/us-east-1")
    partly = reckon(sealed(*rows, contracts=[contract()]), "ticket summary")
    assert partly.market_kg is None
    assert partly.market_share == Decimal("0.5")
    whole = reckon(
        sealed(*rows, contracts=[contract(), contract(region="aws/us-*", g_per_kwh=Decimal(400))]),
        "ticket summary",
    )
    assert whole.market_kg == Decimal("0.36") * 410 / 1000


def test_a_contract_of_another_time_covers_nothing() -> None:
    late = contract(start=contract().end, end=contract().end.replace(year=2028))
    assert reckon(sealed(cell(), contracts=[late]), "ticket summary").market_share == 0


def test_ratings_are_weighted_by_emissions() -> None:
    rows = (
        cell(evidence="open", region_source="host", grid_source="Ember 2026"),
        cell(evidence="unknown", region_source="world", grid_source="Ember 2024"),
    )
    found = reckon(sealed(*rows), "ticket summary")
    assert (found.technology, found.geography, found.time) == (4, 3, 2)


def test_sampled_rows_widen_the_band_and_not_the_figure() -> None:
    whole = reckon(sealed(cell()), "ticket summary")
    sampled = reckon(sealed(cell(sampling="traced", rows=4)), "ticket summary")
    assert sampled.co2e_kg == whole.co2e_kg
    assert sampled.band.high > whole.band.high


def test_nothing_completed_is_refused_with_a_next_step() -> None:
    with pytest.raises(NoFigureError, match="no completed inference"):
        reckon(sealed(cell(), completed=0, covered=0), "ticket summary")
    with pytest.raises(NoFigureError, match="no usage"):
        reckon(sealed(without_figure("no_usage", 3)), "ticket summary")
