"""Addresses that servers listen at."""

from __future__ import annotations

from ipaddress import ip_address


def is_loopback(host: str) -> bool:
    """The name or address leads to this machine only."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
