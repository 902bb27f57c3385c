"""The disclosure as a workbook: the 23 columns, and a sheet each for method, sources, evidence and bridge.

Where a person would check a sum the cell is a formula, with the sealed result as its cached value. The same
disclosure gives the same bytes.
"""

from __future__ import annotations

import datetime as dt
import io
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import xlsxwriter

from wattspan.disclosure.answers import CELLS
from wattspan.disclosure.columns import NOT_AVAILABLE
from wattspan.disclosure.crosswalk import FORMS, STATUSES, placed
from wattspan.disclosure.numbers import EXACT_DIGITS, shown
from wattspan.disclosure.render.chart import waterfall
from wattspan.disclosure.render.csv_file import inert
from wattspan.disclosure.render.document import CAUSE_NAMES, MIX_NAMES, Document

_PAPER_A4: Final = 9
_LINE_POINTS: Final = 13.5
_CHARACTER: Final = 0.95
"""Widths of a column that one character takes, with the room that wrapping wastes."""
_DRAWN: Final = 3
"""First of the columns of a waterfall's shapes."""
_WIDTHS: Final = (5, 44, 34, 22, 62)


def written(document: Document) -> bytes:
    """The bytes of an .xlsx file."""
    out = io.BytesIO()
    book = xlsxwriter.Workbook(
        out, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    )
    end = dt.datetime.fromisoformat(document.columns["reference_period"]["end"].replace("Z", "+00:00"))
    book.set_properties(
        {
            "title": document.id,
            "subject": "kgCO2e per 1,000 inferences",
            "author": document.columns["feature"]["issuer"],
            "comments": document.citation(),
            # A workbook has to say when it was made; the end of the period is the same on every run.
            "created": end.replace(tzinfo=None),
        }
    )
    sheets = _Sheets(book, document)
    sheets.table()
    sheets.method()
    sheets.sources()
    sheets.evidence()
    sheets.bridge()
    sheets.crosswalk()
    if document.sci:
        sheets.sci()
    book.close()
    return out.getvalue()


