"""`FeatureRule`: one row of the table that says which spans are which product feature."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, model_validator

Pattern = Annotated[str, Field(min_length=1)]
Patterns = Pattern | tuple[Pattern, ...]
"""A text, or a glob with * ? [abc]; of several, one must match. Upper and lower case differ."""

ROUTE_KEY: Final = "http.route"


class FeatureRule(BaseModel):
    """A feature and the spans that are it: every condition that is given must hold.

    `feature` names it, or `feature_from` is the attribute whose value names it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    feature: Pattern | None = None
    feature_from: Pattern | None = None
    service: Patterns | None = None
    """`service.name`."""
    root_span: Patterns | None = None
    """Name of the first span of the trace."""
    span: Patterns | None = None
    """Name of the span itself."""
    route: Patterns | None = None
    """`http.route` of the span."""
    attributes: dict[Pattern, Patterns] = {}
    """Attributes of the span or its resource, those copied from baggage too; "*" = it is there."""

    @model_validator(mode="after")
    def _names_and_selects(self) -> FeatureRule:
        if (self.feature is None) == (self.feature_from is None):
            raise ValueError("give either feature (its name) or feature_from (the attribute that names it)")
        if self.feature_from is None and not any(True for _ in self._conditions()):
            raise ValueError(
                "say which spans it is: at least one of service, root_span, span, route, attributes "
                "(without a condition it would swallow every trace; what no rule takes is shown as unmapped)"
            )
        return self

    def _conditions(self) -> Iterator[Patterns]:
        yield from (
            given for given in (self.service, self.root_span, self.span, self.route) if given is not None
        )
        yield from self.attributes.values()

    @property
    def keys(self) -> tuple[str, ...]:
        """The attributes that the rule reads."""
        named = (self.feature_from,) if self.feature_from else ()
        return (*self.attributes, *named, *((ROUTE_KEY,) if self.route else ()))
