"""Builds an edition from the evidence: `python -m evidence.edition`."""
