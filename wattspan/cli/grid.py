"""`wattspan grid`: what the cache of the live feed holds, filling it, and typical hours made of it."""

from __future__ import annotations

import datetime as dt
import json
import math
import os
import time
from collections import Counter
from collections.abc import Mapping
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from wattspan.cli.console import BAD_INPUT, console, errors, fail
from wattspan.config import Config, ConfigError, load_config
from wattspan.grid import Kind
from wattspan.grid.intensity import kind_text
from wattspan.grid.tables import Tables
from wattspan.methodology import Edition, EditionError
from wattspan.otlp.enrich import Enricher
from wattspan.otlp.files import FileError, enrich_file

if TYPE_CHECKING:
    from wattspan.grid.cache import Holding
    from wattspan.grid.history import ZoneHistory
    from wattspan.grid.prefetch import Filled

app = typer.Typer(help="The live feed's cache, and typical hours of your own.", no_args_is_help=True)

ERRORS_SHOWN = 5

ConfigFile = Annotated[Path | None, typer.Option(help="Configuration file (YAML).")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
KINDS: dict[str, Kind] = {
    "average-lifecycle": Kind("average", "lifecycle"),
    "average-direct": Kind("average", "direct"),
}


@app.command("status")
def status(config: ConfigFile = None, as_json: Json = False) -> None:
    """What the cache holds: feeds, kinds, zones, hours, vintages, when they were fetched, and its size."""
    try:
        path = load_config(config).grid.cache
    except ConfigError as error:
        fail(str(error))
    if not path.is_file():
        fail(
            f"{path}: there is no grid cache yet; `wattspan grid prefetch`, or any command with a live feed, "
            "makes one; grid.cache says where",
            BAD_INPUT,
        )
    from wattspan.grid.cache import Cache, CacheError

    try:
        cache = Cache(path)
    except CacheError as error:
        fail(str(error))
    holdings, size_bytes = cache.holdings(), cache.size_bytes()
    if as_json:
        listed = [
            {
                **holding._asdict(),
                "kind": kind_text(holding.kind),
                "last_fetched": _time(holding.last_fetched_unix_s),
                "first": _time(holding.first_unix_s),
                "last": _time(holding.last_unix_s),
            }
            for holding in holdings
        ]
        typer.echo(json.dumps({"file": str(path), "size_bytes": size_bytes, "zones": listed}, indent=2))
        return
    console.print(f"{path}: {_size(size_bytes)}, {cache.position():,} answers kept")
    if not holdings:
        console.print("nothing was fetched yet")
        return
    for (feed, kind), rows in groupby(holdings, lambda holding: (holding.feed, holding.kind)):
        console.print(f"\n{feed}, {kind_text(kind)}")
        console.print(_table(list(rows)))
    for source, vintage in sorted({(holding.source, holding.vintage) for holding in holdings}):
        console.print(f"{source}{f', {vintage}' if vintage else ''}", style="dim", markup=False)


def _table(holdings: list[Holding]) -> Table:
    headings = ("zone", "measured", "estimated", "forecast", "from", "to", "fetched")
    table = Table(*headings, box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    for column in table.columns:
        column.overflow = "fold"
    for holding in holdings:
        table.add_row(
            holding.zone,
            f"{holding.measured:,}",
            f"{holding.estimated:,}",
            f"{holding.forecast:,}",
            _time(holding.first_unix_s)[:-4] or "nothing",
            _time(holding.last_unix_s)[:-4],
            _time(holding.last_fetched_unix_s)[:10],
        )
    return table


@app.command("prefetch")
def prefetch(
    files: Annotated[list[str] | None, typer.Argument(metavar="[FILE]...", help="OTLP files.")] = None,
    zone: Annotated[
        list[str] | None, typer.Option(help="A zone, as the feed calls it, whose last day is wanted too.")
    ] = None,
    every: Annotated[
        float | None, typer.Option(min=10, help="Go on: keep the zones up to date, every so many seconds.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be asked for.")] = False,
    config: ConfigFile = None,
    as_json: Json = False,
) -> None:
    """Fetch the hours that the calls in FILEs need from the live feed, so that `wattspan enrich` finds them.

    Exit status: 0 every hour is there, 1 some are not (the reasons are printed), 2 wrong usage.
    """
    if not files and not zone:
        fail("nothing to fetch: give OTLP files, or --zone with a zone of the feed")
    try:
        estimator = load_config(config).estimator()
    except (ConfigError, EditionError, ValueError) as error:
        fail(str(error))
    from wattspan.grid.live import LiveSignal
    from wattspan.grid.prefetch import Prefetcher

    signal = estimator.grid
    if not isinstance(signal, LiveSignal):
        fail("grid.live is not configured: the edition's own figures need no network and no prefetch")
    prefetcher = Prefetcher(signal, interval_s=every or 300.0)

    def look_up() -> None:
        signal.see(zone or ())
        for file in files or ():
            enrich_file(file, os.devnull, Enricher(estimator))

    try:
        with errors.status("reading", spinner="line") as spinner:
            prefetcher.on_range = lambda name, start, end: spinner.update(
                f"asking {signal.feed.name} for {name}, {_time(start)} to {_time(end)}"
            )
            filled = prefetcher.fill(look_up, is_dry=dry_run)
    except FileError as error:
        fail(str(error))
    wanted = {name: len(steps) for name, steps in sorted(filled.wanted.items())}
    lacking = {name: len(filled.lacking[name]) for name in wanted if name in filled.lacking}
    reasons = Counter(str(error) for error in filled.round.errors)
    if as_json:
        content = {
            "feed": signal.feed.name,
            "kind": kind_text(signal.kind),
            "wanted": wanted,
            "lacking": lacking,
            "unlocated": filled.unlocated,
            "ranges": filled.ranges,
            "new": filled.round.new,
            "revised": filled.round.revised,
            "rejected": filled.round.rejected,
            "set_aside": list(dict.fromkeys(filled.round.set_aside)),
            "warnings": list(dict.fromkeys(filled.round.warnings)),
            "errors": list(reasons),
        }
        typer.echo(json.dumps(content, indent=2, ensure_ascii=False))
    else:
        _print_filled(signal.feed.name, kind_text(signal.kind), wanted, lacking, filled, dry_run)
        for text, count in reasons.most_common(ERRORS_SHOWN):
            errors.print(f"{text}{f' ({count} times)' if count > 1 else ''}", style="yellow", markup=False)
    while every and not dry_run:
        time.sleep(every)
        signal.see(zone or ())
        for failed in prefetcher.round().errors:
            errors.print(str(failed), style="yellow", markup=False)
    if (lacking or filled.unlocated or reasons) and not dry_run:
        raise typer.Exit(BAD_INPUT)


@app.command("shapes")
def shapes(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="File to write (JSON), for grid.shapes.")],
    file: Annotated[
        Path | None,
        typer.Option(help="Hours of your own, CSV or Parquet; else the configured feed's."),
    ] = None,
    kind: Annotated[
        str, typer.Option(help="What the file's values are: average-lifecycle or average-direct.")
    ] = "",
    timezone: Annotated[str, typer.Option(help="IANA name, for times without an offset.")] = "",
    period_s: Annotated[int, typer.Option(help="How long a value holds: 300, 900, 1800 or 3600.")] = 3600,
    unit: Annotated[str, typer.Option(help="g/kWh, kg/MWh or lb/MWh.")] = "g/kWh",
    time_is: Annotated[
        str, typer.Option(help="Which end of its period a time names: start or end.")
    ] = "start",
    config: ConfigFile = None,
    as_json: Json = False,
) -> None:
    """Make typical hours (month by UTC hour) from at least twelve months of hours of your own.

    Exit status: 0 all zones have some, 1 some zones do not (the reasons are printed), 2 wrong usage or none.
    """
    from wattspan.grid.cache import CacheError
    from wattspan.grid.feeds.errors import FeedFileError
    from wattspan.grid.history import shapes_of
    from wattspan.grid.shape_file import write_shapes

    try:
        settings = load_config(config)
        if file is None:
            of_kind, histories = _configured(settings)
        else:
            of_kind, histories = _in_file(file, kind, timezone, period_s, unit, time_is)
        year_of_age_g = Tables(Edition.load(settings.edition).folder).spreads["year_of_age"]
        made, reasons = shapes_of(histories, of_kind, math.log(year_of_age_g))
    except (CacheError, EditionError, FeedFileError, ValueError) as error:
        fail(str(error))
    for reason in reasons:
        errors.print(reason, style="yellow", markup=False, soft_wrap=True)
    if not made.zones:
        fail("no zone has enough hours for a typical year; nothing was written")
    try:
        write_shapes(made, out)
    except OSError as error:
        fail(f"{out}: cannot be written: {error.strerror}")
    rows = [
        {
            "zone": zone,
            "vintage": shape.vintage,
            "hours": shape.hours,
            "estimated_share": round(shape.estimated_share, 4),
            "lowest_factor": round(float(shape.factors.min()), 3),
            "highest_factor": round(float(shape.factors.max()), 3),
            "g": round(shape.g, 3),
            "basis": shape.basis,
            "source": shape.source,
        }
        for zone, shape in made.zones.items()
    ]
    if as_json:
        typer.echo(json.dumps({"file": str(out), "zones": rows, "left_out": reasons}, indent=2))
    else:
        table = Table("zone", "months", "hours", "estimated", "factors", "g (68 %)")
        for row in rows:
            table.add_row(
                str(row["zone"]),
                str(row["vintage"]),
                f"{row['hours']:,}",
                f"{row['estimated_share']:.0%}",
                f"{row['lowest_factor']} to {row['highest_factor']}",
                str(row["g"]),
            )
        console.print(table)
        for basis in dict.fromkeys(str(row["basis"]) for row in rows):
            console.print(f"g is measured on {basis}", style="dim")
        console.print(
            f"{out}: typical hours, {kind_text(made.kind)}. To use them set grid.shapes: {out} and "
            "grid.resolution: typical-hour",
            soft_wrap=True,
            markup=False,
        )
    if reasons:
        raise typer.Exit(BAD_INPUT)


