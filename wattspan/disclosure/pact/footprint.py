"""A disclosure as a PACT v3 ProductFootprint: 1,000 completed inferences are 1,000 pieces of a service.

PACT Technical Specifications 3.0.3; research: disclosure 1.7. Every figure is the sealed one, digit for
digit. A footprint that was handed out never changes but for its status, so nothing of it rests on today's
date.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from wattspan.disclosure.columns import NOT_AVAILABLE
from wattspan.disclosure.pact.exempted import exempted
from wattspan.disclosure.pact.extension import EXTENSION_SPEC, extension_data
from wattspan.disclosure.pact.grammar import footprint_id, months_later, plain, written_time
from wattspan.disclosure.pact.source import Source
from wattspan.disclosure.pact.terms import SCHEMA_FILE, Terms
from wattspan.disclosure.render.document import BOUNDARY_NAMES

SPEC_VERSION: Final = "3.0.3"
STANDARDS: Final[Mapping[str, str]] = {"SCI (ISO/IEC 21031:2024), location-based": "ISO21031"}
"""Standards of the method that PACT counts as cross-sectoral, written as its own list writes them."""
_COUNTRY: Final = re.compile(r"([A-Z]{2})(-.*)?")
_UNSAFE_IN_URN: Final = re.compile(r"[^A-Za-z0-9._~-]+")


def footprint(source: Source, terms: Terms) -> dict[str, Any]:
    """The ProductFootprint of `source`. Its fields have no null and no number but in texts."""
    columns, domain = source.columns, source.id.partition("/")[0]
    feature, period = columns["feature"], columns["reference_period"]
    start = dt.datetime.fromisoformat(period["end"])
    made: dict[str, Any] = {
        "id": footprint_id(source.id),
        "specVersion": SPEC_VERSION,
        "created": source.recorded_at,
        "status": "Active" if source.is_active else "Deprecated",
        "validityPeriodStart": written_time(start),
        "validityPeriodEnd": written_time(months_later(start, terms.validity_months)),
        "companyName": feature["issuer"],
        "companyIds": list(terms.company_ids or (f"urn:pact:{domain}:company-id:{domain}",)),
        "productDescription": _description(feature),
        "productIds": list(terms.product_ids.get(feature["key"], ()) or (_product_id(source, domain),)),
        "productClassifications": list(terms.classifications),
        "productNameCompany": f"{feature['name']} (per 1,000 inferences)",
        "comment": _comment(source),
        "pcf": _carbon(source, terms),
        "extensions": [_extension(source, terms, domain)],
    }
    if source.replaces:
        made["precedingPfIds"] = [footprint_id(old) for old in source.replaces]
    return made


def country(zones: Iterable[str]) -> str | None:
    """The one country of grid zones ("FR", "US-CAL-CISO"); None for several, or where one is unknown."""
    found = {match[1] if (match := _COUNTRY.fullmatch(zone)) else "" for zone in zones}
    return found.pop() if len(found) == 1 and "" not in found else None


def _carbon(source: Source, terms: Terms) -> dict[str, Any]:
    columns = source.columns
    kg = plain(columns["ghg_location"]["exact"])
    percent, reason = exempted(columns, terms)
    made: dict[str, Any] = {
        "declaredUnitOfMeasurement": "piece",
        "declaredUnitAmount": "1000",
        "productMassPerDeclaredUnit": "0",
        "referencePeriodStart": columns["reference_period"]["start"],
        "referencePeriodEnd": columns["reference_period"]["end"],
        "boundaryProcessesDescription": _boundary(columns["boundary"]),
        # grid factors do not set biogenic and land-use parts apart: all of it is stated as fossil
        "pcfExcludingBiogenicUptake": kg,
        "pcfIncludingBiogenicUptake": kg,
        "fossilGhgEmissions": kg,
        "fossilCarbonContent": "0",
        "packagingEmissionsIncluded": False,
        "ccsTechnologicalCO2CaptureIncluded": False,
        "ipccCharacterizationFactors": list(terms.characterization),
        "crossSectoralStandards": _standards(columns["methodology"]["standards"], terms),
        "productOrSectorSpecificRules": [
            {
                "operator": "Other",
                "otherOperatorName": "Green Software Foundation",
                "ruleNames": [name for name in columns["methodology"]["standards"] if name not in STANDARDS],
            }
        ],
        "exemptedEmissionsPercent": percent,
        "exemptedEmissionsDescription": reason,
        "allocationRulesDescription": "Electricity by the tokens of each call and its model's coefficient; "
        "manufacture of hardware by the accelerator time of each call.",
        "secondaryEmissionFactorSources": _sources(source),
        "primaryDataShare": plain(columns["evidence_tier"]["measured"]),
        "dqi": {
            f"{name}DQR": columns["dqr"][key]
            for name, key in (
                ("technological", "technology"),
                ("geographical", "geography"),
                ("temporal", "time"),
            )
        },
    }
    place = country(source.zones)
    if place is not None:
        made["geographyCountry"] = place
    return made


def _description(feature: Mapping[str, str]) -> str:
    own = f" {feature['description']}" if feature["description"] else ""
    return (
        f"Service: 1,000 completed inferences of the feature '{feature['name']}'. One inference is one "
        "end-user request with every model call it triggers; failed requests are in the energy and not in "
        f"the count. 1 piece is 1 inference.{own}"
    )


def _product_id(source: Source, domain: str) -> str:
    name = source.columns["feature"]["sku"] or source.id.rpartition("/")[2].rpartition("@")[0]
    return f"urn:pact:{domain}:supplier-id:{_UNSAFE_IN_URN.sub('-', name).strip('-') or 'feature'}"


def _boundary(rows: Iterable[Mapping[str, Any]]) -> str:
    inside = ", ".join(BOUNDARY_NAMES[row["code"]] for row in rows if row["is_in"])
    outside = ", ".join(BOUNDARY_NAMES[row["code"]] for row in rows if not row["is_in"])
    return f"In: {inside}. Out: {outside}."


def _standards(followed: Iterable[str], terms: Terms) -> list[str]:
    named = [STANDARDS[name] for name in followed if name in STANDARDS]
    return list(dict.fromkeys([*named, *terms.standards]))


def _sources(source: Source) -> list[dict[str, str]]:
    method = source.columns["methodology"]
    coefficients = {"name": "wattspan methodology edition", "version": method["edition"]}
    return [coefficients, *(_named(text, method["edition"]) for text in source.grid_sources)]


def _named(text: str, edition: str) -> dict[str, str]:
    """ "Ember 2025" as a name and its year; what names no year is of the edition."""
    name, _, year = text.rpartition(" ")
    return (
        {"name": name, "version": year} if name and year.isdecimal() else {"name": text, "version": edition}
    )


def _comment(source: Source) -> str:
    columns = source.columns
    method, share = columns["methodology"], plain(columns["evidence_tier"]["measured"])
    parts = [
        f"Disclosure {source.id}.",
        f"Methodology {method['id']} (sha256:{method['sha256']}).",
        f"95 % interval {columns['ghg_low95']['value']} to {columns['ghg_high95']['value']} kgCO2e per 1,000 "
        f"inferences, shared-factor lognormal; central value {columns['ghg_location']['value']}.",
        f"Electricity location-based, {method['factor_type']} factors; a market-based figure stands in the "
        "extension where there is evidence for one.",
        "Biogenic and land-use parts are not separable in the grid factors used: all emissions are stated as "
        "fossil, and the values with and without biogenic uptake are the same.",
        "Training of the models is excluded.",
        f"primaryDataShare counts measured energy only ({share} %): counts of tokens are activity data, and "
        "energy that is modelled from them is secondary.",
        _change(columns["change"]),
        f"Sealed: manifest sha256:{source.manifest_sha256}, ledger line {source.ledger_line}, {source.key}.",
    ]
    return " ".join(part for part in parts if part)


def _change(change: Mapping[str, str]) -> str:
    if change["change_percent"] == NOT_AVAILABLE:
        return ""
    reason = f": {change['reason']}" if change["reason"] else ""
    return (
        f"Change from {change['previous_id']} ({change['previous_published']}): "
        f"{change['change_percent']} %, {change['class']}{reason}."
    )


def _extension(source: Source, terms: Terms, domain: str) -> dict[str, Any]:
    made: dict[str, Any] = {
        "specVersion": EXTENSION_SPEC,
        "dataSchema": terms.schema_url or f"https://{domain}/schema/{SCHEMA_FILE}",
        "data": extension_data(source),
    }
    if terms.documentation_url:
        made["documentation"] = terms.documentation_url
    return made
