"""How the figure of one call came about: tokens, coefficient, host, PUE, zone, intensity, grams.

Nothing is reckoned anew: the steps are the constants of the estimator's plan and the columns of its
estimate, and their product is the figure on the span.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from wattspan.calls import CallBatch, EstimateBatch, Factor
from wattspan.decisions.plans import plan_of
from wattspan.estimator import Band, Estimator, Plan, gpu_energy_j
from wattspan.estimator.plan import J_PER_KWH
from wattspan.methodology.models import Model
from wattspan.otlp.dialects import CALL
from wattspan.otlp.enrich import Enriched

Role = Literal["call", "duplicate", "aggregate", "other"]

WHY_NOT = {
    "no_usage": "the span says nothing of tokens, so there is nothing to reckon with; no figure, not zero",
    "failed": "the call ended in an error before it used tokens: there is nothing to have a figure for",
}


class Step(NamedTuple):
    """One line of the chain."""

    name: str
    value: float
    unit: str
    operation: Literal["+", "×", "="]
    """"×": a factor of the figure; "+": a part of the accelerator's energy; "=": what it comes to so far."""
    how: str
    source: str
    factors: tuple[Factor, ...] = ()
    """The errors that come in with this step."""


class Estimated(NamedTuple):
    """Calls and their estimates, row for row."""

    calls: CallBatch
    estimates: EstimateBatch


@dataclass(frozen=True, slots=True)
class Explanation:
    """The chain of one span."""

    trace_id: str
    span_id: str
    role: Role
    basis: str
    """measured | reported | modelled | no_usage | failed | duplicate; "" for spans that are no calls."""
    reason: str
    """Why there is no figure; "" where there is one."""
    owner_span_id: str
    """Whose copy a duplicate is; "" otherwise."""
    steps: tuple[Step, ...] = ()
    energy_kwh: Band | None = None
    co2e_g: Band | None = None
    model: str = ""
    tier: str = ""
    edition: str = ""

    @property
    def band_factors(self) -> tuple[Factor, ...]:
        """All errors of the last figure of the chain."""
        return tuple(factor for step in self.steps for factor in step.factors)

    def share(self, factors: Sequence[Factor]) -> float:
        """What `factors` contribute to the band: ln(g)^2 of the whole; over all steps they add up to 1."""
        whole = math.fsum(factor.ln_g**2 for factor in self.band_factors)
        return math.fsum(factor.ln_g**2 for factor in factors) / whole if whole else 0.0

    def as_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return {
            "trace_id": self.trace_id,
            "span_id": self.span_id,
            "role": self.role,
            "basis": self.basis,
            "reason": self.reason or None,
            "owner_span_id": self.owner_span_id or None,
            "edition": self.edition or None,
            "model": self.model or None,
            "tier": self.tier or None,
            "energy_kwh": self.energy_kwh._asdict() if self.energy_kwh else None,
            "co2e_g": self.co2e_g._asdict() if self.co2e_g else None,
            "steps": [
                {
                    "name": step.name,
                    "value": step.value,
                    "unit": step.unit,
                    "operation": step.operation,
                    "how": step.how,
                    "source": step.source,
                    "band_share": self.share(step.factors),
                    "spread": {factor.key: math.exp(factor.ln_g) for factor in step.factors},
                }
                for step in self.steps
            ],
        }


def explain(estimator: Estimator, window: Enriched, span_id: str, trace_id: str = "") -> Explanation | None:
    """The chain of a span of an enriched window; None where the window does not hold it.

    `span_id`, `trace_id`: hexadecimal; without a trace the first span with the id is taken. Raises ValueError
    for an id that is not hexadecimal.
    """
    row = _row(window, span_id, trace_id)
    if row is None:
        return None
    ids = (window.table.trace_id[row].tobytes().hex(), f"{int(window.table.span_id[row]):016x}")
    readings = np.flatnonzero(window.reading.rows == row)
    if not len(readings):
        return Explanation(*ids, "other", "", "it is no model call: it has no energy of its own", "")
    reading = int(readings[0])
    place = int(np.searchsorted(window.owners, reading))
    if place < len(window.owners) and window.owners[place] == reading:
        return explain_call(estimator, Estimated(window.calls, window.estimates), place, ids)
    if window.reading.role[reading] != CALL:
        return Explanation(*ids, "aggregate", "", "it restates the calls below it, which are counted", "")
    owner = f"{int(window.ownership.owner_span_id[reading]):016x}"
    return Explanation(
        *ids, "duplicate", "duplicate", f"the same call is counted once, on span {owner}", owner
    )


def _row(window: Enriched, span_id: str, trace_id: str) -> int | None:
    try:
        is_span = window.table.span_id == np.uint64(int(span_id, 16))
        if trace_id:
            wanted = np.frombuffer(bytes.fromhex(trace_id.zfill(32)), dtype=np.uint8)
            is_span = is_span & (window.table.trace_id == wanted).all(axis=1)
    except (ValueError, OverflowError):
        raise ValueError(
            f"span {span_id!r} of trace {trace_id!r}: ids are 16 and 32 hexadecimal digits"
        ) from None
    rows = np.flatnonzero(is_span)
    return int(rows[0]) if len(rows) else None


