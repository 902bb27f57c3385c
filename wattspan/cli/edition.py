"""`wattspan edition`: which methodology editions there are, what is in them, whether they are whole."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.markdown import Markdown
from rich.table import Table

from wattspan.cli.console import BAD_INPUT, console, errors, fail
from wattspan.methodology import EDITIONS_FOLDER, LATEST, Edition, EditionError, editions, verify

app = typer.Typer(help="Methodology editions: list, show, verify.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Edition, such as 2026.11.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def _load(name: str) -> Edition:
    try:
        return Edition.load(name)
    except EditionError as error:
        fail(str(error))


@app.command("list")
def list_editions(as_json: Json = False) -> None:
    """The installed editions, oldest first."""
    found = [Edition.load(name) for name in editions()]
    if as_json:
        typer.echo(
            json.dumps(
                [{"edition": e.label, "status": e.status, "digest": e.digest} for e in found], indent=2
            )
        )
        return
    table = Table("edition", "status", "digest")
    for edition in found:
        table.add_row(edition.label, edition.status, edition.digest)
    console.print(table)


@app.command()
def show(name: Name = LATEST, as_json: Json = False) -> None:
    """The edition's own document; with --json its manifest."""
    edition = _load(name)
    if as_json:
        typer.echo(json.dumps(edition.manifest, indent=2, ensure_ascii=False))
        return
    console.print(Markdown(edition.read_text("README.md")))


@app.command("verify")
def verify_edition(name: Name = LATEST, as_json: Json = False) -> None:
    """Check every byte of the edition against its manifest; exit status 1 if something is wrong."""
    if name not in editions():
        fail(f"there is no edition {name!r}; installed editions: {', '.join(editions())}")
    edition = Edition(EDITIONS_FOLDER / name)
    problems = verify(edition)
    if as_json:
        typer.echo(
            json.dumps({"edition": edition.label, "digest": edition.digest, "problems": problems}, indent=2)
        )
    else:
        for problem in problems:
            errors.print(problem, markup=False, style="red")
        if not problems:
            console.print(f"edition {edition.label}: every file is as the manifest says ({edition.digest})")
    if problems:
        raise typer.Exit(BAD_INPUT)
