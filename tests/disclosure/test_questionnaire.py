"""A customer's questionnaire: filled in its own units, noted cell by cell, and otherwise as it came."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import openpyxl
import pytest
from openpyxl.chart import BarChart, Reference
from openpyxl.comments import Comment
from openpyxl.formatting.rule import CellIsRule
from openpyxl.styles import Font, PatternFill
from openpyxl.worksheet.datavalidation import DataValidation

from tests.disclosure.sealed_rows import cell, sealed, subject
from wattspan.disclosure.columns import statement
from wattspan.disclosure.figure import reckon
from wattspan.disclosure.questionnaire.column_map import (
    Column,
    ColumnMap,
    QuestionnaireError,
    counted,
    read_map,
)
from wattspan.disclosure.questionnaire.fill import Outcome, fill
from wattspan.disclosure.questionnaire.sheet import decimals_of, open_sheet
from wattspan.disclosure.questionnaire.suggest import suggest
from wattspan.disclosure.render.document import Document
from wattspan.disclosure.subject import Feature, Issuer, Period

DANGEROUS = '=HYPERLINK("http://evil.example","x")'


def document(name: str = "Ticket summary", sku: str = "TS-1", n: int = 100, **given) -> Document:
    """72 g of use and 7.2 g of hardware of 100 calls, over 50 inferences: 1.584 kg and 7.2 kWh / 1,000."""
    rows = sealed(cell(n=n), completed=n // 2)
    made = subject(feature=Feature("ticket summary", name, sku), **given)
    return Document(
        content=statement(made, reckon(rows, "ticket summary")),
        manifest_sha256="ab" * 32,
        ledger_line=2,
        key="ed25519:0011",
        published="2026-11-02T09:30:00Z",
        status="active",
    )


def workbook(path: Path, rows: list[list[object]], header_row: int = 1, title: str = "Products") -> Path:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = title
    for number, row in enumerate(rows, header_row):
        for column, value in enumerate(row, 1):
            sheet.cell(number, column, value)
    book.save(path)
    return path


def filled(path: Path, columns: dict[str, Column], *documents: Document, **given) -> tuple[Outcome, bytes]:
    asked = ColumnMap(given.pop("match", "Product"), columns, **given)
    sheet = open_sheet(path, asked)
    outcome = fill(sheet, asked, documents or (document(),), "map.yaml")
    return outcome, sheet.saved()


def cells(data: bytes, sheet: str = "Products") -> dict[str, object]:
    found = openpyxl.load_workbook(io.BytesIO(data))[sheet]
    return {
        cell.coordinate: cell.value for row in found.iter_rows() for cell in row if cell.value is not None
    }


@pytest.mark.parametrize(
    ("column", "right"),
    [
        (Column("ghg_location"), 1.58),
        (Column("ghg_location", "kg", 1_000_000), 1580),
        (Column("ghg_location", "g", 1), 1.58),
        (Column("ghg_location", "g", 1000), 1580),
        (Column("ghg_location", "t", 1_000_000), 1.58),
        (Column("ghg_location", "mg", 1), 1580),
        (Column("ghg_location", "kg", 1000, 4), 1.584),
        (Column("energy", "kWh", 1000), 7.2),
        (Column("energy", "Wh", 1), 7.2),
        (Column("energy", "MWh", 1_000_000), 7.2),
        (Column("energy", "MJ", 1), 0.0259),
        (Column("energy_total", "Wh"), 360),
        (Column("ghg_total", "g"), 79.2),
        (Column("water_on_site", "mL", 1), 3),
        (Column("measured_share", "share"), 0),
        (Column("completed_inferences"), 50),
        (Column("sci"), 1.58),
        (Column("dqr_technology"), 4),
    ],
)
def test_numbers_come_in_the_unit_and_for_the_amount_that_is_asked(
    tmp_path: Path, column: Column, right: float
) -> None:
    path = workbook(tmp_path / "q.xlsx", [["Product", "X"], ["Ticket summary", None]])
    outcome, data = filled(path, {"X": column})
    assert outcome.left == []
    assert cells(data)["B2"] == right


def test_each_cell_says_where_it_is_from(tmp_path: Path) -> None:
    path = workbook(tmp_path / "q.xlsx", [["Product", "g per request"], ["Ticket summary", None]])
    _, data = filled(path, {"g per request": Column("ghg_location", "g", 1)})
    note = openpyxl.load_workbook(io.BytesIO(data))["Products"]["B2"].comment
    assert note.author == "Wattspan"
    assert note.text.splitlines() == [
        "Example SaaS GmbH: GHG, location-based (column 8 of 23), 1.58 kgCO2e / 1,000",
        "here in gCO2e for 1 inferences; 1580 kgCO2e per 1,000,000",
        f"95 % interval of column 8: {document().columns['ghg_low95']['value']} to "
        f"{document().columns['ghg_high95']['value']} kgCO2e / 1,000; location-based",
        "saas.example/2026Q3/ticket-summary@1, wattspan-2026.11",
        f"sha256:{'ab' * 32}",
    ]


def test_rows_are_matched_by_name_sku_or_id_and_by_nothing_like_it(tmp_path: Path) -> None:
    names = ["ticket  SUMMARY", "TS-1", "saas.example/2026Q3/ticket-summary@1", "Ticket sum", "Theirs", None]
    path = workbook(tmp_path / "q.xlsx", [["Product", "X"], *([name] for name in names)])
    outcome, _ = filled(path, {"X": Column("ghg_location")}, names={"Theirs": "TS-1"})
    assert [one.place for one in outcome.filled] == [
        "Products!B2",
        "Products!B3",
        "Products!B4",
        "Products!B6",
    ]
    assert [(one.place, one.why) for one in outcome.left] == [
        (
            "Products!A5",
            "'Ticket sum' is the id or sku or feature or key of no active disclosure; "
            "name it under names:, or publish it",
        )
    ]
    assert outcome.rows == 5
    outcome, _ = filled(path, {"X": Column("ghg_location")}, match_by="sku")
    assert [one.place for one in outcome.filled] == ["Products!B3"]


def test_the_newest_active_figure_is_told_unless_the_map_names_a_period(tmp_path: Path) -> None:
    path = workbook(tmp_path / "q.xlsx", [["Product", "X"], ["TS-1"]])
    spring = document(period=Period.of("2026Q2"))
    summer = document()
    withdrawn = replace(document(number=2), status="withdrawn")
    told = filled(path, {"X": Column("id")}, spring, withdrawn, summer)[1]
    assert cells(told)["B2"] == "saas.example/2026Q3/ticket-summary@1"
    told = filled(path, {"X": Column("id")}, spring, summer, period="2026Q2")[1]
    assert cells(told)["B2"] == "saas.example/2026Q2/ticket-summary@1"
    outcome, _ = filled(path, {"X": Column("id")}, withdrawn)
    assert "of no active disclosure" in outcome.left[0].why


def test_two_features_of_one_name_are_not_told_apart_by_luck(tmp_path: Path) -> None:
    path = workbook(tmp_path / "q.xlsx", [["Product", "X"], ["Ticket summary"]])
    other = subject(feature=Feature("other", "Ticket summary", "O-2"))
    rows = sealed(cell(feature="other"))
    second = replace(document(), content=statement(other, reckon(rows, "other")))
    outcome, data = filled(path, {"X": Column("ghg_location")}, document(), second)
    assert "names several: saas.example/2026Q3/ticket-summary@1, saas.example/2026Q3/other@1" in (
        outcome.left[0].why
    )
    assert "B2" not in cells(data)


def test_a_customers_own_count_gives_its_share(tmp_path: Path) -> None:
    rows = [
        ["Product", "Requests", "Ours, kg"],
        ["TS-1", "1,200,000"],
        ["TS-1", 25],
        ["TS-1", "50"],
        ["TS-1", "many"],
        ["TS-1", 0],
    ]
    path = workbook(tmp_path / "q.xlsx", rows)
    outcome, data = filled(path, {"Ours, kg": Column("ghg_location", "kg", "Requests")})
    found = cells(data)
    assert "C2" not in found
    assert found["C3"] == 0.0396
    assert found["C4"] == 0.0792
    assert [(one.place, one.why) for one in outcome.left] == [
        (
            "Products!C2",
            "asks for 1,200,000 inferences, and all customers together had 50 in 2026Q3; ask which period "
            "and unit they count",
        ),
        ("Products!C5", "needs the number of inferences at Products!B5, a number above 0"),
        ("Products!C6", "needs the number of inferences at Products!B6, a number above 0"),
    ]
    assert outcome.unmapped == []


def test_a_cell_too_coarse_for_the_figure_stays_empty_and_the_million_is_offered(tmp_path: Path) -> None:
    path = workbook(tmp_path / "q.xlsx", [["Product", "kg per request", "kg per 1000"], ["TS-1"]])
    asked = {
        "kg per request": Column("ghg_location", "kg", 1, decimals=2),
        "kg per 1000": Column("ghg_location", "kg", 1000, decimals=2),
    }
    outcome, data = filled(path, asked)
    assert cells(data).get("B2") is None
    assert cells(data)["C2"] == 1.58
    assert outcome.left[0].why == (
        "2 decimals would print 0.00 for 0.00158; offer it per 1,000,000, which is 1580, or ask for more "
        "decimals"
    )


def test_the_number_format_of_a_cell_says_its_decimals_too(tmp_path: Path) -> None:
    path = workbook(tmp_path / "q.xlsx", [["Product", "kg"], ["TS-1"]])
    book = openpyxl.load_workbook(path)
    book["Products"]["B2"].number_format = "#,##0.00"
    book.save(path)
    outcome, data = filled(path, {"kg": Column("ghg_location", "kg", 1)})
    assert "2 decimals would print 0.00" in outcome.left[0].why
    assert "B2" not in cells(data)
    _, data = filled(path, {"kg": Column("ghg_location", "kg", 1000)})
    again = openpyxl.load_workbook(io.BytesIO(data))["Products"]["B2"]
    assert (again.value, again.number_format) == (1.58, "#,##0.00")


@pytest.mark.parametrize(
    ("number_format", "decimals"),
    [
        ("General", None), ("0", 0), ("#,##0", 0), ("0.00", 2), ("#,##0.00", 2), ("0.0##", 3), ("0.00%", 4),
        ('0.000" kg"', 3), ("[Red]0.0;-0.0", 1), ('_-* #,##0.00 "€"_-;-* 0', 2), ("0.00E+00", None),
        ("yyyy-mm-dd", None), ("@", None), ("0.0,", None), ("# ?/?", None), ("", None),
    ],
)  # fmt: skip
def test_decimals_are_read_from_number_formats(number_format: str, decimals: int | None) -> None:
    assert decimals_of(number_format) == decimals


def test_a_drop_down_gets_one_of_its_own_words_or_is_left(tmp_path: Path) -> None:
    path = workbook(tmp_path / "q.xlsx", [["Product", "Assurance", "Verified?", "Status"], ["TS-1"]])
    book = openpyxl.load_workbook(path)
    lists = book.create_sheet("Our lists")
    for row, word in enumerate(("None", "Limited"), 1):
        lists.cell(row, 2, word)
    sheet = book["Products"]
    rules = {"B2": "'Our lists'!$B$1:$B$2", "C2": '"yes,no"', "D2": '"open,closed"'}
    for place, source in rules.items():
        sheet.add_data_validation(rule := DataValidation(type="list", formula1=source))
        rule.add(place)
    book.save(path)
    asked = {
        "Assurance": Column("assurance"),
        "Verified?": Column("assurance", values={"none": "no"}),
        "Status": Column("status"),
    }
    outcome, data = filled(path, asked)
    assert (cells(data)["B2"], cells(data)["C2"]) == ("None", "no")
    assert [(one.place, one.why) for one in outcome.left] == [
        ("Products!D2", "takes one of open, closed, and ours is 'active'; say which one under values:")
    ]


def test_what_is_not_known_is_never_zero(tmp_path: Path) -> None:
    path = workbook(tmp_path / "q.xlsx", [["Product", "market", "training"], ["TS-1"]])
    outcome, data = filled(path, {"market": Column("ghg_market"), "training": Column("ghg_training")})
    found = openpyxl.load_workbook(io.BytesIO(data))["Products"]
    assert found["B2"].value is None
    assert "not available: contracts give evidence for 0.0 % of the energy" in found["B2"].comment.text
    assert [one.place for one in outcome.left] == ["Products!B2", "Products!C2"]
    assert outcome.filled == []


def test_what_stands_in_a_cell_stays_unless_the_map_says_otherwise(tmp_path: Path) -> None:
    path = workbook(tmp_path / "q.xlsx", [["Product", "A", "B"], ["TS-1", "n/a", "=1+1"]])
    asked = {"A": Column("ghg_location"), "B": Column("energy")}
    outcome, data = filled(path, asked)
    assert cells(data)["B2"] == "n/a"
    assert [one.why for one in outcome.left] == [
        "holds 'n/a' already; set overwrite: true to replace it",
        "holds a formula of the customer's",
    ]
    outcome, data = filled(path, asked, overwrite=True)
    assert (cells(data)["B2"], cells(data)["C2"]) == (1.58, "=1+1")


def test_a_cell_inside_merged_ones_is_left(tmp_path: Path) -> None:
    path = workbook(tmp_path / "q.xlsx", [["Product", "kg"], ["TS-1"], ["TS-1"]])
    book = openpyxl.load_workbook(path)
    book["Products"].merge_cells("B2:B3")
    book.save(path)
    outcome, data = filled(path, {"kg": Column("ghg_location")})
    assert cells(data)["B2"] == 1.58
    assert [(one.place, one.why) for one in outcome.left] == [
        ("Products!B3", "is inside merged cells; write what belongs there into the first of them")
    ]


def rich_questionnaire(path: Path) -> Path:
    """Formats, formulas, a drop-down, a rule of colour, a chart, a hidden sheet, a note, a merged title."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Products"
    sheet["A1"], sheet["A1"].font = "Supplier questionnaire", Font(name="Georgia", size=18, bold=True)
    sheet.merge_cells("A1:E1")
    for column, header in enumerate(["Product", "kg CO2e", "kWh", "Sum", "Comment"], 1):
        sheet.cell(3, column, header).fill = PatternFill("solid", fgColor="FFD966")
    sheet["A4"], sheet["D4"] = "Ticket summary", "=B4+C4"
    sheet["B4"].number_format, sheet["B4"].fill = "0.000", PatternFill("solid", fgColor="E2EFDA")
    sheet["B4"].comment = Comment("in kg, please", "Customer")
    sheet.column_dimensions["A"].width = 44.5
    sheet.freeze_panes = "B4"
    sheet.add_data_validation(choice := DataValidation(type="list", formula1='"yes,no"'))
    choice.add("E4:E99")
    sheet.conditional_formatting.add("B4:B99", CellIsRule("greaterThan", ["5"], font=Font(color="FF0000")))
    chart = BarChart()
    chart.add_data(Reference(sheet, min_col=2, min_row=4, max_row=9))
    sheet.add_chart(chart, "G3")
    lists = book.create_sheet("Lists")
    lists["A1"], lists.sheet_state = "=SUM(Products!B4:B99)", "hidden"
    book.save(path)
    return path


