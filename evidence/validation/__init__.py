"""How far off the edition is on measurements it was not fitted to: `python -m evidence.validation`."""
