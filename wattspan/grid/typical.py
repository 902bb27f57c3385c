"""Typical hours derived from hours of the user's own: a factor for each zone, month and UTC hour.

Months and hours are UTC, as in the edition: the sun keeps UTC whatever the clocks do, every hour of a year
has its own place, and summer time moves demand between whole months. Times of the wall clock, doubled hours
and zones half an hour off have been turned into UTC by the feed that read them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from wattspan.calls.batch import Flags
from wattspan.grid.intensity import Z_90, Floats, Ints

MIN_DAYS = 20
"""Days on which each hour of a month must have a value. The same hour differs from day to day by 14 %
(standard deviation, median of the 12 zones of the evidence; 5 % in PJM, 32 % in Britain), so the mean of 20
days is known to 3 % (1 to 7 %): well below what a typical hour itself is off by."""
MONTHS = 12
"""Factors are relative to the mean of a year, so nothing less than twelve months in a row will do."""
MAX_ESTIMATED_SHARE = 0.5
"""Estimated hours are somebody else's typical hours; of a zone with more of them nothing is learnt."""

_HOUR_S = 3_600
_LEAST_COVERED_S = 1_800
_FLOOR = 0.01
"""Hours near zero count as this share of the year's mean in the band, whose logarithm would have no bound."""


class Hours(NamedTuple):
    """Values of one zone, arrays of length n; a value holds for `period_s` from its start."""

    start_unix_s: Ints
    g_per_kwh: Floats
    is_estimated: Flags
    period_s: int


class NoTypicalHoursError(ValueError):
    """The hours of a zone do not make a typical year; the message says why and what is missing."""


@dataclass(frozen=True, slots=True, eq=False)
class ZoneShape:
    """The typical hours of one zone."""

    zone: str
    factors: Floats
    """float64[12, 24]: month and UTC hour, relative to the year's mean."""
    g: float
    """One geometric standard deviation (68 %) of an hour about the year's mean times its factor."""
    basis: str
    """How `g` was measured."""
    vintage: str
    """First and last month that went in: "2023-01 to 2024-12"."""
    hours: int
    """Hours that went in."""
    estimated_share: float
    source: str = ""
    """Where the hours came from."""


class _Year(NamedTuple):
    """Twelve months in a row."""

    means: Floats
    """float64[12, 24], by calendar month, January first."""
    mean: float
    hours: slice
    """Of the hourly arrays."""

    @property
    def factors(self) -> Floats:
        return self.means / self.mean


def typical_hours(zone: str, parts: Iterable[Hours], year_of_age_ln_g: float, source: str = "") -> ZoneShape:
    """The typical hours of a zone from its history; where a time is there again, the later part holds.

    `year_of_age_ln_g`: how far a year lies from the one before (ln g, of the edition), used where the history
    is too short to measure it. Raises NoTypicalHoursError.
    """
    hour, value, estimated = _hourly(parts)
    if not len(hour):
        raise NoTypicalHoursError(f"zone {zone} has no values")
    years, first, last = _years(zone, hour, value)
    used = slice(years[0].hours.start, years[-1].hours.stop)
    estimated_share = float(estimated[used].mean())
    if estimated_share >= MAX_ESTIMATED_SHARE:
        raise NoTypicalHoursError(
            f"zone {zone}: {estimated_share:.0%} of its hours are estimated, not measured; less than "
            f"{MAX_ESTIMATED_SHARE:.0%} may be, or the factors would be those of whoever estimated"
        )
    factors = _typical(years)
    if factors.min() <= 0:
        raise NoTypicalHoursError(f"zone {zone}: a typical hour of 0 would make calls free of carbon")
    ln_g, basis = _spread(years, hour, value, estimated, year_of_age_ln_g)
    return ZoneShape(
        zone=zone,
        factors=factors,
        g=math.exp(ln_g),
        basis=basis,
        vintage=f"{first} to {last}",
        hours=used.stop - used.start,
        estimated_share=estimated_share,
        source=source,
    )


