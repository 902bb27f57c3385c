"""The fit reproduces what was published about this form, and the same evidence gives the same bytes."""

import math

import numpy as np
import pytest

from evidence.edition import energy
from evidence.edition.fit import (
    PARAMETERS,
    decode_form,
    decode_measurements,
    decode_ranges,
    fit_prefill,
    fp4_best_factor,
    log_errors,
    residuals,
)
from evidence.edition.gpus import build_gpus
from evidence.edition.tables import read_table
from wattspan.methodology import Edition, Form
from wattspan.methodology.edition import EDITIONS_FOLDER

# An independent fit of the same form to the same 515 rows (with 90 % ranges from its own bootstrap).
INDEPENDENT = {
    "step_j_per_gpu": (0.971, 0.38, 2.2),
    "weight_j_per_gb": (0.172, 0.126, 0.198),
    "active_j_per_b": (5.66e-3, 4.8e-3, 8.4e-3),
    "kv_j_per_gb": (0.249, 0.16, 0.33),
    "moe_weight": (1.07, 0.85, 1.33),
    "moe_active": (2.75, 1.7, 4.4),
    "fp8_weight": (1.62, 0.98, 2.0),
    "b200_step": (1.53, 0.5, 3.3),
    "b200_weight": (1.016, 0.84, 1.33),
    "b200_active": (0.562, 0.47, 0.69),
}


def fitted():
    form = decode_form()
    b200 = form.gpus["B200"]
    values = {name: getattr(form, name) for name in PARAMETERS if hasattr(form, name)}
    return values | {
        "fp8_weight": form.precisions["fp8"].weight,
        "b200_step": b200.step,
        "b200_weight": b200.weight,
        "b200_active": b200.active,
    }


@pytest.mark.parametrize("name", PARAMETERS)
def test_the_fit_agrees_with_an_independent_one_within_its_range(name):
    _, low, high = INDEPENDENT[name]
    assert low <= fitted()[name] <= high


def test_the_well_determined_numbers_agree_within_ten_percent():
    for name in (
        "weight_j_per_gb",
        "active_j_per_b",
        "kv_j_per_gb",
        "moe_weight",
        "fp8_weight",
        "b200_active",
    ):
        assert fitted()[name] == pytest.approx(INDEPENDENT[name][0], rel=0.10), name


def test_each_fitted_number_lies_in_its_own_bootstrap_range():
    for name, (low, high) in decode_ranges().items():
        assert low <= fitted()[name] <= high, name


def test_fitted_numbers_have_four_significant_digits():
    for value in fitted().values():
        assert value == float(f"{value:.4g}")


def test_h100_at_batch_128_is_what_was_measured():
    # J per output token, chat, interpolated by eye in the published table to batch 128.
    measured = {"meta-llama/Llama-3.1-8B-Instruct": 0.095, "meta-llama/Llama-3.1-70B-Instruct": 0.563}
    m, errors = decode_measurements(), log_errors(decode_form(), decode_measurements())
    for model, joules in measured.items():
        near = (
            (m.model == model) & (m.gpu == "H100") & (m.task == "lm-arena-chat") & (np.abs(m.batch - 128) < 4)
        )
        assert m.j_per_output_token[near] == pytest.approx(joules, rel=0.1)
        assert np.exp(errors[near]) == pytest.approx(1.0, rel=0.25)


def test_prefill_comes_from_its_published_prompts():
    prefill = fit_prefill()
    # 262.3 J / (4,096 tokens x 32.8B x (1 + 4,096 / 100,098)) = 1.876e-3
    assert prefill.dense_j_per_b == pytest.approx(1.876e-3, rel=1e-3)
    assert prefill.moe_factor == pytest.approx(2.127, rel=1e-3)
    # On an A100 the measured slopes confirm the nameplate ratio (400 W / 312) / (700 W / 989) = 1.811.
    assert prefill.a100_factor == pytest.approx(1.811, rel=0.03)


def test_fp4_is_kept_at_one_inside_what_the_gpt_oss_rows_support():
    fp4 = energy.build_form()["precisions"]["fp4"]["weight"]
    assert fp4_best_factor() == 0.74
    assert fp4["low"] <= 0.74 <= fp4["high"]
    assert fp4["value"] == 1.0


def test_nameplate_ratios_by_hand():
    gpus = build_gpus()
    assert gpus["A100"]["weight"]["value"] == pytest.approx((400 / 1560) / (700 / 3350), rel=1e-3)
    assert gpus["A100"]["active"]["value"] == pytest.approx((400 / 312) / (700 / 989), rel=1e-3)
    assert gpus["L40S"]["weight"]["value"] == pytest.approx((350 / 864) / (700 / 3350), rel=1e-3)
    # More bandwidth is not credited: on B200 a nameplate of 0.60 was measured as 1.03.
    assert gpus["H200"]["weight"]["value"] == 1.0
    assert gpus["H200"]["basis"] == "nameplate"


def test_serving_power_is_the_median_of_measured_runs():
    gpus = build_gpus()
    assert gpus["H100"]["serving_w"]["value"] / 700 == pytest.approx(0.81, abs=0.01)
    assert gpus["B200"]["serving_w"]["value"] / 1000 == pytest.approx(0.77, abs=0.01)


def test_embodied_carbon_by_hand():
    embodied = build_gpus()["H100"]["embodied_kg"]["value"]
    assert embodied == pytest.approx((273 * 164 * 225) ** (1 / 3) + 5700 / 8, abs=0.1)


def test_residuals_are_measured_over_fitted_and_written_for_the_registry():
    found = {residual.model: residual for residual in residuals()}
    written = {row["model"]: row for row in read_table("residuals")}
    assert found.keys() == written.keys()
    maverick = found["meta-llama/Llama-4-Maverick-17B-128E-Instruct-FP8"]
    nemotron = found["nvidia/NVIDIA-Nemotron-Nano-9B-v2"]
    assert maverick.residual == pytest.approx(0.54, abs=0.02)
    assert nemotron.residual == pytest.approx(1.65, abs=0.05)
    for name, row in written.items():
        assert float(row["residual"]) == found[name].residual
        assert tuple(row["row_ids"].split()) == found[name].row_ids
        assert int(row["n_rows"]) == len(found[name].row_ids)


def test_factors_of_each_tier_multiply_to_its_total():
    for name, tier in energy.build_spreads()["tiers"].items():
        total = math.sqrt(sum(math.log(factor["g"]) ** 2 for factor in tier["factors"]))
        assert math.exp(total) == pytest.approx(tier["g"], rel=1e-3), name
        assert tier["band_90"] == pytest.approx(tier["g"] ** 1.645, rel=1e-3), name


def test_building_twice_gives_the_same_bytes_and_they_are_the_shipped_ones(tmp_path):
    for folder in ("first", "second"):
        energy.build(tmp_path / folder)
    shipped = EDITIONS_FOLDER / Edition.load().name
    for path in sorted((tmp_path / "first").iterdir()):
        first = path.read_bytes()
        assert first == (tmp_path / "second" / path.name).read_bytes()
        assert first == (shipped / path.name).read_bytes(), f"{path.name}: run `make edition`"


def test_the_shipped_form_reads_back():
    form = Edition.load().form
    assert isinstance(form, Form)
    assert form.gpus["GB200"] == form.gpus["B200"]
    assert form.step_j_per_gpu == decode_form().step_j_per_gpu
