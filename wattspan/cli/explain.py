"""`wattspan explain`: how the figure of one span came about."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from wattspan import quantities
from wattspan.cli.console import BAD_INPUT, console, fail
from wattspan.config import ConfigError, load_config
from wattspan.decisions import Explanation, Step, explain
from wattspan.estimator import Estimator
from wattspan.methodology import EditionError
from wattspan.otlp.enrich import Enriched, Enricher
from wattspan.otlp.files import FileError, enrich_file


def explain_span(
    source: Annotated[str, typer.Argument(metavar="FILE", help="OTLP file, or - for standard input.")],
    span: Annotated[str, typer.Option(help="Span id, 16 hexadecimal digits.")],
    trace: Annotated[str, typer.Option(help="Trace id, 32 hexadecimal digits.")] = "",
    edition: Annotated[str | None, typer.Option(help="Methodology edition.")] = None,
    factor_type: Annotated[str | None, typer.Option(help="lifecycle or direct.")] = None,
    resolution: Annotated[str | None, typer.Option(help="annual or typical-hour.")] = None,
    config: Annotated[Path | None, typer.Option(help="Configuration file (YAML).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """From tokens to grams for one call: each step with its value, its source and its share of the band."""
    try:
        estimator = load_config(config).estimator(
            edition=edition, factor_type=factor_type, resolution=resolution
        )
        found = _find(estimator, source, span, trace)
    except (ConfigError, EditionError, FileError, ValueError) as error:
        fail(str(error))
    if found is None:
        of_trace = f" of trace {trace}" if trace else ""
        fail(f"{source} has no span {span}{of_trace}", BAD_INPUT)
    if as_json:
        typer.echo(json.dumps(found.as_dict(), indent=2, ensure_ascii=False))
        return
    _print(found)


def _find(estimator: Estimator, source: str, span: str, trace: str) -> Explanation | None:
    found: list[Explanation] = []

    def look(window: Enriched) -> None:
        explanation = None if found else explain(estimator, window, span, trace)
        if explanation is not None:
            found.append(explanation)

    enrich_file(source, os.devnull, Enricher(estimator), on_window=look)
    return found[0] if found else None


def _print(found: Explanation) -> None:
    console.print(f"span {found.span_id} of trace {found.trace_id}", style="dim")
    if not found.steps:
        console.print(f"{found.basis or found.role}: {found.reason}", soft_wrap=True)
        return
    table = Table("", "value", "band", "how", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    source = ""
    for step in found.steps:
        how = Text(step.how)
        if step.source != source and step.source:
            how.append(f"\n{step.source}" if step.how else step.source, style="dim")
        source = step.source
        share = f"{found.share(step.factors):.0%}" if step.factors else ""
        table.add_row(_name(step), _value(step), share, how)
    console.print(table)
    console.print(_errors(found))
    for name, band, text in (
        ("energy", found.energy_kwh, quantities.energy_band),
        ("carbon", found.co2e_g, quantities.mass_band),
    ):
        if band is not None:
            console.print(f"90 % band of the {name}: {text(band.low, band.high, band.central)}")
    if found.reason:
        console.print(found.reason, style="yellow")
    console.print(
        f"{found.model or 'unknown model'}, tier {found.tier}, edition {found.edition}", style="dim"
    )


def _name(step: Step) -> Text:
    style = {"=": "bold", "+": "dim"}.get(step.operation, "")
    return Text(f"{step.operation} {step.name}", style=style)


def _value(step: Step) -> str:
    if step.unit == "kWh":
        return quantities.energy(step.value)
    if step.unit == "g":
        return f"{quantities.mass(step.value)}CO2e"
    if step.unit == "kWh/J":
        return "1/3.6e6"
    return f"{quantities.digits(step.value)} {step.unit}".strip()


def _errors(found: Explanation) -> Table:
    """What the band is made of: each error with its spread (68 %) and its share."""
    table = Table("error", "spread", "of the band", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for factor in sorted(found.band_factors, key=lambda factor: -factor.ln_g):
        table.add_row(
            factor.key, quantities.times(math.exp(factor.ln_g)), f"{found.share([factor]):.0%}", style="dim"
        )
    return table
