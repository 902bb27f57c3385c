"""`CallFields`: the mapped columns of some calls, and the spans that they make."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from wattspan.calls import CallBatch, Column
from wattspan.lake.response_ids import response_hashes
from wattspan.lake.rows import Attributes, SpanRows
from wattspan.lake.sources.column_map import ATTRIBUTE
from wattspan.lake.sources.row_ids import Bytes, Flags, Hashes, Ints, number_bits, text_hash, text_hashes
from wattspan.otlp.dialects import CALL
from wattspan.otlp.dialects.names import host_name, model_of, operation_name, provider_name, provider_of_host
from wattspan.places import is_own_machine

MOST_DURATION_NS: Final = 30 * 86_400 * 10**9
NS_OF_DURATION: Final = {"duration_ns": 1.0, "duration_ms": 1e6, "duration_s": 1e9}

_CLIENT: Final = 3
_ERROR: Final = 2


@dataclass(frozen=True, slots=True, eq=False)
class ReadColumn:
    """A mapped column of some rows: numbers, or texts."""

    values: Any
    missing: Flags
    bad: Flags
    texts: Column | None = None

    def take(self, rows: Ints) -> ReadColumn:
        """The chosen rows."""
        return ReadColumn(
            self.values[rows],
            self.missing[rows],
            self.bad[rows],
            self.texts.take(rows) if self.texts is not None else None,
        )

    def bits(self) -> Hashes:
        """64 bits a row that stand for its cell."""
        return text_hashes(self.texts) if self.texts is not None else number_bits(self.values, self.missing)


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def attribute_fields(fields: Mapping[str, Any]) -> list[str]:
    """Those of `fields` that are span attributes, in order."""
    return sorted(field for field in fields if field.startswith(ATTRIBUTE))


class CallFields:
    """What each field of the rows is: its column, its constant, or nothing."""

    def __init__(self, read: Mapping[str, ReadColumn], constants: Mapping[str, Any], n: int) -> None:
        self._read = read
        self._constants = constants
        self._n = n

    def has(self, field: str) -> Flags:
        """Whether each row has a value for `field`."""
        if field in self._read:
            return ~self._read[field].missing
        return np.full(self._n, field in self._constants)

    def numbers(self, field: str, dtype: Any, empty: float = 0) -> Any:
        """Numbers, `empty` where there is none."""
        if field in self._read:
            values, missing = self._read[field].values, self._read[field].missing
            return (np.where(missing, empty, values) if empty else values).astype(dtype, copy=False)
        return np.full(self._n, self._constants.get(field, empty), dtype=dtype)

    def texts(self, field: str) -> Column:
        """Texts, "" where there is none."""
        if field in self._read and (texts := self._read[field].texts) is not None:
            return texts
        return Column.constant(str(self._constants.get(field, "")), self._n)

    def calls(self, start: Ints) -> CallBatch:
        """The rows as calls with these starts."""
        n = self._n
        counts = {
            name: self.numbers(name, np.int64)
            for name in ("cache_read_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens")
        }
        counts["input_tokens"] = self.numbers("input_tokens", np.int64) + np.where(
            self.has("uncached_input_tokens"),
            self.numbers("uncached_input_tokens", np.int64)
            + counts["cache_read_tokens"]
            + counts["cache_write_tokens"],
            0,
        )
        is_error = self.numbers("is_error", np.bool_)
        request, response = self.texts("request_model"), self.texts("model")
        model = _paired(response, request, model_of)
        host = _mapped(self.texts("host"), host_name)
        provider = _paired(_mapped(self.texts("provider"), provider_name), host, provider_of_host)
        operation = _operation(self.texts("operation"))
        service = self.texts("service")
        duration_ns = self._durations(start)
        measured = self.has("measured_energy_kwh")
        return CallBatch(
            **counts,
            has_usage=(counts["input_tokens"] > 0) | (counts["output_tokens"] > 0),
            is_error=is_error,
            start_unix_ns=start,
            duration_ns=duration_ns,
            reported_energy_kwh=np.where(
                measured,
                self.numbers("measured_energy_kwh", np.float64),
                self.numbers("energy_kwh", np.float64, np.nan),
            ),
            is_measured=measured,
            operation=operation,
            model=model,
            request_model=request,
            provider=provider,
            host=host,
            span_region=self.texts("region"),
            span_cloud=self.texts("cloud"),
            reported_region=self.texts("reported_region"),
            resource_region=Column.constant("", n),
            resource_cloud=Column.constant("", n),
            is_self_hosted=self._is_self_hosted(provider, request, host),
            service=service,
        )

    def spans(
        self, label: str, trace_id: Bytes, span_id: Hashes, parent_span_id: Hashes, start: Ints
    ) -> SpanRows:
        """The rows as spans with these ids and starts; `label` is their scope."""
        n, calls, name = self._n, self.calls(start), self.texts("name")
        response_id = self.texts("response_id")
        return SpanRows(
            trace_id=trace_id,
            span_id=span_id,
            parent_span_id=parent_span_id,
            start_unix_ns=start,
            duration_ns=calls.duration_ns,
            kind=np.full(n, _CLIENT, dtype=np.int8),
            status=np.where(calls.is_error, _ERROR, 0).astype(np.int8),
            service=calls.service,
            scope=Column.constant(label, n),
            name=name if name.codes.any() else _paired(calls.operation, calls.model, "{} {}".format),
            agent=self.texts("agent"),
            tool=self.texts("tool"),
            cpu_ns=np.full(n, -1, dtype=np.int64),
            kept_share=np.full(n, np.nan),
            attributes=self._attributes(),
            call_rows=np.arange(n, dtype=np.int64),
            calls=calls,
            role=np.full(n, CALL, dtype=np.int8),
            is_continuation=np.zeros(n, dtype=np.bool_),
            response_hash=response_hashes(list(map(_utf8, response_id.names)))[response_id.codes],
            reasoning_effort=self.texts("reasoning_effort"),
            reported_cost_usd=self.numbers("cost_usd", np.float64, np.nan),
        )

    def _durations(self, start: Ints) -> Ints:
        for field, unit_ns in NS_OF_DURATION.items():
            if self.has(field).any():
                found: Ints = np.rint(self.numbers(field, np.float64) * unit_ns).astype(np.int64)
                return found
        end = self.numbers("end", np.int64)
        lasted = end - start
        known = self.has("end") & (lasted > 0) & (lasted <= MOST_DURATION_NS)
        durations: Ints = np.where(known, lasted, 0)
        return durations

    def _is_self_hosted(self, provider: Column, request: Column, host: Column) -> Flags:
        said = self.numbers("is_self_hosted", np.bool_)
        names = [(p, r, h) for p in provider.names for r in request.names for h in host.names]
        own = np.array([is_own_machine(p, r, h) for p, r, h in names])
        place = (provider.codes.astype(np.int64) * len(request.names) + request.codes) * len(host.names)
        flags: Flags = said | (own[place + host.codes] & ~self.has("is_self_hosted"))
        return flags

    def _attributes(self) -> Attributes:
        n = self._n
        fields = attribute_fields({**self._read, **self._constants})
        columns = [self.texts(field) for field in fields]
        if not columns:
            none = Column(np.zeros(0, dtype=np.int32), ("",))
            return Attributes(np.zeros(n + 1, dtype=np.int64), none, none)
        keys = Column.of(field.removeprefix(ATTRIBUTE) for field in fields)
        values = Column.concatenate(columns)
        codes = values.codes.reshape(len(fields), n).T
        is_there = codes > 0
        offsets = np.concatenate([[0], np.cumsum(is_there.sum(axis=1))]).astype(np.int64)
        of_field = np.broadcast_to(keys.codes, codes.shape)
        return Attributes(
            offsets, Column(of_field[is_there], keys.names), Column(codes[is_there], values.names)
        )


def _mapped(column: Column, spell: Callable[[str], str]) -> Column:
    """Each distinct name spelled anew."""
    index: dict[str, int] = {"": 0}
    new = [index.setdefault(spell(name) if name else "", len(index)) for name in column.names]
    return Column(np.array(new, dtype=np.int32)[column.codes], tuple(index))


def _paired(first: Column, second: Column, join: Callable[[str, str], str]) -> Column:
    """`join` of the two names in each row; each distinct pair is joined once."""
    many = len(second.names)
    size = len(first.names) * many
    pairs = first.codes.astype(np.int64) * many + second.codes
    if size <= len(pairs):
        distinct, inverse = np.flatnonzero(np.bincount(pairs, minlength=size)), pairs
    else:
        distinct, inverse = np.unique(pairs, return_inverse=True)
    index: dict[str, int] = {"": 0}
    new = [
        index.setdefault(join(first.names[pair // many], second.names[pair % many]), len(index))
        for pair in distinct.tolist()
    ]
    codes = np.array(new, dtype=np.int32)
    if size <= len(pairs):
        by_pair = np.zeros(size, dtype=np.int32)
        by_pair[distinct] = codes
        codes = by_pair
    return Column(codes[inverse], tuple(index))


def _operation(column: Column) -> Column:
    if not column.codes.any():
        return Column.constant("chat", len(column))
    return _mapped(column, lambda name: operation_name(name) or name.lower())


def given_trace_ids(read: ReadColumn, made: Bytes, label: str) -> Bytes:
    """Trace ids from 32 hex digits, or from another text by its hash; made ones where there is none."""
    assert read.texts is not None
    names = read.texts.names
    table = np.zeros((len(names), 16), dtype=np.uint8)
    for code, name in enumerate(names):
        table[code] = np.frombuffer(_id_bytes(name, 16, label), dtype=np.uint8)
    return np.where(read.missing[:, None], made, table[read.texts.codes])


def given_span_ids(read: ReadColumn, made: Hashes) -> Hashes:
    """Span ids from 16 hex digits, or from another text by its hash; made ones where there is none."""
    assert read.texts is not None
    table = [int.from_bytes(_id_bytes(name, 8, "")) for name in read.texts.names]
    return np.where(read.missing, made, np.array(table, dtype=np.uint64)[read.texts.codes])


def _id_bytes(text: str, size: int, label: str) -> bytes:
    if len(text) == 2 * size:
        try:
            return bytes.fromhex(text)
        except ValueError:
            pass
    words = (text_hash(f"{label}\n{part}\n{text}") for part in range(size // 8))
    return b"".join(word.to_bytes(8) for word in words)
