import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattspan.calls import Factor
from wattspan.estimator import Terms, combined_ln_g, total
from wattspan.estimator.spread import factors_of

METHOD = Factor("method", math.log(1.3))
MODEL_A = Factor("model:a", math.log(1.6))
MODEL_B = Factor("model:b", math.log(1.6))


def test_one_term_has_the_band_of_its_factors():
    band = total([(2.0, [Factor("model:a", math.log(3.0))])])
    assert band.central == 2.0
    assert band.high == pytest.approx(2.0 * 3.0**1.64, rel=1e-12)  # 12.12: the factor 6 of closed models
    assert band.low == pytest.approx(2.0 / 3.0**1.64, rel=1e-12)


def test_independent_factors_add_their_squared_logarithms():
    # ln 1.15 = 0.13976, ln 1.25 = 0.22314; root of the sum of squares 0.263299 = ln 1.3012
    assert combined_ln_g([Factor("x", math.log(1.15)), Factor("y", math.log(1.25))]) == pytest.approx(
        0.263299, abs=1e-6
    )


def test_a_million_requests_to_one_model_are_as_uncertain_as_one():
    one = total([(1e-3, [METHOD, MODEL_A])])
    many = Terms()
    for _ in range(1000):
        many.add(1e-3, (METHOD, MODEL_A))
    band = many.band()
    assert band.central == pytest.approx(1.0)
    assert band.high / band.central == pytest.approx(one.high / one.central, rel=1e-9)


def test_unlike_models_average_out_but_their_common_method_does_not():
    apart = total([(1.0, [MODEL_A]), (1.0, [MODEL_B])])
    together = total([(1.0, [MODEL_A]), (1.0, [MODEL_A])])
    common = total([(1.0, [METHOD, MODEL_A]), (1.0, [METHOD, MODEL_B])])
    assert apart.high / apart.low < together.high / together.low
    assert math.log(common.high / common.low) > 2 * 1.64 * METHOD.ln_g


def test_the_closed_form_covers_what_a_seeded_simulation_draws():
    """Disclosure research 6.3: coverage of 95 % bands 95.5 to 96.5 %; here at 90 %."""
    terms = [
        (1.0, [METHOD, MODEL_A, Factor("zone:FR", math.log(1.1))]),
        (0.5, [METHOD, MODEL_B, Factor("zone:FR", math.log(1.1))]),
        (0.2, [METHOD, MODEL_B, Factor("zone:DE", math.log(1.2))]),
    ]
    keys = sorted({factor.key for _, factors in terms for factor in factors})
    draws = dict(
        zip(keys, np.random.default_rng(20261123).standard_normal((len(keys), 200_000)), strict=True)
    )
    sums = sum(c * np.exp(sum(f.ln_g * draws[f.key] for f in factors)) for c, factors in terms)
    band = total(terms)
    inside = np.mean((sums >= band.low) & (sums <= band.high))
    assert 0.89 <= inside <= 0.93


def test_an_empty_sum_is_zero_and_has_no_width():
    assert total([]) == (0.0, 0.0, 0.0)
    assert total([(0.0, [METHOD])]) == (0.0, 0.0, 0.0)


@given(
    st.lists(
        st.tuples(
            st.floats(1e-9, 1e9),
            st.lists(
                st.tuples(st.sampled_from("abcdef"), st.floats(0.01, 1.7)),
                max_size=4,
                unique_by=lambda f: f[0],
            ),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_a_band_always_holds_its_centre(terms):
    band = total([(central, [Factor(key, ln_g) for key, ln_g in factors]) for central, factors in terms])
    assert band.low <= band.central <= band.high
    assert band.central == pytest.approx(math.fsum(central for central, _ in terms))


def test_key_templates_are_filled_with_the_names_of_the_call():
    factors = factors_of(
        [
            {"key": "method", "g": 1.6},
            {"key": "facility:{facility}", "g": 1.25},
            {"key": "model:{model}", "g": 2.0},
        ],
        model="openai/gpt-4o",
        facility="azure",
        deployment="",
    )
    assert [factor.key for factor in factors] == ["method", "facility:azure", "model:openai/gpt-4o"]
    assert factors[2].ln_g == pytest.approx(0.693147, abs=1e-6)