def _configured(settings: Config) -> tuple[Kind, Mapping[str, ZoneHistory]]:
    """The history of the configured file, or what the cache holds of the configured kind and feed."""
    from wattspan.grid.cache import Cache
    from wattspan.grid.feeds.file import FileFeed
    from wattspan.grid.history import of_cache, of_series

    kind = Kind(settings.grid.signal, settings.grid.factor_type)
    name = str((settings.grid.live or {}).get("feed", ""))
    if name == "file":
        feed = settings.feed()
        assert isinstance(feed, FileFeed)
        return kind, of_series(feed.everything())
    path = settings.grid.cache
    if not path.is_file():
        raise ValueError(
            f"{path}: there is no grid cache; give --file, or fetch with `wattspan grid prefetch`"
        )
    cache = Cache(path)
    found = [(number, feed) for number, feed, of in cache.signals() if of == kind and feed.startswith(name)]
    if len(found) != 1:
        feeds = ", ".join(feed for _, feed in found) or "none"
        raise ValueError(
            f"{path}: one feed with {kind_text(kind)} values is needed, found {feeds}; "
            "name it under grid.live, or set grid.signal and grid.factor_type"
        )
    return kind, of_cache(cache, found[0][0])


def _in_file(
    path: Path, kind: str, timezone: str, period_s: int, unit: str, time_is: str
) -> tuple[Kind, Mapping[str, ZoneHistory]]:
    from wattspan.grid.feeds.file import UNITS, FileFeed
    from wattspan.grid.history import of_series

    if kind not in KINDS:
        raise ValueError(
            f"--kind is {kind!r}; allowed: {', '.join(KINDS)}. Nobody can tell it by the values, and "
            "no table has a marginal year for marginal hours to multiply"
        )
    if unit not in UNITS:
        raise ValueError(f"--unit is {unit!r}; allowed: {', '.join(UNITS)}")
    if time_is not in ("start", "end"):
        raise ValueError(f"--time-is is {time_is!r}; allowed: start, end")
    feed = FileFeed(
        path,
        kind=KINDS[kind],
        period_s=period_s,
        unit=cast(Literal["g/kWh", "kg/MWh", "lb/MWh"], unit),
        timezone=timezone,
        time_is=cast(Literal["start", "end"], time_is),
    )
    return feed.kind, of_series(feed.everything())


