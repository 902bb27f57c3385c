"""Renderings: the same bytes on every run, the sealed numbers, and nothing that a reader's program runs."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from datetime import date
from itertools import pairwise

import pytest

from tests.disclosure.sealed_rows import SMALL, cell, sealed, subject, without_figure
from wattspan.disclosure.bridge import bridge, products
from wattspan.disclosure.columns import statement
from wattspan.disclosure.figure import reckon
from wattspan.disclosure.render import csv_file, page, pdf, workbook
from wattspan.disclosure.render.chart import bars
from wattspan.disclosure.render.document import Document
from wattspan.disclosure.subject import Feature, Issuer

HOSTILE = '=HYPERLINK("http://evil","x")<script>alert(1)</script>'


def document(**given: object) -> Document:
    rows = sealed(
        cell(),
        cell(model="openai/small", vector=SMALL.id, spread="small", evidence="open"),
        without_figure("no_usage", 9),
    )
    old = sealed(cell(n=150), completed=60)
    sides = [products(side, reckon(side, "ticket summary")) for side in (old, rows)]
    step = {"name": "Activity", "unit": "kgCO2e", **bridge(*sides).to_json()}
    content = statement(subject(**given), reckon(rows, "ticket summary"))
    return Document(
        content=content,
        manifest_sha256="ab" * 32,
        ledger_line=7,
        key="ed25519:0011",
        published="2026-11-02T09:30:00Z",
        status="active",
        bridge={"steps": [step]},
    )


@pytest.mark.parametrize("render", [csv_file.written, page.written, pdf.written, workbook.written])
def test_the_same_disclosure_gives_the_same_bytes(render) -> None:
    assert render(document()) == render(document())


def test_the_table_has_the_23_columns_and_the_headline() -> None:
    rows = list(csv.reader(io.StringIO(csv_file.written(document()).decode())))
    assert [row[0] for row in rows[1:]] == [str(n) for n in range(1, 24)]
    headline = next(row for row in rows if row[1] == "ghg_location")
    # 79.2 + 7.92 g of calls, and 9 that are filled as the 100 of their model: 94.248 g over 50
    assert headline[3] == "1.88"
    assert headline[4] == "kgCO2e / 1,000"


def test_a_person_can_check_the_sums_in_the_workbook() -> None:
    with zipfile.ZipFile(io.BytesIO(workbook.written(document()))) as archive:
        sheet = archive.read("xl/worksheets/sheet1.xml").decode()
        names = re.findall(r'<sheet name="(\w+)"', archive.read("xl/workbook.xml").decode())
    assert names == ["Disclosure", "Method", "Sources", "Evidence", "Bridge", "Crosswalk"]
    formulas = dict(re.findall(r"<f>([^<]+)</f><v>([^<]+)</v>", sheet))
    assert list(formulas) == ["C16+C17", "C12*Evidence!B3/1000"]
    values = dict(re.findall(r'<c r="(C\d+)"[^>]*><v>([^<]+)</v>', sheet))
    assert float(formulas["C16+C17"]) == pytest.approx(float(values["C16"]) + float(values["C17"]))
    assert float(formulas["C12*Evidence!B3/1000"]) == pytest.approx(float(formulas["C16+C17"]) * 50 / 1000)


def test_nothing_of_a_name_is_run_by_a_spreadsheet_or_a_browser() -> None:
    hostile = document(
        feature=Feature("ticket summary", HOSTILE, HOSTILE, HOSTILE), issuer=Issuer("saas.example", HOSTILE)
    )
    for row in csv.reader(io.StringIO(csv_file.written(hostile).decode())):
        assert not any(text.startswith(("=", "+", "@", "\t")) for text in row)
    with zipfile.ZipFile(io.BytesIO(workbook.written(hostile))) as archive:
        sheets = [archive.read(n).decode() for n in archive.namelist() if n.startswith("xl/worksheets/")]
    assert not any(
        "HYPERLINK" in formula for sheet in sheets for formula in re.findall(r"<f>(.*?)</f>", sheet)
    )
    assert "<script" not in page.written(hostile).decode()
    assert pdf.written(hostile).startswith(b"%PDF")


def test_the_pdf_has_four_pages_and_any_letter() -> None:
    made = pdf.written(
        document(feature=Feature("ticket summary", "Zusammenfassung für Łódź – Ελλάδα – Київ"))
    )
    assert len(re.findall(rb"/Type /Page\b", made)) == 4


def test_the_page_has_no_script_and_asks_nobody() -> None:
    text = page.written(document()).decode()
    assert "default-src 'none'" in text
    assert "http" not in text.replace("http-equiv", "")


def test_a_citation_names_what_must_be_named() -> None:
    said = document().citation(date(2026, 11, 28))
    assert said == (
        "Example SaaS GmbH, Ticket summary, 2026Q3, edition 1: 1.88 kgCO2e per 1,000 inferences (95 % "
        f"{document().columns['ghg_low95']['value']}–{document().columns['ghg_high95']['value']}), "
        f"location-based, wattspan-2026.11, saas.example/2026Q3/ticket-summary@1, sha256:{'ab' * 32}, "
        "retrieved 2026-11-28."
    )


def test_the_bars_of_a_bridge_lead_from_before_to_after() -> None:
    (step,) = document().bridge["steps"]
    drawn = bars(step)
    assert drawn[0].is_total
    assert drawn[-1].is_total
    for one, next_one in pairwise(drawn[:-1]):
        assert next_one.start == pytest.approx(one.end)
    assert drawn[-2].end == pytest.approx(drawn[-1].end)
