"""`ignored`: values of spans that make no sense, as problems a person can find."""

from __future__ import annotations

from collections.abc import Iterator

from wattspan.otlp.dialects import Reading
from wattspan.otlp.problems import Problem
from wattspan.otlp.wire import SpanTable


def ignored(table: SpanTable, reading: Reading) -> Iterator[Problem]:
    """A problem for each value that `reading` left out of the spans of `table`: span, key, found, allowed."""
    for problem in reading.problems:
        yield Problem(
            f"found {problem.found}; allowed: {problem.allowed}; ignored",
            trace_id=table.trace_id[problem.span].tobytes().hex(),
            span_id=f"{int(table.span_id[problem.span]):016x}",
            key=problem.key,
        )
