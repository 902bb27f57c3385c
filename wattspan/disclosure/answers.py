"""`Answer`: everything that a published disclosure can say to a question, each under one key with its unit.

The crosswalk and the filler of questionnaires speak of cells by these keys. Values are the sealed ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from wattspan.disclosure import sci
from wattspan.disclosure.columns import NOT_AVAILABLE
from wattspan.disclosure.figure import PER
from wattspan.disclosure.numbers import exactly, shown
from wattspan.disclosure.render.document import Document


@dataclass(frozen=True, slots=True)
class Cell:
    """One thing that can be asked for."""

    column: int
    """Of the 23, that it is told by."""
    title: str
    unit: str = ""
    """Of its number as it is sealed: kWh, kg, L, %; "" for a text, or a number without one."""
    is_per_inference: bool = False
    """It is sealed for 1,000 inferences, and can be told for any number of them."""


CELLS: Final[Mapping[str, Cell]] = {
    "id": Cell(1, "disclosure id"),
    "edition": Cell(1, "edition number"),
    "feature": Cell(2, "product feature"),
    "sku": Cell(2, "SKU"),
    "description": Cell(2, "description"),
    "issuer": Cell(2, "issuer"),
    "functional_unit": Cell(3, "functional unit"),
    "period": Cell(4, "reference period"),
    "period_start": Cell(4, "start of the period"),
    "period_end": Cell(4, "end of the period (exclusive)"),
    "completed_inferences": Cell(5, "completed inferences"),
    "calls_per_inference": Cell(5, "model calls per inference"),
    "coverage": Cell(5, "coverage", "%"),
    "gap_rule": Cell(5, "rule for gaps"),
    "models_regions": Cell(6, "models and serving regions"),
    "energy": Cell(7, "electricity", "kWh", True),
    "ghg_location": Cell(8, "GHG, location-based", "kg", True),
    "ghg_low95": Cell(9, "95 % interval, low", "kg", True),
    "ghg_high95": Cell(10, "95 % interval, high", "kg", True),
    "ghg_market": Cell(11, "GHG, market-based", "kg", True),
    "ghg_use": Cell(12, "of which electricity in use", "kg", True),
    "ghg_use_direct": Cell(12, "electricity in use by direct factors", "kg", True),
    "ghg_embodied": Cell(13, "of which hardware manufacture", "kg", True),
    "ghg_training": Cell(14, "memo: training", "kg", True),
    "water_on_site": Cell(15, "memo: water on site", "L", True),
    "water_off_site": Cell(15, "memo: water off site", "L", True),
    "ghg_total": Cell(16, "GHG of the period, all customers", "kg"),
    "energy_total": Cell(16, "electricity of the period, all customers", "kWh"),
    "boundary": Cell(17, "boundary and exclusions"),
    "evidence_mix": Cell(18, "evidence mix"),
    "measured_share": Cell(18, "share measured (primary data)", "%"),
    "dqr_technology": Cell(19, "data quality, technology (1 best to 5)"),
    "dqr_geography": Cell(19, "data quality, geography (1 best to 5)"),
    "dqr_time": Cell(19, "data quality, time (1 best to 5)"),
    "factor_sources": Cell(20, "factor data sets"),
    "gwp": Cell(20, "global warming potentials"),
    "methodology": Cell(21, "methodology"),
    "methodology_sha256": Cell(21, "digest of the methodology"),
    "standards": Cell(21, "standards followed"),
    "change_percent": Cell(22, "change from the previous figure", "%"),
    "change_class": Cell(22, "class of the change"),
    "change_reason": Cell(22, "reason of the change"),
    "previous_id": Cell(22, "the previous figure"),
    "previous_date": Cell(22, "date of the previous figure"),
    "assurance": Cell(23, "assurance"),
    "status": Cell(23, "status"),
    "manifest_sha256": Cell(23, "digest of the manifest"),
    "citation": Cell(23, "citation"),
    "sci": Cell(8, "SCI score, g per inference"),
}
"""What can be asked for, by key."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one disclosure says to one key."""

    key: str
    text: str
    """As it is quoted, without its unit; "not available" where it is so, and "" where there is nothing."""
    exact: Decimal | None = None
    """The sealed number, for 1,000 inferences where the cell is per inference."""
    reason: str = ""
    """Why it is not available."""

    @property
    def cell(self) -> Cell:
        """What it is an answer to."""
        return CELLS[self.key]

    @property
    def is_available(self) -> bool:
        """It says something."""
        return self.text not in ("", NOT_AVAILABLE)

    @property
    def quoted(self) -> str:
        """Text with its unit, as a reader meets it."""
        cell = self.cell
        if not self.is_available or not cell.unit:
            return self.text
        unit = f"{cell.unit}CO2e" if cell.unit == "kg" else cell.unit
        return f"{self.text} {unit}" + (f" / {PER:,}" if cell.is_per_inference else "")


