"""Rows to kinds: what many rows share is worked out once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol, TypeVar

import numpy as np

from wattspan.calls.batch import Ints
from wattspan.grid import Intensity
from wattspan.grid.hourly import HourlyValues

_FEW_KEYS: Final = 65_536


class HasHour(Protocol):
    """A plan whose intensity is that of an hour."""

    def at_hour(self, intensity: Intensity) -> HasHour:
        """The same plan in an hour whose intensity is known."""


PlanT = TypeVar("PlanT", bound=HasHour)


def with_hours(plan_of_row: Ints, plans: Sequence[PlanT], hours: HourlyValues) -> tuple[Ints, list[PlanT]]:
    """The plan of each row in its hour: one for each plan and each intensity that its calls met."""
    many = len(hours.intensities) + 1
    first, variant_of_row = distinct(plan_of_row * many + hours.codes + 1, len(plans) * many)
    variants = []
    for row in first.tolist():
        plan, code = plans[plan_of_row[row]], hours.codes[row]
        variants.append(plan if code < 0 else plan.at_hour(hours.intensities[code]))
    return variant_of_row, variants


def distinct(keys: Ints, size: int) -> tuple[Ints, Ints]:
    """The first row of each distinct key, and for each row the index of its key among them.

    `keys` are >= 0 and below `size`; where that is small, a look-up table beats sorting five times.
    """
    n = len(keys)
    if size > 4 * n + _FEW_KEYS:
        _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
        return first, inverse
    first_of_key = np.full(size, -1, dtype=np.int64)
    first_of_key[keys[::-1]] = np.arange(n - 1, -1, -1)
    used = np.flatnonzero(first_of_key >= 0)
    index_of_key = np.empty(size, dtype=np.int64)
    index_of_key[used] = np.arange(len(used))
    return first_of_key[used], index_of_key[keys]
