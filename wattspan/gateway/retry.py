"""When to try again: exponential backoff with jitter, and what Retry-After asks for."""

from __future__ import annotations

import datetime as dt
import random
from email.utils import parsedate_to_datetime

from wattspan.gateway.otlp_status import LONGEST_WAIT_S
from wattspan.gateway.settings import RetrySection


class Backoff:
    """The waits between the attempts of one request."""

    def __init__(self, settings: RetrySection) -> None:
        self._settings = settings
        self._next_s = settings.initial_s

    def wait_s(self, asked_s: float | None = None) -> float:
        """Seconds to wait now; what the destination asked for wins over our own reckoning."""
        if asked_s is not None:
            return asked_s
        jitter = self._settings.jitter
        wait = self._next_s * random.uniform(1 - jitter, 1 + jitter)
        self._next_s = min(self._next_s * self._settings.multiplier, self._settings.max_s)
        return wait


def retry_after_s(value: str | None, now: dt.datetime) -> float | None:
    """Seconds that a Retry-After header asks for: a number, or a date (RFC 9110 §10.2.3)."""
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        return min(float(value), LONGEST_WAIT_S)
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=dt.UTC)
    return min(max((date - now).total_seconds(), 0.0), LONGEST_WAIT_S)
