"""Model ids as they come in traces: what is wrapped around the name, taken off by rules that are data.

Nothing here matches by likeness. Routers, region profiles, vendor prefixes, number formats and snapshot dates
are taken off one at a time; what is left must equal a name of the registry, or the id is unknown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

MAX_NAME_LENGTH = 400
"""A longer text is no model id; no registry name comes near it."""

_BETWEEN_DIGITS = re.compile(r"(?<=\d)[.p](?=\d)")
_CLOUD_REGION = re.compile(r"[a-z]{2}(?:-gov|-iso[a-z]?)?-[a-z]+-\d")
_DIGEST = re.compile(r"[0-9a-f]{40,64}")
_REVISION = re.compile(r"00[1-9]")
_ARN_KINDS = frozenset({"foundation-model", "inference-profile"})
_MONTHS = frozenset(f"{number:02d}" for number in range(1, 13))
_DAYS = frozenset(f"{number:02d}" for number in range(1, 32))
_YEARS = frozenset(f"20{number}" for number in range(20, 40))


class Wrapped(NamedTuple):
    """One reading of an id: a name that is to be looked up, and who is said to have made the model."""

    name: str
    """Lower case, wrapping taken off; tags and dates are still on it."""
    vendor: str
    """Provider id of the registry; "" where nobody is named, "*" where a known re-uploader is."""
    is_ollama: bool
    is_bedrock: bool


@dataclass(frozen=True, slots=True)
class NameRules:
    """The rules, as `models.json` holds them."""

    orgs: Mapping[str, str]
    """Vendor as written in ids -> provider id."""
    routers: frozenset[str]
    ollama_routers: frozenset[str]
    router_words: frozenset[str]
    colon_routers: frozenset[str]
    prefixes: tuple[str, ...]
    profiles: frozenset[str]
    reuploaders: frozenset[str]
    serving_tags: frozenset[str]
    precisions: Mapping[str, str]
    """Ending of a name -> number format; "" where the ending does not say which."""
    endings: tuple[str, ...]
    """The endings of `precisions`, longest first."""
    ollama_variants: frozenset[str]
    ollama_precision: str

    @classmethod
    def from_json(cls, rules: Mapping[str, Any], orgs: Mapping[str, str]) -> NameRules:
        """The rules from the parsed `rules` and `orgs` of models.json."""
        precisions = {
            ending: precision for precision, endings in rules["precisions"].items() for ending in endings
        }
        return cls(
            orgs=orgs,
            routers=frozenset(rules["routers"]),
            ollama_routers=frozenset(rules["ollama_routers"]),
            router_words=frozenset(rules["router_words"]),
            colon_routers=frozenset(rules["colon_routers"]),
            prefixes=tuple(rules["prefixes"]),
            profiles=frozenset(rules["profiles"]),
            reuploaders=frozenset(rules["reuploaders"]),
            serving_tags=frozenset(rules["serving_tags"]),
            precisions=precisions,
            endings=tuple(sorted(precisions, key=len, reverse=True)),
            ollama_variants=frozenset(rules["ollama_variants"]),
            ollama_precision=rules["ollama_precision"],
        )

    def split_precision(self, name: str) -> tuple[str, str] | None:
        """`name` without the ending that names a number format, and the format; None if it has none."""
        if not name.endswith(self.endings):
            return None
        ending = next(ending for ending in self.endings if name.endswith(ending))
        return name[: -len(ending)], self.precisions[ending]


def normalise(name: str) -> str:
    """The spelling under which names are compared: lower case, hyphens, version numbers as 3-5.

    "Claude-3.5", "claude_3_5" and Fireworks' "claude-3p5" are one spelling.
    """
    return _BETWEEN_DIGITS.sub("-", name.strip().lower().replace("_", "-").replace(" ", "-"))


def unwrap(text: str, rules: NameRules) -> Iterator[Wrapped]:
    """The readings of a lower-case id, in the order in which they are to be tried.

    Nothing is yielded where the id says that it is somebody's own: an opaque deployment ARN, an endpoint, a
    tuned model, a Fireworks account.
    """
    if text.startswith("arn:"):
        text = _arn_resource(text)
    if text.startswith("ft:"):
        text = text[3:].partition(":")[0]
    segments = [segment for segment in text.split("/") if segment]
    if "publishers" in segments[:-1]:
        segments = segments[segments.index("publishers") + 1 :]
        segments = [segment for segment in segments if segment != "models"]
    elif segments[:1] in (["projects"], ["tunedmodels"], ["endpoints"]):
        return
    is_ollama = False
    while segments:
        head, rest = segments[0], segments[1:]
        if head == "accounts":
            if segments[1:3] != ["fireworks", "models"]:
                return
            segments = segments[3:]
            continue
        if head == "models":
            segments = rest
            continue
        if not rest:
            yield from _dotted(head, "", is_ollama, rules)
            return
        if len(rest) == 1:
            if head in rules.orgs:
                yield from _dotted(rest[0], rules.orgs[head], is_ollama, rules)
            if head in rules.reuploaders:
                yield from _dotted(rest[0], "*", is_ollama, rules)
        if not (head in rules.routers or head in rules.router_words or _CLOUD_REGION.fullmatch(head)):
            return
        is_ollama = is_ollama or head in rules.ollama_routers
        segments = rest


def _arn_resource(text: str) -> str:
    """The model id in an Amazon Bedrock ARN; "" where the ARN is opaque."""
    parts = text.split(":", 5)
    kind, _, resource = parts[5].partition("/") if len(parts) == 6 else ("", "", "")
    if kind == "custom-model":
        return resource.partition("/")[0]
    return resource if kind in _ARN_KINDS else ""


def _dotted(name: str, vendor: str, is_ollama: bool, rules: NameRules) -> Iterator[Wrapped]:
    """The name without Bedrock's profile and vendor: us.anthropic.claude-... is claude-... of anthropic."""
    name = name.partition(".ft-")[0]
    head, dot, rest = name.partition(".")
    if dot and head in rules.profiles and "." in rest:
        name = rest
        head, dot, rest = name.partition(".")
    if dot and head in rules.orgs and vendor in {"", rules.orgs[head]}:
        yield Wrapped(rest, rules.orgs[head], is_ollama=False, is_bedrock=True)
        return
    yield Wrapped(name, vendor, is_ollama, is_bedrock=False)
    for prefix in rules.prefixes:
        if name.startswith(prefix):
            yield Wrapped(name[len(prefix) :], vendor, is_ollama, is_bedrock=False)


