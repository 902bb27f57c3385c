"""`aggregate`: the sealed daily rows of a period from a lake: exact whole-number sums.

Sums come by the intensity of the hour as well (`row_sums`), so that weighting is one product a sum and not
one a call; here those of a day are added up.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Final, cast

from wattspan.calls import Factor
from wattspan.disclosure import row_sums
from wattspan.disclosure.cells import (
    ENERGY_UNITS_PER_KWH,
    REPORTED,
    WITHOUT_FIGURE,
    Cell,
    RequestCount,
    summed,
)
from wattspan.disclosure.coefficients import Vector, direct_of, errors_id, errors_of, of_plan_text
from wattspan.disclosure.figure import Spread
from wattspan.disclosure.gate import Facts
from wattspan.disclosure.subject import Period
from wattspan.estimator.moments import Moments
from wattspan.grid import Kind
from wattspan.grid.intensity import FactorType, SignalName
from wattspan.lake import spread as spreads
from wattspan.lake.disk import LakeError
from wattspan.lake.plans import read_plan
from wattspan.lake.reader import Snapshot


class AggregateError(ValueError):
    """The lake's rows cannot be summed up: what was found, and what to do."""


@dataclass(frozen=True)
class Aggregates:
    """The daily rows of a period, all features, and what their gate must know."""

    cells: tuple[Cell, ...]
    requests: tuple[RequestCount, ...]
    vectors: dict[str, Vector]
    spreads: dict[str, Spread]
    facts: Facts
    edition_digests: frozenset[str]
    """Of the editions that made the rows."""
    reasons: tuple[str, ...]
    """Why energy of the period has no carbon figure; () where all has one."""

    @cached_property
    def by_feature(self) -> Mapping[str, tuple[Cell, ...]]:
        """The rows of each feature."""
        found: dict[str, list[Cell]] = {}
        for cell in self.cells:
            found.setdefault(cell.feature, []).append(cell)
        return {feature: tuple(cells) for feature, cells in found.items()}

    @property
    def features(self) -> tuple[str, ...]:
        """Features with a completed inference, without the unmapped."""
        return tuple(sorted({r.feature for r in self.requests if r.completed and r.feature}))


def aggregate(
    snapshot: Snapshot, period: Period, editions: Mapping[str, str], now: dt.datetime, gap_rule: str
) -> Aggregates:
    """The daily rows of `period`. `editions`: status by label of what is installed.

    Raises AggregateError for rows that were estimated without constants, LakeError where a file cannot be
    read.
    """
    first, end = (unix_ns(day) for day in (period.start, period.end))
    segments = snapshot.segments(period.start, period.end - dt.timedelta(days=1))
    try:
        sums = row_sums.sums_of(snapshot.folder, segments, first, end)
    except OSError as error:
        raise LakeError(f"{snapshot.folder} cannot be read: {error.strerror or error}") from error
    constants = _Constants()
    cells, reasons = [], set()
    for kind, found in sums.kinds.items():
        cell, reason = _cell(kind, found, constants)
        cells.append(cell)
        if reason:
            reasons.add(reason)
    merged = _merged(cells)
    counts = tuple(
        RequestCount(_day(day), feature, *found) for (day, feature), found in sorted(sums.requests.items())
    )
    used = {segment.edition for segment in segments}
    facts = Facts(
        kinds=frozenset(Kind(cast(SignalName, s.signal), cast(FactorType, s.factor_type)) for s in segments),
        editions={label: editions.get(label, "not installed") for label in used},
        coverage=_coverage(merged),
        unmapped_share=_unmapped(merged, constants.vectors),
        is_period_over=not period.is_open(now),
        gap_rule="" if gap_rule == "none" else gap_rule,
    )
    return Aggregates(
        merged,
        counts,
        constants.vectors,
        constants.spreads,
        facts,
        frozenset(segment.edition_digest for segment in segments),
        tuple(sorted(reasons)),
    )


