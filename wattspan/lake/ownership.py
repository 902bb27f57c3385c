"""`own`: which call owns its energy, over whole traces, by the rule that enriches spans (design D6)."""

from __future__ import annotations

import numpy as np

from wattspan.calls import CallBatch
from wattspan.lake.rows import Flags, Hashes, SpanRows
from wattspan.otlp.owners import Spans, decide_among


def own(rows: SpanRows) -> tuple[CallBatch, Flags, Hashes]:
    """For each call: the call with the facts of its copies, whether it is the owner, and the owner's span id.

    The span id is 0 where the owner has none. All spans of a trace must be given at once.
    """
    ids, place = np.unique(rows.response_hash, return_inverse=True)
    at = rows.call_rows
    starts = rows.start_unix_ns[at]
    owned = decide_among(
        Spans(
            trace_id=rows.trace_id,
            span_id=rows.span_id,
            parent_span_id=rows.parent_span_id,
            rows=at,
            calls=rows.calls,
            role=rows.role,
            is_continuation=rows.is_continuation,
            end_unix_ns=np.where(starts > 0, starts + rows.duration_ns[at], 0),
            response=np.where(rows.response_hash == 0, -1, place).astype(np.int32),
            response_text=lambda number: b"%016x" % int(ids[number]),
            scope=rows.scope.codes[at],
            scope_text=rows.scope.names.__getitem__,
        )
    )
    return owned.calls, owned.is_owner, owned.owner_span_id