def test_the_customers_workbook_is_otherwise_as_it_came(tmp_path: Path) -> None:
    path = rich_questionnaire(tmp_path / "q.xlsx")
    asked = ColumnMap("Product", {"kg CO2e": Column("ghg_location")}, header_row=3)
    sheet = open_sheet(path, asked)
    outcome = fill(sheet, asked, [document()], "map.yaml")
    assert sheet.lost() == []
    assert outcome.unmapped == ["kWh", "Sum", "Comment"]
    before = openpyxl.load_workbook(path)
    after = openpyxl.load_workbook(io.BytesIO(sheet.saved()))
    assert after.sheetnames == before.sheetnames
    assert after["Lists"].sheet_state == "hidden"
    for name in before.sheetnames:
        for row in before[name].iter_rows():
            for old in row:
                new = after[name][old.coordinate]
                if old.coordinate != "B4":
                    assert new.value == old.value, old.coordinate
                for part in ("number_format", "font", "fill", "border", "alignment"):
                    assert repr(getattr(new, part)) == repr(getattr(old, part)), (old.coordinate, part)
    now = after["Products"]
    assert now["B4"].value == 1.58
    assert now["B4"].comment.text.startswith("in kg, please\n\nExample SaaS GmbH: ")
    assert now.column_dimensions["A"].width == 44.5
    assert now.freeze_panes == "B4"
    assert [str(area) for area in now.merged_cells.ranges] == ["A1:E1"]
    assert str(now.data_validations.dataValidation[0].sqref) == "E4:E99"
    assert [str(area.sqref) for area in now.conditional_formatting] == ["B4:B99"]
    assert len(now._charts) == 1
    assert after.calculation.fullCalcOnLoad


