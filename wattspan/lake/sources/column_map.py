"""`ColumnMap`: which column of a call log is what, and what is the same for all its rows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from wattspan.calls.batch import MOST_TOKENS
from wattspan.lake.allowed import AllowedError, allowed_keys

COUNT, TIME, TEXT, TRUTH, DECIMAL = "whole number", "time", "text", "truth value", "number"

ATTRIBUTE: Final = "attribute."
"""`attribute.KEY` is the span attribute KEY; refused where it holds people or what they wrote."""

FIELDS: Final[Mapping[str, tuple[str, str]]] = {
    "start": (TIME, "start of the call"),
    "end": (TIME, "end of the call"),
    "duration_ns": (DECIMAL, "duration in nanoseconds"),
    "duration_ms": (DECIMAL, "duration in milliseconds"),
    "duration_s": (DECIMAL, "duration in seconds"),
    "input_tokens": (COUNT, "input tokens, those of the cache among them"),
    "uncached_input_tokens": (COUNT, "input tokens, those of the cache not among them (Anthropic's count)"),
    "cache_read_tokens": (COUNT, "input tokens read from a prompt cache"),
    "cache_write_tokens": (COUNT, "input tokens written to a prompt cache"),
    "output_tokens": (COUNT, "output tokens, reasoning among them"),
    "reasoning_tokens": (COUNT, "output tokens that were reasoning"),
    "model": (TEXT, "model that answered"),
    "request_model": (TEXT, "model that was asked for"),
    "provider": (TEXT, "who served it: openai, azure.openai, aws.bedrock, ..."),
    "operation": (TEXT, "chat (the default), embeddings, rerank, ..."),
    "host": (TEXT, "host or address of the server that was called"),
    "region": (TEXT, "cloud region that served the call"),
    "cloud": (TEXT, "cloud of that region: aws, azure, gcp, ..."),
    "reported_region": (TEXT, "region or geography in the provider's answer"),
    "service": (TEXT, "service that made the call"),
    "agent": (TEXT, "agent that made the call"),
    "tool": (TEXT, "tool that made the call"),
    "name": (TEXT, "name of the span"),
    "reasoning_effort": (TEXT, "low, medium, high, ..."),
    "response_id": (TEXT, "the provider's id of the response"),
    "is_error": (TRUTH, "the call failed"),
    "is_self_hosted": (TRUTH, "the model runs on machines of your own"),
    "energy_kwh": (DECIMAL, "energy that the provider reported"),
    "measured_energy_kwh": (DECIMAL, "energy that you metered"),
    "cost_usd": (DECIMAL, "cost in US dollars"),
    "trace_id": (TEXT, "trace that the call belongs to: 32 hex digits, or any text"),
    "span_id": (TEXT, "id of the call: 16 hex digits, or any text that no other row has"),
    "parent_span_id": (TEXT, "id of the span above it"),
}
"""What a column can be: kind of value, meaning."""

_EITHER: Final = (
    ("input_tokens", "uncached_input_tokens"),
    ("duration_ns", "duration_ms", "duration_s", "end"),
    ("energy_kwh", "measured_energy_kwh"),
)
_TOP: Final = ("map", "set", "label")
_SCALARS: Final = (str, int, float, bool, dt.date)
MOST_OF_COUNT: Final = MOST_TOKENS


class ColumnMapError(ValueError):
    """A column map that cannot be used: what was found, what is allowed."""


@dataclass(frozen=True, slots=True)
class ColumnMap:
    """Columns by field, and constants by field."""

    columns: Mapping[str, str] = field(default_factory=dict)
    """Field -> name of the column; in Parquet a dot leads into a structure."""
    constants: Mapping[str, str] = field(default_factory=dict)
    """Field -> the value in every row."""
    label: str = ""
    """Name of the source: part of the ids of its rows. "" takes the file's name."""

    def __post_init__(self) -> None:
        for name in (*self.columns, *self.constants):
            _check_field(name)
        if both := sorted(self.columns.keys() & self.constants.keys()):
            raise ColumnMapError(f"{both[0]} is both mapped to a column and set; give one of them")
        given = self.columns.keys() | self.constants.keys()
        for names in _EITHER:
            if len(found := [name for name in names if name in given]) > 1:
                raise ColumnMapError(f"{' and '.join(found)} are both given; they say the same: give one")

    @property
    def is_empty(self) -> bool:
        """Nothing is mapped: the files are no call logs, or say by their names what they are."""
        return not self.columns

    def check(self, found: Sequence[str]) -> None:
        """Raise ColumnMapError unless the file's columns `found` hold all that is mapped, and enough is."""
        for name, column in self.columns.items():
            if column not in found:
                raise ColumnMapError(
                    f"--map {name}={column}: there is no column {column!r}; the file has {_listed(found)}"
                )
        if "start" not in self.columns and "start" not in self.constants:
            raise ColumnMapError(
                f"no column is mapped to start (--map start=COLUMN); the file has {_listed(found)}"
            )
        tokens = ("input_tokens", "uncached_input_tokens", "output_tokens")
        energy = ("energy_kwh", "measured_energy_kwh")
        if not any(name in self.columns for name in (*tokens, *energy)):
            raise ColumnMapError(
                "no column is mapped to tokens (--map input_tokens=COLUMN --map output_tokens=COLUMN); "
                f"the file has {_listed(found)}"
            )

    def with_options(self, mapped: Sequence[str], constants: Sequence[str], label: str | None) -> ColumnMap:
        """This map with `FIELD=COLUMN` and `FIELD=VALUE` of a command line on top. Raises ColumnMapError."""
        columns, fixed = dict(self.columns), dict(self.constants)
        for option, texts, what, into, other in (
            ("--map", mapped, "COLUMN", columns, fixed),
            ("--set", constants, "VALUE", fixed, columns),
        ):
            for text in texts:
                name, _, value = text.partition("=")
                if not (name and value):
                    raise ColumnMapError(f"{option} {text}: write {option} FIELD={what}")
                other.pop(name, None)
                into[name] = value
        return ColumnMap(columns, fixed, label or self.label)


