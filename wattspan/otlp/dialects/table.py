"""The dialect table: which key of which instrumentation means what, read from `table.json` and checked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from typing import Any, Final

KWH_PER_UNIT: Final[Mapping[str, float]] = {"kWh": 1.0, "Wh": 1e-3, "J": 1 / 3.6e6}
"""The units in which a span may carry energy."""

COUNTS: Final = ("input", "output", "cache_read", "cache_write", "reasoning", "total")
"""Token counts of one call, in the order of the reader's lines."""

AGGREGATED: Final = (
    "aggregated_input",
    "aggregated_output",
    "aggregated_cache_read",
    "aggregated_cache_write",
    "aggregated_reasoning",
)
"""Token counts that by their name are sums over several calls, in the order of `COUNTS`."""

_FIELDS: Final = frozenset(
    (
        "operation",
        "provider",
        "request_model",
        "response_model",
        "response_id",
        "host",
        "region",
        "cloud",
        "geography",
        "streaming",
        "error",
    )
)
_RESOURCE_FIELDS: Final = frozenset(("resource_region", "resource_cloud", "service"))
_FLAGS: Final[Mapping[str, frozenset[object]]] = {
    "cache": frozenset(("outside", "inside")),
    "reasoning": frozenset(("outside", "inside", "in total")),
    "usage": frozenset(("invented",)),
    "role": frozenset(("none",)),
    "part": frozenset(("continuation",)),
    "self_hosted": frozenset((True,)),
}
_WHEN_MISSING: Final = frozenset(("input", "cache_read", "request_model", "host"))
_FORMATS: Final = frozenset(("json", "python"))


class TableError(ValueError):
    """The dialect table breaks its own rules."""

    def __init__(self, where: str, found: object, allowed: str) -> None:
        super().__init__(
            f"dialect table, {where}: found {found!r}; allowed: {allowed}. "
            "Mend wattspan/otlp/dialects/table.json"
        )


@dataclass(frozen=True, slots=True)
class Dialect:
    """One row: the spans it fits, and what is different about them."""

    id: str
    scopes: tuple[str, ...]
    """Patterns of instrumentation scope names; `*` matches anything."""
    carries: tuple[str, ...] = ()
    """The span has at least one of these keys (none named: no condition)."""
    lacks: tuple[str, ...] = ()
    """The span has none of these keys."""
    equals: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The span's text under each key matches one of the patterns."""
    streaming: bool | None = None
    """The span says that the call was (not) streamed."""
    named: tuple[str, ...] = ()
    """The span's name matches one of the patterns (none named: no condition)."""
    cache_outside: bool | None = None
    """Input tokens leave cache reads and writes out (True), have them in (False), or the numbers decide
    (None)."""
    reasoning_outside: bool | None = None
    """The same of reasoning tokens and output."""
    output_is_rest: bool = False
    """Output tokens leave reasoning out, which shows in the total alone: output is the total less the
    input."""
    is_invented: bool = False
    """The token counts were made up by the instrumentation."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Operations of spans that have none, by span name; "*": the name is `{operation} {request model}`."""
    is_nothing: bool = False
    """Not a call, whatever it carries."""
    is_continuation: bool = False
    """The span completes an earlier span of the same call (a streamed response logged apart)."""
    duration_key: str = ""
    """The span is a point in time; this key has the seconds before it."""
    is_self_hosted: bool = False
    """The serving engine itself made the span."""

    def fits_scope(self, name: str) -> bool:
        """Whether one of the scope patterns matches."""
        return any(fnmatchcase(name, pattern) for pattern in self.scopes)

    @property
    def is_conditional(self) -> bool:
        """Whether more than the scope decides."""
        return bool(self.carries or self.lacks or self.equals or self.named) or self.streaming is not None


@dataclass(frozen=True, slots=True)
class EnergyKey:
    """An attribute that holds the energy of the call."""

    key: str
    kwh: float
    """kWh in one of the attribute's units."""
    is_measured: bool
    """Metered by the user; otherwise reported by a provider or another tool."""
    unless: str
    """Not somebody's report where the span has this key too ("" = always)."""


