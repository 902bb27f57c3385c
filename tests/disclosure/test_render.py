"""Renderings: the same bytes on every run, the sealed numbers, and nothing that a reader's program runs."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from dataclasses import replace
from datetime import date
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from tests.disclosure.sealed_rows import SMALL, cell, sealed, subject, without_figure
from wattspan.disclosure.book import Book
from wattspan.disclosure.columns import statement
from wattspan.disclosure.comparison import Previous, compared
from wattspan.disclosure.figure import reckon
from wattspan.disclosure.render import csv_file, page, pdf, workbook
from wattspan.disclosure.render.chart import bars, waterfall
from wattspan.disclosure.render.document import Customer, Document
from wattspan.disclosure.render.published import document_of
from wattspan.disclosure.subject import Feature, Issuer, Period

GOLDEN = Path(__file__).parent / "golden"
HOSTILE = '=HYPERLINK("http://evil","x")<script>alert(1)</script>'


def document(**given: object) -> Document:
    rows = sealed(
        cell(),
        cell(model="openai/small", vector=SMALL.id, spread="small", evidence="open"),
        without_figure("no_usage", 9),
    )
    old = sealed(cell(n=150), completed=60)
    about, figure = subject(**given), reckon(rows, "ticket summary")
    before = Previous(subject(period=Period.of("2026Q2")), old, None)
    comparison = compared(about, rows, figure, before)
    return Document(
        content=statement(about, figure, comparison),
        manifest_sha256="ab" * 32,
        ledger_line=7,
        key="ed25519:0011",
        published="2026-11-02T09:30:00Z",
        status="active",
        bridge=comparison.bridge,
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
    for step in document().bridge["steps"]:
        drawn = bars(step)
        assert [drawn[0].end, drawn[-1].end] == [float(step["before"]), float(step["after"])]
        assert all(one.end == pytest.approx(other.start) for one, other in pairwise(drawn[:-1]))
        assert drawn[-2].end == pytest.approx(drawn[-1].end)


@pytest.fixture(scope="module")
def two_steps() -> Document:
    """A change of period and of methodology: the golden disclosure."""
    book = Book(GOLDEN)
    return document_of(book, book.get("2026Q3/summary@1"))


def test_the_waterfall_leads_through_both_steps(two_steps: Document) -> None:
    drawn = waterfall(two_steps.bridge, "per 1,000 inferences")
    totals = [bar for bar in drawn if bar.is_total]
    assert [bar.label for bar in totals] == ["2026Q2 @1", "new data, old method", "2026Q3 @1"]
    rows = {row["label"]: float(row["exact_kg_per_1000"]) for row in two_steps.comparative["rows"]}
    assert [bar.end for bar in totals] == pytest.approx(
        [rows["as published"], rows["new figure by the old method"], rows["new figure"]]
    )
    level = 0.0
    for bar in drawn:
        if not bar.is_total:
            assert bar.start == pytest.approx(level)
        level = bar.end
    names = [bar.label for bar in drawn]
    # activity first, then method: the coefficients have no bar before the total between them
    assert (
        names.index("tokens a call")
        < names.index("new data, old method")
        < names.index("energy coefficients")
    )


def test_the_periods_under_both_methods_are_in_every_document(two_steps: Document) -> None:
    revised = next(r for r in two_steps.comparative["rows"] if r["label"] == "revised comparative")
    html = page.written(two_steps).decode()
    assert '<svg class="bridge"' in html
    assert f"<td>revised comparative</td><td>{revised['methodology']}</td>" in html
    assert f'<td class="value">{revised["kg_per_1000"]}</td>' in html
    with zipfile.ZipFile(io.BytesIO(workbook.written(two_steps))) as book:
        texts = book.read("xl/sharedStrings.xml").decode()
        assert "2026Q2, revised comparative" in texts
        # a waterfall for the total and one for the thousand
        assert {name for name in book.namelist() if "charts/chart" in name} == {
            "xl/charts/chart1.xml",
            "xl/charts/chart2.xml",
        }
    change = next(line for line in two_steps.lines() if line.key == "change")
    assert f"the period before is {revised['kg_per_1000']} by this method" in change.note


def test_the_pdf_has_four_pages_with_two_steps_and_both_methods(two_steps: Document) -> None:
    assert pages(pdf.written(two_steps)) == 4
    assert pages(pdf.written(document())) == 4


def pages(data: bytes) -> int:
    (count,) = re.findall(rb"/Type /Pages[^>]*?/Count (\d+)|/Count (\d+)[^>]*?/Type /Pages", data)
    return int(count[0] or count[1])


def test_a_customer_s_share_is_column_8_times_its_own_inferences() -> None:
    mine = replace(document(), customer=Customer("ACME", 20))
    # 1.88496 kg per 1,000 x 20 / 1,000
    assert mine.share_kg == Decimal("0.0376992")
    line = next(line for line in mine.lines() if line.key == "ghg_total")
    assert line.value == "0.0942; 0.0377"
    assert line.note == "all customers; ACME, 20 inferences"
    assert "Share of ACME: 0.0377 kgCO2e for 20" in page.written(mine).decode()
    assert document().share_kg is None
    assert b"ACME" not in csv_file.written(document())
