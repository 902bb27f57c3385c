"""The page over the lake, for those who want it on the telemetry port."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

from wattspan.gateway.settings import ServeConfig
from wattspan.gateway.telemetry import PATHS


def page_of(config: ServeConfig) -> web.Application | None:
    """The page that the configuration asks for; None for none.

    Raises ValueError where there is no lake to show, or where it would be open to others without a token.
    """
    if not config.web.enabled:
        return None
    if config.lake.folder is None:
        raise ValueError("web.enabled shows the lake: say where it is under lake.folder")
    # Templates and DuckDB are an extra: only who wants the page loads them.
    from wattspan.disclosure.pact.terms import terms_of
    from wattspan.web.server import ExposedError, checked_token
    from wattspan.web.site import make_app

    host = config.gateway.telemetry.host
    try:
        token = checked_token(host, config.web.token)
    except ExposedError as error:
        raise ValueError(
            f"web: gateway.telemetry.host {host} can be reached from other machines: give web.token"
        ) from error
    section = config.disclosure
    return make_app(
        config.lake.folder,
        book=section.folder if section else Path("disclosures"),
        terms=terms_of(section),
        host=host,
        more_hosts=config.web.hosts,
        token=token,
        open_paths=frozenset(PATHS),
    )
