"""`roll_up`: calls, tokens, energy, carbon and cost by any dimensions, each with its band and what is not
known."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

from wattspan.calls import Factor
from wattspan.estimator import Z90, Band, total
from wattspan.lake import spread
from wattspan.lake.manifest import Segment
from wattspan.lake.reader import VIEW, Snapshot
from wattspan.views import sql
from wattspan.views.buckets import PERCENTILES, middle
from wattspan.views.cells import CellFiles, cells_dimension, whole_days
from wattspan.views.dimensions import (
    INHERITED,
    OF_CELLS,
    OF_REQUESTS,
    TIMES,
    Dimension,
    Filter,
    QueryError,
    attribute_keys,
    dimensions,
)
from wattspan.views.kinds import Kind, MixedKindsError, kind_of
from wattspan.views.rows import TOKENS, Stream

NOTHING: Final = Band(0.0, 0.0, 0.0)
SAMPLING_KEY: Final = "sampling"
_DAY_NS: Final = 86_400 * 10**9


class Requests(NamedTuple):
    """Inferences: end-user requests with every call they triggered."""

    completed: float
    failed: float


@dataclass(slots=True)
class Group:
    """The calls that share a key. Counts are scaled to all traces where they were sampled, so they may be
    fractions."""

    key: tuple[str, ...]
    """One text a dimension, "" for none; times as ISO 8601."""
    recorded: int = 0
    """Calls in the lake, not scaled."""
    calls: float = 0.0
    tokens: dict[str, float] = field(default_factory=lambda: dict.fromkeys(TOKENS, 0.0))
    energy_kwh: Band = NOTHING
    """With its 90 % band."""
    co2e_g: Band = NOTHING
    embodied_g: float = 0.0
    cost_usd: float = 0.0
    with_energy: float = 0.0
    """Calls that have an energy figure."""
    with_carbon: float = 0.0
    with_cost: float = 0.0
    failed: float = 0.0
    """Calls that failed before they used tokens: there is nothing to have a figure for."""
    energy_by_tier: dict[str, float] = field(default_factory=dict)
    """kWh by evidence tier; compute is what is no call of a model."""
    calls_by_sampling: dict[str, float] = field(default_factory=dict)
    requests: Requests | None = None
    """None where the question is not one that requests can be counted by (`dimensions.OF_REQUESTS`)."""
    call_kwh: dict[float, float] | None = None
    """Percentiles of the energy of a call; None where not asked for or where there is none."""
    request_kwh: dict[float, float] | None = None
    """Percentiles of the energy of a completed request."""
    _terms: dict[str, list[float]] = field(default_factory=dict, repr=False)
    _variance: list[float] = field(default_factory=lambda: [0.0, 0.0], repr=False)

    @property
    def coverage(self) -> float | None:
        """Share of the calls that did not fail which have an energy figure."""
        expected = self.calls - self.failed
        return self.with_energy / expected if expected > 0 else None

    def per_1000(self, band: Band) -> Band | None:
        """A sum of this group for each 1,000 completed inferences; failed ones are in the sum, not in the
        number."""
        if self.requests is None or not self.requests.completed:
            return None
        scale = 1000 / self.requests.completed
        return Band(*(value * scale for value in band))

    @property
    def kwh_per_1000(self) -> Band | None:
        """Energy for each 1,000 completed inferences, kWh."""
        return self.per_1000(self.energy_kwh)

    @property
    def kgco2e_per_1000(self) -> Band | None:
        """Operational carbon for each 1,000 completed inferences, kg CO2e."""
        band = self.per_1000(self.co2e_g)
        return band and Band(*(value / 1000 for value in band))

    @property
    def is_sampled(self) -> bool:
        """Some of it is scaled up from samples."""
        return bool({"traced", "configured"} & self.calls_by_sampling.keys())

    def as_dict(self, names: Sequence[str]) -> dict[str, Any]:
        """Plain values; the key by the names of the dimensions."""
        found: dict[str, Any] = {
            **dict(zip(names, self.key, strict=True)),
            "calls": self.calls,
            "recorded_calls": self.recorded,
            "failed_calls": self.failed,
            **self.tokens,
            "energy_kwh": self.energy_kwh._asdict(),
            "co2e_g": self.co2e_g._asdict(),
            "embodied_g": self.embodied_g,
            "cost_usd": self.cost_usd if self.with_cost else None,
            "coverage": {
                "energy": self.coverage,
                "carbon": _share(self.with_carbon, self.calls - self.failed),
                "cost": _share(self.with_cost, self.calls - self.failed),
            },
            "energy_kwh_by_tier": dict(sorted(self.energy_by_tier.items())),
            "calls_by_sampling": dict(sorted(self.calls_by_sampling.items())),
        }
        if self.requests is not None:
            found["requests"] = self.requests._asdict()
            for name in ("kwh_per_1000", "kgco2e_per_1000"):
                band = getattr(self, name)
                found[f"{name}_inferences"] = band and band._asdict()
        for name in ("call_kwh", "request_kwh"):
            shares = getattr(self, name)
            if shares is not None:
                found[f"{name}_percentiles"] = {
                    f"p{round(100 * share)}": kwh for share, kwh in shares.items()
                }
        return found

    def _add(self, row: Mapping[str, Any]) -> None:
        """Take in sums of one spread class."""
        self.recorded += int(row["recorded"] or 0)
        for name in ("calls", "embodied_g", "cost_usd", "with_energy", "with_carbon", "with_cost"):
            setattr(self, name, getattr(self, name) + (row[name] or 0.0))
        for name in TOKENS:
            self.tokens[name] += row[name] or 0.0
        energy, carbon, calls = row["energy_kwh"] or 0.0, row["co2e_g"] or 0.0, row["calls"] or 0.0
        if row["basis"] == "failed":
            self.failed += calls
        if energy:
            tier = row["evidence"]
            self.energy_by_tier[tier] = self.energy_by_tier.get(tier, 0.0) + energy
        if calls:
            how = row["sampling"]
            self.calls_by_sampling[how] = self.calls_by_sampling.get(how, 0.0) + calls
        term = self._terms.setdefault(row["spread"] or "", [0.0, 0.0])
        term[0] += energy
        term[1] += carbon
        self._variance[0] += row["energy_variance"] or 0.0
        self._variance[1] += row["carbon_variance"] or 0.0

    def _close(self, z: float) -> None:
        """Make the bands of the sums: errors with the same key are one error."""
        self.energy_kwh, self.co2e_g = (self._band(of_carbon, z) for of_carbon in (0, 1))

    def _band(self, of_carbon: int, z: float) -> Band:
        sums: dict[tuple[Factor, ...], float] = {}
        for text, values in self._terms.items():
            factors = spread.read(text)[of_carbon]
            sums[factors] = sums.get(factors, 0.0) + values[of_carbon]
        whole = math.fsum(sums.values())
        variance = self._variance[of_carbon]
        if variance > 0 and whole > 0:
            # the scatter of sampling: one more independent error of the whole sum (disclosure.md 6.3, 3)
            sampling = Factor(SAMPLING_KEY, math.sqrt(math.log1p(variance / whole**2)))
            sums = {(*factors, sampling): central for factors, central in sums.items()}
        return total([(central, factors) for factors, central in sums.items()], z)


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
    found = {kind_of(segment) for segment in _segments(snapshot, question)}
    return tuple(sorted(found | _cell_files(snapshot, question).kinds))


def roll_up(snapshot: Snapshot, question: Question, kind: Kind | None = None) -> RollUp:
    """Answer `question` from one generation of a lake.

    Raises QueryError for what cannot be asked, MixedKindsError where the period holds figures of several
    kinds and `kind` does not say which are meant.
    """
    every = {dimension.name: dimension for dimension in dimensions(question.names)}
    there = kinds(snapshot, question)
    if kind is None and len(there) > 1:
        raise MixedKindsError(there)
    kind = kind or (there[0] if there else None)
    segments, cells = _segments(snapshot, question), _cell_files(snapshot, question)
    if kind is not None and question.estimate_set is None:
        segments = [segment for segment in segments if kind_of(segment) == kind]
        cells = cells.of_kind(kind)
    notes: list[str] = []
    if snapshot.manifest.rollups and not cells.paths and not _cells_can(question):
        notes.append(
            "days whose spans were dropped are not in this: what is kept of them is whole days by "
            f"{', '.join(OF_CELLS)}"
        )
    with _Asked(snapshot, question, every, tuple(segments), cells) as asked:
        groups, whole = asked.groups()
    return RollUp(
        by=question.by,
        where=question.where,
        start_unix_ns=question.start_unix_ns,
        end_unix_ns=question.end_unix_ns,
        kind=kind,
        groups=tuple(groups),
        total=whole,
        notes=tuple(notes),
    )


class _Asked:
    """One question on its way through DuckDB."""

    def __init__(
        self,
        snapshot: Snapshot,
        question: Question,
        every: Mapping[str, Dimension],
        segments: tuple[Segment, ...],
        cells: CellFiles,
    ) -> None:
        self.question, self.segments, self.cells = question, segments, cells
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
        self.is_weighted = self.has_compute = False
        self.every = every

    def __enter__(self) -> _Asked:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def groups(self) -> tuple[list[Group], Group]:
        """The groups in their order, and the whole."""
        if self.segments:
            self.is_weighted, self.has_compute = self._fetch(sql.probe(VIEW))[0]
            if self.is_weighted:
                self.stream = replace(self.stream, of_traces=True)
        found: dict[tuple[Any, ...], Group] = {}
        whole = Group(())
        for row in self._call_rows():
            keys = tuple(row[f"key_{number}"] for number in range(len(self.by)))
            if keys not in found:
                found[keys] = Group(self._texts(keys))
            found[keys]._add(row)
            whole._add(row)
        if self.question.counts_requests:
            self._add_requests(found, whole)
        for group in (*found.values(), whole):
            group._close(self.question.z)
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

    def _call_rows(self) -> Iterable[Mapping[str, Any]]:
        if self.segments:
            query = sql.call_sums(
                self._source(),
                self.by,
                self.condition,
                is_weighted=bool(self.is_weighted),
                has_compute=bool(self.has_compute),
            )
            yield from self._mappings(query, self.bound)
        if self.cells.paths:
            yield from self._mappings(*self._of_cells("calls", (*sql.CLASSES,), sql.SUMS))

    def _add_requests(self, found: dict[tuple[Any, ...], Group], whole: Group) -> None:
        rows: list[Mapping[str, Any]] = []
        if self.segments:
            rows += self._mappings(sql.request_sums(self._source(), self.by, self.condition), self.bound)
        if self.cells.paths:
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
        if self.cells.paths:
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
        source = self.cells.connect(self.connection)
        by = [cells_dimension(dimension) for dimension in self.by]
        days = [
            None if bound is None else bound // _DAY_NS
            for bound in (self.question.start_unix_ns, self.question.end_unix_ns)
        ]
        condition, bound = sql.where(
            self.question.where,
            {name: cells_dimension(dimension).sql for name, dimension in self.every.items()},
            days[0],
            days[1],
            time="day",
        )
        return sql.cell_sums(source, by, condition, part, more, sums), bound

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


def _kind_of_set(snapshot: Snapshot, name: str) -> Kind:
    for known in snapshot.manifest.sets:
        if known.name == name:
            return kind_of(known)
    names = ", ".join(known.name for known in snapshot.manifest.sets) or "none"
    raise QueryError(f"the lake has no estimates called {name!r}; it has {names}")


def _segments(snapshot: Snapshot, question: Question) -> list[Segment]:
    """Segments that may hold calls of the period."""
    first = None if question.start_unix_ns is None else _day(question.start_unix_ns)
    last = None if question.end_unix_ns is None else _day(question.end_unix_ns - 1)
    return snapshot.segments(first, last)


def _day(unix_ns: int) -> dt.date:
    return dt.date(1970, 1, 1) + dt.timedelta(days=unix_ns // _DAY_NS)


def _cells_can(question: Question) -> bool:
    return (
        question.estimate_set is None
        and set(question.names) <= set(OF_CELLS)
        and whole_days(question.start_unix_ns, question.end_unix_ns)
    )


def _cell_files(snapshot: Snapshot, question: Question) -> CellFiles:
    if not _cells_can(question):
        return CellFiles(())
    return CellFiles(tuple(snapshot.folder / file for file in snapshot.manifest.rollups.values()))


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole > 0 else None


def _iso(unix_ns: int | None) -> str | None:
    return None if unix_ns is None else dt.datetime.fromtimestamp(unix_ns / 1e9, dt.UTC).isoformat()


__all__ = ["Group", "Question", "Requests", "RollUp", "kinds", "roll_up"]
