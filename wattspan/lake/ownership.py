"""`own`: which call owns its energy, over whole traces, by the rule that enriches spans (design D6)."""

from __future__ import annotations

import numpy as np

from wattspan.calls import CallBatch
from wattspan.lake.rows import Flags, Hashes, SpanRows
from wattspan.otlp.dialects import Reading
from wattspan.otlp.owners import decide
from wattspan.otlp.wire import AttributeIndex, KeySet, SpanTable

_NO_KEYS = KeySet(())


def own(rows: SpanRows) -> tuple[CallBatch, Flags, Hashes]:
    """For each call: the call with the facts of its copies, whether it is the owner, and the owner's span id.

    The span id is 0 where the owner has none. All spans of a trace must be given at once.
    """
    table, reading = _as_read(rows)
    owned = decide(table, reading)
    return owned.calls, owned.is_owner, owned.owner_span_id


def _as_read(rows: SpanRows) -> tuple[SpanTable, Reading]:
    """The rows as the owners' rule takes them: a table of ids and scopes, and a reading of the calls."""
    n, k = len(rows), len(rows.call_rows)
    scopes = [name.encode() for name in rows.scope.names]
    ids, place = np.unique(rows.response_hash, return_inverse=True)
    texts = [b"", *scopes, *(b"%016x" % value for value in ids.tolist())]
    none = AttributeIndex(np.empty(0, np.int32), np.empty((0, n), np.int32))
    nothing = np.zeros(n, dtype=np.int32)
    response = (1 + len(scopes) + place).astype(np.int32)
    ends = rows.start_unix_ns + rows.duration_ns
    table = SpanTable(
        n=n,
        keyset=_NO_KEYS,
        start=np.full(n, -1, dtype=np.int64),
        end=np.full(n, -1, dtype=np.int64),
        resource=nothing,
        scope=rows.scope.codes,
        trace_id=rows.trace_id,
        span_id=rows.span_id,
        parent_span_id=rows.parent_span_id,
        start_unix_ns=rows.start_unix_ns,
        end_unix_ns=np.where(rows.start_unix_ns > 0, ends, 0),
        kind=rows.kind,
        status=rows.status,
        name_code=nothing,
        trace_state_code=nothing,
        own_attr=np.zeros(n, dtype=np.bool_),
        span_index=none,
        resource_index=none,
        scope_index=none,
        value_type=np.empty(0, np.int8),
        value_int=np.empty(0, np.int64),
        value_double=np.empty(0, np.float64),
        value_text=np.empty(0, np.int32),
        texts=texts,
        resource_of_scope=np.zeros(len(scopes), dtype=np.int32),
        scope_name_code=np.arange(1, len(scopes) + 1, dtype=np.int32),
        scope_version_code=np.zeros(len(scopes), dtype=np.int32),
    )
    return table, Reading(
        calls=rows.calls,
        rows=rows.call_rows,
        role=rows.role,
        response_id=np.where(rows.response_hash == 0, -1, response).astype(np.int32),
        is_streaming=np.zeros(k, dtype=np.bool_),
        is_continuation=rows.is_continuation,
        dialect=np.full(k, -1, dtype=np.int32),
        problems=(),
    )
