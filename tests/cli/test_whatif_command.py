import json
from pathlib import Path

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from wattspan.cli import explain, whatif

CAPTURE = Path(__file__).parents[1] / "captures" / "otel_genai_openai.binpb"

app = typer.Typer()
app.command("whatif")(whatif.whatif)
app.command("explain")(explain.explain_span)


def run(*arguments: str | Path, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(app, ["whatif", *map(str, arguments)], input=stdin)


def said(result: Result) -> str:
    return " ".join(result.output.split())


def test_the_table_has_both_sides_and_the_ratio_with_its_own_band():
    result = run(CAPTURE, "--reasoning-factor", "0.5")
    assert result.exit_code == 0, result.output
    text = said(result)
    assert "energy │ 512 mWh │ 371 mWh │ × 0.725 │ × 0.67 to × 0.83 │" in text
    assert "6 of 8 calls with a figure change" in text
    assert "1 stay as they are: they go to another kind of model" in text
    assert "1 have no reasoning tokens to take away" in text


def test_another_region_as_json():
    """All calls are in Azure's mix (PUE 1.17, 349.55 g/kWh); Paris has 1.11 and 31."""
    found = json.loads(run(CAPTURE, "--region", "eu-west-3", "--json").stdout)
    assert found["energy_kwh"]["ratio"]["central"] == pytest.approx(1.11 / 1.17, rel=1e-9)
    assert found["co2e_g"]["ratio"]["central"] == pytest.approx(1.11 * 31 / (1.17 * 349.551724), rel=1e-6)
    assert (found["calls"], found["moved_calls"], found["edition"]) == (8, 8, "2026.11")


def test_an_unknown_model_is_refused_with_the_nearest_ids():
    result = run(CAPTURE, "--model", "gpt-5-minu")
    assert result.exit_code == 1
    assert "does not know the model 'gpt-5-minu'; did you mean openai/gpt-5-mini" in said(result)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((CAPTURE,), "nothing is changed: give a model, region, cached share or reasoning factor"),
        ((CAPTURE, "--cached-share", "2"), "the cached share is 2; allowed: 0 to 1"),
        ((CAPTURE, "--region", "eu-wst-3"), "there is no region 'eu-wst-3'; did you mean eu-west-3"),
        (("none.binpb", "--region", "eu-west-3"), "none.binpb cannot be read"),
        ((CAPTURE, "--region", "eu-west-3", "--edition", "1999.01"), "1999.01"),
    ],
)
def test_wrong_usage_is_explained_with_status_two(arguments, message):
    result = run(*arguments)
    assert result.exit_code == 2
    assert message in said(result)


def test_bad_input_is_compared_as_far_as_it_goes_and_the_status_says_so():
    data = CAPTURE.read_bytes()
    result = run("-", "--region", "eu-west-3", stdin=data + data[: len(data) // 2])
    assert result.exit_code == 1
    assert "8 of 8 calls with a figure change" in said(result)
    assert "1 problems, the first: standard input" in said(result)


def test_a_file_without_calls_has_nothing_to_compare():
    result = run("-", "--region", "eu-west-3", stdin=b'{"resourceSpans":[]}')
    assert (result.exit_code, said(result)) == (
        0, "no call with a figure: there is nothing to compare",
    )  # fmt: skip