@dataclass(frozen=True, slots=True)
class EmbeddedKey:
    """An attribute whose text is an object with facts in it."""

    key: str
    is_json: bool
    """JSON; otherwise the repr of a Python dict."""
    shape: Mapping[str, tuple[str, int]]
    """For each dotted path in the object, the fact that is there and its rank among that fact's paths (0
    first)."""
    adds: Mapping[str, tuple[str, ...]]
    """Names of counts that leave others out, and how the names of those others begin (Anthropic's
    `input_tokens` without cache reads, Langfuse's `input` without `input_*`)."""
    when_missing: str
    """Read only for spans that lack this fact."""

    @property
    def has_usage(self) -> bool:
        """Whether input tokens are among the facts."""
        return any(fact == "input" for fact, _ in self.shape.values())

    @property
    def has_numbers(self) -> bool:
        """Whether counts or energies are among the facts."""
        return any(fact in COUNTS or fact.startswith("energy_") for fact, _ in self.shape.values())


@dataclass(frozen=True, slots=True)
class Table:
    """The dialect table in memory."""

    version: int
    most_tokens: int
    most_energy_kwh: float
    most_embedded_bytes: int
    most_embedded_depth: int
    fields: Mapping[str, tuple[str, ...]]
    resource_fields: Mapping[str, str]
    error_values: Mapping[str, tuple[str, ...]]
    counts: Mapping[str, tuple[str, ...]]
    parts: Mapping[str, tuple[tuple[str, ...], ...]]
    energy: tuple[EnergyKey, ...]
    embedded: tuple[EmbeddedKey, ...]
    operations: Mapping[str, str]
    calls: frozenset[str]
    """Names of operations that are one call of a model."""
    providers: Mapping[str, str]
    not_providers: frozenset[str]
    provider_before_slash: frozenset[str]
    hosts: tuple[tuple[str, str, str], ...]
    """(prefix, suffix, provider) of host names."""
    host_decides_for: frozenset[str]
    placeholder_models: frozenset[str]
    dialects: tuple[Dialect, ...]

    def keys(self) -> tuple[str, ...]:
        """Every attribute key that the table names, each once, in a fixed order."""
        return tuple(dict.fromkeys(self._keys()))

    def _keys(self) -> Iterator[str]:
        for keys in (*self.fields.values(), *self.counts.values()):
            yield from keys
        yield from self.resource_fields.values()
        for parts in self.parts.values():
            for keys in parts:
                yield from keys
        for energy in self.energy:
            yield energy.key
            if energy.unless:
                yield energy.unless
        for embedded in self.embedded:
            yield embedded.key
        for dialect in self.dialects:
            yield from dialect.carries
            yield from dialect.lacks
            yield from dialect.equals
            if dialect.duration_key:
                yield dialect.duration_key


@cache
def table() -> Table:
    """The shipped table. Raises TableError where it is malformed."""
    return parse(json.loads(files(__package__).joinpath("table.json").read_text(encoding="utf-8")))


