"""The process: starts a gateway, reloads it on SIGHUP, drains it on SIGTERM and SIGINT."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

import uvloop

from wattspan.config import ConfigError
from wattspan.gateway import garbage, journal
from wattspan.gateway.configuration import load_serve_config
from wattspan.gateway.seat import seats
from wattspan.gateway.server import Gateway
from wattspan.gateway.settings import GatewaySection, ServeConfig
from wattspan.gateway.supervisor import Supervisor

log: Final = logging.getLogger(__name__)


def run(path: Path | None, config: ServeConfig, environ: Mapping[str, str] = os.environ) -> None:
    """Serve until a signal ends it. `path` is read again on SIGHUP.

    Raises SpoolError, OSError, EditionError or ValueError where it cannot begin.
    """
    journal.set_up(config.gateway.telemetry.log_format)
    uvloop.run(_serve(path, config, environ))


async def _serve(path: Path | None, config: ServeConfig, environ: Mapping[str, str]) -> None:
    chosen = seats(config.gateway.spool.directory, config.gateway.workers)
    gateway = Supervisor(config, chosen) if len(chosen) > 1 else Gateway(config)
    stop, reload = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, reload.set)
    await gateway.start()
    garbage.settle()
    _announce(gateway, config.gateway)
    reloading = asyncio.create_task(_reload_on(reload, gateway.reload, path, environ))
    await stop.wait()
    log.info("stopping")
    reloading.cancel()
    await asyncio.gather(reloading, return_exceptions=True)
    await gateway.stop()
    log.info("stopped")


def _announce(gateway: Gateway | Supervisor, settings: GatewaySection) -> None:
    for what, section, port in (
        ("OTLP/HTTP", settings.http, gateway.http.port),
        ("OTLP/gRPC", settings.grpc, gateway.grpc.port),
        ("telemetry", settings.telemetry, gateway.telemetry.port),
    ):
        if port:
            log.info("serving %s on %s:%d", what, section.host, port)


async def _reload_on(
    wanted: asyncio.Event,
    reload: Callable[[ServeConfig], Awaitable[None]],
    path: Path | None,
    environ: Mapping[str, str],
) -> None:
    while True:
        await wanted.wait()
        wanted.clear()
        try:
            # Reading an edition takes longer than a request should wait.
            config = await asyncio.to_thread(load_serve_config, path, environ)
            await reload(config)
        except (ConfigError, OSError, ValueError) as error:
            log.error("not reloaded, the old configuration stays: %s", error)
        else:
            log.info("reloaded")
