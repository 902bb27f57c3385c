from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.disclosure.pact_sources import Shelf
from tests.disclosure.sealed_rows import cell, sealed
from tests.pact.pact_host import Authority, Customer, Host, config_of, customers, hosting, recipient
from wattspan.disclosure.subject import Feature


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def customer(authority: Authority) -> Iterator[Customer]:
    with customers(authority) as found:
        yield found


@pytest.fixture(scope="session")
def host(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority, customer: Customer
) -> Iterator[Host]:
    """Three footprints: a wrong summary, the right one in its place, and search."""
    root = tmp_path_factory.mktemp("host")
    shelf = Shelf(root)
    shelf.restated(shelf.publish())
    shelf.publish(feature=Feature("search", "Search", "SE-1"), rows=sealed(cell(feature="search")))
    config = config_of(root, authority, recipients=[recipient(customer, authority)])
    with hosting(shelf, config, authority) as found:
        yield found
