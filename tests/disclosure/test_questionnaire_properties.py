"""What may stand in maps, forms and names: nothing a person can write makes a trace, or a formula."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import openpyxl
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.disclosure.test_questionnaire import document
from wattspan.disclosure.answers import CELLS
from wattspan.disclosure.questionnaire.column_map import Column, ColumnMap, QuestionnaireError, read_map
from wattspan.disclosure.questionnaire.fill import fill
from wattspan.disclosure.questionnaire.sheet import open_sheet
from wattspan.disclosure.questionnaire.suggest import suggest

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
KEYS = st.sampled_from(
    [
        "reviewed",
        "sheet",
        "header_row",
        "match",
        "period",
        "names",
        "overwrite",
        "columns",
        "cell",
        "unit",
        "per",
    ]
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)
START = tuple("=+-@\t\r")


@settings(max_examples=300, deadline=None)
@given(VALUES)
def test_a_map_is_read_or_refused_in_words(content: object) -> None:
    text = yaml.safe_dump(content, allow_unicode=True)
    try:
        read = read_map(text, "map.yaml")
    except QuestionnaireError as error:
        refused = str(error)
    else:
        refused = ""
        assert read.columns
    assert not refused or refused.startswith("map.yaml")


@pytest.fixture(scope="module")
def form(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("form") / "q.xlsx"
    book = openpyxl.Workbook()
    book.active.append(["Product", "A", "B"])
    book.active.append(["TS-1", None, None])
    book.save(path)
    return path


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(["", *START]), st.text(max_size=30))
def test_no_name_becomes_a_formula_or_breaks_the_workbook(form: Path, first: str, rest: str) -> None:
    made = document()
    columns = dict(made.columns)
    columns["feature"] = {**columns["feature"], "name": first + rest, "description": rest}
    hostile = replace(made, content={**made.content, "columns": columns})
    asked = ColumnMap("Product", {"A": Column("feature"), "B": Column("description")}, match_by="sku")
    sheet = open_sheet(form, asked)
    fill(sheet, asked, [hostile], "map.yaml")
    for cell in openpyxl.load_workbook(io.BytesIO(sheet.saved())).active[2][1:]:
        assert cell.data_type != "f"
        if isinstance(cell.value, str) and cell.value.startswith(START):
            assert cell.quotePrefix


HEADERS = st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), max_size=20), max_size=8)


@settings(max_examples=60, deadline=None)
@given(HEADERS)
def test_what_is_suggested_can_be_read_back_once_it_is_reviewed(
    tmp_path_factory: pytest.TempPathFactory, headers: list[str]
) -> None:
    path = tmp_path_factory.mktemp("any") / "q.csv"
    plain = [header.replace(";", "").replace('"', "") for header in headers]
    path.write_text(";".join(["SKU", *plain, "CO2 kg"]) + "\n", encoding="utf-8")
    text = suggest(open_sheet(path, ColumnMap("", {})))
    asked = read_map(text.replace("reviewed: false", "reviewed: true", 1), "map.yaml")
    assert asked.columns["CO2 kg"] == Column("ghg_location", "kg")
    assert {column.cell for column in asked.columns.values()} <= set(CELLS)
