"""Every id in every route of the page, filled with what would leave its folder: the disk is not answered."""

from __future__ import annotations

import http.client
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.web.published_book import SECOND
from tests.web.site_thread import served
from wattspan.web.site import make_app

CANARY = "a-line-that-only-the-disk-has"
ESCAPES = (
    "..",
    "%2e%2e",
    "..%2f..%2fcanary.txt",
    "..%2F..%2F..%2F..%2F..%2F..%2Fetc%2Fpasswd",
    "....%2f%2f....%2f%2fcanary.txt",
    "%2e%2e%5c%2e%2e%5ccanary.txt",
    "%252e%252e%252fcanary.txt",
    "canary.txt",
    "canary.txt%00.css",
    "%00",
    "%ff%fe",
    "%c0%ae%c0%ae%c0%afcanary.txt",
    "file:%2f%2f%2fetc%2fpasswd",
    "ledger.jsonl",
    "manifest.json",
    "*",
    "%7e",
    "a" * 4000,
)
_PART = re.compile(r"\{(\w+)\}")


@pytest.fixture(scope="module")
def guarded(lake: Path, book: Path) -> Iterator[str]:
    for folder in {lake, lake.parent, book, book.parent, book / "2026Q3"}:
        (folder / "canary.txt").write_text(CANARY)
    with served(lake, book=book) as address:
        yield address
    for folder in {lake, lake.parent, book, book.parent, book / "2026Q3"}:
        (folder / "canary.txt").unlink()


def routes() -> list[str]:
    """Paths of the page that have an id in them."""
    found = {resource.canonical for resource in make_app(Path("lake")).router.resources()}
    return sorted(path for path in found if _PART.search(path))


def answer(address: str, path: str) -> tuple[int, bytes]:
    """What a client that tidies nothing up is told."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
    try:
        connection.request("GET", path)
        found = connection.getresponse()
        return found.status, found.read()
    finally:
        connection.close()


def test_there_are_routes_with_ids() -> None:
    assert {"/traces/{trace}", "/static/{name}", "/methodology/{edition}"} < set(routes())
    assert len(routes()) >= 12


@pytest.mark.parametrize("route", routes())
def test_no_id_reaches_the_disk(guarded: str, route: str) -> None:
    real = dict(zip(("issuer", "period", "name"), SECOND.split("/"), strict=True))
    names = _PART.findall(route)
    for name, escape in product(names, ESCAPES):
        filled = {other: real.get(other, "x") for other in names} | {name: escape}
        path = _PART.sub(lambda match, filled=filled: filled[match[1]], route)
        status, body = answer(guarded, path)
        assert 400 <= status < 500, (path, status)
        assert CANARY.encode() not in body, path
        assert b"root:" not in body, path
        assert b'"files"' not in body, path
        assert b"Traceback" not in body, path


@pytest.mark.parametrize("query", ["q", "feature", "service", "model", "sort", "estimates", "from", "page"])
def test_no_query_reaches_the_disk(guarded: str, query: str) -> None:
    for page, escape in product(("/", "/traces", "/models", "/api/flame", "/api/traces"), ESCAPES):
        status, body = answer(guarded, f"{page}?{query}={escape}")
        assert status < 500, (page, query, escape)
        assert CANARY.encode() not in body
        assert b"root:" not in body
