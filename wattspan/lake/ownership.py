"""`own`: which call owns its energy, over whole traces, by the rule that enriches spans (design D6)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wattspan.calls import CallBatch
from wattspan.lake.rows import Flags, Hashes, Ints, SpanRows
from wattspan.lake.tree import trace_keys
from wattspan.otlp.dialects import AGGREGATE
from wattspan.otlp.owners import Spans, decide_among


@dataclass(frozen=True, slots=True, eq=False)
class _HashedIds(Spans):
    """Spans whose response ids are 64-bit hashes."""

    hashes: Hashes
    """uint64[k]; 0 = none."""

    def response_texts(self) -> tuple[Ints, bytes]:
        """As of `Spans`: the bytes of the hashes."""
        is_known = self.hashes != 0
        at = np.zeros(len(self.hashes) + 1, dtype=np.int64)
        np.cumsum(8 * is_known, out=at[1:])
        return at, self.hashes[is_known].astype("<u8").tobytes()


def own(rows: SpanRows) -> tuple[CallBatch, Flags, Hashes]:
    """For each call: the call with the facts of its copies, whether it is the owner, and the owner's span id.

    The span id is 0 where the owner has none. All spans of a trace must be given at once.
    """
    at = rows.call_rows
    if _are_alone(rows):
        return rows.calls, np.ones(len(at), dtype=np.bool_), rows.span_id[at]
    ids, place = np.unique(rows.response_hash, return_inverse=True)
    starts = rows.start_unix_ns[at]
    spans = _HashedIds(
        trace_id=rows.trace_id,
        span_id=rows.span_id,
        parent_span_id=rows.parent_span_id,
        rows=at,
        calls=rows.calls,
        role=rows.role,
        is_continuation=rows.is_continuation,
        end_unix_ns=np.where(starts > 0, starts + rows.duration_ns[at], 0),
        response=np.where(rows.response_hash == 0, -1, place).astype(np.int32),
        response_text=lambda number: int(ids[number]).to_bytes(8, "little"),
        scope=rows.scope.codes[at],
        scope_text=rows.scope.names.__getitem__,
        hashes=rows.response_hash,
    )
    owned = decide_among(spans)
    return owned.calls, owned.is_owner, owned.owner_span_id


def _are_alone(rows: SpanRows) -> bool:
    """No trace has a second call, and no span restates others: each call is its own owner.

    Logs of calls are like that.
    """
    if (rows.role == AGGREGATE).any():
        return False
    keys = np.sort(trace_keys(rows.trace_id[rows.call_rows]))
    return bool((keys[1:] != keys[:-1]).all())
