"""What a model id says about the place: Bedrock profiles and ARNs, Vertex resource paths."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

_ARN = re.compile(r"^arn:aws[a-z-]*:bedrock:(?P<region>[a-z0-9-]*):\d*:(?P<kind>[a-z-]+)/(?P<id>.+)$")
_VERTEX = re.compile(r"(?:^|/)locations/(?P<location>[a-z0-9-]+)(?:/|$)")
# A call through one of these ARNs may leave the region in the ARN, but stays in its geography.
_ROUTING_KINDS = frozenset({"application-inference-profile", "prompt-router", "default-prompt-router"})


class ModelPlace(NamedTuple):
    """A place named by a model id."""

    cloud: str
    name: str
    """A region or a geography."""
    widens: bool
    """The call may have run anywhere in the geography of the region `name`."""


class Profiles:
    """Reads places from model ids."""

    def __init__(self, cloud: str, prefixes: Mapping[str, str], vendors: Iterable[str]) -> None:
        self._cloud = cloud
        self._geographies = dict(prefixes)
        # Longest first, or `us` would take what is `us-gov`.
        geos = "|".join(re.escape(prefix) for prefix in sorted(prefixes, key=len, reverse=True))
        names = "|".join(re.escape(vendor) for vendor in sorted(vendors))
        self._prefix = re.compile(rf"^(?P<geo>{geos})\.(?:{names})\.")

    def read(self, model: str) -> ModelPlace | None:
        """The place that a model id names, else None.

        `us.anthropic.claude-…`, ARNs of Bedrock, `bedrock/eu-west-3/…` (LiteLLM), `…/locations/europe-
        west4/…` (Vertex).
        """
        name = model.strip().lower()
        if not name:
            return None
        arn = _ARN.match(name)
        if arn:
            if arn["kind"] == "inference-profile":
                return self._profile(arn["id"]) or ModelPlace(self._cloud, arn["region"], widens=True)
            return ModelPlace(self._cloud, arn["region"], widens=arn["kind"] in _ROUTING_KINDS)
        vertex = _VERTEX.search(name)
        if vertex:
            return ModelPlace("gcp", vertex["location"], widens=False)
        parts = name.split("/")
        profile = self._profile(parts[-1])
        if profile is not None:
            return profile
        if parts[0] == "bedrock" and len(parts) > 2:
            return ModelPlace(self._cloud, parts[-2], widens=False)
        return None

    def _profile(self, name: str) -> ModelPlace | None:
        found = self._prefix.match(name)
        return ModelPlace(self._cloud, self._geographies[found["geo"]], widens=False) if found else None
