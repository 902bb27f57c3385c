"""CloudEvents between PACT systems: what came is checked, what goes is made (PACT 3.0, Action Events)."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from wattspan.disclosure.pact.criteria import Criteria, CriteriaError, criteria
from wattspan.disclosure.pact.grammar import UUID, time_of, written_time
from wattspan.disclosure.pact.schema import CODES

_PREFIX: Final = "org.wbcsd.pact.ProductFootprint."
CREATED: Final = f"{_PREFIX}RequestCreatedEvent.3"
FULFILLED: Final = f"{_PREFIX}RequestFulfilledEvent.3"
REJECTED: Final = f"{_PREFIX}RequestRejectedEvent.3"
PUBLISHED: Final = f"{_PREFIX}PublishedEvent.3"
TYPES: Final = (CREATED, FULFILLED, REJECTED, PUBLISHED)
MEDIA_TYPE: Final = "application/cloudevents+json"
COMMENT: Final = "comment"
MOST_ID: Final = 500
_UUID: Final = re.compile(UUID.strip("^$"))


class EventError(ValueError):
    """No event of PACT: which member is wrong, and what is allowed."""


@dataclass(frozen=True, slots=True)
class Event:
    """One that came, checked."""

    type: str
    id: str
    source: str
    data: Mapping[str, Any]


def event_of(content: Any) -> Event:
    """A CloudEvent of PACT 3. Raises EventError."""
    if not isinstance(content, Mapping):
        raise EventError("the body is no object; allowed: a CloudEvent in JSON")
    for name in ("type", "specversion", "id", "source", "time"):
        value = content.get(name)
        if not isinstance(value, str) or not 1 <= len(value) <= MOST_ID or not value.isprintable():
            raise EventError(f"{name} is {_shown(value)}; allowed: a text of 1 to {MOST_ID} characters")
    if content["specversion"] != "1.0":
        raise EventError(f"specversion is {_shown(content['specversion'])}; allowed: '1.0'")
    if content["type"] not in TYPES:
        raise EventError(f"type is {_shown(content['type'])}; allowed: {', '.join(TYPES)}")
    if time_of(content["time"]) is None:
        raise EventError(f"time is {_shown(content['time'])}; allowed: such as 2026-07-01T00:00:00Z")
    data = content.get("data")
    if not isinstance(data, Mapping):
        raise EventError(f"data is {_shown(data)}; allowed: an object")
    event = Event(content["type"], content["id"], content["source"], data)
    _CHECKS[event.type](data)
    return event


def asked(event: Event) -> Criteria:
    """What a RequestCreatedEvent asks for."""
    return _criteria(event.data)


def source_host(source: str) -> str | None:
    """The host in an event's source, lower case; None where it names none (a path, a URN)."""
    try:
        return urlsplit(source).hostname
    except ValueError:
        return None


def fulfilled(
    request_id: str, footprints: Sequence[Mapping[str, Any]], source: str, now: dt.datetime
) -> dict[str, Any]:
    """The answer with footprints, of which there is at least one."""
    return _made(FULFILLED, {"requestEventId": request_id, "pfs": list(footprints)}, source, now)


def rejected(request_id: str, code: str, message: str, source: str, now: dt.datetime) -> dict[str, Any]:
    """The answer without."""
    error = {"code": code, "message": message}
    return _made(REJECTED, {"requestEventId": request_id, "error": error}, source, now)


def published(ids: Sequence[str], source: str, now: dt.datetime) -> dict[str, Any]:
    """News of footprints that are new, or were deprecated."""
    return _made(PUBLISHED, {"pfIds": list(ids)}, source, now)


def _made(kind: str, data: Mapping[str, Any], source: str, now: dt.datetime) -> dict[str, Any]:
    return {
        "type": kind,
        "specversion": "1.0",
        "id": str(uuid.uuid4()),
        "source": source,
        "time": written_time(now),
        "data": data,
    }


def _criteria(data: Mapping[str, Any]) -> Criteria:
    given = []
    for name, value in data.items():
        if name == COMMENT:
            if not isinstance(value, str):
                raise EventError(f"data.comment is {_shown(value)}; allowed: a text")
            continue
        for one in value if isinstance(value, list) else [value]:
            # the text of PACT takes null as not asked
            if one is not None:
                if not isinstance(one, str) or not one:
                    raise EventError(f"data.{name} is {_shown(value)}; allowed: texts that are not empty")
                given.append((name, one))
    try:
        found = criteria(given)
    except CriteriaError as error:
        raise EventError(f"data: {error}") from error
    if not found:
        raise EventError("data has no criterion; a request names what it asks for, such as productId")
    return found


def _check_request(data: Mapping[str, Any]) -> None:
    _criteria(data)


def _check_fulfilled(data: Mapping[str, Any]) -> None:
    _check_answer(data)
    footprints = data.get("pfs")
    if not isinstance(footprints, list) or not footprints:
        raise EventError(f"data.pfs is {_shown(footprints)}; allowed: a list of at least one footprint")
    for index, footprint in enumerate(footprints):
        if not isinstance(footprint, Mapping) or not _is_uuid(footprint.get("id")):
            raise EventError(f"data.pfs[{index}] is no footprint: it has no id that is a UUID")


def _check_rejected(data: Mapping[str, Any]) -> None:
    _check_answer(data)
    error = data.get("error")
    if (
        not isinstance(error, Mapping)
        or error.get("code") not in CODES
        or not isinstance(error.get("message"), str)
    ):
        raise EventError(f"data.error is {_shown(error)}; allowed: a code ({', '.join(CODES)}) and a message")


def _check_answer(data: Mapping[str, Any]) -> None:
    request = data.get("requestEventId")
    if not isinstance(request, str) or not request:
        raise EventError(f"data.requestEventId is {_shown(request)}; allowed: the id of the request's event")


def _check_published(data: Mapping[str, Any]) -> None:
    ids = data.get("pfIds")
    if not isinstance(ids, list) or not ids or not all(map(_is_uuid, ids)):
        raise EventError(f"data.pfIds is {_shown(ids)}; allowed: a list of UUIDs, at least one")


def _is_uuid(value: Any) -> bool:
    return isinstance(value, str) and _UUID.fullmatch(value) is not None


def _shown(value: Any) -> str:
    text = "missing" if value is None else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


_CHECKS: Final = {
    CREATED: _check_request,
    FULFILLED: _check_fulfilled,
    REJECTED: _check_rejected,
    PUBLISHED: _check_published,
}
