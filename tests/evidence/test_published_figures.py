"""R1 to R14: published figures, re-computed or re-predicted within their stated tolerance."""

import math

import pytest

from evidence.edition.energy import Z90, build_form
from evidence.edition.fit import fit_prefill
from evidence.edition.tables import read_table, row_by_id
from evidence.validation import held_out, others
from evidence.validation.anchors import anchors
from wattspan.methodology import Edition


def test_r1_epoch_headline():
    assert others.epoch_headline_wh() == pytest.approx(0.2949, rel=0.01)


@pytest.mark.parametrize(
    ("input_tokens", "expected"), [(100, 0.440), (1000, 0.599), (1e4, 2.384), (1e5, 39.79)]
)
def test_r2_epoch_notebook(input_tokens, expected):
    assert others.epoch_notebook_wh(input_tokens) == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("row_id", ["epoch/0002", "epoch/0003"])
def test_r2_epoch_notebook_against_the_published_words(row_id):
    row = row_by_id("published_energy", row_id)
    predicted = others.epoch_notebook_wh(float(row["input_tokens"]))
    assert predicted == pytest.approx(float(row["energy_wh"]), rel=0.06)


@pytest.mark.parametrize(
    ("size", "watts"),
    [("large", 651.5), ("medium", 353.8), ("small", 191.2), ("micro", 96.0), ("nano", 83.4)],
)
def test_r3_jegham_class_power(size, watts):
    assert others.jegham_class_w(size) == pytest.approx(watts, abs=0.1)


def published_gpt_4o_short_wh():
    rows = [
        row
        for row in read_table("published_energy")
        if row["source"] == "jegham"
        and row["place"] == "Table 4"
        and row["model"].startswith("GPT-4o (")
        and row["input_tokens"] == "100"
    ]
    assert len(rows) == 1
    return float(rows[0]["energy_wh"])


def test_r4_jegham_gpt_4o_short():
    assert others.jegham_query_wh("large", seconds=2.1) == pytest.approx(
        published_gpt_4o_short_wh(), rel=0.02
    )


def test_r5_jegham_carbon():
    assert others.jegham_carbon_g(published_gpt_4o_short_wh()) == pytest.approx(0.148, rel=0.01)


def test_r6_jegham_water():
    assert others.jegham_water_ml(published_gpt_4o_short_wh()) == pytest.approx(1.95, rel=0.01)


def test_r7_google_breakdown_and_water():
    total_wh = float(row_by_id("published_energy", "google-2508.15734/0001")["energy_wh"])
    accelerators_wh = float(row_by_id("published_energy", "google-2508.15734/0002")["energy_wh"])
    host_wh, idle_wh, overhead_wh = 0.06, 0.02, 0.02
    assert accelerators_wh + host_wh + idle_wh + overhead_wh == pytest.approx(total_wh, abs=1e-12)
    water_ml = (total_wh - overhead_wh) * 1.15
    assert water_ml == pytest.approx(0.253, abs=1e-12)
    assert water_ml == pytest.approx(0.26, rel=0.03)


@pytest.mark.parametrize(
    ("model", "hardware", "load", "published_j", "doubled_j"),
    [
        ("meta-llama/Meta-Llama-3.1-8B-Instruct", "1x H100 80GB HBM3", "max 192", 114, 114.8),
        ("meta-llama/Meta-Llama-3.1-405B-Instruct", "16x H100 80GB HBM3", "max 128", 6706, 6705.8),
    ],
)
def test_r8_mit_technology_review_is_twice_ml_energy_v2(model, hardware, load, published_j, doubled_j):
    rows = [
        row
        for row in read_table("published_energy")
        if (row["source"], row["model"], row["hardware"], row["load"], row["task"])
        == ("mlenergy-v2", model, hardware, load, "chat")
    ]
    assert len(rows) == 1
    twice = float(rows[0]["energy_wh"]) * 3600 * 2
    assert twice == pytest.approx(doubled_j, abs=0.05)
    assert twice == pytest.approx(published_j, rel=0.01)


def test_r9_mfu_power_law():
    assert others.mfu_power_w(0.10) == pytest.approx(204.7, abs=0.5)
    assert others.mfu_power_w(0.0) == 100.0
    assert others.mfu_power_w(0.45) == others.mfu_power_w(0.9) == 400.0


def test_r10_ecologits_energy_per_token():
    assert others.ecologits_gpu_wh_per_token(70, batch=64) == pytest.approx(8.0388e-5, rel=0.001)


def test_r11_ml_energy_rows_are_fitted():
    errors = held_out.in_sample()
    assert len(errors) == 515
    assert errors.rms <= 1.35
    assert errors.within_x2 >= 0.95


def test_r12_measured_cached_share_lies_in_the_range():
    shares = fit_prefill().cached_share_by_model
    cached = build_form()["prefill"]["cached_share"]
    assert shares["Qwen3-32B (GQA)"] == pytest.approx(0.143, abs=0.0005)
    assert 0.02 <= shares["Qwen3-32B (GQA)"] <= 0.37
    assert cached["low"] <= shares["Qwen3-32B (GQA)"] <= cached["high"]


def test_r13_deepseek_r1_on_eight_h200_lies_in_the_benchmarked_band():
    rows = [
        row
        for row in read_table("published_energy")
        if row["source"] == "muxup-inferencex"
        and row["hardware"] == "8x H200 trt dp_attn"
        and row["input_tokens"] == "8192"
    ]
    assert [float(row["energy_wh"]) for row in rows] == [3.32]
    predicted = held_out.facility_wh_of_run(rows[0], held_out.form_with_all_gpus())
    band = 1.5**Z90
    assert predicted / band <= 3.32 <= predicted * band


def test_r14_the_closed_tier_holds_altman_google_and_epoch():
    found = {anchor.row_id: anchor for anchor in anchors(Edition.load())}
    assert found["epoch/0001"].published_wh == 0.3
    assert found.keys() == {"altman/0001", "google-2508.15734/0001", "epoch/0001"}
    for anchor in found.values():
        assert anchor.estimated_wh / anchor.band <= anchor.published_wh <= anchor.estimated_wh * anchor.band


def test_the_closed_tier_is_within_half_of_altman_google_and_epoch():
    published_wh = {"altman/0001": 0.34, "google-2508.15734/0001": 0.24, "epoch/0001": 0.2949}
    for anchor in anchors(Edition.load()):
        factor = anchor.estimated_wh / published_wh[anchor.row_id]
        assert abs(math.log(factor)) <= math.log(1.5), anchor
