"""The process: starts a gateway, reloads it on SIGHUP, drains it on SIGTERM and SIGINT."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import uvloop

from wattspan.config import ConfigError
from wattspan.gateway import journal
from wattspan.gateway.configuration import load_serve_config
from wattspan.gateway.server import Gateway
from wattspan.gateway.settings import ServeConfig

log: Final = logging.getLogger(__name__)


def run(path: Path | None, config: ServeConfig, environ: Mapping[str, str] = os.environ) -> None:
    """Serve until a signal ends it. `path` is read again on SIGHUP.

    Raises SpoolError, OSError, EditionError or ValueError where it cannot begin.
    """
    journal.set_up(config.gateway.telemetry.log_format)
    uvloop.run(_serve(path, config, environ))


async def _serve(path: Path | None, config: ServeConfig, environ: Mapping[str, str]) -> None:
    gateway = Gateway(config)
    stop, reload = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, reload.set)
    await gateway.start()
    for what, settings, port in (
        ("OTLP/HTTP", config.gateway.http, gateway.http.port),
        ("OTLP/gRPC", config.gateway.grpc, gateway.grpc.port),
        ("telemetry", config.gateway.telemetry, gateway.telemetry.port),
    ):
        if port:
            log.info("serving %s on %s:%d", what, settings.host, port)
    reloading = asyncio.create_task(_reload_on(reload, gateway, path, environ))
    await stop.wait()
    log.info("stopping")
    reloading.cancel()
    await asyncio.gather(reloading, return_exceptions=True)
    await gateway.stop()
    log.info("stopped")


async def _reload_on(
    wanted: asyncio.Event, gateway: Gateway, path: Path | None, environ: Mapping[str, str]
) -> None:
    while True:
        await wanted.wait()
        wanted.clear()
        try:
            # Reading an edition takes longer than a request should wait.
            config = await asyncio.to_thread(load_serve_config, path, environ)
            await gateway.reload(config)
        except (ConfigError, OSError, ValueError) as error:
            log.error("not reloaded, the old configuration stays: %s", error)
        else:
            log.info("reloaded")
