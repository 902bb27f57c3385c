"""`Client`: the one way to ask a feed over HTTP: retried, bounded, and silent about keys."""

from __future__ import annotations

import base64
import datetime as dt
import json
import logging
import re
import time
import urllib.request
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, NoReturn
from urllib.parse import quote, urlsplit
from weakref import WeakSet, finalize

from wattspan.grid.feeds.errors import (
    FeedAccessError,
    FeedAnswerError,
    FeedDownError,
    FeedError,
    FeedKeyError,
    FeedLimitError,
    FeedNoDataError,
    FeedRequestError,
)

try:
    import httpx
    import stamina
except ImportError as error:
    raise ImportError(
        f"live grid feeds need httpx and stamina ({error}); install them: pip install 'wattspan[grid]'"
    ) from error

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_TAGS = re.compile(r"<[^>]*>")
_QUOTED = 120
# Below this the clocks agree as well as HTTP's whole seconds and a slow line let them.
_SMALLEST_SKEW_S = 60


@dataclass(frozen=True, slots=True)
class Limits:
    """How much patience and memory one request may cost."""

    timeout_s: float = 20.0
    """Longest silence while connecting or reading."""
    deadline_s: float = 60.0
    """Longest time of one attempt, however busily the bytes drip."""
    attempts: int = 4
    first_wait_s: float = 0.5
    """Wait before the second attempt; it doubles from there, with jitter."""
    longest_wait_s: float = 30.0
    """A longer `Retry-After` is not waited for: the error carries it."""
    body_bytes: int = 32 * 1024 * 1024
    """Largest answer, decompressed."""
    requests: int = 0
    """Requests allowed in `per_s`; 0 for no limit of ours."""
    per_s: float = 300.0


