"""Scores of decisions on measured hours."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from evidence.backtest.hours import HOUR_S, Week
from wattspan.decisions import Forecast, Site, TypicalHours, choose
from wattspan.decisions.schedule import Decision, drift
from wattspan.estimator import Z90

DAY_S = 24 * HOUR_S
BLOCK_S = 4 * HOUR_S


class Daily(NamedTuple):
    """A block of four hours once a day, in one zone."""

    zone: str
    days: int
    saving: float
    """1 - carbon of the starts chosen by typical hours / carbon of a start taken at random."""
    best_saving: float
    """The same for starts chosen by someone who knows the hours."""
    saving_against_worst: float
    """1 - carbon of the chosen starts / carbon of the worst start of each day."""


class Rolling(NamedTuple):
    """`best_start` asked at every hour, to be done within a day, in one zone."""

    zone: str
    asked: int
    promised: float
    """Saving against starting at once that it promised, over all times asked."""
    saving: float
    """What it came to on the measured hours."""
    best_saving: float
    """What it would have come to for someone who knows the hours."""
    within: float
    """Share of the times asked at which the saving lay in the promised 90 % band."""


@dataclass(frozen=True, slots=True)
class Lag:
    """Error of the ratio of two blocks so many hours apart, relative to the zone's hourly error (ln g)."""

    hours: int
    rms: float
    """Root mean square over zones of the error's own root mean square."""
    p90: float
    """The same of its 90th percentile / 1.64."""
    used: float
    """What `best_start` takes."""


def daily(weeks: Iterable[Week], forecast: Forecast) -> list[Daily]:
    """Each zone's daily block within the UTC day."""
    rows = []
    for zone, own in _by_zone(weeks).items():
        chosen, best, worst, random = [], [], [], []
        for week in own:
            for start in range(week.first_unix_s, week.end_unix_s, DAY_S):
                blocks = [
                    week.mean_g_per_kwh(start + hour * HOUR_S, BLOCK_S)
                    for hour in range((DAY_S - BLOCK_S) // HOUR_S + 1)
                ]
                choice = _choose(week, forecast, start).best
                chosen.append(week.mean_g_per_kwh(choice.start_unix_s, BLOCK_S))
                best.append(min(blocks))
                worst.append(max(blocks))
                random.append(math.fsum(blocks) / len(blocks))
        rows.append(
            Daily(
                zone,
                len(chosen),
                1 - math.fsum(chosen) / math.fsum(random),
                1 - math.fsum(best) / math.fsum(random),
                1 - math.fsum(chosen) / math.fsum(worst),
            )
        )
    return rows


def rolling(weeks: Iterable[Week], forecast: Forecast) -> list[Rolling]:
    """Each hour of each zone as the time at which somebody asks."""
    rows = []
    for zone, own in _by_zone(weeks).items():
        promised, chosen, best, now, within = [], [], [], [], 0
        for week in own:
            for start in range(week.first_unix_s, week.end_unix_s - DAY_S + 1, HOUR_S):
                decision = _choose(week, forecast, start)
                at_once = week.mean_g_per_kwh(start, BLOCK_S)
                came_true = week.mean_g_per_kwh(decision.best.start_unix_s, BLOCK_S)
                band = decision.saving_against_now
                promised.append(band.central * at_once)
                now.append(at_once)
                chosen.append(came_true)
                best.append(_choose(week, week, start).best.g_per_kwh)
                within += band.low - 1e-9 <= 1 - came_true / at_once <= band.high + 1e-9
        total = math.fsum(now)
        rows.append(
            Rolling(
                zone,
                len(now),
                math.fsum(promised) / total,
                1 - math.fsum(chosen) / total,
                1 - math.fsum(best) / total,
                within / len(now),
            )
        )
    return rows


def pooled(rows: Sequence[Rolling]) -> Rolling:
    """All zones in one row, each counting once."""
    n = len(rows)
    return Rolling(
        f"mean of {n}",
        sum(row.asked for row in rows),
        *(
            math.fsum(values) / n
            for values in zip(
                *((row.promised, row.saving, row.best_saving, row.within) for row in rows), strict=True
            )
        ),
    )


def lags(weeks: Sequence[Week], forecast: TypicalHours, hours: Sequence[int]) -> list[Lag]:
    """How far the typical hour errs on the ratio of two blocks, by the hours between them."""
    found = []
    for lag in hours:
        rms, p90 = [], []
        for own in _by_zone(weeks).values():
            errors = np.concatenate([_errors(week, forecast, lag) for week in own])
            ln_g = _ln_g(own[0], forecast)
            rms.append(math.sqrt(float(np.mean(errors**2))) / ln_g)
            p90.append(float(np.quantile(np.abs(errors), 0.9)) / Z90 / ln_g)
        found.append(Lag(lag, _root_mean_square(rms), _root_mean_square(p90), drift(lag * HOUR_S)))
    return found


def _choose(week: Week, forecast: Forecast, start: int) -> Decision:
    site = Site(week.zone, week.place, 1.0, ())
    return choose([site], [forecast], duration_s=BLOCK_S, now_unix_s=start, deadline_unix_s=start + DAY_S)


def _errors(week: Week, forecast: Forecast, lag: int) -> np.ndarray:
    """ln(true ratio / typical ratio) of every two blocks of the week that are `lag` hours apart."""
    block = np.ones(BLOCK_S // HOUR_S)
    typical = forecast.outlook(week.place, week.first_unix_s, week.end_unix_s).g_per_kwh
    off = np.log(np.convolve(week.g_per_kwh, block, "valid") / np.convolve(typical, block, "valid"))
    return np.asarray(off[lag:] - off[:-lag])


def _ln_g(week: Week, forecast: Forecast) -> float:
    outlook = forecast.outlook(week.place, week.first_unix_s, week.end_unix_s)
    return next(ln_g for key, ln_g in outlook.factors or () if key == outlook.hour_key)


def _root_mean_square(values: Sequence[float]) -> float:
    return math.sqrt(math.fsum(value**2 for value in values) / len(values))


def _by_zone(weeks: Iterable[Week]) -> dict[str, list[Week]]:
    found: dict[str, list[Week]] = {}
    for week in weeks:
        found.setdefault(week.zone, []).append(week)
    return found
