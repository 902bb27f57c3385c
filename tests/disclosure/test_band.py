"""The interval of a disclosure against a seeded simulation, hand-reckoned cases and the float form."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from wattspan.calls import Factor
from wattspan.disclosure.band import Term, interval
from wattspan.disclosure.figure import Sealed, reckon
from wattspan.disclosure.folder import read_content, read_files
from wattspan.estimator.moments import Moments
from wattspan.estimator.spread import total

GOLDEN = Path(__file__).parent / "golden"
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


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("2026Q2/summary@1", 0.98),
        # three quarters of it ran somewhere in the world: one lognormal for the sum is then too wide
        ("2026Q3/summary@3", 0.985),
    ],
)
def test_the_sealed_interval_covers_a_simulation_of_its_own_errors(name: str, most: float) -> None:
    """Real rows: eight kinds of calls, gaps, samples, hardware; each error drawn once and shared."""
    content, _ = read_content(read_files(GOLDEN / name))
    figure = reckon(content.sealed, content.subject.feature.key)
    draw = np.random.default_rng(20261128)
    n = 200_000
    errors = {key: draw.standard_normal(n) for key in sorted({k for t in figure.terms for k, _ in t.errors})}
    assert len(errors) > 15
    sums = np.zeros(n)
    for one in figure.terms:
        sums += float(one.central) * np.exp(sum(float(s) * errors[key] for key, s in one.errors))
    low, high = float(figure.band.low), float(figure.band.high)
    inside = np.mean((sums > low) & (sums < high))
    assert 0.94 < inside < most
    # neither end alone has more than its share of what is outside, and the middle is where it is told
    assert np.mean(sums < low) < 0.035
    assert np.mean(sums > high) < 0.035
    assert float(figure.co2e_kg) == pytest.approx(sum(float(t.central) for t in figure.terms), rel=1e-12)


def test_a_thousand_times_the_requests_have_the_same_interval() -> None:
    content, _ = read_content(read_files(GOLDEN / "2026Q2/summary@1"))
    few, many = content.sealed, scaled(content.sealed, 1000)
    one, other = (reckon(rows, content.subject.feature.key) for rows in (few, many))
    assert other.co2e_kg == pytest.approx(one.co2e_kg * 1000, rel=Decimal("1e-40"))
    for bound in ("low", "high"):
        ratio = getattr(other.band, bound) / getattr(one.band, bound)
        assert ratio == pytest.approx(Decimal(1000), rel=Decimal("1e-20"))
    assert other.band.gsd == pytest.approx(one.band.gsd, rel=Decimal("1e-20"))


def test_of_samples_only_the_error_of_sampling_shrinks() -> None:
    content, _ = read_content(read_files(GOLDEN / "2026Q3/summary@1"))
    key = content.subject.feature.key
    widths = []
    for times in (1, 100, 10_000, 10**9):
        band = reckon(scaled(content.sealed, times), key).band
        widths.append(band.gsd)
    assert widths == sorted(widths, reverse=True)
    unsampled = replace(
        content.sealed, cells=tuple(replace(cell, sampling="all") for cell in content.sealed.cells)
    )
    # what is left with a billion times the rows is what was shared all along
    assert widths[-1] == pytest.approx(reckon(unsampled, key).band.gsd, rel=Decimal("1e-6"))
    assert widths[0] > widths[-1] > 2


def scaled(sealed: Sealed, times: int) -> Sealed:
    """So many times the calls and inferences."""
    cells = tuple(
        replace(
            cell,
            calls=cell.calls * times,
            rows=cell.rows * times,
            moments=Moments(*(m * times for m in cell.moments)),
            weighted=Moments(*(m * times for m in cell.weighted)),
            energy=cell.energy * times,
            energy_weighted=cell.energy_weighted * times,
        )
        for cell in sealed.cells
    )
    requests = tuple(
        replace(r, completed=r.completed * times, failed=r.failed * times, covered=r.covered * times)
        for r in sealed.requests
    )
    return replace(sealed, cells=cells, requests=requests)


def test_what_drives_the_width_is_named_first() -> None:
    found = interval([term("1", **{"model:openai/gpt-4o": "2.632", "method": "1.3", "zone:FR": "1.05"})])
    assert [kind for kind, _ in found.drivers] == ["model", "method", "zone"]
    # ln(2.632)^2 / (ln(2.632)^2 + ln(1.3)^2 + ln(1.05)^2) for a single term
    assert float(found.drivers[0][1]) == pytest.approx(0.93652 / (0.93652 + 0.06884 + 0.00238), rel=1e-3)