class Client:
    """Asks one feed for JSON.

    Keys are put on the request below httpx, so that neither its log of URLs nor its exceptions hold them, and
    are blotted out of whatever a feed says in an error. Keys travel over https, or to this machine itself.
    """

    def __init__(
        self,
        feed: str,
        base_url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        secrets: Iterable[str] = (),
        limits: Limits | None = None,
    ) -> None:
        """`headers`, `params`: those that hold keys; `secrets`: what must never be shown.

        Raises ValueError for a base URL that is not http(s), or that would carry a key in the clear, and for
        a key that cannot be sent.
        """
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{feed}: base_url {base_url!r} is not an http(s) address")
        if parts.username or parts.password:
            raise ValueError(f"{feed}: base_url must not hold a user name or password; use the key settings")
        self._secrets = sorted({form for secret in secrets if secret for form in _forms(secret)}, key=len)
        if self._secrets and parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise ValueError(f"{feed}: base_url {base_url!r} would send the key in the clear; use https")
        if not all(value.isascii() and value.isprintable() for value in (headers or {}).values()):
            # They could not be sent, and the library that tries shows them in its error.
            raise ValueError(
                f"{feed}: the key holds line breaks or other characters that no key has; "
                "set it to the key alone"
            )
        self.feed = feed
        self.base_url = base_url.rstrip("/")
        self.limits = limits or Limits()
        self.skew_s = 0
        """Clock of the feed minus ours, seconds; 0 where they agree to a minute."""
        self._sent: deque[float] = deque()
        proxy = None if urllib.request.proxy_bypass(parts.hostname) else _proxy(parts.scheme)
        self._keyed = _Keyed(httpx.HTTPTransport(proxy=proxy))
        self._keyed.headers = dict(headers or {})
        self._keyed.params = dict(params or {})
        _BLOTTER.clients.add(self)
        self._http = httpx.Client(
            base_url=self.base_url,
            transport=self._keyed,
            timeout=httpx.Timeout(self.limits.timeout_s),
            follow_redirects=False,
            headers={"User-Agent": "wattspan", "Accept": "application/json"},
        )
        # A feed lives as long as whoever asks it: most never say that they are done.
        finalize(self, self._http.close)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def now_unix_s(self) -> int:
        """The time by the feed's clock as far as its answers told it, else by ours."""
        return int(time.time()) + self.skew_s

    def authorize(self, authorization: str, secret: str) -> None:
        """Send this `Authorization` header from now on; `secret` is the part never to be shown."""
        self._keyed.headers["Authorization"] = authorization
        self._secrets = sorted({*self._secrets, *_forms(secret)}, key=len)

    def get(
        self, path: str, params: Mapping[str, str] | None = None, *, zone: str = "", asked: str = ""
    ) -> Any:
        """The JSON of an answer; None for 204. Retries what may pass. Raises FeedError.

        `zone`, `asked`: for the text of errors.
        """
        limits = self.limits
        for attempt in stamina.retry_context(
            on=self._backoff,
            attempts=limits.attempts,
            timeout=limits.deadline_s * limits.attempts,
            wait_initial=limits.first_wait_s,
            wait_max=limits.longest_wait_s,
            wait_jitter=limits.first_wait_s,
        ):
            with attempt:
                return self._once(path, params or {}, zone, asked)
        raise AssertionError("a retry either returns or raises")

    def redact(self, text: str) -> str:
        """`text` with every secret blotted out."""
        for secret in reversed(self._secrets):
            text = text.replace(secret, "***")
        return text

    def _backoff(self, error: Exception) -> bool | float:
        if not (isinstance(error, FeedError) and error.is_transient):
            return False
        if error.retry_after_s is None:
            return True
        return error.retry_after_s if error.retry_after_s <= self.limits.longest_wait_s else False

    def _once(self, path: str, params: Mapping[str, str], zone: str, asked: str) -> Any:
        self._pace(zone, asked)
        deadline = time.monotonic() + self.limits.deadline_s
        try:
            with self._http.stream("GET", path, params=dict(params)) as response:
                body = self._read(response, deadline, zone, asked)
        except httpx.TimeoutException:
            what = f"no answer within {self.limits.timeout_s:g} s"
            raise FeedDownError(self.feed, what, _LATER, zone=zone, asked=asked) from None
        except httpx.HTTPError as error:
            what = self.redact(f"{type(error).__name__}: {error}"[:_QUOTED])
            raise FeedDownError(self.feed, what, _LATER, zone=zone, asked=asked) from None
        self._note_clock(response.headers)
        if response.status_code == 204:
            return None
        if response.status_code != 200:
            self._refuse(response, body, zone, asked)
        return self._json(body, zone, asked)

    def _pace(self, zone: str, asked: str) -> None:
        """Stay below the feed's limit: it bans whoever runs into it often."""
        if not self.limits.requests:
            return
        now = time.monotonic()
        while self._sent and self._sent[0] <= now - self.limits.per_s:
            self._sent.popleft()
        if len(self._sent) >= self.limits.requests:
            wait_s = self._sent[0] + self.limits.per_s - now
            what = f"{self.limits.requests} requests in {self.limits.per_s:g} s are its limit"
            raise FeedLimitError(
                self.feed, what, f"ask again in {wait_s:.0f} s", zone=zone, asked=asked, retry_after_s=wait_s
            )
        self._sent.append(now)

    def _read(self, response: httpx.Response, deadline: float, zone: str, asked: str) -> bytes:
        body = bytearray()
        for piece in response.iter_bytes():
            body += piece
            if len(body) > self.limits.body_bytes:
                what = f"the answer is larger than {self.limits.body_bytes:,} bytes"
                step = "ask for a shorter range, or check base_url"
                raise FeedRequestError(self.feed, what, step, zone=zone, asked=asked)
            if time.monotonic() > deadline:
                what = f"the answer was not complete after {self.limits.deadline_s:g} s"
                raise FeedDownError(self.feed, what, _LATER, zone=zone, asked=asked)
        return bytes(body)

    def _note_clock(self, headers: httpx.Headers) -> None:
        date = _date(headers.get("date", ""))
        if date is None:
            return
        # A cache in between keeps the old Date and says how old it is.
        age = headers.get("age", "")
        skew = int(date) + (int(age) if age.isdecimal() and len(age) < 9 else 0) - int(time.time())
        self.skew_s = skew if abs(skew) >= _SMALLEST_SKEW_S else 0

    def _retry_after_s(self, headers: httpx.Headers) -> float | None:
        text = headers.get("retry-after", "").strip()
        if text.isdecimal() and len(text) < 9:
            return float(text)
        moment = _date(text)
        if moment is None:
            return None
        # Reckoned from the feed's own clock: ours may be wrong.
        now = _date(headers.get("date", ""))
        return max(0.0, moment - (now if now is not None else time.time()))

    def _refuse(self, response: httpx.Response, body: bytes, zone: str, asked: str) -> NoReturn:
        status, is_html = response.status_code, _is_html(body)
        what = f"answered {status} {self._message(body)}".rstrip()
        raised, step = _meaning(status)
        retry_after_s = (
            self._retry_after_s(response.headers) if raised in (FeedLimitError, FeedDownError) else None
        )
        if retry_after_s is not None:
            step = f"ask again in {retry_after_s:.0f} s"
        if 300 <= status < 400:
            target = urlsplit(response.headers.get("location", "")).hostname or "elsewhere"
            what = f"answered {status}, a redirect to {self.redact(target)}, which is not followed"
        raise raised(
            self.feed, what, step, zone=zone, asked=asked, is_html=is_html, retry_after_s=retry_after_s
        )

    def _message(self, body: bytes) -> str:
        """What the feed says of an error, in one short line without keys."""
        text = body[:4096].decode("utf-8", "replace")
        if _is_html(body):
            return f"(HTML: {self._line(_TAGS.sub(' ', text))})"
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, dict):
            error = found.get("error")
            parts = [error.get("message") if isinstance(error, dict) else error, found.get("message")]
            text = ": ".join(part for part in parts if isinstance(part, str))
        return f"({self._line(text)})" if text.strip() else ""

    def _line(self, text: str) -> str:
        return self.redact(" ".join(text.split()))[:_QUOTED]

    def _json(self, body: bytes, zone: str, asked: str) -> Any:
        try:
            return json.loads(body, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            seen = "HTML" if _is_html(body) else "no JSON" if body.strip() else "nothing"
            line = self._line(_TAGS.sub(" ", body[:4096].decode("utf-8", "replace")))
            reason = type(error).__name__ if isinstance(error, RecursionError) else str(error)[:_QUOTED]
            what = f"answered 200 with {seen} ({self.redact(reason)}): {line}"
        raise FeedAnswerError(
            self.feed, what, "check base_url, or ask later", zone=zone, asked=asked, is_html=seen == "HTML"
        )


class _Keyed(httpx.BaseTransport):
    """Puts keys on a request on its way out."""

    def __init__(self, inner: httpx.BaseTransport) -> None:
        self._inner = inner
        self.headers: dict[str, str] = {}
        self.params: dict[str, str] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        headers = httpx.Headers(request.headers)
        headers.update(self.headers)
        keyed = httpx.Request(
            request.method,
            request.url.copy_merge_params(self.params) if self.params else request.url,
            headers=headers,
            stream=request.stream,
            extensions=request.extensions,
        )
        return self._inner.handle_request(keyed)

    def close(self) -> None:
        self._inner.close()


class _Blotter(logging.Filter):
    """Blots keys out of httpcore's log of headers: a redirect or an error may send a key back."""

    def __init__(self) -> None:
        super().__init__()
        self.clients: WeakSet[Client] = WeakSet()

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        for client in list(self.clients):
            text = client.redact(text)
        record.msg, record.args = text, ()
        return True


_BLOTTER = _Blotter()
for _name in ("httpcore.http11", "httpx"):
    logging.getLogger(_name).addFilter(_BLOTTER)

_LATER = "nothing to do: it is asked again later"


def _meaning(status: int) -> tuple[type[FeedError], str]:
    if status == 401:
        return FeedKeyError, "check the key"
    if status == 403:
        return FeedAccessError, "check the key and what its plan covers"
    if status in (404, 410):
        return FeedNoDataError, "check the zone, or ask for another range"
    if status == 429:
        return FeedLimitError, "ask less often"
    if status >= 500 or status == 408:
        return FeedDownError, _LATER
    if 300 <= status < 400:
        return FeedAnswerError, "set base_url to where the feed is now"
    return FeedRequestError, "check the settings of the feed"


def _forms(secret: str) -> set[str]:
    """A secret as it may stand in a text: itself, in a URL, in a Basic header."""
    return {secret, quote(secret, safe=""), base64.b64encode(secret.encode()).decode()}


def _proxy(scheme: str) -> str | None:
    return urllib.request.getproxies().get(scheme)


def _is_html(body: bytes) -> bool:
    return body[:512].lstrip().lower().startswith((b"<html", b"<!doctype", b"<?xml"))


def _date(text: str) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp()


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
