"""The page that the demonstration leaves behind: one file, nothing from the network, no script."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from demo.captures import Capture
from wattspan import quantities
from wattspan.cli.estimate import TIER_MEANING
from wattspan.estimator import Band, Estimator
from wattspan.otlp.summary import Summary


def render(captures: list[Capture], total: Summary, estimator: Estimator) -> str:
    """The page as HTML. Every text from a span is escaped."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
    )
    bands = [capture.energy_kwh for capture in captures if capture.energy_kwh.central > 0]
    low, high = min(band.low for band in bands), max(band.high for band in bands)
    summed = math.fsum(capture.energy_if_summed_kwh for capture in captures)
    most_copied = max(captures, key=lambda capture: capture.summary.duplicates)
    energy, co2e = total.energy_kwh, total.co2e_g
    return environment.get_template("page.html.j2").render(
        edition=estimator.edition.label,
        spans=f"{total.spans:,}",
        calls=f"{total.calls:,}",
        duplicates=f"{total.duplicates:,}",
        errors=total.failed,
        without_usage=total.without_usage,
        without_figure=total.failed + total.without_usage,
        inflation=f"{quantities.digits((summed / energy.central - 1) * 100, 2)} %",
        energy=quantities.energy(energy.central),
        energy_band=quantities.energy_band(energy.low, energy.high, energy.central),
        co2e=quantities.mass(co2e.central),
        co2e_band=quantities.mass_band(co2e.low, co2e.high, co2e.central),
        scale_low=quantities.energy(low),
        scale_high=quantities.energy(high),
        captures=[
            {
                "title": capture.title,
                "calls": capture.summary.calls,
                "duplicates": capture.summary.duplicates,
                "energy": quantities.energy(capture.energy_kwh.central),
                "co2e": quantities.mass(capture.co2e_g.central),
                "bar": _bar(capture.energy_kwh, low, high),
                "rows": capture.rows,
                "is_open": capture is most_copied,
            }
            for capture in captures
        ],
        example=_example(estimator),
        tiers=[
            {
                "name": tier,
                "meaning": meaning,
                "band": quantities.times(estimator.edition.spreads["tiers"][tier]["g"] ** 1.64),
                "calls": total.by_tier[tier].calls if tier in total.by_tier else 0,
            }
            for tier, meaning in TIER_MEANING.items()
        ],
    )


def _bar(band: Band, low: float, high: float) -> Markup:
    """A band on a logarithmic scale, as an SVG of our own numbers only."""
    if band.central <= 0:
        return Markup("")
    left, centre, right = (
        100 * math.log(value / low) / math.log(high / low) for value in (band.low, band.central, band.high)
    )
    return Markup(
        '<svg viewBox="0 0 100 18" preserveAspectRatio="none" role="img">'
        '<line class="track" x1="0" x2="100" y1="9" y2="9"/>'
        '<line class="range" x1="{:.2f}" x2="{:.2f}" y1="9" y2="9"/>'
        '<line class="centre" x1="{:.2f}" x2="{:.2f}" y1="2" y2="16" '
        'vector-effect="non-scaling-stroke"/></svg>'
    ).format(left, right, centre, centre)


def _example(estimator: Estimator) -> dict[str, Any]:
    call = estimator.estimate_call(
        model="anthropic.claude-sonnet-4-5-20250929-v1:0",
        provider="aws.bedrock",
        input_tokens=7707,
        cached_input_tokens=6012,
        output_tokens=187,
        host="bedrock-runtime.eu-west-3.amazonaws.com",
    )
    plan, grid = call.plan, call.plan.intensity
    k = plan.coefficients
    steps = [
        ("tokens", "7,707 in, 187 out", "6,012 of the prompt came from a cache"),
        ("model", call.model_resolved or "unknown", f"evidence: {call.tier}, {TIER_MEANING[call.tier]}"),
        (
            "prefill",
            quantities.energy(call.prefill_kwh),
            f"{quantities.digits(k.fresh)} J a fresh token, {quantities.digits(k.cached)} J a cached one",
        ),
        (
            "decode",
            quantities.energy(call.decode_kwh),
            f"{quantities.digits(k.output)} J a token on {plan.host.gpu} at batch {plan.host.batch:g}",
        ),
        (
            "server",
            f"× {plan.server_factor:.3f}",
            f"host {plan.host.k_host:g} × idle machines {plan.host.k_idle:g}",
        ),
        ("building", f"× {plan.facility_factor:.3g}", f"PUE, {plan.place.pue_source}"),
        (
            "energy",
            quantities.energy(call.energy_kwh),
            f"90 %: {quantities.energy_band(call.energy_kwh_low, call.energy_kwh_high, call.energy_kwh)}",
        ),
        ("region", plan.place.label, f"known by {plan.place.source}: the host name"),
        (
            "grid",
            f"{quantities.digits(call.intensity_g_per_kwh)} g/kWh",
            f"{grid.zone}, {grid.signal} {grid.factor_type}, {grid.resolution} {grid.vintage}, {grid.source}",
        ),
        (
            "carbon",
            f"{quantities.mass(call.co2e_g)}CO2e",
            f"90 %: {quantities.mass_band(call.co2e_g_low, call.co2e_g_high, call.co2e_g)}",
        ),
    ]
    return {
        "title": "A cached prompt to Claude Sonnet 4.5 on Bedrock, called at its Paris host.",
        "steps": [{"name": name, "value": value, "note": note} for name, value, note in steps],
    }
