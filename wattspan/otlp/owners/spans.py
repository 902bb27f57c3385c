"""`Spans`: what ownership needs to know of spans and the calls among them, wherever they come from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wattspan.calls import CallBatch
from wattspan.otlp.dialects import Reading
from wattspan.otlp.wire import SpanTable

Hashes = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Spans:
    """n spans, k of which are calls or aggregates."""

    trace_id: npt.NDArray[np.uint8]
    """uint8[n, 16]."""
    span_id: Hashes
    parent_span_id: Hashes
    rows: Ints
    """int64[k]: the spans that are calls or aggregates, ascending. What follows is of length k."""
    calls: CallBatch
    role: npt.NDArray[np.int8]
    is_continuation: Flags
    end_unix_ns: Ints
    response: Codes
    """The provider's id of the response as a number; -1 = none."""
    response_text: Callable[[int], bytes]
    """The id behind such a number."""
    scope: Codes
    """The instrumentation scope as a number."""
    scope_text: Callable[[int], str]
    """The scope behind such a number."""

    def response_texts(self) -> tuple[Ints, bytes]:
        """All response ids, one after the other, and where each begins, int64[k + 1]."""
        if (self.response < 0).all():
            return np.zeros(len(self.response) + 1, dtype=np.int64), b""
        ids = [self.response_text(code) if code >= 0 else b"" for code in self.response.tolist()]
        at = np.zeros(len(ids) + 1, dtype=np.int64)
        np.cumsum([len(one) for one in ids], out=at[1:])
        return at, b"".join(ids)

    @property
    def n(self) -> int:
        """Number of spans."""
        return len(self.span_id)

    @classmethod
    def of(cls, table: SpanTable, reading: Reading) -> Spans:
        """The spans of `table`, whose calls are `reading`."""
        return cls(
            trace_id=table.trace_id,
            span_id=table.span_id,
            parent_span_id=table.parent_span_id,
            rows=reading.rows,
            calls=reading.calls,
            role=reading.role,
            is_continuation=reading.is_continuation,
            end_unix_ns=table.end_unix_ns[reading.rows],
            response=reading.response_id,
            response_text=table.texts.__getitem__,
            scope=table.scope_name_code[table.scope[reading.rows]],
            scope_text=table.text,
        )
