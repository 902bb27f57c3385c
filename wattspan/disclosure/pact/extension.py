"""The data model extension of a footprint: what PACT has no field for: interval, volume, evidence, seal.

Its schema is `data/llm-inference-disclosure-1.0.schema.json`; a receiver may ignore it, so the interval is in
the footprint's comment too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

from wattspan.disclosure.columns import NOT_AVAILABLE
from wattspan.disclosure.pact.grammar import footprint_id, plain
from wattspan.disclosure.pact.source import Source
from wattspan.disclosure.pact.terms import SCHEMA_FILE

SCHEMA_VERSION: Final = "1.0"
EXTENSION_SPEC: Final = "2.0.0"
"""Version of PACT's specification of extensions."""
FUNCTIONAL_UNIT: Final = "1000 completed inferences"


@lru_cache(1)
def extension_schema_text() -> str:
    """The JSON Schema of `extension_data`."""
    return files("wattspan.disclosure.pact").joinpath(f"data/{SCHEMA_FILE}").read_text(encoding="utf-8")


@lru_cache(1)
def extension_schema() -> dict[str, Any]:
    """The same, parsed."""
    found: dict[str, Any] = json.loads(extension_schema_text())
    return found


def extension_data(source: Source) -> dict[str, Any]:
    """`data` of the extension: figures as decimals in texts; null where a column is not available."""
    columns = source.columns
    volume, method, mix = columns["volume"], columns["methodology"], columns["evidence_tier"]
    made: dict[str, Any] = {
        "schemaVersion": SCHEMA_VERSION,
        "disclosureId": source.id,
        "functionalUnit": FUNCTIONAL_UNIT,
        "inferences": plain(volume["completed_inferences"]),
        "callsPerInference": plain(volume["calls_per_inference"]),
        "traceCoveragePercent": plain(volume["coverage_percent"]),
        "gapRule": volume["gap_rule"],
        "gapSharePercent": plain(volume["gap_share_percent"]),
        "energyKwhPer1000": _exact(columns["energy_kwh"]),
        "ghgLocation": {
            "value": _exact(columns["ghg_location"]),
            "low95": _exact(columns["ghg_low95"]),
            "high95": _exact(columns["ghg_high95"]),
            "gsd": columns["ghg_location"]["gsd"],
            "sharedFactors": [driver["factor"] for driver in columns["ghg_location"]["drivers"]],
        },
        "ghgMarket": _market(columns["ghg_market"]),
        "ghgUse": _exact(columns["ghg_use"]),
        "ghgUseDirect": _exact(columns["ghg_use"]["direct"]),
        "ghgEmbodied": _exact(columns["ghg_embodied"]),
        "ghgTrainingMemo": _exact(columns["ghg_training_memo"]),
        "waterOnsiteLPer1000": _exact(columns["water"]["on_site"]),
        "waterOffsiteLPer1000": _exact(columns["water"]["off_site"]),
        "factorType": method["factor_type"],
        "evidenceShares": {
            "measured": mix["measured"],
            "providerDisclosed": mix["provider_disclosed"],
            "modelled": mix["modelled"],
            "proxy": mix["proxy"],
        },
        "methodology": {"id": method["id"], "version": method["edition"], "sha256": method["sha256"]},
        "seal": {
            "manifestSha256": source.manifest_sha256,
            "ledgerLine": source.ledger_line,
            "keyId": source.key,
        },
    }
    change = columns["change"]
    if change["previous_id"]:
        made["change"] = {
            "class": change["class"],
            "previousDisclosureId": change["previous_id"],
            "previousPfId": footprint_id(change["previous_id"]),
            "previousDate": change["previous_published"],
            **({} if change["change_percent"] == NOT_AVAILABLE else {"percent": change["change_percent"]}),
        }
    return made


def _exact(column: Mapping[str, Any]) -> str | None:
    return plain(column["exact"]) if "exact" in column else None


def _market(column: Mapping[str, Any]) -> dict[str, Any] | None:
    value = _exact(column)
    if value is None:
        return None
    return {"value": value, "matching": sorted({contract["granularity"] for contract in column["contracts"]})}
