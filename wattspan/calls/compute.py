"""`ComputeBatch`: spans that are no model calls, and the processor time to be counted for each."""

from __future__ import annotations

from dataclasses import dataclass

from wattspan.calls.batch import Column, Flags, Ints


@dataclass(frozen=True, slots=True, eq=False)
class ComputeBatch:
    """Spans as columns, all of length n."""

    time_ns: Ints
    """Processor time, or time that the span is taken to hold a vCPU."""
    is_cpu_time: Flags
    """`time_ns` is processor time that the span reports: the vCPU was at work in all of it."""
    start_unix_ns: Ints
    """Start of the span, nanoseconds since 1970 UTC; 0 where unknown."""
    region: Column
    """Cloud region that the span ran in."""
    cloud: Column
    """Cloud of that region."""
    service: Column

    def __len__(self) -> int:
        return len(self.time_ns)
