"""Largest resident memory of this program: `ru_maxrss` has that of the process which began it too."""

from __future__ import annotations

from pathlib import Path


def largest_mib() -> float:
    """MiB; Linux."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("/proc/self/status has no VmHWM")
