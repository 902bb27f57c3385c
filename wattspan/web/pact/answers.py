"""Answers of the API: JSON, errors as PACT 3.0.3 has them, and headers on each."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from aiohttp import web
from aiohttp.typedefs import Middleware

log: Final = logging.getLogger("wattspan.pact")
HEADERS: Final = {
    "Server": "wattspan",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
STATUS_OF: Final = {
    "BadRequest": 400,
    "TokenExpired": 401,
    "AccessDenied": 403,
    "NotFound": 404,
    "InternalError": 500,
    "NotImplemented": 501,
}
"""HTTP status of an error's code; what is wrong with a token is a BadRequest of status 401."""
_CODE_OF: Final = {404: "NotFound"}


class ApiError(Exception):
    """An error that a client is told."""

    def __init__(self, code: str, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status or STATUS_OF[code]


def json_answer(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """`content` in UTF-8."""
    body = json.dumps(content, ensure_ascii=False).encode()
    return web.Response(body=body, status=status, headers=headers, content_type="application/json")


def error_answer(error: ApiError) -> web.Response:
    """{"code": …, "message": …}."""
    headers = {}
    if error.status == 401:
        why = "the token has ended" if error.code == "TokenExpired" else "no token that holds"
        headers["WWW-Authenticate"] = f'Bearer error="invalid_token", error_description="{why}"'
    return json_answer({"code": error.code, "message": error.message}, error.status, headers)


def oauth_error(
    error: str, description: str, status: int = 400, headers: Mapping[str, str] | None = None
) -> web.Response:
    """An error of the token endpoint (RFC 6749, 5.2)."""
    return json_answer({"error": error, "error_description": description}, status, headers)


def answering() -> Middleware:
    """The middleware: errors become answers, and what nobody foresaw is logged and told as InternalError."""

    @web.middleware
    async def answer(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        try:
            made = await handler(request)
        except ApiError as error:
            made = error_answer(error)
        except web.HTTPException as error:
            code = _CODE_OF.get(error.status, "BadRequest")
            made = json_answer({"code": code, "message": f"{error.reason}"}, error.status)
            if "Allow" in error.headers:
                made.headers["Allow"] = error.headers["Allow"]
        except Exception:
            log.exception("%s %s", request.method, request.rel_url.raw_path)
            made = error_answer(ApiError("InternalError", "something went wrong here; it was logged"))
        for name, value in HEADERS.items():
            made.headers[name] = value
        return made

    return answer
