"""The disclosure as a PDF of four pages: the figure, the 23 columns, how it was made, sources and change."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal
from importlib.resources import files
from typing import Final

from fpdf import FPDF
from fpdf.enums import XPos, YPos

from wattspan.disclosure.columns import NOT_AVAILABLE
from wattspan.disclosure.comparison import PER_1000_TEXT
from wattspan.disclosure.numbers import shown
from wattspan.disclosure.render.chart import Bar, waterfall
from wattspan.disclosure.render.document import BOUNDARY_NAMES, MIX_NAMES, Document

_INK: Final = (28, 38, 34)
_SOFT: Final = (96, 110, 103)
_GREEN: Final = (30, 110, 82)
_PALE: Final = (230, 242, 236)
_RED: Final = (178, 74, 58)
_MARGIN_MM: Final = 18


def written(document: Document) -> bytes:
    """The bytes of the PDF; the same for the same disclosure."""
    pdf = _Pdf(document)
    pdf.first_page()
    pdf.table_page()
    pdf.method_page()
    pdf.sources_page()
    if document.sci:
        pdf.sci_page()
    return bytes(pdf.output())


class _Pdf(FPDF):
    def __init__(self, document: Document) -> None:
        super().__init__(format="A4")
        self.document = document
        end = document.columns["reference_period"]["end"].replace("Z", "+00:00")
        self.set_creation_date(dt.datetime.fromisoformat(end))
        self.set_title(document.id)
        self.set_author(document.columns["feature"]["issuer"])
        self.set_subject("kgCO2e per 1,000 inferences")
        self.set_lang("en")
        fonts = files("font_roboto").joinpath("files")
        for style, name in (("", "Roboto-Regular.ttf"), ("B", "Roboto-Medium.ttf")):
            self.add_font("Roboto", style, str(fonts.joinpath(name)))
        self.set_margins(_MARGIN_MM, _MARGIN_MM)
        self.set_auto_page_break(True, margin=20)

    def footer(self) -> None:
        """Id, digest and page on every page."""
        self.set_y(-14)
        self._font(7, color=_SOFT)
        self.cell(150, 4, f"{self.document.id}   sha256:{self.document.manifest_sha256}")
        self.cell(0, 4, f"{self.page_no()} / {5 if self.document.sci else 4}", align="R")

    def _font(self, size: float, *, bold: bool = False, color: tuple[int, int, int] = _INK) -> None:
        self.set_font("Roboto", "B" if bold else "", size)
        self.set_text_color(*color)

    def _line(self, text: str, height: float) -> None:
        self.multi_cell(0, height, text, new_x=XPos.LMARGIN, new_y=YPos.NEXT, align="L")

    def _heading(self, text: str) -> None:
        self.ln(4)
        self._font(12, bold=True, color=_GREEN)
        self._line(text, 7)
        self._font(9.5)

    def _page(self, title: str) -> None:
        self.add_page()
        self._font(16, bold=True)
        self._line(title, 9)
        self.ln(1)

    def first_page(self) -> None:
        """The figure, its interval as a bar, what it means, and how to cite it."""
        columns = self.document.columns
        self.add_page()
        self._font(9, color=_SOFT)
        self._line(f"{columns['feature']['issuer']}  ·  {self.document.id}", 5)
        self._font(22, bold=True)
        self._line(self.document.title, 11)
        period = columns["reference_period"]
        self._font(10, color=_SOFT)
        self._line(
            f"{period['label']}: {period['start'][:10]} to {period['end'][:10]}, UTC, end exclusive", 6
        )
        if self.document.status != "active":
            self._font(11, bold=True, color=_RED)
            why = f": {self.document.status_reason}" if self.document.status_reason else ""
            by = f"; {self.document.replaced_by} takes its place" if self.document.replaced_by else ""
            self._line(f"This edition is {self.document.status}{why}{by}", 7)
        self.ln(6)
        self._font(34, bold=True, color=_GREEN)
        self._line(f"{columns['ghg_location']['value']} kgCO2e", 15)
        self._font(12)
        self._line("per 1,000 inferences, location-based", 7)
        self.ln(2)
        self._interval()
        self._cards()
        if self.document.customer is not None and self.document.share_kg is not None:
            self._font(10, bold=True)
            name, inferences = self.document.customer
            share = shown(self.document.share_kg)
            self._line(f"Share of {name}: {share} kgCO2e for {inferences:,} of its own inferences", 6)
        self._heading("What it is")
        self._line(
            f"{columns['functional_unit'][0].upper()}{columns['functional_unit'][1:]}. "
            f"The figure is use ({columns['ghg_use']['value']}) and manufacture of the hardware "
            f"({columns['ghg_embodied']['value']}). "
            f"{columns['ghg_location']['interval'][0].upper()}{columns['ghg_location']['interval'][1:]}.",
            5,
        )
        self._heading("How to quote it")
        self.set_fill_color(*_PALE)
        self.multi_cell(
            0,
            5,
            self.document.citation(),
            fill=True,
            padding=3,
            align="L",
            new_x=XPos.LMARGIN,
            new_y=YPos.NEXT,
        )

    def _interval(self) -> None:
        """The 95 % interval on a line from 0, drawn to scale."""
        columns = self.document.columns
        low, mid, high = (float(columns[key]["exact"]) for key in ("ghg_low95", "ghg_location", "ghg_high95"))
        left, width, y = self.l_margin, self.epw, self.get_y() + 5
        scale = width / (high * 1.05)
        self.set_draw_color(200, 208, 204)
        self.line(left, y, left + width, y)
        self.set_fill_color(190, 222, 207)
        self.rect(left + low * scale, y - 2, (high - low) * scale, 4, style="F")
        self.set_fill_color(*_GREEN)
        self.rect(left + mid * scale - 0.5, y - 3.5, 1, 7, style="F")
        self.set_y(y + 4)
        self._font(8.5, color=_SOFT)
        self._line(
            f"95 % interval: {columns['ghg_low95']['value']} to {columns['ghg_high95']['value']} kgCO2e; "
            f"bar from 0 to {high * 1.05:.3g}",
            5,
        )
        self.ln(4)

    def _cards(self) -> None:
        columns = self.document.columns
        volume = columns["volume"]
        cards = [
            ("electricity per 1,000", f"{columns['energy_kwh']['value']} kWh"),
            ("per 1,000,000", f"{columns['ghg_location']['per_1000000']} kgCO2e"),
            ("completed inferences", f"{float(volume['completed_inferences']):,.0f}"),
            ("the whole period", f"{columns['ghg_total']['period']['value']} kgCO2e"),
        ]
        width, y = (self.epw - 9) / 4, self.get_y()
        for index, (name, value) in enumerate(cards):
            x = self.l_margin + index * (width + 3)
            self.set_fill_color(*_PALE)
            self.rect(x, y, width, 17, style="F", round_corners=True, corner_radius=1.5)
            self.set_xy(x + 2.5, y + 2.5)
            self._font(8, color=_SOFT)
            self.cell(width - 5, 4, name)
            self.set_xy(x + 2.5, y + 8)
            self._font(12, bold=True)
            self.cell(width - 5, 6, value)
        self.set_xy(self.l_margin, y + 20)

    def table_page(self) -> None:
        """The 23 columns on one page."""
        self._page("The 23 columns")
        self.set_draw_color(214, 222, 218)
        number_mm, title_mm, value_mm = 7.0, 47.0, 56.0
        note_mm = self.epw - number_mm - title_mm - value_mm
        for line in self.document.lines():
            bold = line.key == "ghg_location"
            value = line.value if line.unit in ("", "-") else f"{line.value}  {line.unit}"
            cells = (
                (str(line.number), number_mm),
                (line.title, title_mm),
                (value, value_mm),
                (line.note, note_mm),
            )
            height = self._row_height(cells)
            y = self.get_y()
            if bold:
                self.set_fill_color(*_PALE)
                self.rect(self.l_margin, y, self.epw, height, style="F")
            x = self.l_margin
            for place, (text, width) in enumerate(cells):
                self.set_xy(x, y + 0.8)
                self._font(7.2, bold=bold or place == 2, color=_SOFT if place in (0, 3) else _INK)
                self.multi_cell(width - 1.5, 3.2, text, align="L")
                x += width
            self.line(self.l_margin, y + height, self.l_margin + self.epw, y + height)
            self.set_xy(self.l_margin, y + height)

    def _row_height(self, cells: tuple[tuple[str, float], ...]) -> float:
        self._font(7.2, bold=True)
        heights = [
            self.multi_cell(width - 1.5, 3.2, text, dry_run=True, output="HEIGHT") for text, width in cells
        ]
        return max(float(str(height)) for height in heights) + 1.6

    def method_page(self) -> None:
        """Boundary, evidence, what drives the interval, models and places."""
        columns = self.document.columns
        self._page("How it was made")
        self._heading("Method")
        method = columns["methodology"]
        self._line(
            f"{method['id']} (sha256:{method['sha256'][:16]}…): energy of each model call from its tokens, "
            "by input, cached input and output, times host, idle share and PUE; carbon by the grid where and "
            f"when it ran, {method['signal']} {method['factor_type']} intensity, location-based. "
            f"Use by direct factors: {_per_1000(columns['ghg_use']['direct'])}. "
            f"Market-based: {_per_1000(columns['ghg_market'])}.",
            5,
        )
        self._heading("Boundary")
        for is_in, word in ((True, "In"), (False, "Out")):
            names = [BOUNDARY_NAMES[row["code"]] for row in columns["boundary"] if row["is_in"] is is_in]
            self._line(f"{word}: {', '.join(names)}.", 5)
        self._heading("Evidence behind the figure")
        self._shares([(MIX_NAMES[kind], float(share)) for kind, share in columns["evidence_tier"].items()])
        volume = columns["volume"]
        self._line(
            f"Coverage {volume['coverage_percent']} % of inferences; {volume['gap_share_percent']} % of the "
            f"figure fills calls without usage ({volume['gap_rule']}). Data quality, 1 best to 5: technology "
            f"{columns['dqr']['technology']}, geography {columns['dqr']['geography']}, time "
            f"{columns['dqr']['time']}.",
            5,
        )
        self._heading("What makes the interval wide (share of the variance)")
        self._shares(
            [
                (d["factor"], float(d["share_of_variance_percent"]))
                for d in columns["ghg_location"]["drivers"][:6]
            ]
        )
        self._heading("Models and places (share of the figure)")
        rows = columns["models_regions"]
        self._shares([(f"{row['model']}, {row['region']}", float(row["share_percent"])) for row in rows[:8]])
        if len(rows) > 8:
            self._font(8.5, color=_SOFT)
            self._line(f"and {len(rows) - 8} more, in the workbook", 5)

    def _shares(self, rows: list[tuple[str, float]]) -> None:
        for name, share in rows:
            y = self.get_y()
            # long names of models and mixes of regions get smaller before they are cut
            self._font(8.5 if len(name) <= 46 else 7)
            self.cell(72, 5, name if len(name) <= 58 else f"{name[:57]}…")
            self._font(8.5)
            self.set_fill_color(190, 222, 207)
            self.rect(self.l_margin + 74, y + 1.2, max(0.2, min(share, 100.0)) * 0.75, 2.6, style="F")
            self.set_x(self.l_margin + 152)
            self.cell(0, 5, f"{share:.1f} %", align="R", new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def sources_page(self) -> None:
        """Data sets with digests, the change from the previous figure, and how to check all of it."""
        columns = self.document.columns
        self._page("Sources, change and seal")
        self._heading("Data sets")
        for source in columns["factor_sources"]:
            self._font(8, bold=True)
            self.cell(52, 4.4, f"{source['name']} {source['version']}".strip())
            self._font(7.5, color=_SOFT)
            self.cell(62, 4.4, source.get("licence", ""))
            digest = f"sha256:{source['sha256'][:24]}…"
            self.cell(0, 4.4, digest, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        self._heading("Change from the previous figure")
        change = columns["change"]
        if change["change_percent"] == NOT_AVAILABLE:
            self._line("There is no earlier figure of this feature.", 5)
        else:
            self._line(
                f"{change['change_percent'].replace('-', '−')} % ({change['class']}) "
                f"from {change['previous_id']}. "
                f"{change['reason']}",
                5,
            )
        self._bridge()
        self._comparative()
        self._heading("How to check it")
        self._line(
            f"wattspan disclosure verify {self.document.id} compares every byte with the signed manifest and "
            "the ledger; wattspan disclosure reproduce reckons the figures again from the sealed daily sums, "
            f"to the last digit. Signed by {self.document.key}, ledger line {self.document.ledger_line}, "
            f"{self.document.published}. A signature proves who and when, not that an estimate is right.",
            5,
        )

    def sci_page(self) -> None:
        """The SCI score and what its specification wants told beside it."""
        self._page("SCI score")
        self.set_draw_color(214, 222, 218)
        for name, text in self.document.sci_lines():
            y = self.get_y()
            self.set_y(y + 1.2)
            self._font(9, color=_SOFT)
            self.cell(46, 4.6, name)
            self._font(9.5)
            self.multi_cell(0, 4.6, text, align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
            y = self.get_y() + 1.2
            self.line(self.l_margin, y, self.l_margin + self.epw, y)
            self.set_y(y)

    def _bridge(self) -> None:
        """The change per 1,000 inferences, step after step, and what each step adds up to."""
        if self.document.bridge is None:
            return
        (sums,) = (found for found in self.document.bridge["sums"] if found["of"] == PER_1000_TEXT)
        steps = [s for s in self.document.bridge["steps"] if s["of"] == PER_1000_TEXT]
        self._font(8.5, bold=True)
        self._line(f"What the change is made of, {sums['unit']}", 5)
        self._waterfall(waterfall(self.document.bridge, PER_1000_TEXT))
        self._font(8.5)
        parts = ", ".join(f"{s['step']} {shown(Decimal(sums[s['step']]))}" for s in steps)
        self._line(
            f"{shown(Decimal(sums['before']))} before, {parts}, {shown(Decimal(sums['after']))} after; "
            "nothing is left over. The same for the period's total is in the workbook.",
            4.4,
        )

    def _comparative(self) -> None:
        """The period before under both methodologies."""
        found = self.document.comparative
        if found is None:
            return
        self.ln(1.5)
        self._font(8.5, bold=True)
        self._line("The periods under both methods, kgCO2e per 1,000 inferences", 5)
        for row in found["rows"]:
            self._font(8)
            self.cell(24, 4.4, row["period"])
            self.cell(56, 4.4, row["label"])
            self.cell(40, 4.4, row["methodology"])
            value = f"{row['kg_per_1000']}  ({row['kg_per_1000_low95']} to {row['kg_per_1000_high95']})"
            self.cell(0, 4.4, value, new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def _waterfall(self, shapes: Sequence[Bar]) -> None:
        top, height = self.get_y() + 4, 30.0
        low = min(0.0, *(min(bar.start, bar.end) for bar in shapes))
        high = max(max(bar.start, bar.end) for bar in shapes) or 1.0
        step_mm, scale = self.epw / len(shapes), height / (high - low)
        # a page break between two bars would tear them apart
        with self.unbreakable() as block:
            for index, bar in enumerate(shapes):
                x = block.l_margin + index * step_mm + 2
                y0, y1 = (top + (high - value) * scale for value in (bar.start, bar.end))
                block.set_fill_color(
                    *(_GREEN if bar.is_total else _RED if bar.end > bar.start else (120, 180, 150))
                )
                block.rect(x, min(y0, y1), step_mm - 4, max(abs(y1 - y0), 0.3), style="F")
                if index + 1 < len(shapes):
                    block.set_draw_color(200, 208, 204)
                    block.line(x + step_mm - 4, y1, x + step_mm, y1)
                self._font(6.6)
                block.set_xy(x - 2, min(y0, y1) - 3.6)
                block.cell(step_mm, 3.4, bar.text, align="C")
                self._font(6.6, bold=bar.is_total, color=_INK if bar.is_total else _SOFT)
                block.set_xy(x - 2, top + height + 1)
                block.multi_cell(step_mm, 2.9, bar.label, align="C")
            block.set_xy(block.l_margin, top + height + 11)


def _per_1000(found: Mapping[str, str]) -> str:
    value = found["value"]
    return value if value == NOT_AVAILABLE else f"{value} kgCO2e per 1,000"
