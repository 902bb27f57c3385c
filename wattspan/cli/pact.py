"""`wattspan pact`: footprints of WBCSD PACT v3: check them, and hand them out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from wattspan.cli.console import BAD_INPUT, console, errors, fail

app = typer.Typer(help="WBCSD PACT v3: check footprints, and hand them out.", no_args_is_help=True)


@app.command()
def check(
    files: Annotated[list[Path], typer.Argument(help="JSON: a footprint, a list, or an answer with data.")],
) -> None:
    """Hold footprints against PACT's schema and everything it lets through that cannot be meant.

    Exit status: 0 nothing is wrong, 1 something is (each field is named), 2 wrong usage.
    """
    try:
        from wattspan.disclosure.pact.rules import faults, set_faults
    except ModuleNotFoundError as error:
        fail(f"wattspan pact needs {error.name}; install wattspan[disclosure,lake]")
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
