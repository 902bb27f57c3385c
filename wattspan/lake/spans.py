"""`SpanSource`: scanned OTLP spans to `SpanRows`: tokens, names and allow-listed attributes, nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from wattspan.calls import Column
from wattspan.lake.allowed import LONGEST_VALUE, allowed_keys
from wattspan.lake.response_ids import response_hashes
from wattspan.lake.rows import Attributes, Floats, Hashes, Integers, Ints, SpanRows
from wattspan.lake.trace_state import kept_shares
from wattspan.otlp.attributes import OWN_KEYS
from wattspan.otlp.dialects import DIALECT_KEYS, Reading, read
from wattspan.otlp.earlier import as_first_read
from wattspan.otlp.ignored import ignored
from wattspan.otlp.problems import Problem
from wattspan.otlp.wire import BOOL, DOUBLE, INT, STRING, KeySet, SpanTable, scan

AGENT_KEYS: Final = ("gen_ai.agent.name", "agent.name")
TOOL_KEYS: Final = ("gen_ai.tool.name", "tool.name", "ai.toolCall.name")
EFFORT_KEYS: Final = (
    "gen_ai.request.reasoning.level",
    "gen_ai.request.reasoning_effort",
    "gen_ai.openai.request.reasoning_effort",
    "openai.request.reasoning_effort",
    "llm.request.reasoning_effort",
)
COST_KEYS: Final = ("gen_ai.usage.cost", "gen_ai.cost.total_cost", "operation.cost", "llm.cost.total")
CPU_SECONDS_KEYS: Final = ("cpu.time", "process.cpu.time", "thread.cpu.time")
"""Processor seconds that a span itself reports: OpenTelemetry has metrics of these names and no span
attribute of its own, so these are the keys that are read where somebody puts them on a span."""
SERVICE_KEYS: Final = ("service.name",)
LONGEST_NAME: Final = 128
"""Characters kept of span, agent and tool names."""


class SpanSource:
    """Reads spans as the lake keeps them."""

    def __init__(self, further_attributes: Sequence[str] = ()) -> None:
        """Raises AllowedError for attributes that must not be kept."""
        self.kept = allowed_keys(further_attributes)
        self.keys: Final = KeySet(
            tuple(
                dict.fromkeys(
                    (
                        *DIALECT_KEYS,
                        *OWN_KEYS,
                        *AGENT_KEYS,
                        *TOOL_KEYS,
                        *EFFORT_KEYS,
                        *COST_KEYS,
                        *CPU_SECONDS_KEYS,
                        *SERVICE_KEYS,
                        *self.kept,
                    )
                )
            )
        )
        """Scan for these."""

    def request(self, body: bytes) -> SpanRows:
        """The spans of a protobuf trace request. Raises WireError where it is not valid."""
        return self.rows(scan(body, self.keys))

    def rows(self, table: SpanTable, report: Callable[[Problem], None] = lambda _: None) -> SpanRows:
        """The spans of a table that was scanned for `keys`. `report` is told of values that make no sense."""
        reading = read(as_first_read(table))
        for problem in ignored(table, reading):
            report(problem)
        texts = _Texts(table)
        at = reading.rows
        return SpanRows(
            trace_id=table.trace_id,
            span_id=table.span_id,
            parent_span_id=table.parent_span_id,
            start_unix_ns=table.start_unix_ns,
            duration_ns=_durations(table),
            kind=table.kind,
            status=table.status,
            service=texts.column(table.resource_codes(SERVICE_KEYS), LONGEST_NAME),
            scope=texts.column(table.scope_name_code[table.scope], LONGEST_NAME),
            name=texts.column(table.name_code, LONGEST_NAME),
            agent=texts.column(table.codes(AGENT_KEYS), LONGEST_NAME),
            tool=texts.column(table.codes(TOOL_KEYS), LONGEST_NAME),
            cpu_ns=_cpu_ns(table),
            kept_share=kept_shares(table),
            attributes=self._attributes(table, texts),
            call_rows=at,
            calls=reading.calls,
            role=reading.role,
            is_continuation=reading.is_continuation,
            response_hash=_response_hashes(table, reading),
            reasoning_effort=texts.column(table.codes(EFFORT_KEYS, at), LONGEST_NAME),
            reported_cost_usd=_costs(table, at),
        )

    def _attributes(self, table: SpanTable, texts: _Texts) -> Attributes:
        """The allow-listed attributes of spans, and of resources where the span has none of the key."""
        owners: list[Ints] = []
        keys: list[int] = []
        places: list[Integers] = []
        for code, key in enumerate(self.kept, start=1):
            place = table.keyset.position[key]
            line = table.span_index.of(place)
            of_resource = table.resource_index.of(place)
            if line is None and of_resource is None:
                continue
            found = np.full(table.n, -1, dtype=np.int32) if line is None else line
            if of_resource is not None:
                found = np.where(found >= 0, found, of_resource[table.resource])
            rows = np.flatnonzero(found >= 0)
            owners.append(rows)
            places.append(found[rows])
            keys.append(code)
        offsets = np.zeros(table.n + 1, dtype=np.int64)
        if not owners:
            return Attributes(offsets, Column.constant("", 0), Column.constant("", 0))
        key_codes = np.repeat(keys, [len(rows) for rows in owners])
        owner, value_codes = np.concatenate(owners), texts.of_values(np.concatenate(places))
        order = np.argsort(owner, kind="stable")
        order = order[value_codes[order] > 0]
        np.cumsum(np.bincount(owner[order], minlength=table.n), out=offsets[1:])
        return Attributes(
            offsets,
            Column(key_codes[order].astype(np.int32), ("", *self.kept)),
            texts.values_column(value_codes[order]),
        )


class _Texts:
    """The texts of a table as columns, each decoded once, only where used."""

    def __init__(self, table: SpanTable) -> None:
        self._table = table
        self._values: dict[str, int] = {"": 0}

    def column(self, codes: Integers, longest: int) -> Column:
        """Text codes (-1 and 0: none) as a column."""
        table = self._table
        used, inverse = _distinct(codes, len(table.texts))
        index: dict[str, int] = {"": 0}
        place = [index.setdefault(table.text(code)[:longest], len(index)) for code in used.tolist()]
        return Column(np.array(place, dtype=np.int32)[inverse], tuple(index))

    def of_values(self, at: Integers) -> Ints:
        """For value indices, codes into what `values_column` will have; 0 where the value is no scalar."""
        table, index = self._table, self._values
        kinds = table.value_type[at]
        codes = np.zeros(len(at), dtype=np.int64)
        textual = np.flatnonzero(kinds == STRING)
        used, inverse = _distinct(table.value_text[at[textual]], len(table.texts))
        place = [index.setdefault(table.text(code)[:LONGEST_VALUE], len(index)) for code in used.tolist()]
        codes[textual] = np.array(place, dtype=np.int64)[inverse] if place else 0
        for kind, values, spelled in (
            (INT, table.value_int, str),
            (BOOL, table.value_int, _truth),
            (DOUBLE, table.value_double, repr),
        ):
            rows = np.flatnonzero(kinds == kind)
            if len(rows):
                numbers, inverse = np.unique(values[at[rows]], return_inverse=True)
                place = [index.setdefault(spelled(number), len(index)) for number in numbers.tolist()]
                codes[rows] = np.array(place, dtype=np.int64)[inverse]
        return codes

    def values_column(self, codes: Integers) -> Column:
        """A column over all values that `of_values` named."""
        return Column(codes.astype(np.int32), tuple(self._values))


def _truth(value: float) -> str:
    return "true" if value else "false"


def _durations(table: SpanTable) -> Ints:
    known = (table.start_unix_ns > 0) & (table.end_unix_ns >= table.start_unix_ns)
    durations: Ints = np.where(known, table.end_unix_ns - table.start_unix_ns, 0)
    return durations


def _cpu_ns(table: SpanTable) -> Ints:
    seconds = table.numbers(CPU_SECONDS_KEYS, most=1e7)
    cpu: Ints = np.where(seconds.present, np.round(seconds.values * 1e9), -1).astype(np.int64)
    return cpu


def _costs(table: SpanTable, rows: Ints) -> Floats:
    found = table.numbers(COST_KEYS, rows, most=1e6)
    return np.where(found.present, found.values, np.nan)


def _response_hashes(table: SpanTable, reading: Reading) -> Hashes:
    """A hash of the provider's response id that is the same on every machine; 0 where there is none."""
    used, place = _distinct(reading.response_id, len(table.texts))
    texts = table.texts
    return response_hashes([b"" if code < 0 else texts[code] for code in used.tolist()])[place]


def _distinct(codes: Integers, size: int) -> tuple[Ints, Ints]:
    """The distinct codes, ascending, and the place of each row's among them; codes are -1 to `size` - 1.

    A look-up table: sorting them takes five times as long.
    """
    there = np.zeros(size + 1, dtype=np.bool_)
    shifted = codes + 1
    there[shifted] = True
    place = np.cumsum(there) - 1
    return np.flatnonzero(there) - 1, place[shifted]
