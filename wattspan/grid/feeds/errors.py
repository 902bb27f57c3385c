"""What can go wrong with a feed: which feed, zone and range, what came, and the next step."""

from __future__ import annotations

from typing import ClassVar, Literal

Scope = Literal["feed", "zone", "range"]


class FeedError(Exception):
    """A feed did not give what was asked for. The text never holds a key, password or token."""

    scope: ClassVar[Scope] = "range"
    """What the same error is to be expected for again: the whole feed, the zone, or this range only."""
    is_transient: ClassVar[bool] = False
    """Asking again at once may help."""

    def __init__(
        self,
        feed: str,
        what: str,
        next_step: str,
        *,
        zone: str = "",
        asked: str = "",
        is_html: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        where = ", ".join(part for part in (f"zone {zone}" if zone else "", asked) if part)
        super().__init__(f"{feed}{f' ({where})' if where else ''}: {what}; {next_step}")
        self.feed = feed
        self.zone = zone
        self.asked = asked
        self.what = what
        self.next_step = next_step
        self.is_html = is_html
        self.retry_after_s = retry_after_s


class FeedKeyError(FeedError):
    """The feed refuses the key, the token, or user name and password."""

    scope: ClassVar[Scope] = "feed"


class FeedAccessError(FeedError):
    """The key is good, but what was asked for is outside its plan."""

    scope: ClassVar[Scope] = "zone"


class FeedNoDataError(FeedError):
    """The feed has nothing for the zone or the range."""


class FeedRequestError(FeedError):
    """The feed finds the request itself wrong."""


class FeedLimitError(FeedError):
    """Too many requests; `retry_after_s` says when to come back, where the feed said so."""

    scope: ClassVar[Scope] = "feed"
    is_transient: ClassVar[bool] = True


class FeedDownError(FeedError):
    """The feed cannot be reached, is too slow, or answers with an error of its own."""

    scope: ClassVar[Scope] = "feed"
    is_transient: ClassVar[bool] = True


class FeedAnswerError(FeedError):
    """The answer cannot be read: not JSON, cut short, too large, or of another shape."""

    is_transient: ClassVar[bool] = True


class WrongZoneError(FeedError):
    """The answer is about another zone than the one asked for."""

    scope: ClassVar[Scope] = "zone"


class WrongKindError(FeedError):
    """The answer is of another kind, unit or period than the one configured."""

    scope: ClassVar[Scope] = "feed"


class FeedFileError(FeedError):
    """A file of the user's own cannot be read."""

    scope: ClassVar[Scope] = "feed"
