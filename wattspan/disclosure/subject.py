"""What a disclosure is about, beside its figures: issuer, feature, period, edition, methodology, boundary."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any, Final, Literal

from wattspan.disclosure.numbers import written

ChangeClass = Literal[
    "first",
    "new-period",
    "method-change",
    "dataset-vintage",
    "estimate-revision",
    "boundary-change",
    "error-correction",
]

_PERIOD: Final = re.compile(r"(\d{4})(?:-?(Q[1-4]|H[12]|\d{2}))?")
_SLUG: Final = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}")

BOUNDARY: Final[tuple[tuple[str, bool, str], ...]] = (
    ("accelerator", True, ""),
    ("host", True, ""),
    ("idle", True, ""),
    ("cooling_and_power", True, ""),
    ("embodied_hardware", True, ""),
    ("application_compute", False, "in where compute spans are estimated; else not estimated"),
    ("network", False, "not estimated"),
    ("client_device", False, "not estimated"),
    ("storage", False, "not estimated"),
    ("training", False, "with the model's provider (SCI for AI, consumer boundary)"),
)
"""Code, in or out, and what is known of the size of what is out. A closed list."""


class PeriodError(ValueError):
    """A period that is not whole calendar months: what was found and what is allowed."""


@dataclass(frozen=True, slots=True)
class Period:
    """Whole calendar months, UTC, end exclusive."""

    label: str
    """2026Q3, 2026H1, 2026-07 or 2026."""
    start: dt.date
    end: dt.date

    @classmethod
    def of(cls, text: str) -> Period:
        """Read a label. Raises PeriodError."""
        match = _PERIOD.fullmatch(text.strip())
        first, months, label = 1, 12, ""
        if match:
            year, part = int(match[1]), match[2] or ""
            label = f"{year}{part}"
            if part[:1] == "Q":
                first, months = 3 * int(part[1]) - 2, 3
            elif part[:1] == "H":
                first, months = 6 * int(part[1]) - 5, 6
            elif part:
                first, months, label = int(part), 1, f"{year}-{part}"
        if not match or not 1 <= first <= 12 or not 1970 <= year <= 9998:
            raise PeriodError(f"period {text!r}; allowed: 2026Q3, 2026H1, 2026-07 or 2026")
        last = first + months
        end = dt.date(year + (last > 12), last - 12 if last > 12 else last, 1)
        return cls(label, dt.date(year, first, 1), end)

    def is_open(self, now: dt.datetime) -> bool:
        """Whether it has not ended by `now` (with a zone)."""
        return now.astimezone(dt.UTC).date() < self.end


@dataclass(frozen=True, slots=True)
class Feature:
    """A product feature as the customer buys it."""

    key: str
    """As the feature rules name it."""
    name: str = ""
    """Trade name; the key where none is given."""
    sku: str = ""
    description: str = ""

    @property
    def slug(self) -> str:
        """The key as it stands in ids and folders."""
        return slug(self.key)


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who discloses."""

    domain: str
    name: str


@dataclass(frozen=True, slots=True)
class Method:
    """How the figures were made."""

    edition: str
    edition_digest: str
    edition_status: str
    signal: str
    factor_type: str
    gap_rule: str
    rules_version: str
    software: str
    """wattspan and its version."""
    datasets: tuple[Mapping[str, Any], ...] = ()
    """name, version, sha256 and licence of each part of the edition that was used."""

    @property
    def id(self) -> str:
        """Names the method in a citation."""
        return f"wattspan-{self.edition}"


@dataclass(frozen=True, slots=True)
class Change:
    """From the previous figure of the same feature."""

    kind: ChangeClass
    previous_id: str = ""
    previous_kg_per_1000: Decimal | None = None
    previous_published: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Subject:
    """All of it."""

    issuer: Issuer
    feature: Feature
    period: Period
    edition_number: int
    method: Method
    change: Change

    @property
    def id(self) -> str:
        """issuer / period / feature @ edition."""
        return f"{self.issuer.domain}/{self.period.label}/{self.feature.slug}@{self.edition_number}"

    def to_json(self) -> dict[str, Any]:
        """As it is sealed: texts all through."""
        previous = self.change.previous_kg_per_1000
        return {
            "issuer": asdict(self.issuer),
            "feature": asdict(self.feature),
            "period": self.period.label,
            "edition_number": str(self.edition_number),
            "method": {**asdict(self.method), "datasets": [dict(d) for d in self.method.datasets]},
            "change": {
                **asdict(self.change),
                "previous_kg_per_1000": None if previous is None else written(previous),
            },
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Subject:
        """Back from `to_json`. Raises KeyError, TypeError or PeriodError for anything else."""
        change = dict(content["change"])
        previous = change.pop("previous_kg_per_1000")
        method = dict(content["method"])
        return cls(
            issuer=Issuer(**content["issuer"]),
            feature=Feature(**content["feature"]),
            period=Period.of(content["period"]),
            edition_number=int(content["edition_number"]),
            method=Method(**{**method, "datasets": tuple(method["datasets"])}),
            change=Change(**change, previous_kg_per_1000=None if previous is None else Decimal(previous)),
        )


def slug(text: str) -> str:
    """`text` as lower-case letters, digits, dots and hyphens. Raises ValueError where nothing is left."""
    made = re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.")[:63].rstrip("-.")
    if not _SLUG.fullmatch(made):
        raise ValueError(f"{text!r} has no letter or digit to name a file by")
    return made
