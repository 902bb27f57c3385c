"""What a place's electricity is expected to emit in the hours to come, and how sure that is.

The seam for live forecasts: whatever has `kind` and `outlook` can be given to `best_start`.
"""

from __future__ import annotations

import csv
import datetime as dt
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Protocol, cast, get_args

import numpy as np
import numpy.typing as npt

from wattspan.calls import Factor
from wattspan.grid import Kind, Signal
from wattspan.grid.intensity import FactorType, Floats, Resolution, SignalName
from wattspan.places import Place

HOUR_S = 3_600
HOUR_NS = HOUR_S * 1_000_000_000

KINDS = tuple(
    f"{signal}-{factor_type}" for signal in get_args(SignalName) for factor_type in get_args(FactorType)
)
"""Kinds as the command line spells them."""


class NoOutlookError(ValueError):
    """A forecast has nothing for a place or for all of a time; the message says what is missing."""


class ForecastFileError(ValueError):
    """A forecast file cannot be used: file, line, what was found and what is allowed."""


@dataclass(frozen=True, slots=True, eq=False)
class Outlook:
    """Expected intensities of one place, step after step without a gap."""

    kind: Kind
    resolution: Resolution
    source: str
    first_unix_s: int
    """Start of the first step."""
    step_s: int
    g_per_kwh: Floats
    """float64[n]: gCO2e per kWh of each step."""
    factors: tuple[Factor, ...] | None
    """Errors of the intensity in one step, as `Intensity.factors`; None where nobody has measured them."""
    hour_key: str = ""
    """Key of that factor whose error differs from hour to hour; the others are the same all along."""

    @property
    def edges_unix_s(self) -> npt.NDArray[np.float64]:
        """float64[n + 1]: where steps begin and end."""
        return self.first_unix_s + self.step_s * np.arange(len(self.g_per_kwh) + 1, dtype=np.float64)


class Forecast(Protocol):
    """A source of outlooks of one kind. A live feed becomes one by wrapping what it fetched."""

    @property
    def kind(self) -> Kind:
        """The kind of every outlook it gives; it never gives another."""

    def outlook(self, place: Place, start_unix_s: int, end_unix_s: int) -> Outlook:
        """The outlook of a place that covers [start, end). Raises NoOutlookError."""


