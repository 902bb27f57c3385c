"""The grid tables of the edition, built from the evidence."""

import shutil
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
def open_edition(edition: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The edition after somebody deleted its ODbL folder."""
    folder = tmp_path_factory.mktemp("open") / "edition"
    shutil.copytree(edition, folder, ignore=shutil.ignore_patterns("odbl"))
    return folder


@pytest.fixture(scope="session")
def places(edition: Path) -> Places:
    return Places(edition)


@pytest.fixture(scope="session")
def region(places: Places):
    def find(name: str) -> Place:
        cloud, _, region = name.partition("/")
        return places.resolve(PlaceKey(span_region=region, span_cloud=cloud))

    return find


@pytest.fixture(scope="session")
def mix(places: Places):
    def find(cloud: str, geography: str) -> Place:
        provider = {"big3": "anthropic"}.get(cloud, "")
        return places.resolve(
            PlaceKey(span_region=geography, span_cloud="" if provider else cloud, provider=provider)
        )

    return find
