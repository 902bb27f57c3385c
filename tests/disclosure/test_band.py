"""The interval of a disclosure against a seeded simulation, hand-reckoned cases and the float form."""

from decimal import Decimal

import numpy as np
import pytest

from wattspan.calls import Factor
from wattspan.disclosure.band import Term, interval
from wattspan.estimator.spread import total

LN = {g: Decimal(g).ln() for g in ("1.05", "1.1", "1.25", "1.3", "1.6", "2.632")}


def term(central: str, **errors: str) -> Term:
    return Term(Decimal(central), tuple(sorted((key, LN[g]) for key, g in errors.items())))


def test_one_term_is_its_median_times_its_spread_to_the_power_of_z() -> None:
    found = interval([term("0.27", method="1.6")])
    # 1.6 ** 1.959963984540054 in binary floats
    assert found.central == Decimal("0.27")
    assert float(found.high / found.central) == pytest.approx(2.512279, rel=1e-6)
    assert float(found.central / found.low) == pytest.approx(2.512279, rel=1e-6)
    assert float(found.gsd) == pytest.approx(1.6, rel=1e-12)


def test_nothing_is_zero_with_no_width() -> None:
    assert interval([])[:3] == (0, 0, 0)


def test_a_million_requests_do_not_shrink_what_they_share() -> None:
    one = interval([term("0.3", method="1.6", model="2.632")])
    many = interval([term("0.0003", method="1.6", model="2.632")] * 1000)
    assert many == one


def test_errors_of_their_own_average_out() -> None:
    shared = interval([term("1", method="1.6"), term("1", method="1.6")])
    apart = interval([term("1", a="1.6"), term("1", b="1.6")])
    assert apart.gsd < shared.gsd


def test_decimal_and_float_forms_agree() -> None:
    terms = [
        term("1.2", method="1.6", model="2.632", zone="1.1"),
        term("0.7", method="1.6", other="1.3", zone="1.1"),
        term("0.1", facility="1.25"),
    ]
    found = interval(terms)
    floats = total(
        [(float(t.central), [Factor(key, float(s)) for key, s in t.errors]) for t in terms],
        z=1.959963984540054,
    )
    assert float(found.low) == pytest.approx(floats.low, rel=1e-12)
    assert float(found.high) == pytest.approx(floats.high, rel=1e-12)


def test_the_interval_covers_a_simulation_of_the_same_errors() -> None:
    terms = [
        term("1.2", method="1.6", model_a="2.632", zone="1.1"),
        term("0.9", method="1.6", model_b="1.6", zone="1.1"),
        term("0.4", method="1.6", model_c="1.3", facility="1.25"),
        term("0.2", hardware="1.3"),
    ]
    found = interval(terms)
    draw = np.random.default_rng(20261128)
    n = 400_000
    errors = {key: draw.standard_normal(n) for key in sorted({k for t in terms for k, _ in t.errors})}
    sums = sum(float(t.central) * np.exp(sum(float(s) * errors[key] for key, s in t.errors)) for t in terms)
    inside = np.mean((sums > float(found.low)) & (sums < float(found.high)))
    assert 0.94 < inside < 0.98


def test_what_drives_the_width_is_named_first() -> None:
    found = interval([term("1", **{"model:openai/gpt-4o": "2.632", "method": "1.3", "zone:FR": "1.05"})])
    assert [kind for kind, _ in found.drivers] == ["model", "method", "zone"]
    # ln(2.632)^2 / (ln(2.632)^2 + ln(1.3)^2 + ln(1.05)^2) for a single term
    assert float(found.drivers[0][1]) == pytest.approx(0.93652 / (0.93652 + 0.06884 + 0.00238), rel=1e-3)
