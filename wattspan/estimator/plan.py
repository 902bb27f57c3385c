"""A plan: all about a call that does not depend on its tokens, worked out once for each kind of call."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from wattspan.calls import Factor, SpreadClass
from wattspan.estimator.deployments import Deployment, Metered
from wattspan.estimator.energy import Coefficients, coefficients
from wattspan.estimator.spread import Z90, combined_ln_g, factors_of
from wattspan.grid import Intensity, Signal
from wattspan.methodology import Edition, Host
from wattspan.methodology.models import Model
from wattspan.places import Place, PlaceKey, Places

MAKERS_OWN = frozenset({"closed", "unknown"})
"""Tiers of models without published weights: nobody hosts them himself, so a loopback host is a proxy, and
with no provider named their maker serves them."""
SECONDS_PER_YEAR = 365.25 * 86_400
J_PER_KWH = 3.6e6
J_PER_TOKEN_FROM_WH_PER_1K = 3.6
"""1 Wh per 1,000 tokens is 3.6 J per token."""


class DeploymentError(ValueError):
    """A declared deployment names hardware that the edition has no figures for."""


class PlanKey(NamedTuple):
    """What decides a plan: the texts of a call's columns and its year."""

    operation: str = ""
    model: str = ""
    request_model: str = ""
    provider: str = ""
    host: str = ""
    span_region: str = ""
    span_cloud: str = ""
    reported_region: str = ""
    resource_region: str = ""
    resource_cloud: str = ""
    service: str = ""
    is_self_hosted: bool = False
    year: int = 0
    """Year of the call, UTC; 0 takes the newest vintage."""
    day: str = ""
    """For an id whose meaning changed: the ISO day since which it means what it meant at the call."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The constants of one kind of call."""

    coefficients: Coefficients
    """GPU joules per moment; for a metered deployment, joules at the boundary that was metered."""
    server_factor: float
    """Host and idle: (k_host x k_idle); 1 where metering includes them."""
    facility_factor: float
    """PUE as applied; 1 where metering includes it."""
    pue: float
    """PUE as applied; NaN where metering includes it."""
    embodied_g_per_gpu_j: float
    water_ml_per_it_kwh: float
    """On-site cooling water, mL per kWh of IT energy (the WUE); NaN where none is published."""
    model: Model | None
    tier: str
    host: Host
    place: Place
    deployment: Deployment | None
    intensity: Intensity
    spread: SpreadClass
    reported_spread: SpreadClass
    """Errors of calls whose energy was reported or measured, not modelled."""
    energy_g90: float
    """Central / low = high / central = this, at 90 %."""
    carbon_g90: float
    reported_energy_g90: float
    reported_carbon_g90: float

    def at_hour(self, intensity: Intensity) -> Plan:
        """The same kind of call in an hour whose intensity is known: its figure and its errors take over."""
        energy, reported = self.spread.energy, self.reported_spread.energy
        return replace(
            self,
            intensity=intensity,
            spread=SpreadClass(energy, energy + intensity.factors),
            reported_spread=SpreadClass(reported, reported + intensity.factors),
            carbon_g90=_g90(energy + intensity.factors),
            reported_carbon_g90=_g90(reported + intensity.factors),
        )


