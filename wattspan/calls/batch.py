"""`CallBatch`: model calls as columns, one row a call; the table that every part of Wattspan speaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from wattspan.calls.column import Codes, Column, Flags, Floats, Ints
from wattspan.calls.kinds import CallKind, Kinds

__all__ = ["COLUMNS", "MOST_TOKENS", "NUMBERS", "CallBatch", "Codes", "Column", "Flags", "Floats", "Ints"]

MOST_TOKENS = 20_000_000
"""Counts of one call above this are absurd: twice the largest context window of any model (10 M)."""


class _OfKinds:
    """What a batch has beside its columns."""

    __slots__ = ("kinds",)

    kinds: Kinds | None
    """The kind of each call, where the batch was made by kinds: its texts are made when asked for."""

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            # A slot that is empty: `kinds` of a batch made by columns, or a text of one made by kinds.
            if name == "kinds":
                return None
            if self.kinds is None or name not in CallKind._fields:
                raise AttributeError(f"a batch of calls has no {name!r}")
            column = self.kinds.column(name)
            object.__setattr__(self, name, column)
            return column


@dataclass(frozen=True, slots=True)
class CallBatch(_OfKinds):
    """Model calls as columns, all of length n.

    Token counts are whole numbers >= 0. `input_tokens` includes cache reads and writes, `output_tokens`
    includes reasoning (OpenTelemetry GenAI conventions); the dialects see to that. Rows whose span carried no
    usage have `has_usage` False and zeros.
    """

    input_tokens: Ints
    """Prompt tokens, cache reads and cache writes included."""
    cache_read_tokens: Ints
    """Prompt tokens that were served from a prompt cache, part of `input_tokens`."""
    cache_write_tokens: Ints
    """Prompt tokens that were written to a prompt cache, part of `input_tokens`; a fresh prefill."""
    output_tokens: Ints
    """Generated tokens, reasoning included."""
    reasoning_tokens: Ints
    """Reasoning tokens, part of `output_tokens`; 0 where unknown."""
    has_usage: Flags
    """The span said how many tokens it used."""
    is_error: Flags
    """The call ended in an error."""
    start_unix_ns: Ints
    """Start of the call, nanoseconds since 1970 UTC; 0 where unknown."""
    duration_ns: Ints
    """End minus start, nanoseconds; 0 where unknown."""
    reported_energy_kwh: Floats
    """Energy that the span already carried, kWh; NaN where it carried none."""
    is_measured: Flags
    """`reported_energy_kwh` was metered by the user, not reported by a provider."""
    operation: Column
    """chat, text_completion, generate_content, embeddings, rerank, ... as OpenTelemetry names them."""
    model: Column
    """Model id as the span has it (response model preferred), not yet resolved."""
    request_model: Column
    """Model id as it was asked for: it holds Bedrock profiles and deployment names."""
    provider: Column
    """`gen_ai.provider.name` in OpenTelemetry's spelling (openai, aws.bedrock, gcp.vertex_ai, ...)."""
    host: Column
    """Host name of the called server, without scheme, port or path."""
    span_region: Column
    """`cloud.region` on the span: where the called destination is deployed."""
    span_cloud: Column
    """`cloud.provider` on the span."""
    reported_region: Column
    """Region or geography that the provider reported in its response (such as Anthropic's inference_geo)."""
    resource_region: Column
    """`cloud.region` on the resource: where the caller runs; evidence for self-hosted models only."""
    resource_cloud: Column
    """`cloud.provider` on the resource."""
    is_self_hosted: Flags
    """The span was made by the serving engine itself, or the host is loopback or private."""
    service: Column
    """`service.name` of the resource."""

    def __len__(self) -> int:
        return len(self.input_tokens)

    def __post_init__(self) -> None:
        n = len(self.input_tokens)
        for name in COLUMNS:
            if len(getattr(self, name)) != n:
                raise ValueError(f"column {name} has {len(getattr(self, name))} rows, input_tokens has {n}")

    @classmethod
    def of_kinds(cls, kinds: Kinds, numbers: Mapping[str, Any]) -> CallBatch:
        """Calls that are known by their kinds. `numbers`: every column that is no text, of equal length."""
        batch = cls.__new__(cls)
        for name, column in numbers.items():
            object.__setattr__(batch, name, column)
        object.__setattr__(batch, "kinds", kinds)
        return batch

    @classmethod
    def of(cls, n: int, **columns: Any) -> CallBatch:
        """A batch of n calls from the given columns; what is not given is empty (0, "", False, NaN).

        Text columns may be a `Column`, one text for all rows, or a sequence of texts; numbers an array or one
        number for all rows. `has_usage` is True unless given. Raises ValueError for unknown columns or
        lengths that differ.
        """
        known = set(COLUMNS)
        if unknown := set(columns) - known:
            raise ValueError(f"unknown columns {sorted(unknown)}; allowed: {sorted(known)}")
        columns.setdefault("has_usage", True)
        made: dict[str, Any] = {}
        for name, kind in COLUMNS.items():
            value = columns.get(name)
            if kind == "Column":
                if isinstance(value, Column):
                    made[name] = value
                elif value is None or isinstance(value, str):
                    made[name] = Column.constant(value or "", n)
                else:
                    made[name] = Column.of(value)
            else:
                dtype, empty = _NUMERIC[kind]
                filled = empty if value is None else value
                made[name] = np.array(np.broadcast_to(np.asarray(filled, dtype=dtype), n))
        return cls(**made)

    def take(self, rows: Ints | Flags) -> CallBatch:
        """The chosen rows."""
        if self.kinds is not None:
            kinds = Kinds(self.kinds.of_row[rows], self.kinds.kinds)
            return CallBatch.of_kinds(kinds, {name: getattr(self, name)[rows] for name in NUMBERS})
        taken: dict[str, Any] = {}
        for name in COLUMNS:
            value = getattr(self, name)
            taken[name] = value.take(rows) if isinstance(value, Column) else value[rows]
        return CallBatch(**taken)

    @classmethod
    def concatenate(cls, batches: Sequence[CallBatch]) -> CallBatch:
        """Rows of all batches below one another."""
        if len(batches) == 1:
            return batches[0]
        if not batches:
            return cls.of(0)
        made: dict[str, Any] = {}
        for name, kind in COLUMNS.items():
            parts = [getattr(batch, name) for batch in batches]
            made[name] = Column.concatenate(parts) if kind == "Column" else np.concatenate(parts)
        return cls(**made)


_NUMERIC: dict[str, tuple[Any, Any]] = {
    "Ints": (np.int64, 0),
    "Floats": (np.float64, np.nan),
    "Flags": (np.bool_, False),
}

COLUMNS: Mapping[str, str] = {column.name: str(column.type) for column in fields(CallBatch)}
"""The type of each column of a `CallBatch`."""

NUMBERS: tuple[str, ...] = tuple(name for name, kind in COLUMNS.items() if kind != "Column")
"""The columns that are no texts."""
