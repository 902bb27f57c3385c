"""`wattspan estimate`: one call, with every step of its reckoning."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from wattspan import quantities
from wattspan.cli.console import console, fail
from wattspan.config import ConfigError, load_config
from wattspan.estimator import Estimate
from wattspan.methodology import EditionError

TIER_MEANING = {
    "metered_facility": "metered by you, building included",
    "metered_node": "metered at the node",
    "benchmarked": "open benchmark, known configuration",
    "open_measured": "open weights, measured in an open benchmark, hosting assumed",
    "open": "open weights, hosting assumed",
    "closed": "closed model, size guessed by third parties",
    "unknown": "nothing is published: a size class",
}


def estimate(
    model: Annotated[str, typer.Option(help="Model id as it comes in traces.")],
    input_tokens: Annotated[int, typer.Option(help="Prompt tokens, cached ones included.")] = 0,
    output_tokens: Annotated[int, typer.Option(help="Generated tokens, reasoning included.")] = 0,
    cached_input_tokens: Annotated[int, typer.Option(help="Of the prompt: read from a cache.")] = 0,
    cache_write_tokens: Annotated[int, typer.Option(help="Of the prompt: written to a cache.")] = 0,
    reasoning_tokens: Annotated[int, typer.Option(help="Of the output: reasoning.")] = 0,
    provider: Annotated[str, typer.Option(help="gen_ai.provider.name, such as openai or aws.bedrock.")] = "",
    region: Annotated[str, typer.Option(help="Cloud region that serves the call, such as eu-west-3.")] = "",
    host: Annotated[str, typer.Option(help="Host name that is called.")] = "",
    operation: Annotated[str, typer.Option(help="chat, embeddings, rerank ...")] = "chat",
    at: Annotated[str | None, typer.Option(help="Time of the call, ISO 8601; UTC unless it says.")] = None,
    edition: Annotated[str | None, typer.Option(help="Methodology edition.")] = None,
    factor_type: Annotated[str | None, typer.Option(help="lifecycle or direct.")] = None,
    resolution: Annotated[str | None, typer.Option(help="annual or typical-hour.")] = None,
    config: Annotated[Path | None, typer.Option(help="Configuration file (YAML).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Energy and carbon of one call, with its band and where each step comes from."""
    try:
        estimator = load_config(config).estimator(
            edition=edition, factor_type=factor_type, resolution=resolution
        )
        found = estimator.estimate_call(
            model=model,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            cached_input_tokens=cached_input_tokens,
            cache_write_tokens=cache_write_tokens,
            reasoning_tokens=reasoning_tokens,
            provider=provider,
            region=region,
            host=host,
            operation=operation,
            at=_time(at),
        )
    except (ConfigError, EditionError, ValueError) as error:
        fail(str(error))
    if as_json:
        printed = {"model": model, **found.as_dict(), "edition_digest": estimator.edition.digest}
        typer.echo(json.dumps(printed, indent=2, ensure_ascii=False))
        return
    console.print(_table(model, found))


def _time(text: str | None) -> dt.datetime | None:
    if text is None:
        return None
    try:
        return dt.datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"--at {text!r} is not a time; write it as 2026-11-23 or 2026-11-23T14:00+01:00"
        ) from None


def _table(model: str, found: Estimate) -> Table:
    plan, place, grid = found.plan, found.plan.place, found.plan.intensity
    table = Table(show_header=False, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold")
    resolved = found.model_resolved or Text("unknown", style="yellow")
    table.add_row("model", resolved, f"asked for as {model}")
    table.add_row("evidence", found.tier, TIER_MEANING[found.tier])
    if found.basis == "no_usage":
        table.add_row("energy", "–", "no tokens, no figure: give --input-tokens or --output-tokens")
        return table
    energy_band = quantities.energy_band(found.energy_kwh_low, found.energy_kwh_high, found.energy_kwh)
    table.add_row("energy", Text(quantities.energy(found.energy_kwh), style="bold"), f"90 %: {energy_band}")
    host = plan.host
    for name, value, note in (
        ("  prefill", found.prefill_kwh, "reading the prompt"),
        ("  decode", found.decode_kwh, f"generating, {host.gpu} at batch {host.batch:g}"),
        ("  host, idle", found.host_kwh, f"× {plan.server_factor:.3g}"),
        ("  building", found.overhead_kwh, f"PUE {plan.facility_factor:.3g}, {place.facility}"),
    ):
        table.add_row(name, quantities.energy(value), note)
    if grid.reason:
        table.add_row("carbon", "–", grid.reason)
    else:
        band = quantities.mass_band(found.co2e_g_low, found.co2e_g_high, found.co2e_g)
        table.add_row("carbon", Text(f"{quantities.mass(found.co2e_g)}CO2e", style="bold"), f"90 %: {band}")
        table.add_row(
            "  grid",
            f"{quantities.digits(found.intensity_g_per_kwh)} g/kWh",
            f"{grid.zone}, {grid.signal} {grid.factor_type}, {grid.resolution} {grid.vintage}, {grid.source}",
        )
    table.add_row("  region", place.label, f"known by: {place.source}")
    table.add_row(
        "embodied", f"{quantities.mass(found.embodied_g)}CO2e", "share of making the hardware, apart"
    )
    table.add_row("water", quantities.volume(found.water_ml), "cooling on site")
    table.add_row("edition", found.edition, "")
    return table
