"""The sealed coefficients of a disclosure: what an estimator's plans say, as decimals with an id.

One vector serves the float estimator and the decimal one: the lake keeps the very constants the estimate was
made with (`lake.plans`), and `Vector.energy_kwh` is `estimator.moments.gpu_joules` on decimals.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from wattspan.calls import Factor
from wattspan.disclosure.band import Errors
from wattspan.disclosure.cells import INTENSITY_UNITS_PER_G
from wattspan.disclosure.numbers import of_float, written
from wattspan.estimator.moments import Moments, gpu_joules

J_PER_KWH: Final = Decimal(3_600_000)
_ID_DIGITS: Final = 16


@dataclass(frozen=True, slots=True)
class Vector:
    """The constants of one kind of call, at the facility boundary."""

    joules: tuple[Decimal, ...]
    """GPU joules per moment, in the order of `Moments`."""
    server_factor: Decimal
    """Host and idle share on top of the accelerator."""
    facility_factor: Decimal
    """PUE as applied."""
    embodied_g_per_gpu_j: Decimal
    water_ml_per_it_kwh: Decimal | None
    """None where the site publishes no WUE."""
    hardware: str
    """GPU and what it runs like, for readers: "B200, batch 150"."""

    @property
    def id(self) -> str:
        """The beginning of the SHA-256 of the constants."""
        numbers = (*self.joules, self.server_factor, self.facility_factor, self.embodied_g_per_gpu_j)
        water = "" if self.water_ml_per_it_kwh is None else written(self.water_ml_per_it_kwh)
        return _id([*map(written, numbers), water, self.hardware])

    def energy_kwh(self, sums: Moments) -> Decimal:
        """Facility energy of calls whose moments add up to `sums` (whole numbers, one call = 1)."""
        gpu_j: Decimal = gpu_joules(self.joules, [Decimal(m) for m in sums])
        return gpu_j * self.server_factor * self.facility_factor / J_PER_KWH

    def embodied_g(self, sums: Moments) -> Decimal:
        """Hardware manufacture of the same calls, grams CO2e."""
        gpu_j: Decimal = gpu_joules(self.joules, [Decimal(m) for m in sums])
        return gpu_j * self.embodied_g_per_gpu_j

    def water_l(self, energy_kwh: Decimal) -> Decimal | None:
        """Cooling water on site for facility energy, litres; None where no WUE is published."""
        if self.water_ml_per_it_kwh is None:
            return None
        return energy_kwh / self.facility_factor * self.water_ml_per_it_kwh / 1000

    def to_json(self) -> dict[str, Any]:
        """As it is sealed: decimals as texts."""
        water = self.water_ml_per_it_kwh
        return {
            "gpu_joules_per_moment": dict(zip(Moments._fields, map(written, self.joules), strict=True)),
            "server_factor": written(self.server_factor),
            "facility_factor": written(self.facility_factor),
            "embodied_g_per_gpu_joule": written(self.embodied_g_per_gpu_j),
            "water_ml_per_it_kwh": None if water is None else written(water),
            "hardware": self.hardware,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Vector:
        """Back from `to_json`. Raises KeyError, ArithmeticError or TypeError for anything else."""
        joules, water = content["gpu_joules_per_moment"], content["water_ml_per_it_kwh"]
        return cls(
            joules=tuple(_decimal(joules[name]) for name in Moments._fields),
            server_factor=_decimal(content["server_factor"]),
            facility_factor=_decimal(content["facility_factor"]),
            embodied_g_per_gpu_j=_decimal(content["embodied_g_per_gpu_joule"]),
            water_ml_per_it_kwh=None if water is None else _decimal(water),
            hardware=str(content["hardware"]),
        )


def of_plan_text(content: Mapping[str, Any]) -> Vector:
    """The constants that the lake keeps beside an estimate (`lake.plans`), as they are sealed."""
    water = content["water"]
    return Vector(
        joules=tuple(of_float(value) for value in content["joules"]),
        server_factor=of_float(content["server"]),
        facility_factor=of_float(content["facility"]),
        embodied_g_per_gpu_j=of_float(content["embodied"]),
        water_ml_per_it_kwh=None if water is None else of_float(water),
        hardware=content["hardware"],
    )


def direct_of(content: Mapping[str, Any]) -> str:
    """The direct intensity of the same text as it is sealed, micrograms per kWh; "" where there is none."""
    direct = content.get("direct")
    return "" if direct is None else str(int(of_float(direct) * INTENSITY_UNITS_PER_G))


def errors_of(factors: Iterable[Factor]) -> Errors:
    """Factors of error as they are sealed: ln of the spread to 15 digits, one a key, sorted."""
    sums: dict[str, float] = {}
    for factor in factors:
        sums[factor.key] = sums.get(factor.key, 0.0) + factor.ln_g
    return tuple((key, of_float(sums[key])) for key in sorted(sums))


def errors_id(energy: Errors, carbon: Errors) -> str:
    """The beginning of the SHA-256 of two sets of errors."""
    return _id([f"{key}={written(value)}" for key, value in (*energy, ("|", Decimal(0)), *carbon)])


def _id(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:_ID_DIGITS]


def _decimal(text: Any) -> Decimal:
    if not isinstance(text, str):
        raise TypeError(f"found {text!r}; numbers in a sealed file are texts")
    number = Decimal(text)
    if not number.is_finite() or number < 0:
        raise ArithmeticError(f"found {text!r}; allowed: a finite number >= 0")
    return number
