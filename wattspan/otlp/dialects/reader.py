"""`read`: the model calls in a table of spans, whichever instrumentation made them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np

from wattspan.calls import CallBatch, Column
from wattspan.otlp.dialects.counts import (
    Count,
    Problem,
    fold,
    output_from_total,
    read_counts,
    read_energy,
)
from wattspan.otlp.dialects.embedded import Facts, read_embedded
from wattspan.otlp.dialects.fit import Fits, matches
from wattspan.otlp.dialects.merge import Embedded
from wattspan.otlp.dialects.names import (
    LONGEST_NAME_BYTES,
    host_name,
    model_of,
    provider_name,
    provider_of_host,
)
from wattspan.otlp.dialects.roles import AGGREGATE, CALL, Roles, Small, find_roles
from wattspan.otlp.dialects.table import AGGREGATED, COUNTS, Dialect, EmbeddedKey, Table, table
from wattspan.otlp.dialects.view import Codes, Flags, Floats, Ints, View
from wattspan.otlp.wire import SpanTable
from wattspan.places import is_private_host, is_serving_engine

_ERROR_STATUS: Final = 2
_FEW_PAIRS: Final = 64
_LONGEST_STREAM_S: Final = 1e6


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """The calls of a table, one row a call (or aggregate), in the order of the table's spans."""

    calls: CallBatch
    rows: Ints
    """int64[k]: row of the span in the table, ascending."""
    role: Small
    """int8[k]: CALL or AGGREGATE."""
    response_id: Codes
    """int32[k]: the provider's id of the response as a code of `table.texts`; -1 = none."""
    is_streaming: Flags
    """bool[k]: the response was streamed, as far as the span says so."""
    is_continuation: Flags
    """bool[k]: the span completes an earlier span of the same call."""
    dialect: Codes
    """int32[k]: index into the table's `dialects`, -1 where the scope is unknown and keys alone decided."""
    problems: tuple[Problem, ...]
    """Attributes that could not be used."""

    def __len__(self) -> int:
        return len(self.rows)

    def dialect_id(self, call: int) -> str:
        """Name of the dialect of a call, "" where keys alone decided."""
        index = int(self.dialect[call])
        return "" if index < 0 else table().dialects[index].id


def read(spans: SpanTable) -> Reading:
    """Find the calls in `spans`, which must have been scanned for (at least) DIALECT_KEYS.

    Calls without usage and failed calls are there too; other spans only where they carry token counts or
    energy. Never raises for what a span holds: values that make no sense are reported in `problems` and left
    out.
    """
    return _Reader(spans, table()).read()


@dataclass(frozen=True, slots=True, eq=False)
class Traits:
    """What spans are, but for the numbers they carry; all arrays as long as the table they were read from."""

    calls: CallBatch
    """Texts and flags of the spans as calls; tokens, times and energies in it mean nothing."""
    role: Small
    """int8[n]: CALL, AGGREGATE, or NO_ROLE for spans that are no calls."""
    cache_outside: Codes
    """int32[n]: 1 = cached tokens are left out of the input, -1 = they are in it, 0 = the numbers decide."""
    reasoning_outside: Codes
    """int32[n]: the same of reasoning tokens and output."""
    output_is_rest: Flags
    is_invented: Flags
    """The token counts were made up by the instrumentation."""
    is_streaming: Flags
    is_continuation: Flags
    reads_objects: Flags
    """Numbers of the span are in the text of an object, or something on it could not be used."""
    dialect: Codes
    """int32[n]: index into the table's `dialects`, -1 where none is for its scope."""


def traits(spans: SpanTable) -> Traits:
    """The traits of `spans`, which must have been scanned for (at least) DIALECT_KEYS."""
    return _Reader(spans, table()).traits()


@dataclass(frozen=True, slots=True)
class _Usage:
    """Token counts and energy of the calls, one a line."""

    input: Ints
    output: Ints
    cache_read: Ints
    cache_write: Ints
    reasoning: Ints
    has_usage: Flags
    energy_kwh: Floats
    is_measured: Flags

    def take(self, lines: Ints) -> _Usage:
        return _Usage(*(getattr(self, name)[lines] for name in self.__slots__))


