"""What `wattspan disclosure fill` does, apart from the terminal."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from wattspan.disclosure.questionnaire.column_map import ColumnMap, QuestionnaireError, read_map
from wattspan.disclosure.questionnaire.fill import Outcome, fill
from wattspan.disclosure.questionnaire.sheet import open_sheet
from wattspan.disclosure.questionnaire.suggest import suggest
from wattspan.disclosure.render.csv_file import inert
from wattspan.disclosure.render.document import Document

__all__ = ["QuestionnaireError", "filled", "plain", "suggested"]


def suggested(questionnaire: Path, sheet: str, header_row: int) -> str:
    """A map to begin with. Raises QuestionnaireError."""
    return suggest(open_sheet(questionnaire, ColumnMap("", {}, sheet=sheet, header_row=header_row)))


def filled(
    questionnaire: Path,
    map_file: Path,
    out: Path,
    documents: Iterable[Document],
    must_be_whole: Callable[[str], None],
) -> tuple[Outcome, list[str], list[Path]]:
    """Fill it; also what could not be kept of it, and the files written.

    `must_be_whole` is asked of each disclosure that is quoted, before anything is written. Raises
    QuestionnaireError, and what that raises.
    """
    if out.resolve() == questionnaire.resolve():
        raise QuestionnaireError(
            f"{out} is the questionnaire itself; give another name, so that it stays as it came"
        )
    if out.suffix.lower() != questionnaire.suffix.lower():
        raise QuestionnaireError(f"{out.name}: {questionnaire.name} is filled as {questionnaire.suffix}")
    try:
        text = map_file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise QuestionnaireError(f"{map_file} cannot be read: {error}") from error
    asked = read_map(text, map_file.name)
    sheet = open_sheet(questionnaire, asked)
    outcome = fill(sheet, asked, list(documents), map_file.name)
    for used in sorted({one.disclosure for one in outcome.filled}):
        must_be_whole(used)
    written = [_write(out, sheet.saved())]
    if not sheet.can_note:
        written.append(_write(out.with_name(f"{out.stem}.notes.csv"), _notes(outcome)))
    return outcome, sheet.lost(), written


def plain(outcome: Outcome, lost: list[str]) -> dict[str, Any]:
    """The outcome as plain values."""
    return {
        "rows": outcome.rows,
        "filled": [one._asdict() for one in outcome.filled],
        "left": [one._asdict() for one in outcome.left],
        "unmapped_columns": outcome.unmapped,
        "not_kept": lost,
    }


def _notes(outcome: Outcome) -> bytes:
    """Where each filled cell is from: CSV has no notes of its own."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(["place", "column", "value", "disclosure", "note"])
    for one in outcome.filled:
        writer.writerow(map(inert, (one.place, one.header, one.value, one.disclosure, one.note)))
    return text.getvalue().encode()


def _write(path: Path, data: bytes) -> Path:
    building = path.with_name(f".{path.name}.building")
    try:
        building.write_bytes(data)
        os.replace(building, path)
    except OSError as error:
        building.unlink(missing_ok=True)
        raise QuestionnaireError(f"{path} cannot be written: {error.strerror}") from error
    return path
