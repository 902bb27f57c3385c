"""`wattspan doctor`: what runs here and what is missing."""

from __future__ import annotations

import json
import platform
import sys
from typing import Annotated, Any

import numpy as np
import typer
from rich.table import Table

import wattspan
from wattspan.cli.console import BAD_INPUT, console
from wattspan.methodology import EDITIONS_FOLDER, Edition, editions, verify
from wattspan.otlp import wire


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """What runs here: versions, wire kernel, editions and whether they are whole; status 1 on a fault."""
    faults: list[str] = []
    found: dict[str, Any] = {
        "wattspan": wattspan.__version__,
        "python": f"{platform.python_implementation()} {sys.version.split()[0]}",
        "numpy": np.__version__,
        "wire kernel": wire.IMPLEMENTATION,
    }
    for name in editions():
        edition = Edition(EDITIONS_FOLDER / name)
        problems = verify(edition)
        faults += [f"edition {name}: {problem}" for problem in problems]
        state = "damaged" if problems else "whole"
        found[f"edition {edition.label}"] = f"{edition.status}, {state}, {edition.digest[:12]}"
        found[f"edition {edition.label} GPUs"] = ", ".join(sorted(edition.form.gpus))
    if as_json:
        typer.echo(json.dumps({"found": found, "faults": faults}, indent=2))
    else:
        table = Table(show_header=False, box=None, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column(style="dim", no_wrap=True)
        table.add_column(overflow="fold")
        for name, value in found.items():
            table.add_row(name, str(value))
        if wire.IMPLEMENTATION != "cython":
            table.add_row(
                "advice", "install a C compiler and reinstall wattspan: the wire kernel is many times faster"
            )
        for fault in faults:
            table.add_row("fault", fault)
        console.print(table)
    if faults:
        raise typer.Exit(BAD_INPUT)
