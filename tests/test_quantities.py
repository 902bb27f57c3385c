"""Quantities read as a person reads them: enough digits, never more than are known."""

import pytest

from wattspan import quantities


@pytest.mark.parametrize(
    ("kwh", "words"),
    [
        (0.000334, "334 mWh"),
        (0.0009996, "1.00 Wh"),  # rounding comes before the choice of the unit
        (0.9996, "1.00 kWh"),
        (5.128, "5.13 kWh"),
        (1e-12, "0.00100 µWh"),
        (float("nan"), "–"),
    ],
)
def test_energy_has_three_digits_and_the_unit_that_suits_it(kwh: float, words: str) -> None:
    assert quantities.energy(kwh) == words


def test_a_band_has_two_digits_also_where_it_is_far_above_its_centre() -> None:
    assert quantities.mass_band(0.0504, 10.188, 0.717) == "50–10,000 mg"
    assert quantities.energy_band(0.00085, 0.0312, 0.00513) == "0.85–31 Wh"


def test_whole_numbers_stay_whole() -> None:
    assert quantities.digits(31_602) == "31,602"
    assert quantities.digits(0.33449) == "0.334"


@pytest.mark.parametrize(
    ("share", "words"),
    [(0.0, "0 %"), (0.0001, "< 1 %"), (0.5, "50 %"), (0.99979, "> 99 %"), (1.0, "100 %")],
)
def test_a_share_is_never_called_all_or_nothing_unless_it_is(share: float, words: str) -> None:
    assert quantities.share(share) == words


def test_coverage_may_have_a_decimal() -> None:
    assert [quantities.share(x, 1) for x in (0.0004, 0.905, 0.99979)] == ["< 0.1 %", "90.5 %", "> 99.9 %"]
