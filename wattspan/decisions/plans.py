"""The plan behind one call of a batch: the constants that the estimator used for it."""

from __future__ import annotations

import datetime as dt

from wattspan.calls import CallBatch
from wattspan.estimator import Estimator, Plan, PlanKey

NS_PER_S = 1_000_000_000


def plan_of(estimator: Estimator, calls: CallBatch, row: int) -> Plan:
    """The plan that `estimator.estimate(calls)` used for a row."""
    texts = [getattr(calls, name)[row] for name in PlanKey._fields[:-2]]
    start_unix_ns = int(calls.start_unix_ns[row])
    year = dt.datetime.fromtimestamp(start_unix_ns // NS_PER_S, dt.UTC).year if start_unix_ns > 0 else 0
    return estimator.planner.plan(PlanKey._make([*texts, bool(calls.is_self_hosted[row]), year]))
