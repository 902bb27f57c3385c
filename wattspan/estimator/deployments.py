"""What a user knows about how a model is served: only this narrows the band."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal


@dataclass(frozen=True, slots=True)
class Metered:
    """Energy that the user metered, either per token or per day with the day's tokens.

    `boundary`: "node" (GPU and host: PUE still comes on top) or "facility" (everything included).
    """

    boundary: Literal["node", "facility"]
    wh_per_1k_input_tokens: float | None = None
    wh_per_1k_output_tokens: float | None = None
    kwh_per_day: float | None = None
    input_tokens_per_day: float | None = None
    output_tokens_per_day: float | None = None


@dataclass(frozen=True, slots=True)
class Deployment:
    """One declared deployment; a call belongs to the first one whose patterns all match.

    Patterns are shell-style (`*`), case-insensitive, against the id on the span or the resolved model id.
    """

    name: str
    model: str = "*"
    provider: str = "*"
    host: str = "*"
    service: str = "*"
    gpu: str | None = None
    gpu_count: int | None = None
    precision: str | None = None
    engine: str | None = None
    batch: float | None = None
    pue: float | None = None
    region: str | None = None
    metered: Metered | None = None

    def matches(self, *, models: tuple[str, ...], provider: str, host: str, service: str) -> bool:
        """Whether a call with these names belongs to this deployment."""
        return (
            any(_match(self.model, model) for model in models)
            and _match(self.provider, provider)
            and _match(self.host, host)
            and _match(self.service, service)
        )

    @property
    def is_known_configuration(self) -> bool:
        """GPU, precision, batch and engine are all declared: what the benchmarked tier asks for."""
        return None not in (self.gpu, self.precision, self.batch, self.engine)


def _match(pattern: str, text: str) -> bool:
    return pattern == "*" or fnmatchcase(text.lower(), pattern.lower())
