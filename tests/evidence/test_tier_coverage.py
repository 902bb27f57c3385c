"""The 90 % band of each tier holds 85 to 95 % of measurements it has not seen."""

import math

import pytest

from evidence.validation import __main__ as validation
from evidence.validation import coverage, held_out
from evidence.validation.ecologits import compare

TIERS = {tier.tier: tier for tier in coverage.all_tiers()}


@pytest.mark.parametrize("name", ["benchmarked", "open_measured", "open", "closed"])
def test_the_90_percent_band_covers_85_to_95_percent_of_held_out_cells(name):
    tier = TIERS[name]
    print(f"{name}: {tier.coverage:.1%} of {tier.cells} cells lie within x {tier.band:.2f}")
    assert 0.85 <= tier.coverage <= 0.95


def test_less_knowledge_never_has_a_narrower_band():
    widths = [TIERS[name].band for name in ("benchmarked", "open_measured", "open", "closed")]
    assert widths == sorted(widths)


def test_the_cells_are_the_ones_stated():
    assert {name: tier.cells for name, tier in TIERS.items()} == {
        "benchmarked": 515,
        "open_measured": 380,
        "open": 547,
        "closed": 547,
    }


@pytest.mark.parametrize(
    ("errors", "rms", "bias", "within_x2"),
    [
        (held_out.leave_one_model_out, 1.40, 0.99, 0.96),
        (held_out.leave_one_gpu_out, 1.41, 1.02, 0.95),
        (held_out.leave_one_task_out, 1.46, 1.17, 0.94),
    ],
)
def test_errors_on_what_is_left_out_agree_with_an_independent_fit(errors, rms, bias, within_x2):
    found = errors()
    assert len(found) == 515
    assert found.rms == pytest.approx(rms, abs=0.02)
    assert found.bias == pytest.approx(bias, abs=0.03)
    assert found.within_x2 == pytest.approx(within_x2, abs=0.015)


@pytest.mark.parametrize(
    ("gpu", "rows", "rms", "bias"), [("H100", 105, 1.78, 0.60), ("A100", 86, 1.36, 0.87)]
)
def test_errors_on_the_source_that_is_left_out_agree_with_an_independent_fit(gpu, rows, rms, bias):
    found = held_out.older_software(gpu)
    assert len(found) == rows
    assert found.rms == pytest.approx(rms, abs=0.05)
    assert found.bias == pytest.approx(bias, abs=0.03)


def test_long_prompts_of_a_source_that_is_not_in_the_fit_are_met():
    found = held_out.provisioned_runs()
    assert len(found) == 27
    assert found.rms <= 1.66


def test_ecologits_errors_are_those_published_beside_its_figures():
    found = compare()
    for row, log_ratio in zip(found.rows, found.ecologits.log_ratio, strict=True):
        published = math.log(float(row["ratio_ecologits_to_measured"]))
        assert log_ratio == pytest.approx(published, abs=3e-3)
    assert found.ecologits.within_x2 == pytest.approx(21 / 26)


def test_the_generated_tables_are_those_of_this_evidence(tmp_path):
    validation.main(tmp_path)
    for path in sorted(tmp_path.iterdir()):
        committed = validation.GENERATED_FOLDER / path.name
        assert path.read_text(encoding="utf-8") == committed.read_text(encoding="utf-8"), (
            f"docs/generated/{path.name} is stale: run `python -m evidence.validation`"
        )
