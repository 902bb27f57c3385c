"""`wattspan edition`: which methodology editions there are, what is in them, whether they are whole, and what
differs between two of them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.markdown import Markdown
from rich.markup import escape
from rich.table import Table

from wattspan.cli.console import BAD_INPUT, console, errors, fail
from wattspan.methodology import EDITIONS_FOLDER, LATEST, Edition, EditionError, editions, verify
from wattspan.methodology.diff import TOPICS, Difference, differences, models_of

app = typer.Typer(help="Methodology editions: list, show, verify, diff.", no_args_is_help=True)

_FEW: Final = 8
"""Values of a topic that are printed unless all are asked for."""
_WIDE: Final = 60

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


@app.command("diff")
def diff_editions(
    old: Annotated[str, typer.Argument(help="Edition, such as 2026.11.")],
    new: Annotated[str, typer.Argument(help="The edition to compare it with.")],
    lake: Annotated[
        Path | None, typer.Option("--lake", help="What it does to the calls of this lake.")
    ] = None,
    period: Annotated[
        str, typer.Option("--period", help="2026Q3, 2026H1, 2026-07 or 2026, of --lake; all where absent.")
    ] = "",
    config: Annotated[
        Path | None, typer.Option("--config", help="Configuration file (YAML): deployments, regions.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Print every value that differs.")] = False,
    as_json: Json = False,
) -> None:
    """What changed from one edition to another, and what it does to a lake.

    Exit status: 0 compared, 2 wrong usage.
    """
    before, after = _load(old), _load(new)
    found = differences(before, after)
    added, removed = models_of(before, after)
    if period and lake is None:
        fail("--period is of a lake: give --lake")
    try:
        from wattspan.cli import edition_effect
    except ModuleNotFoundError as error:
        fail(f"comparing editions needs {error.name}; install wattspan[disclosure,lake]")
    references = edition_effect.references(before, after)
    effect = None
    if lake is not None:
        effect = edition_effect.of_lake(lake, period, before, after, config)
    if as_json:
        content: dict[str, Any] = {
            "old": {"edition": before.label, "digest": before.digest},
            "new": {"edition": after.label, "digest": after.digest},
            "models_added": added,
            "models_removed": removed,
            "reference_calls": [one._asdict() for one in references],
            "values": [{**one._asdict(), "change": one.change, "percent": one.percent} for one in found],
        }
        if effect is not None:
            content["lake"] = edition_effect.as_dicts(effect)
        typer.echo(json.dumps(content, indent=2, ensure_ascii=False))
        return
    console.print(
        f"{before.label} ({before.status}) to {after.label} ({after.status}): "
        f"{len(found):,} values differ, {len(added)} models added, {len(removed)} removed",
        markup=False,
    )
    for what, names in (("added", added), ("removed", removed)):
        if names:
            console.print(f"models {what}: {', '.join(names)}", markup=False)
    edition_effect.print_references(references, None if every else _FEW)
    _print_values(found, every)
    if effect is not None:
        edition_effect.print_effect(effect, before.label, after.label)


def _print_values(found: Sequence[Difference], every: bool) -> None:
    """Topic by topic; the first few of each, largest relative change first, unless all are asked for."""
    for topic in TOPICS:
        of_topic = [one for one in found if one.topic == topic]
        if not of_topic:
            continue
        shown = of_topic
        if not every:
            shown = sorted(of_topic, key=lambda one: -abs(one.percent or 0.0))[:_FEW]
        table = Table(f"{topic}: {len(of_topic):,} differ", "old", "new", "%")
        for one in shown:
            percent = "" if one.percent is None else f"{one.percent:+.1f}"
            table.add_row(*map(escape, (one.path, one.old[:_WIDE] or "–", one.new[:_WIDE] or "–", percent)))
        console.print(table)
        if len(shown) < len(of_topic):
            console.print(f"and {len(of_topic) - len(shown):,} more: --all or --json", style="dim")
