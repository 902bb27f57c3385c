"""`wattspan flame`: a flame graph whose width is energy, carbon, cost, tokens or time, as a file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wattspan.cli.console import BAD_INPUT, errors, fail
from wattspan.config import load_config

if TYPE_CHECKING:
    from wattspan.lake.reader import Snapshot
    from wattspan.views.flame_source import Drawn

FORMATS = ("html", "pprof", "speedscope", "collapsed")
ENDINGS = {"html": ".html", "pprof": ".pb.gz", "speedscope": ".speedscope.json", "collapsed": ".txt"}


def flame(
    source: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="OTLP file, instead of a lake.")
    ] = None,
    lake: Annotated[Path | None, typer.Option(help="Folder of the lake.")] = None,
    trace: Annotated[str | None, typer.Option(help="One trace: its id, 32 hexadecimal digits.")] = None,
    start: Annotated[
        str | None, typer.Option("--from", help="Spans from this day or time on (UTC), merged.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="Up to this day, or before this time.")] = None,
    estimates: Annotated[
        str | None, typer.Option(help="Another set of estimates than the lake's own.")
    ] = None,
    against_start: Annotated[
        str | None, typer.Option("--against-from", help="What changed since a period that begins here.")
    ] = None,
    against_end: Annotated[str | None, typer.Option("--against-to", help="And ends here.")] = None,
    against_estimates: Annotated[
        str | None, typer.Option(help="What changed against another set of estimates; `own` for the lake's.")
    ] = None,
    format: Annotated[str, typer.Option(help=f"{', '.join(FORMATS)}.")] = "html",
    axis: Annotated[
        str, typer.Option(help="Of collapsed stacks: energy, carbon, cost, tokens, time.")
    ] = "energy",
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="File to write; - for standard output.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="Configuration file (YAML), for FILE.")] = None,
) -> None:
    """Draw one trace, or all spans of a period merged by feature, agent, tool and model.

    The HTML is one file that needs no network and can be mailed. Exit status: 0 written, 1 there is nothing
    to draw, 2 wrong usage.
    """
    try:
        from wattspan.lake.disk import LakeError
        from wattspan.lake.reader import open_snapshot
        from wattspan.views.flame import flame as summed
        from wattspan.views.flame_change import change
        from wattspan.views.flame_formats import collapsed, pprof, speedscope
        from wattspan.web.flame_file import NotPackedError, flame_file
    except ModuleNotFoundError as error:
        fail(f"wattspan flame needs {error.name}; install wattspan[web]")
    if format not in FORMATS:
        fail(f"--format is {format!r}; allowed: {', '.join(FORMATS)}")
    if (source is None) == (lake is None):
        fail("name a FILE of spans, or --lake DIR, one of them")
    compares = against_start is not None or against_end is not None or against_estimates is not None
    if compares and (trace is not None or lake is None or format != "html"):
        fail("what changed is drawn from periods of a lake, as html: leave out --trace, FILE and --format")
    try:
        before: Drawn | None = None
        if source is not None:
            drawn = _of_file(source, config)
        else:
            assert lake is not None
            snapshot = open_snapshot(lake)
            drawn = _of_lake(snapshot, trace, start, end, estimates)
            if compares:
                other = estimates if against_estimates is None else against_estimates
                before = _of_lake(
                    snapshot,
                    None,
                    against_start if against_start or against_end else start,
                    against_end if against_start or against_end else end,
                    None if other == "own" else other,
                )
        if len(drawn.frames) < 2 and (before is None or len(before.frames) < 2):
            fail("there are no spans to draw: another period, or `wattspan import` first", BAD_INPUT)
        if format == "pprof":
            data = pprof(drawn.frames, drawn.title)
        elif format == "speedscope":
            data = speedscope(drawn.frames, drawn.title).encode()
        elif format == "collapsed":
            data = collapsed(drawn.frames, axis).encode()
        else:
            difference = change(before.frames, drawn.frames) if before else None
            graph = summed(difference.frames if difference else drawn.frames)
            folded = f"{graph.folded:,} frames below 0.05 % are folded into “other”." if graph.folded else ""
            data = flame_file(
                graph,
                title="What changed" if before else drawn.title,
                subtitle=f"{before.subtitle} → {drawn.subtitle}" if before else drawn.subtitle,
                method=drawn.method,
                notes=[folded] if folded else [],
                change=difference,
            ).encode()
    except (ValueError, LakeError, NotPackedError) as error:
        fail(str(error))
    _write(out or Path(f"flame-{trace[:8] if trace else 'merged'}{ENDINGS[format]}"), data)


def _of_file(source: Path, config: Path | None) -> Drawn:
    from wattspan.lake.sources.column_map import ColumnMap
    from wattspan.lake.sources.files import FileReader, SourceError, TableOptions
    from wattspan.lake.spans import SpanSource
    from wattspan.views.flame_source import draw_spans

    if not source.is_file():
        raise SourceError(f"{source}: there is no such file")
    reader = FileReader(
        SpanSource(),
        TableOptions(ColumnMap(), None, None),
        lambda problem: errors.print(str(problem), markup=False, style="yellow", soft_wrap=True),
    )
    portions = [portion.spans for portion in reader.read(source)]
    settings = load_config(config)
    return draw_spans(portions, settings.sealer(settings.estimator()), source.name)


def _of_lake(
    snapshot: Snapshot, trace: str | None, start: str | None, end: str | None, estimates: str | None
) -> Drawn:
    from wattspan.views.dimensions import QueryError
    from wattspan.views.flame_source import draw_period, draw_trace
    from wattspan.views.period import read_period

    if trace is not None:
        if start or end or estimates:
            raise QueryError("--trace is one trace: leave out --from, --to and --estimates")
        return draw_trace(snapshot, trace)
    period, words = read_period(start, end)
    return draw_period(snapshot, period, words, estimates)


def _write(out: Path, data: bytes) -> None:
    if str(out) == "-":
        sys.stdout.buffer.write(data)
        return
    try:
        out.write_bytes(data)
    except OSError as error:
        fail(f"{out} cannot be written: {error.strerror}")
    errors.print(f"{out}, {len(data) / 1000:,.0f} kB", markup=False, style="dim")