def test_what_the_library_cannot_keep_is_named(tmp_path: Path) -> None:
    path = rich_questionnaire(tmp_path / "q.xlsx")
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["xl/ctrlProps/ctrlProp1.xml"] = b"<formControlPr/>"
    drawing = next(name for name in parts if name.startswith("xl/drawings/drawing"))
    parts[drawing] = parts[drawing].replace(
        b"</wsDr>",
        b'<xdr:sp xmlns:xdr="http://schemas.openxmlformats.org/drawingml/2006/spreadsheetDrawing"/></wsDr>',
    )
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    sheet = open_sheet(path, ColumnMap("Product", {"kg CO2e": Column("ghg_location")}, header_row=3))
    assert sheet.lost() == ["parts of kind 'ctrlProp'", "parts of kind 'shapes'"]


def test_an_extension_that_is_dropped_is_told_in_the_library_s_words(tmp_path: Path) -> None:
    path = workbook(tmp_path / "q.xlsx", [["Product", "kg"], ["TS-1"]])
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    name = "xl/worksheets/sheet1.xml"
    # a drop-down whose words are on another sheet, as newer spreadsheet programs write it
    extension = b'<extLst><ext uri="{CCE6A557-97BC-4b89-ADB6-D9C93CAAB3DF}"/></extLst></worksheet>'
    parts[name] = parts[name].replace(b"</worksheet>", extension)
    with zipfile.ZipFile(path, "w") as archive:
        for part, data in parts.items():
            archive.writestr(part, data)
    sheet = open_sheet(path, ColumnMap("Product", {"kg": Column("ghg_location")}))
    assert sheet.lost() == ["Data Validation extension is not supported and will be removed"]