class TypicalHours:
    """What always answers: the edition's year, times the zone's typical month and hour where it has them."""

    def __init__(self, grid: Signal) -> None:
        """`grid`: made with `resolution="typical-hour"`; with annual ones every hour is alike."""
        self._grid = grid

    @property
    def kind(self) -> Kind:
        """Average, of the grid's factor type."""
        return self._grid.kind

    def outlook(self, place: Place, start_unix_s: int, end_unix_s: int) -> Outlook:
        """See `Forecast.outlook`."""
        intensity = self._grid.at(place, dt.datetime.fromtimestamp(start_unix_s, dt.UTC).year)
        if not intensity.has_figure:
            raise NoOutlookError(f"{place.label}: {intensity.reason}")
        first = start_unix_s // HOUR_S
        hours = np.arange(first, -(-end_unix_s // HOUR_S), dtype=np.int64)
        codes = np.zeros(len(hours), dtype=np.int32)
        factors = self._grid.hour_factors((intensity.shape_zone,), codes, hours * HOUR_NS)
        hour_key = next((factor.key for factor in intensity.factors if factor.key.startswith("zone:")), "")
        return Outlook(
            kind=intensity.kind,
            resolution=intensity.resolution,
            source=intensity.origin,
            first_unix_s=first * HOUR_S,
            step_s=HOUR_S,
            g_per_kwh=intensity.g_per_kwh * factors,
            factors=intensity.factors,
            hour_key=hour_key if intensity.shape_zone else "",
        )


class FileForecast:
    """A forecast of the user's own: CSV with the columns zone, start and g_per_kwh.

    `zone` is a grid zone (FR), a region (eu-west-3) or a place (aws/eu-west-3); `start` an ISO 8601 time with
    its UTC offset, the start of a step. All steps of a zone are as long as its shortest one.
    """

    COLUMNS = ("zone", "start", "g_per_kwh")

    def __init__(
        self, path: Path, kind: Kind, g: float | None = None, stand_in: Signal | None = None
    ) -> None:
        """Read `path`, whose values are of `kind`.

        `g`: geometric spread (68 %) of one value against what comes true. Without it an average forecast is
        taken to be no better than the typical hour of `stand_in`, and the band of a marginal one is unknown.
        Raises ForecastFileError.
        """
        self._kind = kind
        self._g = g
        self._stand_in = stand_in
        self._source = path.name
        self._values = _read(path)

    @property
    def kind(self) -> Kind:
        """As declared."""
        return self._kind

    def outlook(self, place: Place, start_unix_s: int, end_unix_s: int) -> Outlook:
        """See `Forecast.outlook`."""
        name = next((name for name in _names(place) if name.lower() in self._values), None)
        if name is None:
            raise NoOutlookError(f"{self._source} has no zone {' or '.join(_names(place))}")
        factors = own_factors(self._kind, self._g, self._stand_in, place, name, start_unix_s)
        values = self._values[name.lower()]
        return stepped(values, start_unix_s, end_unix_s, self._kind, self._source, name, factors)


def stepped(
    values: Mapping[int, float],
    start_unix_s: int,
    end_unix_s: int,
    kind: Kind,
    source: str,
    name: str,
    factors: tuple[Factor, ...] | None,
) -> Outlook:
    """The outlook of values (g/kWh by the start of their step) that cover [start, end).

    The step is the shortest between two values. Raises NoOutlookError naming the first step that is missing.
    """
    starts = sorted(values)
    if len(starts) < 2:
        raise NoOutlookError(f"{source} has a single value for {name}: its step cannot be told")
    step_s = min(later - earlier for earlier, later in pairwise(starts))
    first = max((start for start in starts if start <= start_unix_s), default=starts[0])
    wanted = range(first, end_unix_s, step_s)
    if first > start_unix_s or (missing := [start for start in wanted if start not in values]):
        at = utc_text(start_unix_s if first > start_unix_s else missing[0])
        raise NoOutlookError(f"{source} has nothing for {name} at {at}")
    return Outlook(
        kind=kind,
        resolution="forecast",
        source=source,
        first_unix_s=first,
        step_s=step_s,
        g_per_kwh=np.array([values[start] for start in wanted]),
        factors=factors,
        hour_key=factors[0].key if factors else "",
    )


def own_factors(
    kind: Kind, g: float | None, stand_in: Signal | None, place: Place, name: str, start_unix_s: int
) -> tuple[Factor, ...] | None:
    """The error of a forecast value: as declared, else that of the typical hour of the zone, else unknown."""
    if g is not None:
        return (Factor(f"forecast:{name}", math.log(g)),)
    if stand_in is None or stand_in.kind.signal != kind.signal:
        return None
    intensity = stand_in.at(place, dt.datetime.fromtimestamp(start_unix_s, dt.UTC).year)
    of_zone = [factor for factor in intensity.factors if factor.key == f"zone:{intensity.zone}"]
    return (Factor(f"forecast:{name}", of_zone[0].ln_g),) if of_zone else None


def kind_of(text: str) -> Kind:
    """The kind that a text such as "marginal-direct" names. Raises ValueError naming those allowed."""
    if text not in KINDS:
        raise ValueError(f"kind of the forecast is {text!r}; allowed: {', '.join(KINDS)}")
    signal, _, factor_type = text.partition("-")
    return Kind(cast(SignalName, signal), cast(FactorType, factor_type))


def _names(place: Place) -> tuple[str, ...]:
    zones = set(place.zones)
    return tuple(filter(None, (place.label, place.region, *(zones if len(zones) == 1 else ()))))


def _read(path: Path) -> dict[str, dict[int, float]]:
    values: dict[str, dict[int, float]] = {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for line, row in _rows(path, csv.reader(file)):
                zone, start, g_per_kwh = row
                values.setdefault(zone.lower(), {})[_unix_s(path, line, start)] = _g(path, line, g_per_kwh)
    except (OSError, UnicodeDecodeError) as error:
        raise ForecastFileError(f"{path}: cannot be read: {error}") from error
    return values


def _rows(path: Path, rows: Iterator[list[str]]) -> Iterator[tuple[int, list[str]]]:
    header = next(rows, [])
    if missing := [name for name in FileForecast.COLUMNS if name not in header]:
        raise ForecastFileError(
            f"{path}, line 1: no column {', '.join(missing)}; needed: {', '.join(FileForecast.COLUMNS)}"
        )
    places = [header.index(name) for name in FileForecast.COLUMNS]
    for line, row in enumerate(rows, start=2):
        if row and len(row) <= max(places):
            raise ForecastFileError(f"{path}, line {line}: {len(row)} cells, the header has {len(header)}")
        if row:
            yield line, [row[place] for place in places]


def _unix_s(path: Path, line: int, text: str) -> int:
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ForecastFileError(
            f"{path}, line {line}: start is {text!r}; write a time with its offset, such as 2026-11-23T14:00Z"
        )
    return int(moment.timestamp())


def _g(path: Path, line: int, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise ForecastFileError(f"{path}, line {line}: g_per_kwh is {text!r}; a number from 0 on is needed")
    return value


def utc_text(moment_unix_s: int) -> str:
    """The time to the minute, as "2026-11-23T14:00Z"."""
    return dt.datetime.fromtimestamp(moment_unix_s, dt.UTC).strftime("%Y-%m-%dT%H:%MZ")
