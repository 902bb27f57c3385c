"""`wattspan lake`: what is done to spans at rest."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Annotated

import typer

from wattspan.cli.console import BAD_INPUT, console, errors, fail
from wattspan.config import ConfigError, load_config
from wattspan.methodology import EditionError

app = typer.Typer(help="Spans at rest.", no_args_is_help=True)

ERRORS_SHOWN = 5


@app.command("refresh")
def refresh_(
    folder: Annotated[Path, typer.Argument(metavar="LAKE", help="Folder of the lake.")],
    fetch: Annotated[bool, typer.Option("--fetch", help="Ask the live feed for the hours first.")] = False,
    config: Annotated[Path | None, typer.Option(help="Configuration file (YAML).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Estimate anew the calls whose hour came to the live feed's cache, or was revised, since.

    The kind stays; raw rows are not touched. Exit status: 0 done, 1 some hours could not be fetched, 2 wrong
    usage.
    """
    try:
        from wattspan.lake.disk import LakeError
        from wattspan.lake.manifest import read_manifest
        from wattspan.lake.refresh import refresh, want
        from wattspan.lake.writer import LakeWriter
    except ModuleNotFoundError as error:
        fail(f"wattspan lake needs {error.name}; install wattspan[lake]")
    from wattspan.grid.prefetch import Filled, prefetcher_of

    filled: Filled | None = None
    try:
        settings = load_config(config)
        estimator = settings.estimator()
        prefetcher = prefetcher_of(estimator.grid)
        if prefetcher is None:
            fail("grid.live is not configured: the edition's figures never change, so nothing is to do")
        read_manifest(folder)
        with LakeWriter(folder, settings.sealer(estimator)) as writer:
            if fetch:
                filled = prefetcher.fill(lambda: want(writer))
            done = refresh(writer)
    except (ConfigError, EditionError, LakeError, ValueError) as error:
        fail(str(error))
    failures = [] if filled is None else list(dict.fromkeys(map(str, filled.round.errors)))
    lacking = 0 if filled is None else sum(map(len, filled.lacking.values()))
    if as_json:
        content = {
            "calls": done.calls,
            "segments": done.segments,
            "segments_read": done.looked_into,
            "segments_of_another_kind": done.other_kind,
            "fetched": 0 if filled is None else filled.round.new,
            "lacking": lacking,
            "errors": failures,
        }
        typer.echo(json.dumps(content, indent=2, ensure_ascii=False))
    else:
        if filled is not None:
            console.print(f"{filled.round.new:,} values fetched, {lacking:,} are not there")
        console.print(f"{done.calls:,} calls estimated anew, in {done.segments:,} segments")
        if done.other_kind:
            console.print(
                f"{done.other_kind:,} segments left alone: of another kind of carbon or another edition",
                style="yellow",
            )
        for text in failures[:ERRORS_SHOWN]:
            errors.print(text, style="yellow", markup=False)
    if failures or lacking:
        raise typer.Exit(BAD_INPUT)


@app.command("estimate")
def estimate_(
    folder: Annotated[Path, typer.Argument(metavar="LAKE", help="Folder of the lake.")],
    name: Annotated[str, typer.Option("--as", metavar="NAME", help="Name of the estimates.")],
    edition: Annotated[str | None, typer.Option(help="Methodology edition.")] = None,
    factor_type: Annotated[str | None, typer.Option(help="lifecycle or direct.")] = None,
    resolution: Annotated[str | None, typer.Option(help="annual or typical-hour.")] = None,
    config: Annotated[Path | None, typer.Option(help="Configuration file (YAML).")] = None,
) -> None:
    """Estimate all spans again, with another edition or kind, beside the estimates that are there.

    Raw rows and other estimates stay to the byte; run again, it adds what came since. Exit status: 0 done,
    2 wrong usage or no lake.
    """
    try:
        from wattspan.lake.disk import LakeError
        from wattspan.lake.estimate_sets import estimate_as
        from wattspan.lake.manifest import read_manifest
        from wattspan.lake.writer import LakeWriter
    except ModuleNotFoundError as error:
        fail(f"wattspan lake needs {error.name}; install wattspan[lake]")
    try:
        settings = load_config(config)
        estimator = settings.estimator(edition=edition, factor_type=factor_type, resolution=resolution)
        read_manifest(folder)
        sealer = settings.sealer(estimator)
        with LakeWriter(folder, sealer, settings.lake_settings()) as writer:
            done = estimate_as(name, writer, sealer)
    except (ConfigError, EditionError, LakeError, ValueError) as error:
        fail(str(error))
    kind = estimator.grid.kind
    console.print(
        f"{done:,} segments estimated as {name}: {estimator.edition.label}, {kind.signal} {kind.factor_type}",
        markup=False,
    )


