"""`Document`: a sealed disclosure as a reader meets it: the 23 columns as lines, and a citation.

Every text comes from the sealed JSON; the arithmetic was done before.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, NamedTuple

from wattspan.disclosure import sci
from wattspan.disclosure.columns import NOT_AVAILABLE, definitions
from wattspan.disclosure.figure import PER
from wattspan.disclosure.numbers import exactly, shown

BOUNDARY_NAMES: Final[Mapping[str, str]] = {
    "accelerator": "accelerators",
    "host": "host servers",
    "idle": "idle share of machines",
    "cooling_and_power": "cooling and power of the building (PUE)",
    "embodied_hardware": "manufacture of the hardware",
    "application_compute": "the application's own compute",
    "network": "network",
    "client_device": "the user's device",
    "storage": "storage",
    "training": "training of the models",
}
MIX_NAMES: Final[Mapping[str, str]] = {
    "measured": "measured",
    "provider_disclosed": "disclosed by the provider",
    "modelled": "modelled",
    "proxy": "proxy",
}
CAUSE_NAMES: Final[Mapping[str, str]] = {
    "volume": "volume",
    "mix": "mix of models and places",
    "tokens": "tokens a call",
    "coefficient": "energy coefficients",
    "pue": "PUE",
    "grid": "grid",
    "embodied": "hardware",
    "boundary": "boundary",
}


class Line(NamedTuple):
    """One of the 23 columns, ready to be read."""

    number: int
    key: str
    title: str
    value: str
    unit: str
    note: str


class Customer(NamedTuple):
    """A customer of a rendering: its name and inferences are its own, and are never sealed."""

    name: str
    inferences: int
    """Completed inferences of the period that are its own."""


@dataclass(frozen=True, slots=True)
class Document:
    """A sealed disclosure, its seal and what became of it."""

    content: Mapping[str, Any]
    """`disclosure.json`."""
    manifest_sha256: str
    ledger_line: int
    key: str
    """Id of the key that signed."""
    published: str
    """UTC, ISO 8601."""
    status: str
    status_reason: str = ""
    replaced_by: str = ""
    bridge: Mapping[str, Any] | None = None
    """`bridge.json`, where there is one."""
    comparative: Mapping[str, Any] | None = None
    """`comparative.json`: the period before under both methodologies, where they differ."""
    notes: tuple[str, ...] = ()
    """Errors that were found and are too small to restate the figure."""
    customer: Customer | None = None
    """Whose share is told; None in a rendering for everybody."""
    sci: Mapping[str, Any] | None = None
    """The report of the SCI score (`disclosure.sci`), where it is asked for."""

    @property
    def columns(self) -> Mapping[str, Any]:
        """The 23 columns."""
        found: Mapping[str, Any] = self.content["columns"]
        return found

    @property
    def id(self) -> str:
        """issuer / period / feature @ edition."""
        return str(self.content["id"])

    @property
    def title(self) -> str:
        """The feature as the customer buys it."""
        return str(self.columns["feature"]["name"])

    @property
    def share_kg(self) -> Decimal | None:
        """The customer's share: column 8 x its own count of inferences / 1,000; None without a customer."""
        if self.customer is None:
            return None
        with exactly():
            return Decimal(self.columns["ghg_location"]["exact"]) * self.customer.inferences / PER

    def lines(self) -> list[Line]:
        """The 23 columns in their order."""
        lines = []
        for definition in definitions():
            value, unit, note = _READERS[definition["key"]](self)
            lines.append(Line(definition["no"], definition["key"], definition["title"], value, unit, note))
        return lines

    def sci_lines(self) -> list[tuple[str, str]]:
        """The report of the SCI score as names and texts; [] where it is not asked for."""
        return sci.lines(self.sci) if self.sci else []

    def citation(self, retrieved: dt.date | None = None) -> str:
        """One paragraph that can be quoted; research: disclosure 7.5."""
        columns = self.columns
        band = f"{columns['ghg_low95']['value']}–{columns['ghg_high95']['value']}"
        stand = "" if self.status == "active" else f" ({self.status})"
        return (
            f"{columns['feature']['issuer']}, {self.title}, {columns['reference_period']['label']}, edition "
            f"{columns['disclosure_id']['edition']}{stand}: {columns['ghg_location']['value']} kgCO2e "
            f"per 1,000 inferences (95 % {band}), location-based, {columns['methodology']['id']}, "
            f"{self.id}, sha256:{self.manifest_sha256}"
            + (f", retrieved {retrieved.isoformat()}." if retrieved else ".")
        )