class _Reader:
    def __init__(self, spans: SpanTable, rules: Table) -> None:
        self.spans = spans
        self.rules = rules
        self.problems: list[Problem] = []
        self.fits = Fits(spans)

    def read(self) -> Reading:
        everything = View(self.spans)
        roles = find_roles(everything, self.fits, self.rules)
        rows = (roles.role >= 0).nonzero()[0]
        view = everything if len(rows) == self.spans.n else everything.of(rows)
        role = roles.role[rows]
        usage, found = self._usage(view, role)
        kept = ((role == CALL) | usage.has_usage | ~np.isnan(usage.energy_kwh)).nonzero()[0]
        if len(kept) < len(rows):
            rows, role, usage, found = rows[kept], role[kept], usage.take(kept), found.take(kept)
            view = everything.of(rows)
        is_continuation, start_unix_ns, duration_ns = self._times(view)
        return Reading(
            calls=self._calls(view, rows, roles, usage, found, start_unix_ns, duration_ns),
            rows=rows,
            role=role,
            response_id=self._response_ids(view),
            is_streaming=found.streaming(view.truths("streaming")),
            is_continuation=is_continuation,
            dialect=self.fits.first(view),
            problems=tuple(self.problems),
        )

    def traits(self) -> Traits:
        """What the spans are, but for their numbers, one line a span, calls or not."""
        view = View(self.spans)
        roles = find_roles(view, self.fits, self.rules)
        # Whether an object is read hangs on which counts are there, whatever they are.
        counts = {
            field: Count(np.ones(view.n, dtype=np.int64), at >= 0)
            for field in COUNTS
            if (at := view.first(field)) is not None
        }
        reads_objects = np.zeros(view.n, dtype=np.bool_)
        for place in view.carried.get("embedded", ()):
            key = next(key for key in self.rules.embedded if key.key == view.key(place))
            if key.has_numbers:
                reads_objects |= (view.at(place) >= 0) & ~self._known(view, key, counts)
        found = self._embedded(view, counts)
        cache, reasoning = np.zeros(view.n, dtype=np.int32), np.zeros(view.n, dtype=np.int32)
        self._mark(view, cache, _cache_outside)
        self._mark(view, reasoning, _reasoning_outside)
        is_continuation, start_unix_ns, duration_ns = self._times(view)
        nothing, no_energy = np.zeros(view.n, dtype=np.int64), np.full(view.n, np.nan)
        is_nothing = np.zeros(view.n, dtype=np.bool_)
        usage = _Usage(nothing, nothing, nothing, nothing, nothing, is_nothing, no_energy, is_nothing)
        rest = self.fits.mask(view, lambda dialect: dialect.output_is_rest)
        invented = self.fits.mask(view, lambda dialect: dialect.is_invented)
        has_problems = is_nothing.copy()
        has_problems[[problem.span for problem in self.problems]] = True
        return Traits(
            calls=self._calls(view, np.arange(view.n), roles, usage, found, start_unix_ns, duration_ns),
            role=roles.role,
            cache_outside=cache,
            reasoning_outside=reasoning,
            output_is_rest=is_nothing if rest is None else rest,
            is_invented=is_nothing if invented is None else invented,
            is_streaming=found.streaming(view.truths("streaming")),
            is_continuation=is_continuation,
            reads_objects=reads_objects | has_problems,
            dialect=self.fits.first(view),
        )

    # Numbers

    def _usage(self, view: View, role: Small) -> tuple[_Usage, Embedded]:
        counts = self._counts(view, role)
        energy_kwh, is_measured = read_energy(view, self.rules, self.problems)
        found = self._embedded(view, counts)
        cache, reasoning = np.zeros(view.n, dtype=np.int32), np.zeros(view.n, dtype=np.int32)
        if "cache_read" in counts or "cache_write" in counts:
            self._mark(view, cache, _cache_outside)
        if "reasoning" in counts:
            self._mark(view, reasoning, _reasoning_outside)
        rest = self.fits.mask(view, lambda dialect: dialect.output_is_rest) if "total" in counts else None
        if rest is not None and "input" in counts:
            counts["output"] = output_from_total(counts, rest)
        input, output, cache_read, cache_write, reasoned = fold(counts, cache, reasoning, view.n)
        has_usage = (input.values > 0) | (output.values > 0)
        columns = [input.values, output.values, cache_read.values, cache_write.values, reasoned.values]
        invented = self.fits.mask(view, lambda dialect: dialect.is_invented)
        if invented is not None:
            has_usage &= ~invented
            columns = [np.where(invented, 0, column) for column in columns]
        return _Usage(
            input=columns[0],
            output=columns[1],
            cache_read=columns[2],
            cache_write=columns[3],
            reasoning=columns[4],
            has_usage=has_usage,
            energy_kwh=found.energy(energy_kwh),
            is_measured=is_measured,
        ), found

    def _counts(self, view: View, role: Small) -> dict[str, Count]:
        fields = [*COUNTS, *(field for field in view.carried if "/" in field)]
        counts = read_counts(view, fields, self.rules, self.problems)
        lines = (role == AGGREGATE).nonzero()[0]
        if len(lines) and any(field in view.carried for field in AGGREGATED):
            some = view.of(np.arange(self.spans.n)[view.rows][lines])
            sums = read_counts(some, AGGREGATED, self.rules, self.problems)
            for named, field in zip(AGGREGATED, COUNTS, strict=False):
                if named in sums:
                    counts[field] = _or(counts.get(field), _spread(sums[named], lines, view.n), True)
        for field in self.rules.parts:
            parts = [counts.pop(name) for name in list(counts) if name.startswith(field + "/")]
            if parts:
                total = np.sum([part.values for part in parts], axis=0)
                present = np.any([part.present for part in parts], axis=0)
                counts[field] = _or(counts.get(field), Count(total, present), True)
        return counts

    def _mark(self, view: View, marks: Codes, outside: Callable[[Dialect], bool | None]) -> None:
        for mark, wanted in ((1, True), (-1, False)):
            mask = self.fits.mask(view, partial(_is, outside, wanted))
            if mask is not None:
                marks[mask] = mark

    def _embedded(self, view: View, counts: dict[str, Count]) -> Embedded:
        """Facts from attributes that hold objects; counts are merged into `counts`."""
        found = Embedded(view.text_count)
        for place in view.carried.get("embedded", ()):
            key = next(key for key in self.rules.embedded if key.key == view.key(place))
            codes = view.codes(view.at(place))
            codes[self._known(view, key, counts)] = -1
            texts = self.spans.texts
            facts = {code: read_embedded(texts[code], key, self.rules) for code in view.distinct(codes)}
            found.add(codes, facts)
            for field in COUNTS:
                said = found.count(codes, facts, field)
                if said is not None:
                    counts[field] = _or(counts.get(field), said, True)
            self._complain(view, codes, key, facts)
        return found

    def _known(self, view: View, key: EmbeddedKey, counts: dict[str, Count]) -> Flags:
        if key.when_missing in counts:
            return counts[key.when_missing].present
        at = view.first(key.when_missing)
        return np.zeros(view.n, dtype=np.bool_) if at is None else at >= 0

    def _complain(self, view: View, codes: Codes, key: EmbeddedKey, facts: dict[int, Facts]) -> None:
        wrong = [code for code, fact in facts.items() if fact.complaints]
        if not wrong:
            return
        rows = np.arange(self.spans.n)[view.rows]
        for line in np.isin(codes, wrong).nonzero()[0].tolist():
            for complaint in facts[int(codes[line])].complaints:
                path = f"{key.key}:{complaint.path}" if complaint.path else key.key
                self.problems.append(Problem(int(rows[line]), path, complaint.found, complaint.allowed))

    def _times(self, view: View) -> tuple[Flags, Ints, Ints]:
        """Whether each span goes on with another, its start (before the point in time it is), its
        duration."""
        start = self.spans.start_unix_ns[view.rows].copy()
        end = self.spans.end_unix_ns[view.rows]
        is_continuation = np.zeros(view.n, dtype=np.bool_)
        for dialect in self.fits.dialects.values():
            fit = self.fits.of(view, dialect) if dialect.is_continuation else None
            if fit is None:
                continue
            is_continuation |= fit
            if dialect.duration_key:
                at = view.at(view.place(dialect.duration_key))
                seconds = np.where(fit & (at >= 0), self.spans.value_double[at], 0.0)
                known = (seconds > 0) & (seconds < _LONGEST_STREAM_S)
                start[known] = end[known] - (seconds[known] * 1e9).astype(np.int64)
        known = (start > 0) & (end > start)
        return is_continuation, start, np.where(known, end - start, 0)

    # Texts

    def _calls(
        self,
        view: View,
        rows: Ints,
        roles: Roles,
        usage: _Usage,
        found: Embedded,
        start_unix_ns: Ints,
        duration_ns: Ints,
    ) -> CallBatch:
        provider, providers = view.names("provider", provider_name)
        host, hosts = found.fill(view.names("host", _host), "host", host_name)
        request, requests = found.fill(view.names("request_model", _plain), "request_model", str.strip)
        if roles.named_model:
            request, requests = _named(request, requests, rows, roles.named_model)
        response, responses = view.names("response_model", _plain)
        model, models = _paired(response, responses, request, requests, model_of)
        if len(hosts) > 1:
            provider, providers = _paired(provider, providers, host, hosts, provider_of_host)
        return CallBatch(
            input_tokens=usage.input,
            cache_read_tokens=usage.cache_read,
            cache_write_tokens=usage.cache_write,
            output_tokens=usage.output,
            reasoning_tokens=usage.reasoning,
            has_usage=usage.has_usage,
            is_error=self._is_error(view),
            start_unix_ns=start_unix_ns,
            duration_ns=duration_ns,
            reported_energy_kwh=usage.energy_kwh,
            is_measured=usage.is_measured,
            operation=Column(roles.operation[rows], tuple(roles.operations)),
            model=Column(model, tuple(models)),
            request_model=Column(request, tuple(requests)),
            provider=Column(provider, tuple(providers)),
            host=Column(host, tuple(hosts)),
            span_region=_column(view.names("region", _plain)),
            span_cloud=_column(view.names("cloud", _plain)),
            reported_region=_column(found.fill(view.names("geography", _plain), "geography", str.strip)),
            resource_region=self._of_resource(view, "resource_region"),
            resource_cloud=self._of_resource(view, "resource_cloud"),
            is_self_hosted=self._is_self_hosted(view, provider, providers, request, requests, host, hosts),
            service=self._of_resource(view, "service"),
        )

    def _is_self_hosted(
        self,
        view: View,
        provider: Codes,
        providers: list[str],
        request: Codes,
        requests: list[str],
        host: Codes,
        hosts: list[str],
    ) -> Flags:
        private = np.array([is_private_host(name) for name in hosts])
        local = np.array([is_serving_engine(name) for name in providers])
        prefixed = np.array(["/" in name and is_serving_engine(name) for name in requests])
        is_self_hosted: Flags = private[host] | ((local[provider] | prefixed[request]) & (host == 0))
        engine = self.fits.mask(view, lambda dialect: dialect.is_self_hosted)
        return is_self_hosted if engine is None else is_self_hosted | engine

    def _of_resource(self, view: View, field: str) -> Column:
        spans = self.spans
        key = self.rules.resource_fields[field]
        at = spans.resource_index.of(spans.keyset.position[key])
        if at is None:
            return Column(np.zeros(view.n, dtype=np.int32), ("",))
        index: dict[str, int] = {"": 0}
        codes = [
            index.setdefault(spans.text(code)[:LONGEST_NAME_BYTES], len(index))
            for code in view.codes(at).tolist()
        ]
        return Column(np.array(codes, dtype=np.int32)[spans.resource[view.rows]], tuple(index))

    def _response_ids(self, view: View) -> Codes:
        at = view.first("response_id")
        return np.full(view.n, -1, dtype=np.int32) if at is None else view.codes(at)

    def _is_error(self, view: View) -> Flags:
        is_error: Flags = self.spans.status[view.rows] == _ERROR_STATUS
        for place in view.carried.get("error", ()):
            patterns = self.rules.error_values.get(view.key(place), ("?*",))
            said = view.lut(view.codes(view.at(place)), partial(matches, patterns=patterns))
            is_error = is_error | (said > 0)
        return is_error


