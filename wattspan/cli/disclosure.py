"""`wattspan disclosure`: publish, list, show, verify, reproduce, replace, withdraw; and `wattspan key`."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated

import typer

from wattspan.cli.console import BAD_INPUT, console, errors, fail, plain_table, print_whole

if TYPE_CHECKING:
    from wattspan.cli.disclosing import Desk

app = typer.Typer(help="Disclosures: publish, show, verify, reproduce.", no_args_is_help=True)
keys = typer.Typer(help="Signing keys of disclosures.", no_args_is_help=True)

ConfigFile = Annotated[Path | None, typer.Option("--config", help="Configuration file (YAML).")]
BookFolder = Annotated[
    Path | None, typer.Option("--book", help="Folder of the disclosures; disclosure.folder where absent.")
]
Name = Annotated[str, typer.Argument(metavar="ID", help="issuer/period/feature@edition, or how it ends.")]
Lake = Annotated[Path, typer.Option("--lake", help="Folder of the lake.")]
PeriodText = Annotated[str, typer.Option("--period", help="2026Q3, 2026H1, 2026-07 or 2026.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_NOTHING = "name another folder with --book, or publish (`wattspan disclosure publish`)"


@contextmanager
def opened(config: Path | None, book: Path | None = None) -> Iterator[Desk]:
    """The desk of a configuration; what a user can mend is told in a line."""
    module = _loaded()
    try:
        yield module.Desk(config, book)
    except module.NotAllowedError as refused:
        for line in refused.reasons:
            errors.print(f"refused, {line}", style="yellow", markup=False, soft_wrap=True)
        raise typer.Exit(BAD_INPUT) from None
    except (*module.FAULTS, module.DeskError) as error:
        fail(str(error))


def _loaded() -> ModuleType:
    # the renderings and DuckDB take a second to load, which no other command should wait for
    try:
        from wattspan.cli import disclosing
    except ModuleNotFoundError as error:
        fail(f"disclosures need {error.name}; install wattspan[disclosure,lake]")
    return disclosing


@app.command()
def publish(
    period: PeriodText,
    lake: Lake,
    feature: Annotated[
        list[str] | None, typer.Option("--feature", help="A feature; may be repeated. All where absent.")
    ] = None,
    book: BookFolder = None,
    config: ConfigFile = None,
) -> None:
    """Freeze, sign and record the figures of a period, a disclosure a feature.

    Exit status: 0 published, 1 refused (the reasons are printed), 2 wrong usage.
    """
    with opened(config, book) as desk:
        for document in desk.publish(lake, period, feature or []):
            console.print(document.citation(), soft_wrap=True, markup=False)


@app.command()
def supersede(
    disclosure_id: Name,
    lake: Lake,
    reason: Annotated[str, typer.Option(help="What changed: readers are told.")],
    book: BookFolder = None,
    config: ConfigFile = None,
) -> None:
    """Publish a better figure for a published period: the old one stays quotable, marked superseded."""
    with opened(config, book) as desk:
        document = desk.supersede(disclosure_id, lake, reason)
        console.print(document.citation(), soft_wrap=True, markup=False)


@app.command()
def restate(
    disclosure_id: Name,
    lake: Lake,
    reason: Annotated[str, typer.Option(help="What was wrong: holders are told.")],
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Restate also where the error is below 5 %.")
    ] = False,
    book: BookFolder = None,
    config: ConfigFile = None,
) -> None:
    """Publish the right figure in the place of a wrong one, which is withdrawn and still resolves.

    An error below 5 %, alone and with those noted before, is noted in the ledger and the figure stands.
    """
    with opened(config, book) as desk:
        made = desk.restate(disclosure_id, lake, reason, anyway=anyway)
        if made is None:
            published = desk.book.get(disclosure_id)
            note = published.notes[-1]
            console.print(
                f"{published.id} stands, with a note: the error is {note.change_percent} %, below 5 %; "
                "errors add up, and the next one may restate it (--anyway does so now)",
                soft_wrap=True,
                markup=False,
            )
        else:
            console.print(made.citation(), soft_wrap=True, markup=False)


@app.command()
def withdraw(
    disclosure_id: Name,
    reason: Annotated[str, typer.Option(help="What is wrong: holders are told.")],
    book: BookFolder = None,
    config: ConfigFile = None,
) -> None:
    """Record that a figure no longer stands. Its folder stays and verifies."""
    with opened(config, book) as desk:
        made = desk.book.withdraw(disclosure_id, reason, desk.key(), _now())
        console.print(f"{made.id} is withdrawn: {made.reason}", markup=False)


@app.command("list")
def list_disclosures(book: BookFolder = None, config: ConfigFile = None, as_json: Json = False) -> None:
    """All disclosures, oldest first."""
    _list(config, book, None, as_json)


@app.command("as-of")
def as_of(
    day: Annotated[str, typer.Argument(help="ISO day.")],
    book: BookFolder = None,
    config: ConfigFile = None,
    as_json: Json = False,
) -> None:
    """What was in force at the end of a day, as it was known then."""
    try:
        end = dt.datetime.combine(dt.date.fromisoformat(day), dt.time(23, 59, 59), dt.UTC)
    except ValueError:
        fail(f"{day!r} is not an ISO day such as 2026-11-28")
    _list(config, book, end, as_json)


@app.command()
def show(
    disclosure_id: Name,
    book: BookFolder = None,
    config: ConfigFile = None,
    cite: Annotated[bool, typer.Option("--cite", help="One paragraph to quote.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the sealed JSON.")] = False,
    render: Annotated[
        str | None, typer.Option(help="Write a rendering: xlsx, pdf, csv, html or pact (a PACT footprint).")
    ] = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="File of the rendering.")] = None,
    with_sci: Annotated[
        bool, typer.Option("--sci", help="With the SCI score and what its specification wants told.")
    ] = False,
    customer: Annotated[str, typer.Option(help="A customer whose share is told, with --inferences.")] = "",
    inferences: Annotated[
        int | None, typer.Option(min=1, help="Completed inferences of the period that are the customer's.")
    ] = None,
) -> None:
    """The 23 columns of a disclosure, its citation, or a rendering of it.

    What is not as it was signed is not shown. With --customer and --inferences column 16 has
    the customer's share: column 8 x its inferences / 1,000; name and count are in that rendering alone, and
    are never sealed.
    """
    if bool(customer) != (inferences is not None):
        fail("--customer and --inferences go together")
    if customer and (cite or as_json):
        fail("a customer's share is in the table and in renderings: leave out --cite and --json")
    if out is not None and render is None:
        fail("-o is the file of a rendering: give --render xlsx, pdf, csv, html or pact")
    with opened(config, book) as desk:
        document = desk.sealed(disclosure_id)
        published = desk.book.get(document.id)
        if inferences is not None:
            document = desk.for_customer(document, customer, inferences)
        if with_sci:
            document = desk.with_sci(document)
    if render is not None:
        from wattspan.disclosure.render.published import RENDERINGS

        if render not in (*RENDERINGS, "pact"):
            fail(f"--render is {render!r}; allowed: {', '.join(RENDERINGS)}, pact")
        ending = "pact.json" if render == "pact" else render
        target = out or Path(f"{published.id.replace('/', '_')}.{ending}")
        with opened(config, book) as desk:
            data = desk.pact(published) if render == "pact" else RENDERINGS[render].written(document)
        try:
            target.write_bytes(data)
        except OSError as error:
            fail(f"{target} cannot be written: {error.strerror}")
        console.print(f"wrote {target}", markup=False)
    elif cite:
        typer.echo(document.citation(_now().date()))
    elif as_json:
        asked = {"sci": document.sci} if document.sci else {}
        typer.echo(json.dumps({**document.content, **asked}, indent=2, ensure_ascii=False))
    else:
        table = plain_table("", "column", "value", "unit", "note")
        for line in document.lines():
            style = "bold" if line.key == "ghg_location" else ""
            table.add_row(str(line.number), line.title, line.value, line.unit, line.note, style=style)
        print_whole(table)
        if document.sci:
            told = plain_table()
            for name, text in document.sci_lines():
                told.add_row(name, text)
            print_whole(told)


@app.command()
def verify(
    disclosure_id: Name,
    book: BookFolder = None,
    config: ConfigFile = None,
    head: Annotated[
        str | None, typer.Option(help="LINE:SHA256 of the ledger as it was handed to you.")
    ] = None,
) -> None:
    """Compare every byte with what was signed and recorded.

    Exit status: 0 whole, 1 not (each fault is named), 2 wrong usage.
    """
    with opened(config, book) as desk:
        problems = desk.book.verify(disclosure_id, _head(head))
    _print_faults(problems)
    console.print("every byte is as it was signed, and the ledger is whole")


@app.command()
def reproduce(disclosure_id: Name, book: BookFolder = None, config: ConfigFile = None) -> None:
    """Reckon the figures again from the sealed folder alone.

    Exit status: 0 the same to the last digit, 1 not (each difference is named), 2 wrong usage.
    """
    with opened(config, book) as desk:
        found = desk.book.reproduce(disclosure_id)
    _print_faults(found)
    console.print("the same to the last digit")


@app.command()
def crosswalk(
    disclosure_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="A disclosure, as for show.")
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="One standard or form alone, such as esrs_set1 or cdp.")
    ] = None,
    book: BookFolder = None,
    config: ConfigFile = None,
    as_json: Json = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="The table of the documents.")] = False,
) -> None:
    """Which cell answers which point of ESRS E1, VSME, CDP, SCI, GHG Protocol and others; with an ID: values.

    What is unverified says so. Points are named, texts of forms are not: those belong to their makers.
    """
    _loaded()
    from wattspan.cli import crosswalking

    if markdown:
        typer.echo(crosswalking.markdown(), nl=False)
        return
    document = None
    if disclosure_id is not None:
        with opened(config, book) as desk:
            document = desk.sealed(disclosure_id)
    crosswalking.show(document, target, as_json=as_json)


@app.command()
def fill(
    questionnaire: Annotated[Path, typer.Argument(help="The customer's spreadsheet: .xlsx or .csv.")],
    map_file: Annotated[
        Path | None, typer.Option("--map", help="Which column gets which cell (YAML).")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="The filled copy; with --suggest the map.")
    ] = None,
    suggest: Annotated[
        bool,
        typer.Option("--suggest", help="Write a map to begin with, from the headers; nothing is filled."),
    ] = False,
    sheet: Annotated[str, typer.Option(help="With --suggest: the sheet; the first where absent.")] = "",
    header_row: Annotated[int, typer.Option(min=1, help="With --suggest: the row of the headers.")] = 1,
    book: BookFolder = None,
    config: ConfigFile = None,
    as_json: Json = False,
) -> None:
    """Fill a customer's questionnaire from published disclosures, a note of source on every cell.

    Columns that the map does not name stay as they are and are listed; so do rows and cells that cannot be
    filled, with the reason. The customer's formats, formulas and other sheets stay.

    Exit status: 0 written, 2 it cannot be used as it is (file, sheet, cell and next step are named).
    """
    _loaded()
    from wattspan.cli import filling

    try:
        if suggest:
            text = filling.suggested(questionnaire, sheet, header_row)
            if out is None:
                typer.echo(text, nl=False)
            else:
                out.write_text(text, encoding="utf-8")
                console.print(f"wrote {out}: check it, then set reviewed: true", markup=False)
            return
        if map_file is None or out is None:
            fail("fill needs --map MAP.yaml and -o OUT; `--suggest` writes a map to begin with")
        with opened(config, book) as desk:
            documents = [desk.document(published) for published in desk.book.published()]
            outcome, lost, written = filling.filled(
                questionnaire, map_file, out, documents, desk.book.must_be_whole
            )
    except filling.QuestionnaireError as error:
        fail(str(error))
    except OSError as error:
        fail(f"{out} cannot be written: {error.strerror}")
    if as_json:
        typer.echo(json.dumps(filling.plain(outcome, lost), indent=2, ensure_ascii=False))
        return
    names = ", ".join(str(path) for path in written)
    console.print(f"{len(outcome.filled)} cells of {outcome.rows} rows filled: {names}", markup=False)
    for what in lost:
        console.print(f"not kept: {what}; copy it back from the original", markup=False, style="yellow")
    for left in outcome.left:
        console.print(f"left: {left.place}: {left.why}", markup=False, style="yellow", soft_wrap=True)
    if outcome.unmapped:
        console.print(f"not in the map, left as they are: {', '.join(outcome.unmapped)}", markup=False)


@app.command("head")
def head_of(book: BookFolder = None, config: ConfigFile = None) -> None:
    """The newest line of the ledger: handed out with every answer, nobody can cut its tail unseen."""
    with opened(config, book) as desk:
        seq, digest = desk.book.ledger.head()
        if not seq:
            raise _loaded().DeskError(f"{desk.book.root} has no ledger: {_NOTHING}")
    typer.echo(f"{seq}:{digest}")


@keys.command("new")
def new_key(path: Annotated[Path, typer.Argument(help="File of the key.")]) -> None:
    """Make a signing key, readable by you alone."""
    module = _loaded()
    try:
        key = module.SigningKey.new(path)
    except module.KeyFileError as error:
        fail(str(error))
    console.print(f"{path}: {key.public.id}", markup=False)


@keys.command("rotate")
def rotate_key(
    new: Annotated[Path, typer.Argument(help="File of the new key, which must not be there yet.")],
    book: BookFolder = None,
    config: ConfigFile = None,
) -> None:
    """Make a new key, and have the old one say in the ledger that it takes over."""
    with opened(config, book) as desk:
        old = desk.key()
        key = _loaded().SigningKey.new(new)
        desk.book.rotate(key, old, _now())
    console.print(f"{key.public.id} signs from now on; set disclosure.key to {new}", markup=False)


def _list(config: Path | None, book: Path | None, at: dt.datetime | None, as_json: bool) -> None:
    with opened(config, book) as desk:
        rows = [(published, *desk.figures(published)) for published in desk.book.published(at)]
        root, is_empty = desk.book.root, not desk.book.published()
    if as_json:
        content = [
            {
                "id": published.id,
                "status": published.status,
                "reason": published.reason,
                "replaced_by": published.replaced_by,
                "published": published.entry.recorded_at,
                "manifest_sha256": published.manifest_sha256,
                "kgco2e_per_1000": columns["ghg_location"]["value"] if columns else None,
            }
            for published, columns, _ in rows
        ]
        typer.echo(json.dumps(content, indent=2, ensure_ascii=False))
        return
    if not rows:
        why = f"nothing is published in {root}: {_NOTHING}" if is_empty else "nothing was published by then"
        console.print(why, markup=False, soft_wrap=True)
        return
    table = plain_table("id", "kgCO2e / 1,000", "95 %", "kWh / 1,000", "status", "published")
    for published, columns, missing in rows:
        figures = (
            (
                columns["ghg_location"]["value"],
                f"{columns['ghg_low95']['value']}–{columns['ghg_high95']['value']}",
                columns["energy_kwh"]["value"],
            )
            if columns
            else (missing, "", "")
        )
        table.add_row(
            published.id,
            *figures,
            published.status,
            published.entry.recorded_at[:10],
        )
    print_whole(table)


def _print_faults(lines: list[str]) -> None:
    for line in lines:
        errors.print(line, markup=False, style="red", soft_wrap=True)
    if lines:
        raise typer.Exit(BAD_INPUT)


def _head(text: str | None) -> tuple[int, str] | None:
    if text is None:
        return None
    number, _, digest = text.partition(":")
    if not number.isdecimal() or len(digest) != 64:
        fail(f"--head is {text!r}; it is LINE:SHA256, as `wattspan disclosure head` prints it")
    return int(number), digest


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
