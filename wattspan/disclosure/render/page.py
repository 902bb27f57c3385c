"""The disclosure as one HTML page: no script, no outside request."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from importlib.resources import files

from jinja2 import Environment, Template

from wattspan.disclosure.comparison import PER_1000_TEXT
from wattspan.disclosure.numbers import shown
from wattspan.disclosure.render.chart import drawing, waterfall
from wattspan.disclosure.render.document import BOUNDARY_NAMES, MIX_NAMES, Document


def written(document: Document) -> bytes:
    """The bytes of the page; every text of the disclosure is escaped."""
    bridge = document.bridge
    sums: Mapping[str, str] = {}
    if bridge:
        (sums,) = (one for one in bridge["sums"] if one["of"] == PER_1000_TEXT)
    text = _template().render(
        document=document,
        columns=document.columns,
        lines=document.lines(),
        bridge=drawing(waterfall(bridge, PER_1000_TEXT)) if bridge else None,
        sums=sums,
        comparative=document.comparative["rows"] if document.comparative else [],
        shown=lambda number: shown(Decimal(number)),
        boundary_names=BOUNDARY_NAMES,
        mix_names=MIX_NAMES,
    )
    return text.encode()


@lru_cache(1)
def _template() -> Template:
    source = files("wattspan.disclosure.render").joinpath("page.html.j2").read_text(encoding="utf-8")
    return Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(source)
