"""`make edition`: the same evidence gives the same bytes, and a released edition is never changed."""

import json
import shutil

import pytest

from evidence.edition.__main__ import ReleasedEditionError, build_into, pin, publish
from evidence.edition.canonical import significant, write_json
from wattspan.methodology import LATEST, Edition, verify
from wattspan.methodology.digest import MANIFEST, list_files, make_manifest
from wattspan.methodology.edition import EDITIONS_FOLDER


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("built") / LATEST
    folder.mkdir()
    build_into(folder, LATEST, "draft")
    return folder


def make_edition(folder, text, status):
    folder.mkdir(parents=True)
    (folder / "form.json").write_text(text)
    write_json(folder / MANIFEST, make_manifest(folder, folder.name, status))
    return folder


def test_building_twice_gives_the_same_bytes(built, tmp_path):
    again = tmp_path / LATEST
    again.mkdir()
    build_into(again, LATEST, "draft")
    assert list_files(again) == list_files(built)
    assert (again / MANIFEST).read_bytes() == (built / MANIFEST).read_bytes()


def test_the_shipped_edition_is_what_the_evidence_gives(built):
    shipped, found = list_files(EDITIONS_FOLDER / LATEST), list_files(built)
    stale = sorted(path for path in shipped.keys() | found.keys() if shipped.get(path) != found.get(path))
    assert stale == [], "run `make edition`"


def test_what_is_built_agrees_with_its_manifest(built):
    assert verify(Edition(built)) == []


def test_every_file_of_an_edition_ends_its_lines_the_same_way(built):
    for path in sorted(built.rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            assert b"\r" not in data, path
            assert data.endswith(b"\n"), path


def test_a_draft_is_replaced_and_its_stale_files_go(tmp_path):
    target = make_edition(tmp_path / "editions" / "2026.11", "{}", "draft")
    (target / "left_over.csv").write_text("zone\n")
    new = make_edition(tmp_path / "new" / "2026.11", "[]", "draft")
    publish(new, target)
    assert list_files(target) == list_files(new)


def test_a_released_edition_is_never_changed(tmp_path):
    target = make_edition(tmp_path / "editions" / "2026.11", "{}", "released")
    new = make_edition(tmp_path / "new" / "2026.11", "[]", "draft")
    with pytest.raises(ReleasedEditionError, match=r"2026\.11 was released .* would differ: form\.json\."):
        publish(new, target)
    assert (target / "form.json").read_text() == "{}"


def test_a_released_edition_that_comes_out_the_same_stays_released(tmp_path):
    target = make_edition(tmp_path / "editions" / "2026.11", "{}", "released")
    publish(make_edition(tmp_path / "new" / "2026.11", "{}", "draft"), target)
    assert Edition(target).status == "released"


def test_releasing_a_draft_keeps_its_digest(tmp_path):
    target = make_edition(tmp_path / "editions" / "2026.11", "{}", "draft")
    digest = Edition(target).digest
    publish(make_edition(tmp_path / "new" / "2026.11", "{}", "released"), target)
    assert Edition(target).status == "released"
    assert Edition(target).digest == digest


def test_pinning_adds_an_edition_and_keeps_the_others(tmp_path):
    edition = Edition(make_edition(tmp_path / "2026.11", "{}", "draft"))
    pins = tmp_path / "pins.json"
    pins.write_text('{"2026.8": {"digest": "old", "parts": {}}}')
    pin(edition, pins)
    found = json.loads(pins.read_text())
    assert found["2026.8"] == {"digest": "old", "parts": {}}
    assert found["2026.11"]["digest"] == edition.digest
    assert sorted(found["2026.11"]["parts"]) == ["core"]


@pytest.mark.parametrize("parts", [("odbl",), ("mpl",), ("odbl", "mpl")])
def test_an_edition_without_its_separate_parts_still_opens(built, tmp_path, parts):
    copy = tmp_path / LATEST
    shutil.copytree(built, copy)
    for part in parts:
        shutil.rmtree(copy / part)
    edition = Edition(copy)
    assert edition.label == f"{LATEST} without {' and '.join(sorted(parts))}"
    assert verify(edition) == []
    assert edition.form == Edition(built).form


@pytest.mark.parametrize(
    ("value", "rounded"), [(0.16138, 0.1614), (1234567.0, 1235000.0), (0.0, 0.0), (1.0, 1.0)]
)
def test_fitted_numbers_are_rounded_to_four_significant_digits(value, rounded):
    assert significant(value) == rounded
