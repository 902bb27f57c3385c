"""The share of traces that sampling kept, from Span.trace_state: `ot=th:...` (W3C, OTEP 235)."""

from __future__ import annotations

import re
from typing import Final

import numpy as np

from wattspan.lake.rows import Floats
from wattspan.otlp.wire import SpanTable

_THRESHOLD: Final = re.compile(rb"(?:^|,)\s*ot=(?:[^,]*;)?th:([0-9a-f]{1,14})(?:[;,]|\s*$)")
_MOST_DIGITS: Final = 14


def kept_share(trace_state: bytes) -> float:
    """1 - th / 2^56 of a tracestate; NaN where it names no threshold.

    `th` is a hexadecimal fraction whose trailing zeros may be left out: th:c keeps a quarter, th:0 all.
    """
    match = _THRESHOLD.search(trace_state)
    if match is None:
        return float("nan")
    rejected = int(match[1].ljust(_MOST_DIGITS, b"0"), 16)
    return 1.0 - rejected / float(1 << 56)


def kept_shares(table: SpanTable) -> Floats:
    """float64[n]: for each span of a scanned request; NaN where it says nothing."""
    used, place = np.unique(table.trace_state_code, return_inverse=True)
    shares = np.array([kept_share(table.texts[code]) for code in used.tolist()], dtype=np.float64)
    return shares[place] if len(shares) else np.empty(0, dtype=np.float64)