def _cell(kind: row_sums.Kind, found: row_sums.Sum, constants: _Constants) -> tuple[Cell, str]:
    """A daily row of rows of one weight and intensity, and why there is no carbon figure ("" if there is)."""
    texts = dict(zip(row_sums.TEXTS, kind.texts, strict=True))
    plan, spread, reason = texts.pop("plan"), texts.pop("spread"), texts.pop("grid_reason")
    has_figure = texts["basis"] not in WITHOUT_FIGURE
    vector, direct = constants.vector(plan, texts["basis"]) if has_figure else ("", "")
    lacks_carbon = kind.intensity == row_sums.NO_CARBON
    grams = 0 if lacks_carbon else kind.intensity
    plain = tuple(value * kind.weight for value in found.moments) if has_figure else _NOTHING
    energy = found.energy * kind.weight
    cell = Cell(
        day=_day(kind.day),
        model=texts.pop("resolved_model"),
        **texts,
        direct=direct,
        vector=vector,
        spread=constants.spread(spread) if has_figure else "",
        calls=found.rows * kind.weight,
        rows=found.rows,
        moments=Moments(*plain),
        weighted=Moments(*(value * grams for value in plain)),
        energy=energy,
        energy_weighted=energy * grams,
    )
    return cell, (reason or "no intensity") if has_figure and lacks_carbon else ""


_NOTHING: Final = Moments(0, 0, 0, 0, 0, 0, 0)
_NO_VECTOR: Final = Vector(
    joules=(Decimal(0),) * 7,
    server_factor=Decimal(1),
    facility_factor=Decimal(1),
    embodied_g_per_gpu_j=Decimal(0),
    water_ml_per_it_kwh=None,
    hardware="",
)
"""For energy that comes with no model of the call behind it."""


class _Constants:
    """Coefficients and errors that rows name: each text is read once."""

    def __init__(self) -> None:
        self.vectors: dict[str, Vector] = {}
        self.spreads: dict[str, Spread] = {}
        self._vectors: dict[str, tuple[str, str]] = {}
        self._spreads: dict[str, str] = {}

    def vector(self, plan: str, basis: str) -> tuple[str, str]:
        """Id of the coefficients, and the direct intensity in micrograms per kWh. Raises AggregateError."""
        known = self._vectors.get(plan)
        if known is not None:
            return known
        if plan:
            content = read_plan(plan)
            vector, direct = of_plan_text(content), direct_of(content)
        elif basis in REPORTED:
            vector, direct = _NO_VECTOR, ""
        else:
            raise AggregateError(
                "rows of the lake have estimates without their constants; make them anew with "
                "`wattspan lake estimate`"
            )
        self.vectors[vector.id] = vector
        if plan:
            self._vectors[plan] = vector.id, direct
        return vector.id, direct

    def spread(self, text: str) -> str:
        """Id of the errors."""
        known = self._spreads.get(text)
        if known is None:
            energy, carbon = (errors_of(Factor(*factor) for factor in part) for part in spreads.read(text))
            known = self._spreads[text] = errors_id(energy, carbon)
            self.spreads[known] = Spread(energy, carbon)
        return known


def _merged(cells: Iterable[Cell]) -> tuple[Cell, ...]:
    """Cells with one key as one: their texts may differ in what is not sealed."""
    by_key: dict[tuple[str, ...], list[Cell]] = {}
    for cell in cells:
        by_key.setdefault(cell.key, []).append(cell)
    return tuple(summed(by_key[key]) for key in sorted(by_key))


def _coverage(cells: Iterable[Cell]) -> float:
    with_figure = without = 0
    for cell in cells:
        if cell.basis == "no_usage":
            without += cell.calls
        elif cell.basis not in ("failed", "compute"):
            with_figure += cell.calls
    return with_figure / (with_figure + without) if with_figure + without else 0.0


def _unmapped(cells: Iterable[Cell], vectors: dict[str, Vector]) -> float:
    mapped = unmapped = Decimal(0)
    for cell in cells:
        if cell.basis in WITHOUT_FIGURE:
            continue
        energy = (
            Decimal(cell.energy) / ENERGY_UNITS_PER_KWH
            if cell.basis in REPORTED
            else vectors[cell.vector].energy_kwh(cell.moments)
        )
        if cell.feature:
            mapped += energy
        else:
            unmapped += energy
    return float(unmapped / (mapped + unmapped)) if mapped + unmapped else 0.0


def _day(number: int) -> str:
    return (dt.date(1970, 1, 1) + dt.timedelta(days=number)).isoformat()


def unix_ns(day: dt.date) -> int:
    """The first nanosecond of a day, UTC."""
    return (day - dt.date(1970, 1, 1)).days * 86_400 * 10**9
