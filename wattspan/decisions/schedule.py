"""When, and where among the allowed regions, a batch of calls emits least.

The energy of a batch is spread evenly over its duration. Intensities hold for a step, so what a batch emits
is a line between the starts at which one of its ends meets the edge of a step: the best and the worst start
are among those, and are found exactly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from wattspan.calls import CallBatch, Factor
from wattspan.decisions.forecast import HOUR_S, Forecast, NoOutlookError, Outlook, TypicalHours, utc_text
from wattspan.decisions.plans import plan_of
from wattspan.decisions.ratio import plain, ratio
from wattspan.decisions.regions import named_region
from wattspan.estimator import Band, Estimator
from wattspan.grid import Kind
from wattspan.places import Place

NS_PER_S = 1_000_000_000
DRIFT = 0.85
"""The ratio of two blocks far apart errs by this times what one hour errs by against the typical hour."""
DRIFT_HOURS = 10.0
DRIFT_POWER = 1.5
"""How that error grows with the hours between two blocks. Measured: `python -m evidence.backtest`."""

SAME = 1e-12
"""Starts whose carbon differs by less (relative) are alike: the earliest is taken."""


class ScheduleError(ValueError):
    """There is nothing to choose from; the message says what is missing and what to change."""


@dataclass(frozen=True, slots=True)
class Work:
    """A batch of like calls. Token counts are those of one call."""

    model: str
    calls: int = 1
    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    reasoning_tokens: int = 0
    provider: str = ""
    host: str = ""
    operation: str = "chat"


@dataclass(frozen=True, slots=True)
class Site:
    """A place where the batch may run, and the energy it takes there."""

    name: str
    """The region as it was asked for."""
    place: Place
    energy_kwh: float
    factors: tuple[Factor, ...]
    """Errors of the energy."""
    tier: str = ""
    """Evidence tier of the energy."""


class Choice(NamedTuple):
    """A start at a site, and what the batch then emits."""

    site: Site
    start_unix_s: int
    g_per_kwh: float
    """Mean over the batch's duration."""
    co2e_g: float


@dataclass(frozen=True, slots=True)
class Decision:
    """The best start, and what it saves."""

    best: Choice
    now: Choice
    """Starting now at the first site."""
    worst: Choice
    """The worst start at any site."""
    best_by_site: tuple[Choice, ...]
    """The best start at each site, in the order given."""
    duration_s: int
    saving_against_now: Band
    """Share of the carbon saved, 0 to 1, below 0 where more is emitted; 90 % band, NaN where not known."""
    saving_against_worst: Band
    kind: Kind
    outlooks: tuple[Outlook, ...]
    """Of each site; all of one kind."""
    passed_over: tuple[str, ...]
    """Forecasts that were given and not used, each with the reason."""

    def seconds_to_wait(self, within: float = 0.0) -> int:
        """Seconds until the best start; 0 where starting now emits at most `within` (relative) more."""
        if self.now.co2e_g <= self.best.co2e_g * (1 + within):
            return 0
        return self.best.start_unix_s - self.now.start_unix_s

    def as_dict(self) -> dict[str, Any]:
        """As plain values, for JSON; None for what is not known."""
        return {
            "best": self._choice(self.best),
            "now": self._choice(self.now),
            "worst": self._choice(self.worst),
            "by_region": [self._choice(choice) for choice in self.best_by_site],
            "saving_against_now": plain(self.saving_against_now),
            "saving_against_worst": plain(self.saving_against_worst),
            "signal": self.kind.signal,
            "factor_type": self.kind.factor_type,
            "outlooks": [
                {"region": choice.site.name, "resolution": outlook.resolution, "source": outlook.source}
                for choice, outlook in zip(self.best_by_site, self.outlooks, strict=True)
            ],
            "passed_over": list(self.passed_over),
        }

    def _choice(self, choice: Choice) -> dict[str, Any]:
        return {
            "region": choice.site.name,
            "place": choice.site.place.label,
            "start": utc_text(choice.start_unix_s),
            "end": utc_text(choice.start_unix_s + self.duration_s),
            "g_per_kwh": choice.g_per_kwh,
            "energy_kwh": choice.site.energy_kwh,
            "tier": choice.site.tier or None,
            "co2e_g": choice.co2e_g,
        }


def best_start(
    estimator: Estimator,
    work: Work,
    regions: Sequence[str],
    *,
    duration_s: int,
    now_unix_s: int,
    deadline_unix_s: int,
    forecasts: Sequence[Forecast] = (),
) -> Decision:
    """The start and region at which `work` emits least if it is to be done by the deadline.

    The first forecast that covers all regions and the whole time decides, marginal before average; where none
    does, the typical hours of the estimator's edition (an estimator of annual intensities compares regions
    only). Kinds are never mixed. `regions`: "eu-west-3", "azure/westeurope", "eu"; the first one is where the
    batch runs now. Times are seconds since 1970 UTC. Raises ScheduleError, UnknownRegionError.
    """
    if not regions:
        raise ScheduleError("give at least one region")
    sites = [site_of(estimator, work, region, now_unix_s) for region in regions]
    return choose(
        sites,
        [*forecasts, TypicalHours(estimator.grid)],
        duration_s=duration_s,
        now_unix_s=now_unix_s,
        deadline_unix_s=deadline_unix_s,
    )


