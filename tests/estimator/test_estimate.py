import datetime as dt
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wattspan import CallBatch, Estimator
from wattspan.calls import Kinds
from wattspan.calls.batch import NUMBERS
from wattspan.estimator import Deployment, DeploymentError, Metered
from wattspan.estimator.program import CHUNK_ROWS

LLAMA = "meta-llama/Llama-3.3-70B-Instruct"


@pytest.fixture(scope="module")
def estimator():
    return Estimator("2026.11")


def call(estimator, model="gpt-4o", **arguments):
    return estimator.estimate_call(model=model, **{"input_tokens": 1000, "output_tokens": 300, **arguments})


def test_parts_add_up_to_the_whole(estimator):
    found = call(estimator, cached_input_tokens=400)
    parts = found.prefill_kwh + found.decode_kwh + found.host_kwh + found.overhead_kwh
    assert parts == pytest.approx(found.energy_kwh, rel=1e-15)


def test_a_closed_model_has_the_band_of_factor_six(estimator):
    found = call(estimator, provider="openai")
    assert found.tier == "closed"
    # the factors 1.6, 1.25 and 2.632 are rounded to four digits: 3.000, not 3
    assert found.energy_kwh_high / found.energy_kwh == pytest.approx(3.0**1.64, rel=1e-3)
    assert found.energy_kwh / found.energy_kwh_low == pytest.approx(6.06, rel=1e-3)


def test_an_unknown_model_is_modelled_at_factor_five_and_said_to_be_unknown(estimator):
    found = call(estimator, model="our-own-model", provider="openai")
    assert found.model_resolved is None
    assert (found.tier, found.basis) == ("unknown", "modelled")
    assert found.energy_kwh_high / found.energy_kwh == pytest.approx(5.0**1.64, rel=1e-3)


def test_a_call_without_tokens_has_no_figure_not_zero(estimator):
    found = call(estimator, input_tokens=0, output_tokens=0)
    assert found.basis == "no_usage"
    assert math.isnan(found.energy_kwh)
    assert math.isnan(found.co2e_g)


def test_reasoning_is_output_and_is_not_added_again(estimator):
    assert call(estimator, reasoning_tokens=250).energy_kwh == call(estimator).energy_kwh


def test_a_cached_prompt_costs_a_tenth_of_a_fresh_one_and_a_written_one_the_whole(estimator):
    fresh = call(estimator, output_tokens=0)
    cached = call(estimator, output_tokens=0, cached_input_tokens=1000)
    written = call(estimator, output_tokens=0, cache_write_tokens=1000)
    assert cached.energy_kwh == pytest.approx(fresh.energy_kwh * 0.1, rel=1e-12)
    assert written.energy_kwh == fresh.energy_kwh


def test_an_embedding_has_no_decode(estimator):
    found = call(estimator, model="text-embedding-3-small", operation="embeddings", output_tokens=0)
    assert found.decode_kwh == 0
    assert found.prefill_kwh + found.host_kwh + found.overhead_kwh == pytest.approx(found.energy_kwh)


@pytest.mark.parametrize(
    "tokens",
    [
        {"input_tokens": -1},
        {"output_tokens": math.nan},
        {"output_tokens": math.inf},
        {"cached_input_tokens": 1001},
        {"cached_input_tokens": 600, "cache_write_tokens": 600},
        {"reasoning_tokens": 301},
    ],
)
def test_impossible_token_counts_are_refused_by_name(estimator, tokens):
    with pytest.raises(ValueError, match=next(iter(tokens))):
        call(estimator, **tokens)


def test_a_loopback_proxy_to_a_closed_model_is_not_taken_for_the_callers_own_machine(estimator):
    calls = CallBatch.of(
        2,
        input_tokens=1000,
        output_tokens=300,
        model=["gpt-4o", LLAMA],
        provider="openai",
        host="127.0.0.1",
        is_self_hosted=True,
        resource_region="eu-west-3",
        resource_cloud="aws",
    )
    found = estimator.estimate(calls)
    assert found.region_source.texts() == ["geography_mix", "resource"]
    assert found.region.texts() == ["azure/global", "aws/eu-west-3"]


