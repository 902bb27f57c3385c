"""The `grid.live` section: which feed, of which kind, with keys from the environment only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from tests.grid.server.apis import TOKEN, unix_s
from wattspan.config import load_config
from wattspan.grid import Embedded
from wattspan.grid.feeds.errors import FeedFileError
from wattspan.grid.intensity import Kind
from wattspan.grid.live import LiveSignal
from wattspan.grid.settings import FeedSection, FeedSettingsError, make_feed, open_signal

LIFECYCLE, DIRECT, MARGINAL = (
    Kind("average", "lifecycle"),
    Kind("average", "direct"),
    Kind("marginal", "direct"),
)


def section(**values: Any) -> Any:
    return TypeAdapter(FeedSection).validate_python(values)


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ELECTRICITY_MAPS_TOKEN", "EMBER_API_KEY", "WATTTIME_USER", "WATTTIME_PASSWORD"):
        monkeypatch.setenv(name, TOKEN)


@pytest.mark.parametrize(
    ("values", "kind", "name"),
    [
        ({"feed": "electricity-maps"}, LIFECYCLE, "electricity-maps"),
        ({"feed": "electricity-maps", "version": "v3"}, DIRECT, "electricity-maps"),
        ({"feed": "watttime"}, MARGINAL, "watttime-co2_moer"),
        ({"feed": "watttime"}, DIRECT, "watttime-co2_aoer"),
        ({"feed": "uk-carbon-intensity"}, DIRECT, "uk-carbon-intensity"),
        ({"feed": "ember"}, LIFECYCLE, "ember"),
    ],
)
def test_feed_is_of_the_configured_kind(values: dict[str, str], kind: Kind, name: str) -> None:
    feed = make_feed(section(**values), kind)
    assert (feed.kind, feed.name) == (kind, name)
    feed.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("values", "kind", "found"),
    [
        ({"feed": "uk-carbon-intensity"}, LIFECYCLE, "average direct"),
        ({"feed": "ember"}, DIRECT, "average lifecycle"),
        ({"feed": "watttime"}, LIFECYCLE, "average direct"),
        ({"feed": "electricity-maps"}, MARGINAL, "average direct"),
        (
            {"feed": "file", "path": "own.csv", "signal": "marginal", "factor_type": "direct"},
            LIFECYCLE,
            "marginal direct",
        ),
    ],
)
def test_feed_of_another_kind_is_refused_with_what_to_set(
    values: dict[str, str], kind: Kind, found: str
) -> None:
    signal, factor_type = found.split()
    with pytest.raises(FeedSettingsError) as caught:
        make_feed(section(**values), kind)
    assert f"gives {found} intensities" in str(caught.value)
    assert f"set grid.signal: {signal} and grid.factor_type: {factor_type}" in str(caught.value)


def test_key_that_is_not_in_the_environment_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ELECTRICITY_MAPS_TOKEN")
    with pytest.raises(FeedSettingsError, match=r"grid\.live\.token_env names the environment variable"):
        make_feed(section(feed="electricity-maps"), LIFECYCLE)


@pytest.mark.parametrize(
    "values",
    [
        {"feed": "carbon-aware-sdk", "base_url": "http://carbon.example"},
        {"feed": "file", "path": "own.csv"},
        {"feed": "electricity-maps", "token": "the-key-itself"},
        {"feed": "electricity-maps", "version": "v5"},
        {"feed": "entsoe"},
        {"feed": "file", "path": "x", "signal": "average", "factor_type": "direct", "period_s": 7},
    ],
)
def test_undeclared_kinds_keys_in_the_file_and_unknown_feeds_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        section(**values)


def test_file_is_there_before_the_first_call(tmp_path: Path, edition: Path, region) -> None:
    path = tmp_path / "own.csv"
    path.write_text("zone,time,value\nFR,2026-03-03T10:00Z,40\n", encoding="utf-8")
    own = section(feed="file", path=str(path), signal="average", factor_type="lifecycle")
    signal = open_signal(own, LIFECYCLE, edition, tmp_path / "grid.sqlite", Embedded(edition))
    moment = np.array([unix_s("2026-03-03T10:30Z")]) * 10**9
    found = signal.hourly([region("aws/eu-west-3")], np.zeros(1, dtype=np.int32), moment)
    assert found.g_per_kwh.tolist() == [40.0]
    assert signal.fallback is not None
    assert signal.fallback.kind == LIFECYCLE
    signal.cache.close()


def test_file_that_is_not_there_is_an_error_at_once(tmp_path: Path, edition: Path) -> None:
    own = section(feed="file", path="none.csv", signal="average", factor_type="lifecycle")
    with pytest.raises(FeedFileError, match=r"none\.csv: cannot be read"):
        open_signal(own, LIFECYCLE, edition, ":memory:", Embedded(edition))


def test_marginal_signal_of_a_configuration_has_nothing_behind_it(tmp_path: Path) -> None:
    path = tmp_path / "wattspan.yaml"
    path.write_text(
        "grid: {signal: marginal, factor_type: direct, cache: ':memory:', live: {feed: watttime}}\n",
        encoding="utf-8",
    )
    signal = load_config(path).estimator().grid
    assert isinstance(signal, LiveSignal)
    assert (signal.kind, signal.fallback) == (MARGINAL, None)


def test_spreads_come_from_the_edition(tmp_path: Path, edition: Path) -> None:
    signal = open_signal(section(feed="uk-carbon-intensity"), DIRECT, edition, tmp_path / "grid.sqlite", None)
    # Of spreads.csv: other_method 1.346, unmeasured/direct/annual 2.09, year_of_age 1.151.
    assert np.exp(signal.spreads[1:]).tolist() == pytest.approx([1.346, 2.09, 1.151])
    assert np.exp(signal.spreads.revision_ln_g) == pytest.approx(1.0591, abs=5e-5)
    signal.cache.close()
