import math

import pytest
from decision_spans import CAPTURES, TRACE, chat, window

from wattspan import Estimator
from wattspan.config import Config
from wattspan.decisions import Explanation, explain
from wattspan.otlp.enrich import Enricher

FILES = (
    "otel_genai_openai", "traceloop_openai", "litellm", "langfuse", "anthropic_sdk_native",
    "more/traceloop_mistral", "more/otel_botocore_bedrock", "more/vercel_ai_v7",
)  # fmt: skip


@pytest.fixture(scope="module")
def estimator() -> Estimator:
    return Estimator()


def product(found: Explanation, until: str) -> float:
    """What the chain comes to where the step `until` says what it comes to."""
    names = [step.name for step in found.steps]
    return math.prod(step.value for step in found.steps[: names.index(until)] if step.operation == "×")


def step(found: Explanation, name: str):
    return next(step for step in found.steps if step.name == name)


@pytest.mark.parametrize("resolution", ["annual", "typical-hour"])
@pytest.mark.parametrize("name", FILES)
def test_the_parts_multiply_to_the_figure_on_the_span(name, resolution):
    estimator = Estimator(resolution=resolution)
    (found,) = Enricher(estimator).protobuf([(CAPTURES / f"{name}.binpb").read_bytes()])
    explained = 0
    for row, reading in enumerate(found.owners.tolist()):
        span = int(found.table.span_id[found.reading.rows[reading]])
        chain = explain(estimator, found, f"{span:016x}")
        assert chain is not None
        if not chain.steps:
            assert found.estimates.basis[row] in ("no_usage", "failed")
            continue
        explained += 1
        assert chain.energy_kwh.central == found.estimates.energy_kwh[row]
        assert product(chain, "energy") == pytest.approx(found.estimates.energy_kwh[row], rel=1e-12)
        assert product(chain, "carbon") == pytest.approx(found.estimates.co2e_g[row], rel=1e-12)
        parts = math.fsum(one.value for one in chain.steps if one.operation == "+")
        assert parts == pytest.approx(step(chain, "accelerator").value, rel=1e-12)
        assert math.fsum(chain.share(one.factors) for one in chain.steps) == pytest.approx(1, rel=1e-12)
        spread = math.exp(1.64 * math.sqrt(math.fsum(one.ln_g**2 for one in chain.band_factors)))
        assert spread == pytest.approx(chain.co2e_g.high / chain.co2e_g.central, rel=1e-9)
    assert explained >= 2


def test_a_call_in_virginia_step_by_step(estimator):
    """ln^2: model (2.632) 0.936529, method (1.6) 0.220903, facility (1.25) 0.049793, PJM (1.113) 0.011462."""
    found = explain(estimator, window(estimator, chat(1)), "1", TRACE)
    assert [one.name for one in found.steps] == [
        "fresh input", "output", "accelerator", "host", "idle machines", "PUE", "kWh per J", "energy",
        "intensity", "carbon",
    ]  # fmt: skip
    assert (step(found, "host").value, step(found, "idle machines").value) == (1.35, 1.1)
    assert (step(found, "PUE").value, step(found, "intensity").value) == (1.15, 418.0)
    assert step(found, "PUE").source.startswith("AWS, data centre PUE")
    assert step(found, "intensity").source == "Electricity Maps 2025"
    assert "US-MIDA-PJM, for aws/us-east-1 (known by: span)" in step(found, "intensity").how
    total = 0.936529 + 0.220903 + 0.049793 + 0.011462
    shares = {name: found.share(step(found, name).factors) for name in ("accelerator", "PUE", "intensity")}
    assert shares == pytest.approx(
        {
            "accelerator": (0.936529 + 0.220903) / total,
            "PUE": 0.049793 / total,
            "intensity": 0.011462 / total,
        },
        abs=1e-5,
    )
    assert (found.model, found.tier, found.basis, found.edition) == (
        "openai/gpt-4o", "closed", "modelled", "2026.11",
    )  # fmt: skip
    assert found.as_dict()["steps"][-1]["band_share"] == 0.0


def test_cached_and_reasoning_tokens_are_told_apart(estimator):
    details = {"gen_ai.usage.cache_read.input_tokens": 900, "gen_ai.usage.reasoning.output_tokens": 200}
    found = explain(estimator, window(estimator, chat(1, details)), "1")
    assert step(found, "fresh input").how.startswith("100 tokens × ")
    assert step(found, "cached input").how.startswith("900 tokens × ")
    assert step(found, "output").how.startswith("300 tokens, 200 of them reasoning × ")
    # a cached token costs a tenth of a fresh one
    ratio = step(found, "cached input").value / step(found, "fresh input").value
    assert ratio == pytest.approx(0.9, rel=1e-12)


