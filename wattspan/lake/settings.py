"""`LakeSettings`: how long traces stay open, how large files grow, how long spans are kept."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LakeSettings:
    """Defaults are those of the configuration file."""

    seal_after_s: float = 60.0
    """A trace is sealed so long after its last span."""
    most_open_s: float = 900.0
    """And at the latest so long after its first."""
    most_open_spans: int = 500_000
    """Spans of open traces in memory; above, those longest unheard of are sealed."""
    portion_spans: int = 250_000
    """Spans sealed at a time."""
    segment_bytes: int = 128 * 1024 * 1024
    """Size that compaction lets a file grow to."""
    attributes: tuple[str, ...] = ()
    """Attribute keys kept beside those of `allowed.ALLOWED`."""
    grace_s: float = 900.0
    """Files that left the lake are deleted after this: longer than the longest query."""
    retention_days: int | None = None
    """Whole days older than this are dropped (their roll-ups stay); None keeps all."""
