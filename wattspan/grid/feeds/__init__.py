"""Feeds of carbon intensities: one client a module, each of one kind, none of which ever gives another.

Nothing is imported here: a client needs `httpx` and `stamina`, which only `wattspan[grid]` installs.
"""
