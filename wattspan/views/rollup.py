"""`roll_up`: calls, tokens, energy, carbon and cost by any dimensions, each with its band and what is not
known.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from wattspan.lake.manifest import Segment
from wattspan.lake.reader import VIEW, Snapshot
from wattspan.views import sql
from wattspan.views.buckets import PERCENTILES, middle
from wattspan.views.cells import cells_dimension
from wattspan.views.dimensions import (
    DAY_NS,
    INHERITED,
    OF_CELLS,
    TIMES,
    Dimension,
    Filter,
    QueryError,
    attribute_keys,
    dimensions,
)
from wattspan.views.group import Group, Requests
from wattspan.views.kinds import Kind, MixedKindsError, kind_of
from wattspan.views.question import Question, have_all, kinds, retired_can, retired_of, segments_of
from wattspan.views.rows import Stream


@dataclass(frozen=True, slots=True)
class RollUp:
    """The answer: groups, what they add up to, and what kind of figures they are."""

    by: tuple[str, ...]
    where: tuple[Filter, ...]
    start_unix_ns: int | None
    end_unix_ns: int | None
    kind: Kind | None
    """None where there is nothing in the period."""
    groups: tuple[Group, ...]
    """By time where a time is among the dimensions, else the most energy first."""
    total: Group
    """Of all groups; its band is not the sum of theirs."""
    notes: tuple[str, ...]
    """What could not be answered, and why."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "by": list(self.by),
            "where": [str(condition) for condition in self.where],
            "from": _iso(self.start_unix_ns),
            "to": _iso(self.end_unix_ns),
            **(self.kind.as_dict() if self.kind else {}),
            "groups": [group.as_dict(self.by) for group in self.groups],
            "total": self.total.as_dict(()),
            "notes": list(self.notes),
        }


def roll_up(snapshot: Snapshot, question: Question, kind: Kind | None = None) -> RollUp:
    """Answer `question` from one generation of a lake.

    Raises QueryError for what cannot be asked, MixedKindsError where the period holds figures of several
    kinds and `kind` does not say which are meant.
    """
    with asked(snapshot, question, kind) as asking:
        groups, whole = asking.groups()
    return RollUp(
        by=question.by,
        where=question.where,
        start_unix_ns=question.start_unix_ns,
        end_unix_ns=question.end_unix_ns,
        kind=asking.kind,
        groups=tuple(groups),
        total=whole,
        notes=asking.notes,
    )


def asked(
    snapshot: Snapshot, question: Question, kind: Kind | None = None, *, from_cells: bool = True
) -> Asked:
    """The question with the files that hold its answer: of segments their cells, where they say all of it.

    Raises as `roll_up` does.
    """
    every = {dimension.name: dimension for dimension in dimensions(question.names)}
    there = kinds(snapshot, question)
    if kind is None and len(there) > 1:
        raise MixedKindsError(there)
    kind = kind or (there[0] if there else None)
    segments, retired = segments_of(snapshot, question), retired_of(snapshot, question)
    if kind is not None and question.estimate_set is None:
        segments = [segment for segment in segments if kind_of(segment) == kind]
        retired = tuple(day for day in retired if kind_of(day) == kind)
    if question.estimate_set is not None:
        lacking = [one.file for one in segments if question.estimate_set not in one.estimates]
        if lacking:
            raise QueryError(
                f"the estimates {question.estimate_set!r} do not cover all of this period: "
                f"{len(lacking)} of {len(segments)} files lack them ({lacking[0]}); "
                "estimate the rest, or ask for the days covered"
            )
    notes: tuple[str, ...] = ()
    if snapshot.manifest.retired and not retired_can(question):
        notes = (
            "days whose spans were dropped are not in this: what is kept of them is whole days by "
            f"{', '.join(OF_CELLS)}",
        )
    summed = [segment for segment in segments if from_cells and have_all(question, segment)]
    cells = [one.cells for one in summed if one.cells is not None] + [day.cells for day in retired]
    files = {segment.file for segment in summed}
    rest = tuple(segment for segment in segments if segment.file not in files)
    return Asked(
        snapshot, question, every, rest, tuple(snapshot.folder / one.file for one in cells), kind, notes
    )


