"""The configuration file: deployments, places, grid, attributes. One YAML; every key has a default."""

from __future__ import annotations

import os
import re
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from wattspan.config_file import ConfigError as ConfigError
from wattspan.config_file import load_as
from wattspan.estimator import Deployment, Estimator, Metered
from wattspan.grid import Embedded, Kind, Signal
from wattspan.grid.intensity import FactorType
from wattspan.lake.allowed import allowed_keys
from wattspan.lake.rules import FeatureRule
from wattspan.lake.settings import LakeSettings
from wattspan.methodology import Edition

if TYPE_CHECKING:
    from wattspan.grid.feeds.feed import Feed
    from wattspan.grid.shape_file import OwnShapes
    from wattspan.lake.seal import Sealer
    from wattspan.lake.spans import SpanSource


Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MeteredSection(_Section):
    """Energy the user metered for a deployment."""

    boundary: Literal["node", "facility"]
    wh_per_1k_input_tokens: Positive | None = None
    wh_per_1k_output_tokens: Positive | None = None
    kwh_per_day: Positive | None = None
    input_tokens_per_day: Positive | None = None
    output_tokens_per_day: Positive | None = None

    @model_validator(mode="after")
    def _one_form(self) -> MeteredSection:
        per_token = (self.wh_per_1k_input_tokens, self.wh_per_1k_output_tokens)
        per_day = (self.kwh_per_day, self.input_tokens_per_day, self.output_tokens_per_day)
        whole_day = None not in per_day and per_token == (None, None)
        whole_token = None not in per_token and per_day == (None, None, None)
        if whole_day == whole_token:
            raise ValueError(
                "give either wh_per_1k_input_tokens and wh_per_1k_output_tokens, "
                "or kwh_per_day with input_tokens_per_day and output_tokens_per_day"
            )
        return self


class DeploymentSection(_Section):
    """One deployment the user knows more about than the world does."""

    name: str = Field(min_length=1)
    model: str = "*"
    provider: str = "*"
    host: str = "*"
    service: str = "*"
    gpu: str | None = None
    gpu_count: int | None = Field(default=None, ge=1, le=100_000)
    precision: Literal["bf16", "fp8", "fp4"] | None = None
    engine: str | None = None
    batch: Annotated[float, Field(ge=1, le=100_000)] | None = None
    pue: Annotated[float, Field(ge=1, le=5)] | None = None
    region: str | None = None
    metered: MeteredSection | None = None

    @model_validator(mode="after")
    def _not_everything(self) -> DeploymentSection:
        if (self.model, self.provider, self.host, self.service) == ("*",) * 4:
            raise ValueError(
                "say which calls it serves: give a pattern other than * for model, provider, host or service"
            )
        return self

    def deployment(self) -> Deployment:
        """As the estimator takes it."""
        fields = self.model_dump()
        metered = fields.pop("metered")
        return Deployment(**fields, metered=Metered(**metered) if metered else None)


class GridSection(_Section):
    """Which carbon intensity is meant. It is never switched in silence."""

    signal: Literal["average", "marginal"] = "average"
    factor_type: Literal["lifecycle", "direct"] = "lifecycle"
    resolution: Literal["annual", "typical-hour"] = "annual"
    live: dict[str, Any] | None = None
    cache: Path = Path("wattspan-grid.sqlite")
    shapes: Path | None = None

    @model_validator(mode="after")
    def _marginal_needs_a_feed(self) -> GridSection:
        if self.signal == "marginal" and self.live is None:
            raise ValueError("signal: marginal needs a feed under live: no embedded table is marginal")
        return self

    @model_validator(mode="after")
    def _shapes_need_their_resolution(self) -> GridSection:
        if self.shapes is not None and self.resolution != "typical-hour":
            raise ValueError("shapes are typical hours and need resolution: typical-hour")
        if self.shapes is not None and self.signal == "marginal":
            raise ValueError("shapes multiply the edition's years, and none of those is marginal")
        return self

    @field_validator("live")
    @classmethod
    def _known_feed(cls, section: dict[str, Any] | None) -> dict[str, Any] | None:
        if section is not None:
            from wattspan.grid.settings import read_section

            read_section(section)
        return section


class AttributesSection(_Section):
    """Which names are written on the spans."""

    profile: Literal["genai", "wattspan", "both"] = "genai"
    detail: Literal["standard", "full"] = "standard"


class ComputeSection(_Section):
    """Energy for spans that are no model calls: databases, retrieval, tools."""

    utilisation: Annotated[float, Field(gt=0, le=1)] | None = None
    client_spans: Literal["none", "database", "all"] = "database"


