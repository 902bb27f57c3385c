"""The energy form against numbers worked out by hand, and its invariants."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattspan.estimator.energy import coefficients, decode_gpu_j_per_token, gpu_energy_j
from wattspan.methodology import Architecture, Form, Gpu, Host, Precision

FORM = Form(
    step_j_per_gpu=1.0,
    weight_j_per_gb=0.5,
    active_j_per_b=0.01,
    kv_j_per_gb=0.2,
    moe_weight=1.1,
    moe_active=3.0,
    prefill_j_per_b=0.002,
    moe_prefill=2.0,
    cached_share=0.1,
    precisions={"bf16": Precision(2.0, 1.0), "fp8": Precision(1.0, 1.5)},
    gpus={
        "H100": Gpu(1.0, 1.0, 1.0, 1.0, serving_w=560, embodied_kg=900, lifetime_years=4),
        "B200": Gpu(2.0, 0.5, 0.25, 0.75, serving_w=770, embodied_kg=1000, lifetime_years=4),
    },
)
DENSE = Architecture(active_b=10, total_b=10, kv_kb_per_token=100, context_tokens=1e5, gpus=2)
MOE = Architecture(
    active_b=10, total_b=100, is_moe=True, kv_kb_per_token=100, context_tokens=1e5, precision="fp8"
)
SHORT = Host("H100", batch=4)
tokens = st.integers(min_value=0, max_value=10**6).map(float)


def test_a_dense_model_reads_all_its_weights_in_every_step():
    # 10B x 2 bytes = 20 GB; (1 J x 2 GPUs + 0.5 J/GB x 20 GB) / 4 + 0.01 J/B x 10B = 3.1 J
    assert coefficients(DENSE, SHORT, FORM).output == pytest.approx(3.1)


def test_a_mixture_of_experts_reads_the_experts_that_the_batch_touches():
    # 100B x (1 - 0.9^2) x 1 byte = 19 GB; (1 + 0.5 x 1.5 x 1.1 x 19) / 2 + 0.01 x 3 x 10 = 8.6375 J
    assert coefficients(MOE, Host("H100", batch=2), FORM).output == pytest.approx(8.6375)


def test_gpu_factors_multiply_their_own_terms():
    # (1 x 2.0 x 2 + 0.5 x 0.5 x 20) / 4 + 0.01 x 0.25 x 10 = 2.275 J; prefill 0.002 x 0.75 x 10 = 0.015 J
    found = coefficients(DENSE, Host("B200", batch=4), FORM)
    assert found.output == pytest.approx(2.275)
    assert found.fresh == pytest.approx(0.015)


def test_a_declared_host_overrides_gpu_count_and_precision():
    # 10 GB in fp8: (1 J x 1 GPU + 0.5 x 1.5 x 10) / 4 + 0.1 = 2.225 J
    found = coefficients(DENSE, Host("H100", batch=4, gpus=1, precision="fp8"), FORM)
    assert found.output == pytest.approx(2.225)


def test_the_seven_coefficients_of_a_dense_model():
    found = coefficients(DENSE, SHORT, FORM)
    # a = 0.002 x 10; b_kv = 0.2 J/GB x 100 kB / 10^6
    values = [getattr(found, field.name) for field in fields(found)]
    assert values == pytest.approx([0.02, 0.002, 2e-7, 2e-8, 3.1, 2e-5, 1e-5])


def test_energy_of_a_call_by_hand():
    # prefill: 0.02 x (800 + 0.1 x 200) x (1 + 1000/1e5) = 16.564 J
    # decode: 100 x (3.1 + 2e-5 x (1000 + 50)) = 312.1 J
    prefill, decode = gpu_energy_j(coefficients(DENSE, SHORT, FORM), 800.0, 200.0, 1000.0, 100.0)
    assert prefill == pytest.approx(16.564)
    assert decode == pytest.approx(312.1)


def test_a_model_of_the_benchmark_has_its_decode_scaled_by_its_residual():
    plain, scaled = (coefficients(DENSE, SHORT, FORM, residual=factor) for factor in (1.0, 1.5))
    assert scaled.fresh == plain.fresh
    assert scaled.output == pytest.approx(4.65)
    assert scaled.output_context == pytest.approx(3e-5)
    assert scaled.output_square == pytest.approx(1.5e-5)


@pytest.mark.parametrize("kind", ["embedding", "rerank"])
def test_embeddings_and_rerankers_have_a_prefill_and_no_decode(kind):
    found = coefficients(DENSE, SHORT, FORM, kind=kind)
    prefill, decode = gpu_energy_j(found, 1000.0, 0.0, 1000.0, 50.0)
    assert prefill == pytest.approx(20.2)
    assert decode == 0.0


def test_an_unknown_gpu_is_an_error():
    with pytest.raises(KeyError, match="TPU v5e"):
        coefficients(DENSE, Host("TPU v5e"), FORM)


@given(n_fresh=tokens, n_cached=tokens, n_out=tokens)
def test_an_array_gives_what_the_single_numbers_give(n_fresh, n_cached, n_out):
    found = coefficients(MOE, SHORT, FORM)
    single = gpu_energy_j(found, n_fresh, n_cached, n_fresh + n_cached, n_out)
    arrays = [np.array([value, 0.0]) for value in (n_fresh, n_cached, n_fresh + n_cached, n_out)]
    both = gpu_energy_j(found, *arrays)
    assert [part[0] for part in both] == list(single)
    assert [part[1] for part in both] == [0.0, 0.0]


@given(n_in=tokens, n_out=tokens, cached=st.floats(0, 1))
def test_a_cached_prompt_never_costs_more_than_a_fresh_one(n_in, n_out, cached):
    found = coefficients(DENSE, SHORT, FORM)
    n_cached = float(int(n_in * cached))
    fresh_j, decode_j = gpu_energy_j(found, n_in, 0.0, n_in, n_out)
    cached_j, same_decode_j = gpu_energy_j(found, n_in - n_cached, n_cached, n_in, n_out)
    assert cached_j <= fresh_j * (1 + 1e-12)
    assert same_decode_j == decode_j


@given(batch=st.floats(1, 4096), factor=st.floats(1, 16))
def test_a_larger_batch_never_costs_more_per_token(batch, factor):
    def at(b):
        return decode_gpu_j_per_token(b, 8.0, 37.0, 671.0, 1.0, 1.2, 0.3, 0.02)

    assert at(batch * factor) <= at(batch) * (1 + 1e-12)
