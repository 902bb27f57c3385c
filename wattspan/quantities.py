"""Quantities as a person reads them: Wh and g with three significant digits, never 3.1e-07."""

from __future__ import annotations

import math

_WH = ((1e-6, "µWh"), (1e-3, "mWh"), (1.0, "Wh"), (1e3, "kWh"), (1e6, "MWh"))
_GRAMS = ((1e-6, "µg"), (1e-3, "mg"), (1.0, "g"), (1e3, "kg"), (1e6, "t"))
_SECONDS = ((1e-6, "µs"), (1e-3, "ms"), (1.0, "s"))
_ML = ((1e-3, "µL"), (1.0, "mL"), (1e3, "L"), (1e6, "m³"))


def digits(value: float, significant: int = 3) -> str:
    """`value` with at least so many significant digits, whole numbers whole: 0.334, 12.5, 1,204."""
    if not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    places = max(0, significant - 1 - math.floor(math.log10(abs(value))))
    return f"{value:,.{places}f}"


def rounded(value: float, significant: int = 3) -> float:
    """`value` to so many significant digits, also above its point: 10,188 is 10,000 by two."""
    if value == 0 or not math.isfinite(value):
        return value
    return round(value, significant - 1 - math.floor(math.log10(abs(value))))


def _scaled(value: float, units: tuple[tuple[float, str], ...]) -> tuple[float, str]:
    if value == 0:
        return next(unit for unit in units if unit[0] == 1)
    fitting = [(size, name) for size, name in units if abs(value) >= size]
    return fitting[-1] if fitting else units[0]


def _text(value: float, units: tuple[tuple[float, str], ...]) -> str:
    if not math.isfinite(value):
        return "–"
    size, name = _scaled(rounded(value), units)
    return f"{digits(rounded(value / size))} {name}"


def _band(low: float, high: float, central: float, units: tuple[tuple[float, str], ...]) -> str:
    if not math.isfinite(central):
        return "–"
    size, name = _scaled(rounded(central), units)
    return f"{digits(rounded(low / size, 2), 2)}–{digits(rounded(high / size, 2), 2)} {name}"


def energy(kwh: float) -> str:
    """Energy from kWh: "334 mWh"; a dash where there is no figure."""
    return _text(kwh * 1000, _WH)


def energy_band(low_kwh: float, high_kwh: float, central_kwh: float) -> str:
    """A band in the unit that suits its centre: "0.055–2.0 Wh"."""
    return _band(low_kwh * 1000, high_kwh * 1000, central_kwh * 1000, _WH)


def mass(grams: float) -> str:
    """Mass of CO2e from grams: "121 mg"."""
    return _text(grams, _GRAMS)


def mass_band(low_g: float, high_g: float, central_g: float) -> str:
    """A band of mass in the unit that suits its centre."""
    return _band(low_g, high_g, central_g, _GRAMS)


def volume(millilitres: float) -> str:
    """Volume of water from millilitres: "0.31 mL"."""
    return _text(millilitres, _ML)


def duration(ns: float) -> str:
    """A time from nanoseconds: "2.50 ms", "119 s", "2.00 h"."""
    seconds = ns / 1e9
    if seconds >= 3600:
        return f"{digits(seconds / 3600)} h"
    if seconds >= 120:
        return f"{digits(seconds / 60)} min"
    # call logs have no ends: their traces last a nanosecond, so that they have a width
    return _text(seconds, _SECONDS) if ns >= 1000 else "–"


def money(usd: float) -> str:
    """Dollars, or cents where they are few: "$1,234.50", "0.340 ¢"."""
    if usd == 0:
        return "$0"
    if usd < 0.01:
        return f"{digits(usd * 100)} ¢"
    return f"${digits(usd)}" if usd < 1 else f"${usd:,.2f}"


def times(factor: float) -> str:
    """A multiplicative spread: "×/÷ 6.1"."""
    return f"×/÷ {digits(factor, 2)}"


def share(of_whole: float, places: int = 0) -> str:
    """A share of a whole: "42 %"; what is little is not called nothing, and what is almost all not all."""
    least = 10.0**-places
    if 0 < of_whole * 100 < least:
        return f"< {least:.{places}f} %"
    if of_whole < 1 and of_whole * 100 > 100 - least:
        return f"> {100 - least:.{places}f} %"
    return f"{of_whole * 100:.{places}f} %"
