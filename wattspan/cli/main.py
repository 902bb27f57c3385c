"""`wattspan`: the commands."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

import wattspan
from wattspan.cli import (
    backfill,
    disclose,
    disclosure,
    doctor,
    edition,
    enrich,
    estimate,
    explain,
    flame,
    grid,
    import_,
    lake,
    models,
    pact,
    regions,
    report,
    serve,
    top,
    web,
    whatif,
    when,
)

app = typer.Typer(
    help="Energy and carbon on LLM inference spans, with an honest band.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"wattspan {wattspan.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


app.command("enrich")(enrich.enrich)
app.command("estimate")(estimate.estimate)
app.command("explain")(explain.explain_span)
app.command("whatif")(whatif.whatif)
app.command("when")(when.when)
app.command("wait")(when.wait)
app.command("flame")(flame.flame)
app.command("disclose")(disclose.disclose)
app.command("import")(import_.import_)
app.command("backfill")(backfill.backfill_)
app.command("web")(web.web)
app.command("serve")(serve.serve)
app.add_typer(models.app, name="models")
app.add_typer(edition.app, name="edition")
app.add_typer(disclosure.app, name="disclosure")
app.add_typer(disclosure.keys, name="key")
app.add_typer(pact.app, name="pact")
app.command("report")(report.report)
app.command("top")(top.top)
app.command("regions")(regions.regions)
app.add_typer(grid.app, name="grid")
app.add_typer(lake.app, name="lake")
app.command("doctor")(doctor.doctor)


def run() -> None:
    """Entry point of the `wattspan` command."""
    try:
        app()
    except BrokenPipeError:
        # the reader of our output left (`wattspan models list | head`): no fault of ours
        sys.stderr.close()
        sys.exit(0)
