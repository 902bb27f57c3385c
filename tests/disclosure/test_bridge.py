"""The bridge explains a change to the last digit, and blames the right cause."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.disclosure.sealed_rows import BIG, SMALL, cell, sealed, without_figure
from wattspan.disclosure.bridge import FACTORS, RESIDUAL, Bridge, Product, bridge, by_constants, products
from wattspan.disclosure.cells import Cell
from wattspan.disclosure.figure import Sealed, reckon


def by_model(cell: Cell) -> tuple[str, ...]:
    return cell.model, cell.region


def between(old: Sealed, new: Sealed, label: Callable[[Cell], tuple[str, ...]] = by_constants) -> Bridge:
    sides = [products(rows, reckon(rows, "ticket summary"), label=label) for rows in (old, new)]
    return bridge(*sides)


def test_the_cells_add_up_to_the_figure() -> None:
    rows = sealed(
        cell(),
        cell(model="openai/small", vector=SMALL.id, spread="small", tokens=(5000, 4000, 300)),
        without_figure("no_usage", 10),
    )
    figure = reckon(rows, "ticket summary")
    total = sum(p.value for p in products(rows, figure).values())
    assert abs(total / figure.co2e_kg - 1) < Decimal("1e-40")


def test_twice_the_requests_are_all_volume() -> None:
    found = between(sealed(cell()), sealed(cell(n=200), completed=100))
    assert found.effects["volume"] == pytest.approx(Decimal("0.0792"))
    assert all(found.effects[name] == 0 for name in FACTORS if name != "volume")


def test_more_tokens_a_call_are_tokens() -> None:
    found = between(sealed(cell()), sealed(cell(tokens=(2000, 0, 200))))
    assert found.effects["tokens"] == pytest.approx(Decimal("0.0792"))
    assert found.effects["coefficient"] == found.effects["pue"] == found.effects["grid"] == 0


def test_a_cleaner_grid_is_grid() -> None:
    found = between(sealed(cell()), sealed(cell(g_per_kwh=100)))
    assert found.effects["grid"] == pytest.approx(Decimal("-0.036"))
    assert found.effects["embodied"] == 0


def test_another_model_is_mix() -> None:
    small = cell(model="openai/small", vector=SMALL.id, spread="small")
    found = between(sealed(cell()), sealed(small))
    assert found.effects["mix"] == found.after - found.before == Decimal("-0.07128")


def test_a_new_method_is_coefficient_pue_and_embodied_and_nothing_else() -> None:
    better = replace(
        BIG,
        joules=tuple(value * 2 for value in BIG.joules),
        facility_factor=Decimal("1.1"),
        embodied_g_per_gpu_j=Decimal("0.00003"),
    )
    old = sealed(cell())
    new = sealed(cell(vector=better.id), vectors={better.id: better})
    found = between(old, new, by_model)
    assert found.effects["volume"] == found.effects["mix"] == found.effects["tokens"] == 0
    assert found.effects["coefficient"] > 0 > found.effects["pue"]
    assert found.effects["embodied"] > 0
    assert abs(found.residual) < RESIDUAL


def test_a_moment_that_only_one_method_counts_is_the_coefficient_s() -> None:
    longer = replace(BIG, joules=(*BIG.joules[:2], Decimal("0.0036"), *BIG.joules[3:]))
    old, new = sealed(cell()), sealed(cell(vector=longer.id), vectors={longer.id: longer})
    there, back = between(old, new, by_model), between(new, old, by_model)
    # 1e6 of the moment a call, with the joules of its 1,000 fresh tokens: 0.18 kWh at 200 g, and hardware
    assert there.effects["coefficient"] == there.after - there.before == Decimal("0.0396")
    assert back.effects["coefficient"] == -there.effects["coefficient"]
    assert all(there.effects[name] == 0 for name in FACTORS if name != "coefficient")


def test_a_grid_that_becomes_free_of_carbon_is_grid() -> None:
    found = between(sealed(cell()), sealed(cell(g_per_kwh=0)))
    assert found.effects["grid"] == found.after - found.before == Decimal("-0.072")
    assert all(found.effects[name] == 0 for name in FACTORS if name != "grid")


def test_energy_that_was_reported_has_no_coefficient_of_its_tokens() -> None:
    kwh = 3_600_000 * 10**12 * 1_000_000
    reported = cell(basis="reported", energy=kwh, energy_weighted=kwh * 200 * 1_000_000)
    better = replace(BIG, joules=tuple(value * 2 for value in BIG.joules), facility_factor=Decimal("1.1"))
    again = replace(reported, vector=better.id)
    found = between(sealed(reported), sealed(again, vectors={better.id: better}), by_model)
    # 1 kWh at 200 g stays what it is; only the hardware behind its tokens is another
    assert found.before - Decimal("0.2") == pytest.approx(Decimal("0.0072"))
    assert found.after - Decimal("0.2") == pytest.approx(Decimal("0.0144"))
    assert abs(found.residual) < RESIDUAL
    assert found.effects["grid"] == 0


counts = st.integers(0, 10_000)
intensities = st.integers(1, 1000)


@st.composite
def rows(draw: st.DrawFn) -> Sealed:
    cells = [
        cell(
            n=draw(st.integers(1, 500)),
            tokens=(draw(counts) + 1, 0, draw(counts) + 1),
            g_per_kwh=draw(intensities),
            model=model,
            vector=vector.id,
            spread=spread,
        )
        for model, vector, spread in (("a", BIG, "big"), ("b", SMALL, "small"))
        if draw(st.booleans())
    ]
    completed = draw(st.integers(1, 400))
    return sealed(*(cells or [cell(model="c")]), completed=completed, covered=completed)


@settings(deadline=None, max_examples=60)
@given(rows(), rows())
def test_nothing_is_left_over_and_the_way_back_is_the_opposite(old: Sealed, new: Sealed) -> None:
    there, back = between(old, new), between(new, old)
    scale = max(there.before, there.after)
    assert abs(there.residual) <= RESIDUAL * scale
    for name in FACTORS:
        assert abs(there.effects[name] + back.effects[name]) <= RESIDUAL * scale
    assert there.effects["coefficient"] == there.effects["pue"] == there.effects["embodied"] == 0


def test_a_product_that_vanishes_is_mix() -> None:
    one = Product(*map(Decimal, ("10", "2", "3", "5", "1", "1", "1")))
    assert bridge({("a",): one}, {}).effects["mix"] == -300
    assert bridge({}, {}).residual == 0
    assert all(
        value == 0 for _, value in pairwise([0, *bridge({("a",): one}, {("a",): one}).effects.values()])
    )
