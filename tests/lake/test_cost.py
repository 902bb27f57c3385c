from __future__ import annotations

import datetime as dt
import math

import numpy as np
import pytest
from genai_prices import Usage, calc_price
from genai_prices.data import providers

from wattspan.calls import CallBatch
from wattspan.lake.cost import costs

DAY_NS = 86_400 * 1_000_000_000
NOON = int(dt.datetime(2026, 11, 28, 12, tzinfo=dt.UTC).timestamp()) * 1_000_000_000


def priced(n: int = 1, **columns: object) -> tuple[list[float], list[str]]:
    columns.setdefault("start_unix_ns", NOON)
    found = costs(CallBatch.of(n, **columns), np.full(n, np.nan))
    return found.cost_usd.tolist(), found.source.texts()


def test_the_span_s_own_cost_stands() -> None:
    calls = CallBatch.of(2, provider="openai", model="gpt-4o", input_tokens=1000, start_unix_ns=NOON)
    found = costs(calls, np.array([0.125, math.nan]))
    assert found.cost_usd.tolist() == pytest.approx([0.125, 0.0025])
    assert found.source.texts() == ["span", "genai-prices"]


def test_cached_input_is_priced_as_cached() -> None:
    # gpt-4o on the list of November 2026: 2.50 in, 1.25 read from cache, 10.00 out, US dollars a million
    cost, _ = priced(
        provider="openai", model="gpt-4o", input_tokens=10_000, cache_read_tokens=4_000, output_tokens=500
    )
    assert cost == pytest.approx([(6_000 * 2.5 + 4_000 * 1.25 + 500 * 10) / 1e6])


def test_no_price_is_known_and_none_is_invented() -> None:
    cost, source = priced(
        6,
        provider=["openai", "unheard_of", "", "openai", "", "openai"],
        model=["no-such-model", "gpt-4o", "gpt-4o", "gpt-4o", "no-such-model", "gpt-4o"],
        is_self_hosted=[False, False, True, False, False, False],
        has_usage=[True, True, True, False, True, True],
        input_tokens=[9, 9, 9, 0, 9, 9],
        cache_read_tokens=[0, 0, 0, 0, 0, 10],
    )
    assert all(math.isnan(value) for value in cost)
    assert source == [""] * 6


def test_a_makers_model_behind_a_proxy_of_ones_own_has_the_makers_price() -> None:
    cost, _ = priced(provider="openai", model="gpt-4o", is_self_hosted=True, input_tokens=1_000_000)
    assert cost == [2.5]


def test_the_model_asked_for_is_taken_where_the_answering_one_is_not_on_the_list() -> None:
    cost, _ = priced(provider="openai", model="secret", request_model="gpt-4o", input_tokens=1_000_000)
    assert cost == [2.5]


def test_azure_is_not_taken_for_openai() -> None:
    names = [("azure.ai.openai", "azure"), ("x_ai", "x-ai"), ("aws.bedrock", "aws"), ("gcp.gen_ai", "google")]
    models = ["gpt-4o", "grok-3", "eu.anthropic.claude-sonnet-4-5-20250929-v1:0", "gemini-2.5-pro"]
    cost, _ = priced(
        4, provider=[name for name, _ in names], model=models, input_tokens=300_000, output_tokens=1_000
    )
    at = dt.datetime.fromtimestamp(NOON / 1e9, dt.UTC)
    expected = [
        float(
            calc_price(
                Usage(input_tokens=300_000, output_tokens=1_000),
                model,
                provider_id=listed,
                genai_request_timestamp=at,
            ).total_price
        )
        for (_, listed), model in zip(names, models, strict=True)
    ]
    assert cost == pytest.approx(expected, rel=1e-12)


def test_every_row_equals_genai_prices_itself() -> None:
    """All text models of the makers with tiers, caches, fees a call, prices by date and by hour."""
    wanted = {"openai", "anthropic", "google", "aws", "azure", "deepseek", "perplexity", "mistral", "groq"}
    rng = np.random.default_rng(20261128)
    calls: list[dict[str, object]] = []
    expected: list[float] = []
    for provider in providers:
        for model in provider.models if provider.id in wanted else ():
            for tokens in (0, 999, 200_000, 200_001, 272_001, 900_000):
                read, written = int(tokens * rng.random() * 0.6), int(tokens * rng.random() * 0.4)
                output, start = (
                    int(rng.integers(0, 9_000)),
                    NOON - int(rng.integers(0, 700 * 24)) * 3_600 * 10**9,
                )
                reasoning = int(output * rng.random())
                calls.append(
                    {
                        "provider": provider.id,
                        "model": model.id,
                        "input_tokens": tokens,
                        "cache_read_tokens": read,
                        "cache_write_tokens": written,
                        "output_tokens": output,
                        "reasoning_tokens": reasoning,
                        "start_unix_ns": start,
                    }
                )
                try:
                    price = calc_price(
                        Usage(
                            input_tokens=tokens,
                            cache_read_tokens=read,
                            cache_write_tokens=written,
                            output_tokens=output,
                            output_reasoning_tokens=reasoning,
                        ),
                        model.id,
                        provider_id=provider.id,
                        genai_request_timestamp=dt.datetime.fromtimestamp(start / 1e9, dt.UTC),
                    )
                except LookupError:
                    expected.append(math.nan)
                    continue
                prices = vars(price.model_price)
                text = {"input_mtok", "output_mtok", "requests_kcount"} & set(prices)
                expected.append(float(price.total_price) if text else math.nan)
    found = costs(
        CallBatch.concatenate([CallBatch.of(1, **row) for row in calls]), np.full(len(calls), np.nan)
    )
    assert len(calls) > 2_000
    np.testing.assert_allclose(found.cost_usd, expected, rtol=1e-12, atol=1e-15)
    assert np.nansum(found.cost_usd) == pytest.approx(math.fsum(e for e in expected if e == e), rel=1e-12)


def test_a_call_without_a_time_takes_the_newest_price() -> None:
    (unknown, today), _ = priced(
        2, provider="openai", model="o3", input_tokens=1_000_000, start_unix_ns=[0, NOON]
    )
    assert unknown == today == 2.0