@app.command("check")
def check_(
    folder: Annotated[Path, typer.Argument(metavar="LAKE", help="Folder of the lake.")],
    repair: Annotated[
        bool, typer.Option("--repair", help="Mend what can be mended; nobody may write.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Read every file of the lake: sizes, digests, rows, order, trace indexes, cells, strays.

    Exit status: 0 all is well, 1 something was found (and is mended, or lost), 2 it is no lake.
    """
    try:
        from wattspan.lake import check
        from wattspan.lake.disk import LakeError
        from wattspan.views.cells import cells_of
    except ModuleNotFoundError as error:
        fail(f"wattspan lake needs {error.name}; install wattspan[lake]")
    try:
        report = check.check(folder, repair=repair, cells=cells_of)
    except LakeError as error:
        fail(str(error))
    if as_json:
        typer.echo(check.as_json(report))
    else:
        for finding in report.findings:
            errors.print(str(finding), style="yellow", markup=False, soft_wrap=True)
        console.print(f"{report.segments:,} segments, {report.rows:,} spans, {report.size / 1e6:,.1f} MB")
        unmended = sum(1 for finding in report.findings if not finding.mended)
        if unmended and not repair:
            console.print("`wattspan lake check --repair` mends what can be mended")
    if report.findings:
        raise typer.Exit(BAD_INPUT)


@app.command("compact")
def compact_(
    folder: Annotated[Path, typer.Argument(metavar="LAKE", help="Folder of the lake.")],
    config: Annotated[Path | None, typer.Option(help="Configuration file (YAML).")] = None,
) -> None:
    """Merge the files of each day, sum them up for reports, let days go that are older than
    lake.retention_days.

    `wattspan serve` does all of it by itself. Exit status: 0 done, 2 wrong usage or no lake.
    """
    try:
        from wattspan.lake.cells import add_cells
        from wattspan.lake.compact import compact, retire
        from wattspan.lake.disk import LakeError
        from wattspan.lake.manifest import read_manifest
        from wattspan.lake.writer import LakeWriter
        from wattspan.views.cells import cells_of
    except ModuleNotFoundError as error:
        fail(f"wattspan lake needs {error.name}; install wattspan[lake]")
    try:
        settings = load_config(config)
        read_manifest(folder)
        sealer = settings.sealer(settings.estimator())
        with LakeWriter(folder, sealer, settings.lake_settings()) as writer:
            gone = retire(writer, dt.datetime.now(dt.UTC).date(), cells_of)
            before = len(writer.manifest.segments)
            compact(writer, everything=True)
            add_cells(writer, cells_of)
            writer.tick()
            after = len(writer.manifest.segments)
    except (ConfigError, EditionError, LakeError, ValueError) as error:
        fail(str(error))
    if gone:
        console.print(f"{len(gone):,} days went: {gone[0]} to {gone[-1]}")
    console.print(f"{before:,} segments became {after:,}")


@app.command("status")
def status_(
    folder: Annotated[Path, typer.Argument(metavar="LAKE", help="Folder of the lake.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """What the lake holds: days, spans, size, editions. Exit status: 0 shown, 2 no lake."""
    try:
        from wattspan.lake.disk import LakeError
        from wattspan.lake.manifest import read_manifest
    except ModuleNotFoundError as error:
        fail(f"wattspan lake needs {error.name}; install wattspan[lake]")
    try:
        manifest = read_manifest(folder)
    except LakeError as error:
        fail(str(error))
    segments = manifest.segments
    days = sorted({one.day for one in segments})
    content = {
        "generation": manifest.generation,
        "segments": len(segments),
        "spans": sum(one.rows for one in segments),
        "traces": sum(one.traces for one in segments),
        "calls": sum(one.calls for one in segments),
        "bytes": sum(one.size for one in segments),
        "days": len(days),
        "first_day": days[0] if days else None,
        "last_day": days[-1] if days else None,
        "estimated_with": sorted({f"{s.edition} {s.signal} {s.factor_type}" for s in segments}),
        "estimate_sets": {
            chosen.name: sum(chosen.name in one.estimates for one in segments) for chosen in manifest.sets
        },
        "spans_summed_up": sum(one.rows for one in segments if one.cells is not None),
        "days_dropped": len({one.day for one in manifest.retired}),
        "files_to_be_deleted": len(manifest.trash),
    }
    if as_json:
        typer.echo(json.dumps(content, indent=2))
        return
    for name, value in content.items():
        shown = (
            f"{value:,}" if isinstance(value, int) else ", ".join(value) if isinstance(value, list) else value
        )
        console.print(f"{name.replace('_', ' ')}: {shown}", markup=False)