class Planner:
    """Works out plans from an edition and what the user configured; keeps those it made."""

    MAX_PLANS = 65_536
    """Hostile traffic can invent model names without end; past this many plans the store starts afresh."""

    def __init__(
        self, edition: Edition, places: Places, grid: Signal, deployments: Sequence[Deployment]
    ) -> None:
        self.edition = edition
        self.registry = edition.registry
        self.places = places
        self.grid = grid
        self.deployments = tuple(deployments)
        self._form = edition.form
        self._hosts = edition.hosts
        self._tiers: Mapping[str, Mapping[str, object]] = edition.spreads["tiers"]
        self._plans: dict[PlanKey, Plan] = {}
        for deployment in self.deployments:
            self._check(deployment)

    def _check(self, deployment: Deployment) -> None:
        for key, found, known in (
            ("gpu", deployment.gpu, self._form.gpus),
            ("precision", deployment.precision, self._form.precisions),
        ):
            if found is not None and found not in known:
                raise DeploymentError(
                    f"deployment {deployment.name!r}: {key} is {found!r}; edition {self.edition.label} knows "
                    f"{', '.join(sorted(known))}"
                )

    def plan(self, key: PlanKey) -> Plan:
        """The plan for `key`."""
        found = self._plans.get(key)
        if found is None:
            if len(self._plans) >= self.MAX_PLANS:
                self._plans.clear()
            found = self._plans[key] = self._make(key)
        return found

    def resolve(self, key: PlanKey) -> Model | None:
        """The registry's model for a call: by the response model, else by the requested one."""
        for name in (key.model, key.request_model):
            if name:
                match = self.registry.resolve(name, key.provider)
                if model := match.at(key.day) if key.day else match.model:
                    return model
        return None

    def changes(self, name: str, provider: str) -> tuple[str, ...]:
        """ISO days since which the id `name` means another model; () where it always meant the same."""
        return tuple(start for start, _ in self.registry.resolve(name, provider).timeline)

    def _make(self, key: PlanKey) -> Plan:
        model = self.resolve(key)
        if model and model.tier in MAKERS_OWN:
            key = key._replace(is_self_hosted=False)
        deployment = self._deployment(key, model)
        place = self._place(key, model, deployment)
        shape = model or self.registry.unknown(key.operation)
        is_own = deployment is not None or key.is_self_hosted
        host = self._host(shape, is_own, deployment)
        per_token = coefficients(
            shape.architecture_at(key.year), host, self._form, kind=shape.kind, residual=shape.residual
        )
        server_factor, facility_factor = host.k_host * host.k_idle, place.pue
        gpu = self._form.gpus[host.gpu]
        embodied_g_per_gpu_j = (
            host.k_idle * gpu.embodied_kg * 1000 / (gpu.serving_w * gpu.lifetime_years * SECONDS_PER_YEAR)
        )
        tier = shape.tier if model else "unknown"
        if deployment and deployment.metered:
            metered = deployment.metered
            tier = "metered_facility" if metered.boundary == "facility" else "metered_node"
            per_token = _metered_coefficients(metered, per_token)
            embodied_g_per_gpu_j /= server_factor
            server_factor = 1.0
            if metered.boundary == "facility":
                embodied_g_per_gpu_j /= facility_factor
                facility_factor = 1.0
        elif is_own and (deployment is None or deployment.batch is None) and tier == "open_measured":
            # how many requests are decoded together decides most, and nobody said
            tier = "open"
        elif (
            deployment
            and deployment.is_known_configuration
            and tier in {"open", "open_measured"}
            and gpu.is_tested
        ):
            tier = "benchmarked"

        names = {
            "model": shape.id if model else f"unknown/{key.model or key.request_model}",
            "facility": place.facility,
            "deployment": deployment.name if deployment else f"reported by {key.provider or key.service}",
        }
        energy = factors_of(self._factors(tier), **names)
        reported = factors_of(self._factors("metered_node"), **names)
        intensity = self.grid.at(place, key.year)
        grid = intensity.factors
        return Plan(
            coefficients=per_token,
            server_factor=server_factor,
            facility_factor=facility_factor,
            pue=math.nan if tier == "metered_facility" else facility_factor,
            embodied_g_per_gpu_j=embodied_g_per_gpu_j,
            water_ml_per_it_kwh=math.nan if place.wue_l_per_kwh is None else place.wue_l_per_kwh * 1000,
            model=model,
            tier=tier,
            host=host,
            place=place,
            deployment=deployment,
            intensity=intensity,
            spread=SpreadClass(energy, energy + grid),
            reported_spread=SpreadClass(reported, reported + grid),
            energy_g90=_g90(energy),
            carbon_g90=_g90(energy + grid),
            reported_energy_g90=_g90(reported),
            reported_carbon_g90=_g90(reported + grid),
        )

    def _factors(self, tier: str) -> Sequence[Mapping[str, object]]:
        factors = self._tiers[tier]["factors"]
        assert isinstance(factors, list)
        return factors

    def _deployment(self, key: PlanKey, model: Model | None) -> Deployment | None:
        models = tuple(name for name in (model.id if model else "", key.model, key.request_model) if name)
        for deployment in self.deployments:
            if deployment.matches(
                models=models or ("",), provider=key.provider, host=key.host, service=key.service
            ):
                return deployment
        return None

    def _place(self, key: PlanKey, model: Model | None, deployment: Deployment | None) -> Place:
        provider = key.provider
        if not (provider or key.host) and model and model.tier in MAKERS_OWN:
            provider = model.provider
        region = deployment.region if deployment and deployment.region else key.span_region
        place = self.places.resolve(
            PlaceKey(
                provider=provider,
                model=key.model,
                request_model=key.request_model,
                host=key.host,
                span_region=region,
                span_cloud=key.span_cloud,
                reported_region=key.reported_region,
                resource_region=key.resource_region,
                resource_cloud=key.resource_cloud,
                is_self_hosted=key.is_self_hosted,
                service=key.service,
            )
        )
        if deployment and deployment.region:
            place = replace(place, source="rule")
        if deployment and deployment.pue is not None:
            place = replace(place, pue=deployment.pue, facility=deployment.name)
        return place

    def _host(self, shape: Model, is_own: bool, deployment: Deployment | None) -> Host:
        kind = "self_hosted" if is_own else "open" if shape.tier in {"open", "open_measured"} else "closed"
        host = self._hosts[kind]
        if deployment is None:
            return host
        return Host(
            gpu=deployment.gpu or host.gpu,
            batch=deployment.batch or host.batch,
            gpus=deployment.gpu_count or host.gpus,
            precision=deployment.precision or host.precision,
            k_host=host.k_host,
            k_idle=host.k_idle,
        )


def _g90(factors: Sequence[Factor]) -> float:
    return math.exp(Z90 * combined_ln_g(factors))


def _metered_coefficients(metered: Metered, modelled: Coefficients) -> Coefficients:
    """Joules per token as metered, at the metered boundary.

    Cached tokens keep their modelled share of a fresh one. Energy of a whole day is shared out between input
    and output tokens as the model shares it at short context.
    """
    share = modelled.cached / modelled.fresh
    if metered.kwh_per_day is not None:
        assert metered.input_tokens_per_day is not None
        assert metered.output_tokens_per_day is not None
        modelled_j = (
            metered.input_tokens_per_day * modelled.fresh + metered.output_tokens_per_day * modelled.output
        )
        scale = metered.kwh_per_day * J_PER_KWH / modelled_j
        fresh, output = modelled.fresh * scale, modelled.output * scale
    else:
        assert metered.wh_per_1k_input_tokens is not None
        assert metered.wh_per_1k_output_tokens is not None
        fresh = metered.wh_per_1k_input_tokens * J_PER_TOKEN_FROM_WH_PER_1K
        output = metered.wh_per_1k_output_tokens * J_PER_TOKEN_FROM_WH_PER_1K
    return Coefficients(
        fresh=fresh,
        cached=fresh * share,
        fresh_context=0.0,
        cached_context=0.0,
        output=output,
        output_context=0.0,
        output_square=0.0,
    )
