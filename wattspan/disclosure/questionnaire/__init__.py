"""A customer's questionnaire, filled from published disclosures."""