class Asked:
    """One question on its way through DuckDB."""

    def __init__(
        self,
        snapshot: Snapshot,
        question: Question,
        every: Mapping[str, Dimension],
        segments: tuple[Segment, ...],
        cells: tuple[Path, ...],
        kind: Kind | None,
        notes: tuple[str, ...],
    ) -> None:
        self.question, self.segments, self.cells = question, segments, cells
        self.kind, self.notes = kind, notes
        self.by = [every[name] for name in question.by]
        self.connection = snapshot.connect(list(segments))
        self.condition, self.bound = sql.where(
            question.where,
            {name: dimension.sql for name, dimension in every.items()},
            question.start_unix_ns,
            question.end_unix_ns,
        )
        chosen = list(every.values())
        self.stream = Stream(
            snapshot.folder,
            segments,
            estimate_set=question.estimate_set,
            attributes=attribute_keys(chosen),
            inherits=tuple(name for name in INHERITED if name in every),
        )
        # Which rows another set of estimates has figures for is known from its rows only.
        self.has_compute = question.estimate_set is not None or any(one.has_compute for one in segments)
        self.has_copied_tokens = any(one.has_copied_tokens for one in segments)
        self.is_weighted = any(one.is_weighted for one in segments)
        if self.is_weighted:
            self.stream = replace(self.stream, of_traces=True)
        self.every = every

    def __enter__(self) -> Asked:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def groups(self) -> tuple[list[Group], Group]:
        """The groups in their order, and the whole."""
        found: dict[tuple[Any, ...], Group] = {}
        whole = Group(())
        for row in self.call_rows():
            keys = tuple(row[f"key_{number}"] for number in range(len(self.by)))
            if keys not in found:
                found[keys] = Group(self._texts(keys))
            found[keys].add(row)
            whole.add(row)
        if self.question.counts_requests:
            self._add_requests(found, whole)
        for group in (*found.values(), whole):
            group.close(self.question.z)
        if self.question.percentiles:
            self._add_percentiles(found, whole)
        in_time = [number for number, name in enumerate(self.question.by) if name in TIMES]
        ordered = sorted(
            found.values(),
            key=lambda group: (
                *(group.key[number] for number in in_time),
                -group.energy_kwh.central,
                group.key,
            ),
        )
        return ordered, whole

    def _texts(self, keys: Iterable[Any]) -> tuple[str, ...]:
        return tuple(dimension.text(value) for dimension, value in zip(self.by, keys, strict=True))

    def call_rows(self, classes: Sequence[str] = sql.CLASSES) -> Iterable[Mapping[str, Any]]:
        """Sums of the calls (`sql.SUMS`) by key_0 … and `classes`; one group may come in several rows."""
        if self.segments:
            query = sql.call_sums(
                self._source(),
                self.by,
                self.condition,
                classes,
                is_weighted=self.is_weighted,
                has_compute=self.has_compute,
                has_copied_tokens=self.has_copied_tokens,
            )
            yield from self._mappings(query, self.bound)
        if self.cells:
            yield from self._mappings(*self._of_cells("calls", classes, sql.SUMS))

    def _add_requests(self, found: dict[tuple[Any, ...], Group], whole: Group) -> None:
        rows: list[Mapping[str, Any]] = []
        if self.segments:
            rows += self._mappings(sql.request_sums(self._source(), self.by, self.condition), self.bound)
        if self.cells:
            rows += self._mappings(*self._of_cells("requests", (), tuple(sql.REQUESTS)))
        for group in (whole, *found.values()):
            group.requests = Requests(0.0, 0.0)
        for row in rows:
            keys = tuple(row[f"key_{number}"] for number in range(len(self.by)))
            completed, failed = row["completed"] or 0.0, row["failed"] or 0.0
            if not completed and not failed:
                continue
            if keys not in found:
                found[keys] = Group(self._texts(keys), requests=Requests(0.0, 0.0))
            for group in (found[keys], whole):
                assert group.requests is not None
                group.requests = Requests(
                    group.requests.completed + completed, group.requests.failed + failed
                )

    def _add_percentiles(self, found: Mapping[tuple[Any, ...], Group], whole: Group) -> None:
        self._percentiles_of("energy_kwh", "per_call", "call_kwh", found, whole)
        if self.question.counts_requests:
            self.stream = replace(self.stream, of_requests=True)
            self._percentiles_of("request_energy_kwh", "per_request", "request_kwh", found, whole)

    def _percentiles_of(
        self, value: str, part: str, name: str, found: Mapping[tuple[Any, ...], Group], whole: Group
    ) -> None:
        keys = len(self.by)
        table = f"buckets_{part}"
        parts: list[tuple[str, sql.Parameters]] = []
        if self.segments:
            parts.append((sql.bucket_counts(self._source(), self.by, self.condition, value), self.bound))
        if self.cells:
            parts.append(self._of_cells(part, ("bucket",), ("n",)))
        for number, (query, bound) in enumerate(parts):
            verb = f"INSERT INTO {table}" if number else f"CREATE TEMP TABLE {table} AS"
            self.connection.execute(f"{verb} {query}", bound)
        if not parts:
            return
        for row in self._fetch(sql.percentiles(table, keys)):
            group = found.get(tuple(row[:keys]))
            if group is not None:
                setattr(group, name, _values(row[keys:]))
        if keys:
            for row in self._fetch(sql.percentiles(table, 0)):
                setattr(whole, name, _values(row))
        elif found:
            setattr(whole, name, getattr(next(iter(found.values())), name))

    def _of_cells(self, part: str, more: Sequence[str], sums: Sequence[str]) -> tuple[str, sql.Parameters]:
        files = [str(path) for path in self.cells]
        self.connection.from_parquet(files).create_view("cells", replace=True)
        by = [cells_dimension(dimension) for dimension in self.by]
        start, end = self.question.start_unix_ns, self.question.end_unix_ns
        condition, bound = sql.where(
            self.question.where,
            {name: cells_dimension(dimension).sql for name, dimension in self.every.items()},
            None if start is None else start // DAY_NS,
            # Where the period ends within a day, what is in that day ends before.
            None if end is None else -(-end // DAY_NS),
            time="day",
        )
        return sql.cell_sums("cells", by, condition, part, more, sums), bound

    def _source(self) -> str:
        """The relation to ask: files as they are where they say all that is asked, else a new stream of
        rows."""
        stream = self.stream
        if not (
            stream.estimate_set
            or stream.attributes
            or stream.inherits
            or stream.of_traces
            or stream.of_requests
        ):
            return VIEW
        self.connection.register("stream", stream.reader())
        return "stream"

    def _mappings(self, query: str, bound: sql.Parameters) -> list[Mapping[str, Any]]:
        result = self.connection.execute(query, bound)
        names = [column[0] for column in result.description]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    def _fetch(self, query: str) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = self.connection.execute(query).fetchall()
        return rows


def _values(row: Sequence[Any]) -> dict[float, float] | None:
    if any(bucket is None for bucket in row):
        return None
    return {share: middle(bucket) for share, bucket in zip(PERCENTILES, row, strict=True)}


def _iso(unix_ns: int | None) -> str | None:
    return None if unix_ns is None else dt.datetime.fromtimestamp(unix_ns / 1e9, dt.UTC).isoformat()


__all__ = ["Group", "Question", "Requests", "RollUp", "kinds", "roll_up"]
