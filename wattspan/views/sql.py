"""The SQL of roll-ups. Names in it come from our own tables; what a user wrote is bound as a parameter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from wattspan.lake.schema import TOKENS
from wattspan.views.buckets import PERCENTILES, bucket_sql
from wattspan.views.dimensions import START, Dimension, Filter

Parameters = dict[str, object]

COUNTED: Final = "(is_owner OR basis = 'compute')"
"""Rows whose energy counts: each call once, and compute spans where the user opted in. They are no calls."""
CLASSES: Final = ("spread", "evidence", "basis", "sampling")
"""What rows are apart by, beside the dimensions asked for: errors they share, and the classes that are
reported."""
OF_CALLS: Final = (*CLASSES, "region_source")
"""What the cells of calls are apart by: what is unknown of them is told from cells too."""

MEASURES: Final = {
    "recorded": "count(*) FILTER (is_owner)",
    "calls": "sum(weight) FILTER (is_owner)",
    **{name: f"sum(weight * {{{name}}})" for name in TOKENS},
    "energy_kwh": "sum(weight * energy_kwh)",
    "co2e_g": "sum(weight * co2e_g)",
    "embodied_g": "sum(weight * embodied_g)",
    "cost_usd": "sum(weight * cost_usd)",
    "with_energy": "sum(weight) FILTER (is_owner AND energy_kwh IS NOT NULL)",
    "with_carbon": "sum(weight) FILTER (is_owner AND co2e_g IS NOT NULL)",
    "with_cost": "sum(weight) FILTER (is_owner AND cost_usd IS NOT NULL)",
}
UNWEIGHTED: Final = {
    "recorded": "count(is_owner)",
    "calls": "count(is_owner)",
    **{name: f"sum({{{name}}})" for name in TOKENS},
    "energy_kwh": "sum(energy_kwh)",
    "co2e_g": "sum(co2e_g)",
    "embodied_g": "sum(embodied_g)",
    "cost_usd": "sum(cost_usd)",
    "with_energy": "count(energy_kwh)",
    "with_carbon": "count(co2e_g)",
    "with_cost": "count(cost_usd)",
}
"""The same where every weight is 1 and every row a call: it spares a multiplication for each number."""
VARIANCES: Final = {
    "energy_variance": "sum(weight * (weight - 1) * energy_kwh * trace_energy_kwh)",
    "carbon_variance": "sum(weight * (weight - 1) * co2e_g * trace_co2e_g)",
}
"""Of sums over traces sampled with probability 1/weight (Horvitz-Thompson, sum of w (w - 1) E^2 over traces),
written as a sum over calls so that it adds up over cells: exact for whole traces, an upper bound for parts of
them."""
SUMS: Final = (*MEASURES, *VARIANCES)

REQUESTS: Final = {
    "completed": "sum(weight) FILTER (request = 1)",
    "failed": "sum(weight) FILTER (request = 2)",
}


def where(
    filters: Sequence[Filter],
    expressions: dict[str, str],
    start_unix_ns: int | None,
    end_unix_ns: int | None,
    time: str = START,
) -> tuple[str, Parameters]:
    """Conditions: filters of one dimension are alternatives, those of several must all hold."""
    parts: list[str] = []
    bound: Parameters = {}
    if start_unix_ns is not None:
        parts.append(f"{time} >= $start")
        bound["start"] = start_unix_ns
    if end_unix_ns is not None:
        parts.append(f"{time} < $end")
        bound["end"] = end_unix_ns
    groups: dict[tuple[str, bool], list[str]] = {}
    for number, condition in enumerate(filters):
        bound[f"pattern_{number}"] = condition.pattern
        groups.setdefault((condition.name, condition.is_not), []).append(
            f"({expressions[condition.name]}) GLOB $pattern_{number}"
        )
    for (_, is_not), alternatives in groups.items():
        either = " OR ".join(alternatives)
        parts.append(f"NOT ({either})" if is_not else f"({either})")
    return " AND ".join(parts) or "true", bound


def call_sums(
    source: str,
    by: Sequence[Dimension],
    condition: str,
    classes: Sequence[str] = CLASSES,
    *,
    is_weighted: bool,
    has_compute: bool,
    has_copied_tokens: bool,
) -> str:
    """Sums of the calls by dimensions and classes. What the rows have not need not be looked for: most lakes
    have none of the three, and then sums are quicker."""
    measures = MEASURES if is_weighted or has_compute else UNWEIGHTED
    tokens = {name: f"coalesce(owned_{name}, {name})" if has_copied_tokens else name for name in TOKENS}
    variances = VARIANCES if is_weighted else dict.fromkeys(VARIANCES, "0.0")
    columns = [
        *_keys(by),
        *classes,
        *(f"{sql.format_map(tokens)} AS {name}" for name, sql in (measures | variances).items()),
    ]
    rows = COUNTED if has_compute else "is_owner"
    return (
        f"SELECT {', '.join(columns)} FROM {source} WHERE {rows} AND {condition} "
        f"GROUP BY {_numbers(by, classes)}"
    )


def request_sums(source: str, by: Sequence[Dimension], condition: str) -> str:
    """Requests by dimensions."""
    columns = [*_keys(by), *(f"{sql} AS {name}" for name, sql in REQUESTS.items())]
    grouped = f" GROUP BY {_numbers(by)}" if by else ""
    return f"SELECT {', '.join(columns)} FROM {source} WHERE request > 0 AND {condition}{grouped}"


def bucket_counts(source: str, by: Sequence[Dimension], condition: str, value: str) -> str:
    """Rows with a `value` by dimensions and bucket."""
    columns = [*_keys(by), f"{bucket_sql(value)} AS bucket", "sum(weight) AS n"]
    kept = "is_owner" if value == "energy_kwh" else "request = 1"
    return (
        f"SELECT {', '.join(columns)} FROM {source} WHERE {kept} AND {value} > 0 AND {condition} "
        f"GROUP BY {_numbers(by, ('bucket',))}"
    )


def percentiles(source: str, keys: int) -> str:
    """The bucket at or above which each share of the values lies; `source` has columns key_0 … , bucket,
    n."""
    names = [f"key_{number}" for number in range(keys)]
    listed = "".join(f"{name}, " for name in names)
    partition = f"PARTITION BY {', '.join(names)}" if names else ""
    chosen = ", ".join(
        f"min(bucket) FILTER (up_to >= {share} * total * (1 - 1e-12))" for share in PERCENTILES
    )
    grouped = f" GROUP BY {', '.join(names)}" if names else ""
    return (
        f"WITH merged AS (SELECT {listed}bucket, sum(n) AS n FROM {source} GROUP BY {listed}bucket), "
        f"ranked AS (SELECT {listed}bucket, sum(n) OVER ({partition} ORDER BY bucket) AS up_to, "
        f"sum(n) OVER ({partition}) AS total FROM merged) "
        f"SELECT {listed}{chosen} FROM ranked{grouped}"
    )


def _keys(by: Sequence[Dimension]) -> list[str]:
    return [f"{dimension.sql} AS key_{number}" for number, dimension in enumerate(by)]


def _numbers(by: Sequence[Dimension], more: Sequence[str] = ()) -> str:
    return ", ".join(str(number + 1) for number in range(len(by) + len(more)))


def cell_sums(
    source: str,
    by: Sequence[Dimension],
    condition: str,
    part: str,
    classes: Sequence[str],
    sums: Sequence[str],
) -> str:
    """Sums of cells of one `part` by dimensions and `classes`."""
    columns = [*_keys(by), *classes, *(f"sum({name}) AS {name}" for name in sums)]
    grouped = f" GROUP BY {_numbers(by, classes)}" if by or classes else ""
    return f"SELECT {', '.join(columns)} FROM {source} WHERE part = '{part}' AND {condition}{grouped}"
