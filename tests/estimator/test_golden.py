"""Forty calls to the last digit, against decimal arithmetic that shares no code with the package."""

import datetime as dt
import json
from pathlib import Path

import numpy as np
import pytest

from wattspan import CallBatch, Estimator

VECTORS = json.loads((Path(__file__).parents[1] / "golden" / "vectors.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def estimator():
    return Estimator("2026.11")


def test_there_are_forty_vectors():
    assert len(VECTORS) == 40


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: f"{v['call']['asked']}-{v['call']['region']}")
def test_one_call_is_as_reckoned_in_decimal(estimator, vector):
    call, expected = vector["call"], vector["expected"]
    found = estimator.estimate_call(
        model=call["asked"],
        provider=call["provider"],
        region=call["region"],
        operation=call["operation"],
        input_tokens=int(call["input_tokens"]),
        cached_input_tokens=int(call["cached_input_tokens"]),
        output_tokens=int(call["output_tokens"]),
        at=dt.datetime.fromisoformat(call["at"]) if call["at"] else None,
    )
    assert found.tier == call["tier"]
    assert (found.model_resolved or f"class/{found.plan.model}") == (
        call["model"] if not call["model"].startswith("class/") else "class/None"
    )
    assert found.plan.place.facility == call["facility"]
    for name, text in expected.items():
        assert getattr(found, name) == pytest.approx(float(text), rel=1e-14, abs=0), name


def test_a_batch_gives_the_same_digits_as_single_calls(estimator):
    calls = [vector["call"] for vector in VECTORS]
    starts = [
        int(dt.datetime.fromisoformat(call["at"]).replace(tzinfo=dt.UTC).timestamp()) * 10**9
        if call["at"]
        else 0
        for call in calls
    ]
    batch = estimator.estimate(
        CallBatch.of(
            len(calls),
            input_tokens=[int(call["input_tokens"]) for call in calls],
            cache_read_tokens=[int(call["cached_input_tokens"]) for call in calls],
            output_tokens=[int(call["output_tokens"]) for call in calls],
            model=[call["asked"] for call in calls],
            provider=[call["provider"] for call in calls],
            span_region=[call["region"] for call in calls],
            operation=[call["operation"] for call in calls],
            start_unix_ns=starts,
        )
    )
    for name in ("energy_kwh", "energy_kwh_low", "energy_kwh_high", "prefill_kwh", "decode_kwh"):
        expected = [float(vector["expected"][name]) for vector in VECTORS]
        np.testing.assert_allclose(getattr(batch, name), expected, rtol=1e-14, err_msg=name)
    expected_carbon = np.array([float(vector["expected"].get("co2e_g", "nan")) for vector in VECTORS])
    known = ~np.isnan(expected_carbon)
    assert known.sum() == 25
    np.testing.assert_allclose(batch.co2e_g[known], expected_carbon[known], rtol=1e-14)
    assert batch.tier.texts() == [call["tier"] for call in calls]