def test_a_text_that_begins_like_a_formula_is_a_text(tmp_path: Path) -> None:
    hostile = document(DANGEROUS, "@SUM(1)", issuer=Issuer("saas.example", "-1+1"))
    asked = {"A": Column("feature"), "B": Column("issuer")}
    rows = [["Product", "A", "B"], [hostile.id, None, None]]
    _, data = filled(workbook(tmp_path / "q.xlsx", rows), asked, hostile)
    found = openpyxl.load_workbook(io.BytesIO(data))["Products"]
    for place, text in (("B2", DANGEROUS), ("C2", "-1+1")):
        assert (found[place].value, found[place].data_type) == (text, "s")
        assert found[place].quotePrefix
    path = tmp_path / "q.csv"
    path.write_text(f"Product,A,B\n{hostile.id},,\n")
    _, data = filled(path, asked, hostile)
    assert data.decode().splitlines()[1].startswith(f"{hostile.id},\"'=HYPERLINK(")
    assert data.decode().endswith(",'-1+1\n")


@pytest.mark.parametrize(
    ("text", "mark", "right"),
    [
        ("Product,kg\nTS-1,\n", ".", "Product,kg\nTS-1,1.58\n"),
        ("Product;kg\r\nTS-1;\r\n", ",", "Product;kg\r\nTS-1;1,58\r\n"),
        ("\ufeffProduct\tkg\nTS-1\n", ".", "\ufeffProduct\tkg\nTS-1\t1.58\n"),
    ],
)
def test_csv_keeps_its_delimiter_line_ends_and_mark(tmp_path: Path, text: str, mark: str, right: str) -> None:
    path = tmp_path / "q.csv"
    path.write_bytes(text.encode())
    outcome, data = filled(path, {"kg": Column("ghg_location")}, decimal_mark=mark)
    assert data.decode() == right
    assert outcome.filled[0].place == "q.csv, line 2, column B"


