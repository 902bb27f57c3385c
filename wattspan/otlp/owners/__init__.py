"""Owners: each call of a model counted once, however many spans tell of it."""

from wattspan.otlp.owners.memory import OwnerMemory
from wattspan.otlp.owners.ownership import Ownership, decide, decide_among
from wattspan.otlp.owners.spans import Spans

__all__ = ["OwnerMemory", "Ownership", "Spans", "decide", "decide_among"]
