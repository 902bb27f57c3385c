"""Where a call ran, and what is known about a call's place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from wattspan.places.regions import Region


class PlaceKey(NamedTuple):
    """What a call says about its place; calls with the same key have the same place."""

    provider: str = ""
    """`gen_ai.provider.name`, any spelling."""
    model: str = ""
    """Response model id."""
    request_model: str = ""
    """Model id as asked for; it keeps Bedrock profiles and deployment names."""
    host: str = ""
    """Host name of the called server."""
    span_region: str = ""
    """`cloud.region` on the span."""
    span_cloud: str = ""
    """`cloud.provider` on the span."""
    reported_region: str = ""
    """Region or geography in the provider's answer (Anthropic's `inference_geo`)."""
    resource_region: str = ""
    """`cloud.region` of the caller's resource: evidence for self-hosted models only."""
    resource_cloud: str = ""
    """`cloud.provider` of the caller's resource."""
    is_self_hosted: bool = False
    """The serving engine made the span, or its host is loopback or private."""
    service: str = ""
    """`service.name` of the caller's resource: for the user's own rules only."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a call ran: one region, or the regions among which it ran."""

    label: str
    """Names the members: "aws/us-east-1", "aws/eu", "aws+azure+gcp/global", "zone/DE", "world". Two places
    with the same label have the same electricity."""
    cloud: str
    """The cloud, or clouds joined by "+"; "" for a bare zone and for the world."""
    region: str
    """The region's name; "" where only a geography is known."""
    geography: str
    """us, eu, apac, global, jp, ...; for a region its country; "world" where nothing is known."""
    members: tuple[Region, ...]
    """The region, or every region the call may have run in; empty for the world."""
    source: str
    """How we know: rule | span | provider_reported | profile | deployment_type | host | resource |
    geography_mix | world (design D8)."""
    facility: str
    """Id of the facility whose overhead applies: the key of its shared error."""
    pue: float
    pue_source: str
    wue_l_per_kwh: float | None
    """Litres per kWh of IT energy (not of facility energy); None where nobody publishes it."""

    @property
    def zones(self) -> tuple[str, ...]:
        """Grid zone of each member, one a region: a zone with two regions is there twice."""
        return tuple(member.zone for member in self.members)
