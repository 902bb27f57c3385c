"""Facts in the text of one attribute: JSON objects and the repr of Python dicts."""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from wattspan.otlp.dialects.table import COUNTS, KWH_PER_UNIT, EmbeddedKey, Table


@dataclass(frozen=True, slots=True)
class Complaint:
    """What was wrong with an embedded object or one of its counts."""

    path: str
    found: str
    allowed: str


@dataclass(slots=True)
class Facts:
    """What an embedded object says."""

    counts: dict[str, int] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    is_streaming: bool = False
    energy_kwh: float = math.nan
    complaints: list[Complaint] = field(default_factory=list)


def read_embedded(text: bytes, key: EmbeddedKey, rules: Table) -> Facts:
    """The facts in `text`. What cannot be read is a complaint, never an error; an empty text has no facts."""
    facts = Facts()
    if not text.strip() or text.strip() in (b"null", b"None"):
        return facts
    if len(text) > rules.most_embedded_bytes:
        facts.complaints.append(
            Complaint("", f"{len(text)} bytes", f"at most {rules.most_embedded_bytes} bytes")
        )
        return facts
    found = _parsed(text, key.is_json, rules.most_embedded_depth)
    if not isinstance(found, dict):
        form = "a JSON object" if key.is_json else "the repr of a Python dict"
        facts.complaints.append(
            Complaint(
                "", _shown(text[:80].decode("utf-8", "replace")), f"{form}, {rules.most_embedded_depth} deep"
            )
        )
        return facts
    ranked: dict[str, tuple[int, str, Any]] = {}
    for path, value in _leaves(found):
        fact, rank = key.shape.get(path, ("", 0))
        if fact and (fact not in ranked or rank < ranked[fact][0]):
            ranked[fact] = (rank, path, value)
    for fact, (_, path, value) in ranked.items():
        _keep(facts, fact, path, value, rules)
    _add_what_is_left_out(facts, found, ranked, key)
    return facts


def _parsed(text: bytes, is_json: bool, most_depth: int) -> Any:
    # Both parsers recurse, so the nesting is bounded first.
    if text.count(b"{") + text.count(b"[") + text.count(b"(") > most_depth and _depth(text) > most_depth:
        return None
    try:
        decoded = text.decode("utf-8")
        return json.loads(decoded) if is_json else ast.literal_eval(decoded.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def _depth(text: bytes) -> int:
    # Brackets inside texts only make the bound stricter.
    depth = deepest = 0
    for byte in text:
        if byte in b"{[(":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"}])":
            depth -= 1
    return deepest


def _leaves(found: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Dotted paths of the values, of any depth; None and "" are no values."""
    for name, value in found.items():
        if isinstance(value, dict):
            for path, inner in _leaves(value):
                yield f"{name}.{path}", inner
        elif value is not None and value != "":
            yield name, value


def _keep(facts: Facts, fact: str, path: str, value: Any, rules: Table) -> None:
    if fact in COUNTS:
        count = whole_number(value, rules.most_tokens)
        if count is None:
            facts.complaints.append(Complaint(path, _shown(value), allowed_counts(rules)))
        else:
            facts.counts[fact] = count
    elif fact.startswith("energy_"):
        if math.isnan(facts.energy_kwh):
            _keep_energy(facts, fact, path, value, rules)
    elif fact == "streaming":
        facts.is_streaming = value is True or str(value).lower() == "true"
    elif isinstance(value, str):
        facts.texts[fact] = value


def _keep_energy(facts: Facts, fact: str, path: str, value: Any, rules: Table) -> None:
    unit = KWH_PER_UNIT["J" if fact == "energy_joules" else "kWh"]
    energy_kwh = value * unit if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    if 0 <= energy_kwh <= rules.most_energy_kwh:
        facts.energy_kwh = energy_kwh
    else:
        facts.complaints.append(Complaint(path, _shown(value), allowed_energy(rules)))


def _add_what_is_left_out(
    facts: Facts, found: Mapping[str, Any], ranked: Mapping[str, tuple[int, str, Any]], key: EmbeddedKey
) -> None:
    counts = facts.counts
    if "total" in counts and counts["total"] == counts.get("input", 0) + counts.get("output", 0):
        return
    for fact in ("input", "output"):
        name = ranked[fact][1] if fact in counts else ""
        if beginnings := key.adds.get(name):
            counts[fact] += sum(_left_out(found, name, beginnings))


def _left_out(found: Mapping[str, Any], name: str, beginnings: tuple[str, ...]) -> Iterator[int]:
    for other, value in found.items():
        if other != name and other.startswith(beginnings) and "priority" not in other:
            yield whole_number(value, 2**53) or 0


def whole_number(value: object, most: int) -> int | None:
    """`value` as a count in [0, most]: 318, 318.0 and "318" are, 318.5, "many", NaN and True are not."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        # Python reads more than a sender can have meant: "1_000", digits of other scripts.
        if len(value) > 40 or not value.isascii() or "_" in value:
            return None
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, float):
        return int(value) if 0 <= value <= most and value == math.floor(value) else None
    return value if isinstance(value, int) and 0 <= value <= most else None


def allowed_counts(rules: Table) -> str:
    """What a token count may be, in words."""
    return f"a whole number from 0 to {rules.most_tokens}"


def allowed_energy(rules: Table) -> str:
    """What an energy may be, in words."""
    return f"a number from 0 to {rules.most_energy_kwh:g} kWh"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
