"""The two tables everything speaks."""

from wattspan.calls.batch import CallBatch
from wattspan.calls.column import Column
from wattspan.calls.estimates import EstimateBatch, Factor, Plans, SpreadClass
from wattspan.calls.kinds import CallKind, Kinds

__all__ = ["CallBatch", "CallKind", "Column", "EstimateBatch", "Factor", "Kinds", "Plans", "SpreadClass"]