class LakeSection(_Section):
    """Spans at rest."""

    folder: Path | None = None
    """Where `wattspan serve` writes every span; None: nowhere."""
    seal_after_s: Annotated[float, Field(gt=0, le=86_400)] = 60.0
    most_open_s: Annotated[float, Field(gt=0, le=604_800)] = 900.0
    most_open_spans: Annotated[int, Field(ge=1_000, le=20_000_000)] = 500_000
    segment_bytes: Annotated[int, Field(ge=1024 * 1024, le=4 * 1024**3)] = 128 * 1024 * 1024
    grace_s: Annotated[float, Field(ge=0, le=604_800)] = 900.0
    retention_days: Annotated[int, Field(ge=1, le=36_500)] | None = None
    quota_bytes: Annotated[int, Field(ge=1024 * 1024, le=1 << 50)] = 1024**3
    """Bytes in the spool (of each worker) that may wait for the lake."""
    on_quota: Literal["refuse", "drop_oldest"] = "refuse"
    """At the quota: clients get 503, or the oldest batches never come into the lake."""
    attributes: tuple[str, ...] = ()
    """Attribute keys kept beside the usual ones; none that holds people or what they wrote."""
    sampling_rate: Annotated[float, Field(gt=0, le=1)] | None = None
    """Share of traces that was kept before they came here, where spans do not say it."""
    compute: ComputeSection | None = None
    """None: model calls only. `compute: true` takes the defaults."""

    @field_validator("attributes")
    @classmethod
    def _may_be_kept(cls, keys: tuple[str, ...]) -> tuple[str, ...]:
        allowed_keys(keys)
        return keys

    @field_validator("compute", mode="before")
    @classmethod
    def _opted_in(cls, given: Any) -> Any:
        return {True: {}, False: None}[given] if isinstance(given, bool) else given


class IssuerSection(_Section):
    """Who discloses."""

    domain: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,252}$")
    name: str = Field(min_length=1)


def _urn(text: str) -> str:
    if not _URN.fullmatch(text):
        raise ValueError("allowed: a URN such as urn:pact:saas.example:supplier-id:TS-1")
    return text


def _public_url(text: str) -> str:
    if not _HTTPS.fullmatch(text):
        raise ValueError("allowed: an address that begins with https:// and has a host")
    return text


_URN: Final = re.compile(r"[uU][rR][nN]:[A-Za-z0-9][A-Za-z0-9-]{0,30}[A-Za-z0-9]:[\x21-\x7e]+")
_HTTPS: Final = re.compile(r"https://[^\s/]+(/\S*)?")
Urn = Annotated[str, AfterValidator(_urn)]
PublicUrl = Annotated[str, AfterValidator(_public_url)]
Percent = Annotated[Decimal, Field(ge=0, le=100, decimal_places=6)]


class DisclosedFeatureSection(_Section):
    """A feature as the customer buys it."""

    name: str = ""
    sku: str = ""
    description: str = ""
    product_ids: tuple[Urn, ...] = ()
    """Of PACT; without: made of the issuer's domain and the SKU."""


class ExemptedSection(_Section):
    """Emissions that footprints leave out: how much is estimated, and why."""

    percent: Percent
    reason: str = Field(min_length=1)


class PactTermsSection(_Section):
    """What footprints (WBCSD PACT) state beside the sealed figures."""

    company_ids: tuple[Urn, ...] = ()
    classifications: tuple[Urn, ...] = ("urn:cpc:83152",)
    standards: tuple[str, ...] = ()
    characterization: tuple[Annotated[str, Field(pattern="^AR[1-9][0-9]?$")], ...] = ("AR5",)
    validity_months: Annotated[int, Field(ge=1, le=36)] = 12
    exempted: ExemptedSection | None = None
    schema_url: PublicUrl | None = None
    documentation_url: PublicUrl | None = None


class DisclosureSection(_Section):
    """What is published, by whom, and under which rules."""

    issuer: IssuerSection
    folder: Path = Path("disclosures")
    annex: Path = Path("disclosures-private")
    """Hourly values of grid feeds behind disclosures, which their licences keep from being passed on."""
    key: Path = Path("wattspan-signing.pem")
    gap_rule: Literal["mean_of_model", "none"] = "mean_of_model"
    contracts: Path | None = None
    least_coverage: Annotated[float, Field(ge=0, le=1)] = 0.95
    most_unmapped: Annotated[float, Field(ge=0, le=1)] = 0.01
    features: dict[str, DisclosedFeatureSection] = {}
    pact: PactTermsSection = PactTermsSection()


