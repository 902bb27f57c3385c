"""`wattspan models`: which models the edition knows, and what a model's number is made of."""

from __future__ import annotations

import difflib
import json
import math
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.table import Table

from wattspan import quantities
from wattspan.cli.console import BAD_INPUT, console, fail
from wattspan.cli.estimate import TIER_MEANING
from wattspan.estimator import Estimator, Plan, PlanKey
from wattspan.estimator.plan import J_PER_KWH
from wattspan.methodology import LATEST, Edition, EditionError
from wattspan.methodology.models import Match, Model

app = typer.Typer(help="Models: list them, or show what a model's number is made of.", no_args_is_help=True)

EditionName = Annotated[str, typer.Option("--edition", help="Methodology edition.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


MIN_COMMON_PREFIX = 3
"""Ids that share fewer first letters with the one asked for are no help."""


def _edition(name: str) -> Edition:
    try:
        return Edition.load(name)
    except EditionError as error:
        fail(str(error))


@app.command("list")
def list_models(
    search: Annotated[str, typer.Argument(help="Part of an id, family or provider.")] = "",
    tier: Annotated[str, typer.Option(help=f"Only this tier: {', '.join(TIER_MEANING)}.")] = "",
    edition: EditionName = LATEST,
    as_json: Json = False,
) -> None:
    """The models of the edition, with their evidence tier and the energy of 1,000 tokens."""
    if tier and tier not in TIER_MEANING:
        fail(f"--tier is {tier!r}; allowed: {', '.join(TIER_MEANING)}")
    estimator = Estimator(_edition(edition))
    wanted = search.lower()
    rows = [
        (model, _plan(estimator, model.id))
        for model in sorted(estimator.edition.registry.models.values(), key=lambda model: model.id)
        if wanted in f"{model.id} {model.family}".lower() and tier in {"", model.tier}
    ]
    if not rows:
        fail(f"no model matches {search!r}; `wattspan models list` lists all", BAD_INPUT)
    if as_json:
        typer.echo(
            json.dumps(
                [
                    {
                        "id": model.id,
                        "kind": model.kind,
                        "tier": model.tier,
                        "wh_per_1k_input_tokens": _wh_per_1k(plan, plan.coefficients.fresh),
                        "wh_per_1k_output_tokens": _wh_per_1k(plan, plan.coefficients.output),
                    }
                    for model, plan in rows
                ],
                indent=2,
            )
        )
        return
    table = Table(
        "model", "kind", "evidence", "90 % band", "Wh / 1k in", "Wh / 1k out", "parameters, active of total"
    )
    for model, plan in rows:
        table.add_row(
            model.id,
            model.kind,
            model.tier,
            quantities.times(plan.energy_g90),
            quantities.digits(_wh_per_1k(plan, plan.coefficients.fresh), 2),
            quantities.digits(_wh_per_1k(plan, plan.coefficients.output), 2),
            _parameters(model),
        )
    console.print(table)
    console.print(f"{len(rows)} models, edition {estimator.edition.label}", style="dim")


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A model id as it comes in traces.")],
    provider: Annotated[
        str, typer.Option(help="gen_ai.provider.name, where the id alone is not enough.")
    ] = "",
    edition: EditionName = LATEST,
    as_json: Json = False,
) -> None:
    """What a model's number is made of: evidence, parameters and their sources, coefficients, spread."""
    estimator = Estimator(_edition(edition))
    match = estimator.edition.registry.resolve(name, provider)
    if match.model is None:
        fail(unknown_model(estimator.edition, name), BAD_INPUT)
    plan = _plan(estimator, name, provider)
    if as_json:
        typer.echo(json.dumps(_as_json(match.model, match, plan, estimator), indent=2, ensure_ascii=False))
        return
    _print(match.model, match, plan, estimator)


def unknown_model(edition: Edition, name: str) -> str:
    """Why `name` has no model, and the nearest ids that exist; they are offered, never used."""
    wanted = name.lower().rpartition("/")[2]

    def likeness(model_id: str) -> tuple[int, float]:
        bare = model_id.rpartition("/")[2]
        return (
            _common_prefix(bare, wanted),
            difflib.SequenceMatcher(None, bare, wanted).ratio(),
        )

    ranked = sorted(edition.registry.models, key=likeness, reverse=True)
    near = [model_id for model_id in ranked[:4] if likeness(model_id)[0] >= MIN_COMMON_PREFIX]
    hint = f"; did you mean {', '.join(near)}?" if near else ""
    return (
        f"edition {edition.label} does not know the model {name!r}{hint} "
        "Calls to it are estimated by a size class (tier unknown) and counted as unknown."
    )


def _common_prefix(a: str, b: str) -> int:
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def _plan(estimator: Estimator, name: str, provider: str = "") -> Plan:
    return estimator.planner.plan(PlanKey(operation="chat", model=name, provider=provider))


def _wh_per_1k(plan: Plan, gpu_j: float) -> float:
    return gpu_j * plan.server_factor * plan.facility_factor / J_PER_KWH * 1e6


def _parameters(model: Model) -> str:
    if model.tier == "unknown":
        return f"not published: class {model.size_class}"
    entry = model.entries[-1]
    active, total = (
        f"{low:g}" if low == high else f"{low:g}–{high:g}" for low, high in (entry.active_b, entry.total_b)
    )
    return f"{active} of {total} B" if entry.architecture.is_moe else f"{total} B"


def _factors(plan: Plan, estimator: Estimator) -> list[tuple[str, float, str]]:
    reasons = {
        str(row["key"]).partition(":")[0]: str(row["reason"])
        for row in estimator.edition.spreads["tiers"][plan.tier]["factors"]
    }
    return [
        (factor.key, math.exp(factor.ln_g), reasons.get(factor.key.partition(":")[0], ""))
        for factor in plan.spread.energy
    ]


def _as_json(model: Model, match: Match, plan: Plan, estimator: Estimator) -> dict[str, Any]:
    entry = model.entries[-1]
    return {
        "id": model.id,
        "resolved_how": match.how,
        "tier": plan.tier,
        "kind": model.kind,
        "edition": estimator.edition.label,
        "active_b": list(entry.active_b),
        "total_b": list(entry.total_b),
        "size_class": model.size_class or None,
        "reason": model.reason or None,
        "architecture": asdict(entry.architecture),
        "residual": model.residual,
        "evidence": list(model.evidence),
        "sources": [asdict(source) for source in entry.sources],
        "host": asdict(plan.host),
        "gpu_j": asdict(plan.coefficients),
        "wh_per_1k_input_tokens": _wh_per_1k(plan, plan.coefficients.fresh),
        "wh_per_1k_cached_tokens": _wh_per_1k(plan, plan.coefficients.cached),
        "wh_per_1k_output_tokens": _wh_per_1k(plan, plan.coefficients.output),
        "band_90": plan.energy_g90,
        "spread": [{"key": k, "g": g, "reason": r} for k, g, r in _factors(plan, estimator)],
        "narrower": model.narrower,
    }


def _print(model: Model, match: Match, plan: Plan, estimator: Estimator) -> None:
    entry, k = model.entries[-1], plan.coefficients
    table = Table(show_header=False, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("model", f"[bold]{model.id}[/], {model.kind}, resolved by {match.how}")
    table.add_row("evidence", f"{plan.tier}: {TIER_MEANING[plan.tier]}")
    table.add_row("parameters", _parameters(model))
    if model.reason:
        table.add_row("", model.reason)
    architecture = entry.architecture
    table.add_row(
        "as served",
        f"{plan.host.precision or architecture.precision}, {plan.host.gpus or architecture.gpus} × "
        f"{plan.host.gpu} at batch {plan.host.batch:g}; {architecture.kv_kb_per_token:g} kB of key-value "
        f"cache a token; attention doubles the prefill at {architecture.context_tokens:,.0f} tokens",
    )
    if model.residual != 1.0:
        table.add_row(
            "measured", f"{model.residual:g} × the fitted decode energy, over {len(model.evidence)} rows"
        )
    table.add_row("", "")
    for name, gpu_j in (("input", k.fresh), ("cached input", k.cached), ("output", k.output)):
        table.add_row(
            f"1,000 {name}",
            f"[bold]{quantities.energy(_wh_per_1k(plan, gpu_j) / 1000)}[/] at the facility "
            f"({quantities.digits(gpu_j)} GPU J a token × host and idle {plan.server_factor:.3g} × "
            f"PUE {plan.facility_factor:.3g} of {plan.place.facility})",
        )
    if k.output_context:
        table.add_row(
            "per context",
            f"{quantities.digits(k.output_context * 1000)} GPU J more an output token at 1,000 of context",
        )
    table.add_row("", "")
    table.add_row("90 % band", f"{quantities.times(plan.energy_g90)}, made of")
    for key, g, reason in _factors(plan, estimator):
        table.add_row("", f"×/÷ {g:.2f} (68 %)  {key}  [dim]{reason}[/]")
    table.add_row("narrower", model.narrower)
    table.add_row("", "")
    for source in entry.sources:
        table.add_row(
            "source", f"{source.what}: {source.source} [dim]({source.seen}; checked {source.checked})[/]"
        )
    if model.evidence:
        shown = ", ".join(model.evidence[:6])
        more = f" and {len(model.evidence) - 6} more" if len(model.evidence) > 6 else ""
        table.add_row("evidence rows", f"{shown}{more} [dim](evidence/energy/published_energy.csv)[/]")
    table.add_row(
        "edition", f"{estimator.edition.label}, {estimator.edition.status}, {estimator.edition.digest[:12]}"
    )
    console.print(table)
