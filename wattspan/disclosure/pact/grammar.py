"""How PACT writes values: decimals as texts, times in UTC, URNs, UUIDs (3.0.3, Basic Types)."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from decimal import Decimal
from typing import Final

DECIMAL: Final = r"^-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?$"
"""No comma, no sign in front of a positive number, no leading zeros; as long as any real figure is."""
UUID: Final = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
TIME: Final = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?(Z|[+-][0-9]{2}:[0-9]{2})$"
)
URN: Final = r"^[uU][rR][nN]:[A-Za-z0-9][A-Za-z0-9-]{0,30}[A-Za-z0-9]:[\x21-\x7e]+$"
"""RFC 8141: urn, a namespace of 2 to 32 letters, digits and hyphens, and a specific string."""

_DECIMAL: Final = re.compile(DECIMAL.strip("^$"))
_TIME: Final = re.compile(TIME.strip("^$"))
_UNESCAPED_PLUS: Final = re.compile(r" (?=[0-9]{2}:[0-9]{2}$)")

NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_URL, "urn:wattspan:disclosure")
"""Ids of footprints are UUIDv5 in it."""


def decimal_of(text: object) -> Decimal | None:
    """The number that `text` is; None where it is none."""
    return Decimal(text) if isinstance(text, str) and _DECIMAL.fullmatch(text) else None


def time_of(text: object) -> dt.datetime | None:
    """The moment that `text` is, UTC; None where it is none.

    A "+00:00" that was put into a query without escaping arrives as " 00:00" and is read as it was meant.
    """
    if not isinstance(text, str):
        return None
    mended = _UNESCAPED_PLUS.sub("+", text)
    if not _TIME.fullmatch(mended):
        return None
    try:
        return dt.datetime.fromisoformat(mended).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return None


def written_time(moment: dt.datetime) -> str:
    """`moment` (with a zone) in UTC with a Z, to the second."""
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def plain(number: str) -> str:
    """A sealed decimal without the zeros that its digits end with: "0.270000000000000" is "0.27"."""
    return number.rstrip("0").rstrip(".") if "." in number else number


def years_later(moment: dt.datetime, years: int) -> dt.datetime:
    """The same day and time so many years later; 29 February becomes the 28th."""
    return months_later(moment, 12 * years)


def months_later(moment: dt.datetime, months: int) -> dt.datetime:
    """The same day and time so many months later, or the last day of a shorter month."""
    count = moment.year * 12 + moment.month - 1 + months
    year, month = count // 12, count % 12 + 1
    next_month = dt.date(year + month // 12, month % 12 + 1, 1)
    last_day = (next_month - dt.timedelta(days=1)).day
    return moment.replace(year=year, month=month, day=min(moment.day, last_day))


def footprint_id(disclosure_id: str) -> str:
    """The id of a disclosure's footprint: always the same, never that of another."""
    return str(uuid.uuid5(NAMESPACE, disclosure_id))
