"""`wattspan serve`: the OTLP gateway."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from wattspan.cli.console import BAD_INPUT, console, fail
from wattspan.config import ConfigError


def serve(
    config: Annotated[Path | None, typer.Option(help="Configuration file (YAML).")] = None,
    check: Annotated[bool, typer.Option("--check", help="Check the configuration and leave.")] = False,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON schema of the configuration and leave.")
    ] = False,
) -> None:
    """Take OTLP in, put energy and carbon on the model calls, pass everything on, lose nothing accepted.

    SIGHUP reads the configuration again, SIGTERM finishes what is under way. Exit status: 0 stopped as
    told, 1 could not begin, 2 the configuration is wrong.
    """
    try:
        from wattspan.gateway import process
        from wattspan.gateway.configuration import json_schema, load_serve_config
    except ModuleNotFoundError as error:
        fail(f"wattspan serve needs {error.name}; install wattspan[gateway]")
    if schema:
        typer.echo(json.dumps(json_schema(), indent=2))
        return
    try:
        found = load_serve_config(config, os.environ)
        found.estimator()
        if check:
            destinations = found.gateway.destinations
            for section in destinations:
                section.tls.context()
            if found.gateway.http.tls is not None:
                found.gateway.http.tls.context()
            names = ", ".join(destination.name for destination in destinations)
            console.print(f"the configuration is good; destinations: {names}", markup=False)
            return
    except (ConfigError, ValueError, OSError) as error:
        fail(str(error))
    try:
        process.run(config, found)
    except (OSError, ValueError) as error:
        fail(str(error), BAD_INPUT)
