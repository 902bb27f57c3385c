"""The user's own rules about where calls run."""

from __future__ import annotations

import difflib
import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wattspan.places.place import PlaceKey

# What a rule may match on, in its own words and in OpenTelemetry's.
_FIELDS = {
    "provider": ("provider",),
    "gen_ai.provider.name": ("provider",),
    "gen_ai.system": ("provider",),
    "model": ("request_model", "model"),
    "gen_ai.request.model": ("request_model",),
    "gen_ai.response.model": ("model",),
    "host": ("host",),
    "server.address": ("host",),
    "span_region": ("span_region",),
    "span_cloud": ("span_cloud",),
    "reported_region": ("reported_region",),
    "resource_region": ("resource_region",),
    "cloud.region": ("resource_region",),
    "resource_cloud": ("resource_cloud",),
    "cloud.provider": ("resource_cloud",),
    "service": ("service",),
    "service.name": ("service",),
    "self_hosted": ("is_self_hosted",),
}
_ANSWERS = ("region", "geography", "zone", "deployment_type")


class PlaceRuleError(ValueError):
    """A place rule of the configuration cannot be used."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What an edition knows by name, to check rules against."""

    regions: frozenset[str]
    """In lower case."""
    geographies: frozenset[str]
    deployment_types: frozenset[str]
    """In lower case."""
    clouds: frozenset[str]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: calls that match run in `region`, in `geography`, on grid `zone`, or by `deployment_type`."""

    patterns: tuple[tuple[tuple[str, ...], re.Pattern[str]], ...]
    region: str = ""
    cloud: str = ""
    """Cloud named before the region ("aws/eu-west-1"), else ""."""
    geography: str = ""
    zone: str = ""
    deployment_type: str = ""

    def matches(self, key: PlaceKey) -> bool:
        """Every pattern matches; one on the model matches the model asked for or the one that answered."""
        for fields, pattern in self.patterns:
            if not any(pattern.fullmatch(_text(getattr(key, field))) for field in fields):
                return False
        return True


def read_rules(rules: Iterable[Mapping[str, Any]], known: Vocabulary) -> tuple[Rule, ...]:
    """Rules from the configuration: `{match: {host: glob, …}, region|geography|zone|deployment_type: …}`.

    Globs ignore case (`*`, `?`, `[…]`). `deployment_type` may have `region` (of the Azure resource) or
    `geography` (of its data
    zone) beside it. Raises PlaceRuleError naming the rule, what was found and what is allowed.
    """
    return tuple(
        _read_rule(f"places rule {number}", rule, known) for number, rule in enumerate(rules, start=1)
    )


def _read_rule(where: str, rule: Mapping[str, Any], known: Vocabulary) -> Rule:
    if not isinstance(rule, Mapping):
        raise PlaceRuleError(
            f"{where}: found {rule!r}; a rule is a mapping with match and one of {_list(_ANSWERS)}"
        )
    for name in rule:
        if name != "match" and name not in _ANSWERS:
            raise PlaceRuleError(f"{where}: unknown key {name!r}{_hint(str(name), ('match', *_ANSWERS))}")
    answers = {name: str(rule[name]).strip() for name in _ANSWERS if rule.get(name)}
    if not answers:
        raise PlaceRuleError(f"{where}: says nothing; give one of {_list(_ANSWERS)}")
    if len(answers) > 1 and ("deployment_type" not in answers or "zone" in answers or len(answers) > 2):
        raise PlaceRuleError(
            f"{where}: has {_list(tuple(answers), 'and')}; give one of them (only deployment_type may have a "
            "region or geography beside it)"
        )
    cloud, region = _region(where, answers.get("region", ""), known)
    return Rule(
        patterns=_patterns(where, rule.get("match")),
        region=region,
        cloud=cloud,
        geography=_known(where, "geography", answers.get("geography", "").lower(), known.geographies),
        zone=answers.get("zone", "").upper(),
        deployment_type=_known(
            where,
            "deployment_type",
            answers.get("deployment_type", "").lower().replace("-", ""),
            known.deployment_types,
        ),
    )


def _patterns(where: str, match: Any) -> tuple[tuple[tuple[str, ...], re.Pattern[str]], ...]:
    if not isinstance(match, Mapping) or not match:
        raise PlaceRuleError(
            f"{where}: match is {match!r}; give at least one pattern, such as "
            '{host: "*.openai.azure.com"}, or {model: "*"} for every call'
        )
    patterns = []
    for name, glob in match.items():
        if name not in _FIELDS:
            raise PlaceRuleError(f"{where}: cannot match on {name!r}{_hint(str(name), tuple(_FIELDS))}")
        if isinstance(glob, bool):
            glob = _text(glob)
        if not isinstance(glob, str) or not glob:
            raise PlaceRuleError(
                f"{where}: match {name} is {glob!r}; give a text with * where anything may stand"
            )
        patterns.append((_FIELDS[name], re.compile(fnmatch.translate(glob.strip().lower()))))
    return tuple(patterns)


def _region(where: str, text: str, known: Vocabulary) -> tuple[str, str]:
    cloud, slash, name = text.replace(":", "/").rpartition("/")
    if slash and cloud.lower() not in known.clouds:
        raise PlaceRuleError(
            f"{where}: unknown cloud {cloud!r} in region {text!r}{_hint(cloud, sorted(known.clouds))}"
        )
    return cloud.lower(), _known(where, "region", name, known.regions)


def _known(where: str, what: str, text: str, known: frozenset[str]) -> str:
    if text and text.lower().replace(" ", "") not in known:
        raise PlaceRuleError(f"{where}: unknown {what} {text!r}{_hint(text.lower(), sorted(known))}")
    return text


def _text(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value).strip().lower()


def _hint(found: str, allowed: Sequence[str]) -> str:
    close = difflib.get_close_matches(found, allowed, n=3)
    if close:
        return f"; did you mean {_list(tuple(close), 'or')}?"
    return (
        f"; allowed: {_list(tuple(allowed))}"
        if len(allowed) <= 30
        else "; wattspan regions lists what is known"
    )


def _list(names: Sequence[str], word: str = "or") -> str:
    names = list(names)
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {word} {names[-1]}"
