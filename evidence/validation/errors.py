"""What a list of errors amounts to, in factors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evidence.edition.energy import Z90
from evidence.edition.tables import Floats


@dataclass(frozen=True, slots=True)
class Errors:
    """Logarithms of predicted / measured, one a held-out cell, with what was tested."""

    name: str
    log_ratio: Floats

    def __len__(self) -> int:
        return len(self.log_ratio)

    @property
    def bias(self) -> float:
        """Geometric mean of predicted / measured."""
        return float(np.exp(np.mean(self.log_ratio)))

    @property
    def rms(self) -> float:
        """Exponential of the root mean square logarithm: a geometric factor."""
        return float(np.exp(np.sqrt(np.mean(self.log_ratio**2))))

    @property
    def p90(self) -> float:
        """The factor within which 90 % of the cells lie."""
        return float(np.exp(np.quantile(np.abs(self.log_ratio), 0.9)))

    @property
    def within_30_percent(self) -> float:
        """Share of cells with a ratio between 0.7 and 1.3."""
        ratio = np.exp(self.log_ratio)
        return float(np.mean((ratio > 0.7) & (ratio < 1.3)))

    @property
    def within_x2(self) -> float:
        """Share of cells with a ratio between 1/2 and 2."""
        return float(np.mean(np.abs(self.log_ratio) < np.log(2.0)))

    def coverage(self, g: float) -> float:
        """Share of cells inside the 90 % band of a geometric spread g (68 %)."""
        return float(np.mean(np.abs(self.log_ratio) <= Z90 * np.log(g)))

    def g_for(self, coverage: float) -> float:
        """The geometric spread (68 %) whose 90 % band holds a share `coverage` of the cells."""
        return float(np.exp(np.quantile(np.abs(self.log_ratio), coverage) / Z90))
