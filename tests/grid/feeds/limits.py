"""Patience for tests: no waits between attempts, short ones for answers."""

from wattspan.grid.feeds.http import Limits

FAST = Limits(timeout_s=0.4, deadline_s=0.8, attempts=2, first_wait_s=0.0, longest_wait_s=0.05)