class Config(_Section):
    """The whole configuration."""

    edition: str = "2026.11"
    grid: GridSection = GridSection()
    attributes: AttributesSection = AttributesSection()
    deployments: tuple[DeploymentSection, ...] = ()
    regions: tuple[dict[str, Any], ...] = ()
    lake: LakeSection = LakeSection()
    features: tuple[FeatureRule, ...] = ()
    disclosure: DisclosureSection | None = None

    @model_validator(mode="after")
    def _rules_read_what_may_be_kept(self) -> Config:
        allowed_keys(self._kept_attributes())
        return self

    def estimator(self, **overrides: str | None) -> Estimator:
        """The estimator that this configuration asks for.

        `overrides`: edition, factor_type, resolution; None keeps what the file says. Raises EditionError for
        an edition that is not installed, PlaceRuleError for a region rule that cannot be used.
        """
        chosen = {name: value for name, value in overrides.items() if value is not None}
        edition = Edition.load(chosen.get("edition", self.edition))
        factor_type = chosen.get("factor_type", self.grid.factor_type)
        resolution = chosen.get("resolution", self.grid.resolution)
        return Estimator(
            edition,
            deployments=[section.deployment() for section in self.deployments],
            rules=self.regions,
            factor_type=factor_type,
            resolution=resolution,
            grid=self.grid_signal(edition, Kind(self.grid.signal, cast(FactorType, factor_type)), resolution),
        )

    def sealer(self, estimator: Estimator) -> Sealer:
        """What makes the derived columns of the lake, with `estimator`."""
        # Arrow is an extra: only who has a lake loads it
        from wattspan.lake.compute import ComputeSettings, ComputeSpans
        from wattspan.lake.features import FeatureRules
        from wattspan.lake.seal import Sealer

        chosen = self.lake.compute
        settings = None if chosen is None else ComputeSettings(chosen.utilisation, chosen.client_spans)
        compute = None if settings is None else ComputeSpans(estimator, settings)
        return Sealer(estimator, FeatureRules(self.features), self.lake.sampling_rate, compute=compute)

    def span_source(self) -> SpanSource:
        """What reads spans for the lake: with the attributes asked for, and those that feature rules read."""
        from wattspan.lake.spans import SpanSource

        return SpanSource(self._kept_attributes())

    def lake_settings(self) -> LakeSettings:
        """How the writer of the lake goes about it."""
        section = self.lake
        return LakeSettings(
            seal_after_s=section.seal_after_s,
            most_open_s=section.most_open_s,
            most_open_spans=section.most_open_spans,
            segment_bytes=section.segment_bytes,
            grace_s=section.grace_s,
            retention_days=section.retention_days,
        )

    def _kept_attributes(self) -> tuple[str, ...]:
        return (*self.lake.attributes, *(key for rule in self.features for key in rule.keys))

    def feed(self) -> Feed | None:
        """The configured live feed; None where none is. Raises FeedSettingsError where its key is missing."""
        if self.grid.live is None:
            return None
        from wattspan.grid.settings import make_feed, read_section

        return make_feed(read_section(self.grid.live), Kind(self.grid.signal, self.grid.factor_type))

    def grid_signal(self, edition: Edition, kind: Kind, resolution: str) -> Signal:
        """The signal of `kind`: the feed's hours if one is configured, over the edition's figures.

        Raises ShapeFileError for a file of typical hours that cannot be used, FeedSettingsError where a key
        is not in the environment, ConfigError where the cache or a file cannot be used.
        """
        embedded: Signal | None = None
        # The edition has no marginal figures, and average ones never stand in for them.
        if kind.signal == "average":
            shapes = self._shapes(kind) if resolution == "typical-hour" else None
            embedded = Embedded(edition.folder, kind.factor_type, resolution, shapes=shapes)
        if self.grid.live is None:
            assert embedded is not None, "checked when the configuration was read"
            return embedded
        # the clients of the feeds are an extra: only who configures a feed loads them
        from wattspan.grid.cache import CacheError
        from wattspan.grid.feeds.errors import FeedError
        from wattspan.grid.settings import open_signal, read_section

        section = read_section(self.grid.live)
        try:
            return open_signal(section, kind, edition.folder, self.grid.cache, embedded)
        except (CacheError, FeedError) as error:
            raise ConfigError(f"grid: {error}") from error

    def _shapes(self, kind: Kind) -> OwnShapes | None:
        if self.grid.shapes is None:
            return None
        from wattspan.grid.shape_file import of_kind, read_shapes

        return of_kind(read_shapes(self.grid.shapes), kind.factor_type, self.grid.shapes)


def load_config(path: Path | None) -> Config:
    """The configuration at `path` (None: the defaults), with what the environment says of it (`load_as`).

    Raises ConfigError naming the file, the line and key, what was found and what is allowed.
    """
    return load_as(Config, path, os.environ, ())
