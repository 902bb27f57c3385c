"""The configuration file: read, overridden from the environment, checked against the sections a command has.

`${env:NAME}` in a text stands for an environment variable, so that secrets need not be in the file. A
variable `WATTSPAN__GATEWAY__HTTP__PORT` replaces `gateway.http.port`; places in lists are numbers from 0.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

OF_OTHER_COMMANDS: Final = ("gateway", "web", "pact")
"""Sections that only one command reads: the file of that command serves all others too."""
PREFIX: Final = "WATTSPAN__"
_REFERENCE: Final = re.compile(r"\$\{env:([A-Za-z_][A-Za-z0-9_]*)\}")

Place = tuple[str | int, ...]
_Model = TypeVar("_Model", bound=BaseModel)


class ConfigError(ValueError):
    """The configuration file is wrong: file, line, key, what was found and what is allowed."""


def load_as(
    model: type[_Model], path: Path | None, environ: Mapping[str, str], secrets: Collection[str]
) -> _Model:
    """The configuration at `path` (None: nothing but the environment's) as a command's `model`, checked.

    Values of keys in `secrets` are never told. Sections of other commands are let be. Raises ConfigError
    naming file, line and key, or the variable, what was found and what is allowed.
    """
    text = _text(path)
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML: {error}") from error
    content = {} if content is None else content
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: the file must be a mapping of keys such as gateway:")
    others = [key for key in OF_OTHER_COMMANDS if key not in model.model_fields]
    own = {key: value for key, value in content.items() if key not in others}
    # secrets of other commands need not be at hand here
    own = _resolved(own, (), path, text, environ)
    variables = _override(own, environ)
    try:
        return model.model_validate({key: value for key, value in own.items() if key not in others})
    except ValidationError as error:
        places = [item["loc"] for item in error.errors()]
        lines = [
            _explained(_Explaining(model, path, text, variables, secrets), item)
            for item in error.errors()
            # A list whose only entry is wrong is also said to be too short.
            if not any(len(place) > len(item["loc"]) == _shared(place, item["loc"]) for place in places)
        ]
        raise ConfigError("\n".join(lines)) from error


def _text(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error


def _resolved(node: Any, place: Place, path: Path | None, text: str, environ: Mapping[str, str]) -> Any:
    """`node` with its references to the environment replaced."""
    if isinstance(node, dict):
        return {key: _resolved(value, (*place, key), path, text, environ) for key, value in node.items()}
    if isinstance(node, list):
        return [_resolved(value, (*place, index), path, text, environ) for index, value in enumerate(node)]
    if not isinstance(node, str):
        return node

    def value_of(match: re.Match[str]) -> str:
        name = match[1]
        if name not in environ:
            raise ConfigError(
                f"{_position(path, text, place)}: the environment variable {name} is not set; set it, or "
                "write the value here"
            )
        return environ[name]

    return _REFERENCE.sub(value_of, node)


def _override(content: dict[str, Any], environ: Mapping[str, str]) -> dict[Place, str]:
    """Put the variables that begin with PREFIX into `content`; which variable wrote which place."""
    variables: dict[Place, str] = {}
    for name in sorted(environ):
        if not name.startswith(PREFIX):
            continue
        place = tuple(int(p) if p.isdigit() else p.lower() for p in name.removeprefix(PREFIX).split("__"))
        try:
            _put(content, place, yaml.safe_load(environ[name]))
        except yaml.YAMLError as error:
            raise ConfigError(f"environment variable {name}: not YAML: {error}") from error
        except (TypeError, IndexError, AttributeError) as error:
            raise ConfigError(
                f"environment variable {name}: there is no {'.'.join(map(str, place))} to replace; places in "
                "lists are numbers from 0 and must be in the file"
            ) from error
        variables[place] = name
    return variables


def _put(content: dict[str, Any], place: Place, value: Any) -> None:
    node: Any = content
    for part in place[:-1]:
        node = node.setdefault(part, {}) if isinstance(node, dict) else node[part]
    node[place[-1]] = value


class _Explaining(NamedTuple):
    """What an error in a file is told with."""

    model: type[BaseModel]
    path: Path | None
    text: str
    variables: dict[Place, str]
    secrets: Collection[str]


def _explained(by: _Explaining, item: Any) -> str:
    place: Place = item["loc"]
    where = next(
        (f"environment variable {name}" for at, name in by.variables.items() if place[: len(at)] == at),
        _position(by.path, by.text, place),
    )
    is_secret = not set(place).isdisjoint(by.secrets)
    found = "" if isinstance(item["input"], (dict, list)) or is_secret else f", found {item['input']!r}"
    allowed = ""
    if item["type"] == "extra_forbidden":
        section = _section(by.model, place[:-1])
        if section is not None:
            allowed = f"; allowed keys: {', '.join(section.model_fields)}"
    reason = item["msg"].removeprefix("Value error, ")
    if item["type"] == "missing":
        found = ""
        reason = "is needed and not there" + (
            "; --config FILE names a file that has it" if by.path is None else ""
        )
    return f"{where}: {reason}{found}{allowed}"


def _shared(one: Place, other: Place) -> int:
    return next(
        (i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )


def _section(model: type[BaseModel], place: Place) -> type[BaseModel] | None:
    """The section that stands at `place`."""
    section = model
    for part in place:
        if isinstance(part, int):
            continue
        field = section.model_fields.get(part)
        found = None if field is None else _model_in(field.annotation)
        if found is None:
            return None
        section = found
    return section


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for inner in get_args(annotation) if (found := _model_in(inner))), None)


def _position(path: Path | None, text: str, place: Place) -> str:
    key = ".".join(map(str, place))
    if path is None:
        return key
    line = _line_of(text, place)
    return f"{path}{f', line {line}' if line else ''}: {key}"


def _line_of(text: str, place: Place) -> int | None:
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    line = None
    for part in place:
        if isinstance(node, yaml.MappingNode):
            pair = next(((k, v) for k, v in node.value if k.value == part), None)
            if pair is None:
                return line
            line, node = pair[0].start_mark.line + 1, pair[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            return line
    return line
