"""`CallBatch`: model calls as columns, one row a call; the table that every part of Wattspan speaks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

MOST_TOKENS = 20_000_000
"""Counts of one call above this are absurd: twice the largest context window of any model (10 M)."""


@dataclass(frozen=True, slots=True)
class Column:
    """A dictionary-coded text column: `names[codes[i]]` is the text of row i, "" where there is none.

    `codes`: int32[n], indices into `names`. `names[0]` is always "".
    """

    codes: Codes
    names: tuple[str, ...]

    @classmethod
    def of(cls, texts: Iterable[str]) -> Column:
        """Code `texts`, in order of first appearance."""
        index: dict[str, int] = {"": 0}
        codes = [index.setdefault(text, len(index)) for text in texts]
        return cls(np.asarray(codes, dtype=np.int32), tuple(index))

    @classmethod
    def constant(cls, text: str, n: int) -> Column:
        """The same text in all `n` rows."""
        return cls(np.full(n, 1 if text else 0, dtype=np.int32), ("", text) if text else ("",))

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, row: int) -> str:
        return self.names[int(self.codes[row])]

    def take(self, rows: Ints | Flags) -> Column:
        """The column of the chosen rows, with the same dictionary."""
        return Column(self.codes[rows], self.names)

    def texts(self) -> list[str]:
        """One text a row."""
        names = self.names
        return [names[code] for code in self.codes.tolist()]

    @staticmethod
    def concatenate(columns: Sequence[Column]) -> Column:
        """Rows of all `columns` below one another, under one dictionary."""
        index: dict[str, int] = {"": 0}
        parts = []
        for column in columns:
            new = np.asarray([index.setdefault(name, len(index)) for name in column.names], dtype=np.int32)
            parts.append(new[column.codes])
        codes = np.concatenate(parts) if parts else np.empty(0, dtype=np.int32)
        return Column(codes, tuple(index))


@dataclass(frozen=True, slots=True)
class CallBatch:
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
        for field in fields(self):
            if len(getattr(self, field.name)) != n:
                raise ValueError(
                    f"column {field.name} has {len(getattr(self, field.name))} rows, input_tokens has {n}"
                )

    @classmethod
    def of(cls, n: int, **columns: Any) -> CallBatch:
        """A batch of n calls from the given columns; what is not given is empty (0, "", False, NaN).

        Text columns may be a `Column`, one text for all rows, or a sequence of texts; numbers an array or one
        number for all rows. `has_usage` is True unless given. Raises ValueError for unknown columns or
        lengths that differ.
        """
        known = {field.name for field in fields(cls)}
        if unknown := set(columns) - known:
            raise ValueError(f"unknown columns {sorted(unknown)}; allowed: {sorted(known)}")
        columns.setdefault("has_usage", True)
        made: dict[str, Any] = {}
        for field in fields(cls):
            value = columns.get(field.name)
            if field.type == "Column":
                if isinstance(value, Column):
                    made[field.name] = value
                elif value is None or isinstance(value, str):
                    made[field.name] = Column.constant(value or "", n)
                else:
                    made[field.name] = Column.of(value)
            else:
                dtype, empty = _NUMERIC[str(field.type)]
                filled = empty if value is None else value
                made[field.name] = np.array(np.broadcast_to(np.asarray(filled, dtype=dtype), n))
        return cls(**made)

    def take(self, rows: Ints | Flags) -> CallBatch:
        """The chosen rows."""
        taken: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            taken[field.name] = value.take(rows) if isinstance(value, Column) else value[rows]
        return CallBatch(**taken)

    @classmethod
    def concatenate(cls, batches: Sequence[CallBatch]) -> CallBatch:
        """Rows of all batches below one another."""
        if len(batches) == 1:
            return batches[0]
        if not batches:
            return cls.of(0)
        made: dict[str, Any] = {}
        for field in fields(cls):
            parts = [getattr(batch, field.name) for batch in batches]
            made[field.name] = Column.concatenate(parts) if field.type == "Column" else np.concatenate(parts)
        return cls(**made)


_NUMERIC: dict[str, tuple[Any, Any]] = {
    "Ints": (np.int64, 0),
    "Floats": (np.float64, np.nan),
    "Flags": (np.bool_, False),
}
