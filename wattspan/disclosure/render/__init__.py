"""Renderings of a sealed disclosure: from `disclosure.json` alone, the same bytes on every run."""
