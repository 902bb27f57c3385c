"""The configuration file of `wattspan serve`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from wattspan.config_file import load_as
from wattspan.gateway.settings import ServeConfig

SECRETS: Final = ("headers", "bearer_token", "token")


def load_serve_config(path: Path | None, environ: Mapping[str, str]) -> ServeConfig:
    """The configuration at `path`, as `load_as` reads it. Raises ConfigError."""
    return load_as(ServeConfig, path, environ, SECRETS)


def json_schema() -> dict[str, Any]:
    """JSON schema of the file."""
    return ServeConfig.model_json_schema()
