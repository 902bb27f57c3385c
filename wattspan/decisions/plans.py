"""The plan behind one call of a batch: the constants that the estimator used for it."""

from __future__ import annotations

import numpy as np

from wattspan.calls import CallBatch
from wattspan.estimator import Estimator, Plan


def plan_of(estimator: Estimator, calls: CallBatch, row: int) -> Plan:
    """The plan that `estimator.estimate(calls)` used for a row."""
    _, plans = estimator.plans(calls.take(np.array([row])))
    return plans[0]
