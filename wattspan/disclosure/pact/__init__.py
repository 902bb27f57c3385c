"""WBCSD PACT v3: a disclosure as a ProductFootprint, and what a host system needs to hand it out."""

from wattspan.disclosure.pact.footprint import footprint
from wattspan.disclosure.pact.rules import Fault, faults
from wattspan.disclosure.pact.source import Source, source_of
from wattspan.disclosure.pact.terms import Terms, terms_of

__all__ = ["Fault", "Source", "Terms", "faults", "footprint", "source_of", "terms_of"]
