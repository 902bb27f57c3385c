"""`wattspan report`: energy, carbon and cost of a lake by feature, model, day or whatever else."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.table import Table
from rich.text import Text

from wattspan import quantities
from wattspan.cli.console import console, fail, plain_table, print_whole

if TYPE_CHECKING:
    from wattspan.estimator import Band
    from wattspan.views.rollup import Group, Question, RollUp
    from wattspan.views.unknown import Unknown

Z: Final = {90: 1.64, 95: 1.96}
LONGEST_NAME: Final = 44
_BAR: Final = 8
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")

LakeFolder = Annotated[Path, typer.Option("--lake", help="Folder of the lake.")]


def report(
    lake: LakeFolder,
    by: Annotated[
        str,
        typer.Option(
            help="What to split by: day, hour, feature, service, agent, tool, model, effort, "
            "provider, region, tier, attribute:KEY; several with commas."
        ),
    ] = "feature",
    start: Annotated[str | None, typer.Option("--from", help="First day or time, ISO 8601, UTC.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="The day or time after the last.")] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(help="Only these: feature=Invoice* or model!=gpt-4o. Repeat it to narrow further."),
    ] = None,
    estimates: Annotated[str | None, typer.Option(help="Another set of estimates in the lake.")] = None,
    percentiles: Annotated[
        bool, typer.Option("--percentiles", help="Energy of a call and of a request: p50 and p95.")
    ] = False,
    band: Annotated[int, typer.Option(help="What the bands enclose: 90 or 95 percent.")] = 90,
    limit: Annotated[int, typer.Option(min=1, help="Rows shown in the terminal.")] = 30,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: all rows and figures.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV: all rows.")] = False,
) -> None:
    """Energy, carbon and cost of the calls in a lake, with bands, coverage and what is not known.

    Split by feature (or day, hour), it counts inferences too: energy and carbon for each 1,000 of them.
    """
    try:
        from wattspan.lake.disk import LakeError
        from wattspan.lake.reader import open_snapshot
        from wattspan.views.dimensions import QueryError, moment_unix_ns, parse_filter
        from wattspan.views.rollup import Question, kinds, roll_up
        from wattspan.views.unknown import unknowns
    except ModuleNotFoundError as error:
        fail(f"wattspan report needs {error.name}; install wattspan[lake]")
    if band not in Z:
        fail(f"--band is {band}; allowed: {', '.join(map(str, Z))}")
    if as_json and as_csv:
        fail("--json or --csv, not both")
    try:
        question = Question(
            by=tuple(name.strip() for name in by.split(",") if name.strip()),
            where=tuple(parse_filter(text) for text in where or ()),
            start_unix_ns=None if start is None else moment_unix_ns(start),
            end_unix_ns=None if end is None else moment_unix_ns(end),
            estimate_set=estimates,
            percentiles=percentiles,
            z=Z[band],
        )
        snapshot = open_snapshot(lake)
        there: tuple[Any, ...] = kinds(snapshot, question) or (None,)
        found = [(roll_up(snapshot, question, kind), unknowns(snapshot, question, kind)) for kind in there]
    except (QueryError, LakeError) as error:
        fail(str(error))
    if as_json:
        content = [
            {**rolled.as_dict(), "band_percent": band, "unknown": [one.as_dict() for one in unknown]}
            for rolled, unknown in found
        ]
        typer.echo(json.dumps({"reports": content}, indent=2, ensure_ascii=False))
    elif as_csv:
        _write_csv([rolled for rolled, _ in found])
    else:
        if len(found) > 1:
            console.print(
                f"This period holds figures of {len(found)} kinds, never added up: one table each.\n",
                style="yellow",
            )
        for rolled, unknown in found:
            _print(rolled, unknown, question, band, limit)


def _print(rolled: RollUp, unknown: Sequence[Unknown], question: Question, band: int, limit: int) -> None:
    if not rolled.groups:
        console.print("No calls of this kind in this period.", style="yellow")
        console.print("Bring some in: wattspan import FILES --lake DIR, or widen --from, --to and --where.")
        return
    print_whole(table_of(rolled, band, limit))
    if (more := len(rolled.groups) - limit) > 0:
        console.print(f"… and {more:,} more: --limit {len(rolled.groups)}, --csv or --json", style="dim")
    print_whole(facts_of(rolled, unknown))


def table_of(rolled: RollUp, band: int, limit: int) -> Table:
    """The groups as a person reads them, and the whole below."""
    from wattspan.views.dimensions import label

    table = plain_table(show_footer=True)
    whole = rolled.total
    for number, name in enumerate(rolled.by):
        table.add_column(name, footer=Text("all", style="bold") if number == 0 else "", overflow="fold")
    cells = _cells(whole, whole, band)
    for name, footer in cells:
        table.add_column(name, footer=Text.assemble(footer, style="bold"), justify="right", no_wrap=True)
    for group in rolled.groups[:limit]:
        keys = [
            Text(plain(label(name, value)), style="" if value else "yellow")
            for name, value in zip(rolled.by, group.key, strict=True)
        ]
        table.add_row(*keys, *(cell for _, cell in _cells(group, whole, band)))
    return table


def _cells(group: Group, whole: Group, band: int) -> list[tuple[str, Text]]:
    energy, carbon = group.energy_kwh, group.co2e_g
    cells: list[tuple[str, str]] = []
    if whole.requests is not None:
        requests = group.requests
        cells.append(("inferences", count(requests.completed if requests else 0.0)))
        cells.append(("failed", count(requests.failed if requests else 0.0)))
    cells.append(("calls", count(group.calls)))
    has = energy.central > 0
    cells.append(("energy", quantities.energy(energy.central) if has else "–"))
    cells.append(
        (f"{band} %", quantities.energy_band(energy.low, energy.high, energy.central) if has else "")
    )
    has = carbon.central > 0
    cells.append(("CO2e", quantities.mass(carbon.central) if has else "–"))
    cells.append((f"{band} %", quantities.mass_band(carbon.low, carbon.high, carbon.central) if has else ""))
    if whole.requests is not None:
        cells.append(("kWh/1,000", _per_1000(group.kwh_per_1000)))
        cells.append(("kgCO2e/1,000", _per_1000(group.kgco2e_per_1000)))
    if whole.call_kwh is not None:
        cells += _percentiles("call", group.call_kwh)
    if whole.request_kwh is not None:
        cells += _percentiles("request", group.request_kwh)
    if whole.with_cost:
        cells.append(("cost", f"${quantities.digits(group.cost_usd)}" if group.with_cost else "–"))
    share = energy.central / whole.energy_kwh.central if whole.energy_kwh.central else 0.0
    cells.append(("share", bar(share) if group is not whole else ""))
    return [(name, Text(text)) for name, text in cells]


def _per_1000(band: Band | None) -> str:
    return quantities.digits(band.central) if band is not None and band.central > 0 else "–"


def _percentiles(of: str, shares: dict[float, float] | None) -> list[tuple[str, str]]:
    return [
        (f"{of} p{round(share * 100)}", quantities.energy(shares[share]) if shares else "–")
        for share in (0.5, 0.95)
    ]


def facts_of(rolled: RollUp, unknown: Sequence[Unknown]) -> Table:
    """Coverage, evidence, sampling, kind, and what is not known with its remedy."""
    whole = rolled.total
    table = Table(show_header=False, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("", "")
    if whole.coverage is not None:
        failed = f"; {count(whole.failed)} failed before they used tokens" if whole.failed else ""
        table.add_row(
            "coverage",
            f"{quantities.share(whole.coverage, 1)} of {count(whole.calls - whole.failed)} calls "
            f"have a figure{failed}",
        )
    if whole.energy_kwh.central > 0:
        ranked = sorted(whole.energy_by_tier.items(), key=lambda item: -item[1])
        shares = [f"{quantities.share(kwh / whole.energy_kwh.central)} {tier}" for tier, kwh in ranked]
        table.add_row("evidence", f"{', '.join(shares)} (of the energy)")
    if whole.is_sampled:
        scaled = {how: calls for how, calls in whole.calls_by_sampling.items() if how != "all"}
        told = ", ".join(f"{quantities.share(calls / whole.calls)} {how}" for how, calls in scaled.items())
        table.add_row(
            "sampling",
            f"{told}: {whole.recorded:,} recorded calls stand for {count(whole.calls)}; bands widened",
        )
    for one in unknown:
        table.add_row(Text(f"? {one.what}", style="yellow"), _unknown(one, whole))
    for note in rolled.notes:
        table.add_row(Text("note", style="yellow"), note)
    if rolled.kind is not None:
        table.add_row("method", Text(str(rolled.kind), style="dim"))
    return table


def _unknown(one: Unknown, whole: Group) -> Text:
    energy = (
        f", {quantities.share(one.energy_kwh / whole.energy_kwh.central)} of the energy"
        if one.energy_kwh and whole.energy_kwh.central
        else ""
    )
    examples = f" ({', '.join(plain(name) for name in one.examples)})" if one.examples else ""
    return Text.assemble(f"{count(one.calls)} calls{energy}{examples}: ", (one.remedy, "dim"))


def _write_csv(rolled: Sequence[RollUp]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    for number, one in enumerate(rolled):
        rows = [_flat(group, one) for group in one.groups]
        if rows and number == 0:
            writer.writerow(rows[0])
        for row in rows:
            writer.writerow(["" if value is None else value for value in row.values()])


def _flat(group: Group, rolled: RollUp) -> dict[str, Any]:
    """One level of plain values."""
    flat: dict[str, Any] = {}
    for name, value in group.as_dict(rolled.by).items():
        if isinstance(value, dict) and name not in {"energy_kwh_by_tier", "calls_by_sampling"}:
            flat |= {_name(name, part): number for part, number in value.items()}
        elif not isinstance(value, dict):
            flat[name] = _safe(value) if name in rolled.by else value
    return flat | (rolled.kind.as_dict() if rolled.kind else {})


def _name(name: str, part: str) -> str:
    return name if part == "central" else f"{name}_{part}"


def _safe(text: str) -> str:
    """Text that no spreadsheet takes for a formula: names of spans come from outside."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def count(number: float) -> str:
    """A count; of scaled samples a rounded one."""
    return f"{number:,.0f}"


def bar(share: float) -> str:
    """A share as a bar and a number."""
    filled = round(share * _BAR)
    return f"{'▇' * filled}{' ' * (filled < _BAR)}{quantities.share(share)}"


def plain(text: str) -> str:
    """A name from outside, without what would move the cursor, and not longer than a line takes."""
    shown = "".join(char if char.isprintable() else "�" for char in text)
    return shown if len(shown) <= LONGEST_NAME else f"{shown[: LONGEST_NAME - 1]}…"
