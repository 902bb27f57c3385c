"""Bands of comparisons: errors that both sides share cancel, so a ratio is sharper than either level.

For two sums A and B of lognormal terms, ln(B / A) has the variance s_A^2 + s_B^2 - 2 s_AB, with
s^2 = ln(1 + V / M^2) and s_AB = ln(1 + Cov(A, B) / (M_A M_B)), where M, V and Cov are those of
`wattspan.estimator.spread`. What every term of both sides has in common drops out of it exactly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from wattspan.calls import Factor
from wattspan.estimator import Z90, Band, total

Term = tuple[float, Sequence[Factor]]
"""A central value (one unit for all) and its errors."""


def ratio(changed: Sequence[Term], base: Sequence[Term], z: float = Z90) -> Band:
    """Band of sum(changed) / sum(base), two sums that share errors by key.

    Symmetric: the band of the inverse ratio is the inverse of the band. The sums' own closed form is that of
    `total`; here only its moments are combined. NaN where the base is zero.
    """
    base = [(central, factors) for central, factors in base if central > 0]
    changed = [(central, factors) for central, factors in changed if central > 0]
    if not base:
        return Band(math.nan, math.nan, math.nan)
    if not changed:
        return Band(0.0, 0.0, 0.0)
    size_a, size_b = (math.fsum(central for central, _ in side) for side in (base, changed))
    common = frozenset[Factor].intersection(*(frozenset(factors) for _, factors in (*base, *changed)))
    a, b = _own(base, size_a, common), _own(changed, size_b, common)
    of_a, of_b, of_both = _moments(a), _moments(b), _moments([*a, *b])
    covariance = (of_both.variance - of_a.variance - of_b.variance) / 2
    s_ab = math.log1p(covariance / (of_a.mean * of_b.mean))
    s_squared = max(0.0, of_a.s_squared + of_b.s_squared - 2 * s_ab)
    central = size_b / size_a
    middle, half_width = central * of_b.median / of_a.median, math.exp(z * math.sqrt(s_squared))
    return Band(central, min(middle / half_width, central), max(middle * half_width, central))


def plain(band: Band) -> dict[str, float | None]:
    """The band for JSON: None for what is not known."""
    return {name: value if math.isfinite(value) else None for name, value in band._asdict().items()}


def _own(side: Sequence[Term], size: float, common: frozenset[Factor]) -> list[Term]:
    """The terms as shares of their sum, without the errors that all terms of both sides have."""
    return [
        (central / size, [factor for factor in factors if factor not in common]) for central, factors in side
    ]


class _Moments(NamedTuple):
    median: float
    s_squared: float

    @property
    def mean(self) -> float:
        return self.median * math.exp(self.s_squared / 2)

    @property
    def variance(self) -> float:
        return self.mean**2 * math.expm1(self.s_squared)


def _moments(terms: Sequence[Term]) -> _Moments:
    """Median and log variance of the lognormal that `total` fits to a sum, read off its bands.

    The band of no width holds the median and the sum of centrals, which `total` keeps inside; the band of one
    standard deviation then gives s on the side where the median lies.
    """
    central, low, high = total(terms, 0.0)
    median = low if low < central else high
    _, one_low, one_high = total(terms, 1.0)
    s = math.log(median / one_low) if low < central else math.log(one_high / median)
    return _Moments(median, s**2)