def test_the_hour_is_a_step_of_its_own(estimator):
    hourly = Estimator(resolution="typical-hour")
    # 23 November 2026, 16 h UTC, California: 208 g/kWh x 0.8821
    found = explain(hourly, window(hourly, chat(1, {"cloud.region": "us-west-1"})), "1")
    assert step(found, "intensity").value == 208.0
    assert step(found, "hour").value == pytest.approx(0.8821, rel=1e-12)


def test_a_copy_names_the_span_that_is_counted(estimator):
    same = {"gen_ai.response.id": "one"}
    found = window(estimator, chat(1, same), chat(2, same, parent=1))
    copy, owner = explain(estimator, found, "1"), explain(estimator, found, "2")
    assert (copy.role, copy.basis, copy.owner_span_id) == ("duplicate", "duplicate", "0" * 15 + "2")
    assert copy.reason == "the same call is counted once, on span 0000000000000002"
    assert (copy.steps, owner.role) == ((), "call")
    assert len(owner.steps) == 10


@pytest.mark.parametrize(("status", "basis", "why"), [(0, "no_usage", "tokens"), (2, "failed", "error")])
def test_without_usage_there_is_no_figure_and_the_reason_is_given(estimator, status, basis, why):
    nothing = {"gen_ai.usage.input_tokens": None, "gen_ai.usage.output_tokens": None}
    found = explain(estimator, window(estimator, chat(1, nothing, status=status)), "1")
    assert (found.basis, found.steps, found.energy_kwh, found.co2e_g) == (basis, (), None, None)
    assert why in found.reason
    assert found.as_dict()["energy_kwh"] is None


def test_a_span_that_is_no_call_says_so(estimator):
    other = chat(7)
    del other.attributes[:]
    other.name = "GET /health"
    found = explain(estimator, window(estimator, chat(1), other), "7")
    assert (found.role, found.reason) == ("other", "it is no model call: it has no energy of its own")


def test_an_agents_sum_of_its_calls_is_an_aggregate(estimator):
    (found,) = Enricher(estimator).protobuf([(CAPTURES / "more" / "pydantic_ai.binpb").read_bytes()])
    row = next(i for i, role in enumerate(found.reading.role.tolist()) if role != 0)
    span = int(found.table.span_id[found.reading.rows[row]])
    chain = explain(estimator, found, f"{span:x}")
    assert (chain.role, chain.steps) == ("aggregate", ())


def test_reported_energy_starts_the_chain_with_what_the_span_says(estimator):
    found = explain(estimator, window(estimator, chat(1, {"gen_ai.usage.energy_kwh": 0.0005})), "1")
    assert [one.name for one in found.steps] == ["energy", "intensity", "carbon"]
    assert (found.basis, found.energy_kwh.central) == ("reported", 0.0005)
    assert found.co2e_g.central == pytest.approx(0.0005 * 418, rel=1e-12)


def test_metering_that_includes_the_building_leaves_nothing_to_add():
    config = Config.model_validate(
        {
            "deployments": [
                {
                    "name": "own",
                    "model": "gpt-4o*",
                    "metered": {
                        "boundary": "facility",
                        "wh_per_1k_input_tokens": 0.05,
                        "wh_per_1k_output_tokens": 0.4,
                    },
                }
            ]
        }
    )
    estimator = config.estimator()
    found = explain(estimator, window(estimator, chat(1)), "1")
    # 1,000 x 0.05 Wh / 1,000 + 300 x 0.4 Wh / 1,000 = 0.17 Wh = 612 J
    assert step(found, "accelerator").value == pytest.approx(612.0, rel=1e-12)
    assert found.energy_kwh.central == pytest.approx(0.00017, rel=1e-12)
    assert (step(found, "PUE").value, step(found, "PUE").how) == (1.0, "metering includes it")
    assert step(found, "output").source == "metered by you: deployment own"
    assert found.tier == "metered_facility"


def test_without_a_carbon_figure_the_chain_ends_with_the_energy():
    direct = Estimator(factor_type="direct")
    found = explain(direct, window(direct, chat(1, {"cloud.region": "me-south-1"})), "1")
    assert (found.steps[-1].name, found.co2e_g) == ("energy", None)
    assert found.reason.startswith("no carbon figure: no direct table has")
    assert math.fsum(found.share(one.factors) for one in found.steps) == pytest.approx(1)


def test_ids_that_cannot_be_are_refused_and_others_are_not_found(estimator):
    found = window(estimator, chat(1))
    assert explain(estimator, found, "2") is None
    assert explain(estimator, found, "1", "f" * 32) is None
    for span, trace in (("xyz", ""), ("f" * 17, ""), ("1", "12xy"), ("1", "f" * 33)):
        with pytest.raises(ValueError, match="ids are 16 and 32 hexadecimal digits"):
            explain(estimator, found, span, trace)
