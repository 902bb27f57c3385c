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
