"""The 23 columns of a disclosure, and what an inventory of calls supports of each."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from wattspan.disclosure.inventory import Inventory

SHOWN = 3
INFERENCES = "the number of inferences"


class Support(StrEnum):
    """How far the data of today carry a column."""

    YES = "yes"
    PARTLY = "partly"
    NO = "no"
    NOT_AVAILABLE = "not available"
    """Nobody has it; the column says so and is never 0."""


class Column(NamedTuple):
    """One column, what there is for it, and what is missing."""

    number: int
    title: str
    support: Support
    there: str
    missing: str


def supported(found: Inventory) -> list[Column]:
    """Every column, for calls that were read from files: no feature map, no sealed period, no ledger."""
    edition = found.edition
    band, whole_g = found.band95(), found.co2e_g + found.embodied_g
    datasets = f"{len(found.carbon_by_source)} data sets of the grid, edition {edition.label}"
    return [
        _no(1, "Disclosure ID and edition", "an issuer, and a ledger that publishes"),
        _no(2, "Product feature, SKU", "a map from services and spans to features as the customer buys them"),
        _no(3, "Functional unit", f"{INFERENCES}: which spans are one user request of a feature"),
        _partly(4, "Reference period", _period(found), "whole calendar months, sealed"),
        _partly(
            5,
            "Volume, calls per inference, coverage",
            f"{found.calls:,} calls, {found.failed:,} failed; {found.coverage:.1%} of the rest have a figure",
            INFERENCES,
        ),
        _models_and_regions(found),
        _partly(7, "Electricity", f"{found.energy_kwh:.6g} kWh in all, at the facility boundary", INFERENCES),
        _partly(
            8, "GHG, location-based", f"{_kg(found.co2e_g + found.embodied_g)} kgCO2e in all", INFERENCES
        ),
        _partly(9, "95 % interval, low", f"{_kg(band.low)} kgCO2e in use", "the spread of manufacture"),
        _partly(10, "95 % interval, high", f"{_kg(band.high)} kgCO2e in use", "the spread of manufacture"),
        Column(11, "GHG, market-based", Support.NOT_AVAILABLE, "", "evidence of the operators' contracts"),
        _partly(12, "of which electricity in use", f"{_kg(found.co2e_g)} kgCO2e in all", INFERENCES),
        _embodied(found),
        Column(14, "Memo: training", Support.NOT_AVAILABLE, "", "figures of the models' makers"),
        _water(found),
        _partly(
            16,
            "Period total; customer's share",
            f"{_kg(whole_g)} kgCO2e in these files",
            "the customer's own number of inferences",
        ),
        _yes(
            17,
            "Boundary code, exclusions",
            "in: accelerator, host, idle share, PUE, manufacture of the server; "
            "out: networks, devices of users, training (methodology)",
        ),
        _yes(18, "Evidence mix", _shares(found, found.carbon_by_basis)),
        _no(19, "Data quality rating", "ratings of technology, geography and time"),
        _yes(20, "Factor datasets", f"{datasets}, sha256 {edition.digest[:12]}"),
        Column(
            21,
            "Methodology",
            Support.YES if edition.status == "released" else Support.PARTLY,
            f"edition {edition.label}, sha256 {edition.digest[:12]}, {edition.status}",
            "" if edition.status == "released" else "a released edition",
        ),
        _no(22, "Change from previous", "a disclosure published before"),
        _no(23, "Assurance, status, seal", "a sealed folder, a ledger and a key"),
    ]


def _models_and_regions(found: Inventory) -> Column:
    unknown = found.carbon_of_unknown_models_g / found.co2e_g if found.co2e_g else 0.0
    there = f"{len(found.models)} models; regions known by {_shares(found, found.carbon_by_region_source)}"
    if not unknown:
        return _yes(6, "Models and regions", there)
    return _partly(6, "Models and regions", there, f"models of {unknown:.1%} of the carbon are unknown")


def _embodied(found: Inventory) -> Column:
    share = found.energy_with_embodied_kwh / found.energy_kwh if found.energy_kwh else 0.0
    there = f"{_kg(found.embodied_g)} kgCO2e in all, for {share:.1%} of the energy"
    if share == 1.0:
        return _yes(13, "of which hardware manufacture", there)
    return _partly(
        13, "of which hardware manufacture", there, "energy that was measured or reported has none"
    )


def _water(found: Inventory) -> Column:
    share = found.energy_with_water_kwh / found.energy_kwh if found.energy_kwh else 0.0
    there = f"{found.water_ml / 1000:.4g} L on site, for {share:.1%} of the energy"
    return _partly(15, "Memo: water", there, f"{INFERENCES}; off site; facilities that publish none")


def _period(found: Inventory) -> str:
    if not found.last_unix_ns:
        return "calls without a time"
    first, last = (_day(moment) for moment in (found.first_unix_ns, found.last_unix_ns))
    return f"calls from {first} to {last} (UTC)"


def _day(moment_unix_ns: int) -> str:
    return dt.datetime.fromtimestamp(moment_unix_ns / 1e9, dt.UTC).date().isoformat()


def _shares(found: Inventory, grams: Mapping[str, float]) -> str:
    shares = list(found.shares(grams).items())
    texts = [f"{name or 'unknown'} {share:.0%}" for name, share in shares[:SHOWN]]
    rest = sum(share for _, share in shares[SHOWN:])
    return ", ".join(texts + ([f"others {rest:.0%}"] if rest else [])) or "no carbon"


def _kg(grams: float) -> str:
    return f"{grams / 1000:.4g}"


def _yes(number: int, title: str, there: str) -> Column:
    return Column(number, title, Support.YES, there, "")


def _partly(number: int, title: str, there: str, missing: str) -> Column:
    return Column(number, title, Support.PARTLY, there, missing)


def _no(number: int, title: str, missing: str) -> Column:
    return Column(number, title, Support.NO, "", missing)
