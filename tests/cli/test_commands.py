"""The commands as a user runs them: in a process of their own where exit status matters."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from wattspan.cli.main import app

runner = CliRunner()


def run(*arguments):
    return runner.invoke(app, [str(argument) for argument in arguments])


def run_json(*arguments):
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_estimate_prints_what_a_program_needs():
    found = run_json(
        "estimate", "--model", "gpt-4o-2024-08-06", "--output-tokens", 300, "--region", "eu-west-3",
        "--provider", "aws.bedrock", "--at", "2025-06-01",
    )  # fmt: skip
    assert found["model_resolved"] == "openai/gpt-4o"
    assert found["tier"] == "closed"
    assert found["region"] == "aws/eu-west-3"
    assert found["grid"]["zone"] == "FR"
    assert found["grid"]["vintage"] == 2025
    assert found["co2e_g"] == pytest.approx(found["energy_kwh"] * 31)  # France 2025: 31 g/kWh
    assert found["energy_kwh_low"] < found["energy_kwh"] < found["energy_kwh_high"]


def test_estimate_says_null_where_the_model_is_unknown():
    found = run_json("estimate", "--model", "gpt-4o-prod-eu", "--output-tokens", 300)
    assert found["model_resolved"] is None
    assert found["tier"] == "unknown"
    assert found["basis"] == "modelled"


def test_estimate_without_tokens_has_no_figure_and_says_what_to_do():
    found = run_json("estimate", "--model", "gpt-4o")
    assert found["basis"] == "no_usage"
    assert found["energy_kwh"] is None
    text = " ".join(run("estimate", "--model", "gpt-4o").stdout.split())
    assert "no figure: give --input-tokens or --output-tokens" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--at", "yesterday"], "--at 'yesterday' is not a time"),
        (["--edition", "1999.01"], "there is no edition '1999.01'; installed editions: 2026.11"),
        (["--factor-type", "marginal"], "factor_type is 'marginal'; allowed: lifecycle, direct"),
        (["--input-tokens", "10", "--cached-input-tokens", "11"], "cached_input_tokens"),
    ],
)
def test_a_wrong_option_is_refused_with_what_is_allowed(arguments, message):
    result = run("estimate", "--model", "gpt-4o", "--output-tokens", 5, *arguments)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())


def test_models_show_tells_an_auditor_what_a_number_is_made_of():
    text = " ".join(run("models", "show", "gpt-4o").stdout.split())
    for expected in (
        "closed model, size guessed by third parties",
        "44–132 of 440 B",  # EcoLogits 0.11.3
        "EcoLogits",
        "MPL-2.0",
        "×/÷ 6.1, made of",
        "method",
        "narrower",
    ):
        assert expected in text


def test_models_show_as_json_has_every_coefficient_and_source():
    found = run_json("models", "show", "meta-llama/Llama-3.3-70B-Instruct")
    assert found["id"] == "meta/llama-3.3-70b"
    assert found["tier"] == "open_measured"
    assert found["total_b"] == [70.6, 70.6]
    assert len(found["evidence"]) == 15
    assert {source["checked"] for source in found["sources"]} == {"2026-11-23"}
    assert found["spread"][0]["key"] == "method"


def test_an_unknown_model_is_said_to_be_unknown_with_near_ids_that_exist():
    result = run("models", "show", "gpt-4o-prod-eu")
    assert result.exit_code == 1
    text = " ".join(result.stderr.split())
    assert "does not know the model 'gpt-4o-prod-eu'; did you mean openai/gpt-4o" in text


def test_models_list_can_be_searched_and_filtered():
    found = run_json("models", "list", "llama-3.1", "--tier", "open_measured")
    assert {row["id"] for row in found} == {"meta/llama-3.1-8b", "meta/llama-3.1-70b", "meta/llama-3.1-405b"}
    assert run("models", "list", "no-such-model").exit_code == 1
    assert run("models", "list", "--tier", "certain").exit_code == 2


def test_there_are_at_least_150_production_models():
    assert len(run_json("models", "list")) >= 150


def test_editions_are_listed_shown_and_verified():
    (listed,) = run_json("edition", "list")
    assert listed["edition"] == "2026.11"
    assert run_json("edition", "verify") == {
        "edition": "2026.11",
        "digest": listed["digest"],
        "problems": [],
    }
    assert run_json("edition", "show")["digest"] == listed["digest"]
    assert "prefill" in run("edition", "show").stdout
    assert run("edition", "verify", "1999.01").exit_code == 2


def test_regions_have_zone_and_other_zone_coordinates_overhead_and_carbon_free_share():
    (dalles,) = run_json("regions", "gcp/us-west1")
    assert (dalles["zone"], dalles["other_zone"], dalles["country"]) == ("US-NW-BPAT", "US-NW-PACW", "US")
    assert (dalles["latitude"], dalles["longitude"]) == (45.59, -121.18)
    assert (dalles["pue"], dalles["cfe_percent"], dalles["g_per_kwh"]) == (1.07, 87.0, 129.0)
    # The other zone, PacifiCorp West at 204 g/kWh, is inside the band.
    assert dalles["g_per_kwh_low"] < 129.0 < 204.0 < dalles["g_per_kwh_high"]
    table = run("regions", "us-west1").stdout
    assert "gcp/us-west1 " in table


def test_regions_are_searched_by_place_zone_or_name():
    found = run_json("regions", "paris")
    assert ("aws", "eu-west-3", "FR", 31.0) in {
        (row["cloud"], row["region"], row["zone"], row["g_per_kwh"]) for row in found
    }
    assert len(run_json("regions")) == 302
    # The other candidate of a disputed zone is found too.
    assert "aws/us-west-2" in {f"{row['cloud']}/{row['region']}" for row in run_json("regions", "US-NW-BPAT")}
    assert run("regions", "atlantis").exit_code == 1


def test_doctor_says_which_wire_kernel_runs_and_that_the_edition_is_whole():
    found = run_json("doctor")
    assert found["faults"] == []
    assert found["found"]["wire kernel"] in {"cython", "opentelemetry-proto"}
    assert "whole" in found["found"]["edition 2026.11"]


def test_a_reader_that_leaves_early_is_no_fault():
    command = f"{sys.executable} -c 'from wattspan.cli.main import run; run()' models list --json | head -1"
    result = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert result.stdout.startswith("[")
    assert "Traceback" not in result.stderr


def test_importing_wattspan_does_not_load_numpy():
    code = "import sys, wattspan; sys.exit('numpy' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
