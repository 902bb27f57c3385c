"""The API on a port of its own, over TLS."""

from __future__ import annotations

import asyncio
import logging
import signal
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from wattspan.disclosure.book import Book
from wattspan.disclosure.ledger import LedgerError
from wattspan.disclosure.pact.catalogue import Catalogue
from wattspan.disclosure.pact.departures import Departures
from wattspan.disclosure.pact.settings import PactConfig
from wattspan.disclosure.pact.state import State, StateError
from wattspan.disclosure.pact.terms import terms_of
from wattspan.web.pact.app import PactApi
from wattspan.web.pact.courier import Courier

log: Final = logging.getLogger("wattspan.pact")
LOOK_S: Final = 5.0
"""How often the book is looked at when nobody asks."""
FINISH_S: Final = 5.0
"""How long an event that is under way is waited for when the server stops."""


@dataclass(frozen=True, slots=True)
class Running:
    """A server that takes requests."""

    address: str
    """https://HOST:PORT."""
    catalogue: Catalogue
    tls: ssl.SSLContext | None


@asynccontextmanager
async def running(config: PactConfig, now: Callable[[], float] = time.time) -> AsyncIterator[Running]:
    """Serve the footprints of a book for the block. Raises StateError, LedgerError, OSError."""
    settings = config.pact
    tls = settings.listen.tls.context() if settings.listen.tls is not None else None
    state = State(settings.state)
    try:
        catalogue = Catalogue(Book(config.disclosure.folder), terms_of(config.disclosure), state)
        recipients = {recipient.name: recipient for recipient in settings.recipients}
        departures = Departures(state, settings.retry)
        async with Courier(recipients, departures, settings.retry, now) as courier:
            domain = config.disclosure.issuer.domain
            api = PactApi(settings, catalogue, state, domain, wake=courier.wake, now=now)
            await api.refresh()
            runner = web.AppRunner(api.app(), access_log=None, shutdown_timeout=5)
            await runner.setup()
            taking = asyncio.create_task(courier.run())
            background = [taking, asyncio.create_task(_look(api, catalogue))]
            try:
                listen = settings.listen
                await web.TCPSite(runner, listen.host, listen.port, ssl_context=tls).start()
                yield Running(_address(listen.host, runner.addresses[0][1], tls is not None), catalogue, tls)
            finally:
                await runner.cleanup()
                courier.stop()
                await asyncio.wait([taking], timeout=FINISH_S)
                for task in background:
                    task.cancel()
                    with suppress(asyncio.CancelledError):
                        await task
    finally:
        state.close()


async def serve_pact(config: PactConfig, on_ready: Callable[[Running], None]) -> None:
    """Serve until SIGINT or SIGTERM; SIGHUP reads the certificate again. Raises what `running` does."""
    stop = asyncio.Event()
    async with running(config) as server:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        loop.add_signal_handler(signal.SIGHUP, _read_certificate, config, server)
        on_ready(server)
        await stop.wait()


def _read_certificate(config: PactConfig, server: Running) -> None:
    files = config.pact.listen.tls
    if server.tls is None or files is None:
        return
    try:
        server.tls.load_cert_chain(files.cert_file, files.key_file)
    except OSError as error:
        log.error("the certificate cannot be read, the one before stays: %s", error.strerror or error)


async def _look(api: PactApi, catalogue: Catalogue) -> None:
    """Take in what is published while nobody asks, so that recipients hear of it."""
    told: tuple[str, ...] = ()
    while True:
        if catalogue.problems != told:
            told = catalogue.problems
            for problem in told:
                log.warning("%s", problem)
        await asyncio.sleep(LOOK_S)
        try:
            await api.refresh()
        except (LedgerError, StateError) as error:
            log.error("%s", error)


def _address(host: str, port: int, has_tls: bool) -> str:
    name = f"[{host}]" if ":" in host else host
    return f"{'https' if has_tls else 'http'}://{name}:{port}"