def site_of(estimator: Estimator, work: Work, region: str, at_unix_s: int) -> Site:
    """The site of a region: where the batch would run and its energy there."""
    named = named_region(estimator.places, region)
    calls = CallBatch.of(
        1,
        input_tokens=work.input_tokens,
        cache_read_tokens=work.cached_input_tokens,
        output_tokens=work.output_tokens,
        reasoning_tokens=work.reasoning_tokens,
        start_unix_ns=at_unix_s * NS_PER_S,
        operation=work.operation,
        model=work.model,
        provider=work.provider,
        host=work.host,
        span_region=named.region,
        span_cloud=named.cloud,
    )
    energy_kwh = float(estimator.estimate(calls).energy_kwh[0]) * work.calls
    if not energy_kwh > 0:
        raise ScheduleError("the batch uses no energy: give calls and input or output tokens above 0")
    plan = plan_of(estimator, calls, 0)
    return Site(region, plan.place, energy_kwh, plan.spread.energy, plan.tier)


def choose(
    sites: Sequence[Site],
    forecasts: Sequence[Forecast],
    *,
    duration_s: int,
    now_unix_s: int,
    deadline_unix_s: int,
) -> Decision:
    """As `best_start`, for sites whose energy is known; the first of `forecasts` that can answer decides."""
    if duration_s <= 0:
        raise ScheduleError(f"the duration is {duration_s} s; it must be above 0")
    last = deadline_unix_s - duration_s
    if last < now_unix_s:
        raise ScheduleError(
            f"the deadline is {deadline_unix_s - now_unix_s} s away and the batch takes {duration_s} s: "
            "there is no time to choose from"
        )
    outlooks, passed_over = _outlooks(sites, forecasts, now_unix_s, deadline_unix_s)
    by_site = [
        _blocks(site, outlook, now_unix_s, last, duration_s)
        for site, outlook in zip(sites, outlooks, strict=True)
    ]
    best_by_site = [_lowest(choices) for choices in by_site]
    best = _lowest(best_by_site)
    worst = max((choice for choices in by_site for choice in choices), key=lambda choice: choice.co2e_g)
    now = by_site[0][0]
    outlook_of = dict(zip((site.name for site in sites), outlooks, strict=True))

    def saving(other: Choice) -> Band:
        return _saving(best, outlook_of[best.site.name], other, outlook_of[other.site.name])

    return Decision(
        best=best,
        now=now,
        worst=worst,
        best_by_site=tuple(best_by_site),
        duration_s=duration_s,
        saving_against_now=saving(now),
        saving_against_worst=saving(worst),
        kind=outlooks[0].kind,
        outlooks=tuple(outlooks),
        passed_over=tuple(passed_over),
    )


def drift(apart_s: float) -> float:
    """Error of the ratio of two blocks of one zone, relative to the error of an hour (both as ln g)."""
    return DRIFT * math.sqrt(-math.expm1(-((abs(apart_s) / HOUR_S / DRIFT_HOURS) ** DRIFT_POWER)))


def _outlooks(
    sites: Sequence[Site], forecasts: Sequence[Forecast], start_unix_s: int, end_unix_s: int
) -> tuple[list[Outlook], list[str]]:
    passed_over: list[str] = []
    for forecast in sorted(forecasts, key=lambda one: one.kind.signal != "marginal"):
        try:
            return [forecast.outlook(site.place, start_unix_s, end_unix_s) for site in sites], passed_over
        except NoOutlookError as error:
            passed_over.append(f"{forecast.kind.signal} {forecast.kind.factor_type}: {error}")
    raise ScheduleError(f"no intensity for this choice: {'; '.join(passed_over)}")


def _blocks(site: Site, outlook: Outlook, first: int, last: int, duration_s: int) -> list[Choice]:
    """The starts that may be best or worst, earliest first; starting at once is the first of them."""
    edges = outlook.edges_unix_s
    ends = edges - duration_s
    starts = np.unique(np.concatenate(([first, last], edges, ends)))
    starts = starts[(starts >= first) & (starts <= last)]
    sums = np.concatenate(([0.0], np.cumsum(outlook.g_per_kwh) * outlook.step_s))

    def until(moment: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.interp(moment, edges, sums)

    means = (until(starts + duration_s) - until(starts)) / duration_s
    return [
        Choice(site, int(start), mean, mean * site.energy_kwh)
        for start, mean in zip(starts.tolist(), means.tolist(), strict=True)
    ]


def _lowest(choices: Sequence[Choice]) -> Choice:
    lowest = min(choice.co2e_g for choice in choices)
    alike = [choice for choice in choices if choice.co2e_g <= lowest * (1 + SAME)]
    return min(alike, key=lambda choice: choice.start_unix_s)


def _saving(best: Choice, outlook: Outlook, other: Choice, other_outlook: Outlook) -> Band:
    """1 - best / other, with the band that their shared errors leave."""
    central = 1 - best.co2e_g / other.co2e_g if other.co2e_g else 0.0
    if best.site.place.label == other.site.place.label and best.start_unix_s == other.start_unix_s:
        return Band(0.0, 0.0, 0.0)
    if outlook.factors is None or other_outlook.factors is None:
        return Band(central, math.nan, math.nan)
    # Half of the variance of the ratio lies with each of the two blocks.
    own_share = drift(best.start_unix_s - other.start_unix_s) / math.sqrt(2)
    terms = [
        (choice.co2e_g, (*choice.site.factors, *_at(found, choice.start_unix_s, own_share)))
        for choice, found in ((best, outlook), (other, other_outlook))
    ]
    found = ratio([terms[0]], [terms[1]])
    return Band(1 - found.central, 1 - found.high, 1 - found.low)


def _at(outlook: Outlook, start_unix_s: int, own_share: float) -> list[Factor]:
    """The errors of a block: of the factor that differs from hour to hour, a part is the block's own."""
    factors = []
    for key, ln_g in outlook.factors or ():
        if key == outlook.hour_key:
            factors.append(Factor(f"{key} at {start_unix_s}", ln_g * own_share))
            ln_g *= math.sqrt(1 - own_share**2)
        factors.append(Factor(key, ln_g))
    return factors
