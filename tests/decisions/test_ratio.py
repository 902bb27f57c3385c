import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattspan.calls import Factor
from wattspan.decisions import ratio

METHOD = Factor("method", math.log(1.6))
FACILITY = Factor("facility:x", math.log(1.25))


def model(name: str, g: float) -> Factor:
    return Factor(f"model:{name}", math.log(g))


def test_what_both_sides_share_cancels_and_the_rest_adds_up():
    # ln 2.6 = 0.955511, ln 1.9 = 0.641854; root of the sum of squares 1.151076; e^(1.64 x 1.151076) = 6.60460
    band = ratio([(1.5, [METHOD, FACILITY, model("b", 1.9)])], [(3.0, [METHOD, FACILITY, model("a", 2.6)])])
    assert band == pytest.approx((0.5, 0.5 / 6.604601, 0.5 * 6.604601), rel=1e-6)


def test_with_all_errors_shared_the_ratio_is_exact():
    band = ratio([(3.0, [METHOD, FACILITY])], [(2.0, [METHOD, FACILITY]), (4.0, [METHOD, FACILITY])])
    assert band == (0.5, 0.5, 0.5)


def test_a_sum_of_two_independent_terms_against_one_without_error():
    # s^2 of a term 0.220903; V / M^2 = (e^0.220903 - 1) / 2 = 0.123601; of the sum ln 1.123601 = 0.116539
    # median of the sum 2 e^(0.110452 - 0.058270) = 2.107135; e^(1.64 x 0.341378) = 1.750427
    sum_of_two = [(1.0, [model("a", 1.6)]), (1.0, [model("b", 1.6)])]
    assert ratio([(2.0, [])], sum_of_two) == pytest.approx((1.0, 0.5422422, 1.6614293), rel=1e-6)


def test_the_inverse_ratio_has_the_inverse_band():
    a = [(2.0, [METHOD, model("a", 2.6)]), (1.0, [METHOD, model("b", 1.3)])]
    b = [(1.5, [METHOD, model("b", 1.3)]), (0.5, [model("c", 4.5)])]
    there, back = ratio(b, a), ratio(a, b)
    assert back == pytest.approx((1 / there.central, 1 / there.high, 1 / there.low), rel=1e-9)


def test_the_same_sum_on_both_sides_is_one():
    side = [(2.0, [METHOD, model("a", 2.6)]), (1.0, [METHOD, model("b", 1.3)])]
    assert ratio(side, side) == pytest.approx((1.0, 1.0, 1.0), abs=1e-6)


def test_without_a_base_there_is_no_ratio_and_nothing_left_is_zero():
    assert all(math.isnan(bound) for bound in ratio([(1.0, [])], []))
    assert ratio([], [(1.0, [METHOD])]) == (0.0, 0.0, 0.0)


def test_the_closed_form_covers_what_a_seeded_simulation_draws():
    a = [(2.0, [METHOD, model("a", 1.9)]), (1.0, [METHOD, model("b", 1.9)])]
    b = [(1.0, [METHOD, model("b", 1.9)]), (1.2, [METHOD, model("c", 1.9)])]
    draws = np.random.default_rng(20261123).standard_normal((4, 200_000))
    of = dict(zip(("method", "model:a", "model:b", "model:c"), draws, strict=True))
    sums = [
        sum(c * np.exp(sum(f.ln_g * of[f.key] for f in factors)) for c, factors in side) for side in (b, a)
    ]
    band = ratio(b, a)
    assert np.mean((sums[0] / sums[1] >= band.low) & (sums[0] / sums[1] <= band.high)) == pytest.approx(
        0.90, abs=0.01
    )


Sides = st.lists(
    st.tuples(
        st.floats(1e-6, 1e6),
        st.lists(st.sampled_from("abcd"), unique=True).map(lambda names: [model(n, 1.5) for n in names]),
    ),
    min_size=1,
    max_size=5,
)


@given(Sides, Sides, st.floats(1e-3, 1e3))
def test_the_band_holds_the_centre_whatever_the_unit_and_the_common_error(changed, base, unit):
    band = ratio(changed, base)
    assert band.low <= band.central * (1 + 1e-12)
    assert band.high >= band.central * (1 - 1e-12)
    other = ratio(
        [(c * unit, [*factors, METHOD]) for c, factors in changed],
        [(c * unit, [*factors, METHOD]) for c, factors in base],
    )
    assert other == pytest.approx(band, rel=1e-5)
