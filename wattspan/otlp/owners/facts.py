"""`supply`: what the copies of a call know that its owner does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from wattspan.calls import CallBatch, Column

Ints = npt.NDArray[np.int64]

_MOST_COPIES = 8
"""Copies that an owner takes facts from: more layers than that know nothing new."""
_TEXTS = ("operation", "provider", "span_region", "span_cloud", "reported_region", "model", "request_model")


def supply(calls: CallBatch, copies: Ints, owners: Ints) -> CallBatch:
    """`calls` in which each owner has the facts it lacked from its copies: `copies[i]` is a copy of
    `owners[i]`.

    Tokens are only taken where the owner has none of that kind and they fit into its own; the host decides
    together with whether it is self-hosted.
    """
    if not len(copies):
        return calls
    for _ in range(_MOST_COPIES):
        if not len(copies):
            break
        # An owner with several copies takes from one at a time, the first first.
        _, first = np.unique(owners, return_index=True)
        calls = _supply_once(calls, copies[first], owners[first])
        rest = np.ones(len(copies), dtype=np.bool_)
        rest[first] = False
        copies, owners = copies[rest], owners[rest]
    return calls


def _supply_once(calls: CallBatch, copies: Ints, owners: Ints) -> CallBatch:
    columns: dict[str, object] = {}
    has_tokens = calls.has_usage[owners]
    input_tokens = calls.input_tokens.copy()
    output_tokens = calls.output_tokens.copy()
    for tokens in (input_tokens, output_tokens):
        wanted = has_tokens & (tokens[owners] == 0)
        tokens[owners[wanted]] = tokens[copies[wanted]]
    cache_read, cache_write = calls.cache_read_tokens.copy(), calls.cache_write_tokens.copy()
    for tokens in (cache_read, cache_write):
        room = input_tokens[owners] - cache_read[owners] - cache_write[owners]
        wanted = has_tokens & (tokens[owners] == 0) & (tokens[copies] <= room)
        tokens[owners[wanted]] = tokens[copies[wanted]]
    reasoning = calls.reasoning_tokens.copy()
    wanted = has_tokens & (reasoning[owners] == 0) & (reasoning[copies] <= output_tokens[owners])
    reasoning[owners[wanted]] = reasoning[copies[wanted]]
    energy_kwh, is_measured = calls.reported_energy_kwh.copy(), calls.is_measured.copy()
    wanted = np.isnan(energy_kwh[owners])
    energy_kwh[owners[wanted]] = energy_kwh[copies[wanted]]
    is_measured[owners[wanted]] = is_measured[copies[wanted]]
    is_error = calls.is_error.copy()
    is_error[owners] |= is_error[copies] & ~has_tokens
    for name in _TEXTS:
        column: Column = getattr(calls, name)
        wanted = (column.codes[owners] == 0) & (column.codes[copies] != 0)
        if wanted.any():
            columns[name] = _taken(column, copies[wanted], owners[wanted])
    wanted = (calls.host.codes[owners] == 0) & (calls.host.codes[copies] != 0)
    is_self_hosted = calls.is_self_hosted.copy()
    if wanted.any():
        columns["host"] = _taken(calls.host, copies[wanted], owners[wanted])
        is_self_hosted[owners[wanted]] |= is_self_hosted[copies[wanted]]
    return replace(
        calls,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read_tokens=cache_read,
        cache_write_tokens=cache_write,
        reasoning_tokens=reasoning,
        reported_energy_kwh=energy_kwh,
        is_measured=is_measured,
        is_error=is_error,
        is_self_hosted=is_self_hosted,
        **columns,  # type: ignore[arg-type]
    )


def _taken(column: Column, copies: Ints, owners: Ints) -> Column:
    codes = column.codes.copy()
    codes[owners] = codes[copies]
    return Column(codes, column.names)