MAP = """
match: {column: Product, by: sku}
columns:
  kg: {cell: ghg_location, unit: kg, per: 1000, decimals: 2}
"""


def test_a_map_is_read() -> None:
    assert read_map(MAP, "map.yaml") == ColumnMap(
        "Product", {"kg": Column("ghg_location", "kg", 1000, 2)}, match_by="sku"
    )


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("by: sku", "by: luck", "map.yaml, match.by: found 'luck'; allowed: any, feature, sku, id"),
        ("ghg_location", "carbon", "columns, 'kg', cell: found 'carbon'; allowed: id, edition, feature"),
        ("unit: kg", "unit: kWh", "ghg_location cannot be told in 'kWh'; allowed: mg, g, kg, t"),
        ("per: 1000", "per: 100", "allowed: 1, 1000, 1000000, or {column: HEADER}"),
        ("decimals: 2", "decimals: -1", "allowed: a whole number from 0 to 15"),
        ("match:", "macth:", "unknown key macth; allowed: reviewed, sheet, header_row"),
        ("cell: ghg_location, unit: kg", "cell: sku", "per: sku is not a figure per inference"),
        ("match:", "reviewed: false\nmatch:", "nobody has checked it; go through every line"),
    ],
)
def test_a_map_that_cannot_be_used_says_where_and_what_is_allowed(before: str, after: str, said: str) -> None:
    with pytest.raises(QuestionnaireError) as told:
        read_map(MAP.replace(before, after), "map.yaml")
    assert said in str(told.value)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (
            ColumnMap("Product", {"kgs": Column("energy")}),
            "has no column 'kgs' in row 1; there are: 'Product', 'kg'",
        ),
        (
            ColumnMap("Product", {"X": Column("energy")}, sheet="Lists"),
            "no sheet 'Lists'; there are: Products",
        ),
        (ColumnMap("Product", {"twice": Column("energy")}), "2 columns 'twice'; name one by its letter"),
    ],
)
def test_a_form_that_is_not_as_mapped_names_sheet_and_what_is_there(
    tmp_path: Path, asked: ColumnMap, said: str
) -> None:
    path = workbook(tmp_path / "q.xlsx", [["Product", "kg", "twice", "twice"], ["TS-1"]])
    with pytest.raises(QuestionnaireError) as told:
        fill(open_sheet(path, asked), asked, [document()], "map.yaml")
    assert said in str(told.value)


