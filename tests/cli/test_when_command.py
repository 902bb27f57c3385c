import json
from pathlib import Path

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from wattspan.cli import when

NOW = "2026-11-23T00:00Z"
BATCH = ("--model", "gpt-4o", "--calls", "1000", "--input-tokens", "1000", "--output-tokens", "300")
CALIFORNIA = (*BATCH, "--region", "us-west-1", "--duration", "4h", "--deadline", "24h", "--now", NOW)

app = typer.Typer()
app.command("when")(when.when)
app.command("wait")(when.wait)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def said(result: Result) -> str:
    return " ".join(result.output.split())


def test_the_table_has_best_now_worst_and_what_is_saved():
    result = run("when", *CALIFORNIA)
    assert result.exit_code == 0, result.output
    text = said(result)
    # 208 g/kWh x means of four hours' factors: 0.7929, 1.2575, 1.3422
    assert "best │ Mon 23 Nov 18:00 UTC │ us-west-1 │ 165 │" in text
    assert "now │ Mon 23 Nov 00:00 UTC │ us-west-1 │ 262 │" in text
    assert "worst │ Mon 23 Nov 08:00 UTC │ us-west-1 │ 279 │" in text
    assert "against starting now saves 36.9% (90 %: -13.2% to 64.9%)" in text
    assert "decided by average, lifecycle: typical-hour of Electricity Maps 2025" in text
    assert "the batch takes 335 Wh, tier closed" in text


def test_an_unknown_model_shows_its_tier():
    assert ", tier unknown" in said(run("when", *CALIFORNIA, "--model", "foo-bar"))


def test_json_has_the_same_and_a_moment_as_the_deadline():
    result = run("when", *CALIFORNIA[:-3], "2026-11-24T01:00+01:00", "--now", NOW, "--json")
    found = json.loads(result.stdout)
    assert (found["best"]["start"], found["best"]["end"]) == ("2026-11-23T18:00Z", "2026-11-23T22:00Z")
    assert found["saving_against_now"]["central"] == pytest.approx(1 - 3.1716 / 5.0301, rel=1e-9)
    assert found["saving_against_worst"]["central"] == pytest.approx(1 - 3.1716 / 5.3687, rel=1e-9)
    assert (found["signal"], found["factor_type"]) == ("average", "lifecycle")
    assert found["outlooks"] == [
        {"region": "us-west-1", "resolution": "typical-hour", "source": "Electricity Maps 2025"}
    ]


def test_several_regions_each_with_their_best_start():
    text = said(run("when", *CALIFORNIA, "--region", "eu-west-3"))
    # France, 31 g/kWh, is lowest from 1 to 5 h UTC: 1.1371, 1.1015, 1.0811, 1.1137
    assert "best │ Mon 23 Nov 01:00 UTC │ eu-west-3 │ 34.4 │" in text
    assert "best in us-west-1 │ Mon 23 Nov 18:00 UTC │" in text


@pytest.fixture
def forecast(tmp_path: Path) -> Path:
    path = tmp_path / "moer.csv"
    hours = "\n".join(
        f"US-CAL-CISO,2026-11-23T{hour:02d}:00Z,{300 if hour == 5 else 500}" for hour in range(24)
    )
    path.write_text(f"zone,start,g_per_kwh\n{hours}\n")
    return path


def test_a_marginal_forecast_of_the_users_own_decides(forecast):
    own = ("--forecast", forecast, "--forecast-kind", "marginal-direct")
    text = said(run("when", *CALIFORNIA, *own))
    assert "best │ Mon 23 Nov 02:00 UTC │" in text
    assert "saves 10.0% (band not known: give --forecast-g)" in text
    assert "decided by marginal, direct: forecast of moer.csv" in text
    assert "no typical hours" not in text
    assert "(90 %: " in said(run("when", *CALIFORNIA, *own, "--forecast-g", "1.2"))


def test_a_forecast_that_does_not_reach_is_not_used_and_that_is_said(forecast):
    own = ("--forecast", forecast, "--forecast-kind", "marginal-direct")
    text = said(run("when", *CALIFORNIA[:-3], "30h", "--now", NOW, *own))
    assert "decided by average, lifecycle: typical-hour" in text
    assert "not used marginal direct: moer.csv has nothing for US-CAL-CISO at 2026-11-24T00:00Z" in text


