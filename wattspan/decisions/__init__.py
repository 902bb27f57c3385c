"""Decisions: when and where to run calls, what another choice would change, how a figure came about."""

from wattspan.decisions.explain import Estimated, Explanation, Step, explain, explain_call
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
    "Estimated",
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
    "explain_call",
    "ratio",
]