def test_energy_on_the_span_wins_and_is_labelled(estimator):
    calls = CallBatch.of(
        4,
        input_tokens=1000,
        output_tokens=300,
        model="gpt-4o",
        span_region="eu-west-3",
        provider="aws.bedrock",
        start_unix_ns=1_750_000_000_000_000_000,
        reported_energy_kwh=[0.002, 0.002, math.nan, 0.0],
        is_measured=[True, False, False, False],
    )
    found = estimator.estimate(calls)
    assert found.basis.texts() == ["measured", "reported", "modelled", "modelled"]
    assert found.energy_kwh[:2].tolist() == [0.002, 0.002]
    assert found.tier.texts() == ["metered_node", "metered_node", "closed", "closed"]
    assert found.energy_kwh_high[0] / 0.002 == pytest.approx(1.3**1.64, rel=1e-3)
    assert np.isnan(found.prefill_kwh[:2]).all()
    # France 2025: 31 g/kWh in the annual table
    assert found.co2e_g[0] == pytest.approx(0.002 * 31)


def test_rows_without_a_figure_say_why(estimator):
    calls = CallBatch.of(2, model="gpt-4o", has_usage=False, is_error=[True, False])
    found = estimator.estimate(calls)
    assert found.basis.texts() == ["failed", "no_usage"]
    assert np.isnan(found.energy_kwh).all()
    assert found.tier.texts() == ["", ""]


def test_an_empty_batch_is_an_empty_batch(estimator):
    found = estimator.estimate(CallBatch.of(0))
    assert len(found) == 0
    assert found.edition == "2026.11"


def test_the_same_model_shows_another_energy_on_each_gpu_and_known_configuration_narrows_the_band():
    energies = {}
    for gpu in ("A100", "H100", "B200"):
        deployment = Deployment(
            name="own",
            model="*llama-3.3-70b*",
            gpu=gpu,
            gpu_count=4,
            precision="bf16",
            engine="vllm 0.11",
            batch=64,
        )
        found = call(Estimator(deployments=[deployment]), model=LLAMA)
        assert found.tier == "benchmarked"
        assert found.energy_kwh_high / found.energy_kwh == pytest.approx(1.5**1.64, rel=1e-3)
        energies[gpu] = found.decode_kwh
    assert energies["A100"] > energies["H100"] > energies["B200"]


def test_a_gpu_known_only_by_its_nameplate_does_not_narrow_the_band():
    deployment = Deployment(
        name="own", model="*llama-3.3-70b*", gpu="L40S", precision="bf16", engine="vllm 0.11", batch=16
    )
    assert call(Estimator(deployments=[deployment]), model=LLAMA).tier == "open_measured"


def test_a_deployment_without_its_engine_does_not_narrow_the_band():
    deployment = Deployment(name="own", model="*llama-3.3-70b*", gpu="H100", precision="bf16", batch=64)
    assert call(Estimator(deployments=[deployment]), model=LLAMA).tier == "open_measured"


def test_metered_energy_per_token_is_taken_as_it_is():
    metered = Metered("facility", wh_per_1k_input_tokens=0.05, wh_per_1k_output_tokens=0.5)
    estimator = Estimator(deployments=[Deployment(name="own", model="*llama*", pue=1.2, metered=metered)])
    found = call(estimator, model=LLAMA)
    # 1,000 x 0.05 Wh/1k + 300 x 0.5 Wh/1k = 0.05 + 0.15 Wh, nothing on top
    assert found.energy_kwh == pytest.approx(0.0002, rel=1e-12)
    assert found.tier == "metered_facility"
    assert found.energy_kwh_high / found.energy_kwh == pytest.approx(1.15**1.64, rel=1e-3)
    assert (found.host_kwh, found.overhead_kwh) == (0.0, 0.0)


def test_metering_at_the_node_gets_the_building_on_top():
    metered = Metered("node", wh_per_1k_input_tokens=0.05, wh_per_1k_output_tokens=0.5)
    estimator = Estimator(deployments=[Deployment(name="own", model="*llama*", pue=1.2, metered=metered)])
    found = call(estimator, model=LLAMA)
    assert found.energy_kwh == pytest.approx(0.00024, rel=1e-12)
    assert found.tier == "metered_node"


def test_a_day_of_metered_energy_comes_out_when_its_tokens_go_in():
    metered = Metered(
        "facility", kwh_per_day=12.0, input_tokens_per_day=16_000_000, output_tokens_per_day=2_000_000
    )
    estimator = Estimator(deployments=[Deployment(name="own", model="*llama*", metered=metered)])
    found = call(estimator, model=LLAMA, input_tokens=16_000_000, output_tokens=2_000_000)
    assert found.energy_kwh == pytest.approx(12.0, rel=1e-12)


def test_a_deployment_with_hardware_that_the_edition_does_not_know_is_refused():
    with pytest.raises(
        DeploymentError, match=r"deployment 'own': gpu is 'H1000'; edition 2026.11 knows A100"
    ):
        Estimator(deployments=[Deployment(name="own", model="*", host="x", gpu="H1000")])