def _print_filled(
    feed: str, kind: str, wanted: Mapping[str, int], lacking: Mapping[str, int], filled: Filled, is_dry: bool
) -> None:
    console.print(f"{feed}, {kind}")
    if wanted:
        table = Table("zone", "periods wanted", "to be asked for" if is_dry else "not there")
        for zone, count in wanted.items():
            table.add_row(zone, f"{count:,}", f"{lacking.get(zone, 0):,}")
        console.print(table)
    else:
        console.print("no period is wanting: the calls' hours are there, or their zones are not the feed's")
    for region in filled.unlocated:
        console.print(f"{region}: the feed has to be asked for its zone first")
    did = filled.round
    if is_dry:
        console.print(f"{filled.ranges:,} ranges would be asked for")
    else:
        console.print(
            f"{filled.ranges:,} ranges asked for, {did.new:,} new values, {did.revised:,} revised, "
            f"{did.rejected:,} set aside"
        )
    for reason in list(dict.fromkeys(did.set_aside))[:ERRORS_SHOWN]:
        console.print(f"set aside: {reason}", style="yellow", markup=False)
    for warning in dict.fromkeys(did.warnings):
        console.print(f"the feed warns: {warning}", style="yellow", markup=False)


def _time(moment_unix_s: int | None) -> str:
    """To the minute, as 2026-11-23T14:00Z; "" for none."""
    if moment_unix_s is None:
        return ""
    return dt.datetime.fromtimestamp(moment_unix_s, dt.UTC).strftime("%Y-%m-%dT%H:%MZ")


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 2**20:,.1f} MiB" if size_bytes >= 2**20 else f"{size_bytes / 2**10:,.0f} KiB"
