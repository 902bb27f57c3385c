from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.web.published_book import write_book
from tests.web.site_thread import served, write_lake


@pytest.fixture(scope="session")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lake")
    write_lake(folder)
    return folder


@pytest.fixture(scope="session")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published") / "disclosures"
    write_book(folder)
    return folder


@pytest.fixture(scope="session")
def site(lake: Path, book: Path) -> Iterator[str]:
    with served(lake, book=book) as address:
        yield address
