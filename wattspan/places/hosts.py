"""Host names of model APIs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple


@dataclass(frozen=True, slots=True)
class HostEntry:
    """One row of the host table."""

    template: str
    provider: str
    """Canonical provider; "" where the host says nothing about it."""
    cloud: str
    """Cloud whose region names the host uses; "" for the provider's own."""
    geography: str
    """Geography of the host; "unknown" where it names the provider only; "" where it holds a region."""
    facility: str
    """Facility that applies instead of the region's or provider's; "" for none."""
    source: str


class HostMatch(NamedTuple):
    """A host that the table knows."""

    entry: HostEntry
    region: str
    """What stands in the place of <region>: a region or a geography; "" where the template has none."""


class Hosts:
    """The host table."""

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self._exact: dict[str, HostEntry] = {}
        self._templates: list[tuple[re.Pattern[str], HostEntry]] = []
        for row in rows:
            entry = HostEntry(
                template=row["host"],
                provider=row["provider"],
                cloud=row.get("cloud", ""),
                geography=row.get("geography", ""),
                facility=row.get("facility", ""),
                source=row["source"],
            )
            if "<" in entry.template or "*" in entry.template:
                self._templates.append((_pattern(entry.template), entry))
            else:
                self._exact[entry.template] = entry

    def match(self, host: str) -> HostMatch | None:
        """The row for a host name; scheme, port, path and case do not matter."""
        bare = bare_host(host)
        if not bare:
            return None
        entry = self._exact.get(bare)
        if entry is not None:
            return HostMatch(entry, "")
        for pattern, entry in self._templates:
            found = pattern.fullmatch(bare)
            if found:
                return HostMatch(entry, found.groupdict().get("region") or "")
        return None


def bare_host(host: str) -> str:
    """The host name alone: no scheme, user, port, path or trailing dot, in lower case."""
    bare = host.strip().lower()
    _, scheme, rest = bare.partition("://")
    bare = (rest if scheme else bare).split("/", 1)[0].rsplit("@", 1)[-1]
    if bare.count(":") == 1:
        bare = bare.split(":", 1)[0]
    return bare.rstrip(".")


def _pattern(template: str) -> re.Pattern[str]:
    parts = []
    for part in re.split(r"(<region>|\*\*|\*)", template):
        if part == "<region>":
            parts.append(r"(?P<region>[a-z0-9]+(?:-[a-z0-9]+)*)")
        elif part == "**":
            parts.append(r"[^/]+")
        elif part == "*":
            parts.append(r"[^./]+")
        else:
            parts.append(re.escape(part))
    return re.compile("".join(parts))