@pytest.mark.parametrize(
    ("alias", "day", "meant"),
    [
        # evidence/models/deepseek.yaml, from DeepSeek's API news: R1 from 2025-01-20, V3.1 from 2025-08-21
        ("deepseek-reasoner", "2025-03-01", "deepseek/deepseek-r1"),
        ("deepseek-reasoner", "2025-08-20", "deepseek/deepseek-r1"),
        ("deepseek-reasoner", "2025-08-21", "deepseek/deepseek-v3.1"),
        ("deepseek-reasoner", "2024-01-01", "deepseek/deepseek-r1"),
        ("mistral-large-latest", "2025-12-01", "mistralai/mistral-large-2411"),
        ("mistral-large-latest", "2025-12-02", "mistralai/mistral-large-2512"),
    ],
)
def test_an_alias_means_the_model_it_meant_on_the_day_of_the_call(estimator, alias, day, meant):
    at = dt.datetime.fromisoformat(day).replace(tzinfo=dt.UTC)
    assert call(estimator, model=alias, at=at).model_resolved == meant
    calls = CallBatch.of(
        2, model=[alias, "gpt-4o"], output_tokens=300, start_unix_ns=int(at.timestamp()) * 10**9
    )
    assert estimator.estimate(calls).model.texts() == [meant, "openai/gpt-4o"]


def test_a_model_on_the_users_own_machine_is_the_same_call_by_either_way(estimator):
    one = call(estimator, model="llama3.3", provider="ollama", host="localhost")
    calls = CallBatch.of(
        1, model="llama3.3", provider="ollama", host="localhost", is_self_hosted=True,
        input_tokens=1000, output_tokens=300,
    )  # fmt: skip
    many = estimator.estimate(calls)
    assert one.energy_kwh == many.energy_kwh[0]
    assert one.plan.place.label == many.region[0] == "world"
    assert one.plan.host.batch == 32


def test_an_undeclared_batch_of_ones_own_does_not_reach_the_tier_of_a_measured_one(estimator):
    assert call(estimator, model=LLAMA, host="localhost").tier == "open"
    assert call(estimator, model=LLAMA).tier == "open_measured"


def test_a_region_may_be_named_with_its_cloud_and_a_time_written_as_text(estimator):
    found = call(estimator, region="aws/eu-west-3", at="2025-06-01T10:00+02:00")
    assert (found.region, found.region_source) == ("aws/eu-west-3", "span")
    assert found.co2e_g == pytest.approx(found.energy_kwh * 31)  # France 2025: 31 g/kWh


def test_a_region_that_nobody_knows_is_refused(estimator):
    with pytest.raises(ValueError, match="region 'nowhere' is not known; `wattspan regions` lists"):
        call(estimator, region="nowhere")


def test_the_year_of_the_call_decides_the_vintage_of_the_grid(estimator):
    at = {year: dt.datetime(year, 6, 1, tzinfo=dt.UTC) for year in (2021, 2025, 2026)}
    found = {year: call(estimator, provider="aws.bedrock", region="af-south-1", at=at[year]) for year in at}
    assert [found[year].plan.intensity.vintage for year in at] == [2021, 2025, 2025]


def test_the_typical_hour_moves_the_carbon_and_not_the_energy():
    hourly, annual = Estimator(resolution="typical-hour"), Estimator()
    # California in April: the sun is up at 20:00 UTC (noon) and down at 08:00 UTC (midnight)
    noon, night = (
        call(
            hourly,
            provider="gcp.vertex_ai",
            region="us-west2",
            at=dt.datetime(2025, 4, 15, hour, tzinfo=dt.UTC),
        )
        for hour in (20, 8)
    )
    flat = call(
        annual, provider="gcp.vertex_ai", region="us-west2", at=dt.datetime(2025, 4, 15, tzinfo=dt.UTC)
    )
    assert noon.energy_kwh == night.energy_kwh == flat.energy_kwh
    assert noon.co2e_g < flat.co2e_g < night.co2e_g
    assert noon.plan.intensity.resolution == "typical-hour"
    calls = CallBatch.of(
        2,
        input_tokens=1000,
        output_tokens=300,
        model="gpt-4o",
        provider="gcp.vertex_ai",
        span_region="us-west2",
        start_unix_ns=[
            int(dt.datetime(2025, 4, 15, hour, tzinfo=dt.UTC).timestamp()) * 10**9 for hour in (20, 8)
        ],
    )
    assert hourly.estimate(calls).co2e_g == pytest.approx([noon.co2e_g, night.co2e_g], rel=1e-14)