def _hourly(parts: Iterable[Hours]) -> tuple[Ints, Floats, Flags]:
    """Means of UTC hours at least half covered: number of the hour since 1970, ascending; value; estimated.

    A value that lies across two hours (zones half an hour off) goes into both by its share of each.
    """
    pieces = [_pieces(part) for part in parts]
    if not pieces:
        return np.empty(0, dtype=np.int64), np.empty(0), np.empty(0, dtype=np.bool_)
    starts = np.concatenate([piece.start_unix_s for piece in pieces])
    weight = np.concatenate([np.full(len(piece.start_unix_s), piece.period_s) for piece in pieces])
    value = np.concatenate([piece.g_per_kwh for piece in pieces])
    estimated = np.concatenate([piece.is_estimated for piece in pieces])
    # Reversed, the first of each start is the one that came last.
    starts, firsts = np.unique(starts[::-1], return_index=True)
    kept = len(value) - 1 - firsts
    hours, index = np.unique(starts // _HOUR_S, return_inverse=True)
    covered = np.bincount(index, weights=weight[kept])
    means = np.bincount(index, weights=weight[kept] * value[kept]) / covered
    guessed = np.bincount(index, weights=weight[kept] * estimated[kept]) / covered
    is_kept = covered >= _LEAST_COVERED_S
    return hours[is_kept], means[is_kept], guessed[is_kept] >= 0.5


def _pieces(part: Hours) -> Hours:
    """Values cut into quarters of an hour, or left shorter: every offset of the world is so many quarters."""
    piece_s = min(part.period_s, 900)
    many = part.period_s // piece_s
    offsets = np.tile(np.arange(many) * piece_s, len(part.start_unix_s))
    return Hours(
        np.repeat(part.start_unix_s, many) + offsets,
        np.repeat(part.g_per_kwh, many),
        np.repeat(part.is_estimated, many),
        piece_s,
    )


def _years(zone: str, hour: Ints, value: Floats) -> tuple[list[_Year], str, str]:
    """The whole years, oldest first, that end with the newest full month; and the first and last month."""
    month = hour.view("datetime64[h]").astype("datetime64[M]").view(np.int64)
    first_month, last_month = int(month[0]), int(month[-1])
    cell = (month - first_month) * 24 + hour % 24
    many = (last_month - first_month + 1) * 24
    counts = np.bincount(cell, minlength=many).reshape(-1, 24)
    with np.errstate(invalid="ignore"):
        means = np.bincount(cell, weights=value, minlength=many).reshape(-1, 24) / counts
    is_full = counts.min(axis=1) >= MIN_DAYS
    end = int(np.flatnonzero(is_full)[-1]) + 1 if is_full.any() else 0
    begin = end
    while begin and is_full[begin - 1]:
        begin -= 1
    n_years = (end - begin) // MONTHS
    if not n_years:
        raise NoTypicalHoursError(_what_is_missing(zone, counts, first_month, end - begin))
    begins = range(end - n_years * MONTHS, end, MONTHS)
    years = []
    for start in begins:
        in_order = np.roll(means[start : start + MONTHS], (first_month + start) % MONTHS, axis=0)
        days = np.array([_days(first_month + start + i) for i in range(MONTHS)])
        mean = float(np.average(means[start : start + MONTHS].mean(axis=1), weights=days))
        if not mean > 0:
            raise NoTypicalHoursError(
                f"zone {zone}: the mean of a year is 0, so no hour can be relative to it"
            )
        bounds = np.searchsorted(month, (first_month + start, first_month + start + MONTHS))
        years.append(_Year(in_order, mean, slice(int(bounds[0]), int(bounds[1]))))
    return years, _name(first_month + begins[0]), _name(first_month + end - 1)


def _what_is_missing(zone: str, counts: Ints, first_month: int, full: int) -> str:
    least = counts.min(axis=1)
    short = np.flatnonzero(least < MIN_DAYS).tolist()
    example = ""
    if short:
        hour = int(counts[short[0]].argmin())
        example = f" ({_name(first_month + short[0])} has {hour:02d}:00 on {least[short[0]]} days"
        example += f", {len(short) - 1} more months are short too)" if len(short) > 1 else ")"
    return (
        f"zone {zone}: {MONTHS} full months in a row are needed, {full} are there; a full month has every "
        f"UTC hour on at least {MIN_DAYS} days{example}"
    )


def _typical(years: list[_Year]) -> Floats:
    """The mean of the years' factors: each year counts once, whatever its level."""
    mean: Floats = np.mean([year.factors for year in years], axis=0)
    return mean


def _spread(
    years: list[_Year], hour: Ints, value: Floats, estimated: Flags, year_of_age_ln_g: float
) -> tuple[float, str]:
    """ln g of measured hours about what would have been said of them.

    With two years or more, the last one is told from those before, as the edition's own bands are: the level
    of the year before times the factors of all earlier ones. With one year the hours are told from
    themselves, which is too good, and the step from year to year is added.
    """
    last = years[-1]
    told_by = years[:-1] or years
    rows = np.arange(last.hours.start, last.hours.stop)
    rows = rows[~estimated[rows]]
    months = hour[rows].view("datetime64[h]").astype("datetime64[M]").view(np.int64) % MONTHS
    told = told_by[-1].mean * _typical(told_by)[months, hour[rows] % 24]
    floor = _FLOOR * last.mean
    logs = np.log(np.maximum(value[rows], floor) / np.maximum(told, floor))
    low, high = np.quantile(logs, (0.05, 0.95)).tolist()
    ln_g = max(-low, high, 0.0) / Z_90
    if len(years) > 1:
        return ln_g, "the last twelve months told from the time before"
    return math.hypot(ln_g, year_of_age_ln_g), "twelve months told from themselves, and a year's step"


def _days(month: int) -> int:
    """Days in a month counted from January 1970."""
    first, following = np.array([month, month + 1]).astype("datetime64[M]").astype("datetime64[D]")
    return int((following - first).astype(np.int64))


def _name(month: int) -> str:
    return str(np.datetime64(month, "M"))
