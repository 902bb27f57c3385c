"""The SCI score of a sealed disclosure: ((E x I) + M) per R, location-based, in decimals.

SCI 1.1 (ISO/IEC 21031:2024): E in kWh, I in gCO2e/kWh of the grid where it ran, M in gCO2e; market-based
measures are excluded; to be reported: score, boundary, methodology, unit conversions. SCI for AI (public
review of 2025-11): the consumer boundary is operation and monitoring, training stays with the provider.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from wattspan.disclosure.cells import Cell, RequestCount
from wattspan.disclosure.figure import PER
from wattspan.disclosure.numbers import exactly, shown, written
from wattspan.disclosure.units import converted

UNIT: Final = "gCO2e / inference"
STANDARD: Final = "SCI 1.1 (ISO/IEC 21031:2024)"
FUNCTIONAL_UNIT: Final = "one completed inference"
CONVERSIONS: Final = (
    f"E and M are sealed per {PER:,} inferences: divided by R = {PER:,}",
    "M and the use of electricity are sealed in kg: 1 kg = 1,000 g",
    "I = use in g / E in kWh: the mean of the grids' intensities at each hour and place, weighted by energy",
)


@dataclass(frozen=True, slots=True)
class Score:
    """A score and the terms it is made of."""

    energy_kwh: Decimal
    """E, for R inferences."""
    intensity_g_per_kwh: Decimal
    """I, location-based."""
    embodied_g: Decimal
    """M, for R inferences."""
    inferences: Decimal
    """R."""

    @property
    def g_per_inference(self) -> Decimal:
        """((E x I) + M) / R."""
        with exactly():
            return (self.energy_kwh * self.intensity_g_per_kwh + self.embodied_g) / self.inferences


def score(columns: Mapping[str, Any]) -> Score:
    """The score of the 23 columns of a `disclosure.json`, from their exact values."""
    with exactly():
        energy_kwh = Decimal(columns["energy_kwh"]["exact"])
        use_g = converted(Decimal(columns["ghg_use"]["exact"]), "kg", "g")
        embodied_g = converted(Decimal(columns["ghg_embodied"]["exact"]), "kg", "g")
        return Score(energy_kwh, use_g / energy_kwh, embodied_g, Decimal(PER))


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens of one inference in the mean: what SCI for AI asks to be told beside a score per inference."""

    input: Decimal
    output: Decimal


def tokens_per_inference(cells: Iterable[Cell], requests: Iterable[RequestCount]) -> Tokens:
    """Of the calls that tell their tokens, over completed inferences; `requests` must have some."""
    with exactly():
        completed = Decimal(sum(count.completed for count in requests))
        summed = [cell.moments for cell in cells]
        fresh, cached, out = (
            Decimal(sum(getattr(m, name) for m in summed)) for name in ("fresh", "cached", "output")
        )
        return Tokens((fresh + cached) / completed, out / completed)


def report(columns: Mapping[str, Any], tokens: Tokens | None = None) -> dict[str, Any]:
    """What the specification wants reported, as plain values; numbers are texts."""
    found = score(columns)
    method = columns["methodology"]
    boundary = columns["boundary"]
    made: dict[str, Any] = {
        "standard": STANDARD,
        "score": {
            "value": shown(found.g_per_inference),
            "exact": written(found.g_per_inference),
            "unit": UNIT,
        },
        "functional_unit": FUNCTIONAL_UNIT,
        "terms": {
            "E": {"exact": written(found.energy_kwh), "unit": f"kWh / {PER:,} inferences"},
            "I": {"exact": written(found.intensity_g_per_kwh), "unit": "gCO2e / kWh"},
            "M": {"exact": written(found.embodied_g), "unit": f"gCO2e / {PER:,} inferences"},
            "R": {"exact": str(PER), "unit": "completed inferences"},
        },
        "boundary": {
            "in": [row["code"] for row in boundary if row["is_in"]],
            "out": [row["code"] for row in boundary if not row["is_in"]],
        },
        "methodology": {
            "id": method["id"],
            "sha256": method["sha256"],
            "intensity": f"{method['signal']}, {method['factor_type']} factors, location-based",
            "evidence_percent": dict(columns["evidence_tier"]),
        },
        "unit_conversions": list(CONVERSIONS),
        "excluded": "market-based measures and offsets; training (provider boundary, SCI for AI); disposal "
        "of the hardware (not estimated: M is its manufacture)",
    }
    if tokens is not None:
        made["tokens_per_inference"] = {"input": shown(tokens.input), "output": shown(tokens.output)}
    return made


def lines(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A report as names and texts, for a rendering."""
    terms = content["terms"]
    evidence = content["methodology"]["evidence_percent"].items()
    tokens = content.get("tokens_per_inference")
    return [
        ("SCI score", f"{content['score']['value']} {content['score']['unit']}"),
        ("functional unit R", content["functional_unit"]),
        *([("tokens per inference", f"{tokens['input']} in, {tokens['output']} out")] if tokens else []),
        *(
            (f"term {name}", f"{shown(Decimal(terms[name]['exact']))} {terms[name]['unit']}")
            for name in ("E", "I", "M")
        ),
        ("software boundary", f"in: {_words(content['boundary']['in'])}"),
        ("outside it", _words(content["boundary"]["out"])),
        (
            "methodology",
            f"{content['standard']}; {content['methodology']['id']}, {content['methodology']['intensity']}",
        ),
        ("quantified by", ", ".join(f"{kind.replace('_', ' ')} {share} %" for kind, share in evidence)),
        ("unit conversions", "; ".join(content["unit_conversions"])),
        ("excluded", content["excluded"]),
    ]


def _words(codes: Iterable[str]) -> str:
    return ", ".join(codes).replace("_", " ")
