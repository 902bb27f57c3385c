"""`costs`: US dollars of each call: what its span says, else the list price by genai-prices.

genai-prices is asked once for each (provider, model, price list): it is probed with a few token counts, and
since a price is linear in the tokens between two of its tiers, the answers are the rates of all such calls.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np

from wattspan.calls import CallBatch, Column
from wattspan.lake.rows import Floats, Ints

SOURCES: Final = ("", "span", "genai-prices")
SPAN, GENAI_PRICES = 1, 2

_PROVIDERS: Final = {
    "azure.ai.openai": "azure",
    "azure.ai.inference": "azure",
    "fireworks_ai": "fireworks",
    "gcp.gen_ai": "google",
    "x_ai": "x-ai",
    "z_ai": "zai",
}
"""OpenTelemetry's names that genai-prices knows by another name (or takes for someone else)."""
_DAY_NS: Final = 86_400_000_000_000
_MINUTE_NS: Final = 60_000_000_000
_NO_START_NS: Final = 7_258_118_400_000_000_000
"""2200-01-01: a call that does not say when it was takes the newest price."""
_MOST_SLOTS: Final = 65_536
_PROBE_TOKENS: Final = 1_000_000
_KINDS: Final = (
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
)


@dataclass(frozen=True, slots=True, eq=False)
class Costs:
    """Columns `cost_usd` and `cost_source` of k calls (`schema.ESTIMATE`)."""

    cost_usd: Floats
    """NaN where no price is known."""
    source: Column


@dataclass(frozen=True, slots=True)
class _Rates:
    """A price list: dollars a call, and a token by kind, from each number of input tokens upwards."""

    starts: tuple[int, ...]
    """A tier holds above its number of input tokens; the first is -1."""
    by_tier: tuple[tuple[float, ...], ...]
    """For each tier: dollars a call, then a token of input; of cache read and of cache write, beyond input;
    of output; of reasoning, beyond output."""


def costs(calls: CallBatch, reported_cost_usd: Floats) -> Costs:
    """Cost of each call in US dollars.

    `reported_cost_usd`: what the span says, NaN where nothing. Prices are the provider's list prices on the
    day of the call (of the hour, where they differ by it), for text tokens: no discounts, no batch prices, no
    fees of tools. Calls without usage, of unknown providers or models, and on one's own machines with
    no provider named have no price.
    """
    reported = np.isfinite(reported_cost_usd) & (reported_cost_usd >= 0)
    cost = np.where(reported, reported_cost_usd, np.nan)
    source = np.where(reported, SPAN, 0).astype(np.int32)
    cached = calls.cache_read_tokens + calls.cache_write_tokens
    # A closed model behind one's own host is a proxy to its maker, who is named then; an open model has no
    # list price there, and without a provider nobody could tell.
    own = calls.is_self_hosted & (calls.provider.codes == 0)
    wanted = ~reported & calls.has_usage & ~own & (cached <= calls.input_tokens)
    rows = np.flatnonzero(wanted)
    if len(rows):
        found = _listed(calls, rows)
        cost[rows] = found
        source[rows[np.isfinite(found)]] = GENAI_PRICES
    return Costs(cost, Column(source, SOURCES))


def _listed(calls: CallBatch, rows: Ints) -> Floats:
    cost = np.full(len(rows), np.nan)
    texts = calls.provider, calls.model, calls.request_model
    kind = np.zeros(len(rows), dtype=np.int64)
    for column in texts:
        kind = kind * len(column.names) + column.codes[rows]
    _, first, kind = np.unique(kind, return_index=True, return_inverse=True)
    # numbers of 16 bits are sorted by their digits, which is quicker
    order = np.argsort(kind.astype(np.uint16) if len(first) <= 65_536 else kind, kind="stable")
    bounds = np.cumsum(np.bincount(kind))[:-1]
    for row, of_kind in zip(rows[first].tolist(), np.split(order, bounds), strict=True):
        listing = _listing(*(column[row] for column in texts))
        if listing is not None:
            cost[of_kind] = _cost_of_kind(listing, calls, rows[of_kind])
    return cost


