"""The model registry of an edition, and which of its models an id in a trace means.

A model that the registry does not know is unknown: there is no guessing and no nearest name. `models.json` of
an edition is compiled from evidence/models; `mpl/models.json` holds other people's guesses of closed models'
sizes and may be deleted, in which case those models are estimated by their size class.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from typing import Any, NamedTuple

from wattspan.methodology.names import (
    MAX_NAME_LENGTH,
    NameRules,
    Wrapped,
    bedrock_version,
    is_serving_tag,
    normalise,
    ollama_keys,
    snapshots,
    split_tag,
    unwrap,
)
from wattspan.methodology.parameters import PREFILL_ONLY_KINDS, Architecture

GPU_MEMORY_GB = 80.0
MEMORY_RESERVE = 1.2
"""Weights need this times their size: key-value cache and activations come on top."""
BYTES_PER_WEIGHT = {"bf16": 2.0, "fp16": 2.0, "fp8": 1.0, "int8": 1.0, "fp4": 0.5, "int4": 0.5}
UNKNOWN_CLASS = "chat_unknown"
GUESS = "parameters (a guess)"
"""What a source of the mpl part is about."""
CACHED_NAMES = 65_536


def replica_gpus(total_b: float, precision: str) -> int:
    """GPUs of 80 GB that one replica takes: room for the weights and a fifth more, as a power of two."""
    needed = MEMORY_RESERVE * total_b * BYTES_PER_WEIGHT[precision] / GPU_MEMORY_GB
    return int(2 ** math.ceil(math.log2(needed))) if needed > 1 else 1


class Range(NamedTuple):
    """Billions of parameters: both ends are the same where the number is published."""

    low: float
    high: float

    @property
    def centre(self) -> float:
        """Geometric mean."""
        return math.sqrt(self.low * self.high)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a parameter comes from, and when somebody last looked."""

    what: str
    source: str
    seen: str
    """The copy that was opened, or "known from the model card ..., not opened"."""
    checked: str


@dataclass(frozen=True, slots=True)
class Entry:
    """What holds for a model from a day on; entries are appended, never overwritten."""

    start: str
    """ISO date; the first entry also serves earlier calls."""
    architecture: Architecture
    active_b: Range
    total_b: Range
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class Model:
    """One model of the registry."""

    id: str
    provider: str
    family: str
    kind: str
    """One of chat, embedding, rerank, image, audio, moderation."""
    tier: str
    """One of open_measured, open, closed, unknown."""
    size_class: str
    """The class that stands in where the size is unknown; "" otherwise."""
    reason: str
    """Why that class has the size it has, or what is peculiar to the model."""
    residual: float
    """Measured / fitted decode energy in the benchmark; 1.0 where it was not measured."""
    evidence: tuple[str, ...]
    """Ids of the evidence rows behind `residual`."""
    narrower: str
    """What would narrow the band."""
    entries: tuple[Entry, ...]
    names: tuple[str, ...] = ()

    @property
    def architecture(self) -> Architecture:
        """The newest entry's."""
        return self.entries[-1].architecture

    @property
    def sources(self) -> tuple[Source, ...]:
        """The newest entry's."""
        return self.entries[-1].sources

    def entry_at(self, day: str) -> Entry:
        """The entry in force on a day, as an ISO date or the beginning of one ("2026")."""
        found = self.entries[0]
        for entry in self.entries[1:]:
            if entry.start[: len(day)] <= day:
                found = entry
        return found

    def at(self, day: date) -> Architecture:
        """The architecture in force on a day."""
        return self.entry_at(day.isoformat()).architecture

    def architecture_at(self, year: int = 0) -> Architecture:
        """The architecture in force at the end of a year; 0 takes the newest."""
        return self.entry_at(str(year)).architecture if year else self.architecture

    def with_precision(self, precision: str) -> Model:
        """The same model with its weights served in another number format."""
        entries = tuple(
            replace(
                entry,
                architecture=replace(
                    entry.architecture,
                    precision=precision,
                    gpus=replica_gpus(entry.architecture.total_b, precision),
                ),
            )
            for entry in self.entries
        )
        return replace(self, entries=entries)


class Match(NamedTuple):
    """What an id means."""

    model: Model | None
    """None where the registry does not know the id; for a dated alias, the newest model it meant."""
    how: str
    """`exact` (the id or main name of a model), `alias`, `rule` (something was taken off), `none`."""
    base: str
    """The registry's spelling of the name that was found, "" if none was."""
    precision: str
    """Number format that the id names; "" where it names none."""
    timeline: tuple[tuple[str, Model | None], ...] = ()
    """For a dated alias: from when it meant which model; None where no source says."""

    def at(self, day: str) -> Model | None:
        """The model meant on a day, given as an ISO date or the beginning of one ("2026": at its end)."""
        found = self.timeline[0][1] if self.timeline else self.model
        for start, model in self.timeline:
            if start[: len(day)] <= day:
                found = model
        return found


NO_MATCH = Match(None, "none", "", "")


class _Name(NamedTuple):
    """What a spelling in the dictionary stands for."""

    timeline: tuple[tuple[str, Model | None], ...]
    is_main: bool


