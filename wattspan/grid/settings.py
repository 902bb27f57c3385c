"""The `grid.live` section of the configuration, and the signal that it asks for.

Keys never stand in the configuration: it names the environment variables that hold them.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from wattspan.grid.cache import Cache
from wattspan.grid.feeds.feed import Feed
from wattspan.grid.intensity import Accounting, FactorType, Kind, Signal, SignalName
from wattspan.grid.live import LiveSignal
from wattspan.grid.live_spreads import Spreads

Period = Literal[300, 900, 1800, 3600]


class FeedSettingsError(ValueError):
    """The settings of a feed cannot be used: which key, what was found, what to do."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ElectricityMapsSection(_Section):
    """Electricity Maps; its factor type is the configured one."""

    feed: Literal["electricity-maps"]
    token_env: str = "ELECTRICITY_MAPS_TOKEN"
    version: Literal["v4", "v3"] = "v4"
    granularity: Literal["hourly", "15_minutes", "5_minutes"] = "hourly"
    use_estimations: bool = True
    base_url: str = "https://api.electricitymaps.com"


class WattTimeSection(_Section):
    """WattTime: co2_moer where the configured signal is marginal, co2_aoer where it is average."""

    feed: Literal["watttime"]
    username_env: str = "WATTTIME_USER"
    password_env: str = "WATTTIME_PASSWORD"
    regions: dict[str, str] = {}
    base_url: str = "https://api.watttime.org"


class UKSection(_Section):
    """UK Carbon Intensity."""

    feed: Literal["uk-carbon-intensity"]
    base_url: str = "https://api.carbonintensity.org.uk"


class EmberSection(_Section):
    """Ember's yearly figures."""

    feed: Literal["ember"]
    key_env: str = "EMBER_API_KEY"
    base_url: str = "https://api.ember-energy.org"


class CarbonAwareSection(_Section):
    """A Carbon Aware SDK address: what its backend gives must be declared."""

    feed: Literal["carbon-aware-sdk"]
    base_url: str
    signal: SignalName
    factor_type: FactorType
    accounting: Accounting = "mixed"
    period_s: Period = 300
    locations: dict[str, str] = {}
    zones: dict[str, str] = {}


class FileSection(_Section):
    """A file of the user's own: what it holds must be declared."""

    feed: Literal["file"]
    path: Path
    signal: SignalName
    factor_type: FactorType
    accounting: Accounting = "mixed"
    period_s: Period = 3600
    unit: Literal["g/kWh", "kg/MWh", "lb/MWh"] = "g/kWh"
    timezone: str = ""
    time_is: Literal["start", "end"] = "start"


FeedSection = Annotated[
    ElectricityMapsSection | WattTimeSection | UKSection | EmberSection | CarbonAwareSection | FileSection,
    Field(discriminator="feed"),
]


def read_section(content: dict[str, Any]) -> FeedSection:
    """The `grid.live` section as it was written. Raises pydantic's ValidationError naming the key."""
    return _READER.validate_python(content)


_READER: TypeAdapter[FeedSection] = TypeAdapter(FeedSection)


def make_feed(section: FeedSection, kind: Kind) -> Feed:
    """The feed of a section. `kind`: the one kind of the configuration.

    Raises FeedSettingsError where the feed is of another kind or its key is not in the environment,
    ImportError where `wattspan[grid]` is not installed.
    """
    feed = _make(section, kind)
    if feed.kind != kind:
        raise FeedSettingsError(
            f"grid.live.feed {section.feed} gives {feed.kind.signal} {feed.kind.factor_type} intensities, "
            f"the configuration asks for {kind.signal} {kind.factor_type}; set grid.signal: "
            f"{feed.kind.signal} and grid.factor_type: {feed.kind.factor_type}, or take another feed"
        )
    return feed


def open_signal(
    section: FeedSection, kind: Kind, edition: Path, cache: Path | str, fallback: Signal | None
) -> LiveSignal:
    """The signal of a section.

    `fallback`: coarser figures of the same kind; None where there are none, as for every marginal signal.
    Raises as `make_feed`, CacheError where the cache cannot be used, FeedFileError where a file of the
    user's own cannot be read.
    """
    feed = make_feed(section, kind)
    signal = LiveSignal(feed, Cache(cache), fallback, spreads=Spreads.of(edition, feed))
    if isinstance(section, FileSection):
        _load_file(signal)
    return signal


def _load_file(signal: LiveSignal) -> None:
    """Take in the whole file at once: it is here already, so no call need wait for it."""
    from wattspan.grid.feeds.file import FileFeed

    assert isinstance(signal.feed, FileFeed)
    for series in signal.feed.everything():
        signal.cache.add(signal.signal_id, series)


def _make(section: FeedSection, kind: Kind) -> Feed:
    match section:
        case ElectricityMapsSection():
            from wattspan.grid.feeds.electricity_maps import ElectricityMaps

            return ElectricityMaps(
                _secret(section.token_env, "token_env"),
                factor_type=kind.factor_type,
                granularity=section.granularity,
                version=section.version,
                use_estimations=section.use_estimations,
                base_url=section.base_url,
            )
        case WattTimeSection():
            from wattspan.grid.feeds.watttime import WattTime

            return WattTime(
                _secret(section.username_env, "username_env"),
                _secret(section.password_env, "password_env"),
                signal_type="co2_moer" if kind.signal == "marginal" else "co2_aoer",
                regions=section.regions,
                base_url=section.base_url,
            )
        case UKSection():
            from wattspan.grid.feeds.uk import UKCarbonIntensity

            return UKCarbonIntensity(base_url=section.base_url)
        case EmberSection():
            from wattspan.grid.feeds.ember import Ember

            return Ember(_secret(section.key_env, "key_env"), base_url=section.base_url)
        case CarbonAwareSection():
            from wattspan.grid.feeds.carbon_aware import CarbonAware

            return CarbonAware(
                section.base_url,
                kind=Kind(section.signal, section.factor_type),
                accounting=section.accounting,
                period_s=section.period_s,
                locations=section.locations,
                zones=section.zones,
            )
        case FileSection():
            from wattspan.grid.feeds.file import FileFeed

            return FileFeed(
                section.path,
                kind=Kind(section.signal, section.factor_type),
                accounting=section.accounting,
                period_s=section.period_s,
                unit=section.unit,
                timezone=section.timezone,
                time_is=section.time_is,
            )


def _secret(variable: str, key: str) -> str:
    value = os.environ.get(variable, "").strip()
    if not value:
        raise FeedSettingsError(
            f"grid.live.{key} names the environment variable {variable}, which is not set; set it to the key"
        )
    return value
