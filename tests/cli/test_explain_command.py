import json
from pathlib import Path

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from wattspan.cli import explain, when

CAPTURES = Path(__file__).parents[1] / "captures"
CAPTURE = CAPTURES / "otel_genai_openai.binpb"
SPAN = "ba97db5779ec5053"
TRACE = "e2eb0b1d949b5d1aa9991b503a347b0e"

app = typer.Typer()
app.command("explain")(explain.explain_span)
app.command("when")(when.when)


def run(*arguments: str | Path, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(app, ["explain", *map(str, arguments)], input=stdin)


def said(result: Result) -> str:
    return " ".join(result.output.split())


def test_the_chain_from_tokens_to_grams():
    result = run(CAPTURE, "--trace", TRACE, "--span", SPAN)
    assert result.exit_code == 0, result.output
    text = said(result)
    assert "+ fresh input 7.20 J 163 tokens × 0.0442 J" in text
    assert "+ cached input 4.53 J 1,024 tokens × 0.00442 J" in text
    assert "+ output 123 J 412 tokens, 256 of them reasoning × 0.2979" in text
    assert "× host 1.35" in text
    assert "× idle machines 1.10" in text
    assert "× kWh per J 1/3.6e6 definition" in text
    assert "= energy 64.9 mWh" in text
    assert "= carbon 22.7 mgCO2e" in text
    assert "90 % band of the energy: 11–390 mWh" in text
    assert "openai/gpt-5-mini, tier closed, edition 2026.11" in text


def test_json_has_every_step_and_shares_that_add_up():
    found = json.loads(run(CAPTURE, "--span", SPAN, "--json").stdout)
    assert (found["trace_id"], found["span_id"], found["role"]) == (TRACE, SPAN, "call")
    assert sum(step["band_share"] for step in found["steps"]) == pytest.approx(1)
    by_name = {step["name"]: step for step in found["steps"]}
    grams = 1.0
    for name in ("accelerator", "host", "idle machines", "PUE", "kWh per J", "intensity"):
        grams *= by_name[name]["value"]
    assert grams == pytest.approx(found["co2e_g"]["central"], rel=1e-12)
    assert by_name["PUE"]["spread"] == {"facility:azure": pytest.approx(1.25)}


def test_a_call_that_failed_and_one_that_is_a_copy():
    assert "failed: the call ended in an error before it used tokens" in said(
        run(CAPTURES / "anthropic_sdk_native.binpb", "--span", failed_span("anthropic_sdk_native"))
    )
    found = json.loads(run(CAPTURES / "litellm.binpb", "--span", copy_span(), "--json").stdout)
    assert (found["basis"], found["steps"]) == ("duplicate", [])
    owner = json.loads(run(CAPTURES / "litellm.binpb", "--span", found["owner_span_id"], "--json").stdout)
    assert owner["role"] == "call"


def test_standard_input_and_the_options_of_enrich():
    result = run("-", "--span", SPAN, "--resolution", "typical-hour", "--factor-type", "direct",
                 "--json", stdin=CAPTURE.read_bytes())  # fmt: skip
    assert result.exit_code == 0
    assert "average direct" in json.loads(result.stdout)["steps"][-1]["source"]


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ((CAPTURE, "--span", "1"), 1, "has no span 1"),
        ((CAPTURE, "--span", SPAN, "--trace", "1"), 1, f"has no span {SPAN} of trace 1"),
        ((CAPTURE, "--span", "zz"), 2, "ids are 16 and 32 hexadecimal digits"),
        (("none.binpb", "--span", SPAN), 2, "none.binpb cannot be read"),
        ((CAPTURE, "--span", SPAN, "--edition", "1999.01"), 2, "1999.01"),
    ],
)
def test_what_cannot_be_explained_is_said(arguments, status, message):
    result = run(*arguments)
    assert result.exit_code == status
    assert message in said(result)


def failed_span(name: str) -> str:
    return _span_with_basis(name, "failed")


def copy_span() -> str:
    return _span_with_basis("litellm", "duplicate")


def _span_with_basis(name: str, basis: str) -> str:
    from wattspan import Estimator
    from wattspan.otlp.enrich import Enricher

    (window,) = Enricher(Estimator()).protobuf([(CAPTURES / f"{name}.binpb").read_bytes()])
    if basis == "duplicate":
        reading = int(window.duplicates[0])
    else:
        reading = int(window.owners[window.estimates.basis.texts().index(basis)])
    return f"{int(window.table.span_id[window.reading.rows[reading]]):016x}"
