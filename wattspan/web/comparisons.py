"""What a person can picture: kilometres in a car, charges of a phone. Each with its source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from wattspan import quantities


@dataclass(frozen=True, slots=True)
class Likeness:
    """One thing to compare with."""

    size: float
    """kWh or grams CO2e of one."""
    words: str
    source: str


CAR_KM: Final = Likeness(
    400 / 1.609344,
    "in an average petrol car",
    "US EPA, Greenhouse Gas Emissions from a Typical Passenger Vehicle (EPA-420-F-23-014): 400 g CO₂ a mile",
)
PHONE_CHARGE: Final = Likeness(
    0.019,
    "charges of a phone",
    "US EPA, Greenhouse Gas Equivalencies Calculator, Calculations and References: 0.019 kWh a charge",
)
LED_HOUR: Final = Likeness(0.01, "of a 10 W LED lamp", "10 W for an hour is 0.01 kWh")


def of_energy(kwh: float) -> tuple[str, str]:
    """Words and source; two empty texts for nothing."""
    if not kwh > 0:
        return "", ""
    if kwh >= PHONE_CHARGE.size:
        return f"≈ {quantities.digits(kwh / PHONE_CHARGE.size, 2)} {PHONE_CHARGE.words}", PHONE_CHARGE.source
    minutes = kwh / LED_HOUR.size * 60
    amount = (
        f"{quantities.digits(minutes, 2)} minutes"
        if minutes >= 1
        else f"{quantities.digits(minutes * 60, 2)} s"
    )
    return f"≈ {amount} {LED_HOUR.words}", LED_HOUR.source


def of_carbon(grams: float) -> tuple[str, str]:
    """Words and source; two empty texts for nothing."""
    if not grams > 0:
        return "", ""
    km = grams / CAR_KM.size
    amount = f"{quantities.digits(km, 2)} km" if km >= 1 else f"{quantities.digits(km * 1000, 2)} m"
    return f"≈ {amount} {CAR_KM.words}", CAR_KM.source
