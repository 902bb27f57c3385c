"""`wattspan disclose`: the figures of a period before they are published, and what data support of them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from wattspan.cli.console import BAD_INPUT, console, errors, fail, plain_table, print_whole
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
    files: Annotated[
        list[str] | None, typer.Argument(metavar="[FILE...]", help="OTLP files, with --can.")
    ] = None,
    period: Annotated[str, typer.Option(help="2026Q3, 2026H1, 2026-07 or 2026, of --lake.")] = "",
    lake: Annotated[Path | None, typer.Option(help="Folder of the lake.")] = None,
    feature: Annotated[
        list[str] | None, typer.Option("--feature", help="A feature; may be repeated. All where absent.")
    ] = None,
    can: Annotated[
        bool, typer.Option("--can", help="Column by column: what there is, what is missing.")
    ] = False,
    edition: Annotated[str | None, typer.Option(help="Methodology edition.")] = None,
    factor_type: Annotated[str | None, typer.Option(help="lifecycle or direct.")] = None,
    config: Annotated[Path | None, typer.Option(help="Configuration file (YAML).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """The 23 columns of each feature's period, as publishing would seal them; nothing is published.

    With --can: column by column what the lake, or the calls in FILEs, support, and what is missing. Exit
    status: 0 nothing stands in the way, 1 it is (or would be) refused, 2 wrong usage.
    """
    if lake is not None and period and not files:
        if edition or factor_type:
            fail(
                "--edition and --factor-type are of FILEs: the calls of a lake were estimated already; "
                "`wattspan lake estimate` does so anew"
            )
        _of_lake(lake, period, feature or [], can, config, as_json)
        return
    if not files or not can or lake is not None:
        fail("give --lake and --period, or FILEs with --can")
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


def _of_lake(
    lake: Path, period: str, features: list[str], can: bool, config: Path | None, as_json: bool
) -> None:
    from wattspan.cli.disclosure import opened

    with opened(config) as desk:
        if can:
            supported_columns = desk.supported(lake, period, features)
            if as_json:
                content = {
                    name: [c._asdict() for c in columns] for name, columns in supported_columns.items()
                }
                typer.echo(json.dumps(content, indent=2, ensure_ascii=False))
            else:
                for name, columns in supported_columns.items():
                    console.print(name, style="bold", markup=False)
                    _print(columns)
            for line in (reasons := desk.reasons(desk.aggregates(lake, desk.period(period)))):
                errors.print(f"would be refused, {line}", style="yellow", markup=False, soft_wrap=True)
            if reasons:
                raise typer.Exit(BAD_INPUT)
            return
        statements = desk.preview(lake, period, features)
    if as_json:
        typer.echo(json.dumps(statements, indent=2, ensure_ascii=False))
        return
    table = plain_table("feature", "kgCO2e / 1,000", "95 %", "kWh / 1,000", "inferences", "coverage")
    for made in statements:
        columns_of = made["columns"]
        volume = columns_of["volume"]
        table.add_row(
            columns_of["feature"]["name"],
            columns_of["ghg_location"]["value"],
            f"{columns_of['ghg_low95']['value']}–{columns_of['ghg_high95']['value']}",
            columns_of["energy_kwh"]["value"],
            f"{float(volume['completed_inferences']):,.0f}",
            f"{volume['coverage_percent']} %",
        )
    print_whole(table)
    console.print("not published: `wattspan disclosure publish` seals it", style="dim")


def _print(columns: list[Column]) -> None:
    table = plain_table("", "column", "today", "there", "missing")
    for column in columns:
        table.add_row(
            str(column.number),
            column.title,
            f"[{_STYLES[column.support]}]{column.support}[/]",
            column.there,
            column.missing,
        )
    print_whole(table)