class Registry:
    """The models of an edition by id, and the resolver of ids."""

    def __init__(
        self,
        models: Mapping[str, Model],
        classes: Mapping[str, Model],
        operations: Mapping[str, str],
        names: Mapping[str, _Name],
        snapshot_forms: Mapping[str, frozenset[str]],
        ollama: Mapping[str, str],
        orgs_of_model: Mapping[str, frozenset[str]],
        rules: NameRules,
    ) -> None:
        self.models = models
        self.classes = classes
        self._operations = operations
        self._names = names
        self._snapshot_forms = snapshot_forms
        self._ollama = ollama
        self._orgs_of_model = orgs_of_model
        self._rules = rules
        self._cached = lru_cache(maxsize=CACHED_NAMES)(self._resolve)

    @classmethod
    def from_edition_files(
        cls, models_json: Mapping[str, Any], mpl_json: Mapping[str, Any] | None
    ) -> Registry:
        """The registry from the parsed models.json and mpl/models.json (None where that was deleted)."""
        return _Reader(models_json, mpl_json).registry()

    def get(self, model_id: str) -> Model | None:
        """The model with exactly this id."""
        return self.models.get(model_id)

    def unknown(self, operation: str = "") -> Model:
        """The size class that stands in for a model nobody knows, by the operation of its call."""
        return self.classes[self._operations.get(operation, UNKNOWN_CLASS)]

    def resolve(self, name: str, provider: str = "") -> Match:
        """What the id `name` means; any text is answered, never with an exception.

        `provider`: as on the span. Only "ollama" matters: there a name without a tag is the default size.
        Others are no evidence, since servers of every kind call themselves openai.
        """
        if len(name) > MAX_NAME_LENGTH:
            return NO_MATCH
        return self._cached(name, provider.lower() == "ollama")

    def _resolve(self, name: str, is_ollama: bool) -> Match:
        text = name.strip().lower()
        if not text:
            return NO_MATCH
        if is_ollama and (match := self._ollama_match(*split_tag(text), explicit=True)):
            return match
        spelling = normalise(text)
        if found := self._names.get(spelling):
            return self._match(found, "exact" if found.is_main else "alias", spelling, "")
        head, colon, rest = text.partition(":")
        if colon and "/" not in head and (match := self._ollama_match(head, rest, explicit=False)):
            return match
        if match := self._first(unwrap(text, self._rules)):
            return match
        if colon and head in self._rules.colon_routers:
            if head == "ollama" and (match := self._ollama_match(*split_tag(rest), explicit=True)):
                return match
            return self._first(unwrap(rest, self._rules)) or NO_MATCH
        return NO_MATCH

    def _first(self, readings: Iterator[Wrapped]) -> Match | None:
        for wrapped in readings:
            if match := self._look_up(wrapped):
                return match
        return None

    def _look_up(self, wrapped: Wrapped) -> Match | None:
        name, tag = split_tag(wrapped.name)
        if tag and not is_serving_tag(tag, self._rules):
            precision = self._rules.split_precision(f"-{normalise(tag)}")
            if precision is None or precision[0]:
                return self._ollama_match(name, tag, explicit=False)
            name = f"{name}-{tag}"
        elif wrapped.is_ollama:
            return self._ollama_match(name, tag, explicit=True)
        spelling, precision_named = normalise(name), ""
        for _ in range(4):
            found = self._found(spelling, wrapped.vendor) or self._snapshot(spelling, wrapped.vendor)
            if found and tag and len(found.timeline) > 1:
                return (
                    None  # a moving name is the maker's own; under another host's tag it meant a fixed model
                )
            if found:
                return self._match(found, "rule", spelling, precision_named)
            split = self._rules.split_precision(spelling)
            if split is None:
                version = bedrock_version(spelling) if wrapped.is_bedrock else None
                if version is None:
                    return None
                spelling = version
            else:
                spelling, precision_named = split[0], split[1] or precision_named
        return None

    def _found(self, spelling: str, vendor: str) -> _Name | None:
        if vendor not in {"", "*"} and (found := self._names.get(f"{vendor}/{spelling}")):
            return found
        found = self._names.get(spelling)
        if found is None or vendor in {"", "*"}:
            return found
        models = [model for _, model in found.timeline if model]
        is_of_vendor = all(
            model.provider == vendor or vendor in self._orgs_of_model.get(model.id, ()) for model in models
        )
        return found if models and is_of_vendor else None

    def _snapshot(self, spelling: str, vendor: str) -> _Name | None:
        for base, form in snapshots(spelling):
            found = self._found(base, vendor)
            model = found.timeline[0][1] if found and len(found.timeline) == 1 else None
            if model and form in self._snapshot_forms.get(model.id, ()):
                return found
        return None

    def _ollama_match(self, name: str, tag: str, *, explicit: bool) -> Match | None:
        """A name of Ollama's library; without `explicit` only where the tag shows that it is one."""
        if not explicit and (not tag or is_serving_tag(tag, self._rules)):
            return None
        for key, named in ollama_keys(name.removeprefix("library/"), tag, self._rules):
            if model_id := self._ollama.get(key):
                model = self.models[model_id]
                if model.kind in PREFILL_ONLY_KINDS:
                    return Match(model, "rule", key, "")
                is_as_published = model.architecture.precision == "fp4" or tag.endswith("cloud")
                precision = named or ("" if is_as_published else self._rules.ollama_precision)
                return Match(model.with_precision(precision) if precision else model, "rule", key, precision)
        return None

    def _match(self, found: _Name, how: str, base: str, precision: str) -> Match:
        timeline = found.timeline
        if precision:
            timeline = tuple((start, model and model.with_precision(precision)) for start, model in timeline)
        newest = timeline[-1][1]
        return Match(
            newest, how if newest else "none", base, precision, timeline if len(timeline) > 1 else ()
        )


