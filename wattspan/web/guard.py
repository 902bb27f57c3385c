"""Who may ask: hosts by name (against DNS rebinding), a token when exposed, and headers on every answer."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Middleware

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

COOKIE: Final = "wattspan_token"
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}

_KEPT: Final = frozenset(("Allow", "Location", "Retry-After"))


def allowed_hosts(bound: str, more: tuple[str, ...]) -> frozenset[str]:
    """Names that a request may call this server by, without the port."""
    return frozenset(
        {"localhost", "127.0.0.1", "[::1]", bound.lower(), *(name.lower() for name in more)}
        - {"0.0.0.0", "::"}
    )


def guard(hosts: frozenset[str], token: str | None, open_paths: frozenset[str] = frozenset()) -> Middleware:
    """The middleware of the page."""

    @web.middleware
    async def watch(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path in open_paths:
            return await handler(request)
        name = request.host.rpartition(":")[0] if _has_port(request.host) else request.host
        if name.lower() not in hosts:
            answer: web.StreamResponse = web.Response(
                status=421, text="this server is not called that; name it with --allow-host\n"
            )
        elif request.method not in {"GET", "HEAD"}:
            answer = web.Response(status=405, headers={"Allow": "GET, HEAD"}, text="this page only shows\n")
        elif token is not None and not _knows(request, token):
            answer = _asked_for_token(request, token)
        else:
            try:
                answer = await handler(request)
            except web.HTTPException as error:
                # the exception itself may not be answered: aiohttp deprecates that
                answer = web.Response(status=error.status, reason=error.reason, text=error.text)
                answer.headers.update({k: v for k, v in error.headers.items() if k in _KEPT})
        for header, value in HEADERS.items():
            answer.headers.setdefault(header, value)
        return answer

    return watch


def _has_port(host: str) -> bool:
    return ":" in host.rpartition("]")[2]


def _knows(request: web.Request, token: str) -> bool:
    scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
    given = (bearer if scheme.lower() == "bearer" else "", request.cookies.get(COOKIE, ""))
    return any(hmac.compare_digest(value.encode(), token.encode()) for value in given)


def _asked_for_token(request: web.Request, token: str) -> web.Response:
    """A link with ?token= is exchanged for a cookie, so that the token leaves the address."""
    given = request.query.get("token", "")
    if not hmac.compare_digest(given.encode(), token.encode()):
        return web.Response(
            status=401,
            headers={"WWW-Authenticate": "Bearer"},
            text="a token is needed: open the address with ?token=…, or send Authorization: Bearer …\n",
        )
    answer = web.Response(status=303, headers={"Location": request.path})
    answer.set_cookie(COOKIE, token, httponly=True, samesite="Strict", path="/")
    return answer
