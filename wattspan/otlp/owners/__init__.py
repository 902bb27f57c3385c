"""Owners: each call of a model counted once, however many spans tell of it."""

from wattspan.otlp.owners.decide import Ownership, decide
from wattspan.otlp.owners.memory import OwnerMemory

__all__ = ["OwnerMemory", "Ownership", "decide"]
