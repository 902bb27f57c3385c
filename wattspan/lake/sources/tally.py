"""`Tally`: what an import found."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np

from wattspan.estimator import Estimator, Sums
from wattspan.lake.ownership import own
from wattspan.lake.rows import SpanRows
from wattspan.otlp.dialects import CALL
from wattspan.otlp.problems import Problem

MOST_PROBLEMS = 10_000
"""Problems kept; the others are counted."""


class Tally:
    """Counts and sums over all portions; copies of one call are all among `calls`."""

    def __init__(self, first_rows: int = 0) -> None:
        """`first_rows`: how many of the first calls are kept to be shown."""
        self._first_rows = first_rows
        self.spans = 0
        self.calls = 0
        self.errors = 0
        self.without_usage = 0
        self.input_tokens = 0
        """Of all calls, copies among them."""
        self.output_tokens = 0
        self.left_out = 0
        """Rows that could not be used."""
        self.new_spans: int | None = None
        """Spans that the lake did not have; None where nothing was written."""
        self.retired_spans = 0
        """Spans of traces whose day was dropped from the lake: they are in its sums."""
        self.first_rows: list[tuple[str, ...]] = []
        """Start, model, provider, input tokens, output tokens and span name."""
        self.problems: list[Problem] = []
        self.problem_count = 0
        self._first_ns, self._last_ns = 0, 0
        self.sums = Sums()
        """Of what was given to `estimate`."""

    def report(self, problem: Problem) -> None:
        """Take note of a problem."""
        self.problem_count += 1
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(problem)

    def add(self, rows: SpanRows, left_out: int) -> None:
        """Add a portion."""
        calls = rows.calls
        is_call = rows.role == CALL
        self.spans += len(rows)
        self.left_out += left_out
        self.calls += int(is_call.sum())
        self.errors += int((calls.is_error & is_call).sum())
        self.without_usage += int((~calls.has_usage & ~calls.is_error & is_call).sum())
        self.input_tokens += int(calls.input_tokens[is_call].sum())
        self.output_tokens += int(calls.output_tokens[is_call].sum())
        known = rows.start_unix_ns[rows.start_unix_ns > 0]
        if len(known):
            first, last = int(known.min()), int(known.max())
            self._first_ns = min(self._first_ns or first, first)
            self._last_ns = max(self._last_ns, last)
        for call in np.flatnonzero(is_call)[: self._first_rows - len(self.first_rows)].tolist():
            self.first_rows.append(
                (
                    _time(int(calls.start_unix_ns[call])),
                    calls.model[call] or "?",
                    calls.provider[call],
                    f"{calls.input_tokens[call]:,}",
                    f"{calls.output_tokens[call]:,}",
                    rows.name[int(rows.call_rows[call])],
                )
            )

    def estimate(self, rows: SpanRows, estimator: Estimator) -> None:
        """Estimate the calls of a portion, each once as far as the portion shows."""
        calls, is_owner, _ = own(rows)
        found = estimator.estimate(calls.take(np.flatnonzero(is_owner)))
        self.sums.add(found)

    @property
    def times(self) -> tuple[str, str] | None:
        """First and last start, UTC."""
        return (_time(self._first_ns), _time(self._last_ns)) if self._last_ns else None

    @property
    def counted(self) -> str:
        """Calls without a figure, in words."""
        words = ((self.errors, "with an error"), (self.without_usage, "without usage: no figure"))
        return ", ".join(f"{count:,} {what}" for count, what in words if count)

    def to_json(self) -> dict[str, Any]:
        """All counts, and the problems."""
        return {
            "spans": self.spans,
            "new_spans": self.new_spans,
            "retired_spans": self.retired_spans,
            "calls": self.calls,
            "errors": self.errors,
            "without_usage": self.without_usage,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "left_out": self.left_out,
            "first_start": self.times[0] if self.times else None,
            "last_start": self.times[1] if self.times else None,
            "problem_count": self.problem_count,
            "problems": [problem.as_dict() for problem in self.problems],
        }


def _time(unix_ns: int) -> str:
    moment = dt.datetime.fromtimestamp(unix_ns // 10**9, dt.UTC)
    return f"{moment:%Y-%m-%d %H:%M:%S}.{unix_ns % 10**9 // 10**6:03d}" if unix_ns else "unknown"
