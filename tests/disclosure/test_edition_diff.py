"""`wattspan edition diff`: every value that differs, and what that does to the calls of a lake."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.disclosure import second_edition
from tests.disclosure.second_edition import FIRST, SECOND
from tests.disclosure.test_restating import rows
from wattspan.cli.main import app
from wattspan.disclosure.figure import reckon
from wattspan.estimator import Estimator
from wattspan.methodology import Edition
from wattspan.methodology.diff import Difference, differences, models_of


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["edition", "diff", *arguments])


def add_and_remove_a_model(folder: Path) -> None:
    path = folder / "models.json"
    content = json.loads(path.read_text())
    model = next(row for row in content["models"] if row["id"] == "01-ai/yi-9b")
    content["models"].remove(model)
    content["models"].append({**model, "id": "01-ai/yi-10b", "names": ["yi-10b"]})
    changed = next(row for row in content["models"] if row["id"] == "meta/llama-3.1-8b")
    changed["entries"][0]["architecture"]["total_b"] = [9.0, 9.0]
    path.write_text(json.dumps(content))


@pytest.fixture
def second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Edition:
    made = second_edition.made(
        tmp_path / "editions",
        second_edition.coefficients(0.8),
        second_edition.pue("1.31"),
        second_edition.grid(1.1),
        add_and_remove_a_model,
    )
    second_edition.install(monkeypatch, tmp_path / "editions")
    return made


def test_an_edition_does_not_differ_from_itself() -> None:
    assert differences(Edition.load(), Edition.load()) == ()
    assert "0 values differ" in run(FIRST, FIRST).output


def test_each_value_that_differs_is_told_old_and_new(second: Edition) -> None:
    first = Edition.load()
    found = {one.path: one for one in differences(first, second)}
    active = found["form.json / decode / active_j_per_b / value"]
    old = first.read_json("form.json")["decode"]["active_j_per_b"]["value"]
    assert (active.topic, active.change) == ("coefficients", "changed")
    assert (float(active.old), float(active.new)) == (old, old * 0.8)
    assert active.percent == pytest.approx(-20)
    assert found["facilities.csv / aws / pue"] == Difference(
        "PUE and water", "facilities.csv / aws / pue", "1.14", "1.31"
    )
    # Electricity Maps, United Arab Emirates 2021: 447 g/kWh
    assert found["odbl/yearly.csv / AE / 2021"][2:] == ("447", str(447 * 1.1))
    assert models_of(first, second) == (["01-ai/yi-10b"], ["01-ai/yi-9b"])
    total = "models.json / models / meta/llama-3.1-8b / entries / 2024-07-23 / architecture / total_b"
    assert [(one.topic, one.new) for path, one in found.items() if path == total] == [("models", "9.0, 9.0")]
    gone = found["models.json / models / 01-ai/yi-9b / tier"]
    assert (gone.change, gone.old, gone.new, gone.percent) == ("removed", "open", "", None)
    assert {one.topic for one in found.values()} == {
        "models", "names", "coefficients", "PUE and water", "grid", "provenance",
    }  # fmt: skip


def test_every_byte_of_data_that_differs_is_among_the_values(second: Edition) -> None:
    files = {one.path.partition(" / ")[0] for one in differences(Edition.load(), second)}
    old, new = (
        {path: digest for part in e.manifest["parts"].values() for path, digest in part["files"].items()}
        for e in (Edition.load(), second)
    )
    assert files == {path for path in old if old[path] != new[path]}


def test_a_call_of_a_known_size_is_told_under_both(second: Edition) -> None:
    told = json.loads(run(FIRST, SECOND, "--json").output)
    (gpt,) = (one for one in told["reference_calls"] if one["model"] == "openai/gpt-4o")
    for edition, wh, grams in (
        (Edition.load(), gpt["old_wh"], gpt["old_g"]),
        (second, gpt["new_wh"], gpt["new_g"]),
    ):
        call = Estimator(edition).estimate_call(
            model="openai/gpt-4o", provider="openai", input_tokens=1000, output_tokens=300
        )
        assert (wh, grams) == (call.energy_kwh * 1000, call.co2e_g)
    assert told["models_added"] == ["01-ai/yi-10b"]


@pytest.mark.parametrize("made_by", [FIRST, SECOND])
def test_what_it_does_to_a_lake_is_what_the_estimators_make_of_its_calls(
    tmp_path: Path, second: Edition, made_by: str
) -> None:
    folders = {FIRST: Estimator(), SECOND: Estimator(second)}
    figures = {
        name: reckon(rows(tmp_path / name, estimator), "summary") for name, estimator in folders.items()
    }
    told = run(FIRST, SECOND, "--lake", str(tmp_path / made_by), "--period", "2026Q3", "--json")
    assert told.exit_code == 0, told.output
    whole, *parts = json.loads(told.output)["lake"]
    for side, name in (("old", FIRST), ("new", SECOND)):
        figure = figures[name]
        assert float(whole[side]["energy_kwh"]) == pytest.approx(float(figure.energy_kwh), rel=1e-14)
        assert float(whole[side]["co2e_kg"]) == pytest.approx(float(figure.co2e_kg), rel=1e-14)
        assert float(whole[side]["co2e_kg_high95"]) == pytest.approx(float(figure.band.high), rel=1e-12)
        assert sum(float(p[side]["co2e_kg"]) for p in parts) == pytest.approx(
            float(figure.co2e_kg), rel=1e-12
        )
    assert {part["feature"] for part in parts} == {"summary"}
    assert "unknown" in {part["model"] for part in parts}
    # energy that the span reported is no edition's, and its hardware is: nothing stays as declared
    assert float(whole["as_declared_kg"]) == 0
    printed = run(FIRST, SECOND, "--lake", str(tmp_path / made_by)).output
    assert "of it is as the lake has it" in " ".join(printed.split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((FIRST, "1999.01"), "there is no edition '1999.01'"),
        ((FIRST, FIRST, "--period", "2026Q3"), "give --lake"),
        ((FIRST, FIRST, "--lake", "nowhere"), "is no lake"),
    ],
)
def test_what_cannot_be_compared_is_told_in_a_line(arguments: tuple[str, ...], said: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert said in " ".join(result.output.split())
