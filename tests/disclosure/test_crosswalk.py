"""The crosswalk: every point of a standard or form that a cell answers, how sure that is, what we say."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

from tests.disclosure.test_render import document
from wattspan.disclosure.answers import CELLS, answers
from wattspan.disclosure.columns import definitions
from wattspan.disclosure.crosswalk import FORMS, STATUSES, crosswalk, markdown, placed
from wattspan.disclosure.render import workbook

DOCUMENTS = Path(__file__).parents[2] / "docs"


def value(target: str, point: str) -> str:
    (found,) = [p for p in placed(document()) if (p.row.target.key, p.row.point) == (target, point)]
    return found.value


def test_every_row_names_a_cell_that_a_disclosure_answers() -> None:
    assert tuple(answers(document())) == tuple(CELLS)
    for row in crosswalk():
        assert row.cell in CELLS, row
        assert row.form in FORMS, row
        assert row.status in STATUSES, row
        assert row.source, row


def test_every_figure_of_the_23_columns_goes_somewhere() -> None:
    placed_columns = {CELLS[row.cell].column for row in crosswalk()}
    # 1 is the id, which stands for itself
    assert placed_columns == set(range(2, 24))


def test_what_nobody_here_has_checked_says_so() -> None:
    by_target = {}
    for row in crosswalk():
        by_target.setdefault(row.target.key, set()).add(row.status)
    # the revised ESRS numbers and the CDP form of this year were not seen by anybody here
    assert by_target["esrs_revised"] == {"unverified"}
    assert by_target["cdp"] == {"unverified"}
    assert by_target["sci"] == {"read"}


def test_old_and_new_numbers_of_esrs_stand_beside_each_other() -> None:
    points = {(row.target.key, row.cell): row.point for row in crosswalk() if row.form == "buyer_total"}
    assert points["esrs_set1", "energy"] == "E1-5"
    assert points["esrs_revised", "energy"] == "E1-7"
    assert points["esrs_set1", "ghg_location"] == "E1-6"
    assert points["esrs_revised", "ghg_location"] == "E1-8"


def test_the_values_are_the_sealed_ones_in_the_form_that_is_asked_for() -> None:
    # 94.248 g over 50 inferences
    assert value("envizi", "Product carbon footprint") == "1.88 kgCO2e / 1,000"
    assert value("cdp", "SC4.2a, total emissions per unit") == "1880 kgCO2e / 1,000,000"
    assert value("envizi", "Product ID") == "TS-1"
    assert value("ghg_protocol", "scope 2, market-based, of the issuer") == "not available"
    # (94.248 g) / 50
    assert value("sci", "SCI") == "1.88"
    assert value("esrs_set1", "E1-6, esrs:GrossScope3GreenhouseGasEmissions") == "0.0942 kgCO2e"


def test_columns_that_name_a_foreign_field_are_in_the_crosswalk() -> None:
    targets = {"cdp_sc4.2a": "cdp", "cdp_sc4.2b": "cdp", "esrs_set1": "esrs_set1", "envizi": "envizi"}
    targets |= {"esrs_revised": "esrs_revised", "vsme": "vsme", "buyer_scope3": "ghg_protocol"}
    there = {(row.target.key, CELLS[row.cell].column) for row in crosswalk()}
    for definition in definitions():
        for name in definition["maps_to"]:
            assert (targets[name], definition["no"]) in there, (name, definition["no"])


def test_the_table_of_the_documents_is_the_data() -> None:
    assert (DOCUMENTS / "generated" / "crosswalk.md").read_text(encoding="utf-8") == markdown()


def test_the_workbook_has_it_as_a_sheet() -> None:
    with zipfile.ZipFile(io.BytesIO(workbook.written(document()))) as archive:
        names = re.findall(r'<sheet name="(\w+)"', archive.read("xl/workbook.xml").decode())
        sheet = archive.read(f"xl/worksheets/sheet{names.index('Crosswalk') + 1}.xml").decode()
        texts = archive.read("xl/sharedStrings.xml").decode()
    assert "<f>" not in sheet
    assert "SC4.2a, total emissions per unit" in texts
    assert "1880 kgCO2e / 1,000,000" in texts
