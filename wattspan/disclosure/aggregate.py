"""`aggregate`: the sealed daily rows of a period from a lake: exact whole-number sums, grouped in DuckDB.

The first grouping is by the hour's intensity as well, so that weighting is one product a group and not one a
call; the second adds those up.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, cast

from wattspan.calls import Factor
from wattspan.disclosure.cells import (
    ENERGY_UNITS_PER_KWH,
    INTENSITY_UNITS_PER_G,
    REPORTED,
    WEIGHT_UNITS,
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
from wattspan.lake.plans import read_plan
from wattspan.lake.reader import Snapshot

_TEXTS: Final = (
    "feature",
    "resolved_model",
    "provider",
    "region",
    "region_source",
    "zone",
    "basis",
    "evidence",
    "grid_source",
    "grid_resolution",
    "grid_accounting",
    "grid_reason",
    "sampling",
    "plan",
    "spread",
)
_MOMENTS: Final = {
    "fresh": "(n_in - n_cached)",
    "cached": "n_cached",
    "fresh_context": "(n_in - n_cached) * n_in",
    "cached_context": "n_cached * n_in",
    "output": "n_out",
    "output_context": "n_out * n_in",
    "output_square": "n_out * n_out",
}
_BASES: Final = ("measured", "reported", "modelled", "no_usage", "failed", "compute")

_CELLS: Final = f"""
WITH picked AS (
    SELECT
        CAST(start_unix_ns // 86400000000000 AS INTEGER) AS day,
        {", ".join(f"coalesce({name}, '') AS {name}" for name in _TEXTS)},
        CAST(round(weight * {WEIGHT_UNITS}) AS BIGINT) AS w,
        CASE WHEN co2e_g IS NULL THEN NULL
             ELSE CAST(round(intensity_g_per_kwh * {INTENSITY_UNITS_PER_G}) AS BIGINT) END AS g,
        coalesce(owned_input_tokens, input_tokens, 0) AS n_in,
        coalesce(owned_cache_read_tokens, cache_read_tokens, 0) AS n_cached,
        coalesce(owned_output_tokens, output_tokens, 0) AS n_out,
        CASE WHEN basis IN ({", ".join(f"'{basis}'" for basis in sorted(REPORTED))})
             THEN CAST(round(energy_kwh * {ENERGY_UNITS_PER_KWH}) AS HUGEINT) ELSE 0 END AS energy
    FROM spans
    WHERE start_unix_ns >= ? AND start_unix_ns < ? AND basis IN ({", ".join(f"'{b}'" for b in _BASES)})
), hours AS (
    SELECT day, {", ".join(_TEXTS)}, w, g, count(*) AS n,
        {", ".join(f"CAST(sum({sql}) AS HUGEINT) AS {name}" for name, sql in _MOMENTS.items())},
        CAST(sum(energy) AS HUGEINT) AS energy
    FROM picked GROUP BY ALL
)
SELECT day, {", ".join(_TEXTS)}, sum(n) AS n, CAST(sum(n * w) AS HUGEINT) AS calls,
    bool_or(g IS NULL) AS lacks_carbon,
    {", ".join(f"CAST(sum({name} * w) AS VARCHAR) AS {name}" for name in (*_MOMENTS, "energy"))},
    {", ".join(f"CAST(sum({name} * w * g) AS VARCHAR) AS {name}_g" for name in (*_MOMENTS, "energy"))}
FROM hours GROUP BY ALL
"""

_REQUESTS: Final = f"""
WITH asked AS (
    SELECT trace_id, pre, subtree_size, request, coalesce(feature, '') AS feature,
        CAST(start_unix_ns // 86400000000000 AS INTEGER) AS day,
        CAST(round(weight * {WEIGHT_UNITS}) AS BIGINT) AS w
    FROM spans WHERE request > 0 AND start_unix_ns >= ? AND start_unix_ns < ?
), silent AS (
    SELECT trace_id, pre FROM spans WHERE basis = 'no_usage' AND is_owner
), uncovered AS (
    SELECT DISTINCT asked.trace_id, asked.pre FROM asked JOIN silent
    ON asked.trace_id = silent.trace_id AND silent.pre >= asked.pre
        AND silent.pre < asked.pre + asked.subtree_size
)
SELECT asked.day, asked.feature,
    CAST(coalesce(sum(w) FILTER (request = 1), 0) AS VARCHAR),
    CAST(coalesce(sum(w) FILTER (request = 2), 0) AS VARCHAR),
    CAST(coalesce(sum(w) FILTER (request = 1 AND uncovered.pre IS NULL), 0) AS VARCHAR)
FROM asked LEFT JOIN uncovered USING (trace_id, pre) GROUP BY ALL
"""


class AggregateError(ValueError):
    """The lake's rows cannot be summed up: what was found, and what to do."""


@dataclass(frozen=True, slots=True)
class Aggregates:
    """The daily rows of a period, all features, and what their gate must know."""

    cells: tuple[Cell, ...]
    requests: tuple[RequestCount, ...]
    vectors: dict[str, Vector]
    spreads: dict[str, Spread]
    facts: Facts
    reasons: tuple[str, ...]
    """Why energy of the period has no carbon figure; () where all has one."""

    @property
    def features(self) -> tuple[str, ...]:
        """Features with a completed inference, without the unmapped."""
        return tuple(sorted({r.feature for r in self.requests if r.completed and r.feature}))


def aggregate(
    snapshot: Snapshot, period: Period, editions: dict[str, str], now: dt.datetime, gap_rule: str
) -> Aggregates:
    """The daily rows of `period`. `editions`: status by label of what is installed.

    Raises AggregateError for rows that were estimated without constants.
    """
    first, last = (_unix_ns(day) for day in (period.start, period.end))
    segments = snapshot.segments(period.start, period.end - dt.timedelta(days=1))
    connection = snapshot.connect(segments)
    try:
        rows = connection.execute(_CELLS, [first, last]).fetchall()
        requests = connection.execute(_REQUESTS, [first, last]).fetchall()
    finally:
        connection.close()
    vectors: dict[str, Vector] = {}
    errors: dict[str, Spread] = {}
    cells, reasons = [], set()
    for row in rows:
        cell, reason = _cell(row, vectors, errors)
        cells.append(cell)
        if reason:
            reasons.add(reason)
    merged = _merged(cells)
    counts = tuple(
        RequestCount(_day(day), feature, int(completed), int(failed), int(covered))
        for day, feature, completed, failed, covered in sorted(requests)
    )
    used = {segment.edition for segment in segments}
    facts = Facts(
        kinds=frozenset(Kind(cast(SignalName, s.signal), cast(FactorType, s.factor_type)) for s in segments),
        editions={label: editions.get(label, "not installed") for label in used},
        coverage=_coverage(merged),
        unmapped_share=_unmapped(merged, vectors),
        is_period_over=not period.is_open(now),
        gap_rule="" if gap_rule == "none" else gap_rule,
    )
    return Aggregates(merged, counts, vectors, errors, facts, tuple(sorted(reasons)))


def _cell(row: tuple[Any, ...], vectors: dict[str, Vector], errors: dict[str, Spread]) -> tuple[Cell, str]:
    day, *rest = row
    texts = dict(zip(_TEXTS, rest[: len(_TEXTS)], strict=True))
    n, calls, lacks_carbon, *sums = rest[len(_TEXTS) :]
    half = len(_MOMENTS) + 1
    plain, weighted = ([int(value or 0) for value in part] for part in (sums[:half], sums[half:]))
    basis, plan, spread = texts["basis"], texts.pop("plan"), texts.pop("spread")
    has_figure = basis not in WITHOUT_FIGURE
    vector_id = spread_id = direct = ""
    if has_figure:
        vector_id, direct = _vector(plan, basis, vectors)
        spread_id = _spread(spread, errors)
    reason = texts.pop("grid_reason")
    model = texts.pop("resolved_model")
    cell = Cell(
        day=_day(day),
        **texts,
        model=model,
        direct=direct,
        vector=vector_id,
        spread=spread_id,
        calls=int(calls),
        rows=int(n),
        moments=Moments(*plain[:-1]) if has_figure else _NOTHING,
        weighted=Moments(*weighted[:-1]) if has_figure else _NOTHING,
        energy=plain[-1],
        energy_weighted=weighted[-1],
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


def _vector(plan: str, basis: str, vectors: dict[str, Vector]) -> tuple[str, str]:
    """Id of the constants, and the direct intensity in micrograms per kWh."""
    if not plan:
        if basis not in REPORTED:
            raise AggregateError(
                "rows of the lake have estimates without their constants; make them anew with "
                "`wattspan lake estimate`"
            )
        vectors[_NO_VECTOR.id] = _NO_VECTOR
        return _NO_VECTOR.id, ""
    content = read_plan(plan)
    vector = of_plan_text(content)
    vectors[vector.id] = vector
    return vector.id, direct_of(content)


def _spread(text: str, errors: dict[str, Spread]) -> str:
    found = spreads.read(text)
    energy, carbon = (errors_of(Factor(*factor) for factor in part) for part in found)
    name = errors_id(energy, carbon)
    errors[name] = Spread(energy, carbon)
    return name


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


def _unix_ns(day: dt.date) -> int:
    return (day - dt.date(1970, 1, 1)).days * 86_400 * 10**9
