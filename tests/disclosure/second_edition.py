"""A second methodology edition, made from the first by data: other coefficients, PUE and grid figures."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wattspan.methodology import EDITIONS_FOLDER, Edition
from wattspan.methodology.digest import MANIFEST, make_manifest

FIRST = "2026.11"
SECOND = "2027.02"

Change = Callable[[Path], None]


def made(root: Path, *changes: Change, name: str = SECOND, status: str = "released") -> Edition:
    """The edition `name` under `root`: a copy of the first, with each of `changes` made to its folder."""
    folder = root / name
    shutil.copytree(EDITIONS_FOLDER / FIRST, folder)
    for change in changes:
        change(folder)
    (folder / MANIFEST).write_text(json.dumps(make_manifest(folder, name, status)))
    return Edition.load(name, root)


def coefficients(factor: float) -> Change:
    """Joules per active parameter and decoded token, and per input token, times `factor`."""

    def change(form: dict[str, Any]) -> None:
        form["decode"]["active_j_per_b"]["value"] *= factor
        form["prefill"]["prefill_j_per_b"]["value"] *= factor

    return lambda folder: _edit_json(folder / "form.json", change)


def pue(value: str) -> Change:
    """The PUE of every facility."""
    return lambda folder: _edit_csv(folder / "facilities.csv", {"pue": lambda _: value})


def grid(factor: float) -> Change:
    """Every annual figure of the grid times `factor`."""

    def change(folder: Path) -> None:
        scale = {
            str(year): lambda text: str(float(text) * factor) if text else "" for year in range(2015, 2027)
        }
        for name in ("odbl/yearly.csv", "grid/ember.csv"):
            _edit_csv(folder / name, scale)

    return change


def embodied(factor: float) -> Change:
    """Carbon of making a GPU times `factor`."""

    def change(gpus: dict[str, Any]) -> None:
        for row in gpus.values():
            row["embodied_kg"]["value"] *= factor

    return lambda folder: _edit_json(folder / "gpus.json", change)


def install(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    """Have the editions under `root` beside those that are shipped."""
    load = Edition.load.__func__

    def either(cls: type[Edition], name: str = FIRST, root_of: Path = EDITIONS_FOLDER) -> Edition:
        return load(cls, name, root if (root / name).is_dir() else root_of)

    monkeypatch.setattr(Edition, "load", classmethod(either))


def _edit_json(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content, indent=1))


def _edit_csv(path: Path, columns: dict[str, Callable[[str], str]]) -> None:
    head, *rows = csv.reader(io.StringIO(path.read_text(), newline=""))
    for row in rows:
        for place, name in enumerate(head):
            if name in columns:
                row[place] = columns[name](row[place])
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([head, *rows])
