"""`wattspan web`: the page over a lake."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wattspan.cli.console import BAD_INPUT, console, fail


def web(
    lake: Annotated[Path, typer.Option(help="Folder of the lake; it may come later.")],
    config: Annotated[
        Path | None, typer.Option("--config", help="Configuration file (YAML): disclosure.folder is shown.")
    ] = None,
    book: Annotated[
        Path | None,
        typer.Option("--book", help="Folder of the disclosures; disclosure.folder where absent."),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on. Others than this machine's need a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.")] = 8321,
    token: Annotated[
        str | None, typer.Option(envvar="WATTSPAN_WEB_TOKEN", help="What visitors must bring.")
    ] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="Further names that this server is called by.")
    ] = None,
) -> None:
    """Show a lake in the browser: overview, traces, flame graphs, disclosures, models. It only reads.

    Exit status: 0 stopped as told, 1 could not begin, 2 wrong usage.
    """
    try:
        from wattspan.disclosure.pact.terms import terms_of
        from wattspan.web.server import ExposedError, serve_page
    except ModuleNotFoundError as error:
        fail(f"wattspan web needs {error.name}; install wattspan[web]")
    import asyncio

    from wattspan.config import ConfigError, load_config

    try:
        section = load_config(config).disclosure
    except ConfigError as error:
        fail(str(error))
    shown = book or (section.folder if section else Path("disclosures"))

    def ready(address: str) -> None:
        console.print(f"{address}  Ctrl-C stops", markup=False, highlight=False, soft_wrap=True)

    try:
        asyncio.run(
            serve_page(
                lake,
                book=shown,
                terms=terms_of(section),
                host=host,
                port=port,
                token=token,
                more_hosts=tuple(allow_host or ()),
                on_ready=ready,
            )
        )
    except ExposedError as error:
        fail(str(error))
    except OSError as error:
        fail(f"{host}:{port} cannot be served: {error.strerror or error}", BAD_INPUT)
