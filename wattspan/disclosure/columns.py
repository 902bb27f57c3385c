"""The 23 columns of a disclosure: figures and subject as the JSON that is sealed.

research: disclosure 5.2. Every number is a text: `value` as it is quoted (three significant digits), `exact`
to fifteen. `data/columns.json` defines each column for readers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

from wattspan.disclosure.comparison import PER_1000_TEXT, REVISED, Comparison
from wattspan.disclosure.figure import Figure, Part
from wattspan.disclosure.numbers import exactly, percent, shown, written
from wattspan.disclosure.subject import BOUNDARY, Subject

SCHEMA: Final = "wattspan-disclosure/1"
NOT_AVAILABLE: Final = "not available"
FUNCTIONAL_UNIT: Final = (
    "1,000 completed inferences; one inference is one end-user request with every model call it triggers; "
    "failed ones are in the energy and not in the count"
)
INTERVAL_WORDS: Final = (
    "95 % interval given the stated spreads of the inputs; it covers parameter uncertainty, not scenario or "
    "model-form uncertainty outside the method factor"
)
KG: Final = "kgCO2e"


@lru_cache(1)
def definitions() -> tuple[Mapping[str, Any], ...]:
    """Number, key, title, unit, when it is required and definition of each column."""
    text = files("wattspan.disclosure").joinpath("data/columns.json").read_text(encoding="utf-8")
    return tuple(json.loads(text)["columns"])


def statement(subject: Subject, figure: Figure, comparison: Comparison | None = None) -> dict[str, Any]:
    """The disclosure without its seal: `disclosure.json`. `comparison`: with the figure before, if any."""
    with exactly():
        columns = _columns(subject, figure, comparison)
    return {"schema": SCHEMA, "id": subject.id, "columns": columns}


def _columns(subject: Subject, figure: Figure, comparison: Comparison | None) -> dict[str, Any]:
    method, period, feature = subject.method, subject.period, subject.feature
    low, high = (figure.per_1000(bound) for bound in (figure.band.low, figure.band.high))
    co2e = figure.per_1000(figure.co2e_kg)
    return {
        "disclosure_id": {"id": subject.id, "edition": str(subject.edition_number)},
        "feature": {
            "key": feature.key,
            "name": feature.name or feature.key,
            "sku": feature.sku,
            "description": feature.description,
            "issuer": subject.issuer.name,
        },
        "functional_unit": FUNCTIONAL_UNIT,
        "reference_period": {
            "label": period.label,
            "start": f"{period.start}T00:00:00Z",
            "end": f"{period.end}T00:00:00Z",
        },
        "volume": {
            "completed_inferences": written(figure.completed),
            "failed_inferences": written(figure.failed),
            "calls_per_inference": shown(figure.calls / figure.completed),
            "coverage_percent": percent(figure.request_coverage),
            "calls_without_usage": written(figure.calls_without_usage),
            "gap_rule": method.gap_rule,
            "gap_share_percent": percent(figure.gap_kg / figure.co2e_kg),
        },
        "models_regions": _shares(figure, lambda part: (_model(part), part.cell.provider, _region(part))),
        "energy_kwh": _value(figure.per_1000(figure.energy_kwh), "kWh / 1,000", millions=True),
        "ghg_location": {
            **_value(co2e, f"{KG} / 1,000", millions=True),
            "gsd": shown(figure.band.gsd),
            "interval": INTERVAL_WORDS,
            "drivers": [
                {"factor": kind, "share_of_variance_percent": percent(share)}
                for kind, share in figure.band.drivers
            ],
        },
        "ghg_low95": _value(low, f"{KG} / 1,000", millions=True),
        "ghg_high95": _value(high, f"{KG} / 1,000", millions=True),
        "ghg_market": _market(figure),
        "ghg_use": {
            **_value(figure.per_1000(figure.use_kg), f"{KG} / 1,000"),
            "factor_type": method.factor_type,
            "direct": _or_not(
                None if figure.direct_kg is None else figure.per_1000(figure.direct_kg),
                f"{KG} / 1,000, direct factors, annual",
                "some place has no direct factor",
            ),
        },
        "ghg_embodied": _value(figure.per_1000(figure.embodied_kg), f"{KG} / 1,000"),
        "ghg_training_memo": {
            "value": NOT_AVAILABLE,
            "reason": "training stays with the model's provider; no published figure with a basis is used",
        },
        "water": {
            "on_site": _or_not(
                None if figure.water_on_site_l is None else figure.per_1000(figure.water_on_site_l),
                "L / 1,000",
                f"sites with {percent(figure.water_known_share)} % of the energy publish their water use",
            ),
            "off_site": {"value": NOT_AVAILABLE, "reason": "no table of water per kWh of the grid is used"},
        },
        "ghg_total": _totals(figure),
        "boundary": [
            {"code": code, "is_in": _is_in(code, is_in, figure), "note": note}
            for code, is_in, note in BOUNDARY
        ],
        "evidence_tier": percents(figure.mix),
        "dqr": {
            "technology": written(figure.technology, 2),
            "geography": written(figure.geography, 2),
            "time": written(figure.time, 2),
        },
        "factor_sources": [dict(dataset) for dataset in method.datasets],
        "methodology": {
            "id": method.id,
            "edition": method.edition,
            "sha256": method.edition_digest,
            "status": method.edition_status,
            "signal": method.signal,
            "factor_type": method.factor_type,
            "rules": method.rules_version,
            "software": method.software,
            "standards": [
                "SCI (ISO/IEC 21031:2024), location-based",
                "SCI for AI (draft), consumer boundary",
            ],
            "gwp": "100 years, as the grid data sets state it",
        },
        "change": _change(subject, co2e, comparison),
        "assurance_status": {"assurance": "none", "status": "active"},
    }


def _market(figure: Figure) -> dict[str, Any]:
    if figure.market_kg is None:
        share = percent(figure.market_share)
        return {
            "value": NOT_AVAILABLE,
            "reason": f"contracts give evidence for {share} % of the energy; all of it is asked for",
        }
    return {
        **_value(figure.per_1000(figure.market_kg + figure.embodied_kg), f"{KG} / 1,000", millions=True),
        "contracts": [contract.to_json() for contract in figure.contracts],
    }


def _totals(figure: Figure) -> dict[str, Any]:
    return {
        "period": _value(figure.co2e_kg, KG),
        "customer": {
            "value": NOT_AVAILABLE,
            "reason": "a customer's share is column 8 x its own count of inferences / 1,000",
        },
    }


def _change(subject: Subject, per_1000: Decimal, comparison: Comparison | None) -> dict[str, Any]:
    change = subject.change
    previous = change.previous_kg_per_1000
    comparative = comparison.comparative if comparison else None
    rows = comparative["rows"] if comparative else []
    revised = next((row for row in rows if row["label"] == REVISED), None)
    sums: Mapping[str, str] = {}
    if comparison:
        (sums,) = (found for found in comparison.bridge["sums"] if found["of"] == PER_1000_TEXT)
    return {
        "class": change.kind,
        "previous_id": change.previous_id,
        "previous_published": change.previous_published,
        "previous_value": NOT_AVAILABLE if previous is None else written(previous),
        "change_kg": NOT_AVAILABLE if previous is None else written(per_1000 - previous),
        "change_percent": NOT_AVAILABLE if not previous else percent(per_1000 / previous - 1),
        "by_activity_kg": sums.get("activity", NOT_AVAILABLE),
        "by_method_kg": sums.get("method", NOT_AVAILABLE),
        "revised_previous_value": revised["exact_kg_per_1000"] if revised else NOT_AVAILABLE,
        "revised_previous_percent": comparative["difference_percent"]
        if comparative and revised
        else NOT_AVAILABLE,
        "reason": change.reason,
    }


def _shares(figure: Figure, key: Callable[[Part], tuple[str, str, str]]) -> list[dict[str, str]]:
    sums: dict[tuple[str, str, str], Decimal] = {}
    for part in figure.parts:
        sums[key(part)] = sums.get(key(part), Decimal(0)) + part.co2e_g
    total = sum(sums.values(), Decimal(0))
    return [
        {"model": model, "provider": provider, "region": region, "share_percent": percent(value / total)}
        for (model, provider, region), value in sorted(sums.items(), key=lambda item: (-item[1], item[0]))
    ]


def _model(part: Part) -> str:
    if part.cell.basis == "compute":
        return "application compute"
    return part.cell.model or "undisclosed"


def _region(part: Part) -> str:
    is_place = part.cell.region_source not in ("geography_mix", "world")
    return part.cell.region if is_place else f"undisclosed ({part.cell.region})"


def _is_in(code: str, is_in: bool, figure: Figure) -> bool:
    if code == "application_compute":
        return any(part.cell.basis == "compute" for part in figure.parts)
    return is_in


def _value(value: Decimal, unit: str, *, millions: bool = False) -> dict[str, str]:
    made = {"value": shown(value), "exact": written(value), "unit": unit}
    if millions:
        made["per_1000000"] = shown(value * 1000)
    return made


def _or_not(value: Decimal | None, unit: str, reason: str) -> dict[str, str]:
    return {"value": NOT_AVAILABLE, "reason": reason} if value is None else _value(value, unit)


def percents(shares: Mapping[str, Decimal]) -> dict[str, str]:
    """Shares of one whole in percent to one decimal that add up to 100.0: the largest remainders round up."""
    exact = {name: share * 1000 for name, share in shares.items()}
    made = {name: int(value) for name, value in exact.items()}
    by_remainder = sorted(exact, key=lambda name: (made[name] - exact[name], name))
    for name in by_remainder[: 1000 - sum(made.values())]:
        made[name] += 1
    return {name: f"{value // 10}.{value % 10}" for name, value in made.items()}