def test_direct_factors_where_there_are_none_give_energy_and_a_reason_but_no_carbon():
    found = call(Estimator(factor_type="direct"), model="unheard-of")
    assert found.energy_kwh == call(Estimator(), model="unheard-of").energy_kwh
    assert math.isnan(found.co2e_g)
    assert found.plan.intensity.reason == "no direct table has the world"


def test_water_is_it_energy_times_the_facilitys_wue(estimator):
    found = call(estimator, provider="aws.bedrock", region="eu-central-1")
    it_kwh = found.prefill_kwh + found.decode_kwh + found.host_kwh
    wue = found.plan.place.wue_l_per_kwh
    assert wue is not None
    assert found.water_ml == pytest.approx(it_kwh * wue * 1000, rel=1e-12)


def test_embodied_carbon_is_of_the_order_that_ecologits_reckons(estimator):
    """EcoLogits 0.11.3, gpt-4o, 300 output tokens, USA: 1.2146e-5 kgCO2e embodied."""
    found = call(estimator, provider="openai", input_tokens=100, output_tokens=300)
    assert 0.012146 / 3 < found.embodied_g < 0.012146 * 3


tokens = st.integers(0, 200_000)


@settings(max_examples=60)
@given(n_in=tokens, share=st.floats(0, 1), n_out=tokens, more=st.integers(1, 10_000))
def test_more_tokens_never_cost_less_and_caching_never_costs_more(n_in, share, n_out, more):
    estimator = Estimator("2026.11")
    cached = int(n_in * share)
    base = call(estimator, input_tokens=n_in, cached_input_tokens=cached, output_tokens=n_out + 1)
    longer = call(estimator, input_tokens=n_in, cached_input_tokens=cached, output_tokens=n_out + 1 + more)
    fresh = call(estimator, input_tokens=n_in, output_tokens=n_out + 1)
    assert base.energy_kwh < longer.energy_kwh
    assert base.energy_kwh <= fresh.energy_kwh


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["gpt-4o", "claude-sonnet-4-5", LLAMA, "nobody-knows", ""]),
            st.sampled_from(["", "api.openai.com", "bedrock-runtime.eu-west-3.amazonaws.com"]),
            st.integers(0, 10**6),
            st.integers(0, 10**5),
            st.sampled_from([0, 1_700_000_000_000_000_000, 1_760_000_000_000_000_000]),
        ),
        min_size=1,
        max_size=30,
    )
)
def test_a_row_is_estimated_the_same_whatever_stands_beside_it(rows):
    estimator = Estimator("2026.11")
    models, hosts, n_in, n_out, start = (list(column) for column in zip(*rows, strict=True))
    calls = CallBatch.of(
        len(rows), model=models, host=hosts, input_tokens=n_in, output_tokens=n_out, start_unix_ns=start
    )
    together = estimator.estimate(calls)
    for row in range(len(rows)):
        alone = estimator.estimate(calls.take(np.array([row])))
        np.testing.assert_array_equal(alone.energy_kwh[0], together.energy_kwh[row])
        np.testing.assert_array_equal(alone.co2e_g[0], together.co2e_g[row])
        assert alone.tier[0] == together.tier[row]
        assert alone.region[0] == together.region[row]


def test_rows_beyond_one_chunk_are_estimated_as_alone(estimator):
    n = 2 * CHUNK_ROWS + 17
    calls = CallBatch.of(
        n, model="gpt-4o", provider="openai", input_tokens=np.arange(n) + 1, output_tokens=np.arange(n) % 500
    )
    found = estimator.estimate(calls)
    assert len(found) == n
    for row in (0, CHUNK_ROWS - 1, CHUNK_ROWS, n - 1):
        alone = estimator.estimate(calls.take(np.array([row])))
        assert found.energy_kwh[row] == alone.energy_kwh[0]
        assert found.co2e_g_high[row] == alone.co2e_g_high[0]
        assert found.basis[row] == alone.basis[0]


def test_a_window_without_calls_has_no_estimates(estimator):
    kinds = Kinds(np.zeros(0, dtype=np.int32), [])
    numbers = {name: getattr(CallBatch.of(0), name) for name in NUMBERS}
    found = estimator.estimate(CallBatch.of_kinds(kinds, numbers))
    assert len(found) == 0
    assert (found.prefill_kwh.shape, found.spreads, found.tier.texts()) == ((0,), (), [])
