"""What `wattspan disclosure crosswalk` prints: the points of a standard or form beside our cells."""

from __future__ import annotations

import json

import typer
from rich.table import Table

from wattspan.cli.console import console, fail
from wattspan.disclosure.answers import CELLS
from wattspan.disclosure.crosswalk import FORMS, STATUSES, Placed, crosswalk, markdown, placed
from wattspan.disclosure.render.document import Document

__all__ = ["markdown", "show"]


def show(document: Document | None, target: str | None, *, as_json: bool) -> None:
    """Print the crosswalk, with the values of `document` where there is one."""
    rows = crosswalk()
    if target is not None:
        known = dict.fromkeys(row.target.key for row in rows)
        rows = tuple(row for row in rows if row.target.key == target)
        if not rows:
            fail(f"--target is {target!r}; allowed: {', '.join(known)}")
    found = placed(document, rows) if document else [Placed(row, "") for row in rows]
    if as_json:
        typer.echo(json.dumps([_plain(document, one) for one in found], indent=2, ensure_ascii=False))
        return
    for key in dict.fromkeys(one.row.target.key for one in found):
        group = [one for one in found if one.row.target.key == key]
        about = group[0].row.target
        table = Table(
            "point", "our cell", *(["value"] if document else []), "how", "how sure", title=about.name
        )
        for row, value in group:
            sure = STATUSES[row.status]
            table.add_row(
                f"{row.point}\n{row.about}",
                CELLS[row.cell].title,
                *([value] if document else []),
                FORMS[row.form],
                f"{sure}; {row.source}",
                style="yellow" if row.status == "unverified" else "",
            )
        console.print(table)
        if about.note:
            console.print(about.note, style="dim", markup=False)


def _plain(document: Document | None, one: Placed) -> dict[str, str]:
    row = one.row
    return {
        "target": row.target.key,
        "point": row.point,
        "about": row.about,
        "cell": row.cell,
        **({"disclosure": document.id, "value": one.value} if document else {}),
        "form": row.form,
        "status": row.status,
        "source": row.source,
    }
