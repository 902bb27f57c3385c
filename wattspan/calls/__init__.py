"""The two tables everything speaks."""

from wattspan.calls.batch import CallBatch, Column
from wattspan.calls.estimates import EstimateBatch, Factor, SpreadClass

__all__ = ["CallBatch", "Column", "EstimateBatch", "Factor", "SpreadClass"]
