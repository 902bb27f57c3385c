"""What changed between two editions: every value of their tables, by topic, old and new."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from wattspan.methodology.edition import Edition

TOPICS: Final = (
    "models",
    "names",
    "coefficients",
    "hardware",
    "hosts",
    "PUE and water",
    "grid",
    "typical hours",
    "regions",
    "places",
    "spreads",
    "compute",
    "provenance",
)
"""In the order in which a reader wants them."""

_TOPIC_OF: Final[Mapping[str, str]] = {
    "models.json": "models",
    "mpl/models.json": "models",
    "form.json": "coefficients",
    "gpus.json": "hardware",
    "hosts.json": "hosts",
    "facilities.csv": "PUE and water",
    "odbl/yearly.csv": "grid",
    "odbl/direct.csv": "grid",
    "odbl/bands.csv": "spreads",
    "odbl/shapes_direct.csv": "typical hours",
    "odbl/shapes_lifecycle.csv": "typical hours",
    "grid/ember.csv": "grid",
    "grid/egrid.csv": "grid",
    "grid/google.csv": "grid",
    "grid/china.csv": "grid",
    "grid/spreads.csv": "spreads",
    "regions.csv": "regions",
    "places.json": "places",
    "spreads.json": "spreads",
    "compute.json": "compute",
}
_KEYS_OF_ROWS: Final[Mapping[str, int]] = {
    "regions.csv": 2,
    "odbl/direct.csv": 2,
    "odbl/bands.csv": 3,
    "odbl/shapes_direct.csv": 2,
    "odbl/shapes_lifecycle.csv": 2,
}
"""How many of a table's first columns name a row; one where it is not said."""
_NAMES_OF_ENTRIES: Final = ("id", "host", "key", "what", "from")
"""Keys by whose value an entry of a list is known, the first that it has."""
_NAMES: Final = ("aliases", "ollama", "names", "orgs", "snapshots")
"""Parts of the registry that say what an id means, not what a model is."""
_PROSE: Final = frozenset(
    ("source", "sources", "reason", "basis", "note", "checked", "seen", "narrower", "witnesses", "evidence")
)
"""Keys and columns that say where a value comes from."""


class Difference(NamedTuple):
    """One value that is not the same in both editions."""

    topic: str
    path: str
    """File, then the names down to the value, joined by " / "."""
    old: str
    """"" where the first edition has no such value."""
    new: str
    """"" where the second has none."""

    @property
    def change(self) -> str:
        """added | removed | changed."""
        return "changed" if self.old and self.new else "added" if self.new else "removed"

    @property
    def percent(self) -> float | None:
        """Of the old value; None where one of the two is no number, or the old one is 0."""
        try:
            old, new = float(self.old), float(self.new)
        except ValueError:
            return None
        return (new / old - 1) * 100 if old else None


def differences(old: Edition, new: Edition) -> tuple[Difference, ...]:
    """Every value of the tables of two editions that differs, by topic, then in the order of their names.

    A part that was deleted from an installed edition is as if it were empty.
    """
    found = []
    for file in sorted(_files(old) | _files(new)):
        before, after = (dict(_values(edition, file)) for edition in (old, new))
        for path in before.keys() | after.keys():
            values = before.get(path, ""), after.get(path, "")
            if values[0] != values[1]:
                found.append(Difference(_topic(file, path), " / ".join((file, *path)), *values))
    return tuple(sorted(found, key=lambda one: (TOPICS.index(one.topic), one.path)))


def models_of(old: Edition, new: Edition) -> tuple[list[str], list[str]]:
    """Ids of models that were added, and of those that were removed."""
    before, after = set(old.registry.models), set(new.registry.models)
    return sorted(after - before), sorted(before - after)


def _files(edition: Edition) -> set[str]:
    parts = edition.manifest["parts"].values()
    return {path for part in parts for path in part["files"] if path.endswith((".csv", ".json"))}


def _topic(file: str, path: tuple[str, ...]) -> str:
    if _PROSE.intersection(path):
        return "provenance"
    topic = _TOPIC_OF.get(file, "provenance")
    return "names" if topic == "models" and set(_NAMES).intersection(path) else topic


def _values(edition: Edition, file: str) -> Iterator[tuple[tuple[str, ...], str]]:
    if not edition.has(file):
        return
    text = edition.read_text(file)
    if file.endswith(".json"):
        yield from _leaves(json.loads(text), ())
        return
    head, *rows = csv.reader(io.StringIO(text, newline=""))
    keys = _KEYS_OF_ROWS.get(file, 1)
    for row in rows:
        for name, value in zip(head[keys:], row[keys:], strict=True):
            if value:
                yield (*row[:keys], name), value


def _leaves(content: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(content, dict):
        for key, value in content.items():
            yield from _leaves(value, (*path, key))
    elif isinstance(content, list) and any(isinstance(entry, (dict, list)) for entry in content):
        for place, entry in enumerate(content):
            yield from _leaves(entry, (*path, _name(entry, place)))
    elif isinstance(content, list):
        yield path, ", ".join(map(_text, content))
    else:
        yield path, _text(content)


def _name(entry: Any, place: int) -> str:
    if isinstance(entry, dict):
        for key in _NAMES_OF_ENTRIES:
            if key in entry:
                return str(entry[key])
    if isinstance(entry, list) and entry and isinstance(entry[0], str):
        return entry[0]
    return str(place)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