def explain_call(estimator: Estimator, window: Estimated, row: int, ids: tuple[str, str]) -> Explanation:
    """The chain of call `row` of a batch that `estimator` estimated; `ids`: trace and span, hexadecimal."""
    estimates = window.estimates
    basis = estimates.basis[row]
    if basis in WHY_NOT:
        return Explanation(*ids, "call", basis, WHY_NOT[basis], "", edition=estimates.edition)
    plan = plan_of(estimator, window.calls, row)
    has_carbon = math.isfinite(estimates.co2e_g[row])
    steps = _energy_steps(estimator, window, row, plan)
    if has_carbon:
        steps += _carbon_steps(window, row, plan)
    return Explanation(
        *ids,
        "call",
        basis,
        "" if has_carbon else f"no carbon figure: {estimates.grid_reason[row]}",
        "",
        tuple(steps),
        energy_kwh=Band(
            float(estimates.energy_kwh[row]),
            float(estimates.energy_kwh_low[row]),
            float(estimates.energy_kwh_high[row]),
        ),
        co2e_g=Band(
            float(estimates.co2e_g[row]), float(estimates.co2e_g_low[row]), float(estimates.co2e_g_high[row])
        )
        if has_carbon
        else None,
        model=estimates.model[row],
        tier=estimates.tier[row],
        edition=estimates.edition,
    )


def _energy_steps(estimator: Estimator, window: Estimated, row: int, plan: Plan) -> list[Step]:
    estimates = window.estimates
    energy_kwh = float(estimates.energy_kwh[row])
    if estimates.basis[row] != "modelled":
        who = "metered, as the span has it" if estimates.basis[row] == "measured" else "reported on the span"
        spread = plan.reported_spread.energy
        return [Step("energy", energy_kwh, "kWh", "×", who, "the span", spread)]
    edition = estimates.edition
    gpu_j = (float(estimates.prefill_kwh[row]) + float(estimates.decode_kwh[row])) * J_PER_KWH
    errors, host = plan.spread.energy, plan.host
    shape = plan.model or estimator.edition.registry.unknown(window.calls.operation[row])
    steps = _token_steps(window, row, plan, shape.id, _model_source(plan, shape))
    steps.append(
        Step(
            "accelerator", gpu_j, "J", "×",
            f"sum of the parts; {host.gpu} at batch {host.batch:g}",
            f"edition {edition}: form.json, hosts.json; tier {plan.tier}",
            _with(errors, "method", "model", "deployment"),
        )
    )  # fmt: skip
    if plan.server_factor != 1.0:
        for what, factor in (("host", host.k_host), ("idle machines", host.k_idle)):
            steps.append(Step(what, factor, "", "×", "added by the server", f"edition {edition}: hosts.json"))
    place = plan.place
    what = f"{place.facility}; its error is that of host and idle machines too"
    how = what if math.isfinite(plan.pue) else "metering includes it"
    steps.append(Step("PUE", plan.facility_factor, "", "×", how, place.pue_source, _with(errors, "facility")))
    steps.append(Step("kWh per J", 1 / J_PER_KWH, "kWh/J", "×", "", "definition"))
    steps.append(
        Step("energy", energy_kwh, "kWh", "=", f"basis {estimates.basis[row]}", f"edition {edition}")
    )
    return steps


def _token_steps(window: Estimated, row: int, plan: Plan, name: str, source: str) -> list[Step]:
    """Joules of each kind of token; their sum is the accelerator's energy."""
    calls, k = window.calls, plan.coefficients
    n_in, n_cached = float(calls.input_tokens[row]), float(calls.cache_read_tokens[row])
    n_out = float(calls.output_tokens[row])
    reasoning = int(calls.reasoning_tokens[row])
    fresh, _ = gpu_energy_j(k, n_in - n_cached, 0.0, n_in, 0.0)
    cached, _ = gpu_energy_j(k, 0.0, n_cached, n_in, 0.0)
    _, output = gpu_energy_j(k, 0.0, 0.0, n_in, n_out)
    steps = []
    for what, tokens, joules, note in (
        ("fresh input", n_in - n_cached, fresh, ""),
        ("cached input", n_cached, cached, ""),
        ("output", n_out, output, f", {reasoning:,} of them reasoning" if reasoning else ""),
    ):
        if tokens:
            how = f"{tokens:,.0f} tokens{note} × {joules / tokens:.4g} J, {name}"
            steps.append(Step(what, joules, "J", "+", how, source))
    return steps


def _carbon_steps(window: Estimated, row: int, plan: Plan) -> list[Step]:
    estimates = window.estimates
    g_per_kwh, annual = float(estimates.intensity_g_per_kwh[row]), plan.intensity.g_per_kwh
    place, grid = plan.place, plan.intensity
    spread = plan.spread if estimates.basis[row] == "modelled" else plan.reported_spread
    zone = estimates.zone[row]
    of_place = f"{place.label} (known by: {place.source})"
    at = of_place if zone == place.label else f"{zone}, for {of_place}"
    kind = f"{estimates.signal} {estimates.factor_type}, {estimates.grid_accounting[row]}"
    source = estimates.grid_source[row]
    errors = spread.carbon[len(spread.energy) :]
    steps = [Step("intensity", annual, "g/kWh", "×", f"{at}; {kind}", source, errors)]
    if g_per_kwh != annual:
        how = f"{estimates.grid_resolution[row]} of {grid.shape_zone}"
        steps.append(Step("hour", g_per_kwh / annual, "", "×", how, source))
    return [*steps, Step("carbon", float(estimates.co2e_g[row]), "g", "=", "CO2e, operational", kind)]


def _model_source(plan: Plan, shape: Model) -> str:
    if plan.deployment and plan.deployment.metered:
        return f"metered by you: deployment {plan.deployment.name}"
    sources = dict.fromkeys(source.source for source in shape.sources)
    return shape.reason if plan.model is None else "; ".join(sources)


def _with(factors: Sequence[Factor], *prefixes: str) -> tuple[Factor, ...]:
    return tuple(factor for factor in factors if factor.key.partition(":")[0] in prefixes)
