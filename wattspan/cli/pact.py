"""`wattspan pact`: footprints of WBCSD PACT v3: check them, and hand them out."""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from wattspan.cli.console import BAD_INPUT, console, errors, fail
from wattspan.config import ConfigError

if TYPE_CHECKING:
    from wattspan.disclosure.pact.clients import Credentials
    from wattspan.disclosure.pact.settings import PactConfig
    from wattspan.disclosure.pact.state import State
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
    with _installed():
        from wattspan.disclosure.pact.rules import faults, set_faults
    wrong = count = 0
    for path in files:
        footprints = _read(path)
        count += len(footprints)
        for index, footprint in enumerate(footprints):
            where = f"{path}" if len(footprints) == 1 else f"{path}, footprint {index}"
            found = faults(footprint)
            wrong += len(found)
            for fault in found:
                errors.print(f"{where}: {fault.field} {fault.why}", markup=False, style="red", soft_wrap=True)
        if all(isinstance(footprint, dict) and "id" in footprint for footprint in footprints):
            for fault in set_faults(footprints):
                wrong += 1
                errors.print(f"{path}: {fault.field} {fault.why}", markup=False, style="red", soft_wrap=True)
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

    with _installed():
        from wattspan.disclosure.ledger import LedgerError
        from wattspan.disclosure.pact.state import StateError
        from wattspan.web.pact.server import serve_pact
    settings = _config(config)
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
    except StateError as error:
        fail(str(error), BAD_INPUT)
    except LedgerError as error:
        fail(str(error), BAD_INPUT)
    except OSError as error:
        listen = settings.pact.listen
        fail(f"{listen.host}:{listen.port} cannot be served: {error.strerror or error}", BAD_INPUT)


@app.command("openapi")
def print_openapi() -> None:
    """Print the OpenAPI document of the API that `serve` serves."""
    with _installed():
        from wattspan.disclosure.pact.openapi import openapi
    typer.echo(json.dumps(openapi(), indent=1, ensure_ascii=False))


@app.command("events")
def list_events(config: ConfigFile = None, as_json: Json = False) -> None:
    """Events that came from clients, and those on their way to recipients."""
    with _state(config) as (state, settings):
        from wattspan.disclosure.pact.departures import Departures

        arrivals = [
            dict(row)
            for row in state.rows("SELECT client, type, event, arrived_at FROM arrivals ORDER BY rowid")
        ]
        departures = [
            {
                "recipient": departure.recipient,
                "type": departure.type,
                "state": departure.state,
                "tries": departure.tries,
                "last_error": departure.last_error,
                "created_at": _utc(departure.created_at),
                "next_at": _utc(departure.next_at) if departure.state == "waiting" else None,
            }
            for departure in Departures(state, settings.pact.retry).all()
        ]
    if as_json:
        typer.echo(json.dumps({"arrivals": arrivals, "departures": departures}, indent=2))
        return
    table = Table("came from", "type", "at")
    for row in arrivals:
        table.add_row(row["client"], row["type"].split(".")[-2], row["arrived_at"])
    console.print(table)
    table = Table("goes to", "type", "state", "tries", "last error", "next")
    for one in departures:
        table.add_row(
            str(one["recipient"]),
            str(one["type"]).split(".")[-2],
            str(one["state"]),
            str(one["tries"]),
            str(one["last_error"]),
            str(one["next_at"] or ""),
        )
    console.print(table)


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
    with _state(config) as (state, _):
        from wattspan.disclosure.pact.clients import Clients

        _print_secret(Clients(state).add(name, feature or [], dt.datetime.now(dt.UTC)))


@client.command("renew")
def renew_client(name: Name, config: ConfigFile = None) -> None:
    """Another secret for a client: the old one and its tokens no longer hold."""
    with _state(config) as (state, _):
        from wattspan.disclosure.pact.clients import Clients

        _print_secret(Clients(state).renew(name))


@client.command("remove")
def remove_client(name: Name, config: ConfigFile = None) -> None:
    """Shut a client out, at once."""
    with _state(config) as (state, _):
        from wattspan.disclosure.pact.clients import Clients

        gone = Clients(state).remove(name)
    console.print(f"{gone.name} ({gone.id}) and its tokens are gone", markup=False)


@client.command("list")
def list_clients(config: ConfigFile = None, as_json: Json = False) -> None:
    """Who may fetch footprints, and of which features."""
    with _state(config) as (state, _):
        from wattspan.disclosure.pact.clients import Clients

        found = Clients(state).all()
    rows = [
        {
            "name": one.name,
            "client_id": one.id,
            "features": None if one.features is None else sorted(one.features),
            "created_at": one.created_at,
        }
        for one in found
    ]
    if as_json:
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    table = Table("name", "client id", "features", "since")
    for one in found:
        features = "all" if one.features is None else ", ".join(sorted(one.features))
        table.add_row(one.name, one.id, features, one.created_at)
    console.print(table)


@contextmanager
def _installed() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        fail(f"wattspan pact needs {error.name}; install wattspan[disclosure,web]")


def _config(path: Path | None) -> PactConfig:
    with _installed():
        from wattspan.disclosure.pact.settings import load_pact_config
    try:
        return load_pact_config(path, os.environ)
    except ConfigError as error:
        fail(str(error))


@contextmanager
def _state(path: Path | None) -> Iterator[tuple[State, PactConfig]]:
    """The state of a configuration; what a user can mend is told in a line."""
    config = _config(path)
    with _installed():
        from wattspan.disclosure.pact.clients import ClientError
        from wattspan.disclosure.pact.state import State, StateError
    try:
        state = State(config.pact.state)
        try:
            yield state, config
        finally:
            state.close()
    except (StateError, ClientError) as error:
        fail(str(error))


def _print_secret(made: Credentials) -> None:
    typer.echo(f"client_id: {made.client.id}")
    typer.echo(f"client_secret: {made.secret}")
    errors.print("the secret is told this once; hand it over by a safe way", style="yellow")


def _utc(moment: float) -> str:
    return dt.datetime.fromtimestamp(moment, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


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
