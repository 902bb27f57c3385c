"""Percentiles from mergeable buckets: counts by logarithm of the value, which add up over days and lakes."""

from __future__ import annotations

import math
from typing import Final

WIDTH: Final = 0.0198
"""In units of the natural logarithm: the middle of a bucket is within 1 % of all in it."""
PERCENTILES: Final = (0.50, 0.90, 0.95, 0.99)


def bucket_sql(value: str) -> str:
    """SQL: the bucket of a positive value."""
    return f"CAST(floor(ln({value}) / {WIDTH}) AS INTEGER)"


def middle(bucket: int) -> float:
    """The value that stands for a bucket: its geometric middle."""
    return math.exp((bucket + 0.5) * WIDTH)