def split_tag(name: str) -> tuple[str, str]:
    """The name before the first colon and the tag behind it; a Vertex @version becomes part of the name."""
    name, _, tag = name.partition(":")
    name, _, version = name.partition("@")
    is_plain = version in {"", "default", "latest"} or _REVISION.fullmatch(version)
    return (name if is_plain else f"{name}-{version}"), tag


def is_serving_tag(tag: str, rules: NameRules) -> bool:
    """Whether a tag says how the weights are served (free) or which revision it is (0, 0:200k, a digest)."""
    return all(
        part in rules.serving_tags or part.removesuffix("k").isdigit() or _DIGEST.fullmatch(part)
        for part in tag.split(":")
    )


def snapshots(name: str) -> Iterator[tuple[str, str]]:
    """Readings of a normalised name as base and snapshot: (base, form).

    Forms: iso -2024-08-06, compact -20250929, mm-yyyy -09-2025, mm-dd -05-06, mmdd -0709, yymm -2507,
    revision -001.
    """
    parts = name.rsplit("-", 3)
    if len(parts) == 4 and parts[1] in _YEARS and parts[2] in _MONTHS and parts[3] in _DAYS:
        yield parts[0], "iso"
    base, _, last = name.rpartition("-")
    if not base:
        return
    stem, _, middle = base.rpartition("-")
    if stem and middle in _MONTHS:
        if last in _YEARS:
            yield stem, "mm-yyyy"
        if last in _DAYS:
            yield stem, "mm-dd"
    if len(last) == 8 and last[:4] in _YEARS and last[4:6] in _MONTHS and last[6:] in _DAYS:
        yield base, "compact"
    if len(last) == 4:
        if last[:2] in _MONTHS and last[2:] in _DAYS:
            yield base, "mmdd"
        if f"20{last[:2]}" in _YEARS and last[2:] in _MONTHS:
            yield base, "yymm"
    if _REVISION.fullmatch(last):
        yield base, "revision"


def ollama_keys(name: str, tag: str, rules: NameRules) -> Iterator[tuple[str, str]]:
    """Keys under which an Ollama tag may be listed, with the number format that the tag names.

    llama3.1:8b-instruct-q4_K_M is llama3.1:8b where every part behind the size leaves the model as it is.
    """
    tag = tag or "latest"
    found = rules.split_precision(f"-{normalise(tag)}")
    rest, precision = (tag[: max(0, len(found[0]) - 1)], found[1]) if found else (tag, "")
    parts = [part for part in rest.split("-") if part]
    for length in range(len(parts), 0, -1):
        if all(part in rules.ollama_variants for part in parts[length:]):
            yield f"{name}:{'-'.join(parts[:length])}", precision
    if all(part in rules.ollama_variants for part in parts):
        yield f"{name}:latest", precision


def bedrock_version(name: str) -> str | None:
    """`name` without Bedrock's -v1 or -v2 at its end; None if it has none."""
    base, _, version = name.rpartition("-")
    return base if base and version in {"v1", "v2", "v3"} else None
