"""`Places`: from what a call says to where it ran (design D8)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from wattspan.places.hosts import HostMatch, Hosts
from wattspan.places.place import Place, PlaceKey
from wattspan.places.profiles import ModelPlace, Profiles
from wattspan.places.regions import Facility, Region, Regions, load_facilities, load_regions
from wattspan.places.rules import Rule, Vocabulary, read_rules
from wattspan.places.tables import EditionTableError

# Keys hold host names and model ids from outside, so the memory of answers is bounded.
_REMEMBERED_KEYS = 65_536


class Provider(NamedTuple):
    """Who serves a model, and with whose machines."""

    name: str
    clouds: tuple[str, ...]
    geography: str
    facility: str


class Places:
    """Resolves where calls ran, by the tables of an edition and the user's rules."""

    def __init__(self, edition: Path, rules: Iterable[Mapping[str, Any]] = ()) -> None:
        """Load an edition's place tables.

        `edition`: directory of the edition. `rules`: see `read_rules`. Raises EditionTableError,
        PlaceRuleError.
        """
        table = _load_json(edition / "places.json")
        self.regions = Regions(load_regions(edition), tuple(table["cloud_order"]))
        self.facilities: dict[str, Facility] = load_facilities(edition)
        self._cloud_aliases: dict[str, str] = table["cloud_aliases"]
        self._geographies: dict[str, dict[str, Any]] = table["geographies"]
        self._geography_aliases: dict[str, str] = table["geography_aliases"]
        self._countries: dict[str, str] = table["countries"]
        self._providers: dict[str, Provider] = {}
        for name, row in table["providers"].items():
            provider = _provider(name, row)
            for alias in (name, *row.get("aliases", ())):
                self._providers[alias] = provider
        self._unknown_provider = _provider("", table["unknown_provider"])
        self._hosts = Hosts(table["hosts"])
        profiles = table["profiles"]
        self._profiles = Profiles(profiles["cloud"], profiles["prefixes"], profiles["vendors"])
        deployments = table["deployment_types"]
        self._deployment_cloud: str = deployments["cloud"]
        self._deployments = {
            name.lower(): scope
            for scope in ("global", "data_zone", "regional")
            for name in deployments[scope]
        }
        self._rules = read_rules(rules, self._vocabulary(tuple(table["cloud_order"])))
        self._remembered: dict[PlaceKey, Place] = {}

    def resolve(self, key: PlaceKey) -> Place:
        """Where a call ran. The same key always has the same answer; answers are remembered."""
        place = self._remembered.get(key)
        if place is None:
            if len(self._remembered) >= _REMEMBERED_KEYS:
                self._remembered.clear()
            place = self._remembered[key] = self._resolve(key)
        return place

    def _vocabulary(self, clouds: tuple[str, ...]) -> Vocabulary:
        return Vocabulary(
            regions=frozenset(name.lower() for name in self.regions.names()),
            geographies=frozenset(self._geographies)
            | frozenset(self._geography_aliases)
            | frozenset(country.lower() for country in self._countries),
            deployment_types=frozenset(self._deployments),
            clouds=frozenset(clouds),
        )

    def _resolve(self, key: PlaceKey) -> Place:
        rule = next((rule for rule in self._rules if rule.matches(key)), None)
        host = self._hosts.match(key.host)
        provider = self._provider_of(key, host)
        place = self._by_rule(rule, provider) if rule and not rule.deployment_type else None
        if place is None and key.span_region:
            place = self._by_attributes(key.span_region, key.span_cloud, provider, "span")
        if place is None and key.reported_region:
            place = self._named(key.reported_region, provider.clouds, provider, "provider_reported")
        if place is None:
            place = self._by_profile(key, provider)
        if place is None and rule and rule.deployment_type:
            place = self._by_deployment(rule, host, provider)
        if place is None and host is not None:
            place = self._by_host(host, provider)
        if place is not None:
            return place
        if key.is_self_hosted:
            if key.resource_region:
                place = self._by_attributes(
                    key.resource_region, key.resource_cloud, self._unknown_provider, "resource"
                )
            return place or self._world("self_hosted")
        if provider.name or key.provider or key.host:
            return self._mix(provider.clouds, provider.geography, "geography_mix", provider.facility)
        return self._world(self._unknown_provider.facility)

    def _provider_of(self, key: PlaceKey, host: HostMatch | None) -> Provider:
        # An SDK that speaks OpenAI's protocol says "openai" whoever answers: the host knows better.
        if host is not None and host.entry.provider:
            return self._providers[host.entry.provider]
        return self._providers.get(key.provider.strip().lower(), self._unknown_provider)

    def _by_attributes(self, region: str, cloud: str, provider: Provider, source: str) -> Place | None:
        """The place of a `cloud.region` with its `cloud.provider`, which may be missing."""
        folded = cloud.strip().lower()
        if not folded:
            return self._named(region, provider.clouds, provider, source)
        named = self._cloud_aliases.get(folded, folded)
        serving = provider._replace(clouds=(named,), facility=named)
        return self._named(region, (named,), serving, source, only=True)

    def _by_rule(self, rule: Rule, provider: Provider) -> Place | None:
        if rule.zone:
            return self._zone(rule.zone, "rule")
        if rule.region:
            clouds = (rule.cloud,) if rule.cloud else provider.clouds
            return self._named(rule.region, clouds, provider, "rule")
        return self._named(rule.geography, provider.clouds, provider, "rule")

    def _by_profile(self, key: PlaceKey, provider: Provider) -> Place | None:
        for model in (key.request_model, key.model):
            found = self._profiles.read(model)
            if found is not None:
                place = self._by_model_place(found, provider)
                if place is not None:
                    return place
        return None

    def _by_model_place(self, found: ModelPlace, provider: Provider) -> Place | None:
        if found.widens:
            return self._around(found.name, found.cloud, "profile")
        serving = provider._replace(clouds=(found.cloud,), facility=found.cloud)
        return self._named(found.name, (found.cloud,), serving, "profile", only=True)

    def _by_deployment(self, rule: Rule, host: HostMatch | None, provider: Provider) -> Place | None:
        scope = self._deployments[rule.deployment_type]
        cloud = self._deployment_cloud
        region = rule.region or (host.region if host is not None else "")
        if scope == "global":
            return self._mix((cloud,), "global", "deployment_type", cloud)
        if scope == "data_zone":
            if rule.geography:
                return self._named(
                    rule.geography,
                    (cloud,),
                    provider._replace(clouds=(cloud,), facility=cloud),
                    "deployment_type",
                )
            return self._around(region, cloud, "deployment_type")
        return self._named(region, (cloud,), provider, "deployment_type", only=True) if region else None

    def _by_host(self, host: HostMatch, provider: Provider) -> Place | None:
        entry = host.entry
        if entry.geography == "unknown":
            return None
        serving = provider._replace(facility=entry.facility or provider.facility)
        clouds = (entry.cloud,) if entry.cloud else provider.clouds
        return self._named(
            host.region or entry.geography,
            clouds,
            serving,
            "host",
            only=bool(host.region),
            facility=entry.facility,
        )

    def _named(
        self,
        name: str,
        clouds: tuple[str, ...],
        provider: Provider,
        source: str,
        *,
        only: bool = False,
        facility: str = "",
    ) -> Place | None:
        """The place that a region's or geography's name stands for, None where nobody knows the name."""
        region = self.regions.find(name, clouds, only=only)
        if region is not None:
            return self._region(region, source, facility, provider.name if facility else region.cloud)
        geography = self._geography(name)
        return self._mix(provider.clouds, geography, source, provider.facility) if geography else None

    def _geography(self, name: str) -> str:
        folded = name.strip().lower()
        folded = self._geography_aliases.get(folded, folded)
        return folded if folded in self._geographies or folded.upper() in self._countries else ""

    def _around(self, region_name: str, cloud: str, source: str) -> Place | None:
        """The geography that a region of a cloud lies in: us, eu, apac, or else its country."""
        region = self.regions.find(region_name, (cloud,), only=True)
        if region is None:
            return None
        if not region.is_commercial and region.country == "US":
            return self._mix((cloud,), "us-gov", source, cloud)
        for geography in ("us", "eu", "apac"):
            if region.country in self._geographies[geography]["countries"]:
                return self._mix((cloud,), geography, source, cloud)
        return self._mix((cloud,), region.country.lower(), source, cloud)

    def _region(self, region: Region, source: str, facility: str, operator: str) -> Place:
        """A region; with a `facility` of its own, that of an operator who only borrows the cloud's names."""
        overhead = self._facility(facility or region.facility)
        return Place(
            label=f"{operator}/{region.name}",
            cloud=operator,
            region=region.name,
            geography=region.country.lower(),
            members=(region,),
            source=source,
            facility=overhead.id,
            pue=overhead.pue,
            pue_source=overhead.source,
            wue_l_per_kwh=overhead.wue_l_per_kwh,
        )

    def _mix(self, clouds: tuple[str, ...], geography: str, source: str, facility: str) -> Place:
        """The open commercial regions of `clouds` in a geography, unweighted: nobody publishes weights."""
        members = self._members(clouds, geography)
        if not members:
            # The provider has no region of its own there: whoever has one stands in, and else the country's
            # grid.
            clouds = tuple(dict.fromkeys(region.cloud for region in self._members((), geography)))
            members = self._members(clouds, geography)
        if not members:
            country = geography.upper()
            return (
                self._zone(country, source, facility) if country in self._countries else self._world(facility)
            )
        overhead = self._facility(facility)
        cloud = "+".join(clouds)
        return Place(
            label=f"{cloud}/{geography}",
            cloud=cloud,
            region="",
            geography=geography,
            members=members,
            source=source,
            facility=overhead.id,
            pue=overhead.pue,
            pue_source=overhead.source,
            wue_l_per_kwh=overhead.wue_l_per_kwh,
        )

    def _members(self, clouds: tuple[str, ...], geography: str) -> tuple[Region, ...]:
        row = self._geographies.get(geography, {"countries": [geography.upper()]})
        inside, outside = row.get("countries"), row.get("except", ())
        is_government = row.get("government", False)
        return tuple(
            region
            for region in self.regions.all
            if (not clouds or region.cloud in clouds)
            and region.status == "open"
            and region.is_commercial is not is_government
            and (inside is None or region.country in inside)
            and region.country not in outside
        )

    def _zone(self, zone: str, source: str, facility: str = "self_hosted") -> Place:
        country = zone.split("-", 1)[0].upper()
        overhead = self._facility(facility)
        region = Region(
            cloud="",
            name="",
            location=zone,
            country=country,
            zone=zone,
            ember_area=self._countries.get(country, ""),
            facility=overhead.id,
        )
        return Place(
            label=f"zone/{zone}",
            cloud="",
            region="",
            geography=country.lower(),
            members=(region,),
            source=source,
            facility=overhead.id,
            pue=overhead.pue,
            pue_source=overhead.source,
            wue_l_per_kwh=overhead.wue_l_per_kwh,
        )

    def _world(self, facility: str) -> Place:
        overhead = self._facility(facility)
        return Place(
            label="world",
            cloud="",
            region="",
            geography="world",
            members=(),
            source="world",
            facility=overhead.id,
            pue=overhead.pue,
            pue_source=overhead.source,
            wue_l_per_kwh=overhead.wue_l_per_kwh,
        )

    def _facility(self, name: str) -> Facility:
        return self.facilities.get(name) or self.facilities["unknown_operator"]


def _provider(name: str, row: Mapping[str, Any]) -> Provider:
    clouds = tuple(row["clouds"])
    return Provider(name, clouds, row.get("geography", "global"), row.get("facility") or "+".join(clouds))


def _load_json(path: Path) -> dict[str, Any]:
    try:
        table: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise EditionTableError(
            f"{path}: no such table in this edition; build it with make edition"
        ) from error
    except ValueError as error:
        raise EditionTableError(f"{path}: not JSON: {error}") from error
    return table
