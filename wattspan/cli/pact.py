"""`wattspan pact`: footprints of WBCSD PACT v3: check them, and hand them out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wattspan.cli.console import BAD_INPUT, console, errors, fail, plain_table, print_whole

if TYPE_CHECKING:
    from wattspan.disclosure.pact.clients import Credentials
    from wattspan.web.pact.server import Running

app = typer.Typer(help="WBCSD PACT v3: check footprints, and hand them out.", no_args_is_help=True)
client = typer.Typer(help="Who may fetch footprints.", no_args_is_help=True)
app.add_typer(client, name="client")

ConfigFile = Annotated[Path | None, typer.Option("--config", help="Configuration file (YAML).")]
Name = Annotated[str, typer.Argument(help="Name of the client, such as the customer's.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def check(
    files: Annotated[list[Path], typer.Argument(help="JSON: a footprint, a list, or an answer with data.")],
) -> None:
    """Hold footprints against PACT's schema and everything it lets through that cannot be meant.

    Exit status: 0 nothing is wrong, 1 something is (each field is named), 2 wrong usage.
    """
    with _module() as module:
        wrong, count = False, 0
        for path in files:
            footprints = _read(path)
            count += len(footprints)
            for line in module.found_faults(str(path), footprints):
                wrong = True
                errors.print(line, markup=False, style="red", soft_wrap=True)
    if wrong:
        raise typer.Exit(BAD_INPUT)
    console.print(f"{count} {'footprint' if count == 1 else 'footprints'}, nothing wrong")


@app.command()
def serve(
    config: ConfigFile = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Tell of every token and event.")] = False,
) -> None:
    """Hand out the footprints of the published disclosures over PACT's HTTP API, with TLS.

    SIGHUP reads the certificate again. Exit status: 0 stopped as told, 1 could not begin, 2 the configuration
    is wrong.
    """
    import asyncio
    import logging

    with _module() as module:
        settings = module.config_of(config)
    try:
        from wattspan.disclosure.ledger import LedgerError
        from wattspan.disclosure.pact.state import StateError
        from wattspan.web.pact.server import serve_pact
    except ModuleNotFoundError as error:
        fail(f"wattspan pact serve needs {error.name}; install wattspan[disclosure,web]")
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING, format="%(levelname)s %(message)s"
    )

    def ready(server: Running) -> None:
        console.print(
            f"{server.address}/3/footprints  footprints: {len(server.catalogue)}; Ctrl-C stops",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )

    try:
        asyncio.run(serve_pact(settings, on_ready=ready))
    except (LedgerError, StateError) as error:
        fail(str(error), BAD_INPUT)
    except OSError as error:
        listen = settings.pact.listen
        tls = f"; certificate {listen.tls.cert_file}, key {listen.tls.key_file}" if listen.tls else ""
        fail(f"{listen.host}:{listen.port} cannot be served: {error.strerror or error}{tls}", BAD_INPUT)


@app.command("openapi")
def print_openapi() -> None:
    """Print the OpenAPI document of the API that `serve` serves."""
    with _module():
        from wattspan.disclosure.pact.openapi import openapi
    typer.echo(json.dumps(openapi(), indent=1, ensure_ascii=False))


@app.command("events")
def list_events(config: ConfigFile = None, as_json: Json = False) -> None:
    """Events that came from clients, and those on their way to recipients."""
    with _module() as module:
        found: dict[str, list[dict[str, Any]]] = module.events(config)
    if as_json:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    came = plain_table("came from", "type", "at")
    for row in found["arrivals"]:
        came.add_row(row["client"], _short(row["type"]), row["arrived_at"])
    goes = plain_table("goes to", "type", "state", "tries", "next", "last error")
    for row in found["departures"]:
        goes.add_row(
            row["recipient"],
            _short(row["type"]),
            row["state"],
            str(row["tries"]),
            row["next_at"] or "",
            row["last_error"],
        )
    print_whole(came)
    print_whole(goes)


@client.command("add")
def add_client(
    name: Name,
    feature: Annotated[
        list[str] | None,
        typer.Option(
            "--feature", help="A feature it may see, as ids spell it; may be repeated. All where absent."
        ),
    ] = None,
    config: ConfigFile = None,
) -> None:
    """Let a client in. Its secret is printed once, and kept as a hash."""
    with _module() as module:
        for unseen in module.never_seen(config, feature or []):
            errors.print(
                f"no feature {unseen} is configured or published yet: {name} sees it once it is",
                style="yellow",
                markup=False,
            )
        _print_secret(module.add(config, name, feature or []))


@client.command("renew")
def renew_client(name: Name, config: ConfigFile = None) -> None:
    """Another secret for a client: the old one and its tokens no longer hold."""
    with _module() as module:
        _print_secret(module.renew(config, name))


@client.command("remove")
def remove_client(name: Name, config: ConfigFile = None) -> None:
    """Shut a client out, at once."""
    with _module() as module:
        gone = module.remove(config, name)
    console.print(f"{gone.name} ({gone.id}) and its tokens are gone", markup=False)


@client.command("list")
def list_clients(config: ConfigFile = None, as_json: Json = False) -> None:
    """Who may fetch footprints, and of which features."""
    with _module() as module:
        found = module.clients(config)
    if as_json:
        rows = [
            {
                "name": one.name,
                "client_id": one.id,
                "features": None if one.features is None else sorted(one.features),
                "created_at": one.created_at,
            }
            for one in found
        ]
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    table = plain_table("name", "client id", "features", "since")
    for one in found:
        features = "all" if one.features is None else ", ".join(sorted(one.features))
        table.add_row(one.name, one.id, features, one.created_at)
    print_whole(table)


@contextmanager
def _module() -> Iterator[ModuleType]:
    """What the commands do, loaded; what a user can mend is told in a line."""
    try:
        from wattspan.cli import pacting
    except ModuleNotFoundError as error:
        fail(f"wattspan pact needs {error.name}; install wattspan[disclosure,lake]")
    try:
        yield pacting
    except pacting.FAULTS as error:
        fail(str(error))


def _print_secret(made: Credentials) -> None:
    typer.echo(f"client_id: {made.client.id}")
    typer.echo(f"client_secret: {made.secret}")
    errors.print("the secret is told this once; hand it over by a safe way", style="yellow")


def _short(kind: str) -> str:
    """The event's name without its family and version."""
    return kind.split(".")[-2]


def _read(path: Path) -> list[Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{path} cannot be read: {error}")
    except (json.JSONDecodeError, RecursionError) as error:
        fail(f"{path} is not JSON: {error}", BAD_INPUT)
    if isinstance(content, dict) and "data" in content:
        content = content["data"]
    return content if isinstance(content, list) else [content]
