"""`wattspan top`: what takes the most energy now: features, models, traces, subtrees."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from wattspan import quantities
from wattspan.cli.console import console, fail, print_whole
from wattspan.cli.report import LakeFolder, bar, count, plain
from wattspan.cli.when import seconds

if TYPE_CHECKING:
    from wattspan.estimator import Band


def top(
    lake: LakeFolder,
    last: Annotated[str, typer.Option(help="How far back from now: 15m, 24h, 30d; or all.")] = "24h",
    n: Annotated[int, typer.Option("-n", min=1, max=100, help="Rows of each table.")] = 5,
    watch: Annotated[
        float | None, typer.Option(min=1, help="Stay, and look again every so many seconds.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """The features, models, traces and subtrees that take the most energy."""
    try:
        from wattspan.lake.disk import LakeError
        from wattspan.views.dimensions import QueryError
    except ModuleNotFoundError as error:
        fail(f"wattspan top needs {error.name}; install wattspan[lake]")
    try:
        if as_json:
            typer.echo(json.dumps(_as_json(_look(lake, last, n)), indent=2, ensure_ascii=False))
        elif watch is None:
            print_whole(_screen(_look(lake, last, n)))
        else:
            with Live(console=console, screen=console.is_terminal, auto_refresh=False) as live:
                while True:
                    live.update(_screen(_look(lake, last, n)), refresh=True)
                    time.sleep(watch)
    except (QueryError, LakeError, ValueError) as error:
        fail(str(error))
    except KeyboardInterrupt:
        return


def _look(folder: Path, last: str, n: int) -> dict[str, Any]:
    from wattspan.lake.reader import open_snapshot
    from wattspan.views.rollup import Question, kinds, roll_up
    from wattspan.views.top import top_subtrees, top_traces

    since = None if last == "all" else int(time.time() - seconds("--last", last)) * 10**9
    snapshot, question = open_snapshot(folder), Question(start_unix_ns=since)
    there: tuple[Any, ...] = kinds(snapshot, question)
    return {
        "last": last,
        "features": [roll_up(snapshot, Question(("feature",), start_unix_ns=since), kind) for kind in there],
        "models": [roll_up(snapshot, Question(("model",), start_unix_ns=since), kind) for kind in there],
        "traces": top_traces(snapshot, question, n),
        "subtrees": top_subtrees(snapshot, question, n),
        "n": n,
    }


def _screen(found: dict[str, Any]) -> RenderableType:
    if not found["features"] or not any(rolled.groups for rolled in found["features"]):
        since = "" if found["last"] == "all" else f" of the last {found['last']}"
        return Text(
            f"No calls{since} in this lake; look further back: --last 30d, or --last all", style="yellow"
        )
    parts: list[RenderableType] = []
    for features, models in zip(found["features"], found["models"], strict=True):
        parts += [_title(f"{features.kind}"), _groups("feature", features, found["n"])]
        parts += [_groups("model", models, found["n"])]
    whole = sum(rolled.total.energy_kwh.central for rolled in found["features"])
    if found["subtrees"]:
        rows = [
            (
                [plain(one.name), plain(one.service), f"{count(one.count)} ×", f"{count(one.calls)} calls"],
                one.energy_kwh,
                one.co2e_g,
                one.energy_kwh.central / whole if whole else 0.0,
            )
            for one in found["subtrees"]
        ]
        parts.append(_table("subtree", ["", "", ""], rows))
    rows = [
        (
            [plain(one.name), plain(one.service), _time(one.start_unix_ns), f"{one.calls:,} calls"],
            one.energy_kwh,
            one.co2e_g,
            one.energy_kwh.central / whole if whole else 0.0,
        )
        for one in found["traces"]
    ]
    parts.append(_table("trace", ["", "", ""], rows, [one.trace_id for one in found["traces"]]))
    return Group(*parts)


def _title(text: str) -> Text:
    return Text(text, style="dim")


def _groups(name: str, rolled: Any, n: int) -> Table:
    from wattspan.views.dimensions import label

    whole = rolled.total.energy_kwh.central
    rows = []
    for group in rolled.groups[:n]:
        facts = [plain(label(name, group.key[0])), f"{count(group.calls)} calls"]
        if group.requests is not None:
            facts.append(f"{count(group.requests.completed)} inferences")
        rows.append(
            (facts, group.energy_kwh, group.co2e_g, group.energy_kwh.central / whole if whole else 0.0)
        )
    return _table(name, [""] * (len(rows[0][0]) - 1 if rows else 0), rows)


def _table(
    name: str,
    more: Sequence[str],
    rows: Sequence[tuple[list[str], Band, Band, float]],
    ids: Sequence[str] = (),
) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column(name, no_wrap=True)
    for title in more:
        table.add_column(title, style="dim", no_wrap=True)
    for title in ("energy", "90 %", "CO2e", "share"):
        table.add_column(title, justify="right" if title != "share" else "left", no_wrap=True)
    if ids:
        table.add_column("trace id", style="dim", no_wrap=True)
    for number, (facts, energy, carbon, share) in enumerate(rows):
        table.add_row(
            *map(Text, facts),
            quantities.energy(energy.central),
            quantities.energy_band(energy.low, energy.high, energy.central),
            quantities.mass(carbon.central) if carbon.central else "–",
            bar(share),
            *([ids[number]] if ids else []),
        )
    table.add_row("")
    return table


def _time(unix_ns: int) -> str:
    return dt.datetime.fromtimestamp(unix_ns / 1e9, dt.UTC).strftime("%d %b %H:%M:%S")


def _as_json(found: dict[str, Any]) -> dict[str, Any]:
    n = found["n"]
    return {
        "last": found["last"],
        **{
            name: [
                {**rolled.kind.as_dict(), **group.as_dict(rolled.by)}
                for rolled in found[name]
                for group in rolled.groups[:n]
            ]
            for name in ("features", "models")
        },
        **{
            name: [
                {
                    field: value._asdict() if hasattr(value, "_asdict") else value
                    for field in one.__slots__
                    for value in [getattr(one, field)]
                }
                for one in found[name]
            ]
            for name in ("subtrees", "traces")
        },
    }
