"""What may be told to a customer: the gate, and what today's data supports."""

from wattspan.disclosure.gate import (
    Facts,
    Limits,
    Reason,
    Refusal,
    RefusedError,
    location_based_kind,
    refusals,
)

__all__ = ["Facts", "Limits", "Reason", "Refusal", "RefusedError", "location_based_kind", "refusals"]
