"""`Group`: the calls that share a key, summed up: band by shared errors, coverage, evidence, sampling."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from wattspan.calls import Factor
from wattspan.estimator import Band, total
from wattspan.lake import spread
from wattspan.lake.schema import TOKENS

NOTHING: Final = Band(0.0, 0.0, 0.0)
SAMPLING_KEY: Final = "sampling"


class Requests(NamedTuple):
    """Inferences: end-user requests with every call they triggered."""

    completed: float
    failed: float


@dataclass(slots=True)
class Group:
    """The calls that share a key. Counts are scaled to all traces where they were sampled, so they may be
    fractions."""

    key: tuple[str, ...]
    """One text a dimension, "" for none; times as ISO 8601."""
    recorded: int = 0
    """Calls in the lake, not scaled."""
    calls: float = 0.0
    tokens: dict[str, float] = field(default_factory=lambda: dict.fromkeys(TOKENS, 0.0))
    energy_kwh: Band = NOTHING
    """With its 90 % band."""
    co2e_g: Band = NOTHING
    embodied_g: float = 0.0
    cost_usd: float = 0.0
    with_energy: float = 0.0
    """Calls that have an energy figure."""
    with_carbon: float = 0.0
    with_cost: float = 0.0
    failed: float = 0.0
    """Calls that failed before they used tokens: there is nothing to have a figure for."""
    energy_by_tier: dict[str, float] = field(default_factory=dict)
    """kWh by evidence tier; compute is what is no call of a model."""
    calls_by_sampling: dict[str, float] = field(default_factory=dict)
    requests: Requests | None = None
    """None where the question is not one that requests can be counted by (`dimensions.OF_REQUESTS`)."""
    call_kwh: dict[float, float] | None = None
    """Percentiles of the energy of a call; None where not asked for or where there is none."""
    request_kwh: dict[float, float] | None = None
    """Percentiles of the energy of a completed request."""
    _terms: dict[str, list[float]] = field(default_factory=dict, repr=False)
    _variance: list[float] = field(default_factory=lambda: [0.0, 0.0], repr=False)

    @property
    def coverage(self) -> float | None:
        """Share of the calls that did not fail which have an energy figure."""
        expected = self.calls - self.failed
        return self.with_energy / expected if expected > 0 else None

    def per_1000(self, band: Band) -> Band | None:
        """A sum of this group for each 1,000 completed inferences; failed ones are in the sum, not in the
        number."""
        if self.requests is None or not self.requests.completed:
            return None
        scale = 1000 / self.requests.completed
        return Band(*(value * scale for value in band))

    @property
    def kwh_per_1000(self) -> Band | None:
        """Energy for each 1,000 completed inferences, kWh."""
        return self.per_1000(self.energy_kwh)

    @property
    def kgco2e_per_1000(self) -> Band | None:
        """Operational carbon for each 1,000 completed inferences, kg CO2e."""
        band = self.per_1000(self.co2e_g)
        return band and Band(*(value / 1000 for value in band))

    @property
    def is_sampled(self) -> bool:
        """Some of it is scaled up from samples."""
        return bool({"traced", "configured"} & self.calls_by_sampling.keys())

    def as_dict(self, names: Sequence[str]) -> dict[str, Any]:
        """Plain values; the key by the names of the dimensions."""
        found: dict[str, Any] = {
            **dict(zip(names, self.key, strict=True)),
            "calls": self.calls,
            "recorded_calls": self.recorded,
            "failed_calls": self.failed,
            **self.tokens,
            "energy_kwh": self.energy_kwh._asdict(),
            "co2e_g": self.co2e_g._asdict(),
            "embodied_g": self.embodied_g,
            "cost_usd": self.cost_usd if self.with_cost else None,
            "coverage": {
                "energy": self.coverage,
                "carbon": _share(self.with_carbon, self.calls - self.failed),
                "cost": _share(self.with_cost, self.calls - self.failed),
            },
            "energy_kwh_by_tier": dict(sorted(self.energy_by_tier.items())),
            "calls_by_sampling": dict(sorted(self.calls_by_sampling.items())),
        }
        if self.requests is not None:
            found["requests"] = self.requests._asdict()
            for name in ("kwh_per_1000", "kgco2e_per_1000"):
                band = getattr(self, name)
                found[f"{name}_inferences"] = band and band._asdict()
        for name in ("call_kwh", "request_kwh"):
            shares = getattr(self, name)
            if shares is not None:
                found[f"{name}_percentiles"] = {
                    f"p{round(100 * share)}": kwh for share, kwh in shares.items()
                }
        return found

    def add(self, row: Mapping[str, Any]) -> None:
        """Take in sums of one spread class."""
        self.recorded += int(row["recorded"] or 0)
        for name in ("calls", "embodied_g", "cost_usd", "with_energy", "with_carbon", "with_cost"):
            setattr(self, name, getattr(self, name) + (row[name] or 0.0))
        for name in TOKENS:
            self.tokens[name] += row[name] or 0.0
        energy, carbon, calls = row["energy_kwh"] or 0.0, row["co2e_g"] or 0.0, row["calls"] or 0.0
        if row["basis"] == "failed":
            self.failed += calls
        if energy:
            tier = row["evidence"]
            self.energy_by_tier[tier] = self.energy_by_tier.get(tier, 0.0) + energy
        if calls:
            how = row["sampling"]
            self.calls_by_sampling[how] = self.calls_by_sampling.get(how, 0.0) + calls
        term = self._terms.setdefault(row["spread"] or "", [0.0, 0.0])
        term[0] += energy
        term[1] += carbon
        self._variance[0] += row["energy_variance"] or 0.0
        self._variance[1] += row["carbon_variance"] or 0.0

    def close(self, z: float) -> None:
        """Make the bands of the sums: errors with the same key are one error."""
        self.energy_kwh, self.co2e_g = (self._band(of_carbon, z) for of_carbon in (0, 1))

    def _band(self, of_carbon: int, z: float) -> Band:
        sums: dict[tuple[Factor, ...], float] = {}
        for text, values in self._terms.items():
            factors = spread.read(text)[of_carbon]
            sums[factors] = sums.get(factors, 0.0) + values[of_carbon]
        whole = math.fsum(sums.values())
        variance = self._variance[of_carbon]
        if variance > 0 and whole > 0:
            # the scatter of sampling: one more independent error of the whole sum (disclosure.md 6.3, 3)
            sampling = Factor(SAMPLING_KEY, math.sqrt(math.log1p(variance / whole**2)))
            sums = {(*factors, sampling): central for factors, central in sums.items()}
        return total([(central, factors) for factors, central in sums.items()], z)


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole > 0 else None
