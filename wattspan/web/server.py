"""`serve_page`: the page on a port of its own, until told to stop."""

from __future__ import annotations

import asyncio
import secrets
import signal
from collections.abc import Callable
from pathlib import Path

from aiohttp import web

from wattspan.addresses import is_loopback
from wattspan.disclosure.pact.terms import Terms
from wattspan.web.site import make_app


class ExposedError(ValueError):
    """The page would be open to others without a token."""


def checked_token(host: str, token: str | None) -> str | None:
    """`token`, where it may be served at `host`. Raises ExposedError without one beyond this machine."""
    if not is_loopback(host) and not token:
        raise ExposedError(
            f"{host} can be reached from other machines: give --token (or WATTSPAN_WEB_TOKEN), such as "
            f"{secrets.token_urlsafe(24)}; or leave out --host to serve this machine only"
        )
    return token or None


async def serve_page(
    folder: Path,
    *,
    book: Path = Path("disclosures"),
    terms: Terms | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    token: str | None = None,
    more_hosts: tuple[str, ...] = (),
    on_ready: Callable[[str], None] = lambda address: None,
) -> None:
    """Serve the lake in `folder` and the disclosures in `book` until SIGINT or SIGTERM.

    Raises ExposedError, OSError.
    """
    allowed = checked_token(host, token)
    app = make_app(folder, book=book, terms=terms, host=host, more_hosts=more_hosts, token=allowed)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=2)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        name = f"[{host}]" if ":" in host else host
        on_ready(f"http://{name}:{runner.addresses[0][1]}/")
        await stop.wait()
    finally:
        await runner.cleanup()
