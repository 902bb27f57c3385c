"""`wattspan disclose --can`: what today's data supports of a disclosure, and what stands in the way."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from wattspan.cli.console import BAD_INPUT, console, errors, fail
from wattspan.config import ConfigError, load_config
from wattspan.disclosure import refusals
from wattspan.disclosure.inventory import Inventory
from wattspan.disclosure.support import Column, Support, supported
from wattspan.methodology import EditionError
from wattspan.otlp.enrich import Enricher
from wattspan.otlp.files import FileError, enrich_file

_STYLES = {
    Support.YES: "green",
    Support.PARTLY: "yellow",
    Support.NO: "red",
    Support.NOT_AVAILABLE: "dim",
}


def disclose(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="OTLP files.")],
    can: Annotated[
        bool, typer.Option("--can", help="Column by column: what there is, what is missing.")
    ] = False,
    edition: Annotated[str | None, typer.Option(help="Methodology edition.")] = None,
    factor_type: Annotated[str | None, typer.Option(help="lifecycle or direct.")] = None,
    config: Annotated[Path | None, typer.Option(help="Configuration file (YAML).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """What the calls in FILEs support of the 23 columns of a disclosure, and why it would be refused.

    Exit status: 0 nothing stands in the way, 1 it would be refused, 2 wrong usage.
    """
    if not can:
        fail("only --can is there: it says what a disclosure of these calls would lack; nothing is published")
    try:
        estimator = load_config(config).estimator(edition=edition, factor_type=factor_type)
    except (ConfigError, EditionError, ValueError) as error:
        fail(str(error))
    found = Inventory(estimator.edition)
    try:
        for file in files:
            enrich_file(
                file,
                os.devnull,
                Enricher(estimator),
                on_window=lambda window: found.add(window.calls, window.estimates),
            )
    except FileError as error:
        fail(str(error))
    # Files have neither a map of features nor an end: spans of the same days may lie in another one.
    refused = refusals(found.facts(unmapped_share=1.0, is_period_over=False))
    columns = supported(found)
    if as_json:
        content = {
            "columns": [{**column._asdict(), "support": str(column.support)} for column in columns],
            "refusals": [{**refusal._asdict(), "reason": str(refusal.reason)} for refusal in refused],
        }
        typer.echo(json.dumps(content, indent=2, ensure_ascii=False))
    else:
        _print(columns)
        for refusal in refused:
            errors.print(f"refused, {refusal}", style="yellow", markup=False, soft_wrap=True)
    if refused:
        raise typer.Exit(BAD_INPUT)


def _print(columns: list[Column]) -> None:
    table = Table("", "column", "today", "there", "missing")
    for column in columns:
        table.add_row(
            str(column.number),
            column.title,
            f"[{_STYLES[column.support]}]{column.support}[/]",
            column.there,
            column.missing,
        )
    console.print(table)
