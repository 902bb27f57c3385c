"""`make_app`: the page over a lake as an aiohttp application. It reads, and never writes."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from aiohttp import web

from wattspan.disclosure.pact.terms import Terms
from wattspan.lake.disk import LakeError
from wattspan.lake.reader import Snapshot, open_snapshot
from wattspan.methodology import EditionError
from wattspan.views.dimensions import QueryError
from wattspan.views.flame import flame
from wattspan.views.flame_change import change
from wattspan.views.flame_source import Drawn, draw_period, draw_trace
from wattspan.views.period import read_period
from wattspan.web import pages
from wattspan.web.disclosure_site import DisclosureSite
from wattspan.web.flame_file import environment, is_packed
from wattspan.web.guard import allowed_hosts, guard
from wattspan.web.overview import chosen_kind, overview, timeline
from wattspan.web.pack import HERE, PACKED
from wattspan.web.payload import payload

KEPT_ANSWERS: Final = 64
FOLDER: Final = web.AppKey("folder", Path)
_T = TypeVar("_T")


class Site:
    """Handlers of the pages and of /api/."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.templates = environment()
        self.templates.filters.update(pages.FILTERS)
        self._kept: OrderedDict[tuple[Any, ...], Any] = OrderedDict()
        self._one_at_a_time = asyncio.Semaphore(2)

    def routes(self) -> list[web.RouteDef]:
        """What can be asked."""
        return [
            web.get("/", self.page("overview.html.j2", self.overview)),
            web.get("/traces", self.page("traces.html.j2", self.traces)),
            web.get("/traces/{trace}", self.page("trace.html.j2", self.trace)),
            web.get("/traces/{trace}/spans/{span}", self.page("span.html.j2", self.span)),
            web.get("/flame", self.page("flame.html.j2", self.flame)),
            web.get("/models", self.page("models.html.j2", self.models)),
            web.get("/methodology", self.page("methodology.html.j2", self.methodology)),
            web.get("/api/overview", self.api(self.api_overview)),
            web.get("/api/timeline", self.api(self.api_timeline)),
            web.get("/api/flame", self.api(self.api_flame)),
            web.get("/api/traces", self.api(self.api_traces)),
            web.get("/api/traces/{trace}/flame", self.api(self.api_trace_flame)),
            web.get("/api/traces/{trace}/spans/{span}", self.api(self.api_span)),
            web.get("/static/{name}", self.static),
        ]

    # ---- pages

    def page(self, template: str, ask: Callable[[Snapshot, web.Request], dict[str, Any]]) -> Any:
        """A handler that renders `template` with what `ask` finds."""

        async def handle(request: web.Request) -> web.Response:
            status, content = 200, {}
            try:
                content = await self._ask(ask, request)
                name = template
            except KeyError as error:
                status, name, content = 404, "problem.html.j2", {"problem": str(error.args[0])}
            except (QueryError, EditionError) as error:
                status, name, content = 400, "problem.html.j2", {"problem": str(error)}
            except LakeError as error:
                name, content = "no_lake.html.j2", {"problem": str(error), "folder": str(self.folder)}
            text = self.templates.get_template(name).render(
                here=request.path, query=dict(request.query), is_packed=is_packed(), **content
            )
            return web.Response(text=text, status=status, content_type="text/html")

        return handle

    def api(self, ask: Callable[[Snapshot, web.Request], dict[str, Any]]) -> Any:
        """A handler that answers in JSON; errors as {"error": …}."""

        async def handle(request: web.Request) -> web.Response:
            try:
                return web.json_response(await self._ask(ask, request))
            except KeyError as error:
                return web.json_response({"error": str(error.args[0])}, status=404)
            except (QueryError, EditionError) as error:
                return web.json_response({"error": str(error)}, status=400)
            except LakeError as error:
                return web.json_response({"error": str(error)}, status=503)

        return handle

    async def _ask(self, ask: Callable[[Snapshot, web.Request], _T], request: web.Request) -> _T:
        """Ask beside the loop; the same question to the same generation is answered once."""
        snapshot = await asyncio.to_thread(open_snapshot, self.folder)
        key = (snapshot.generation, ask.__name__, request.path, request.query_string)
        if key in self._kept:
            self._kept.move_to_end(key)
            kept: _T = self._kept[key]
            return kept
        async with self._one_at_a_time:
            found = await asyncio.to_thread(ask, snapshot, request)
        self._kept[key] = found
        if len(self._kept) > KEPT_ANSWERS:
            self._kept.popitem(last=False)
        return found

    async def static(self, request: web.Request) -> web.StreamResponse:
        """Scripts and style sheets: those by name, no path."""
        files = {
            "page.css": HERE / "styles" / "page.css",
            "icon.svg": HERE / "styles" / "icon.svg",
            "uplot.css": PACKED / "overview.css",
            "flame.js": PACKED / "flame.js",
            "overview.js": PACKED / "overview.js",
        }
        path = files.get(request.match_info["name"])
        if path is None or not path.is_file():
            raise web.HTTPNotFound
        kind = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}[path.suffix]
        return web.Response(
            body=path.read_bytes(),
            headers={"Content-Type": f"{kind}; charset=utf-8", "Cache-Control": "no-cache"},
        )

    def overview(self, snapshot: Snapshot, request: web.Request) -> dict[str, Any]:
        """The first page."""
        period, words = _period(request)
        return pages.overview_page(snapshot, overview(snapshot, period, _kind(request)), words)

    def traces(self, snapshot: Snapshot, request: web.Request) -> dict[str, Any]:
        """The list of traces."""
        return pages.traces_page(snapshot, request.query)

    def trace(self, snapshot: Snapshot, request: web.Request) -> dict[str, Any]:
        """One trace."""
        return pages.trace_page(snapshot, request.match_info["trace"])

    def span(self, snapshot: Snapshot, request: web.Request) -> dict[str, Any]:
        """One span."""
        return pages.span_page(snapshot, request.match_info["trace"], request.match_info["span"])

    def flame(self, snapshot: Snapshot, request: web.Request) -> dict[str, Any]:
        """The merged flame graph, or what changed."""
        period, words = _period(request)
        kind, there = chosen_kind(snapshot, period, _kind(request))
        sets = [known.name for known in snapshot.manifest.sets]
        return {"words": words, "sets": sets, "kind": kind, "kinds": there}

    def models(self, snapshot: Snapshot, request: web.Request) -> dict[str, Any]:
        """The models of the edition."""
        return pages.models_page(snapshot, request.query.get("q", ""))

    def methodology(self, snapshot: Snapshot, request: web.Request) -> dict[str, Any]:
        """Edition, formula, tiers."""
        return pages.methodology_page(snapshot)

    # ---- JSON

    def api_overview(self, snapshot: Snapshot, request: web.Request) -> dict[str, Any]:
        """Totals, by feature, model and region, and what is unknown."""
        found = overview(snapshot, _period(request)[0], _kind(request))
        return {
            **{name: getattr(found, f"by_{name}").as_dict() for name in ("feature", "model", "region")},
            "unknown": [item.as_dict() for item in found.unknown],
        }

    def api_timeline(self, snapshot: Snapshot, request: web.Request) -> dict[str, Any]:
        """Energy and carbon over time by feature."""
        return timeline(snapshot, _period(request)[0], _kind(request))

    def api_flame(self, snapshot: Snapshot, request: web.Request) -> dict[str, Any]:
        """Frames of a period; with against_from, against_to or against_estimates what changed."""
        query = request.query
        own_set = query.get("estimates") or None
        period, words = _period(request)
        kind, _ = chosen_kind(snapshot, period, _kind(request))
        after = draw_period(snapshot, period, words, own_set, kind)
        against = {name: query.get(f"against_{name}") or None for name in ("from", "to", "estimates")}
        if not any(against.values()):
            return _frames(after)
        other_set = against["estimates"] or own_set
        has_dates = against["from"] or against["to"]
        before_period, before_words = (
            read_period(against["from"], against["to"]) if has_dates else (period, words)
        )
        set_name = None if other_set == "own" else other_set
        before = draw_period(snapshot, before_period, before_words, set_name, kind)
        difference = change(before.frames, after.frames)
        return payload(flame(difference.frames), difference)

    def api_traces(self, snapshot: Snapshot, request: web.Request) -> dict[str, Any]:
        """A page of traces."""
        found = pages.found_traces(snapshot, request.query)
        return {"total": found.page.total, "traces": [row._asdict() for row in found.page.rows]}

    def api_trace_flame(self, snapshot: Snapshot, request: web.Request) -> dict[str, Any]:
        """Frames of one trace."""
        return _frames(draw_trace(snapshot, request.match_info["trace"]))

    def api_span(self, snapshot: Snapshot, request: web.Request) -> dict[str, Any]:
        """The chain of one span."""
        found, note = pages.explained(snapshot, request.match_info["trace"], request.match_info["span"])
        return {**found.as_dict(), "note": note or None}


def _frames(drawn: Drawn) -> dict[str, Any]:
    return payload(flame(drawn.frames))


def _kind(request: web.Request) -> str | None:
    return request.query.get("kind") or None


def _period(request: web.Request) -> Any:
    return read_period(request.query.get("from") or None, request.query.get("to") or None)


def make_app(
    folder: Path,
    *,
    book: Path = Path("disclosures"),
    terms: Terms | None = None,
    host: str = "127.0.0.1",
    more_hosts: tuple[str, ...] = (),
    token: str | None = None,
    open_paths: frozenset[str] = frozenset(),
) -> web.Application:
    """The page over the lake in `folder`, for a server bound to `host`. The lake may come later.

    `book`: folder of the disclosures, which may come later too; `terms`: of their footprints, the defaults
    where None. `open_paths`: handlers of others on the same port, which the guard lets be.
    """
    app = web.Application(middlewares=[guard(allowed_hosts(host, more_hosts), token, open_paths)])
    app[FOLDER] = folder
    site = Site(folder)
    app.add_routes(site.routes())
    app.add_routes(DisclosureSite(book, site.templates, terms or Terms()).routes())
    return app