class _Sheets:
    def __init__(self, book: xlsxwriter.Workbook, document: Document) -> None:
        self.book, self.document = book, document
        base = {"font_name": "Arial", "font_size": 10, "valign": "top"}
        self._styles: dict[int, dict[str, Any]] = {}
        self._quoted: dict[int, Any] = {}
        self.text = self._style(text_wrap=True)
        self.note = self._style(text_wrap=True, font_color="#5a6660")
        self.strong = self._style(bold=True, text_wrap=True, bg_color="#e6f2ec")
        self.title = self._style(bold=True, font_size=15)
        self.head = self._style(bold=True, bottom=1, font_color="#1e4d3b")
        self.number = book.add_format({**base, "num_format": "General", "align": "left"})
        self.flat = self._style(font_color="#5a6660")
        self.faint = book.add_format({**base, "font_color": "#b9c4be", "num_format": "0.######"})
        self._numbers: dict[tuple[str, bool], Any] = {}
        self.strong_number = book.add_format({**base, "bold": True, "align": "left", "bg_color": "#e6f2ec"})

    def _style(self, **given: Any) -> Any:
        """A style of texts."""
        properties = {"font_name": "Arial", "font_size": 10, "valign": "top", **given}
        made = self.book.add_format(properties)
        self._styles[id(made)] = properties
        return made

    def _sheet(self, name: str, title: str, widths: tuple[int, ...]) -> Any:
        sheet = self.book.add_worksheet(name)
        sheet.hide_gridlines(2)
        sheet.set_paper(_PAPER_A4)
        sheet.set_landscape()
        sheet.fit_to_pages(1, 0)
        for column, width in enumerate(widths):
            sheet.set_column(column, column, width)
        self._write(sheet, 0, 0, title, self.title)
        sheet.set_row(0, 24)
        return sheet

    def _write(self, sheet: Any, row: int, column: int, text: str, style: Any) -> None:
        """A text. One that begins like a formula is marked as text: editing its cell makes it none."""
        if inert(text) != text:
            quoted = self._quoted.get(id(style))
            if quoted is None:
                quoted = self._quoted[id(style)] = self.book.add_format(
                    {**self._styles[id(style)], "quote_prefix": True}
                )
            style = quoted
        sheet.write_string(row, column, text, style)

    def _header(self, sheet: Any, row: int, names: tuple[str, ...]) -> None:
        for column, name in enumerate(names):
            self._write(sheet, row, column, name, self.head)

    def table(self) -> None:
        """The 23 columns. Column 8 is the sum of 12 and 13; the total is 8 x volume / 1,000."""
        sheet = self._sheet("Disclosure", self.document.title, _WIDTHS)
        sheet.merge_range(1, 0, 1, len(_WIDTHS) - 1, "", self.note)
        self._write(sheet, 1, 0, self.document.citation(), self.note)
        sheet.set_row(1, 2 * _LINE_POINTS)
        self._header(sheet, 3, ("#", "column", "value", "unit", "note"))
        sheet.freeze_panes(4, 0)
        rows = {line.key: 4 + index for index, line in enumerate(self.document.lines())}
        columns = self.document.columns
        for line in self.document.lines():
            row, is_head = rows[line.key], line.key == "ghg_location"
            text = self.strong if is_head else self.text
            sheet.set_row(row, _height((line.title, line.value, line.unit, line.note), _WIDTHS[1:]))
            sheet.write_number(row, 0, line.number, self.strong_number if is_head else self.number)
            self._write(sheet, row, 1, line.title, text)
            sealed = columns[line.key]
            number = self._number(line.value, is_head)
            note = line.note
            if line.key == "ghg_total":
                number = self._number(sealed["period"]["value"], is_head)
                if (share := self.document.share_kg) is not None:
                    note = f"{note}: {shown(share)} {line.unit}"
            exact = sealed.get("exact") if isinstance(sealed, dict) else None
            if line.key == "ghg_location" and exact is not None:
                formula = f"=C{rows['ghg_use'] + 1}+C{rows['ghg_embodied'] + 1}"
                sheet.write_formula(row, 2, formula, number, float(exact))
            elif line.key == "ghg_total":
                total = float(columns["ghg_total"]["period"]["exact"])
                formula = f"=C{rows['ghg_location'] + 1}*Evidence!B3/1000"
                sheet.write_formula(row, 2, formula, number, total)
            elif exact is not None:
                sheet.write_number(row, 2, float(exact), number)
            else:
                self._write(sheet, row, 2, line.value, text)
            self._write(sheet, row, 3, line.unit, text)
            self._write(sheet, row, 4, note, self.strong if is_head else self.note)

    def _number(self, quoted: str, is_head: bool) -> Any:
        """A format that shows as many decimals as are quoted; the cell holds all digits."""
        decimals = len(quoted.partition(".")[2])
        form = "0" + (f".{'0' * decimals}" if decimals else "")
        made = self._numbers.get((form, is_head))
        if made is None:
            base = {"font_name": "Arial", "font_size": 10, "valign": "top", "align": "left"}
            strong = {"bold": True, "bg_color": "#e6f2ec"} if is_head else {}
            made = self.book.add_format({**base, **strong, "num_format": form})
            self._numbers[form, is_head] = made
        return made

    def method(self) -> None:
        """What the figures mean and how they were made."""
        sheet = self._sheet("Method", "Method", (34, 110))
        columns, method = self.document.columns, self.document.columns["methodology"]
        rows = [
            ("functional unit", columns["functional_unit"]),
            ("methodology", method["id"]),
            ("its document", f"wattspan edition show {method['edition'].partition(' ')[0]}"),
            ("digest of the methodology", f"sha256:{method['sha256']}"),
            ("grid signal", f"{method['signal']}, {method['factor_type']} factors, location-based"),
            ("interval", columns["ghg_location"]["interval"]),
            ("geometric standard deviation", columns["ghg_location"]["gsd"]),
            *(
                (f"driven by: {driver['factor']}", f"{driver['share_of_variance_percent']} % of the variance")
                for driver in columns["ghg_location"]["drivers"]
            ),
            ("gap rule", columns["volume"]["gap_rule"]),
            ("standards", "; ".join(method["standards"])),
            ("global warming potentials", method["gwp"]),
            ("software", method["software"]),
            *((f"boundary: {row['code']}", _in_or_out(row)) for row in columns["boundary"]),
            ("manifest", f"sha256:{self.document.manifest_sha256}"),
            ("ledger", f"line {self.document.ledger_line}, published {self.document.published}"),
            ("key", self.document.key),
        ]
        for row, (name, text) in enumerate(rows, start=2):
            sheet.set_row(row, _height((name, text), (34, 110)))
            self._write(sheet, row, 0, name, self.text)
            self._write(sheet, row, 1, text, self.text)

    def sources(self) -> None:
        """Every data set with its digest."""
        sheet = self._sheet("Sources", "Data sets", (36, 22, 70, 30))
        self._header(sheet, 2, ("name", "version", "sha256", "licence"))
        for row, source in enumerate(self.document.columns["factor_sources"], start=3):
            for column, key in enumerate(("name", "version", "sha256", "licence")):
                self._write(sheet, row, column, source.get(key, ""), self.text)

    def evidence(self) -> None:
        """Volume, evidence mix, and models and places, each adding up to 100."""
        sheet = self._sheet("Evidence", "Volume and evidence", (44, 22, 34, 18))
        columns = self.document.columns
        self._write(sheet, 2, 0, "completed inferences", self.text)
        sheet.write_number(2, 1, float(columns["volume"]["completed_inferences"]), self.number)
        self._header(sheet, 4, ("evidence", "% of column 8"))
        row = 5
        for kind, share in columns["evidence_tier"].items():
            self._write(sheet, row, 0, MIX_NAMES[kind], self.text)
            sheet.write_number(row, 1, float(share), self.number)
            row += 1
        self._write(sheet, row, 0, "sum", self.head)
        sheet.write_formula(row, 1, f"=SUM(B6:B{row})", self.number, 100.0)
        row += 2
        self._header(sheet, row, ("model", "provider", "region", "% of column 8"))
        for source in columns["models_regions"]:
            row += 1
            for column, key in enumerate(("model", "provider", "region")):
                self._write(sheet, row, column, source[key], self.text)
            sheet.write_number(row, 3, float(source["share_percent"]), self.number)

    def bridge(self) -> None:
        """The change from the previous figure by cause, or why there is none."""
        sheet = self._sheet("Bridge", "Change from the previous figure", (36, 22, 60, *(9 for _ in range(4))))
        change = self.document.columns["change"]
        rows = [("class", change["class"]), ("previous", change["previous_id"] or NOT_AVAILABLE)]
        for row, (name, text) in enumerate(rows, start=2):
            self._write(sheet, row, 0, name, self.text)
            self._write(sheet, row, 1, text, self.text)
        if self.document.bridge is None:
            return
        row = 5
        for sums in self.document.bridge["sums"]:
            row = self._way(sheet, row, sums)
        self._comparative(sheet, row)

    def _way(self, sheet: Any, row: int, sums: Mapping[str, str]) -> int:
        """The steps for one unit, a table and a waterfall beside it; the row after it."""
        bridge = self.document.bridge
        assert bridge is not None
        self._header(sheet, row, (f"{sums['of']}, by step and cause", sums["unit"], "reached"))
        first = row + 1
        shapes = waterfall(bridge, sums["of"])
        steps = {step["step"]: step for step in bridge["steps"] if step["of"] == sums["of"]}
        effects = iter(
            [
                float(step["effects"][c])
                for step in steps.values()
                for c in CAUSE_NAMES
                if float(step["effects"].get(c, 0))
            ]
        )
        # as many decimals as the smallest bar needs, so that the column adds up as it is seen
        quoted = [shown(Decimal(sums["before"])), shown(Decimal(sums["after"]))]
        quoted += [shown(Decimal(text)) for step in steps.values() for text in step["effects"].values()]
        number = self._number(max(quoted, key=lambda text: len(text.partition(".")[2])), is_head=False)
        for place, bar in enumerate(shapes, start=first):
            self._write(sheet, place, 0, bar.label, self.head if bar.is_total else self.text)
            if place == first:
                sheet.write_number(place, 1, float(sums["before"]), number)
                sheet.write_formula(place, 2, f"=B{place + 1}", number, bar.end)
            elif bar.is_total:
                sheet.write_formula(place, 2, f"=C{place}", number, bar.end)
            else:
                sheet.write_number(place, 1, next(effects), number)
                sheet.write_formula(place, 2, f"=C{place}+B{place + 1}", number, bar.end)
            # what the drawing is made of: a base that is not seen, a total, a rise, a fall
            low, high = sorted((bar.start, bar.end))
            parts = (
                0.0 if bar.is_total else low,
                high if bar.is_total else 0.0,
                0.0 if bar.is_total or bar.end < bar.start else high - low,
                0.0 if bar.is_total or bar.end >= bar.start else high - low,
            )
            for column, value in enumerate(parts, start=_DRAWN):
                sheet.write_number(place, column, value, self.faint)
        last = first + len(shapes) - 1
        chart = self.book.add_chart({"type": "column", "subtype": "stacked"})
        for column, colour in enumerate((None, "#1e6e52", "#b24a3a", "#78b496"), start=_DRAWN):
            chart.add_series(
                {
                    "categories": ["Bridge", first, 0, last, 0],
                    "values": ["Bridge", first, column, last, column],
                    "fill": {"color": colour} if colour else {"none": True},
                    "gap": 40,
                }
            )
        chart.set_title({"name": f"{sums['of']}, {sums['unit']}", "name_font": {"size": 10}})
        chart.set_legend({"none": True})
        chart.set_size({"width": 620, "height": 260})
        chart.set_x_axis({"num_font": {"size": 8}})
        chart.set_y_axis(
            {"num_font": {"size": 8}, "major_gridlines": {"visible": True, "line": {"color": "#d6ded9"}}}
        )
        sheet.insert_chart(first - 1, _DRAWN + 5, chart)
        before, *each, after = (shown(Decimal(sums[name])) for name in ("before", *steps, "after"))
        residual = abs(Decimal(sums["residual"]))
        is_nothing = residual <= abs(Decimal(sums["after"])).scaleb(-EXACT_DIGITS)
        left = "nothing, to 15 digits" if is_nothing else shown(residual)
        added = " + ".join(f"{name} {part}" for name, part in zip(steps, each, strict=True))
        self._write(sheet, last + 1, 0, "sums of the steps", self.note)
        self._write(sheet, last + 1, 1, f"{before} + {added} = {after}; left over {left}", self.flat)
        return max(last + 4, first + 15)

    def _comparative(self, sheet: Any, row: int) -> None:
        """The periods under both methodologies."""
        found = self.document.comparative
        if found is None:
            return
        names = (
            "period and figure",
            "kgCO2e / 1,000",
            "methodology; 95 % interval; kWh / 1,000; total kgCO2e; as declared %",
        )
        self._header(sheet, row, names)
        for place, line in enumerate(found["rows"], start=row + 1):
            self._write(sheet, place, 0, f"{line['period']}, {line['label']}", self.text)
            sheet.write_number(
                place, 1, float(line["exact_kg_per_1000"]), self._number(line["kg_per_1000"], False)
            )
            interval = f"{line['kg_per_1000_low95']} to {line['kg_per_1000_high95']}"
            rest = (
                line["methodology"],
                interval,
                line["kwh_per_1000"],
                line["kg_total"],
                line["as_declared_percent"],
            )
            self._write(sheet, place, 2, "; ".join(rest), self.text)

    def crosswalk(self) -> None:
        """Which cell answers which point of which standard or form, and how sure that is."""
        widths = (30, 36, 30, 34, 36, 40)
        sheet = self._sheet("Crosswalk", "Where the cells go", widths)
        self._header(sheet, 2, ("standard or form", "point", "our cell", "value", "how", "how sure"))
        sheet.freeze_panes(3, 0)
        for row, (place, value) in enumerate(placed(self.document), start=3):
            texts = (
                place.target.name,
                f"{place.point}: {place.about}",
                CELLS[place.cell].title,
                value,
                FORMS[place.form],
                f"{STATUSES[place.status]}; {place.source}",
            )
            sheet.set_row(row, _height(texts, widths))
            for column, text in enumerate(texts):
                self._write(sheet, row, column, text, self.note if column > 3 else self.text)

    def sci(self) -> None:
        """The SCI score and what its specification wants told beside it."""
        sheet = self._sheet("SCI", "SCI score", (34, 110))
        for row, (name, text) in enumerate(self.document.sci_lines(), start=2):
            sheet.set_row(row, _height((name, text), (34, 110)))
            self._write(sheet, row, 0, name, self.text)
            self._write(sheet, row, 1, text, self.text)


def _height(texts: Sequence[str], widths: Sequence[int]) -> float:
    """Points that the tallest cell of a row needs: viewers do not reckon it for themselves."""
    lines = (math.ceil(len(text) * _CHARACTER / width) for text, width in zip(texts, widths, strict=True))
    return _LINE_POINTS * max(1, *lines)


def _in_or_out(row: dict[str, Any]) -> str:
    return "in" if row["is_in"] else f"out: {row['note']}"
