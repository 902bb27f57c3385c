"""The two tables everything speaks."""

from wattspan.calls.batch import CallBatch, Column

__all__ = ["CallBatch", "Column"]
