"""`make demo`: enrich the captures, print what came out, leave the files and a page to look at."""

from __future__ import annotations

import argparse
import json
import math
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from demo.captures import CAPTURES, Capture, Row, enrich
from demo.page import render
from wattspan import quantities
from wattspan.estimator import Estimator
from wattspan.otlp.enrich import Enricher
from wattspan.otlp.summary import Summary

COLUMNS = {
    "model": "left",
    "in": "right",
    "cached": "right",
    "out": "right",
    "reasoning": "right",
    "energy": "right",
    "90 % band": "left",
    "CO2e": "right",
    "evidence": "left",
    "where, and how known": "left",
}
NARROW = frozenset({"model", "in", "out", "energy", "90 % band", "CO2e", "evidence"})
"""What an eighty-column terminal has room for; the page has all of it."""
WIDE = 130
TIER_STYLE = {"unknown": "yellow", "closed": "cyan", "open": "green", "open_measured": "green"}


def main() -> None:
    """Run the demonstration."""
    parser = argparse.ArgumentParser(prog="make demo ARGS=…", description=__doc__)
    parser.add_argument("--all", action="store_true", help="every capture, not only the first thirteen")
    parser.add_argument("--quiet", action="store_true", help="print the totals only")
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="where the files go")
    options = parser.parse_args()

    enriched_folder = options.out / "enriched"
    enriched_folder.mkdir(parents=True, exist_ok=True)
    estimator = Estimator()
    paths = sorted(CAPTURES.glob("**/*.binpb" if options.all else "*.binpb"))
    captures = [enrich(path, Enricher(estimator), enriched_folder) for path in paths]
    total = Summary()
    for capture in captures:
        total.spans += capture.summary.spans
        total.duplicates += capture.summary.duplicates
        total.add(capture.enriched.calls, capture.enriched.estimates)
    page = options.out / "index.html"
    page.write_text(render(captures, total, estimator), encoding="utf-8")
    (options.out / "summary.json").write_text(json.dumps(total.to_json(), indent=1) + "\n", encoding="utf-8")

    console = Console(highlight=False)
    if not options.quiet:
        for capture in captures:
            console.print(_calls(capture, is_wide=console.width >= WIDE))
            console.print()
    _print_totals(console, captures, total)
    console.print(f"\nenriched files  {enriched_folder}/*.binpb\nthe page        {page}\n")


def _calls(capture: Capture, *, is_wide: bool) -> Table:
    energy, co2e = capture.energy_kwh, capture.co2e_g
    table = Table(
        title=f"[bold]{capture.title}[/]  {quantities.energy(energy.central)}, "
        f"{quantities.mass(co2e.central)}CO2e",
        title_justify="left",
        box=None,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        header_style="dim",
    )
    for name, justify in COLUMNS.items():
        if is_wide or name in NARROW:
            table.add_column(name, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    for row in capture.rows:
        cells = dict(zip(COLUMNS, _cells(row), strict=True))
        table.add_row(*(cell for name, cell in cells.items() if is_wide or name in NARROW))
    return table


def _cells(row: Row) -> list[Text]:
    if row.basis == "duplicate":
        struck = [row.model, row.input, row.cached, row.output, row.reasoning]
        return [
            *(Text(text, style="dim strike" if text else "") for text in struck),
            *(Text("") for _ in range(3)),
            Text("duplicate", style="dim"),
            Text(row.where, style="dim"),
        ]
    evidence = Text(row.tier or row.basis, style=TIER_STYLE.get(row.tier, "dim"))
    return [
        Text(row.model),
        Text(row.input),
        Text(row.cached),
        Text(row.output),
        Text(row.reasoning),
        Text(row.energy, style="bold"),
        Text(row.band, style="dim"),
        Text(row.co2e),
        evidence,
        Text(row.where if row.tier else "", style="dim"),
    ]


def _print_totals(console: Console, captures: list[Capture], total: Summary) -> None:
    energy, co2e = total.energy_kwh, total.co2e_g
    summed = math.fsum(capture.energy_if_summed_kwh for capture in captures)
    tiers = Counter({tier: share.calls for tier, share in total.by_tier.items()})
    table = Table(show_header=False, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    table.add_row("instrumentations", f"{len(captures)}, {total.spans} spans")
    table.add_row(
        "model calls",
        f"[bold]{total.calls}[/], each once: {total.errors} failed, {total.without_usage} told no tokens",
    )
    table.add_row(
        "copies",
        f"{total.duplicates} recognised; adding up every span would say "
        f"{quantities.digits((summed / energy.central - 1) * 100, 2)} % more energy",
    )
    table.add_row(
        "energy",
        f"[bold]{quantities.energy(energy.central)}[/]   "
        f"90 %: {quantities.energy_band(energy.low, energy.high, energy.central)}",
    )
    table.add_row(
        "carbon",
        f"[bold]{quantities.mass(co2e.central)}CO2e[/]   "
        f"90 %: {quantities.mass_band(co2e.low, co2e.high, co2e.central)}, operational",
    )
    table.add_row("evidence", ", ".join(f"{count} {tier}" for tier, count in tiers.most_common()))
    if total.unknown_models:
        table.add_row(
            "unknown models", ", ".join(f"{name} ({n})" for name, n in total.unknown_models.most_common(8))
        )
    console.print(table)


if __name__ == "__main__":
    main()
