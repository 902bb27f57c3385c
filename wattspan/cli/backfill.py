"""`wattspan backfill`: a table of calls, with energy and carbon beside its columns."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from wattspan.cli.console import BAD_INPUT, add_sums, console, fail, print_problems
from wattspan.config import ConfigError, load_config
from wattspan.methodology import EditionError


def backfill_(
    source: Annotated[Path, typer.Argument(metavar="IN", help="Parquet file with one call a row.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="Parquet file to write.")],
    mapped: Annotated[
        list[str] | None, typer.Option("--map", metavar="FIELD=COLUMN", help="What a column is.")
    ] = None,
    constants: Annotated[
        list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="The same for all rows.")
    ] = None,
    map_file: Annotated[Path | None, typer.Option(help="YAML with map: and set: instead of options.")] = None,
    prefix: Annotated[str, typer.Option(help="Before the names of the new columns.")] = "wattspan_",
    edition: Annotated[str | None, typer.Option(help="Methodology edition.")] = None,
    factor_type: Annotated[str | None, typer.Option(help="lifecycle or direct.")] = None,
    resolution: Annotated[str | None, typer.Option(help="annual or typical-hour.")] = None,
    config: Annotated[Path | None, typer.Option(help="Configuration file (YAML).")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No summary.")] = False,
) -> None:
    """Write the table of calls IN to OUT with columns of energy, carbon, their 90 % bands and their basis.

    Nothing goes into a lake, and a row is a call: copies are not looked for. Exit status: 0 all was read, 1
    some rows could not be used (they have no figures), 2 wrong usage.
    """
    try:
        import pyarrow as pa

        from wattspan.lake.sources.backfill import backfill
        from wattspan.lake.sources.call_log import CallLog
        from wattspan.lake.sources.column_map import ColumnMap, ColumnMapError, read_column_map
        from wattspan.lake.sources.tally import Tally
    except ModuleNotFoundError as error:
        fail(f"wattspan backfill needs {error.name}; install wattspan[lake]")
    tally = Tally()
    try:
        columns = (read_column_map(map_file) if map_file else ColumnMap()).with_options(
            mapped or (), constants or (), None
        )
        settings = load_config(config)
        estimator = settings.estimator(edition=edition, factor_type=factor_type, resolution=resolution)
        log = CallLog(columns, str(source), source.stem, tally.report, fate="it has no figures")
        done = backfill(log, source, target, estimator, prefix)
    except pa.ArrowException as error:
        fail(f"{source} is no Parquet file that can be read: {error}")
    except (ConfigError, EditionError, ColumnMapError, ValueError) as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error.filename or source}: {error.strerror or error}")
    if not quiet:
        table = Table(show_header=False, box=None, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_row("rows", f"{done.rows:,}", f"{done.with_energy:,} with a figure")
        add_sums(table, done.sums)
        console.print(table)
    print_problems(tally.problems, tally.problem_count)
    if tally.problem_count:
        raise typer.Exit(BAD_INPUT)
