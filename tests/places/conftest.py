"""The place tables of the edition, built from the evidence."""

from pathlib import Path

import pytest

from evidence.edition.grid import build
from wattspan.places import Place, PlaceKey, Places


@pytest.fixture(scope="session")
def edition(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("edition")
    build(folder)
    return folder


@pytest.fixture(scope="session")
def places(edition: Path) -> Places:
    return Places(edition)


@pytest.fixture(scope="session")
def place_of(places: Places):
    def resolve(**key: str | bool) -> Place:
        return places.resolve(PlaceKey(**key))

    return resolve
