"""The share of traces that sampling kept, from Span.trace_state: `ot=th:...` (W3C, OTEP 235)."""

from __future__ import annotations

import re
from typing import Final

import numpy as np

from wattspan.lake.rows import Floats
from wattspan.otlp.wire import SpanTable

_THRESHOLD: Final = re.compile(rb"(?:^|,)\s*ot=(?:[^,]*;)?th:([0-9a-f]{1,14})(?:[;,]|\s*$)")
_TRACE_STATE_TAG: Final = 3 << 3 | 2
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


def kept_shares(body: bytes, table: SpanTable) -> Floats:
    """float64[n]: for each span of a scanned request; NaN where it says nothing.

    Most traffic is not sampled: spans are looked into only where the request has a threshold at all.
    """
    shares = np.full(table.n, np.nan)
    if b"th:" not in body or b"ot=" not in body:
        return shares
    for row, (start, end) in enumerate(zip(table.start.tolist(), table.end.tolist(), strict=True)):
        if start >= 0:
            shares[row] = kept_share(_trace_state(body, start, end))
    return shares


def _trace_state(body: bytes, at: int, end: int) -> bytes:
    """Field 3 of the Span message at `at`..`end`, which was scanned before: its fields are whole."""
    while at < end:
        tag, at = _varint(body, at)
        kind = tag & 7
        if kind == 2:
            size, at = _varint(body, at)
            if tag == _TRACE_STATE_TAG:
                return body[at : at + size]
            at += size
        elif kind == 0:
            _, at = _varint(body, at)
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        else:
            break
    return b""


def _varint(body: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = body[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
