"""`wattspan when` and `wattspan wait`: the hour, and the region, at which a batch emits least."""

from __future__ import annotations

import datetime as dt
import json
import math
import re
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from wattspan import quantities
from wattspan.cli.console import console, errors, fail
from wattspan.config import Config, ConfigError, load_config
from wattspan.decisions import Choice, Decision, FileForecast, Forecast, Site, TypicalHours, Work
from wattspan.decisions.forecast import KINDS, kind_of
from wattspan.decisions.live import FeedForecast
from wattspan.decisions.regions import place_of
from wattspan.decisions.schedule import best_start, choose
from wattspan.estimator import Band, Estimator
from wattspan.methodology import EditionError

WAIT = 75
"""Exit status of `wait --check` while waiting is better: EX_TEMPFAIL, "try again later"."""
LONGEST_NAP_S = 60.0
"""A machine that was suspended wakes up at most this late."""

_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?")

ForecastFile = Annotated[
    Path | None, typer.Option("--forecast", help="CSV of your own: zone, start, g_per_kwh.")
]
ForecastKind = Annotated[str, typer.Option(help=f"What the forecast's values are: {', '.join(KINDS)}.")]
ForecastG = Annotated[
    float | None, typer.Option(help="Geometric spread (68 %) of a forecast value, such as 1.2.")
]
Now = Annotated[str | None, typer.Option(help="The time to start from, ISO 8601; the clock by default.")]
ConfigFile = Annotated[Path | None, typer.Option(help="Configuration file (YAML).")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def when(
    model: Annotated[str, typer.Option(help="Model id as it comes in traces.")],
    region: Annotated[list[str], typer.Option(help="Allowed region; the first is where it runs now.")],
    duration: Annotated[str, typer.Option(help="How long the batch runs, such as 4h or 1h30m.")],
    deadline: Annotated[str, typer.Option(help="When it must be done, ISO 8601, or from now: 24h.")],
    calls: Annotated[int, typer.Option(min=1, help="Calls in the batch.")] = 1,
    input_tokens: Annotated[int, typer.Option(min=0, help="Prompt tokens of one call.")] = 0,
    output_tokens: Annotated[int, typer.Option(min=0, help="Generated tokens of one call.")] = 0,
    cached_input_tokens: Annotated[int, typer.Option(min=0, help="Of the prompt: read from a cache.")] = 0,
    provider: Annotated[str, typer.Option(help="gen_ai.provider.name, such as openai.")] = "",
    forecast: ForecastFile = None,
    forecast_kind: ForecastKind = "",
    forecast_g: ForecastG = None,
    now: Now = None,
    config: ConfigFile = None,
    as_json: Json = False,
) -> None:
    """The best start and region for a batch: by your forecast, else by the typical hours of the zone."""
    try:
        settings = load_config(config)
        estimator = _estimator(settings)
        now_unix_s = _now(now)
        decision = best_start(
            estimator,
            Work(
                model=model,
                calls=calls,
                input_tokens=input_tokens,
                output_tokens=output_tokens,
                cached_input_tokens=cached_input_tokens,
                provider=provider,
            ),
            region,
            duration_s=seconds("--duration", duration),
            now_unix_s=now_unix_s,
            deadline_unix_s=_deadline(deadline, now_unix_s),
            forecasts=_forecasts(forecast, forecast_kind, forecast_g, estimator, settings),
        )
    except (ConfigError, EditionError, ValueError) as error:
        fail(str(error))
    if as_json:
        typer.echo(json.dumps(decision.as_dict(), indent=2, ensure_ascii=False))
        return
    console.print(_table(decision))
    _say_how(decision)


def wait(
    region: Annotated[str, typer.Option(help="Where the work runs.")],
    until_clean: Annotated[
        bool, typer.Option("--until-clean", help="Wait for the best start (this is what it does anyway).")
    ] = True,
    longest: Annotated[str, typer.Option("--max", help="Wait at most this long, such as 6h.")] = "6h",
    duration: Annotated[str, typer.Option(help="How long the work runs.")] = "1h",
    within: Annotated[
        float, typer.Option(min=0, help="Now is good enough if it emits at most this share more.")
    ] = 0.01,
    check: Annotated[
        bool, typer.Option("--check", help=f"Do not sleep: exit 0 = start now, {WAIT} = wait.")
    ] = False,
    forecast: ForecastFile = None,
    forecast_kind: ForecastKind = "",
    forecast_g: ForecastG = None,
    now: Now = None,
    config: ConfigFile = None,
    as_json: Json = False,
) -> None:
    """Sleep until the best start within --max, then exit 0: `wattspan wait --region … && ./batch`.

    With --check nothing sleeps: the seconds to wait are printed, and the exit status says whether to start.
    """
    try:
        settings = load_config(config)
        estimator = _estimator(settings)
        now_unix_s = _now(now)
        duration_s = seconds("--duration", duration)
        decision = choose(
            [Site(region, place_of(estimator.places, region), 1.0, ())],
            [
                *_forecasts(forecast, forecast_kind, forecast_g, estimator, settings),
                TypicalHours(estimator.grid),
            ],
            duration_s=duration_s,
            now_unix_s=now_unix_s,
            deadline_unix_s=now_unix_s + seconds("--max", longest) + duration_s,
        )
    except (ConfigError, EditionError, ValueError) as error:
        fail(str(error))
    left_s = decision.seconds_to_wait(within)
    if as_json:
        typer.echo(json.dumps({"seconds_to_wait": left_s, **decision.as_dict()}, indent=2))
    elif check:
        typer.echo(str(left_s))
    if check:
        raise typer.Exit(WAIT if left_s else 0)
    if left_s:
        errors.print(
            f"waiting {_span(left_s)}, until {_time(decision.best.start_unix_s)}: "
            f"{_saving(decision.saving_against_now)}",
            style="dim",
        )
        sleep_for(left_s)


def sleep_for(duration_s: float) -> None:
    """Sleep by the wall clock, so that a suspended machine does not sleep its time twice."""
    end = time.time() + duration_s
    while (left := end - time.time()) > 0:
        time.sleep(min(left, LONGEST_NAP_S))


def seconds(option: str, text: str) -> int:
    """Seconds in a duration such as 4h, 90m or 1d12h. Raises ValueError naming the option."""
    match = _DURATION.fullmatch(text.strip().lower())
    if match is None or not any(match.groups()):
        raise ValueError(f"{option} is {text!r}; write days, hours and minutes as 2d, 4h, 90m or 1h30m")
    days, hours, minutes = (int(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60


def _moment(option: str, text: str) -> int:
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"{option} {text!r} is not a time; write it as 2026-11-23T14:00+01:00 (UTC unless it says)"
        ) from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp())


def _now(text: str | None) -> int:
    return int(time.time()) if text is None else _moment("--now", text)


def _deadline(text: str, now_unix_s: int) -> int:
    if _DURATION.fullmatch(text.strip().lower()):
        return now_unix_s + seconds("--deadline", text)
    return _moment("--deadline", text)


def _estimator(config: Config) -> Estimator:
    """The configured estimator on the edition's own grid tables, with typical hours."""
    embedded = config.grid.model_copy(update={"live": None, "signal": "average"})
    return config.model_copy(update={"grid": embedded}).estimator(resolution="typical-hour")


def _forecasts(
    path: Path | None, kind: str, g: float | None, estimator: Estimator, config: Config
) -> list[Forecast]:
    """A file of the user's own, else the configured feed's."""
    if path is None:
        if kind or g is not None:
            raise ValueError("--forecast-kind and --forecast-g describe a --forecast; give one")
        feed = config.feed()
        return [] if feed is None else [FeedForecast(feed, stand_in=estimator.grid)]
    if not kind:
        raise ValueError(
            f"--forecast-kind is missing: nobody can tell by the values; allowed: {', '.join(KINDS)}"
        )
    if g is not None and not 1 < g < math.inf:
        raise ValueError(f"--forecast-g is {g:g}; a geometric spread is above 1, such as 1.2")
    return [FileForecast(path, kind_of(kind), g, estimator.grid)]


def _table(decision: Decision) -> Table:
    table = Table("", "start", "region", "g/kWh", "carbon")
    rows: list[tuple[str, Choice]] = [("best", decision.best)]
    others = [choice for choice in decision.best_by_site if choice is not decision.best]
    rows += [(f"best in {choice.site.name}", choice) for choice in others]
    rows += [("now", decision.now), ("worst", decision.worst)]
    for name, choice in rows:
        table.add_row(
            Text(name, style="bold" if name == "best" else ""),
            _time(choice.start_unix_s),
            choice.site.name,
            quantities.digits(choice.g_per_kwh),
            f"{quantities.mass(choice.co2e_g)}CO2e",
        )
    return table


def _say_how(decision: Decision) -> None:
    kind = f"{decision.kind.signal}, {decision.kind.factor_type}"
    of = {f"{outlook.resolution} of {outlook.source}" for outlook in decision.outlooks}
    site = decision.best.site
    console.print(f"the batch takes           {quantities.energy(site.energy_kwh)}, tier {site.tier}")
    console.print(f"against starting now      {_saving(decision.saving_against_now)}")
    console.print(f"against the worst start   {_saving(decision.saving_against_worst)}")
    console.print(f"decided by                {kind}: {'; '.join(sorted(of))}", soft_wrap=True)
    for reason in decision.passed_over:
        console.print(f"not used                  {reason}", style="yellow", soft_wrap=True)
    if all(outlook.resolution == "annual" for outlook in decision.outlooks):
        console.print("these places have no typical hours: only regions are compared", style="yellow")


def _saving(saving: Band) -> str:
    if math.isnan(saving.low):
        return f"saves {saving.central:.1%} (band not known: give --forecast-g)"
    return f"saves {saving.central:.1%} (90 %: {saving.low:.1%} to {saving.high:.1%})"


def _time(moment_unix_s: int) -> str:
    return dt.datetime.fromtimestamp(moment_unix_s, dt.UTC).strftime("%a %d %b %H:%M UTC")


def _span(duration_s: int) -> str:
    hours, minutes = divmod(-(-duration_s // 60), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"
