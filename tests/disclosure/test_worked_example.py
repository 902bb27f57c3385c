"""`python -m demo.questionnaire`: a form about forty surfaces, answered in one command and to the digit."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import openpyxl
import pytest

from demo.questionnaire.form import HEADERS, NOT_OURS, THEIR_NAMES
from demo.questionnaire.surfaces import Surface, surfaces
from wattspan.disclosure.book import Book
from wattspan.estimator import Estimator

CHECKOUT = Path(__file__).parents[2]
EVERY = 20
"""Of the 28,185 calls of the traces, so many-th: the whole takes no longer to answer, but to import."""


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("example") / "out"
    done = subprocess.run(
        [sys.executable, "-m", "demo.questionnaire", "--out", str(folder), "--every", str(EVERY)],
        cwd=CHECKOUT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "cells about 40 surfaces are filled" in " ".join(done.stdout.split())
    return folder


def answered(out: Path) -> dict[str, dict[str, object]]:
    sheet = openpyxl.load_workbook(out / "answered.xlsx")["Supplier data"]
    rows = sheet.iter_rows(min_row=5, values_only=True)
    return {str(row[0]): dict(zip(HEADERS, row, strict=True)) for row in rows if row[0]}


def test_forty_rows_are_answered_and_what_is_not_ours_is_left(out: Path) -> None:
    found = answered(out)
    for surface in surfaces():
        row = found[THEIR_NAMES.get(surface.name, surface.name)]
        assert row["Your SKU"] == surface.sku
        assert row["Where it can be checked"] == f"saas.example/2026Q3/{surface.surface}@1"
        assert row["Recycled packaging, %"] is None
        assert row["Market-based, kg CO2e per 1,000,000"] is None
    theirs = found[NOT_OURS]["Our requests in Q3"]
    assert set(found[NOT_OURS].values()) == {NOT_OURS, theirs, None}
    assert found["Sum"]["Our share, kg CO2e"] == "=SUM(K5:K45)"


@pytest.mark.parametrize("name", ["ticket-summary", "contract-review", "incident-assistant"])
def test_the_electricity_of_a_surface_is_the_mean_of_its_calls_estimated_one_by_one(
    out: Path, name: str
) -> None:
    surface = next(one for one in surfaces() if one.surface == name)
    estimator, total_kwh, requests = Estimator(), 0.0, set()
    with (out / "calls.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["surface"] == name and row["start"] >= "2026-07-01":
                total_kwh += _energy_kwh(estimator, surface, row)
                requests.add(row["request"])
    sealed = json.loads((out / f"disclosures/2026Q3/{name}@1/disclosure.json").read_bytes())["columns"]
    assert Decimal(sealed["volume"]["completed_inferences"]) == len(requests)
    wh = total_kwh * 1000 / len(requests)
    assert float(sealed["energy_kwh"]["exact"]) == pytest.approx(wh, rel=1e-11)
    row = answered(out)[THEIR_NAMES.get(surface.name, surface.name)]
    assert row["Electricity, Wh per request"] == float(f"{wh:.3g}")
    grams = float(sealed["ghg_location"]["exact"])
    assert row["g CO2e per request"] == float(f"{grams:.3g}")
    # the same digits as the citation has, though the cell's format shows two decimals
    assert row["kg CO2e per 1,000,000 requests"] == float(f"{grams * 1000:.3g}")
    assert float(sealed["ghg_location"]["per_1000000"]) == row["kg CO2e per 1,000,000 requests"]
    assert row["Our share, kg CO2e"] == float(f"{grams * row['Our requests in Q3'] / 1000:.3g}")


def _energy_kwh(estimator: Estimator, surface: Surface, row: dict[str, str]) -> float:
    cloud = {"azure.ai.openai": "azure", "aws.bedrock": "aws", "gcp.vertex_ai": "gcp"}[surface.provider]
    made = estimator.estimate_call(
        model=row["model"], provider=row["provider"], region=f"{cloud}/{row['region']}",
        input_tokens=int(row["ContextTokens"]), output_tokens=int(row["GeneratedTokens"]),
    )  # fmt: skip
    return float(made.energy_kwh)


def test_every_cell_that_is_filled_has_its_source_on_it(out: Path) -> None:
    sheet = openpyxl.load_workbook(out / "answered.xlsx")["Supplier data"]
    came = openpyxl.load_workbook(out / "questionnaire.xlsx")["Supplier data"]
    filled = [
        cell for row in sheet.iter_rows(min_row=5) for cell in row
        if cell.value is not None and came[cell.coordinate].value is None
    ]  # fmt: skip
    # eleven columns of forty rows, without bounds that two decimals cannot hold
    assert 430 <= len(filled) <= 440
    for cell in filled:
        assert "saas.example/2026Q3/" in cell.comment.text, cell.coordinate
        assert cell.number_format == came[cell.coordinate].number_format


def test_what_it_published_is_whole_and_reproducible(out: Path) -> None:
    book = Book(out / "disclosures")
    published = book.published()
    assert len(published) == 80
    for one in published[::9]:
        assert book.verify(one.id) == []
        assert book.reproduce(one.id) == []
