"""`Batch`: the calls of one reading grouped by trace, with what ownership needs to know of each."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from wattspan.otlp.dialects import AGGREGATE
from wattspan.otlp.owners.node import Node
from wattspan.otlp.owners.spans import Flags, Hashes, Spans

_ODD: Final = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F))
_HALF: Final = np.uint64(32)
_NO_IDS: Final = frozenset((b"", b"none", b"null", b"unknown", b"n/a", b"undefined"))


def trace_hashes(spans: Spans) -> Hashes:
    """uint64[n]: a hash of each span's trace id."""
    halves = np.ascontiguousarray(spans.trace_id).view(np.uint64)
    mixed: Hashes = halves[:, 0] * _ODD[0] ^ halves[:, 1]
    mixed = (mixed ^ (mixed >> _HALF)) * _ODD[1]
    return mixed ^ (mixed >> _HALF)


class Batch:
    """Calls in the order of their traces. It keeps no texts but ids and names: it outlives its spans in
    memories."""

    def __init__(self, spans: Spans) -> None:
        calls, rows = spans.calls, spans.rows
        self.hashes = trace_hashes(spans)
        """uint64[n]: of the spans of the table."""
        self.of_call = self.hashes[rows]
        self.order = np.argsort(self.of_call, kind="stable")
        """int64[k]: call indices, calls of a trace next to one another, in their order within it."""
        in_order = self.of_call[self.order]
        is_first = np.ones(len(rows), dtype=np.bool_)
        is_first[1:] = in_order[1:] != in_order[:-1]
        self.bounds = np.append(is_first.nonzero()[0], len(rows))
        """int64[groups + 1]: where each trace begins in `order`."""
        self.group = np.empty(len(rows), dtype=np.int64)
        """int64[k]: group (trace) of each call."""
        self.group[self.order] = np.cumsum(is_first) - 1
        self.span_id, self.parent_id = spans.span_id[rows], spans.parent_span_id[rows]
        self.start_ns = calls.start_unix_ns
        self.end_ns = spans.end_unix_ns
        self.carries: Flags = calls.has_usage | ~np.isnan(calls.reported_energy_kwh)
        self.is_aggregate: Flags = spans.role == AGGREGATE
        self.is_error, self.is_continuation = calls.is_error, spans.is_continuation
        self.input, self.output = calls.input_tokens, calls.output_tokens
        self.operation, self.model, self.request_model = calls.operation, calls.model, calls.request_model
        self.scope = spans.scope
        self._scopes = {code: spans.scope_text(code) for code in np.unique(self.scope).tolist()}
        text = spans.response_text
        self.response_ids = [text(code) if code >= 0 else b"" for code in spans.response.tolist()]
        self.traces = Traces(spans, self.hashes)

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def size(self, group: int) -> int:
        """Number of calls of a group."""
        return int(self.bounds[group + 1] - self.bounds[group])

    def calls(self, group: int) -> list[int]:
        """Call indices of a group, in the order of their spans."""
        found: list[int] = self.order[self.bounds[group] : self.bounds[group + 1]].tolist()
        return found

    def nodes(self, group: int) -> list[Node]:
        """A new node for each call of a group."""
        return [
            Node(
                call,
                span_id=int(self.span_id[call]),
                parent_id=int(self.parent_id[call]),
                start_ns=int(self.start_ns[call]),
                end_ns=int(self.end_ns[call]),
                is_aggregate=bool(self.is_aggregate[call]),
                carries=bool(self.carries[call]),
                is_error=bool(self.is_error[call]),
                is_continuation=bool(self.is_continuation[call]),
                input=int(self.input[call]),
                output=int(self.output[call]),
                response_id=_id_hash(self.response_ids[call]),
                operation=self.operation[call],
                models=_bare_models(self.model[call], self.request_model[call]),
                scope=self._scopes[int(self.scope[call])],
            )
            for call in self.calls(group)
        ]

    def links(self, group: int) -> dict[int, int]:
        """Parent span id of every span of the group's trace, also of those that are no calls."""
        return self.traces.links(self.of_call[self.order[self.bounds[group]]])


class Traces:
    """All spans by trace; sorted when first asked."""

    def __init__(self, spans: Spans, hashes: Hashes) -> None:
        self._span_id, self._parent_id, self._hashes = spans.span_id, spans.parent_span_id, hashes
        self._sorted: tuple[npt.NDArray[np.intp], Hashes] | None = None

    def _in_order(self) -> tuple[npt.NDArray[np.intp], Hashes]:
        if self._sorted is None:
            order = np.argsort(self._hashes, kind="stable")
            self._sorted = order, self._hashes[order]
        return self._sorted

    def links(self, trace_hash: np.uint64) -> dict[int, int]:
        """Parent span id of every span of a trace, by span id."""
        order, hashes = self._in_order()
        low, high = np.searchsorted(hashes, trace_hash, "left"), np.searchsorted(hashes, trace_hash, "right")
        rows = order[low:high]
        return dict(zip(self._span_id[rows].tolist(), self._parent_id[rows].tolist(), strict=True))

    def distinct(self) -> list[tuple[np.uint64, int]]:
        """Hash and first row of each trace."""
        order, hashes = self._in_order()
        is_first = np.ones(len(hashes), dtype=np.bool_)
        is_first[1:] = hashes[1:] != hashes[:-1]
        return list(zip(hashes[is_first], order[is_first].tolist(), strict=True))


def _id_hash(text: bytes) -> int:
    return 0 if text.strip().lower() in _NO_IDS else hash(text) or 1


@lru_cache(4096)
def _bare_models(model: str, request_model: str) -> tuple[str, ...]:
    bare = (name.lower().rpartition("/")[2] for name in (model, request_model))
    return tuple(dict.fromkeys(name for name in bare if name))
