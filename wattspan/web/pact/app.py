"""`PactApi`: PACT's actions as an aiohttp application: Authenticate, ListFootprints, GetFootprint, Events.

PACT Technical Specifications 3.0.3. What a request names is looked up in the catalogue, never on the disk.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import datetime as dt
import json
import logging
import re
import sqlite3
import time
from collections.abc import Callable, Sequence
from typing import Any, Final
from urllib.parse import urlencode

from aiohttp import web

from wattspan.disclosure.pact import events
from wattspan.disclosure.pact.catalogue import Catalogue, CursorError, Entry
from wattspan.disclosure.pact.clients import Client, Clients
from wattspan.disclosure.pact.criteria import CriteriaError, criteria
from wattspan.disclosure.pact.departures import REMEMBERED_S, Departures
from wattspan.disclosure.pact.extension import extension_schema_text
from wattspan.disclosure.pact.grammar import written_time
from wattspan.disclosure.pact.openapi import openapi
from wattspan.disclosure.pact.settings import PactSection, RecipientSection
from wattspan.disclosure.pact.state import State
from wattspan.disclosure.pact.terms import SCHEMA_FILE
from wattspan.disclosure.pact.tokens import Ended, Tokens
from wattspan.web.pact.answers import ApiError, answering, json_answer, oauth_error
from wattspan.web.pact.attempts import Attempts

log: Final = logging.getLogger("wattspan.pact")
MOST_TOKEN_REQUEST_BYTES: Final = 8192
MEDIA_TYPES: Final = (events.MEDIA_TYPE, "application/json")
"""The second is not PACT's, and harmless."""
PAGING: Final = ("limit", "cursor")
_HOST: Final = re.compile(r"[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?")
_WHOLE: Final = re.compile(r"[0-9]{1,9}")


