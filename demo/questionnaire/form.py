"""The form of a made-up customer: its own layout, formats, formulas and lists, and a row we cannot answer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import xlsxwriter

from demo.questionnaire.surfaces import Surface

SHEET: Final = "Supplier data"
FIRST_ROW: Final = 4
"""Of the products, from 0."""
HEADERS: Final = (
    "Product or service", "Your SKU", "kg CO2e per 1,000,000 requests", "g CO2e per request",
    "Electricity, Wh per request", "Market-based, kg CO2e per 1,000,000", "95 % low, kg per 1,000,000",
    "95 % high, kg per 1,000,000", "Change since last period, %", "Our requests in Q3", "Our share, kg CO2e",
    "Method", "Verification", "Recycled packaging, %", "Where it can be checked",
)  # fmt: skip
THEIR_NAMES: Final = {
    "Ticket summary": "Summaries of tickets",
    "Invoice assistant": "Bot for invoices",
    "Code completion": "Completion in the editor",
}
"""What the customer calls some of them."""
NOT_OURS: Final = "Fax gateway (legacy)"


def write_form(path: Path, known: Sequence[Surface], every: int = 1) -> None:
    """Write the form, empty where the supplier answers, of every so many-th call."""
    book = xlsxwriter.Workbook(path)
    title = book.add_format({"bold": True, "font_size": 16, "font_color": "#5b2c83"})
    head = book.add_format(
        {"bold": True, "text_wrap": True, "bg_color": "#e8ddf3", "border": 1, "valign": "top"}
    )
    plain, count = book.add_format({"border": 1}), book.add_format({"border": 1, "num_format": "#,##0"})
    two = book.add_format({"border": 1, "num_format": "#,##0.00", "bg_color": "#fff8e1"})
    total = book.add_format({"bold": True, "top": 2, "num_format": "#,##0.00"})
    about = book.add_worksheet("Read me")
    about.write(0, 0, "Northwind Retail: supplier questionnaire, digital services, 2026 Q3", title)
    about.write(2, 0, "Fill the yellow and white cells. Leave what you do not know empty, and say why.")
    sheet = book.add_worksheet(SHEET)
    sheet.write(0, 0, "Digital services we buy from you", title)
    sheet.write(1, 0, "Location-based; two decimals in column C. Answer within nine days.")
    sheet.set_row(3, 62)
    sheet.set_column(0, 0, 28)
    sheet.set_column(1, len(HEADERS) - 1, 14)
    sheet.freeze_panes(FIRST_ROW, 1)
    for column, header in enumerate(HEADERS):
        sheet.write(3, column, header, head)
    names = [THEIR_NAMES.get(surface.name, surface.name) for surface in known]
    for row, name in enumerate([*names, NOT_OURS], FIRST_ROW):
        sheet.write(row, 0, name, plain)
        for column in range(1, len(HEADERS)):
            sheet.write_blank(row, column, None, two if column in (2, 5, 6, 7) else plain)
        sheet.write(row, 9, max(1, (10 + (row * 37) % 90) // every), count)
    last = FIRST_ROW + len(names)
    sheet.write(last + 1, 0, "Sum", total)
    sheet.write_formula(last + 1, 10, f"=SUM(K{FIRST_ROW + 1}:K{last + 1})", total, 0)
    sheet.data_validation(FIRST_ROW, 12, last, 12, {"validate": "list", "source": "=Lists!$A$1:$A$3"})
    lists = book.add_worksheet("Lists")
    for row, word in enumerate(("none", "limited", "reasonable")):
        lists.write(row, 0, word)
    lists.hide()
    book.close()
