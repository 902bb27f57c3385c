"""How the figure of a span in a lake came about: estimated again from its raw row, step by step."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import pyarrow as pa

from wattspan.decisions.explain import Estimated, Explanation, explain_call
from wattspan.estimator import Estimator
from wattspan.lake import arrow
from wattspan.lake.manifest import Segment
from wattspan.lake.ownership import own
from wattspan.otlp.dialects import CALL

AGREES_WITHIN = 1e-9


@lru_cache(8)
def _estimator(edition: str, factor_type: str) -> Estimator:
    return Estimator(edition, factor_type=factor_type)


def explain_row(segment: Segment, rows: pa.Table, span_id: int) -> tuple[Explanation, str] | None:
    """The chain of a span among the rows of its trace, and a note where the stored figure is another.

    None where the trace has no such span. Raises EditionError where the edition is not installed.
    """
    at = np.flatnonzero(rows.column("span_id").to_numpy() == np.uint64(span_id))
    if not len(at):
        return None
    row = int(at[0])
    ids = (rows.column("trace_id")[row].as_py().hex(), f"{span_id:016x}")
    spans = arrow.from_arrow(rows)
    places = np.flatnonzero(spans.call_rows == row)
    if not len(places):
        return Explanation(*ids, "other", "", "it is no model call: it has no energy of its own", ""), ""
    place = int(places[0])
    calls, is_owner, owner_span_id = own(spans)
    if not is_owner[place]:
        if spans.role[place] != CALL:
            return Explanation(*ids, "aggregate", "", "it restates the calls below it", ""), ""
        owner = f"{int(owner_span_id[place]):016x}"
        reason = f"the same call is counted once, on span {owner}"
        return Explanation(*ids, "duplicate", "duplicate", reason, owner), ""
    estimator = _estimator(segment.edition, segment.factor_type)
    owned = calls.take(np.array([place]))
    found = explain_call(estimator, Estimated(owned, estimator.estimate(owned)), 0, ids)
    return found, _difference(found, rows, row)


def _difference(found: Explanation, rows: pa.Table, row: int) -> str:
    for band, name, what in (
        (found.energy_kwh, "energy_kwh", "energy"),
        (found.co2e_g, "co2e_g", "carbon"),
    ):
        stored = rows.column(name)[row].as_py()
        if stored is None or band is None:
            continue
        if not math.isclose(stored, band.central, rel_tol=AGREES_WITHIN):
            return (
                f"The {what} in the lake was estimated with more than the edition alone: a live grid, a "
                "deployment or a region rule of your configuration. The chain below is the edition's own."
            )
    return ""