class _Reader:
    """Turns the parsed files of an edition into a registry."""

    def __init__(self, models_json: Mapping[str, Any], mpl_json: Mapping[str, Any] | None) -> None:
        self._json = models_json
        self._mpl: Mapping[str, Any] = mpl_json["models"] if mpl_json else {}
        self._mpl_source = mpl_json["source"] if mpl_json else ""
        self._witnesses: Mapping[str, str] = models_json["witnesses"]
        self._narrower: Mapping[str, str] = models_json["narrower"]

    def registry(self) -> Registry:
        classes = {name: self._class(name, row) for name, row in self._json["classes"].items()}
        rows = self._json["models"]
        models = {row["id"]: self._model(row, classes) for row in rows}
        names: dict[str, _Name] = {}
        for row in rows:
            model = models[row["id"]]
            timeline = ((model.entries[0].start, model),)
            names[normalise(model.id)] = _Name(timeline, is_main=True)
            for place, name in enumerate(row["names"]):
                names[name] = _Name(timeline, is_main=place == 0)
        for name, points in self._json["aliases"].items():
            dated = tuple((start, models[model_id] if model_id else None) for start, model_id in points)
            names[name] = _Name(dated, is_main=False)
        return Registry(
            models=models,
            classes=classes,
            operations=self._json["rules"]["operations"],
            names=names,
            snapshot_forms={row["id"]: frozenset(row["snapshots"]) for row in rows if row["snapshots"]},
            ollama=self._json["ollama"],
            orgs_of_model={row["id"]: frozenset(row["orgs"]) for row in rows if "orgs" in row},
            rules=NameRules.from_json(self._json["rules"], self._json["orgs"]),
        )

    def _class(self, name: str, row: Mapping[str, Any]) -> Model:
        source = Source("size class", "judgement", row["reason"], self._json["checked"])
        return Model(
            id=f"class/{name}",
            provider="",
            family=name,
            kind=row["kind"],
            tier="unknown",
            size_class=name,
            reason=row["reason"],
            residual=1.0,
            evidence=(),
            narrower=self._narrower["unknown"],
            entries=(self._entry("0001-01-01", row["architecture"], (source,)),),
        )

    def _model(self, row: Mapping[str, Any], classes: Mapping[str, Model]) -> Model:
        tier, size_class, reason = row["tier"], row.get("class", ""), row.get("note", "")
        guess = self._mpl.get(row["id"]) if row.get("parameters") == "mpl" else None
        if row.get("parameters") == "mpl" and guess is None:
            tier = "unknown"
        entries = []
        for entry in row["entries"]:
            sources = tuple(
                Source(source["what"], source["source"], self._witnesses[source["seen"]], source["checked"])
                for source in entry["sources"]
            )
            if guess is not None:
                seen = f"release {guess['release']}, id {guess['name']}"
                sources = (
                    Source(GUESS, self._mpl_source, seen, guess["checked"]),
                    *sources,
                )
                entries.append(self._entry(entry["from"], guess["architecture"], sources))
            elif "architecture" in entry:
                entries.append(self._entry(entry["from"], entry["architecture"], sources))
            else:
                stand_in = classes[size_class].entries[0]
                entries.append(replace(stand_in, start=entry["from"], sources=sources))
        if tier == "unknown":
            reason = " ".join(filter(None, (reason, classes[size_class].reason)))
        return Model(
            id=row["id"],
            provider=row["provider"],
            family=row["family"],
            kind=row["kind"],
            tier=tier,
            size_class=size_class if tier == "unknown" else "",
            reason=reason,
            residual=row.get("residual", 1.0),
            evidence=tuple(row.get("evidence", ())),
            narrower=self._narrower[tier],
            entries=tuple(entries),
            names=tuple(row["names"]),
        )

    @staticmethod
    def _entry(start: str, row: Mapping[str, Any], sources: tuple[Source, ...]) -> Entry:
        active, total = Range(*row["active_b"]), Range(*row["total_b"])
        architecture = Architecture(
            active_b=active.centre,
            total_b=total.centre,
            is_moe=row["is_moe"],
            kv_kb_per_token=row["kv_kb_per_token"],
            context_tokens=row["context_tokens"],
            precision=row["precision"],
            gpus=row["gpus"],
        )
        return Entry(start, architecture, active, total, sources)
