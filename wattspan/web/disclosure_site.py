"""Handlers of the pages of disclosures. They read a book, look ids up in its ledger, and never write."""

from __future__ import annotations

import asyncio
import io
import time
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

from aiohttp import web
from jinja2 import Environment

from wattspan.disclosure.book import Book, BookError, Published
from wattspan.disclosure.canonical import CanonicalError, sha256
from wattspan.disclosure.cells import CellsError
from wattspan.disclosure.evidence import Chain, chain
from wattspan.disclosure.figure import NoFigureError
from wattspan.disclosure.folder import STATEMENT, FolderError, read_files
from wattspan.disclosure.ledger import FILE, LedgerError
from wattspan.disclosure.pact.rendering import PactError
from wattspan.disclosure.pact.rendering import written as pact_file
from wattspan.disclosure.pact.terms import Terms
from wattspan.disclosure.render.published import RENDERINGS, document_of
from wattspan.web import disclosures

CHECKS_AT_ONCE: Final = 6
"""Checks that may be asked for in quick succession, by all visitors together."""
SECONDS_A_CHECK: Final = 2.0
"""How often one more is allowed."""
KEPT: Final = 8
"""Folders that are held apart in memory."""
_BROKEN: Final = (
    LedgerError,
    FolderError,
    CanonicalError,
    CellsError,
    NoFigureError,
    BookError,
    PactError,
)
PACT: Final = "pact.json"
"""The footprint of WBCSD PACT."""
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_AT: Final = "/disclosures/{issuer}/{period}/{name}"


class Seen(NamedTuple):
    """A folder as it lies there now."""

    chain: Chain
    problems: tuple[str, ...]
    """What `verify` says of it."""


class TooOftenError(Exception):
    """Checks were asked for too often; `wait_s`: until the next one."""

    def __init__(self, wait_s: int) -> None:
        self.wait_s = wait_s
        super().__init__(f"checks were asked for too often: the next one can be had in {wait_s} s")


