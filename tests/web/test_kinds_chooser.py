"""A lake with figures of two kinds: each is shown by itself, and a person chooses which."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest

from tests.web.site_thread import CAPTURES, evil_request, served
from tests.web.test_site import get
from wattspan.estimator import Estimator
from wattspan.lake.features import FeatureRules
from wattspan.lake.reader import open_snapshot
from wattspan.lake.seal import Sealer
from wattspan.lake.spans import SpanSource
from wattspan.lake.writer import LakeWriter
from wattspan.views.kinds import Kind, kind_of


def write_kind(folder: Path, bodies: list[bytes], factor_type: str) -> None:
    sealer = Sealer(Estimator(factor_type=factor_type), FeatureRules(), 1.0)
    source = SpanSource()
    with LakeWriter(folder, sealer) as writer:
        writer.ingest([source.request(body) for body in bodies])
        writer.seal_all()


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mixed")
    write_kind(folder, [path.read_bytes() for path in sorted(CAPTURES.glob("*.binpb"))], "lifecycle")
    write_kind(folder, [evil_request()], "direct")
    return folder


@pytest.fixture(scope="module")
def mixed_site(mixed: Path) -> Iterator[str]:
    with served(mixed) as address:
        yield address


@pytest.fixture(scope="module")
def energy_kwh(mixed: Path) -> dict[Kind, float]:
    """By kind, straight from the segments."""
    snapshot, found = open_snapshot(mixed), {}
    for segment in snapshot.manifest.segments:
        with snapshot.connect([segment]) as connection:
            (energy,) = connection.execute("SELECT sum(energy_kwh) FROM spans").fetchone()
        found[kind_of(segment)] = found.get(kind_of(segment), 0.0) + (energy or 0.0)
    return found


def test_each_kind_is_shown_by_itself(mixed_site: str, energy_kwh: dict[Kind, float]) -> None:
    direct, lifecycle = sorted(energy_kwh)
    assert (direct.factor_type, lifecycle.factor_type) == ("direct", "lifecycle")
    for kind in (direct, lifecycle):
        told = json.loads(get(f"{mixed_site}/api/overview?kind={kind.key}")[2])["feature"]
        assert told["factor_type"] == kind.factor_type
        assert told["total"]["energy_kwh"]["central"] == pytest.approx(energy_kwh[kind], rel=1e-12)
        line = json.loads(get(f"{mixed_site}/api/timeline?kind={kind.key}")[2])
        assert sum(sum(one["energy"]) for one in line["series"]) == pytest.approx(energy_kwh[kind], rel=1e-12)
        frames = json.loads(get(f"{mixed_site}/api/flame?kind={kind.key}")[2])
        assert sum(frames["own"]["energy"]) == pytest.approx(energy_kwh[kind], rel=1e-6)


def test_without_a_choice_the_newest_is_shown_and_the_others_are_named(
    mixed_site: str, energy_kwh: dict[Kind, float]
) -> None:
    direct, lifecycle = sorted(energy_kwh)
    text = unescape(get(f"{mixed_site}/")[2])
    assert f'<option value="{lifecycle.key}" selected>{lifecycle}</option>' in text
    assert f'<option value="{direct.key}">{direct}</option>' in text
    assert f'This period also holds figures by <a href="/?kind={direct.key}">{direct}</a>.' in text
    frames = json.loads(get(f"{mixed_site}/api/flame")[2])
    assert sum(frames["own"]["energy"]) == pytest.approx(energy_kwh[lifecycle], rel=1e-6)
    assert f"Figures by {direct} alone" in unescape(get(f"{mixed_site}/flame?kind={direct.key}")[2])


def test_a_kind_that_is_not_there_is_told_with_those_that_are(
    mixed_site: str, energy_kwh: dict[Kind, float]
) -> None:
    status, _, text = get(f"{mixed_site}/api/overview?kind=marginal")
    assert status == 400
    error = json.loads(text)["error"]
    assert error.startswith("this period has no figures of kind 'marginal'; there are: ")
    for kind in energy_kwh:
        assert kind.key in error


def test_a_lake_of_one_kind_asks_nothing(site: str) -> None:
    text = get(f"{site}/")[2]
    assert 'name="kind"' not in text
    assert "also holds figures by" not in text
