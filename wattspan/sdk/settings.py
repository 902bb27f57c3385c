"""`Settings`: what an application says to the exporter, by arguments, environment variables and a file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

if TYPE_CHECKING:
    from wattspan.estimator import Estimator
    from wattspan.otlp.attributes import Detail, Profile

PREFIX: Final = "WATTSPAN_"
_YES, _NO = frozenset(("true", "1", "yes", "on")), frozenset(("false", "0", "no", "off"))

_Choice = TypeVar("_Choice", bound=str)


class SettingsError(ValueError):
    """A setting cannot be used: which, what was found, what is allowed."""


class Ready(NamedTuple):
    """What the settings come to."""

    estimator: Estimator
    profile: Profile
    detail: Detail


@dataclass(frozen=True, slots=True)
class Settings:
    """Each setting is an argument, else the environment variable `WATTSPAN_` + its name, else the file, else
    the default."""

    config: str | os.PathLike[str] | None = None
    """Configuration file (YAML), as for `wattspan enrich`."""
    edition: str | None = None
    """Methodology edition."""
    profile: str | None = None
    """Names of the attributes: genai, wattspan or both."""
    detail: str | None = None
    """How many attributes: standard or full."""
    region: str | None = None
    """Where all calls of this process run that no rule of the file places; as a rule's `region`."""
    metrics: str | bool | None = None
    """Whether the counters are kept; true unless said otherwise."""

    def with_environment(self, environment: Mapping[str, str] | None = None) -> Settings:
        """These settings, and those of the environment where nothing was said."""
        said = os.environ if environment is None else environment
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        for name, value in values.items():
            if value is None:
                values[name] = said.get(PREFIX + name.upper(), "").strip() or None
        return Settings(**values)

    @property
    def keeps_counters(self) -> bool:
        """`metrics` as a truth value; SettingsError for what is neither yes nor no."""
        if self.metrics is None or isinstance(self.metrics, bool):
            return self.metrics is not False
        word = self.metrics.lower()
        if word not in _YES | _NO:
            raise SettingsError(f"metrics is {self.metrics!r}; allowed: true, false")
        return word in _YES

    def ready(self) -> Ready:
        """Load the edition and all else that estimating takes.

        Raises SettingsError, ConfigError, EditionError, PlaceRuleError or DeploymentError for what is wrong;
        all are ValueErrors whose text says what to do.
        """
        from wattspan.estimator import Estimator
        from wattspan.methodology import LATEST
        from wattspan.otlp.attributes import DETAILS, PROFILES

        profile = _one_of("profile", self.profile, PROFILES)
        detail = _one_of("detail", self.detail, DETAILS)
        everywhere = [{"match": {"model": "*"}, "region": self.region}] if self.region else []
        if self.config is None:
            estimator = Estimator(self.edition or LATEST, rules=everywhere)
            return Ready(estimator, profile or "genai", detail or "standard")
        # pydantic takes longer to import than all the rest: only those who have a file wait for it.
        from wattspan.config import load_config

        config = load_config(Path(self.config))
        if everywhere:
            config = config.model_copy(update={"regions": (*config.regions, *everywhere)})
        return Ready(
            config.estimator(edition=self.edition),
            profile or config.attributes.profile,
            detail or config.attributes.detail,
        )


def _one_of(name: str, found: str | None, allowed: tuple[_Choice, ...]) -> _Choice | None:
    if found is None:
        return None
    for choice in allowed:
        if choice == found:
            return choice
    raise SettingsError(f"{name} is {found!r}; allowed: {', '.join(allowed)}")