class Pace:
    """Lets so many checks through at once and then one every so often."""

    def __init__(
        self, at_once: int, seconds_each: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._left, self._at_once, self._seconds_each = float(at_once), at_once, seconds_each
        self._clock, self._seen = clock, clock()

    def take(self) -> None:
        """Take one. Raises TooOftenError."""
        now = self._clock()
        self._left = min(self._at_once, self._left + (now - self._seen) / self._seconds_each)
        self._seen = now
        if self._left < 1:
            raise TooOftenError(max(1, round((1 - self._left) * self._seconds_each)))
        self._left -= 1


class DisclosureSite:
    """Pages over the book in a folder, which may come later."""

    def __init__(self, folder: Path, templates: Environment, terms: Terms) -> None:
        self.book, self._terms = Book(folder), terms
        self.templates = templates
        self.pace = Pace(CHECKS_AT_ONCE, SECONDS_A_CHECK)
        self._seen: OrderedDict[str, Seen] = OrderedDict()
        self._one_at_a_time = asyncio.Semaphore(1)

    def routes(self) -> list[web.RouteDef]:
        """What can be asked."""
        return [
            web.get("/disclosures", self.page("disclosures.html.j2", self.index)),
            web.get(_AT, self.page("disclosure.html.j2", self.show)),
            web.get(f"{_AT}/verify", self.page("disclosure.html.j2", self.verify)),
            web.get(f"{_AT}/reproduce", self.page("disclosure.html.j2", self.reproduce)),
            web.get(f"{_AT}/days/{{day}}", self.page("disclosure_day.html.j2", self.day)),
            web.get(f"{_AT}/files/{{file}}", self.download),
            web.get(f"/api{_AT}/verify", self.api(self.run_verify)),
            web.get(f"/api{_AT}/reproduce", self.api(self.run_reproduce)),
            web.get("/methodology/{edition}", self.page("edition.html.j2", self.edition)),
        ]

    def page(self, template: str, ask: Callable[[web.Request], dict[str, Any]]) -> Any:
        """A handler that renders `template` with what `ask` finds."""

        async def handle(request: web.Request) -> web.Response:
            name, headers = template, {}
            status, content = 200, {}
            try:
                content = await self._asked(ask, request)
            except KeyError as error:
                status, name, content = 404, "problem.html.j2", {"problem": str(error.args[0])}
            except TooOftenError as error:
                status, name, content = 429, "problem.html.j2", {"problem": str(error)}
                headers = {"Retry-After": str(error.wait_s)}
            except _BROKEN as error:
                status, name, content = 503, "problem.html.j2", {"problem": str(error)}
            text = self.templates.get_template(name).render(here=request.path, **content)
            return web.Response(text=text, status=status, content_type="text/html", headers=headers)

        return handle

    def api(self, run: Callable[[Published], dict[str, Any]]) -> Any:
        """A handler that answers with a check's result in JSON."""

        async def handle(request: web.Request) -> web.Response:
            try:
                found = await self._asked(lambda asked: self._checked(run, asked), request)
            except KeyError as error:
                return web.json_response({"error": str(error.args[0])}, status=404)
            except TooOftenError as error:
                headers = {"Retry-After": str(error.wait_s)}
                return web.json_response({"error": str(error)}, status=429, headers=headers)
            except _BROKEN as error:
                return web.json_response({"error": str(error)}, status=503)
            return web.json_response(found)

        return handle

    async def _asked(self, ask: Callable[[web.Request], Any], request: web.Request) -> Any:
        async with self._one_at_a_time:
            return await asyncio.to_thread(ask, request)

    def index(self, request: web.Request) -> dict[str, Any]:
        """All disclosures."""
        return disclosures.list_page(self.book)

    def show(self, request: web.Request, checks: Any = None) -> dict[str, Any]:
        """One of them."""
        published = self._published(request)
        return disclosures.show_page(self.book, published, *self._read(published), checks)

    def verify(self, request: web.Request) -> dict[str, Any]:
        """The page with a run of verify."""
        found = self._checked(self.run_verify, request)
        # What was changed may not be readable any more: then the findings stand alone.
        try:
            return self.show(request, found)
        except _BROKEN:
            return {"checks": found, "address": self._published(request).id, "document": None}

    def reproduce(self, request: web.Request) -> dict[str, Any]:
        """The page with a run of reproduce."""
        return self.show(request, self._checked(self.run_reproduce, request))

    def run_verify(self, published: Published) -> dict[str, Any]:
        """What `wattspan disclosure verify` does."""
        return disclosures.verified(self.book.checks(published.id))

    def run_reproduce(self, published: Published) -> dict[str, Any]:
        """What `wattspan disclosure reproduce` does."""
        rows = len(self._read(published).chain.sealed.cells)
        return disclosures.reproduced(self.book.reproduce(published.id), rows)

    def day(self, request: web.Request) -> dict[str, Any]:
        """The rows of one day."""
        published = self._published(request)
        return disclosures.day_page(published, self._read(published).chain, request.match_info["day"])

    def edition(self, request: web.Request) -> dict[str, Any]:
        """The document of a methodology edition."""
        return disclosures.edition_page(request.match_info["edition"])

    async def download(self, request: web.Request) -> web.Response:
        """A rendering, the sealed statement, or the sealed folder with its ledger."""
        try:
            name, kind, body = await self._asked(self._file, request)
        except KeyError as error:
            raise web.HTTPNotFound(text=f"{error.args[0]}\n") from error
        except _BROKEN as error:
            raise web.HTTPServiceUnavailable(text=f"{error}\n") from error
        return web.Response(
            body=body,
            headers={"Content-Type": kind, "Content-Disposition": f'attachment; filename="{name}"'},
        )

    def _file(self, request: web.Request) -> tuple[str, str, bytes]:
        published, asked = self._published(request), request.match_info["file"]
        stem = published.id.replace("/", "_")
        if asked == "sealed.zip":
            return f"{stem}.zip", "application/zip", self._sealed(published)
        if asked == STATEMENT:
            found = read_files(self.book.folder(published.id)).get(STATEMENT)
            if found is None:
                raise FolderError(
                    f"{published.id}: {STATEMENT} is missing; bring the folder back from a copy"
                )
            return f"{stem}.json", "application/json", found
        if asked == PACT:
            return f"{stem}.{PACT}", "application/json", pact_file(self.book, published, self._terms)
        rendering = RENDERINGS.get(asked)
        if rendering is None:
            allowed = ", ".join((*RENDERINGS, STATEMENT, PACT, "sealed.zip"))
            raise KeyError(f"there is no file {asked!r} of {published.id}; there are: {allowed}")
        self.book.must_be_whole(published.id)
        return f"{stem}.{asked}", rendering.content_type, rendering.written(document_of(self.book, published))

    def _sealed(self, published: Published) -> bytes:
        """Folder and ledger as they lie in the book: unpacked, `wattspan disclosure verify` checks them."""
        out = io.BytesIO()
        folder = self.book.folder(published.id)
        inside = folder.relative_to(self.book.root).as_posix()
        files = {f"{inside}/{name}": data for name, data in read_files(folder).items()}
        files[FILE] = self.book.ledger.path.read_bytes()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in sorted(files.items()):
                archive.writestr(zipfile.ZipInfo(name, _EPOCH), data, zipfile.ZIP_DEFLATED)
        return out.getvalue()

    def _checked(self, run: Callable[[Published], dict[str, Any]], request: web.Request) -> dict[str, Any]:
        published = self._published(request)
        self.pace.take()
        return run(published)

    def _published(self, request: web.Request) -> Published:
        """The disclosure that a path names: one of those in the ledger. Raises KeyError."""
        asked = "/".join(request.match_info[name] for name in ("issuer", "period", "name"))
        for published in self.book.published():
            if published.id == asked:
                return published
        raise KeyError(f"{asked!r} is not in the ledger")

    def _read(self, published: Published) -> Seen:
        # A folder that was changed since must not be shown from memory: its files are read each time.
        files = read_files(self.book.folder(published.id))
        digests = (f"{name}:{sha256(data)}" for name, data in sorted(files.items()))
        key = "\n".join((published.id, self.book.ledger.head()[1], *digests))
        found = self._seen.get(key)
        if found is None:
            found = self._seen[key] = Seen(chain(files), tuple(self.book.verify(published.id)))
            if len(self._seen) > KEPT:
                self._seen.popitem(last=False)
        return found
