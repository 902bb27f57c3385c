"""`wattspan enrich`: OTLP files in, the same files with energy and carbon on their model calls out."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from wattspan import quantities
from wattspan.cli.console import BAD_INPUT, errors, fail, print_problems
from wattspan.cli.progress import reading_bar
from wattspan.config import ConfigError, load_config
from wattspan.methodology import Edition, EditionError
from wattspan.otlp.attributes import DETAILS, PROFILES
from wattspan.otlp.enrich import Enricher
from wattspan.otlp.files import STANDARD, FileError, UnreadableRestError, enrich_file
from wattspan.otlp.summary import Share, Summary

_Choice = TypeVar("_Choice", bound=str)

MODELS_SHOWN = 8
REASONS_SHOWN = 5


def enrich(
    source: Annotated[str, typer.Argument(metavar="IN", help="OTLP file, or - for standard input.")],
    target: Annotated[str, typer.Argument(metavar="OUT", help="File to write, or - for standard output.")],
    summary: Annotated[Path | None, typer.Option(help="Write the summary as JSON to this file.")] = None,
    profile: Annotated[
        str | None, typer.Option(help=f"Names of the attributes: {', '.join(PROFILES)}.")
    ] = None,
    detail: Annotated[str | None, typer.Option(help=f"How many attributes: {', '.join(DETAILS)}.")] = None,
    edition: Annotated[str | None, typer.Option(help="Methodology edition.")] = None,
    factor_type: Annotated[str | None, typer.Option(help="lifecycle or direct.")] = None,
    resolution: Annotated[str | None, typer.Option(help="annual or typical-hour.")] = None,
    config: Annotated[Path | None, typer.Option(help="Configuration file (YAML).")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no summary.")] = False,
) -> None:
    """Put energy and carbon on the model calls in IN, and write everything to OUT.

    OTLP protobuf, OTLP JSON, JSON lines or the collector's length-prefixed messages; plain, gzip or zstd. The
    format out is the format in, and what is not ours comes out as it went in. Exit status: 0 all was read, 1
    some of the input was bad (the rest went through), 2 wrong usage.
    """
    try:
        settings = load_config(config)
        estimator = settings.estimator(edition=edition, factor_type=factor_type, resolution=resolution)
        enricher = Enricher(
            estimator,
            profile=_one_of("--profile", profile or settings.attributes.profile, PROFILES),
            detail=_one_of("--detail", detail or settings.attributes.detail, DETAILS),
        )
    except (ConfigError, EditionError, ValueError) as error:
        fail(str(error))
    if summary is not None and (summary.is_dir() or not summary.parent.is_dir()):
        fail(f"--summary {summary}: name a file in a folder that is there")
    try:
        with reading_bar("enriching", _size(source), quiet) as on_bytes:
            found = enrich_file(source, target, enricher, on_bytes=on_bytes)
    except UnreadableRestError as error:
        fail(str(error), BAD_INPUT)
    except FileError as error:
        fail(str(error))
    except BrokenPipeError:
        # Whoever read our standard output has had enough; there is nobody left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        raise typer.Exit(BAD_INPUT) from None
    if summary is not None:
        _write(summary, found, estimator.edition)
    if not quiet:
        errors.print(report(found, estimator.edition.label))
    print_problems(found.problems, found.problem_count)
    if found.problem_count:
        raise typer.Exit(BAD_INPUT)


def _one_of(option: str, found: str, allowed: tuple[_Choice, ...]) -> _Choice:
    for choice in allowed:
        if choice == found:
            return choice
    raise ValueError(f"{option} is {found!r}; allowed: {', '.join(allowed)}")


def _size(source: str) -> int | None:
    """Bytes of the file; None for what has no size beforehand."""
    return Path(source).stat().st_size if source != STANDARD and Path(source).is_file() else None


def _write(path: Path, found: Summary, edition: Edition) -> None:
    content = {**found.to_json(), "edition": edition.label, "edition_digest": edition.digest}
    text = json.dumps(content, indent=2, ensure_ascii=False)
    try:
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        fail(f"--summary: {path} cannot be written: {error.strerror}")


def report(found: Summary, edition: str) -> RenderableType:
    """The summary as a person reads it."""
    table = Table(show_header=False, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("spans", f"{found.spans:,}")
    counted = [
        f"{count:,} {what}"
        for count, what in (
            (found.errors, "with an error"),
            (found.without_usage, "without usage: no figure"),
            (found.duplicates, "duplicates left out"),
        )
        if count
    ]
    table.add_row("model calls", f"{found.calls:,}", ", ".join(counted))
    if found.calls:
        _add_figures(table, found)
    lines: list[RenderableType] = [table]
    if found.unknown_models:
        named = [f"{name} ({count:,})" for name, count in found.unknown_models.most_common(MODELS_SHOWN)]
        if (more := len(found.unknown_models) - MODELS_SHOWN) > 0:
            named.append(f"and {more:,} more")
        lines.append(Text(f"unknown models: {', '.join(named)}", style="yellow"))
    lines.append(Text(f"edition {edition}", style="dim"))
    return Group(*lines)


def _add_figures(table: Table, found: Summary) -> None:
    tokens = found.tokens
    table.add_row(
        "input tokens",
        f"{tokens['input']:,}",
        f"{tokens['cache_read']:,} read from cache, {tokens['cache_write']:,} written to it",
    )
    table.add_row("output tokens", f"{tokens['output']:,}", f"{tokens['reasoning']:,} of them reasoning")
    energy, carbon = found.energy_kwh, found.co2e_g
    table.add_row(
        "energy",
        Text(quantities.energy(energy.central), style="bold"),
        f"90 %: {quantities.energy_band(energy.low, energy.high, energy.central)}",
    )
    table.add_row(
        "carbon",
        Text(f"{quantities.mass(carbon.central)}CO2e" if found.with_carbon else "no figure", style="bold"),
        f"90 %: {quantities.mass_band(carbon.low, carbon.high, carbon.central)}",
    )
    coverage, with_carbon = found.coverage["energy"], found.coverage["carbon"]
    if coverage is not None and with_carbon is not None:
        but = "" if with_carbon == coverage else f", {with_carbon:.1%} one of carbon"
        table.add_row("coverage", f"{coverage:.1%}", f"of the calls that did not fail have a figure{but}")
    table.add_row("evidence", "", _classes(found.by_tier))
    table.add_row("region known by", "", _classes(found.by_region_source))
    kinds = ", ".join(" ".join(kind) for kind in sorted(found.grid_kinds))
    table.add_row("intensity", "", f"{kinds}: {_classes(found.by_grid_resolution) or 'none'}")
    if found.by_grid_accounting:
        table.add_row("accounting", "", _classes(found.by_grid_accounting))
    for reason, count in found.grid_reasons.most_common(REASONS_SHOWN):
        table.add_row("no carbon", f"{count:,}", reason)


def _classes(shares: dict[str, Share]) -> str:
    """Shares of the energy and numbers of calls: "62 % host (5), 30 % geography_mix (2), 8 % world (1)"."""
    ranked = sorted(shares.items(), key=lambda item: -item[1].energy_kwh)
    whole_kwh = sum(share.energy_kwh for share in shares.values())
    return ", ".join(
        f"{quantities.share(share.energy_kwh / whole_kwh if whole_kwh else 0.0)} {name} ({share.calls:,})"
        for name, share in ranked
    )
