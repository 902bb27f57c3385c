"""`FactorTables`: the lines of an edition's tables that the coefficients of a disclosure come from.

They are sealed in the folder, so that an auditor can follow a coefficient to its source rows without the
edition; each table's digest is that of the whole file in the edition. Values of a grid feed are not among
them: a licence may keep them private, and the folder has sums weighted by them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any, Final

from wattspan.disclosure import canonical
from wattspan.disclosure.figure import Sealed
from wattspan.methodology import Edition
from wattspan.methodology.digest import part_of

LICENCES: Final[Mapping[str, str]] = {
    "core": "Apache-2.0, grid tables CC BY 4.0",
    "odbl": "ODbL-1.0",
    "mpl": "MPL-2.0",
}
_WHOLE: Final = (
    "form.json",
    "gpus.json",
    "hosts.json",
    "spreads.json",
    "grid/NOTICE",
    "grid/spreads.csv",
    "mpl/NOTICE",
    "odbl/LICENSE",
)
_BY_ZONE: Final = ("odbl/yearly.csv", "odbl/direct.csv", "odbl/bands.csv", "grid/ember.csv", "grid/egrid.csv")
_SHAPES: Final = ("odbl/shapes_lifecycle.csv", "odbl/shapes_direct.csv")
_FACILITY: Final = "facility:"


class FactorTables:
    """The tables of one edition."""

    def __init__(self, edition: Edition) -> None:
        self.edition = edition

    def of(self, sealed: Sealed) -> bytes:
        """`methodology/tables.json` of rows, canonical."""
        files = [
            {
                "path": path,
                "sha256": digest,
                "licence": LICENCES[part_of(path)],
                "text": text,
            }
            for path, text in sorted(self._texts(sealed).items())
            if text and (digest := self._digests.get(path))
        ]
        return canonical.written(
            {
                "schema": "wattspan-tables/1",
                "edition": self.edition.label,
                "sha256": self.edition.digest,
                "files": files,
            }
        )

    def _texts(self, sealed: Sealed) -> dict[str, str]:
        cells = [cell for cell in sealed.cells if cell.vector]
        models = {cell.model for cell in cells}
        regions = {cell.region for cell in cells}
        errors = {key for spread in sealed.spreads.values() for key, _ in spread.energy}
        facilities = {key.removeprefix(_FACILITY) for key in errors if key.startswith(_FACILITY)}
        has_mix = any(not self._is_region(region) for region in regions)
        zones = {cell.zone for cell in cells} | {self._zones.get(region, "") for region in regions}
        texts = {path: self._text(path) for path in _WHOLE}
        texts["models.json"] = self._models("models.json", models)
        texts["mpl/models.json"] = self._models("mpl/models.json", models)
        texts["facilities.csv"] = self._lines("facilities.csv", lambda row: row[0] in facilities)
        # a mix of regions is made of all of them
        texts["regions.csv"] = self._lines("regions.csv", lambda row: has_mix or "/".join(row[:2]) in regions)
        for path in _BY_ZONE:
            texts[path] = self._lines(path, lambda row: has_mix or row[0] in zones)
        if any(cell.grid_resolution == "typical-hour" for cell in cells):
            for path in _SHAPES:
                texts[path] = self._lines(path, lambda row: row[0] in zones)
        return texts

    def _models(self, path: str, ids: Iterable[str]) -> str:
        """The entries of models, and the classes that stand in for unknown sizes."""
        content = self._parsed.get(path)
        if content is None:
            return ""
        models = content["models"]
        if isinstance(models, Mapping):
            found: dict[str, Any] = {"models": {name: models[name] for name in sorted(ids) if name in models}}
        else:
            found = {"classes": content["classes"], "models": [m for m in models if m["id"] in set(ids)]}
        return json.dumps(found, indent=1, ensure_ascii=False, sort_keys=True) if found["models"] else ""

    def _lines(self, path: str, wanted: Callable[[list[str]], bool]) -> str:
        """Header and wanted lines of a CSV file, as they stand there; "" where none is wanted."""
        head, *lines = self._text(path).splitlines(keepends=True) or [""]
        kept = [line for line in lines if wanted(line.split(","))]
        return head + "".join(kept) if kept else ""

    def _is_region(self, label: str) -> bool:
        return label in self._zones

    @cached_property
    def _zones(self) -> dict[str, str]:
        """Grid zone by region."""
        rows = self.edition.read_csv("regions.csv")
        return {f"{row['provider']}/{row['region']}": row["zone"] for row in rows}

    @cached_property
    def _digests(self) -> dict[str, str]:
        parts = self.edition.manifest["parts"].values()
        return {path: digest for part in parts for path, digest in part["files"].items()}

    @cached_property
    def _parsed(self) -> dict[str, Any]:
        paths = ("models.json", "mpl/models.json")
        return {path: self.edition.read_json(path) for path in paths if self.edition.has(path)}

    @cached_property
    def _read(self) -> dict[str, str]:
        return {}

    def _text(self, path: str) -> str:
        if path not in self._read:
            self._read[path] = self.edition.read_text(path) if self.edition.has(path) else ""
        return self._read[path]
