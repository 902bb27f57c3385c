"""`Courier`: takes events to recipients: a token first, then the event, again later where either fails."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Self
from urllib.parse import urlsplit

import aiohttp

from wattspan.disclosure.pact.departures import Departure, Departures
from wattspan.disclosure.pact.events import MEDIA_TYPE
from wattspan.disclosure.pact.settings import RecipientSection, RetrySection
from wattspan.disclosure.pact.state import StateError
from wattspan.web.pact.addresses import PublicResolver, is_public

log: Final = logging.getLogger("wattspan.pact")
MOST_TOKEN_BYTES: Final = 65_536
_EARLY_S: Final = 30.0
"""A token that ends sooner than this is not used any more."""
_DEFAULT_TOKEN_S: Final = 300.0
_MOST_IDLE_S: Final = 5.0


class NotTakenError(Exception):
    """An event was not taken; the reason holds neither secrets nor what was sent."""


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    ends_at: float

    def __repr__(self) -> str:
        return f"_Token(ends_at={self.ends_at})"


class Courier:
    """For the recipients of a configuration. Use as an asynchronous context."""

    def __init__(
        self,
        recipients: Mapping[str, RecipientSection],
        departures: Departures,
        retry: RetrySection,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._recipients, self._departures, self._retry, self._now = recipients, departures, retry, now
        self._sessions: dict[str, aiohttp.ClientSession] = {}
        self._tokens: dict[str, _Token] = {}
        self._more = asyncio.Event()
        self._is_stopping = False

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        return self

    async def __aexit__(self, *_: object) -> None:
        for session in self._sessions.values():
            await session.close()

    def wake(self) -> None:
        """There is something new to take. May be told from any thread."""
        self._loop.call_soon_threadsafe(self._more.set)

    def stop(self) -> None:
        """Begin nothing more; what is under way is finished and written down, not to be sent twice."""
        self._is_stopping = True
        self._more.set()

    async def run(self) -> None:
        """Take what is due, until `stop`."""
        while not self._is_stopping:
            self._more.clear()
            next_at = None
            try:
                await self.deliver_due()
                next_at = await asyncio.to_thread(self._departures.next_at)
            except StateError as error:
                # a full disk may have room again
                log.error("%s", error)
            wait = _MOST_IDLE_S if next_at is None else min(_MOST_IDLE_S, max(0.05, next_at - self._now()))
            with suppress(TimeoutError):
                await asyncio.wait_for(self._more.wait(), wait)

    async def deliver_due(self) -> None:
        """Try everything that is due once; recipients side by side, the events of one in turn."""
        by_recipient: dict[str, list[Departure]] = {}
        for departure in await asyncio.to_thread(self._departures.due, self._now()):
            by_recipient.setdefault(departure.recipient, []).append(departure)
        await asyncio.gather(*(self._deliver_all(departures) for departures in by_recipient.values()))

    async def _deliver_all(self, departures: list[Departure]) -> None:
        for departure in departures:
            if not self._is_stopping:
                await self._deliver(departure)

    async def _deliver(self, departure: Departure) -> None:
        try:
            recipient = self._recipients.get(departure.recipient)
            if recipient is None:
                raise NotTakenError("no recipient of that name is configured any more")
            await self._send(recipient, departure)
        except NotTakenError as error:
            next_at = await asyncio.to_thread(self._departures.failed, departure, str(error), self._now())
            fate = "given up" if next_at is None else f"again in {max(0.0, next_at - self._now()):.0f} s"
            log.warning("%s to %s: %s; %s", departure.type, departure.recipient, error, fate)
        else:
            await asyncio.to_thread(self._departures.sent, departure)
            log.info("%s to %s: taken", departure.type, departure.recipient)

    async def _send(self, recipient: RecipientSection, departure: Departure) -> None:
        try:
            async with asyncio.timeout(self._retry.timeout_s):
                status = await self._post(recipient, departure, await self._token(recipient))
                if status == 401:
                    # it may have ended early
                    self._tokens.pop(recipient.name, None)
                    status = await self._post(recipient, departure, await self._token(recipient))
        except TimeoutError:
            raise NotTakenError(f"no answer within {self._retry.timeout_s:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NotTakenError(_reason(error)) from None
        if not 200 <= status < 300:
            raise NotTakenError(f"answered {status}")

    async def _post(self, recipient: RecipientSection, departure: Departure, token: str) -> int:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": f"{MEDIA_TYPE}; charset=UTF-8"}
        session = self._session(recipient, recipient.events_address)
        async with session.post(
            recipient.events_address,
            data=departure.body.encode(),
            headers=headers,
            allow_redirects=False,
        ) as answer:
            return answer.status

    async def _token(self, recipient: RecipientSection) -> str:
        held = self._tokens.get(recipient.name)
        if held is not None and held.ends_at > self._now() + _EARLY_S:
            return held.text
        session = self._session(recipient, recipient.token_address)
        async with session.post(
            recipient.token_address,
            data={"grant_type": "client_credentials"},
            headers={"Authorization": _login(recipient), "Accept": "application/json"},
            allow_redirects=False,
        ) as answer:
            if answer.status != 200:
                raise NotTakenError(f"its token endpoint answered {answer.status}")
            content = _object(await _bounded(answer))
        text, lasts_s = content.get("access_token"), content.get("expires_in", _DEFAULT_TOKEN_S)
        if not isinstance(text, str) or not text.isascii() or not text.isprintable():
            raise NotTakenError("its token endpoint answered without an access_token")
        seconds = float(lasts_s) if isinstance(lasts_s, (int, float)) else _DEFAULT_TOKEN_S
        self._tokens[recipient.name] = _Token(text, self._now() + seconds)
        return text

    def _session(self, recipient: RecipientSection, url: str) -> aiohttp.ClientSession:
        host = urlsplit(url).hostname or ""
        # an address in the URL needs no resolver, so it is looked at here
        if not recipient.allow_private and _is_address(host) and not is_public(host):
            raise NotTakenError(f"{host} is no public address; allow_private lets it be")
        session = self._sessions.get(recipient.name)
        if session is None:
            try:
                tls = recipient.context()
            except OSError as error:
                raise NotTakenError(f"its ca_file cannot be used: {error.strerror or error}") from None
            session = self._sessions[recipient.name] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    ssl=tls, resolver=None if recipient.allow_private else PublicResolver(), limit=4
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            )
        return session


def _login(recipient: RecipientSection) -> str:
    pair = f"{recipient.client_id}:{recipient.client_secret.get_secret_value()}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


async def _bounded(answer: aiohttp.ClientResponse) -> bytes:
    data = b""
    async for chunk in answer.content.iter_any():
        data += chunk
        if len(data) > MOST_TOKEN_BYTES:
            raise NotTakenError("its token endpoint answered more than a token needs")
    return data


def _object(data: bytes) -> Mapping[str, Any]:
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise NotTakenError("its token endpoint answered no JSON object")
    return content


def _is_address(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdecimal()


def _reason(error: Exception) -> str:
    """What went wrong with a connection, without what was sent."""
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"{error.host} cannot be reached: {error.os_error.strerror or error.os_error}"
    return f"the connection failed: {type(error).__name__}"