def parse(raw: Mapping[str, Any]) -> Table:
    """A `Table` from the JSON object. Raises TableError, naming the row, for what the reader would not
    understand."""
    limits = raw["limits"]
    _only("fields", raw["fields"], _FIELDS)
    _only("resource_fields", raw["resource_fields"], _RESOURCE_FIELDS)
    _only("counts", raw["counts"], frozenset(COUNTS + AGGREGATED))
    _only("parts", raw["parts"], frozenset(COUNTS))
    return Table(
        version=raw["version"],
        most_tokens=limits["tokens"],
        most_energy_kwh=limits["energy_kwh"],
        most_embedded_bytes=limits["embedded_bytes"],
        most_embedded_depth=limits["embedded_depth"],
        fields=_tuples(raw["fields"]),
        resource_fields=dict(raw["resource_fields"]),
        error_values=_tuples(raw["error_values"]),
        counts=_tuples(raw["counts"]),
        parts={name: tuple(tuple(keys) for keys in parts) for name, parts in raw["parts"].items()},
        energy=tuple(_energy(row) for row in raw["energy"]),
        embedded=tuple(_embedded(row, raw["shapes"]) for row in raw["embedded"]),
        operations={name: name for name in raw["operations"].values()} | dict(raw["operations"]),
        calls=frozenset(raw["operations"].values()),
        providers=dict(raw["providers"]),
        not_providers=frozenset(raw["not_providers"]),
        provider_before_slash=frozenset(raw["provider_before_slash"]),
        hosts=tuple((row.get("prefix", ""), row["suffix"], row["provider"]) for row in raw["hosts"]),
        host_decides_for=frozenset(raw["host_decides_for"]),
        placeholder_models=frozenset(raw["placeholder_models"]),
        dialects=tuple(_dialect(row) for row in raw["dialects"]),
    )


def _tuples(raw: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    return {name: tuple(values) for name, values in raw.items()}


def _only(where: str, raw: Mapping[str, Any], allowed: frozenset[str]) -> None:
    if unknown := set(raw) - allowed:
        raise TableError(where, sorted(unknown), ", ".join(sorted(allowed)))


def _energy(row: Mapping[str, str]) -> EnergyKey:
    where = f"energy key {row['key']}"
    if row["unit"] not in KWH_PER_UNIT:
        raise TableError(where, row["unit"], ", ".join(KWH_PER_UNIT))
    if row["basis"] not in ("measured", "reported"):
        raise TableError(where, row["basis"], "measured, reported")
    return EnergyKey(row["key"], KWH_PER_UNIT[row["unit"]], row["basis"] == "measured", row.get("unless", ""))


def _embedded(row: Mapping[str, str], shapes: Mapping[str, Mapping[str, Any]]) -> EmbeddedKey:
    where = f"embedded key {row['key']}"
    for name, allowed in (
        ("format", _FORMATS),
        ("reads", frozenset(shapes)),
        ("when_missing", _WHEN_MISSING),
    ):
        if row[name] not in allowed:
            raise TableError(f"{where}, {name}", row[name], ", ".join(sorted(allowed)))
    shape = dict(shapes[row["reads"]])
    adds = _tuples(shape.pop("adds", {}))
    paths = {path: (fact, rank) for fact, found in shape.items() for rank, path in enumerate(found)}
    return EmbeddedKey(row["key"], row["format"] == "json", paths, adds, row["when_missing"])


def _dialect(row: Mapping[str, Any]) -> Dialect:
    where = f"dialect {row.get('id')}"
    _only(where, row, frozenset(("id", "scopes", "with", "without", "equals", "streaming", "named", "set")))
    flags = dict(row.get("set", {}))
    duration_key, names = flags.pop("duration_s", ""), flags.pop("names", {})
    _only(f"{where}, set", flags, frozenset(_FLAGS))
    for name, value in flags.items():
        if value not in _FLAGS[name]:
            raise TableError(f"{where}, set {name}", value, ", ".join(map(str, _FLAGS[name])))
    return Dialect(
        id=row["id"],
        scopes=tuple(row["scopes"]),
        carries=tuple(row.get("with", ())),
        lacks=tuple(row.get("without", ())),
        equals=_tuples(row.get("equals", {})),
        streaming=row.get("streaming"),
        cache_outside=_is_outside(flags.get("cache")),
        reasoning_outside=_is_outside(flags.get("reasoning")),
        is_invented="usage" in flags,
        named=tuple(row.get("named", ())),
        names=names,
        output_is_rest=flags.get("reasoning") == "in total",
        is_nothing="role" in flags,
        is_continuation="part" in flags,
        duration_key=duration_key,
        is_self_hosted="self_hosted" in flags,
    )


def _is_outside(flag: str | None) -> bool | None:
    return {"outside": True, "inside": False}.get(flag or "")