def test_a_column_can_be_named_by_its_letter(tmp_path: Path) -> None:
    path = workbook(tmp_path / "q.xlsx", [["Product", "kg", "kg"], ["TS-1"]])
    _, data = filled(path, {"column C": Column("ghg_location")})
    assert cells(data)["C2"] == 1.58


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 not a zip", b"<html>"])
def test_a_damaged_workbook_is_told(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "q.xlsx"
    path.write_bytes(data)
    with pytest.raises(QuestionnaireError, match="open it in a spreadsheet program and save it as"):
        open_sheet(path, ColumnMap("Product", {}))


def test_a_workbook_that_expands_entities_is_refused(tmp_path: Path) -> None:
    path = workbook(tmp_path / "q.xlsx", [["Product", "kg"], ["TS-1"]])
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["xl/workbook.xml"] = (
        b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>' + parts["xl/workbook.xml"]
    )
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    assert openpyxl.DEFUSEDXML
    with pytest.raises(QuestionnaireError, match="not a workbook that can be read"):
        open_sheet(path, ColumnMap("Product", {}))


@pytest.mark.parametrize("name", ["q.xls", "q.xlsm", "q.ods"])
def test_other_kinds_of_file_say_what_to_do(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(QuestionnaireError, match="open it and save it as one of them"):
        open_sheet(tmp_path / name, ColumnMap("Product", {}))


def test_a_map_is_suggested_from_headers_and_refused_until_it_is_reviewed(tmp_path: Path) -> None:
    headers = [
        "Product name", "SKU code", "kg CO2e per 1,000 requests", "Carbon footprint (g per request)",
        "Electricity, Wh per 1,000,000 requests", "Market-based emissions (kg)", "Lower bound", "Method used",
        "Favourite colour", "Third-party verified?",
    ]  # fmt: skip
    path = workbook(tmp_path / "q.xlsx", [headers, ["Ticket summary"]])
    text = suggest(open_sheet(path, ColumnMap("", {})))
    assert "# nothing is suggested for: Favourite colour" in text
    with pytest.raises(QuestionnaireError, match="nobody has checked it"):
        read_map(text, "map.yaml")
    asked = read_map(text.replace("reviewed: false", "reviewed: true"), "map.yaml")
    assert asked.match_column == "SKU code"
    assert asked.columns == {
        "kg CO2e per 1,000 requests": Column("ghg_location", "kg", 1000),
        "Carbon footprint (g per request)": Column("ghg_location", "g", 1),
        "Electricity, Wh per 1,000,000 requests": Column("energy", "Wh", 1_000_000),
        "Market-based emissions (kg)": Column("ghg_market", "kg", 1000),
        "Lower bound": Column("ghg_low95", "kg", 1000),
        "Method used": Column("methodology"),
        "Third-party verified?": Column("assurance"),
    }


@pytest.mark.parametrize(
    ("text", "right"),
    [("1,200,000", "1200000"), ("1 200 000", "1200000"), ("250.0", "250"), ("many", None), ("", None)],
)
def test_counts_are_read_as_people_write_them(text: str, right: str | None) -> None:
    assert counted(text) == (None if right is None else Decimal(right))
