"""`Batch`: the calls of one reading grouped by trace, with what ownership needs to know of each."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from wattspan.calls import Kinds
from wattspan.otlp.dialects import AGGREGATE, Reading
from wattspan.otlp.owners.node import Node
from wattspan.otlp.owners.spans import Codes, Flags, Hashes, Ints, Spans

_ODD: Final = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F))
_HALF: Final = np.uint64(32)
_NO_IDS: Final = frozenset((b"", b"none", b"null", b"unknown", b"n/a", b"undefined"))


def trace_hashes(spans: Spans) -> Hashes:
    """uint64[n]: a hash of each span's trace id."""
    return _hashes(np.ascontiguousarray(spans.trace_id))


def hash_of(trace_id: bytes) -> int:
    """The hash of one trace id of 16 bytes."""
    return int(_hashes(np.frombuffer(trace_id, dtype=np.uint8).reshape(1, 16))[0])


def _hashes(trace_ids: npt.NDArray[np.uint8]) -> Hashes:
    halves = trace_ids.view(np.uint64)
    mixed: Hashes = halves[:, 0] * _ODD[0] ^ halves[:, 1]
    mixed = (mixed ^ (mixed >> _HALF)) * _ODD[1]
    return mixed ^ (mixed >> _HALF)


class Ids(NamedTuple):
    """Of each of k calls."""

    span_id: Hashes
    parent_id: Hashes
    end_ns: Ints
    carries: Flags
    """The span has token counts, or energy."""
    scope: Codes
    """Text code of the scope's name."""


class ByTrace(NamedTuple):
    """k calls by trace."""

    order: Ints
    """int64[k]: call indices, calls of a trace next to one another, in their order within it."""
    bounds: Ints
    """int64[groups + 1]: where each trace begins in `order`."""
    group: Ints
    """int64[k]: group (trace) of each call."""
    group_hash: Hashes
    """uint64[groups]: hash of each trace."""


class Batch:
    """Calls in the order of their traces. It keeps no texts but ids and names: it outlives its spans in
    memories."""

    def __init__(
        self,
        reading: Spans | Reading,
        ids: Ids,
        trace_of: ByTrace,
        traces: Traces,
        scopes: Mapping[int, str],
        responses: tuple[Ints, bytes],
    ) -> None:
        """`scopes`: names of the calls' scopes by code. `responses`: as of `Spans.response_texts`."""
        calls = reading.calls
        self.order, self.bounds, self.group, self.group_hash = trace_of
        self.span_id, self.parent_id, self.end_ns, self.carries, self.scope = ids
        self.traces = traces
        self.start_ns = calls.start_unix_ns
        self.is_aggregate: Flags = reading.role == AGGREGATE
        self.is_error, self.is_continuation = calls.is_error, reading.is_continuation
        self.input, self.output = calls.input_tokens, calls.output_tokens
        self._texts = calls.kinds or (calls.operation, calls.model, calls.request_model)
        self._scopes = scopes
        self._id_at, self._ids = responses

    @classmethod
    def of(cls, spans: Spans) -> Batch:
        """The calls among `spans`."""
        calls, rows = spans.calls, spans.rows
        hashes = trace_hashes(spans)
        of_call = hashes[rows]
        order = np.argsort(of_call, kind="stable")
        in_order = of_call[order]
        is_first = np.ones(len(rows), dtype=np.bool_)
        is_first[1:] = in_order[1:] != in_order[:-1]
        begins = is_first.nonzero()[0]
        group = np.empty(len(rows), dtype=np.int64)
        group[order] = np.cumsum(is_first) - 1
        carries: Flags = calls.has_usage | ~np.isnan(calls.reported_energy_kwh)
        return cls(
            spans,
            Ids(spans.span_id[rows], spans.parent_span_id[rows], spans.end_unix_ns, carries, spans.scope),
            ByTrace(order, np.append(begins, len(rows)), group, in_order[begins]),
            Traces(spans.span_id, spans.parent_span_id, hashes),
            {code: spans.scope_text(code) for code in np.unique(spans.scope).tolist()},
            spans.response_texts(),
        )

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def size(self, group: int) -> int:
        """Number of calls of a group."""
        return int(self.bounds[group + 1] - self.bounds[group])

    def calls(self, group: int) -> list[int]:
        """Call indices of a group, in the order of their spans."""
        found: list[int] = self.order[self.bounds[group] : self.bounds[group + 1]].tolist()
        return found

    def _names(self, call: int) -> tuple[str, str, str]:
        """Operation, model and requested model of a call."""
        if isinstance(self._texts, Kinds):
            kind = self._texts.kinds[int(self._texts.of_row[call])]
            return kind.operation, kind.model, kind.request_model
        operation, model, request_model = self._texts
        return operation[call], model[call], request_model[call]

    def nodes(self, group: int) -> list[Node]:
        """A new node for each call of a group."""
        calls = self.order[self.bounds[group] : self.bounds[group + 1]]
        # Column by column: asking an array for one number costs more than for a few.
        columns = [
            column[calls].tolist()
            for column in (
                self.span_id, self.parent_id, self.start_ns, self.end_ns, self.is_aggregate, self.carries,
                self.is_error, self.is_continuation, self.input, self.output, self._id_at[:-1],
                self._id_at[1:], self.scope,
            )
        ]  # fmt: skip
        nodes = []
        for call, row in zip(calls.tolist(), zip(*columns, strict=True), strict=True):
            operation, model, request_model = self._names(call)
            *of_node, id_from, id_to, scope = row
            nodes.append(
                Node(
                    call,
                    *of_node,
                    response_id=_id_hash(self._ids[id_from:id_to]),
                    operation=operation,
                    models=_bare_models(model, request_model),
                    scope=self._scopes[scope],
                )
            )
        return nodes

    def links(self, group: int) -> dict[int, int]:
        """Parent span id of every span of the group's trace, also of those that are no calls."""
        return self.traces.links(int(self.group_hash[group]))


class Traces:
    """All spans by trace; sorted when first asked. All arrays are of its n spans."""

    def __init__(self, span_id: Hashes, parent_id: Hashes, hashes: Hashes) -> None:
        self._span_id, self._parent_id, self.hashes = span_id, parent_id, hashes
        self._places: tuple[npt.NDArray[np.intp], dict[int, tuple[int, int]]] | None = None

    def _by_hash(self) -> tuple[npt.NDArray[np.intp], dict[int, tuple[int, int]]]:
        """The spans in the order of their traces, and where each trace begins and ends there."""
        if self._places is None:
            order = np.argsort(self.hashes, kind="stable")
            hashes = self.hashes[order]
            begins = np.flatnonzero(np.append(True, hashes[1:] != hashes[:-1]))[: len(hashes)]
            bounds = pairwise([*begins.tolist(), len(hashes)])
            self._places = order, dict(zip(hashes[begins].tolist(), bounds, strict=True))
        return self._places

    def links(self, trace_hash: int) -> dict[int, int]:
        """Parent span id of every span of a trace, by span id."""
        order, places = self._by_hash()
        low, high = places.get(trace_hash, (0, 0))
        rows = order[low:high]
        return dict(zip(self._span_id[rows].tolist(), self._parent_id[rows].tolist(), strict=True))


def _id_hash(text: bytes) -> int:
    return 0 if text.strip().lower() in _NO_IDS else hash(text) or 1


@lru_cache(4096)
def _bare_models(model: str, request_model: str) -> tuple[str, ...]:
    bare = (name.lower().rpartition("/")[2] for name in (model, request_model))
    return tuple(dict.fromkeys(name for name in bare if name))
