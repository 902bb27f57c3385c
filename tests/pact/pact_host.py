"""A host system over loopback TLS from a thread of the test, and a customer's system that takes events."""

from __future__ import annotations

import asyncio
import datetime as dt
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import trustme
from aiohttp import web

from tests.disclosure.pact_sources import Shelf
from wattspan.disclosure.pact.clients import Clients, Credentials
from wattspan.disclosure.pact.settings import PactConfig
from wattspan.disclosure.pact.state import State
from wattspan.tls import client_context, server_context
from wattspan.web.pact.server import running

RECIPIENT_SECRET: Final = "their-secret-of-ours"
WAIT_S: Final = 20.0


class Authority:
    """Certificates that client and server believe."""

    def __init__(self, root: Path) -> None:
        root.mkdir(exist_ok=True)
        authority = trustme.CA()
        self.ca_file, self.cert_file, self.key_file = (
            root / name for name in ("ca.pem", "cert.pem", "key-tls.pem")
        )
        authority.cert_pem.write_to_path(self.ca_file)
        leaf = authority.issue_cert("localhost", "127.0.0.1")
        leaf.private_key_pem.write_to_path(self.key_file)
        for blob in leaf.cert_chain_pems:
            blob.write_to_path(self.cert_file, append=True)


@dataclass
class Customer:
    """What a customer's system was told; `refusals`: how many events it still answers 503."""

    url: str = ""
    events: list[dict[str, Any]] = field(default_factory=list)
    types: list[str] = field(default_factory=list)
    tokens: int = 0
    refusals: int = 0
    redirect_to: str = ""
    arrived: threading.Condition = field(default_factory=threading.Condition)

    def wait_for(self, count: int) -> list[dict[str, Any]]:
        """The events, when there are so many."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.events) >= count, WAIT_S), self.events
        return list(self.events)

    async def token(self, request: web.Request) -> web.Response:
        form = await request.post()
        login = httpx.BasicAuth("us", RECIPIENT_SECRET)._auth_header
        if request.headers.get("Authorization") != login or form.get("grant_type") != "client_credentials":
            return web.json_response({"error": "invalid_client"}, status=401)
        self.tokens += 1
        return web.json_response(
            {"access_token": f"theirs-{self.tokens}", "token_type": "Bearer", "expires_in": 3600}
        )

    async def take(self, request: web.Request) -> web.Response:
        if self.redirect_to:
            raise web.HTTPTemporaryRedirect(self.redirect_to)
        if not request.headers.get("Authorization", "").startswith("Bearer theirs-"):
            return web.Response(status=401)
        with self.arrived:
            if self.refusals:
                self.refusals -= 1
                self.arrived.notify_all()
                return web.Response(status=503)
            self.types.append(request.headers["Content-Type"])
            self.events.append(await request.json())
            self.arrived.notify_all()
        return web.Response()


@dataclass
class Host:
    """A host that runs, and how to ask it."""

    url: str
    authority: Authority
    config: PactConfig
    credentials: Credentials
    shelf: Shelf
    now: dict[str, float]

    def http(self, **headers: str) -> httpx.Client:
        """A client that trusts it."""
        return httpx.Client(
            base_url=self.url, verify=client_context(self.authority.ca_file), headers=headers, timeout=WAIT_S
        )

    def token(self, credentials: Credentials | None = None) -> str:
        """A token of a client."""
        known = credentials or self.credentials
        with self.http() as client:
            answer = client.post(
                "/auth/token",
                data={"grant_type": "client_credentials"},
                auth=(known.client.id, known.secret),
            )
        assert answer.status_code == 200, answer.text
        found: str = answer.json()["access_token"]
        return found

    def asking(self, credentials: Credentials | None = None) -> httpx.Client:
        """A client that brings a token."""
        return self.http(Authorization=f"Bearer {self.token(credentials)}")

    def add_client(self, name: str, *features: str) -> Credentials:
        """Another client, as the command adds one."""
        return add_client(self.config, name, *features)


def add_client(config: PactConfig, name: str, *features: str) -> Credentials:
    state = State(config.pact.state)
    try:
        return Clients(state).add(name, features, dt.datetime.now(dt.UTC))
    finally:
        state.close()


def config_of(root: Path, authority: Authority, **pact: Any) -> PactConfig:
    """A configuration under `root`; `pact` changes its section."""
    section: dict[str, Any] = {
        "listen": {"port": 0, "tls": {"cert_file": authority.cert_file, "key_file": authority.key_file}},
        "state": root / "pact.sqlite",
        "retry": {"first_s": 0.05, "most_s": 0.1, "timeout_s": 5},
        **pact,
    }
    return PactConfig.model_validate(
        {
            "disclosure": {
                "issuer": {"domain": "saas.example", "name": "Example SaaS GmbH"},
                "folder": root / "disclosures",
            },
            "pact": section,
        }
    )


def recipient(customer: Customer, authority: Authority, **given: Any) -> dict[str, Any]:
    """The customer's system as a recipient of the client "customer"."""
    values = {
        "name": "customer",
        "url": customer.url,
        "client_id": "us",
        "client_secret": RECIPIENT_SECRET,
        "ca_file": authority.ca_file,
        "allow_private": True,
        "notify": False,
    }
    return {**values, **given}


@contextmanager
def hosting(
    shelf: Shelf, config: PactConfig, authority: Authority, credentials: Credentials | None = None
) -> Iterator[Host]:
    """The host of a configuration runs for the block; its clock stands still once `now["at"]` is set."""
    known = credentials or add_client(config, "customer")
    clock: dict[str, float] = {}

    def now() -> float:
        return clock.get("at", dt.datetime.now(dt.UTC).timestamp())

    with _threaded(lambda: running(config, now)) as server:
        yield Host(server.address, authority, config, known, shelf, clock)


@contextmanager
def customers(authority: Authority) -> Iterator[Customer]:
    """A customer's system on loopback TLS."""
    customer = Customer()

    async def begin() -> web.AppRunner:
        app = web.Application(client_max_size=32 * 1024 * 1024)
        app.add_routes([web.post("/auth/token", customer.token), web.post("/3/events", customer.take)])
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await runner.setup()
        tls = server_context(authority.cert_file, authority.key_file)
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        return runner

    loop, thread = _loop()
    runner = asyncio.run_coroutine_threadsafe(begin(), loop).result(WAIT_S)
    customer.url = f"https://localhost:{runner.addresses[0][1]}"
    try:
        yield customer
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(WAIT_S)
        _end(loop, thread)


@contextmanager
def _threaded(make: Any) -> Iterator[Any]:
    """The value of an asynchronous context that is open in a thread for the block."""
    loop, thread = _loop()
    context = make()
    try:
        value = asyncio.run_coroutine_threadsafe(context.__aenter__(), loop).result(WAIT_S)
        try:
            yield value
        finally:
            asyncio.run_coroutine_threadsafe(context.__aexit__(None, None, None), loop).result(WAIT_S)
    finally:
        _end(loop, thread)


def _loop() -> tuple[asyncio.AbstractEventLoop, threading.Thread]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    return loop, thread


def _end(loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
    loop.call_soon_threadsafe(loop.stop)
    thread.join(WAIT_S)
    loop.close()
