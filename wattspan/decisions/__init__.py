"""Decisions: when and where to run calls, what another choice would change, how a figure came about."""

from wattspan.decisions.explain import Explanation, Step, explain
from wattspan.decisions.forecast import FileForecast, Forecast, NoOutlookError, Outlook, TypicalHours
from wattspan.decisions.live import FeedForecast
from wattspan.decisions.ratio import ratio
from wattspan.decisions.schedule import Choice, Decision, Site, Work, best_start, choose
from wattspan.decisions.whatif import Change, Difference, WhatIf

__all__ = [
    "Change",
    "Choice",
    "Decision",
    "Difference",
    "Explanation",
    "FeedForecast",
    "FileForecast",
    "Forecast",
    "NoOutlookError",
    "Outlook",
    "Site",
    "Step",
    "TypicalHours",
    "WhatIf",
    "Work",
    "best_start",
    "choose",
    "explain",
    "ratio",
]
