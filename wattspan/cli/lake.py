"""`wattspan lake`: what is done to spans at rest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from wattspan.cli.console import BAD_INPUT, console, errors, fail
from wattspan.config import ConfigError, load_config
from wattspan.methodology import EditionError

app = typer.Typer(help="Spans at rest.", no_args_is_help=True)

ERRORS_SHOWN = 5


@app.callback()
def _lake() -> None:
    """A command of its own even while it is the only one."""


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
