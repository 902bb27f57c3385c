"""The terminal: one console for tables, one way to fail."""

from __future__ import annotations

from typing import NoReturn

import typer
from rich.console import Console

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)

BAD_INPUT = 1
BAD_USAGE = 2


def fail(message: str, status: int = BAD_USAGE) -> NoReturn:
    """Print `message` to standard error and leave with `status`."""
    errors.print("[bold red]error[/]", end=" ")
    errors.print(message, markup=False)
    raise typer.Exit(status)
