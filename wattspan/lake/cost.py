"""What calls cost: as their spans say, else by genai-prices."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np

from wattspan.calls import CallBatch, Column
from wattspan.lake.rows import Floats

SOURCES: Final = ("", "span", "genai-prices")
_SPAN, _PRICES = 1, 2
_DAY_NS: Final = 86_400 * 10**9


@dataclass(frozen=True, slots=True)
class Costs:
    """One row a call."""

    cost_usd: Floats
    """US dollars; NaN where no price is known."""
    source: Column
    """span | genai-prices; "" where there is none."""


def costs(calls: CallBatch, reported_cost_usd: Floats) -> Costs:
    """The cost of each call. `reported_cost_usd`: NaN where the span has none."""
    cost = np.array(reported_cost_usd, dtype=np.float64)
    source = np.where(np.isfinite(cost), _SPAN, 0).astype(np.int32)
    wanted = np.flatnonzero((source == 0) & calls.has_usage)
    if len(wanted):
        kinds = np.stack(
            [
                calls.model.codes[wanted].astype(np.int64),
                calls.request_model.codes[wanted].astype(np.int64),
                calls.provider.codes[wanted].astype(np.int64),
                calls.start_unix_ns[wanted] // _DAY_NS,
            ]
        )
        distinct, place = np.unique(kinds, axis=1, return_inverse=True)
        for kind, (model, request_model, provider, day) in enumerate(distinct.T.tolist()):
            name = calls.model.names[model] or calls.request_model.names[request_model]
            price = _price(name, calls.provider.names[provider], day)
            if price is not None:
                rows = wanted[place.reshape(-1) == kind]
                cost[rows] = price.of(calls.take(rows))
                source[rows] = _PRICES
    return Costs(cost, Column(source, SOURCES))


@dataclass(frozen=True, slots=True)
class _Price:
    """The price of a model on a day."""

    price: Any
    """`genai_prices.types.ModelPrice`."""
    per_token: Floats | None
    """US dollars of a fresh, a cached, a written and an output token; None where it depends on how many."""

    def of(self, calls: CallBatch) -> Floats:
        cached, written = calls.cache_read_tokens, calls.cache_write_tokens
        fresh = calls.input_tokens - cached - written
        if self.per_token is not None:
            made: Floats = np.stack([fresh, cached, written, calls.output_tokens], axis=1) @ self.per_token
            return made
        columns = (calls.input_tokens, cached, written, calls.output_tokens)
        tokens = zip(*(column.tolist() for column in columns), strict=True)
        return np.array([_total(self.price, *counts) for counts in tokens])


def _total(price: Any, n_in: int, cached: int, written: int, n_out: int) -> float:
    from genai_prices import Usage

    usage = Usage(
        input_tokens=n_in, cache_read_tokens=cached, cache_write_tokens=written, output_tokens=n_out
    )
    return float(price.calc_price(usage)["total_price"])


@lru_cache(16_384)
def _price(model: str, provider: str, day: int) -> _Price | None:
    """The price of a model; None where genai-prices knows none."""
    # loaded when first asked: 0.2 s that opening a lake has no use for
    from genai_prices.data_snapshot import get_snapshot
    from genai_prices.types import TieredPrices

    if not model:
        return None
    when = dt.datetime.fromtimestamp(day * 86_400, dt.UTC)
    for provider_id in (provider.replace(".", "-"), None):
        try:
            _, found = get_snapshot().find_provider_model(model, None, provider_id, None)
            price = found.get_prices(when)
            per_request = _total(price, 0, 0, 0, 0)
            is_tiered = any(isinstance(value, TieredPrices) for value in vars(price).values())
            if is_tiered or per_request:
                return _Price(price, None)
            million = 1_000_000
            tokens = (
                (million, 0, 0, 0),
                (million, million, 0, 0),
                (million, 0, million, 0),
                (0, 0, 0, million),
            )
            return _Price(price, np.array([_total(price, *counts) for counts in tokens]) / million)
        except (LookupError, ValueError):
            continue
    return None