def read_column_map(path: Path) -> ColumnMap:
    """A column map from a YAML file with `map:`, `set:` and `label:`. Raises ColumnMapError."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ColumnMapError(f"{path}: cannot be read as YAML: {error}") from error
    if not isinstance(content, dict) or not content.keys() <= set(_TOP):
        raise ColumnMapError(f"{path}: found {_shown(content)}; allowed keys: {', '.join(_TOP)}")
    sections: dict[str, dict[str, str]] = {}
    for key in ("map", "set"):
        section = content.get(key) or {}
        if not isinstance(section, dict) or not all(isinstance(v, _SCALARS) for v in section.values()):
            raise ColumnMapError(f"{path}: {key}: must be FIELD: NAME pairs, found {_shown(section)}")
        sections[key] = {str(name): _text(value) for name, value in section.items()}
    try:
        return ColumnMap(sections["map"], sections["set"], str(content.get("label") or ""))
    except ColumnMapError as error:
        raise ColumnMapError(f"{path}: {error}") from error


def _check_field(name: str) -> None:
    if name.startswith(ATTRIBUTE) and len(name) > len(ATTRIBUTE):
        try:
            allowed_keys([name.removeprefix(ATTRIBUTE)])
        except AllowedError as error:
            raise ColumnMapError(str(error)) from error
        return
    if name in FIELDS:
        return
    raise ColumnMapError(f"no field {name!r}; allowed: {', '.join(FIELDS)}, {ATTRIBUTE}KEY")


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _listed(names: Sequence[str], most: int = 40) -> str:
    shown = ", ".join(repr(name) for name in names[:most]) or "no columns"
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
