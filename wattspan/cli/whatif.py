"""`wattspan whatif`: what another model, region, cache or less reasoning would change."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from wattspan import quantities
from wattspan.cli.console import BAD_INPUT, console, errors, fail
from wattspan.cli.models import unknown_model
from wattspan.config import ConfigError, load_config
from wattspan.decisions import Change, Difference, WhatIf
from wattspan.decisions.whatif import UnknownModelError
from wattspan.estimator import Band
from wattspan.methodology import EditionError
from wattspan.otlp.enrich import Enricher
from wattspan.otlp.files import FileError, enrich_file


def whatif(
    source: Annotated[str, typer.Argument(metavar="IN", help="OTLP file, or - for standard input.")],
    model: Annotated[str, typer.Option(help="All calls of its kind go to this model.")] = "",
    region: Annotated[str, typer.Option(help="All calls run in this region.")] = "",
    cached_share: Annotated[
        float | None, typer.Option(help="Share of the input tokens read from a cache, 0 to 1.")
    ] = None,
    reasoning_factor: Annotated[
        float | None, typer.Option(help="Reasoning tokens times this; the output shrinks by as much.")
    ] = None,
    edition: Annotated[str | None, typer.Option(help="Methodology edition.")] = None,
    factor_type: Annotated[str | None, typer.Option(help="lifecycle or direct.")] = None,
    resolution: Annotated[str | None, typer.Option(help="annual or typical-hour.")] = None,
    config: Annotated[Path | None, typer.Option(help="Configuration file (YAML).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Energy and carbon of the calls in IN as they are and under a change, and their ratio with its band.

    Exit status: 0 all was read, 1 some of the input was bad (the rest is compared), 2 wrong usage.
    """
    try:
        estimator = load_config(config).estimator(
            edition=edition, factor_type=factor_type, resolution=resolution
        )
    except (ConfigError, EditionError, ValueError) as error:
        fail(str(error))
    try:
        found = WhatIf(estimator, Change(model, region, cached_share, reasoning_factor))
        read = enrich_file(
            source,
            os.devnull,
            Enricher(estimator),
            on_window=lambda window: found.add(window.calls, window.estimates),
        )
    except UnknownModelError:
        fail(unknown_model(estimator.edition, model), BAD_INPUT)
    except (FileError, ValueError) as error:
        fail(str(error))
    if as_json:
        typer.echo(json.dumps({**found.as_dict(), "edition": estimator.edition.label}, indent=2))
    else:
        _print(found, estimator.edition.label)
    if read.problem_count:
        errors.print(f"{read.problem_count:,} problems, the first: {read.problems[0]}", style="yellow")
        raise typer.Exit(BAD_INPUT)


def _print(found: WhatIf, edition: str) -> None:
    if not found.calls:
        console.print("no call with a figure: there is nothing to compare")
        return
    table = Table("", "as it is", "changed", "ratio", "90 %")
    energy, carbon = found.energy_kwh, found.co2e_g
    _add(table, "energy", energy, quantities.energy, quantities.energy_band)
    _add(table, "carbon", carbon, lambda g: f"{quantities.mass(g)}CO2e", quantities.mass_band)
    console.print(table)
    console.print(f"{found.changed_calls:,} of {found.calls:,} calls with a figure change")
    for count, what in (
        (found.moved, "run elsewhere"),
        (found.without_carbon, "have no carbon figure on one side: only their energy is compared"),
        (found.kept_reported, "stay as they are: their energy was measured or reported for the old call"),
        (found.kept_other_kind, "stay as they are: they go to another kind of model"),
        (found.kept_place, "stay where they are: a rule or deployment of yours says where they run"),
        (found.without_reasoning, "have no reasoning tokens to take away"),
    ):
        if count:
            console.print(f"{count:,} {what}", style="dim")
    console.print(
        "The ratio's band is what is left when errors that both sides share cancel; "
        f"the levels' bands hold them all. Edition {edition}",
        style="dim",
    )


def _add(
    table: Table,
    name: str,
    found: Difference,
    text: Callable[[float], str],
    band: Callable[[float, float, float], str],
) -> None:
    def level(side: Band) -> str:
        return f"{text(side.central)}\n{band(side.low, side.high, side.central)}"

    ratio = found.ratio
    digits = quantities.digits
    table.add_row(
        name,
        level(found.base),
        level(found.changed),
        Text(f"× {digits(ratio.central)}", style="bold"),
        f"× {digits(ratio.low, 2)} to × {digits(ratio.high, 2)}",
    )
