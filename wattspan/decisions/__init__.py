"""Decisions: when and where to run calls, what another choice would change, how a figure came about."""

from wattspan.decisions.forecast import FileForecast, Forecast, NoOutlookError, Outlook, TypicalHours
from wattspan.decisions.ratio import ratio
from wattspan.decisions.schedule import Decision, Site, Work, best_start, choose

__all__ = [
    "Decision",
    "FileForecast",
    "Forecast",
    "NoOutlookError",
    "Outlook",
    "Site",
    "TypicalHours",
    "Work",
    "best_start",
    "choose",
    "ratio",
]