def _figure(key: str) -> Callable[[Document], tuple[str, str, str]]:
    def read(document: Document) -> tuple[str, str, str]:
        found = document.columns[key]
        note = found.get("reason", "")
        if "per_1000000" in found:
            note = f"{found['per_1000000']} per 1,000,000"
        return found["value"], found.get("unit", ""), note

    return read


def _id(document: Document) -> tuple[str, str, str]:
    return document.id, "", "permanent; never reused"


def _feature(document: Document) -> tuple[str, str, str]:
    found = document.columns["feature"]
    sku = f"SKU {found['sku']}" if found["sku"] else ""
    return f"{found['issuer']}: {found['name']}", "", ", ".join(filter(None, (sku, found["description"])))


def _unit(document: Document) -> tuple[str, str, str]:
    return "1,000 completed inferences", "", document.columns["functional_unit"].partition("; ")[2]


def _period(document: Document) -> tuple[str, str, str]:
    found = document.columns["reference_period"]
    return f"{found['start'][:10]} to {found['end'][:10]}", "UTC, end exclusive", found["label"]


def _volume(document: Document) -> tuple[str, str, str]:
    found = document.columns["volume"]
    gap = (
        "all calls have usage"
        if _plain(found["calls_without_usage"]) == "0"
        else f"{_plain(found['calls_without_usage'])} calls without usage, filled by {found['gap_rule']}: "
        f"{found['gap_share_percent']} % of column 8"
    )
    return (
        f"{_plain(found['completed_inferences'])} completed",
        "inferences",
        f"{found['calls_per_inference']} model calls each; coverage {found['coverage_percent']} %; {gap}; "
        f"{_plain(found['failed_inferences'])} failed",
    )


def _models(document: Document) -> tuple[str, str, str]:
    found = document.columns["models_regions"]
    first = [f"{row['model']} in {row['region']} {row['share_percent']}" for row in found[:3]]
    more = f"; and {len(found) - 3} more" if len(found) > 3 else ""
    return "; ".join(first) + more, "% of column 8", ""


def _headline(document: Document) -> tuple[str, str, str]:
    value, unit, note = _figure("ghg_location")(document)
    return value, unit, f"columns 12 + 13; {note}"


def _use(document: Document) -> tuple[str, str, str]:
    found = document.columns["ghg_use"]
    direct = found["direct"]
    beside = direct["value"] if direct["value"] == NOT_AVAILABLE else f"{direct['value']} by direct factors"
    return found["value"], found["unit"], f"{found['factor_type']} factors; {beside} (the one of Scope 2)"


def _water(document: Document) -> tuple[str, str, str]:
    found = document.columns["water"]
    on_site = found["on_site"]
    return (
        f"{on_site['value']}; {found['off_site']['value']}",
        on_site.get("unit", ""),
        "; ".join(("on site", "off site", *filter(None, [on_site.get("reason")]))),
    )


def _total(document: Document) -> tuple[str, str, str]:
    found = document.columns["ghg_total"]
    share = document.share_kg
    if document.customer is not None and share is not None:
        return (
            f"{found['period']['value']}; {shown(share)}",
            found["period"]["unit"],
            f"all customers; {document.customer.name}, {document.customer.inferences:,} inferences",
        )
    return found["period"]["value"], found["period"]["unit"], found["customer"]["reason"]


def _boundary(document: Document) -> tuple[str, str, str]:
    found = document.columns["boundary"]
    inside = [BOUNDARY_NAMES[row["code"]] for row in found if row["is_in"]]
    outside = [BOUNDARY_NAMES[row["code"]] for row in found if not row["is_in"]]
    return f"in: {', '.join(inside)}", "", f"out: {', '.join(outside)}"