def test_places_without_typical_hours_say_that_only_regions_are_compared():
    europe = ("--region", "eu", "--duration", "4h", "--deadline", "24h", "--now", NOW)
    assert "these places have no typical hours: only regions are compared" in said(
        run("when", *BATCH, *europe)
    )
    assert "no typical hours" not in said(run("when", *CALIFORNIA, "--region", "eu"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((*CALIFORNIA, "--region", "us-wst-1"), "there is no region 'us-wst-1'; did you mean us-west-1"),
        ((*CALIFORNIA, "--duration", "4"), "--duration is '4'; write days, hours and minutes as 2d, 4h"),
        ((*CALIFORNIA, "--duration", "25h"), "the deadline is 86400 s away and the batch takes 90000 s"),
        ((*CALIFORNIA, "--deadline", "soon"), "--deadline 'soon' is not a time"),
        ((*CALIFORNIA, "--now", "noon"), "--now 'noon' is not a time"),
        ((*CALIFORNIA, "--forecast-g", "1.2"), "describe a --forecast; give one"),
        ((*CALIFORNIA, "--forecast", "x.csv"), "--forecast-kind is missing"),
        (
            (*CALIFORNIA, "--forecast", "x.csv", "--forecast-kind", "marginal"),
            "kind of the forecast is 'marginal'",
        ),
        (
            (*CALIFORNIA, "--forecast", "x.csv", "--forecast-kind", "marginal-direct", "--forecast-g", "0.9"),
            "--forecast-g is 0.9; a geometric spread is above 1",
        ),
        (("--region", "eu", "--model", "gpt-4o", "--duration", "1h", "--deadline", "2h"), "uses no energy"),
    ],
)
def test_wrong_usage_is_explained_with_status_two(arguments, message):
    result = run("when", *arguments)
    assert result.exit_code == 2
    assert message in said(result)


@pytest.mark.parametrize(("now", "status", "seconds"), [("12:20", 75, "20400"), ("18:00", 0, "0")])
def test_check_answers_schedulers_without_sleeping(now, status, seconds):
    """18 h is the first hour of California's four best; within six hours of 12:20 it is 5 h 40 min away."""
    result = run(
        "wait", "--region", "us-west-1", "--until-clean", "--max", "6h", "--duration", "4h", "--check",
        "--now", f"2026-11-23T{now}Z",
    )  # fmt: skip
    assert (result.exit_code, result.stdout.strip()) == (status, seconds)


def test_what_is_hardly_better_is_not_waited_for():
    # from 18 h on the four hours' factors are 3.1716, an hour earlier 3.1987: 0.85 % more
    common = ("wait", "--region", "us-west-1", "--duration", "4h", "--check", "--now", "2026-11-23T17:00Z")
    assert run(*common).exit_code == 0
    assert run(*common, "--within", "0.008").exit_code == 75


def test_waiting_sleeps_until_the_best_start_and_a_suspended_machine_wakes_in_time(monkeypatch):
    clock, naps = [1_000_000.0], []

    def nap(duration_s: float) -> None:
        naps.append(duration_s)
        clock[0] += duration_s + (7200 if len(naps) == 3 else 0)

    monkeypatch.setattr(when.time, "time", lambda: clock[0])
    monkeypatch.setattr(when.time, "sleep", nap)
    result = run(
        "wait", "--region", "us-west-1", "--duration", "4h", "--now", "2026-11-23T15:30Z", "--max", "6h"
    )
    assert result.exit_code == 0
    assert "waiting 2 h 30 min, until Mon 23 Nov 18:00 UTC: saves" in said(result)
    # 9,000 s: three naps of a minute, two hours of suspension, and the 27 minutes that are left
    assert sum(naps) == 9000 - 7200
    assert set(naps) == {60.0}


def test_with_nothing_to_wait_for_it_returns_at_once(monkeypatch):
    monkeypatch.setattr(when.time, "sleep", lambda _: pytest.fail("slept"))
    result = run("wait", "--region", "us-west-1", "--duration", "4h", "--now", "2026-11-23T18:00Z")
    assert (result.exit_code, result.output) == (0, "")


def test_wait_as_json():
    found = json.loads(run("wait", "--region", "us-west-1", "--check", "--json", "--now", NOW).stdout)
    assert found["seconds_to_wait"] == 0
    assert found["best"]["place"] == "aws/us-west-1"
