"""The 95 % interval of a sum whose terms share errors, in decimals: the closed form of `estimator.spread`.

research: disclosure 6.3. Errors with the same key are one error, so more requests never shrink them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from wattspan.disclosure.numbers import exactly

Z95: Final = Decimal("1.959963984540054")
"""Half-width of 95 % in standard deviations of a normal."""

Errors = tuple[tuple[str, Decimal], ...]
"""Factors of error: key, and ln of one geometric standard deviation; sorted by key."""


class Term(NamedTuple):
    """Part of a sum with its factors of error."""

    central: Decimal
    errors: Errors


class Interval(NamedTuple):
    """A sum of medians with the bounds that enclose 95 %, its spread, and what drives it."""

    central: Decimal
    low: Decimal
    high: Decimal
    gsd: Decimal
    """Geometric standard deviation of the lognormal fitted to the sum."""
    drivers: tuple[tuple[str, Decimal], ...]
    """For each kind of factor (the key up to its colon), the share of the variance that goes if it had none;
    largest first. Shares overlap and add up to slightly more than 1."""


def interval(terms: Iterable[Term]) -> Interval:
    """The interval of the sum of `terms`; all zeros for a sum of nothing.

    With m_i = c_i exp(sum of s^2 / 2), Cov(i, j) = m_i m_j (exp(sum over shared keys of s_i s_j) - 1); one
    lognormal with mean M and variance V of the sum gives s^2 = ln(1 + V / M^2) and M exp(-s^2 / 2 -+ z s),
    widened if need be to hold the sum of centrals.
    """
    with exactly():
        sums: dict[Errors, Decimal] = {}
        for central, errors in terms:
            if central > 0:
                sums[errors] = sums.get(errors, Decimal(0)) + central
        if not sums:
            zero = Decimal(0)
            return Interval(zero, zero, zero, Decimal(1), ())
        kept = sorted(sums.items())
        central = sum((value for _, value in kept), Decimal(0))
        mean, s_squared = _fitted(kept)
        s = s_squared.sqrt()
        middle, half_width = mean * (-s_squared / 2).exp(), (Z95 * s).exp()
        return Interval(
            central,
            min(middle / half_width, central),
            max(middle * half_width, central),
            s.exp(),
            _drivers(kept, s_squared),
        )


def _fitted(terms: Sequence[tuple[Errors, Decimal]]) -> tuple[Decimal, Decimal]:
    """Mean of the sum, and s^2 of the lognormal with its mean and variance."""
    shared = _Shared([errors for errors, _ in terms])
    n = range(len(terms))
    means = [central * (shared.of(i, i) / 2).exp() for i, (_, central) in zip(n, terms, strict=True)]
    mean = sum(means, Decimal(0))
    variance = Decimal(0)
    for i in n:
        row = sum((means[j] * shared.growth(i, j) for j in range(i)), Decimal(0))
        variance += means[i] * (means[i] * shared.growth(i, i) + 2 * row)
    return mean, (1 + variance / (mean * mean)).ln()


class _Shared:
    """What each two sets of errors share: the sum of s_i s_j over the keys of both.

    A hundred terms are five thousand pairs that share one of a few sets of keys, so those are looked up: keys
    are bits of a number where all sets have one s for them; what is left tells apart a few classes.
    """

    def __init__(self, sets: Sequence[Errors]) -> None:
        values: dict[str, set[Decimal]] = {}
        for errors in sets:
            for key, s in errors:
                values.setdefault(key, set()).add(s)
        bit = {key: 1 << place for place, key in enumerate(sorted(values)) if len(values[key]) == 1}
        self._loadings = [dict(errors) for errors in sets]
        self._masks = [sum(bit.get(key, 0) for key, _ in errors) for errors in sets]
        numbers: dict[Errors, int] = {}
        rest = [tuple(pair for pair in errors if pair[0] not in bit) for errors in sets]
        self._class = [numbers.setdefault(one, len(numbers)) for one in rest]
        self._growths: dict[tuple[int, int, int], Decimal] = {}

    def of(self, i: int, j: int) -> Decimal:
        """The shared part of the i-th and the j-th set."""
        one, other = self._loadings[i], self._loadings[j]
        return sum((s * other[key] for key, s in sorted(one.items()) if key in other), Decimal(0))

    def growth(self, i: int, j: int) -> Decimal:
        """exp of it, less 1."""
        key = self._masks[i] & self._masks[j], self._class[i], self._class[j]
        found = self._growths.get(key)
        if found is None:
            found = self._growths[key] = self.of(i, j).exp() - 1
        return found


def _drivers(terms: Sequence[tuple[Errors, Decimal]], s_squared: Decimal) -> tuple[tuple[str, Decimal], ...]:
    kinds = sorted({_kind(key) for errors, _ in terms for key, _ in errors})
    if not s_squared:
        return ()
    shares = []
    for kind in kinds:
        without: dict[Errors, Decimal] = {}
        for errors, central in terms:
            left = tuple(pair for pair in errors if _kind(pair[0]) != kind)
            without[left] = without.get(left, Decimal(0)) + central
        _, rest = _fitted(sorted(without.items()))
        shares.append((kind, 1 - rest / s_squared))
    return tuple(sorted(shares, key=lambda share: (-share[1], share[0])))


def _kind(key: str) -> str:
    return key.partition(":")[0]