class PactApi:
    """Handlers over a catalogue and a state."""

    def __init__(
        self,
        settings: PactSection,
        catalogue: Catalogue,
        state: State,
        issuer_domain: str,
        *,
        wake: Callable[[], None] = lambda: None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`wake`: told when there is an event to take to a recipient."""
        self._settings, self._catalogue, self._state = settings, catalogue, state
        self._wake, self._now = wake, now
        self._clients = Clients(state)
        self._tokens = Tokens(state, settings.token_minutes)
        self._departures = Departures(state, settings.retry)
        self._attempts = Attempts(settings.limits)
        self._one_proof_at_a_time = asyncio.Semaphore(1)
        self._recipients = {recipient.asked_by: recipient for recipient in settings.recipients}
        self._source = f"{settings.url or f'https://{issuer_domain}'}/3/events".removeprefix("https:")

    def app(self) -> web.Application:
        """The application."""
        made = web.Application(middlewares=[answering()], client_max_size=self._settings.limits.event_bytes)
        made.add_routes(
            [
                web.post("/auth/token", self.authenticate),
                web.get("/3/footprints", self.list_footprints),
                web.get("/3/footprints/{id}", self.get_footprint),
                web.post("/3/events", self.take_event),
                web.get("/.well-known/openid-configuration", self.discovery),
                web.get("/openapi.json", self.description),
                web.get(f"/schema/{SCHEMA_FILE}", self.schema),
            ]
        )
        return made

    async def refresh(self) -> None:
        """Take in new disclosures, and put news of them on their way."""
        await asyncio.to_thread(self._catalogue.refresh, self._announce)

    # ---- actions

    async def authenticate(self, request: web.Request) -> web.Response:
        """Action Authenticate: OAuth 2 client credentials (RFC 6749, 4.4)."""
        if request.content_type != "application/x-www-form-urlencoded":
            return oauth_error("invalid_request", "the body is application/x-www-form-urlencoded")
        if (request.content_length or 0) > MOST_TOKEN_REQUEST_BYTES:
            return oauth_error("invalid_request", "the body is too long", 413)
        form = await request.post()
        if form.get("grant_type") != "client_credentials":
            return oauth_error("unsupported_grant_type", "grant_type is client_credentials")
        named = _credentials(request)
        if named is None:
            return _unknown_client("Authorization is Basic with client id and secret")
        client_id, secret = named
        address = self._address(request)
        if wait_s := self._attempts.wait_s(client_id, address, time.monotonic()):
            log.warning("token for %.40r from %s: refused, too many attempts", client_id, address)
            return oauth_error(
                "slow_down",
                f"too many attempts; ask again in {wait_s} s",
                429,
                {"Retry-After": str(wait_s)},
            )
        async with self._one_proof_at_a_time:
            client = await asyncio.to_thread(self._clients.proven, client_id, secret)
        if client is None:
            self._attempts.failed(client_id, address, time.monotonic())
            log.warning("token for %.40r from %s: refused", client_id, address)
            return _unknown_client("client id or secret is wrong")
        self._attempts.succeeded(client_id, address)
        token = await asyncio.to_thread(self._tokens.issue, client, self._now())
        log.info("token for %s from %s", client.name, address)
        content = {"access_token": token, "token_type": "Bearer", "expires_in": self._tokens.lifetime_s}
        return json_answer(content, headers={"Pragma": "no-cache"})

    async def list_footprints(self, request: web.Request) -> web.Response:
        """Action ListFootprints."""
        client = await self._client(request)
        await self.refresh()
        given = list(request.query.items())
        asked = [(name, value) for name, value in given if name.lower() not in PAGING]
        paging = {name.lower(): value for name, value in given if name.lower() in PAGING}
        limit = self._limit(paging.get("limit"))
        try:
            found = criteria(asked)
            page = self._catalogue.page(found, client, limit, paging.get("cursor"))
        except (CriteriaError, CursorError) as error:
            raise ApiError("BadRequest", str(error)) from None
        headers = {}
        if page.next_cursor is not None:
            query = urlencode([*asked, ("limit", limit), ("cursor", page.next_cursor)])
            headers["Link"] = f'<{self._base(request)}/3/footprints?{query}>; rel="next"'
        return json_answer({"data": [entry.body for entry in page.entries]}, headers=headers)

    async def get_footprint(self, request: web.Request) -> web.Response:
        """Action GetFootprint."""
        client = await self._client(request)
        await self.refresh()
        entry = self._catalogue.get(request.match_info["id"])
        if entry is None:
            raise ApiError("NotFound", "there is no footprint with that id")
        if not client.may_see(entry.feature):
            raise ApiError("AccessDenied", "this footprint is not for you")
        return json_answer({"data": entry.body})

    async def take_event(self, request: web.Request) -> web.Response:
        """Action Events."""
        client = await self._client(request)
        if request.content_type not in MEDIA_TYPES:
            raise ApiError("BadRequest", f"Content-Type is {events.MEDIA_TYPE}")
        try:
            event = events.event_of(json.loads(await request.read()))
        except events.EventError as error:
            raise ApiError("BadRequest", str(error)) from None
        except (ValueError, RecursionError):
            raise ApiError("BadRequest", "the body is no JSON") from None
        recipient = self._recipient(client, event) if event.type == events.CREATED else None
        await self.refresh()
        if await asyncio.to_thread(self._keep, client, event, recipient):
            self._wake()
            log.info("%s from %s", event.type, client.name)
        return web.Response()

    async def discovery(self, request: web.Request) -> web.Response:
        """OpenID Connect discovery, as far as PACT uses it."""
        base = self._base(request)
        return json_answer(
            {
                "issuer": base,
                "token_endpoint": f"{base}/auth/token",
                "grant_types_supported": ["client_credentials"],
                "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            }
        )

    async def description(self, _: web.Request) -> web.Response:
        """This API as OpenAPI."""
        return json_answer(openapi())

    async def schema(self, _: web.Request) -> web.Response:
        """The schema of the extension: anybody may read it."""
        return web.Response(text=extension_schema_text(), content_type="application/schema+json")

    # ---- who asks

    async def _client(self, request: web.Request) -> Client:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise ApiError("BadRequest", "a token is needed: Authorization: Bearer …", 401)
        holder = await asyncio.to_thread(self._tokens.holder, token.strip(), self._now())
        if isinstance(holder, Ended):
            raise ApiError("TokenExpired", "the token has ended; ask for another one")
        if holder is None:
            raise ApiError("BadRequest", "the token is none of ours", 401)
        return holder

    def _address(self, request: web.Request) -> str:
        peer = request.remote or "unknown"
        if self._settings.listen.tls is not None:
            return peer
        # in clear only this machine can ask: the proxy that has TLS adds the last address
        return request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip() or peer

    def _base(self, request: web.Request) -> str:
        """https:// and the host as the client called it (PACT: a Link names the Host of the request)."""
        # aiohttp would name this machine where there is none
        host = request.headers.get("Host", "")
        if not _HOST.fullmatch(host):
            raise ApiError("BadRequest", "Host is no name of a host")
        return f"https://{host}"

    def _limit(self, text: str | None) -> int:
        most = self._settings.limits.page_footprints
        if text is None or text == "":
            return most
        if not _WHOLE.fullmatch(text) or int(text) < 1:
            raise ApiError("BadRequest", f"limit is {text[:20]!r}; allowed: a whole number from 1")
        return min(int(text), most)

    # ---- events

    def _recipient(self, client: Client, event: events.Event) -> RecipientSection:
        """Where the answer goes: a configured place, never one that the event alone names."""
        recipient = self._recipients.get(client.name)
        if recipient is None:
            raise ApiError("BadRequest", "no recipient is registered for you: answers have nowhere to go")
        host = events.source_host(event.source)
        if host is not None and host != recipient.host:
            raise ApiError("BadRequest", f"source names {host[:80]!r}; registered for you: {recipient.host}")
        return recipient

    def _keep(self, client: Client, event: events.Event, recipient: RecipientSection | None) -> bool:
        """Write an event down, with the answer to it; False where it came before. Old ones are forgotten."""
        now = self._now()
        with self._state.change() as db:
            db.execute("DELETE FROM arrivals WHERE arrived_at < ?", (_written(now - REMEMBERED_S),))
            row = (client.id, event.source, event.id, event.type, json.dumps(event.data), _written(now))
            if not db.execute("INSERT OR IGNORE INTO arrivals VALUES (?, ?, ?, ?, ?, ?)", row).rowcount:
                return False
            if recipient is not None:
                self._departures.add(db, recipient.name, self._answer(client, event, now), now)
        return True

    def _answer(self, client: Client, event: events.Event, now: float) -> dict[str, Any]:
        at = dt.datetime.fromtimestamp(now, dt.UTC)
        found = self._catalogue.all_of(events.asked(event), client)
        most = self._settings.limits.answer_footprints
        if not found:
            return events.rejected(event.id, "NotFound", "no footprint is as you asked", self._source, at)
        if len(found) > most:
            why = f"{len(found)} footprints are as you asked; ask for at most {most}, or fetch them in pages"
            return events.rejected(event.id, "BadRequest", why, self._source, at)
        return events.fulfilled(event.id, [entry.body for entry in found], self._source, at)

    def _announce(self, db: sqlite3.Connection, entries: Sequence[Entry]) -> None:
        now = self._now()
        clients = {client.name: client for client in self._clients.all()}
        for recipient in self._settings.recipients:
            client = clients.get(recipient.asked_by)
            if client is None or not recipient.notify:
                continue
            ids = [entry.id for entry in entries if client.may_see(entry.feature)]
            if ids:
                at = dt.datetime.fromtimestamp(now, dt.UTC)
                self._departures.add(db, recipient.name, events.published(ids, self._source, at), now)
        self._wake()


def _credentials(request: web.Request) -> tuple[str, str] | None:
    scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        client_id, colon, secret = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (ValueError, binascii.Error):
        return None
    return (client_id, secret) if colon else None


def _unknown_client(description: str) -> web.Response:
    headers = {"WWW-Authenticate": 'Basic realm="PACT", charset="UTF-8"'}
    return oauth_error("invalid_client", description, 401, headers)


def _written(now: float) -> str:
    return written_time(dt.datetime.fromtimestamp(now, dt.UTC))
