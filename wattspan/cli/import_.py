"""`wattspan import`: files of spans and of calls into a lake."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from wattspan.cli.console import BAD_INPUT, add_sums, console, fail, print_problems
from wattspan.cli.progress import reading_bar
from wattspan.config import Config, ConfigError, load_config
from wattspan.methodology import EditionError

if TYPE_CHECKING:
    from wattspan.estimator import Estimator
    from wattspan.lake.sources.files import FileReader, Portion
    from wattspan.lake.sources.tally import Tally

ROWS_SHOWN = 5


def import_(
    sources: Annotated[list[Path], typer.Argument(metavar="SOURCE...", help="Files, or folders of them.")],
    lake: Annotated[Path | None, typer.Option(help="Folder of the lake; made if it is not there.")] = None,
    format: Annotated[
        str | None, typer.Option(help="otlp, otel_traces or calls; told by the content if left out.")
    ] = None,
    mapped: Annotated[
        list[str] | None, typer.Option("--map", metavar="FIELD=COLUMN", help="What a column of a log is.")
    ] = None,
    constants: Annotated[
        list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="The same for all rows of a log.")
    ] = None,
    map_file: Annotated[
        Path | None, typer.Option(help="YAML with map:, set: and label: instead of options.")
    ] = None,
    label: Annotated[
        str | None, typer.Option(help="Name of the source, part of the ids of its rows. Default: file name.")
    ] = None,
    delimiter: Annotated[str | None, typer.Option(help="Between cells of CSV; told by the header.")] = None,
    encoding: Annotated[
        str | None, typer.Option(help="Of CSV: utf-8, or what its byte order mark says.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what is understood; write nothing.")
    ] = False,
    summary: Annotated[Path | None, typer.Option(help="Write the summary as JSON to this file.")] = None,
    config: Annotated[Path | None, typer.Option(help="Configuration file (YAML).")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no summary.")] = False,
) -> None:
    """Bring OTLP files, ClickHouse's otel_traces (Parquet, CSV) or logs of calls (CSV, Parquet) into a lake.

    The same file twice changes nothing. Exit status: 0 all was read, 1 some of the input was bad (the rest
    went in), 2 wrong usage.
    """
    try:
        from wattspan.lake.sources.column_map import ColumnMap, ColumnMapError, read_column_map
        from wattspan.lake.sources.files import FORMATS, FileReader, SourceError, TableOptions, files_of
        from wattspan.lake.sources.tally import Tally
    except ModuleNotFoundError as error:
        fail(f"wattspan import needs {error.name}; install wattspan[lake]")
    if lake is None and not dry_run:
        fail("name the folder of the lake: --lake DIR (or look first: --dry-run)")
    chosen = next((name for name in FORMATS if name == format), None)
    if format is not None and chosen is None:
        fail(f"--format is {format!r}; allowed: {', '.join(FORMATS)}")
    if summary is not None and (summary.is_dir() or not summary.parent.is_dir()):
        fail(f"--summary {summary}: name a file in a folder that is there")
    tally = Tally(ROWS_SHOWN)
    try:
        settings = load_config(config)
        estimator = settings.estimator()
        columns = (read_column_map(map_file) if map_file else ColumnMap()).with_options(
            mapped or (), constants or (), label
        )
        files = files_of(sources)
        options = TableOptions(columns, delimiter, encoding)
        with reading_bar("importing", sum(path.stat().st_size for path in files), quiet) as on_bytes:
            reader = FileReader(
                settings.span_source(), options, tally.report, format=chosen, on_bytes=on_bytes
            )
            portions = _portions(reader, files, tally)
            if dry_run:
                for portion in portions:
                    tally.estimate(portion.spans, estimator)
            else:
                assert lake is not None
                _write(lake, portions, settings, estimator, tally)
    except (ConfigError, EditionError, ColumnMapError, SourceError, ValueError) as error:
        fail(str(error))
    if summary is not None:
        text = json.dumps(tally.to_json(), indent=2, ensure_ascii=False)
        summary.write_text(text + "\n", encoding="utf-8")
    if not quiet:
        _show(tally, lake, dry_run)
    print_problems(tally.problems, tally.problem_count)
    if tally.problem_count:
        raise typer.Exit(BAD_INPUT)


def _portions(reader: FileReader, files: list[Path], tally: Tally) -> Iterator[Portion]:
    for path in files:
        for portion in reader.read(path):
            tally.add(portion.spans, portion.left_out)
            yield portion


def _write(
    lake: Path, portions: Iterator[Portion], settings: Config, estimator: Estimator, tally: Tally
) -> None:
    from wattspan.lake.cells import add_cells
    from wattspan.lake.compact import compact
    from wattspan.lake.disk import LakeError
    from wattspan.lake.writer import LakeWriter
    from wattspan.views.cells import cells_of

    try:
        with LakeWriter(lake, settings.sealer(estimator), settings.lake_settings()) as writer:
            before = sum(segment.rows for segment in writer.manifest.segments) + writer.open_spans
            for portion in portions:
                writer.ingest([portion.spans])
            writer.seal_all()
            compact(writer)
            add_cells(writer, cells_of)
            tally.retired_spans = writer.retired_spans
            tally.new_spans = sum(segment.rows for segment in writer.manifest.segments) - before
    except LakeError as error:
        fail(str(error))


def _show(tally: Tally, lake: Path | None, dry_run: bool) -> None:
    if dry_run and tally.first_rows:
        rows = Table("start (UTC)", "model", "provider", "input", "output", "span", box=None, pad_edge=False)
        for row in tally.first_rows:
            rows.add_row(*row)
        console.print(rows)
        console.print()
    table = Table(show_header=False, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold")
    there = tally.spans - (tally.new_spans or 0) - tally.retired_spans
    known = f"{there:,} in the lake already" if there and not dry_run else ""
    table.add_row("spans", f"{tally.spans:,}", known)
    table.add_row("model calls", f"{tally.calls:,}", tally.counted)
    if tally.retired_spans:
        table.add_row("left out", f"{tally.retired_spans:,}", "of traces whose day was dropped from the lake")
    if tally.left_out:
        table.add_row("rows left out", f"{tally.left_out:,}")
    if tally.calls:
        table.add_row("input tokens", f"{tally.input_tokens:,}")
        table.add_row("output tokens", f"{tally.output_tokens:,}")
    if tally.times:
        table.add_row("from", tally.times[0], f"to {tally.times[1]} (UTC)")
    if dry_run and tally.calls:
        add_sums(table, tally.sums)
    console.print(table)
    console.print("dry run: nothing was written" if dry_run else f"lake {lake}", style="dim", markup=False)
