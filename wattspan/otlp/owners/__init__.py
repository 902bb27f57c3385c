"""Owners: each call of a model counted once, however many spans tell of it."""

from wattspan.otlp.owners.memory import OwnerMemory
from wattspan.otlp.owners.ownership import Ownership, decide

__all__ = ["OwnerMemory", "Ownership", "decide"]