def _mix(document: Document) -> tuple[str, str, str]:
    found = document.columns["evidence_tier"]
    text = ", ".join(f"{MIX_NAMES[kind]} {share}" for kind, share in found.items())
    return text, "% of column 8", "only the measured share counts as primary data"


def _ratings(document: Document) -> tuple[str, str, str]:
    found = document.columns["dqr"]
    return (
        f"{found['technology']}; {found['geography']}; {found['time']}",
        "1 best to 5",
        "technology; geography; time",
    )


def _sources(document: Document) -> tuple[str, str, str]:
    found = document.columns["factor_sources"]
    names = [row["name"] for row in found]
    versions = ", ".join(dict.fromkeys(row["version"] for row in found if row["version"]))
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return (
        f"{', '.join(names[:3])}{more}; {versions}",
        "",
        f"with their digests on the page of sources; GWP: {document.columns['methodology']['gwp']}",
    )


def _method(document: Document) -> tuple[str, str, str]:
    found = document.columns["methodology"]
    kind = f"{found['signal']} {found['factor_type']}"
    return found["id"], "", f"sha256:{found['sha256'][:16]}…; {kind}; {'; '.join(found['standards'])}"


def _change(document: Document) -> tuple[str, str, str]:
    found = document.columns["change"]
    if found["change_percent"] == NOT_AVAILABLE:
        return found["class"], "", "no earlier figure of this feature"
    steps = ""
    if found.get("by_method_kg", NOT_AVAILABLE) != NOT_AVAILABLE:
        activity, method = (shown(Decimal(found[f"by_{step}_kg"])) for step in ("activity", "method"))
        revised = shown(Decimal(found["revised_previous_value"]))
        steps = (
            f"; {activity} by activity, {method} by method; the period before is {revised} by this method "
            f"({found['revised_previous_percent']} %)"
        )
    return (
        # a minus, not a hyphen: a spreadsheet takes a text that begins with a hyphen for a formula
        f"{found['change_percent'].replace('-', '−')} %",
        "of column 8",
        f"{found['class']}; from {found['previous_id']}{steps}; {found['reason']}".rstrip("; "),
    )


def _seal(document: Document) -> tuple[str, str, str]:
    found = document.columns["assurance_status"]
    why = f": {document.status_reason}" if document.status_reason else ""
    noted = "".join(f"; noted: {note}" for note in document.notes)
    by = f", replaced by {document.replaced_by}" if document.replaced_by else ""
    return (
        f"assurance: {found['assurance']}; {document.status}{why}{by}{noted}",
        "",
        f"manifest sha256:{document.manifest_sha256[:16]}…, ledger line {document.ledger_line}, "
        f"{document.key}",
    )


_READERS: Final[Mapping[str, Callable[[Document], tuple[str, str, str]]]] = {
    "disclosure_id": _id,
    "feature": _feature,
    "functional_unit": _unit,
    "reference_period": _period,
    "volume": _volume,
    "models_regions": _models,
    "energy_kwh": _figure("energy_kwh"),
    "ghg_location": _headline,
    "ghg_low95": _figure("ghg_low95"),
    "ghg_high95": _figure("ghg_high95"),
    "ghg_market": _figure("ghg_market"),
    "ghg_use": _use,
    "ghg_embodied": _figure("ghg_embodied"),
    "ghg_training_memo": _figure("ghg_training_memo"),
    "water": _water,
    "ghg_total": _total,
    "boundary": _boundary,
    "evidence_tier": _mix,
    "dqr": _ratings,
    "factor_sources": _sources,
    "methodology": _method,
    "change": _change,
    "assurance_status": _seal,
}


def _plain(number: str) -> str:
    """A count without the zeros that 15 digits put behind it, in groups of three."""
    whole, _, fraction = number.partition(".")
    fraction = fraction.rstrip("0")
    return f"{int(whole):,}" + (f".{fraction}" if fraction else "")
