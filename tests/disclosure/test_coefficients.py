"""The decimal form against the float estimator: one vector, the same energy to 1e-12."""

from decimal import Decimal

import numpy as np
import pytest

from wattspan.calls import CallBatch
from wattspan.disclosure.coefficients import Vector, errors_of, of_plan_text
from wattspan.disclosure.numbers import exactly, of_float, shown, written
from wattspan.estimator import Deployment, Estimator, Metered, Plan, PlanKey
from wattspan.estimator.moments import Moments, moments
from wattspan.lake.plans import PlanTexts, read_plan


def of_plan(plan: Plan) -> Vector:
    """By way of the lake's text."""
    return of_plan_text(read_plan(PlanTexts(Estimator()).of(plan)))


CALLS = [
    ("gpt-4o", "openai", ""),
    ("claude-sonnet-4-5", "anthropic", ""),
    ("meta-llama/Llama-3.1-70B-Instruct", "together_ai", ""),
    ("deepseek-r1", "deepseek", ""),
    ("text-embedding-3-small", "openai", ""),
    ("nobody-knows-this", "openai", ""),
    ("mistral-large-latest", "aws.bedrock", "bedrock-runtime.eu-west-3.amazonaws.com"),
]


@pytest.mark.parametrize(("model", "provider", "host"), CALLS)
def test_decimal_and_float_estimates_agree_to_1e_12(model: str, provider: str, host: str) -> None:
    draw = np.random.default_rng(7)
    n = 5_000
    n_in = draw.integers(1, 200_000, n)
    n_cached = (n_in * draw.random(n)).astype(np.int64)
    n_out = draw.integers(0, 20_000, n)
    calls = CallBatch.of(
        n,
        model=model,
        provider=provider,
        host=host,
        operation="chat",
        input_tokens=n_in,
        cache_read_tokens=n_cached,
        output_tokens=n_out,
    )
    estimator = Estimator()
    floats = estimator.estimate(calls)
    (plan,) = estimator.plans(calls)[1]
    sums = Moments(
        *(
            sum(map(int, column))
            for column in moments(n_in.astype(object), n_cached.astype(object), n_out.astype(object))
        )
    )
    vector = of_plan(plan)
    with exactly():
        energy, embodied = vector.energy_kwh(sums), vector.embodied_g(sums)
    assert float(energy) == pytest.approx(float(np.sum(floats.energy_kwh)), rel=1e-12)
    assert float(embodied) == pytest.approx(float(np.sum(floats.embodied_g)), rel=1e-12)


def test_a_metered_deployment_has_its_metered_joules() -> None:
    metered = Metered(boundary="facility", wh_per_1k_input_tokens=0.5, wh_per_1k_output_tokens=5.0)
    estimator = Estimator(deployments=[Deployment(name="mine", model="*70B*", metered=metered)])
    plan = estimator.planner.plan(PlanKey(operation="chat", model="meta-llama/Llama-3.1-70B-Instruct"))
    vector = of_plan(plan)
    # 1,000 input tokens 0.5 Wh, 1,000 output tokens 5 Wh, at the facility
    assert vector.energy_kwh(moments(1000, 0, 1000)) == Decimal("0.0055")


def test_a_vector_comes_back_from_its_json_with_the_same_id() -> None:
    plan = Estimator().planner.plan(PlanKey(operation="chat", model="gpt-4o", provider="openai"))
    vector = of_plan(plan)
    assert Vector.from_json(vector.to_json()) == vector
    assert Vector.from_json(vector.to_json()).id == vector.id


@pytest.mark.parametrize("bad", ["-1", "NaN", "Infinity", "1e", 0.5, None])
def test_a_sealed_coefficient_is_a_finite_text(bad: object) -> None:
    content = of_plan(Estimator().planner.plan(PlanKey(model="gpt-4o"))).to_json()
    with pytest.raises((ArithmeticError, TypeError)):
        Vector.from_json({**content, "server_factor": bad})


def test_errors_with_one_key_are_one_error() -> None:
    plan = Estimator().planner.plan(PlanKey(operation="chat", model="gpt-4o", provider="openai"))
    keys = [key for key, _ in errors_of(plan.spread.carbon)]
    assert keys == sorted(set(keys))


@pytest.mark.parametrize(
    ("value", "quoted"),
    [
        ("0.270449", "0.270"),
        ("1234.5", "1230"),
        ("0.000000412345", "0.000000412"),
        ("0.9995", "1.00"),
        ("0", "0"),
        ("-12.349", "-12.3"),
        ("2.5", "2.50"),
    ],
)
def test_numbers_are_quoted_with_three_digits_and_no_exponent(value: str, quoted: str) -> None:
    assert shown(Decimal(value)) == quoted


def test_half_goes_to_even_and_what_is_not_finite_is_refused() -> None:
    assert written(Decimal("1.2345"), 4) == "1.234"
    assert written(Decimal("1.2355"), 4) == "1.236"
    with pytest.raises(ValueError, match="not a finite number"):
        of_float(float("nan"))
