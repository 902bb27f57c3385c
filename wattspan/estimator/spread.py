"""Bands: how far off a figure may be, for one call and for sums whose calls share their errors.

Every factor is lognormal with median 1, so the central value is the median and centrals add. Errors with the
same key are one error: they do not average out over a million requests (docs/design, D5).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, cast

import numpy as np

from wattspan.calls import EstimateBatch, Factor
from wattspan.calls.batch import Floats
from wattspan.grid import Kind
from wattspan.grid.carbon import refuse_mixed
from wattspan.grid.intensity import FactorType, SignalName

Z90 = 1.64
"""One geometric standard deviation to this power is the 90 % band (energy.md, "Uncertainty tiers")."""


class Band(NamedTuple):
    """A central value and the bounds that enclose 90 %."""

    central: float
    low: float
    high: float


def combined_ln_g(factors: Iterable[Factor]) -> float:
    """ln of the geometric standard deviation of a product of independent factors: ln(g)^2 add up."""
    return math.sqrt(math.fsum(factor.ln_g**2 for factor in factors))


def total(terms: Sequence[tuple[float, Sequence[Factor]]], z: float = Z90) -> Band:
    """Band of a sum of lognormal terms that share errors by key; closed form, no random numbers.

    `terms`: (central value, its factors), one for each (model, place) rather than for each call. With
    m_i = c_i exp(sum of ln_g^2 / 2), Cov(i, j) = m_i m_j (exp(sum over shared keys of ln_g_i ln_g_j) - 1);
    one lognormal with the mean M and variance V of the sum gives s^2 = ln(1 + V / M^2) and the bounds
    M exp(-s^2 / 2 -+ z s), widened if need be to hold the sum of centrals.
    """
    kept = [(central, factors) for central, factors in terms if central > 0]
    if not kept:
        return Band(0.0, 0.0, 0.0)
    centrals = np.array([central for central, _ in kept])
    shared = _shared([factors for _, factors in kept])
    means = centrals * np.exp(np.diag(shared) / 2)
    mean = float(means.sum())
    variance = float(means @ np.expm1(shared) @ means)
    s_squared = math.log1p(variance / mean**2)
    middle, half_width = mean * math.exp(-s_squared / 2), math.exp(z * math.sqrt(s_squared))
    central = float(centrals.sum())
    return Band(central, min(middle / half_width, central), max(middle * half_width, central))


def totals(centrals: Floats, classes: Sequence[Sequence[Factor]], z: float = Z90) -> tuple[Floats, Floats]:
    """`total` of many sums at once: the low and the high bounds, float64[n].

    `centrals`: float64[n, k], in each row the sums of n things by the k `classes` of factors.
    """
    if not len(centrals) or not classes:
        nothing = np.zeros(len(centrals))
        return nothing, nothing
    shared = _shared(classes)
    means = np.maximum(centrals, 0.0) * np.exp(np.diag(shared) / 2)
    mean = means.sum(axis=1)
    variance = np.einsum("nk,nk->n", means @ np.expm1(shared), means)
    with np.errstate(invalid="ignore", divide="ignore"):
        s_squared = np.log1p(variance / mean**2)
        middle, half_width = mean * np.exp(-s_squared / 2), np.exp(z * np.sqrt(s_squared))
        central = centrals.sum(axis=1)
        is_some = mean > 0
        low = np.where(is_some, np.minimum(middle / half_width, central), 0.0)
        high = np.where(is_some, np.maximum(middle * half_width, central), 0.0)
    return low, high


def _shared(classes: Sequence[Sequence[Factor]]) -> Floats:
    """float64[k, k]: for each two classes the sum of ln_g_i ln_g_j over the keys they share."""
    column_of: dict[str, int] = {}
    for factors in classes:
        for factor in factors:
            column_of.setdefault(factor.key, len(column_of))
    loadings = np.zeros((len(classes), len(column_of)))
    for row, factors in enumerate(classes):
        for factor in factors:
            loadings[row, column_of[factor.key]] += factor.ln_g
    shared: Floats = loadings @ loadings.T
    return shared


def estimates_kind(estimates: EstimateBatch) -> Kind:
    """The one kind of a batch's carbon; only the configuration knows which."""
    return Kind(cast(SignalName, estimates.signal), cast(FactorType, estimates.factor_type))


class Terms:
    """Sums of centrals by spread class, gathered over batches; `band` closes them."""

    def __init__(self) -> None:
        self._sums: dict[tuple[Factor, ...], float] = {}
        self._kind: Kind | None = None

    def add(self, central: float, factors: tuple[Factor, ...]) -> None:
        """Add a central value (any unit, the same for all) whose errors are `factors`."""
        self._sums[factors] = self._sums.get(factors, 0.0) + central

    def add_batch(self, estimates: EstimateBatch, *, carbon: bool) -> None:
        """Add the rows of a batch that have a figure: energy in kWh, or with `carbon` grams CO2e.

        Raises MixedKindsError where carbon is of another kind than that of an earlier batch.
        """
        if carbon:
            kind = estimates_kind(estimates)
            refuse_mixed(self._kind or kind, kind)
            self._kind = kind
        values = estimates.co2e_g if carbon else estimates.energy_kwh
        sums = np.bincount(
            estimates.spread, weights=np.nan_to_num(values, nan=0.0), minlength=len(estimates.spreads)
        )
        for spread, value in zip(estimates.spreads, sums.tolist(), strict=True):
            if value > 0:
                self.add(value, spread.carbon if carbon else spread.energy)

    def band(self, z: float = Z90) -> Band:
        """The band of the sum."""
        return total([(central, factors) for factors, central in self._sums.items()], z)


class Sums:
    """Energy and carbon of batches of calls, each with the band of its sum."""

    def __init__(self) -> None:
        self._energy, self._carbon = Terms(), Terms()

    def add(self, estimates: EstimateBatch) -> None:
        """Add the rows of a batch that have a figure. Raises MixedKindsError as `Terms.add_batch` does."""
        self._energy.add_batch(estimates, carbon=False)
        self._carbon.add_batch(estimates, carbon=True)

    @property
    def energy_kwh(self) -> Band:
        """With its 90 % band."""
        return self._energy.band()

    @property
    def co2e_g(self) -> Band:
        """With its 90 % band."""
        return self._carbon.band()


def factors_of(
    templates: Sequence[Mapping[str, object]], *, model: str, facility: str, deployment: str
) -> tuple[Factor, ...]:
    """The factors of one tier of an edition's spreads.json, with the key templates filled in."""
    names = {"model": model, "facility": facility, "deployment": deployment}
    return tuple(
        Factor(str(template["key"]).format_map(names), math.log(float(str(template["g"]))))
        for template in templates
    )
