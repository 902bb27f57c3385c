"""`Question`: what a roll-up is asked for, and which files of the lake hold the answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from wattspan.estimator import Z90
from wattspan.lake.manifest import RetiredDay, Segment
from wattspan.lake.reader import Snapshot
from wattspan.views.cells import whole_days
from wattspan.views.dimensions import HOUR_NS, OF_CELLS, OF_REQUESTS, Filter, QueryError
from wattspan.views.kinds import Kind, kind_of

_SLACK_NS: Final = HOUR_NS
"""A call may have begun before its span did (a continued one), but not longer."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a roll-up is asked for."""

    by: tuple[str, ...] = ()
    where: tuple[Filter, ...] = ()
    start_unix_ns: int | None = None
    """Calls that start at or after this."""
    end_unix_ns: int | None = None
    """And before this."""
    estimate_set: str | None = None
    """Another set of estimates than the resident one."""
    percentiles: bool = False
    z: float = Z90
    """Width of the bands in geometric standard deviations: 1.64 encloses 90 %."""

    @property
    def names(self) -> tuple[str, ...]:
        """All dimensions that it touches."""
        return tuple(dict.fromkeys((*self.by, *(condition.name for condition in self.where))))

    @property
    def counts_requests(self) -> bool:
        """Requests can be counted by it."""
        return set(self.names) <= set(OF_REQUESTS)


def kinds(snapshot: Snapshot, question: Question) -> tuple[Kind, ...]:
    """The kinds of figures in the question's period: more than one are never added up."""
    if question.estimate_set is not None:
        return (_kind_of_set(snapshot, question.estimate_set),)
    found = {kind_of(segment) for segment in segments_of(snapshot, question, 0)}
    return tuple(sorted(found | {kind_of(day) for day in retired_of(snapshot, question)}))


def _kind_of_set(snapshot: Snapshot, name: str) -> Kind:
    for known in snapshot.manifest.sets:
        if known.name == name:
            return kind_of(known)
    names = ", ".join(known.name for known in snapshot.manifest.sets) or "none"
    raise QueryError(f"the lake has no estimates called {name!r}; it has {names}")


def segments_of(snapshot: Snapshot, question: Question, slack_ns: int = _SLACK_NS) -> list[Segment]:
    """Segments that may hold calls of the period; `slack_ns`: calls may begin so long before their span."""
    start, end = question.start_unix_ns, question.end_unix_ns
    return [
        segment
        for segment in snapshot.manifest.segments
        if (start is None or segment.max_end_unix_ns >= start)
        and (end is None or segment.min_start_unix_ns < end + slack_ns)
    ]


def cells_can(question: Question) -> bool:
    """Cells say all that is asked, where they are wholly in the period."""
    return question.estimate_set is None and set(question.names) <= set(OF_CELLS)


def have_all(question: Question, segment: Segment) -> bool:
    """The cells of the segment answer the question as its rows would."""
    start, end = question.start_unix_ns, question.end_unix_ns
    is_within = (start is None or segment.min_start_unix_ns - _SLACK_NS >= start) and (
        end is None or segment.max_end_unix_ns < end
    )
    return segment.cells is not None and cells_can(question) and (is_within or whole_days(start, end))


def retired_can(question: Question) -> bool:
    """What is kept of dropped days can answer it."""
    return cells_can(question) and whole_days(question.start_unix_ns, question.end_unix_ns)


def retired_of(snapshot: Snapshot, question: Question) -> tuple[RetiredDay, ...]:
    """What is kept of dropped days, where it can answer the question."""
    return snapshot.manifest.retired if retired_can(question) else ()
