"""The terminal: one console for tables, one way to fail."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NoReturn

import typer
from rich.console import Console, RenderableType
from rich.table import Table

from wattspan import quantities

if TYPE_CHECKING:
    from wattspan.estimator import Sums

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)

BAD_INPUT = 1
BAD_USAGE = 2
_WIDEST: Final = 400
_PROBLEMS_SHOWN: Final = 10


def plain_table(*headings: str, show_footer: bool = False) -> Table:
    """A table without lines, whose cells fold and are never cut: half an id or half a figure is none."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim", show_footer=show_footer)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def print_whole(what: RenderableType) -> None:
    """Print; into a file or pipe as wide as it is, not cut to a terminal that is not there."""
    if console.is_terminal:
        console.print(what)
        return
    text = io.StringIO()
    natural = console.measure(what, options=console.options.update(max_width=_WIDEST)).maximum
    Console(highlight=False, file=text, width=max(console.width, natural)).print(what)
    typer.echo("\n".join(line.rstrip() for line in text.getvalue().rstrip().split("\n")))


def fail(message: str, status: int = BAD_USAGE) -> NoReturn:
    """Print `message` to standard error and leave with `status`."""
    errors.print("[bold red]error[/]", end=" ")
    errors.print(message, markup=False)
    raise typer.Exit(status)


def add_sums(table: Table, sums: Sums) -> None:
    """Rows for energy and carbon with their 90 % bands."""
    energy, carbon = sums.energy_kwh, sums.co2e_g
    energy_band = quantities.energy_band(energy.low, energy.high, energy.central)
    table.add_row("energy", quantities.energy(energy.central), f"90 %: {energy_band}")
    carbon_band = quantities.mass_band(carbon.low, carbon.high, carbon.central)
    table.add_row("carbon", f"{quantities.mass(carbon.central)}CO2e", f"90 %: {carbon_band}")


def print_problems(problems: Sequence[object], count: int) -> None:
    """What was wrong with the input, to standard error: the first few, and how many more of `count`."""
    for problem in problems[:_PROBLEMS_SHOWN]:
        errors.print(str(problem), markup=False, style="yellow", soft_wrap=True)
    if count > _PROBLEMS_SHOWN:
        errors.print(f"... and {count - _PROBLEMS_SHOWN:,} more problems", style="yellow")
