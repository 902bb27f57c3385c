"""The disclosure as one HTML page: no script, no outside request."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files

from jinja2 import Environment, Template

from wattspan.disclosure.render.chart import bars
from wattspan.disclosure.render.document import BOUNDARY_NAMES, MIX_NAMES, Document


def written(document: Document) -> bytes:
    """The bytes of the page; every text of the disclosure is escaped."""
    steps = document.bridge["steps"] if document.bridge else []
    text = _template().render(
        document=document,
        columns=document.columns,
        lines=document.lines(),
        bridges=[(step, bars(step)) for step in steps],
        boundary_names=BOUNDARY_NAMES,
        mix_names=MIX_NAMES,
    )
    return text.encode()


@lru_cache(1)
def _template() -> Template:
    source = files("wattspan.disclosure.render").joinpath("page.html.j2").read_text(encoding="utf-8")
    return Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(source)
