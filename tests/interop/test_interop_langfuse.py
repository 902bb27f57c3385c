"""What Langfuse makes of our attributes, by its own rule.

Langfuse comes as containers, which not every machine can run, so its rule is restated: `extractUsageDetails`
in packages/shared/src/server/otel/OtelIngestionProcessor.ts of langfuse/langfuse at 19b3e2f. The branches for
the scopes `ai` and `pydantic-ai` read fixed lists of keys and none of ours; this is that of all others.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import wattspan
from tests.gateway.backend import Backend
from tests.gateway.running import config_of, running
from tests.interop.the_call import assert_estimated, attributes_of, request

NAMES = {
    "prompt_tokens": "input",
    "completion_tokens": "output",
    "total_tokens": "total",
    "input_tokens": "input",
    "output_tokens": "output",
    "prompt": "input",
    "completion": "output",
}


def usage_details(attributes: Mapping[str, Any]) -> dict[str, float]:
    """Langfuse's map of tokens: every number under `gen_ai.usage.` but `cost`, or `llm.token_count`."""
    found = {}
    for key, value in attributes.items():
        is_usage = key.startswith("gen_ai.usage.") and key != "gen_ai.usage.cost"
        if not (is_usage or key.startswith("llm.token_count")):
            continue
        name = key.replace("gen_ai.usage.", "", 1).replace("llm.token_count.", "", 1)
        number = as_javascript_number(value)
        if not math.isnan(number):
            found[NAMES.get(name, name)] = number
    return found


def as_javascript_number(value: Any) -> float:
    """`Number(value)` of JavaScript, for the kinds of values that attributes have."""
    try:
        return float(value) if value != "" else 0.0
    except (TypeError, ValueError):
        return math.nan


@pytest.mark.parametrize(
    ("attributes", "tokens"),
    [
        ({"gen_ai.usage.input_tokens": 7, "gen_ai.usage.output_tokens": 2}, {"input": 7, "output": 2}),
        ({"gen_ai.usage.cache_read.input_tokens": 5}, {"cache_read.input_tokens": 5}),
        ({"gen_ai.usage.cost": 0.1, "gen_ai.usage.note": "none"}, {}),
        ({"llm.token_count.prompt": "12"}, {"input": 12}),
    ],
)
def test_the_rule_as_langfuse_has_it(attributes: dict[str, Any], tokens: dict[str, float]) -> None:
    assert usage_details(attributes) == tokens


async def through_the_gateway(tmp_path: Path, **destination: str) -> dict[str, Any]:
    async with (
        Backend() as backend,
        running(config_of(tmp_path, {"endpoint": backend.endpoint, **destination})) as client,
    ):
        assert (await client.post(request()))[0] == 200
        await backend.has(2)
        spans = {span.name: attributes_of(span) for received in backend.received for span in received.spans}
    return spans["chat gpt-4o"]


@pytest.mark.parametrize("detail", ["standard", "full"])
def test_profile_wattspan_leaves_langfuse_with_tokens_only(tmp_path: Path, detail: str) -> None:
    attributes = asyncio.run(through_the_gateway(tmp_path, profile="wattspan", detail=detail))
    assert_estimated(attributes, profile="wattspan")
    assert usage_details(attributes) == {"input": 1000, "output": 300}


@pytest.mark.parametrize("profile", ["genai", "both"])
def test_the_other_profiles_would_be_counted_as_tokens(tmp_path: Path, profile: str) -> None:
    """Langfuse would show "energy_kwh" and "co2e_g" as token types and add them into the total."""
    attributes = asyncio.run(through_the_gateway(tmp_path, profile=profile))
    expected = wattspan.estimate(model="gpt-4o", provider="openai", input_tokens=1000, output_tokens=300)
    found = usage_details(attributes)
    assert found.keys() == {"input", "output", "energy_kwh", "co2e_g"}
    assert found["energy_kwh"] == pytest.approx(expected.energy_kwh, rel=1e-12)
    assert found["co2e_g"] == pytest.approx(expected.co2e_g, rel=1e-12)