def _cost_of_kind(listing: _Listing, calls: CallBatch, rows: Ints) -> Floats:
    start = calls.start_unix_ns[rows]
    step = _MINUTE_NS if _hangs_on_the_hour(listing) else _DAY_NS
    times, of_row = _distinct(np.where(start > 0, start, _NO_START_NS) // step)
    of_time = [_rates_at(listing, time * step) for time in times]
    lists = list(dict.fromkeys(rates for rates in of_time if rates is not None))
    tokens = [getattr(calls, kind)[rows] for kind in _KINDS]
    if len(lists) == 1 and None not in of_time:
        return _cost(lists[0], tokens)
    cost = np.full(len(rows), np.nan)
    for rates in lists:
        same = np.array([other == rates for other in of_time], dtype=np.bool_)[of_row]
        cost[same] = _cost(rates, [of_kind[same] for of_kind in tokens])
    return cost


def _distinct(values: Ints) -> tuple[list[int], Ints]:
    """The distinct values, and the place of each row's among them."""
    lowest = int(values.min())
    if int(values.max()) - lowest >= _MOST_SLOTS:
        distinct, place = np.unique(values, return_inverse=True)
        return distinct.tolist(), place
    # days lie close together: counting them is quicker than sorting
    there = np.bincount(values - lowest) > 0
    return (np.flatnonzero(there) + lowest).tolist(), (np.cumsum(there) - 1)[values - lowest]


def _cost(rates: _Rates, tokens: list[Ints]) -> Floats:
    """Dollars of calls: rates of the tier of their input, times their tokens."""
    tier = np.searchsorted(np.array(rates.starts), tokens[0], side="left") - 1
    if len(rates.starts) == 1:
        tier = tier[:1]
    per_call, *per_token = np.array(rates.by_tier).T[:, tier]
    dollars = np.full(len(tokens[0]), 0.0)
    dollars += per_call
    for count, rate in zip(tokens, per_token, strict=True):
        dollars += count * rate
    return dollars


class _Listing(NamedTuple):
    """A model in genai-prices and the provider on whose list it is."""

    model: Any
    provider: Any


@lru_cache(65_536)
def _listing(provider: str, model: str, request_model: str) -> _Listing | None:
    # the price list is large: only who needs costs loads it
    from genai_prices.data_snapshot import get_snapshot

    for name in (model, request_model):
        if name:
            try:
                listed = get_snapshot().find_provider_model(
                    name, None, _PROVIDERS.get(provider, provider) or None, None
                )
            except LookupError:
                continue
            return _Listing(listed[1], listed[0])
    return None


def _hangs_on_the_hour(listing: _Listing) -> bool:
    from genai_prices.types import TimeOfDateConstraint

    prices = listing.model.prices
    return isinstance(prices, list) and any(
        isinstance(price.constraint, TimeOfDateConstraint) for price in prices
    )


_RATES: dict[tuple[int, int, int], _Rates | None] = {}
"""By the identity of provider, model and price list: those of genai-prices live as long as the process."""


def _rates_at(listing: _Listing, unix_ns: int) -> _Rates | None:
    at = dt.datetime.fromtimestamp(unix_ns // 1_000_000_000, dt.UTC)
    prices = listing.model.get_prices(at)
    key = id(listing.provider), id(listing.model), id(prices)
    if key not in _RATES:
        _RATES[key] = _probed(listing, prices, at)
    return _RATES[key]


def _probed(listing: _Listing, prices: Any, at: dt.datetime) -> _Rates | None:
    """The rates of a price list, as genai-prices' own arithmetic answers; None where it has none for text."""
    from genai_prices.types import TieredPrices

    if all(getattr(prices, name) is None for name in ("input_mtok", "output_mtok", "requests_kcount")):
        return None
    starts = sorted(
        {
            tier.start
            for price in vars(prices).values()
            if isinstance(price, TieredPrices)
            for tier in price.tiers
        }
    )
    # Any number of input tokens within a tier does: the price is linear there. The first ends at its bound.
    inside = [min([_PROBE_TOKENS, *(start for start in starts if start)]), *(start + 1 for start in starts)]
    return _Rates((-1, *starts), tuple(_tier_rates(listing, at, n) for n in inside))


def _tier_rates(listing: _Listing, at: dt.datetime, n: int) -> tuple[float, ...]:
    """Dollars a call and a token of each kind where a call has about `n` tokens of input."""
    per_call = _dollars(listing, at, {})
    alone = _dollars(listing, at, {"input_tokens": n})
    written = _dollars(listing, at, {"input_tokens": n, "output_tokens": n})
    with_kind = (
        (_dollars(listing, at, {"input_tokens": n, "cache_read_tokens": n}), alone),
        (_dollars(listing, at, {"input_tokens": n, "cache_write_tokens": n}), alone),
        (written, alone),
        (
            _dollars(listing, at, {"input_tokens": n, "output_tokens": n, "output_reasoning_tokens": n}),
            written,
        ),
    )
    rates = [(alone - per_call) / n, *((more - less) / n for more, less in with_kind)]
    return (float(per_call), *(float(rate) for rate in rates))


def _dollars(listing: _Listing, at: dt.datetime, tokens: dict[str, int]) -> Decimal:
    from genai_prices import Usage

    counts = {"input_tokens": 0, "output_tokens": 0, **tokens}
    total: Decimal = listing.model.calc_price(
        Usage(**counts), listing.provider, genai_request_timestamp=at
    ).total_price
    return total