def answers(document: Document) -> dict[str, Answer]:
    """The answers of a published disclosure, in the order of `CELLS`."""
    columns = document.columns
    lines = {line.key: line for line in document.lines()}
    feature, period, method = columns["feature"], columns["reference_period"], columns["methodology"]
    volume, change, quality = columns["volume"], columns["change"], columns["dqr"]
    completed = Decimal(volume["completed_inferences"])
    with exactly():
        energy_kwh = Decimal(columns["energy_kwh"]["exact"]) * completed / PER
        score_g = sci.score(columns).g_per_inference
    boundary = lines["boundary"]
    found: dict[str, Answer | str] = {
        "id": document.id,
        "edition": columns["disclosure_id"]["edition"],
        "feature": feature["name"],
        "sku": feature["sku"],
        "description": feature["description"],
        "issuer": feature["issuer"],
        "functional_unit": columns["functional_unit"],
        "period": period["label"],
        "period_start": period["start"][:10],
        "period_end": period["end"][:10],
        "completed_inferences": _number("completed_inferences", completed, _count(completed)),
        "calls_per_inference": _plain("calls_per_inference", volume["calls_per_inference"]),
        "coverage": _plain("coverage", volume["coverage_percent"]),
        "gap_rule": volume["gap_rule"],
        "models_regions": f"{lines['models_regions'].value} ({lines['models_regions'].unit})",
        "energy": _sealed("energy", columns["energy_kwh"]),
        "ghg_location": _sealed("ghg_location", columns["ghg_location"]),
        "ghg_low95": _sealed("ghg_low95", columns["ghg_low95"]),
        "ghg_high95": _sealed("ghg_high95", columns["ghg_high95"]),
        "ghg_market": _sealed("ghg_market", columns["ghg_market"]),
        "ghg_use": _sealed("ghg_use", columns["ghg_use"]),
        "ghg_use_direct": _sealed("ghg_use_direct", columns["ghg_use"]["direct"]),
        "ghg_embodied": _sealed("ghg_embodied", columns["ghg_embodied"]),
        "ghg_training": _sealed("ghg_training", columns["ghg_training_memo"]),
        "water_on_site": _sealed("water_on_site", columns["water"]["on_site"]),
        "water_off_site": _sealed("water_off_site", columns["water"]["off_site"]),
        "ghg_total": _sealed("ghg_total", columns["ghg_total"]["period"]),
        "energy_total": _number("energy_total", energy_kwh, shown(energy_kwh)),
        "boundary": f"{boundary.value}; {boundary.note}",
        "evidence_mix": f"{lines['evidence_tier'].value} ({lines['evidence_tier'].unit})",
        "measured_share": _plain("measured_share", columns["evidence_tier"]["measured"]),
        "dqr_technology": _plain("dqr_technology", quality["technology"]),
        "dqr_geography": _plain("dqr_geography", quality["geography"]),
        "dqr_time": _plain("dqr_time", quality["time"]),
        "factor_sources": lines["factor_sources"].value,
        "gwp": method["gwp"],
        "methodology": method["id"],
        "methodology_sha256": f"sha256:{method['sha256']}",
        "standards": "; ".join(method["standards"]),
        "change_percent": _plain("change_percent", change["change_percent"], "there is no earlier figure"),
        "change_class": change["class"],
        "change_reason": change["reason"],
        "previous_id": change["previous_id"],
        "previous_date": change["previous_published"],
        "assurance": columns["assurance_status"]["assurance"],
        "status": document.status,
        "manifest_sha256": f"sha256:{document.manifest_sha256}",
        "citation": document.citation(),
        "sci": _number("sci", score_g, shown(score_g)),
    }
    return {
        key: answer if isinstance(answer, Answer) else Answer(key, str(answer))
        for key, answer in found.items()
    }


def _sealed(key: str, value: Mapping[str, Any]) -> Answer:
    if "exact" not in value:
        return Answer(key, NOT_AVAILABLE, reason=str(value.get("reason", "")))
    return Answer(key, str(value["value"]), Decimal(value["exact"]))


def _plain(key: str, text: str, reason: str = "") -> Answer:
    if text == NOT_AVAILABLE:
        return Answer(key, NOT_AVAILABLE, reason=reason)
    return Answer(key, text, Decimal(text))


def _count(value: Decimal) -> str:
    return format(value.normalize(), "f")


def _number(key: str, exact: Decimal, text: str) -> Answer:
    return Answer(key, text, exact)
