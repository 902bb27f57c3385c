"""What the calls of a file support of the 23 columns, and `wattspan disclose --can` on real captures."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from wattspan.calls import CallBatch
from wattspan.cli import disclose
from wattspan.disclosure.inventory import Inventory
from wattspan.disclosure.support import Support, supported
from wattspan.estimator import Estimator
from wattspan.grid import Kind, MixedKindsError
from wattspan.methodology import Edition

CAPTURE = Path(__file__).parents[1] / "captures" / "otel_genai_openai.binpb"

app = typer.Typer()
app.command()(disclose.disclose)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def inventory(calls: CallBatch, estimator: Estimator | None = None) -> Inventory:
    estimator = estimator or Estimator()
    found = Inventory(estimator.edition)
    found.add(calls, estimator.estimate(calls))
    return found


def three_calls() -> CallBatch:
    """One modelled, one without usage, one failed; 1 July and 2 July 2026."""
    starts = np.array([1_782_864_000, 1_782_950_400, 1_782_950_400], dtype=np.int64) * 10**9
    return CallBatch.of(
        3,
        model="gpt-4o",
        span_region="us-east-1",
        input_tokens=[1000, 0, 0],
        output_tokens=[300, 0, 0],
        has_usage=[True, False, False],
        is_error=[False, False, True],
        start_unix_ns=starts,
    )


def test_there_are_23_columns_in_their_order() -> None:
    columns = supported(inventory(three_calls()))
    assert [column.number for column in columns] == list(range(1, 24))
    assert [column.title for column in columns[6:10]] == [
        "Electricity",
        "GHG, location-based",
        "95 % interval, low",
        "95 % interval, high",
    ]


def test_columns_hold_what_the_calls_amount_to() -> None:
    found = inventory(three_calls())
    assert (found.calls, found.failed, found.with_figure) == (3, 1, 1)
    assert found.coverage == 0.5
    estimate = Estimator().estimate_call(
        model="gpt-4o", input_tokens=1000, output_tokens=300, region="us-east-1", at="2026-07-01"
    )
    assert found.energy_kwh == pytest.approx(estimate.energy_kwh, rel=1e-12)
    assert found.co2e_g == pytest.approx(estimate.co2e_g, rel=1e-12)
    assert found.embodied_g == pytest.approx(estimate.embodied_g, rel=1e-12)
    # The 95 % band is the 90 % one to the power 1.96 / 1.64.
    wider = (estimate.co2e_g_high / estimate.co2e_g) ** (1.96 / 1.64)
    assert found.band95().high == pytest.approx(estimate.co2e_g * wider, rel=1e-9)
    columns = {column.number: column for column in supported(found)}
    assert columns[4].there == "calls from 2026-07-01 to 2026-07-02 (UTC)"
    assert columns[5].there == "3 calls, 1 failed; 50.0% of the rest have a figure"
    assert columns[6].there == "1 models; regions known by span 100%"
    assert columns[18].there == "modelled 100%"


def test_what_nobody_has_is_not_available_and_never_a_number() -> None:
    columns = {column.number: column for column in supported(inventory(three_calls()))}
    for number in (11, 14):
        assert (columns[number].support, columns[number].there) == (Support.NOT_AVAILABLE, "")
        assert columns[number].missing


def test_every_column_that_is_not_supported_says_what_is_missing() -> None:
    for column in supported(inventory(three_calls())):
        assert (column.support is Support.YES) == (not column.missing), column


def test_unknown_models_and_missing_water_are_told() -> None:
    calls = CallBatch.of(
        2, model=["gpt-4o", "our-own-model"], input_tokens=1000, output_tokens=300, span_region="us-east-1"
    )
    columns = {column.number: column for column in supported(inventory(calls))}
    assert columns[6].support is Support.PARTLY
    assert columns[6].missing.endswith("% of the carbon are unknown")


def test_nothing_at_all_is_an_empty_table_and_no_error() -> None:
    found = Inventory(Edition.load())
    columns = {column.number: column for column in supported(found)}
    assert columns[4].there == "calls without a time"
    assert columns[18].there == "no carbon"
    assert found.coverage == 0.0


def test_calls_of_another_kind_are_not_added() -> None:
    found = inventory(three_calls())
    with pytest.raises(MixedKindsError, match="average lifecycle and average direct"):
        found.add(three_calls(), Estimator(factor_type="direct").estimate(three_calls()))
    assert found.kinds == {Kind("average", "lifecycle")}


def test_command_prints_the_table_and_the_reasons() -> None:
    result = run(CAPTURE, "--can", "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert len(found["columns"]) == 23
    assert found["columns"][4]["there"] == "10 calls, 1 failed; 88.9% of the rest have a figure"
    assert found["columns"][6]["there"] == "0.000511786 kWh in all, at the facility boundary"
    assert [refusal["reason"] for refusal in found["refusals"]] == [
        "low-coverage",
        "unmapped-features",
        "open-period",
    ]
    table = " ".join(run(CAPTURE, "--can").output.split())
    assert "refused, open-period: the period is open" in table


def test_marginal_configuration_is_refused_by_name(tmp_path: Path) -> None:
    """A file of one's own with marginal hours: real figures, and no disclosure of them."""
    own = tmp_path / "moer.csv"
    own.write_text("zone,time,value\nUS-MIDA-PJM,2026-07-01T00:00Z,600\n", encoding="utf-8")
    config = tmp_path / "wattspan.yaml"
    config.write_text(
        f"grid:\n  signal: marginal\n  factor_type: direct\n  cache: {tmp_path / 'grid.sqlite'}\n"
        f"  live: {{feed: file, path: {own}, signal: marginal, factor_type: direct}}\n",
        encoding="utf-8",
    )
    from tests.decisions.decision_spans import chat, message

    call = chat(1)
    call.start_time_unix_nano = 1_782_864_000 * 10**9
    call.end_time_unix_nano = call.start_time_unix_nano + 10**9
    spans = tmp_path / "spans.binpb"
    spans.write_bytes(message([call]))
    result = run(spans, "--can", "--json", "--config", config)
    found = json.loads(result.stdout)
    assert result.exit_code == 1
    assert found["refusals"][0]["reason"] == "marginal"
    assert "marginal direct" in found["refusals"][0]["found"]


def test_without_can_nothing_is_published_and_files_must_be_there(tmp_path: Path) -> None:
    result = run(CAPTURE)
    said = " ".join(result.output.split())
    assert (result.exit_code, "give --lake and --period, or FILEs with --can" in said) == (2, True)
    assert run(tmp_path / "none.binpb", "--can").exit_code == 2
    assert run(os.devnull, "--can").exit_code == 1