def _cache_outside(dialect: Dialect) -> bool | None:
    return dialect.cache_outside


def _reasoning_outside(dialect: Dialect) -> bool | None:
    return dialect.reasoning_outside


def _is(of: Callable[[Dialect], bool | None], wanted: bool, dialect: Dialect) -> bool:
    return of(dialect) is wanted


def _plain(text: str, _key: str) -> str:
    # MLflow writes every value as a JSON text, quotes and all.
    return text.strip().strip('"')


def _host(text: str, _key: str) -> str:
    return host_name(text)


def _or(known: Count | None, other: Count, where: Flags | bool) -> Count:
    if known is None:
        return Count(np.where(where, other.values, 0), other.present & where)
    take = ~known.present & other.present & where
    return Count(np.where(take, other.values, known.values), known.present | take)


def _spread(count: Count, lines: Ints, n: int) -> Count:
    values, present = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.bool_)
    values[lines], present[lines] = count.values, count.present
    return Count(values, present)


def _column(named: tuple[Codes, list[str]]) -> Column:
    codes, names = named
    return Column(codes, tuple(names))


def _paired(
    left: Codes, lefts: list[str], right: Codes, rights: list[str], of: Callable[[str, str], str]
) -> tuple[Codes, list[str]]:
    """`of` of the two texts of each line; asked once a pair that occurs (or all pairs where they are few)."""
    index: dict[str, int] = {"": 0}
    if len(lefts) * len(rights) <= _FEW_PAIRS:
        answers = [[index.setdefault(of(one, other), len(index)) for other in rights] for one in lefts]
        return np.array(answers, dtype=np.int32)[left, right], list(index)
    pair = left.astype(np.int64) * len(rights) + right
    distinct, place = np.unique(pair, return_inverse=True)
    codes = [
        index.setdefault(of(lefts[one], rights[other]), len(index))
        for one, other in (divmod(int(code), len(rights)) for code in distinct)
    ]
    return np.array(codes, dtype=np.int32)[place], list(index)


def _named(
    codes: Codes, names: list[str], rows: Ints, named_model: dict[int, str]
) -> tuple[Codes, list[str]]:
    """Request models with those that only the span's name has."""
    index = {name: place for place, name in enumerate(names)}
    codes = codes.copy()
    for line, row in enumerate(rows.tolist()):
        if row in named_model and codes[line] == 0:
            codes[line] = index.setdefault(named_model[row], len(index))
    return codes, list(index)
