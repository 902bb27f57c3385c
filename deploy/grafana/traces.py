"""The dashboard over Tempo: TraceQL over our attributes."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders.dashboard import CustomVariable
from grafana_foundation_sdk.models.dashboard import VariableOption

from deploy.grafana.panels import Panel, Row, dashboard_of

_ENERGY: Final = "span.${names}.energy_kwh"
_CO2E: Final = "span.${names}.co2e_g"


def _sum(value: str, by: str) -> str:
    return f"{{ {value} > 0 }} | sum_over_time({value}) by ({by})"


AMOUNTS: Final = Row(
    "Energy and carbon",
    (
        Panel(
            "Energy by service",
            "kwatth",
            {"": _sum(_ENERGY, "resource.service.name")},
            "Energy of the model calls in each interval, by the service that made them.",
            "stacked",
        ),
        Panel(
            "Energy by model",
            "kwatth",
            {"": _sum(_ENERGY, "span.wattspan.model")},
            "The model as the registry knows it. Calls of unknown models have no name here, but are counted.",
            "stacked",
        ),
        Panel(
            "Carbon by region",
            "massg",
            {"": _sum(_CO2E, "span.wattspan.region")},
            "Where the calls ran, as far as it is known; `world` where it is not.",
            "stacked",
        ),
    ),
)

TRUST: Final = Row(
    "What the figures rest on",
    (
        Panel(
            "Calls by basis",
            "short",
            {"": "{ span.wattspan.basis != nil } | count_over_time() by (span.wattspan.basis)"},
            "modelled, measured, reported; no_usage, failed and duplicate carry no figure.",
            "stacked",
        ),
        Panel(
            "Energy by evidence",
            "kwatth",
            {"": _sum(_ENERGY, "span.wattspan.evidence")},
            "Evidence tiers, from metered to unknown: the wider the share of closed and unknown, the wider "
            "the band.",
            "stacked",
        ),
        Panel(
            "Energy by how the region is known",
            "kwatth",
            {"": _sum(_ENERGY, "span.wattspan.region_source")},
            "Much under `world` or `geography_mix`: set cloud.region or a rule to place the calls.",
            "stacked",
        ),
    ),
)

CALLS: Final = Row(
    "Calls",
    (
        Panel(
            "Energy of a call, median and 95th percentile",
            "kwatth",
            {"": f"{{ {_ENERGY} > 0 }} | quantile_over_time({_ENERGY}, .5, .95)"},
            "One call, not one request of a user.",
            width=12,
        ),
        Panel(
            "Traces with the hungriest calls",
            "kwatth",
            {
                "": f"{{ {_ENERGY} > 0.001 }} | select({_ENERGY}, {_CO2E}, span.wattspan.model, "
                "span.wattspan.region)"
            },
            "Traces that hold a call above 1 Wh. Change the threshold in the query.",
            "spans",
            12,
        ),
    ),
)


def traces_dashboard() -> str:
    """`traces.json`."""
    names = (
        CustomVariable("names")
        .label("Attributes")
        .values("gen_ai.usage, wattspan")
        .current(VariableOption(text="gen_ai.usage", value="gen_ai.usage"))
        .description("gen_ai.usage for the profiles genai and both, wattspan for the profile wattspan.")
    )
    return dashboard_of(
        "wattspan-traces",
        "Wattspan traces",
        "Energy and carbon of model calls, from the attributes on the spans in Tempo.",
        "tempo",
        (names,),
        (AMOUNTS, TRUST, CALLS),
    )
